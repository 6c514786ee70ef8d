use std::{net::IpAddr, sync::Arc};

use super::{Key, Match, Position, Rule, SetId};
use crate::policy::AddressSet;

/// The plainest classifier: it asks one rule after the other. What every other must agree with.
#[derive(Clone, Debug)]
pub struct Linear {
    sets: Vec<Arc<AddressSet>>,
    rules: Vec<Rule>,
}

impl Linear {
    /// From the sets that the rules name, and the rules in any order.
    pub fn new(sets: Vec<Arc<AddressSet>>, mut rules: Vec<Rule>) -> Self {
        rules.sort_by_key(|rule| rule.position);
        Self { sets, rules }
    }

    /// The first rule at or behind `from` that matches.
    pub fn first(&self, key: &Key, from: Position) -> Option<Match> {
        let start = self.rules.partition_point(|rule| rule.position < from);
        let rest = self.rules.get(start..).unwrap_or_default();
        rest.iter().find(|rule| matches(&self.sets, rule, key)).map(Rule::found)
    }
}

/// Whether all criteria of `rule` match.
pub(super) fn matches(sets: &[Arc<AddressSet>], rule: &Rule, key: &Key) -> bool {
    rule.matches_ports(key)
        && holds(sets, rule.destination, key.destination)
        && holds(sets, rule.source, key.source)
}

/// Whether the set holds the address. A set that is not there holds none.
pub(super) fn holds(sets: &[Arc<AddressSet>], set: SetId, address: IpAddr) -> bool {
    set.index().is_none_or(|index| sets.get(index).is_some_and(|set| set.contains(address)))
}
