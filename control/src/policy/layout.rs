//! Which policy stands where in the order of one side.

use std::collections::{BTreeMap, HashMap};

use ravelin_config::resources::{Order, Policy, PolicyRule, Profile, RuleAction, TierDefault};
use ravelin_dataplane::policy::{Position, RuleId, Trace};

use super::{
    Block, Direction, Settings,
    order::{Ordered, THREAT, full_name},
    side::{Builder, SLOT, Section, position},
};
use crate::compile::CompileError;

/// The tier of profiles in traces.
const PROFILE: &str = "__PROFILE__";
/// In the place of a profile: none of them matched.
const NO_MATCH: &str = "__NO_MATCH__";

/// What tells a policy from all others in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyKey {
    pub(super) tier: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl PolicyKey {
    /// Of a policy, staged or not.
    pub fn of(policy: &Policy) -> Self {
        Self { tier: policy.tier.clone(), namespace: policy.namespace.clone(), name: policy.name.clone() }
    }
}

/// By what the policies of a tier are put in order.
type Place = (Order, String, Option<String>, bool);

fn place(policy: &Policy) -> Place {
    (policy.order, policy.name.clone(), policy.namespace.clone(), policy.staged.is_some())
}

/// The slots of one policy.
#[derive(Clone, Copy, Debug)]
struct Slots {
    /// Of its rules.
    rules: u32,
    /// Of the default behind them.
    default: u32,
}

/// A tier of one side.
#[derive(Debug)]
struct TierLayout {
    default: TierDefault,
    policies: BTreeMap<Place, Slots>,
    /// The slots between which its policies stand.
    rules: (u32, u32),
    /// And their defaults.
    defaults: (u32, u32),
    next: Position,
}

/// The order of one side.
#[derive(Debug)]
pub(super) struct Layout {
    direction: Direction,
    tiers: HashMap<String, TierLayout>,
}

/// Gives out slots one after the other, with room between them.
struct Row {
    next: u32,
    step: u32,
}

impl Row {
    fn new(count: usize) -> Result<Self, CompileError> {
        const ALL: u32 = u32::MAX / SLOT;
        let step = u32::try_from(count + 1).ok().and_then(|count| ALL.checked_div(count)).unwrap_or_default();
        if step == 0 {
            Err(CompileError::TooManyPolicies { policies: count })
        } else {
            Ok(Self { next: 0, step })
        }
    }

    fn take(&mut self) -> u32 {
        let slot = self.next;
        self.next += self.step;
        slot
    }
}

/// What all sides have in common.
pub(super) struct Common<'c> {
    pub(super) settings: &'c Settings,
    pub(super) profiles: &'c HashMap<String, Profile>,
    /// Every list of profiles that some endpoint has.
    pub(super) lists: &'c [Vec<String>],
}

impl Layout {
    fn governs(direction: Direction, policy: &Policy) -> bool {
        match direction {
            Direction::Egress => policy.types.egress,
            Direction::Ingress => policy.types.ingress,
        }
    }

    /// Puts all that is said about one direction in order, and hands its rules to `builder`.
    pub(super) fn new(
        tiers: &[Ordered<'_>],
        common: &Common<'_>,
        builder: &mut Builder<'_>,
    ) -> Result<Self, CompileError> {
        let direction = builder.direction;
        let governing = |tier: &Ordered<'_>| -> usize {
            tier.policies.iter().filter(|policy| Self::governs(direction, policy)).count()
        };
        let tiers: Vec<_> =
            tiers.iter().filter(|tier| governing(tier) > 0 || tier.tier.name == THREAT).collect();
        if tiers.len() > Trace::MAX_TIERS {
            return Err(CompileError::TooManyTiers { tiers: tiers.len() });
        }
        let in_tiers: usize = tiers.iter().map(|tier| 2 * governing(tier) + 3).sum();
        let in_profiles: usize = common.lists.iter().map(Vec::len).sum();
        let mut row = Row::new(in_tiers + in_profiles + 2)?;
        let failsafes = match direction {
            Direction::Egress => &common.settings.failsafe_outbound,
            Direction::Ingress => &common.settings.failsafe_inbound,
        };
        builder.failsafes(row.take(), failsafes)?;
        let mut layout = Self { direction, tiers: HashMap::new() };
        for ordered in tiers {
            layout.tier(ordered, &mut row, builder)?;
        }
        Self::profiles(common, &mut row, builder)?;
        Ok(layout)
    }

    fn tier(
        &mut self,
        Ordered { tier, policies }: &Ordered<'_>,
        row: &mut Row,
        builder: &mut Builder<'_>,
    ) -> Result<(), CompileError> {
        let policies: Vec<_> =
            policies.iter().filter(|policy| Self::governs(self.direction, policy)).collect();
        let first = row.take();
        let rules: Vec<u32> = policies.iter().map(|_| row.take()).collect();
        let between = row.take();
        // The default bears the name of the last policy that governs an endpoint: so that comes first.
        let mut defaults: Vec<u32> = policies.iter().map(|_| row.take()).collect();
        defaults.reverse();
        let end = row.take();
        let mut layout = TierLayout {
            default: tier.default,
            policies: BTreeMap::new(),
            rules: (first, between),
            defaults: (between, end),
            next: position(end),
        };
        for ((policy, rules), default) in policies.into_iter().zip(rules).zip(defaults) {
            let slots = Slots { rules, default };
            layout.policies.insert(place(policy), slots);
            layout.policy(policy, slots, builder)?;
        }
        self.tiers.insert(tier.name.clone(), layout);
        Ok(())
    }

