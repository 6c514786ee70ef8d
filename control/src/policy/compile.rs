use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use ravelin_config::{
    resources::{Failsafe, OnChange, Policy, Profile, Resources, RuleAction, TierDefault},
    types::Action,
};
use ravelin_dataplane::policy::{
    AddressSet, Classifier, Limit, Outcome, PolicySet, Rule, RuleId, SetId, Sides, Trace,
};

use super::{
    Block, Direction, RuleBook,
    entity::Resolver,
    order::{self, Ordered, full_name},
    side::{Builder, SLOT, Section, position},
};
use crate::{compile::CompileError, identity::Identities};

/// What is said about policy as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The verdict on flows of which neither end is an endpoint.
    pub unknown: Action,
    /// What happens to flows that the end of a tier or a missing profile denies after a change.
    pub on_change: OnChange,
    /// Answers to rejected packets in a second.
    pub reject_rate: u32,
    /// Ports of hosts that no policy can shut, for flows to them.
    pub failsafe_inbound: Vec<Failsafe>,
    /// The same for flows from them.
    pub failsafe_outbound: Vec<Failsafe>,
}

impl Settings {
    /// What a configuration says.
    pub fn of(policy: &ravelin_config::Policy) -> Self {
        Self {
            unknown: policy.unknown,
            on_change: policy.on_change,
            reject_rate: policy.reject_rate,
            failsafe_inbound: policy.failsafe_inbound.clone(),
            failsafe_outbound: policy.failsafe_outbound.clone(),
        }
    }
}

/// The tier of profiles in traces.
const PROFILE: &str = "__PROFILE__";
/// In the place of a profile: none of them matched.
const NO_MATCH: &str = "__NO_MATCH__";

/// Compiles resources into what the packet path asks.
///
/// # Errors
/// [`CompileError::TooManyTiers`], [`CompileError::TooManyRules`].
pub fn compile(
    resources: &Resources,
    identities: &Identities,
    settings: &Settings,
    book: &mut RuleBook,
) -> Result<PolicySet, CompileError> {
    Ok(flatten(resources, identities, settings, book)?.classified(settings))
}

/// Flat rules, and what they refer to.
pub(super) struct Flattened {
    pub(super) sets: Vec<Arc<AddressSet>>,
    /// The rules in force about egress, then ingress.
    pub(super) enforced: [Vec<Rule>; 2],
    /// The same with every staged policy; `None` if there are none.
    pub(super) pending: Option<[Vec<Rule>; 2]>,
    outcomes: Vec<Outcome>,
    limits: Vec<Limit>,
}

impl Flattened {
    /// The rules as classifiers.
    pub(super) fn classified(&self, settings: &Settings) -> PolicySet {
        let sides = |[egress, ingress]: &[Vec<Rule>; 2]| Sides {
            egress: Classifier::new(self.sets.clone(), egress.clone()),
            ingress: Classifier::new(self.sets.clone(), ingress.clone()),
        };
        PolicySet {
            enforced: sides(&self.enforced),
            pending: self.pending.as_ref().map(sides),
            outcomes: self.outcomes.clone(),
            limits: self.limits.clone(),
            unknown: settings.unknown,
            answers: Limit::new(settings.reject_rate, Duration::from_secs(1)),
        }
    }
}

/// Compiles resources into flat rules.
pub(super) fn flatten(
    resources: &Resources,
    identities: &Identities,
    settings: &Settings,
    book: &mut RuleBook,
) -> Result<Flattened, CompileError> {
    let profiles = order::profiles(resources);
    let mut compiler = Compiler {
        settings,
        profiles: &profiles,
        groups: profile_groups(resources),
        resolver: Resolver::new(resources, identities),
        book,
        outcomes: Vec::new(),
        limits: Vec::new(),
    };
    let enforced = order::tiers(resources, order::enforced(resources));
    let pending = order::pending(resources).map(|policies| order::tiers(resources, policies));
    let enforced = compiler.sides(&enforced)?;
    let pending = pending.map(|pending| compiler.sides(&pending)).transpose()?;
    let sets = compiler.resolver.sets.all().to_vec();
    Ok(Flattened { sets, enforced, pending, outcomes: compiler.outcomes, limits: compiler.limits })
}

/// Endpoints that have the same profiles, by those.
fn profile_groups(resources: &Resources) -> BTreeMap<&[String], Vec<usize>> {
    let mut groups: BTreeMap<&[String], Vec<usize>> = BTreeMap::new();
    for (index, endpoint) in resources.endpoints.iter().enumerate() {
        groups.entry(&endpoint.profiles).or_default().push(index);
    }
    groups
}

struct Compiler<'c> {
    settings: &'c Settings,
    profiles: &'c HashMap<String, Profile>,
    groups: BTreeMap<&'c [String], Vec<usize>>,
    resolver: Resolver<'c>,
    book: &'c mut RuleBook,
    outcomes: Vec<Outcome>,
    limits: Vec<Limit>,
}

/// The slots of one side, one after the other, with room between them.
struct Slots {
    next: u32,
    step: u32,
}

impl Slots {
    const ALL: u32 = u32::MAX / SLOT;

    fn new(count: usize) -> Option<Self> {
        let count = u32::try_from(count).ok()?;
        let step = Self::ALL.checked_div(count + 1)?;
        (step > 0).then_some(Self { next: 0, step })
    }

