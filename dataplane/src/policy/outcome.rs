use std::sync::Arc;

use ravelin_config::types::Action;

use super::{Position, Zone, ZoneSet, limit::LimitId};
use crate::verdict::DropReason;

/// A rule's number. The control thread gives every rule of every policy one number for the life of the process, so that a
/// record written after a change still names the rule that decided. The default at the end of a tier has a number too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// Rules, as bits by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSet(Box<[u64]>);

impl RuleSet {
    /// Whether a rule is one of them.
    pub fn has(&self, rule: RuleId) -> bool {
        self.0.get((rule.0 / 64) as usize).is_some_and(|bits| bits & 1 << (rule.0 % 64) != 0)
    }
}

impl FromIterator<RuleId> for RuleSet {
    fn from_iter<I: IntoIterator<Item = RuleId>>(rules: I) -> Self {
        let mut bits = Vec::new();
        for RuleId(rule) in rules {
            let word = (rule / 64) as usize;
            bits.resize(bits.len().max(word + 1), 0);
            if let Some(place) = bits.get_mut(word) {
                *place |= 1 << (rule % 64);
            }
        }
        Self(bits.into())
    }
}

/// What a rule does with a flow that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The flow may pass on this side; nothing else is asked.
    Allow,
    /// The flow is denied; nothing else is asked.
    Deny,
    /// The flow is denied and its sender is told.
    Reject,
    /// What stands before this place is skipped: the rest of the tier.
    Pass(Position),
    /// The rule is noted and the next one asked.
    Log,
}

/// What happens to a flow that was allowed until a change made this rule deny it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    /// It goes on.
    Keep,
    /// Its packets are dropped.
    #[default]
    Drop,
    /// Its packets are dropped, and both ends of a TCP connection are sent a reset.
    Reset,
}

/// What follows when a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The rule.
    pub rule: RuleId,
    /// What it does.
    pub effect: Effect,
    /// Whether it is the default of a tier, or of all tiers, rather than a rule that somebody wrote.
    pub is_default: bool,
    /// What happens to flows that it denies after a change.
    pub on_change: OnChange,
    /// How many flows it may let through.
    pub limit: Option<LimitId>,
    /// Whether flows that meet it trigger a capture.
    pub captures: bool,
    /// The zones in which source and destination must be besides; elsewhere the rule has not matched.
    pub zones: [ZoneSet; 2],
}

/// Outcomes by number. Those of a whole compilation are shared; a few that came later stand beside them.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    sealed: Arc<[Outcome]>,
    added: Vec<Outcome>,
    /// Whether any asks for a zone.
    uses_zones: bool,
}

impl Outcomes {
    /// The outcome of this number.
    pub fn get(&self, number: u32) -> Option<&Outcome> {
        let number = number as usize;
        self.sealed.get(number).or_else(|| self.added.get(number.checked_sub(self.sealed.len())?))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Outcome> {
        self.sealed.iter().chain(&self.added)
    }

    /// Adds one, and says its number.
    pub fn push(&mut self, outcome: Outcome) -> u32 {
        self.uses_zones |= outcome.uses_zones();
        self.added.push(outcome);
        // There is memory for fewer than 2^32.
        u32::try_from(self.sealed.len() + self.added.len() - 1).unwrap_or(u32::MAX)
    }

    /// Whether any of them, or of those that were there since the last compilation, asks for a zone.
    pub const fn uses_zones(&self) -> bool {
        self.uses_zones
    }

    /// Makes those that are there cheap to clone.
    pub fn seal(&mut self) {
        self.sealed = self.sealed.iter().chain(&self.added).copied().collect();
        self.added = Vec::new();
    }
}

impl FromIterator<Outcome> for Outcomes {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        let sealed: Arc<[Outcome]> = outcomes.into_iter().collect();
        let uses_zones = sealed.iter().any(Outcome::uses_zones);
        Self { sealed, added: Vec::new(), uses_zones }
    }
}

impl Outcome {
    /// Whether it asks for a zone.
    fn uses_zones(&self) -> bool {
        self.zones != [ZoneSet::ANY; 2]
    }

    /// Whether it holds for a flow from one zone to another.
    #[inline]
    pub fn holds(&self, [from, to]: [Zone; 2]) -> bool {
        let [sources, destinations] = self.zones;
        sources.has(from) && destinations.has(to)
    }

    /// Whether the flow may pass, if the rule decides.
    pub(crate) const fn action(&self) -> Action {
        match self.effect {
            Effect::Allow | Effect::Pass(_) | Effect::Log => Action::Allow,
            Effect::Deny => Action::Deny,
            Effect::Reject => Action::Reject,
        }
    }

    /// Why its packets are dropped, if they are.
    pub(crate) const fn drop_reason(&self) -> Option<DropReason> {
        match self.effect {
            Effect::Allow | Effect::Pass(_) | Effect::Log => None,
            Effect::Deny if self.is_default => Some(DropReason::DefaultDeny),
            Effect::Deny => Some(DropReason::RuleDeny),
            Effect::Reject => Some(DropReason::RuleReject),
        }
    }
}
