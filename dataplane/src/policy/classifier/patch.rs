use std::{ops::RangeInclusive, sync::Arc};

use super::{Position, Rule, SetId};
use crate::policy::AddressSet;

/// What is to change, in this order: rules go, sets come, members come and go, rules come.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// Rules at these positions go.
    pub remove: Vec<RangeInclusive<Position>>,
    /// Rules with these outcomes go.
    pub remove_outcomes: Vec<u32>,
    /// New sets. They are numbered behind those that are there ([`Classifier::sets`](super::Classifier::sets)).
    pub sets: Vec<Arc<AddressSet>>,
    /// Addresses that join or leave sets.
    pub members: Vec<MemberChange>,
    /// New rules. Their positions may lie anywhere; the sets that they name are there, or come with this change.
    pub rules: Vec<Rule>,
}

/// Addresses that join or leave one set.
#[derive(Clone, Debug)]
pub struct MemberChange {
    /// The set.
    pub set: SetId,
    /// Those that leave.
    pub leave: AddressSet,
    /// Those that join; also if they are among those that leave.
    pub join: AddressSet,
}

impl Patch {
    /// Whether a rule that is there goes.
    pub(super) fn removes(&self, rule: &Rule) -> bool {
        self.remove.iter().any(|positions| positions.contains(&rule.position))
            || self.remove_outcomes.contains(&rule.outcome)
    }
}

impl MemberChange {
    /// The set after the change.
    #[cfg(test)]
    pub(super) fn applied(&self, set: &AddressSet) -> AddressSet {
        AddressSet::union_of([&set.difference(&self.leave), &self.join])
    }
}