    fn take(&mut self) -> u32 {
        let slot = self.next;
        self.next += self.step;
        slot
    }
}

impl<'c> Compiler<'c> {
    /// The flat rules of both sides.
    fn sides(&mut self, tiers: &[Ordered<'c>]) -> Result<[Vec<Rule>; 2], CompileError> {
        Ok([self.side(tiers, Direction::Egress)?, self.side(tiers, Direction::Ingress)?])
    }

    fn side(&mut self, tiers: &[Ordered<'c>], direction: Direction) -> Result<Vec<Rule>, CompileError> {
        let governs = |policy: &&&Policy| match direction {
            Direction::Egress => policy.types.egress,
            Direction::Ingress => policy.types.ingress,
        };
        let tiers: Vec<(&Ordered<'c>, Vec<&'c Policy>)> = tiers
            .iter()
            .map(|tier| (tier, tier.policies.iter().filter(governs).copied().collect::<Vec<_>>()))
            .filter(|(_, policies)| !policies.is_empty())
            .collect();
        if tiers.len() > Trace::MAX_TIERS {
            return Err(CompileError::TooManyTiers { tiers: tiers.len() });
        }
        let in_profiles: usize = self.groups.keys().map(|profiles| profiles.len()).sum();
        let in_tiers: usize = tiers.iter().map(|(_, policies)| 2 * policies.len() + 1).sum();
        let count = in_profiles + in_tiers + 2;
        let mut slots = Slots::new(count).ok_or(CompileError::TooManyPolicies { policies: count })?;

        let Self { settings, profiles, groups, resolver, book, outcomes, limits } = self;
        let mut builder = Builder { direction, resolver, book, outcomes, limits, rules: Vec::new() };
        let failsafes = match direction {
            Direction::Egress => &settings.failsafe_outbound,
            Direction::Ingress => &settings.failsafe_inbound,
        };
        builder.failsafes(slots.take(), failsafes)?;
        for (Ordered { tier, .. }, policies) in &tiers {
            // A slot for each policy, then one for each policy's default.
            let own: Vec<u32> = policies.iter().map(|_| slots.take()).collect();
            let defaults: Vec<u32> = policies.iter().map(|_| slots.take()).collect();
            let next = position(slots.take());
            let mut governing: Vec<(RuleId, SetId, OnChange)> = Vec::new();
            for (policy, slot) in policies.iter().zip(own) {
                let subject = builder.resolver.subject(
                    &policy.selector,
                    policy.namespace.as_deref(),
                    policy.namespace_selector.as_ref(),
                    policy.service_account_selector.as_ref(),
                );
                let rules: &[_] = match direction {
                    Direction::Egress => &policy.egress,
                    Direction::Ingress => &policy.ingress,
                };
                let block = Block {
                    tier: tier.name.clone(),
                    policy: full_name(policy),
                    staged: policy.staged.is_some(),
                    direction,
                    actions: rules.iter().map(|rule| rule.action).collect(),
                    default: match tier.default {
                        TierDefault::Deny => RuleAction::Deny,
                        TierDefault::Pass => RuleAction::Pass,
                    },
                };
                let Some(subject) = subject else {
                    // It selects nothing, but it has numbers, so that it can be shown as unused.
                    builder.number(block)?;
                    continue;
                };
                let (namespace, on_change) = (policy.namespace.as_deref(), policy.on_change);
                let count = u32::try_from(rules.len()).unwrap_or(u32::MAX);
                let first = builder.section(Section {
                    slot,
                    subject,
                    rules,
                    namespace,
                    block,
                    on_change,
                    next: Some(next),
                })?;
                governing.push((RuleId(first.0 + count), subject, on_change));
            }
            // The default bears the name of the last policy that governs the endpoint: so that comes first.
            for ((rule, subject, on_change), slot) in governing.into_iter().rev().zip(defaults) {
                builder.default(slot, subject, rule, tier.default, on_change, next);
            }
        }
        for (names, members) in groups.iter() {
            let Some(subject) = builder.resolver.endpoints(members.iter().copied()) else { continue };
            for name in *names {
                let slot = slots.take();
                let Some(profile) = profiles.get(name) else { continue };
                let rules: &[_] = match direction {
                    Direction::Egress => &profile.egress,
                    Direction::Ingress => &profile.ingress,
                };
                let action = |action| match action {
                    RuleAction::Pass => RuleAction::Deny,
                    RuleAction::Allow | RuleAction::Deny | RuleAction::Log | RuleAction::Reject => action,
                };
                builder.section(Section {
                    slot,
                    subject,
                    rules,
                    namespace: None,
                    block: Block {
                        tier: PROFILE.to_owned(),
                        policy: format!("{PROFILE}.{name}"),
                        staged: false,
                        direction,
                        actions: rules.iter().map(|rule| action(rule.action)).collect(),
                        default: RuleAction::Deny,
                    },
                    on_change: settings.on_change,
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
        let slot = slots.take();
        let all: Vec<_> = groups.values().flatten().copied().collect();
        if let Some(everyone) = builder.resolver.endpoints(all.into_iter()) {
            let next = position(slot);
            builder.default(slot, everyone, last, TierDefault::Deny, settings.on_change, next);
        }
        Ok(builder.rules)
    }
}