    fn profiles(common: &Common<'_>, row: &mut Row, builder: &mut Builder<'_>) -> Result<(), CompileError> {
        let (direction, on_change) = (builder.direction, common.settings.on_change);
        for list in common.lists {
            let subject = builder.resolver.with_profiles(list);
            for name in list {
                let slot = row.take();
                let Some(profile) = common.profiles.get(name) else { continue };
                let rules: &[_] = match direction {
                    Direction::Egress => &profile.egress,
                    Direction::Ingress => &profile.ingress,
                };
                // To pass is to deny here.
                let action = |rule: &PolicyRule| match rule.action {
                    RuleAction::Pass => RuleAction::Deny,
                    other @ (RuleAction::Allow | RuleAction::Deny | RuleAction::Log | RuleAction::Reject) => {
                        other
                    }
                };
                let block = Block {
                    tier: PROFILE.to_owned(),
                    policy: format!("{PROFILE}.{name}"),
                    staged: false,
                    direction,
                    actions: rules.iter().map(action).collect(),
                    default: RuleAction::Deny,
                };
                builder.section(Section {
                    slot,
                    subject,
                    rules,
                    namespace: None,
                    block,
                    on_change,
                    next: None,
                })?;
            }
        }
        let last = builder.number(Block {
            tier: PROFILE.to_owned(),
            policy: format!("{PROFILE}.{NO_MATCH}"),
            staged: false,
            direction,
            actions: Vec::new(),
            default: RuleAction::Deny,
        })?;
        let (slot, everyone) = (row.take(), builder.resolver.everyone());
        builder.default(slot, everyone, last, TierDefault::Deny, on_change, position(slot));
        Ok(())
    }

    /// Where the rules of feeds stand: behind the policies of their tier, before its defaults.
    pub(super) fn feeds(&self) -> Position {
        self.tiers.get(THREAT).map_or(Position::START, |tier| position(tier.rules.1))
    }

    /// The direction that it is about.
    pub(super) const fn direction(&self) -> Direction {
        self.direction
    }

    /// Where a policy stands, or could stand: `None` if there is no room for it, or no such tier.
    fn slots_for(&mut self, policy: &Policy) -> Option<Slots> {
        let tier = self.tiers.get_mut(&policy.tier)?;
        let place = place(policy);
        if let Some(slots) = tier.policies.get(&place) {
            return Some(*slots);
        }
        let before = tier.policies.range(..place.clone()).next_back().map(|(_, slots)| *slots);
        let behind = tier.policies.range(place.clone()..).next().map(|(_, slots)| *slots);
        let middle = |from: u32, to: u32| (to.checked_sub(from)? > 1).then(|| from + (to - from) / 2);
        let slots = Slots {
            rules: middle(
                before.map_or(tier.rules.0, |slots| slots.rules),
                behind.map_or(tier.rules.1, |slots| slots.rules),
            )?,
            default: middle(
                behind.map_or(tier.defaults.0, |slots| slots.default),
                before.map_or(tier.defaults.1, |slots| slots.default),
            )?,
        };
        tier.policies.insert(place, slots);
        Some(slots)
    }

    /// Takes a policy out of the order; the positions at which its rules stood go to `removed`.
    pub(super) fn remove(&mut self, policy: &Policy, removed: &mut Vec<std::ops::RangeInclusive<Position>>) {
        let Some(tier) = self.tiers.get_mut(&policy.tier) else { return };
        if let Some(slots) = tier.policies.remove(&place(policy)) {
            for slot in [slots.rules, slots.default] {
                let Position(first) = position(slot);
                removed.push(Position(first)..=Position(first + (SLOT - 1)));
            }
        }
    }

    /// Puts a policy into the order, and hands its rules to `builder`. `false` if it has no room there: then everything has to
    /// be put in order anew.
    pub(super) fn insert(
        &mut self,
        policy: &Policy,
        builder: &mut Builder<'_>,
    ) -> Result<bool, CompileError> {
        if !Self::governs(self.direction, policy) {
            return Ok(true);
        }
        let Some(slots) = self.slots_for(policy) else { return Ok(false) };
        match self.tiers.get(&policy.tier) {
            Some(tier) => tier.policy(policy, slots, builder).map(|()| true),
            None => Ok(false),
        }
    }
}

impl TierLayout {
    fn policy(&self, policy: &Policy, slots: Slots, builder: &mut Builder<'_>) -> Result<(), CompileError> {
        let subject = builder.resolver.subject(
            &policy.selector,
            policy.namespace.as_deref(),
            policy.namespace_selector.as_ref(),
            policy.service_account_selector.as_ref(),
        );
        let rules: &[_] = match builder.direction {
            Direction::Egress => &policy.egress,
            Direction::Ingress => &policy.ingress,
        };
        let block = Block {
            tier: policy.tier.clone(),
            policy: full_name(policy),
            staged: policy.staged.is_some(),
            direction: builder.direction,
            actions: rules.iter().map(|rule| rule.action).collect(),
            default: match self.default {
                TierDefault::Deny => RuleAction::Deny,
                TierDefault::Pass => RuleAction::Pass,
            },
        };
        let (namespace, on_change) = (policy.namespace.as_deref(), policy.on_change);
        let next = Some(self.next);
        let RuleId(first) = builder.section(Section {
            slot: slots.rules,
            subject,
            rules,
            namespace,
            block,
            on_change,
            next,
        })?;
        let default = RuleId(first + u32::try_from(rules.len()).unwrap_or_default());
        builder.default(slots.default, subject, default, self.default, on_change, self.next);
        Ok(())
    }
}
