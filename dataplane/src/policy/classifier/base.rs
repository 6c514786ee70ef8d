use std::sync::Arc;

use super::{
    Key, Match, Position, Rule,
    batch::{KEYS, Wave},
    index::Index,
    linear,
    sides::Role,
    space::Space,
};
use crate::policy::AddressSet;

/// What a classifier was built from, and what was built.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) sets: Vec<Arc<AddressSet>>,
    /// In order.
    pub(super) rules: Vec<Rule>,
    by_source: BySet,
    by_destination: BySet,
    v4: Index<u32>,
    v6: Index<u128>,
}

/// The rules that name each set in one role.
#[derive(Debug)]
struct BySet {
    /// Where those of each set begin; and one behind the last.
    first: Vec<u32>,
    rules: Vec<u32>,
}

impl BySet {
    fn new(sets: usize, rules: &[Rule], role: Role) -> Self {
        let mut first = vec![0u32; sets + 1];
        let index = |rule: &Rule| role.set(rule).index().filter(|index| *index < sets);
        for set in rules.iter().filter_map(index) {
            if let Some(count) = first.get_mut(set) {
                *count += 1;
            }
        }
        // From how many there are to where they end, and then, as they are put there, to where they begin.
        let mut end = 0;
        for place in &mut first {
            end += *place;
            *place = end;
        }
        let mut numbers = vec![0; end as usize];
        for (number, rule) in rules.iter().enumerate().rev() {
            if let Some(place) = index(rule).and_then(|set| first.get_mut(set)) {
                *place -= 1;
                if let Some(place) = numbers.get_mut(*place as usize) {
                    *place = number as u32;
                }
            }
        }
        Self { first, rules: numbers }
    }

    fn of(&self, set: usize) -> &[u32] {
        let (Some(&from), Some(&to)) = (self.first.get(set), self.first.get(set + 1)) else { return &[] };
        self.rules.get(from as usize..to as usize).unwrap_or_default()
    }
}

impl Base {
    pub(super) fn new(sets: Vec<Arc<AddressSet>>, mut rules: Vec<Rule>) -> Self {
        rules.retain(|rule| rule.names_sets_below(sets.len()));
        rules.sort_by_key(|rule| rule.position);
        let [by_source, by_destination] = Role::BOTH.map(|role| BySet::new(sets.len(), &rules, role));
        let (v4, v6) = (Index::new(&sets, &rules), Index::new(&sets, &rules));
        Self { sets, rules, by_source, by_destination, v4, v6 }
    }

    /// The first rule at or behind `from` that matches.
    pub(super) fn first(&self, key: &Key, from: Position) -> Option<Match> {
        if let (Some(source), Some(destination)) = (u32::of(key.source), u32::of(key.destination)) {
            return self.v4.first((source, destination), key, from, |rule| self.asks(rule, key));
        }
        if let (Some(source), Some(destination)) = (u128::of(key.source), u128::of(key.destination)) {
            return self.v6.first((source, destination), key, from, |rule| self.asks(rule, key));
        }
        // No packet has addresses of two families.
        let rest = self.rules_from(from);
        rest.iter().find(|rule| linear::matches(&self.sets, rule, key)).map(Rule::found)
    }

    /// The same for many keys.
    pub(super) fn first_of_batch(&self, keys: &[Key], from: &[Position], out: &mut [Option<Match>]) {
        if self.rules.is_empty() {
            return out.iter_mut().zip(keys).zip(from).for_each(|((out, _), _)| *out = None);
        }
        for ((keys, from), out) in keys.chunks(KEYS).zip(from.chunks(KEYS)).zip(out.chunks_mut(KEYS)) {
            let wave = Wave::<u32>::new(keys, from);
            self.v4.first_of_wave(&wave, keys, out, |rule, key| self.asks(rule, key));
            if wave.len() == keys.len() {
                continue;
            }
            let wave = Wave::<u128>::new(keys, from);
            self.v6.first_of_wave(&wave, keys, out, |rule, key| self.asks(rule, key));
            for ((key, from), out) in keys.iter().zip(from).zip(out) {
                if key.source.is_ipv4() != key.destination.is_ipv4() {
                    *out = self.first(key, *from);
                }
            }
        }
    }

    /// Whether a rule matches.
    fn asks(&self, rule: u32, key: &Key) -> bool {
        self.rules.get(rule as usize).is_some_and(|rule| linear::matches(&self.sets, rule, key))
    }

    /// The rules at or behind `from`.
    pub(super) fn rules_from(&self, from: Position) -> &[Rule] {
        self.rules.get(self.rules.partition_point(|rule| rule.position < from)..).unwrap_or_default()
    }

    /// The rules that name a set in a role, in order.
    pub(super) fn rules_of(&self, set: usize, role: Role) -> impl Iterator<Item = &Rule> {
        let by_set = match role {
            Role::Source => &self.by_source,
            Role::Destination => &self.by_destination,
        };
        by_set.of(set).iter().filter_map(|rule| self.rules.get(*rule as usize))
    }

    /// Bytes of memory, without the sets themselves.
    pub(super) fn bytes(&self) -> usize {
        let by_set = |by_set: &BySet| size_of_val(&*by_set.first) + size_of_val(&*by_set.rules);
        size_of_val(&*self.sets)
            + size_of_val(&*self.rules)
            + by_set(&self.by_source)
            + by_set(&self.by_destination)
            + self.v4.bytes()
            + self.v6.bytes()
    }
}
