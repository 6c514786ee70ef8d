use std::sync::Arc;

use ahash::RandomState;
use hashbrown::{HashMap, HashSet};

use super::{Rule, SetId, space::Space};
use crate::policy::AddressSet;

/// One of the two ends that a rule speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Source,
    Destination,
}

impl Role {
    pub(super) const BOTH: [Self; 2] = [Self::Source, Self::Destination];

    pub(super) fn set(self, rule: &Rule) -> SetId {
        match self {
            Self::Source => rule.source,
            Self::Destination => rule.destination,
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Source => Self::Destination,
            Self::Destination => Self::Source,
        }
    }
}

/// What of a set there is in a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Nothing: the rule never matches in this family.
    Nothing,
    /// Every address.
    All,
    /// Something, by its number in this role.
    Set(u32),
}

impl Part {
    pub(super) fn set(self) -> Option<u32> {
        match self {
            Self::Set(set) => Some(set),
            Self::All | Self::Nothing => None,
        }
    }
}

/// How rules are found by a set in one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Merged with those of the other sets that hold the same interval, as it holds few intervals.
    Merged,
    /// By the combination of all such sets on both sides.
    Crossed,
    /// As one list of several.
    Chained,
    /// As if it held all addresses, and then asked itself.
    Asked,
}

/// The sets that rules name in one role, in one family: equal ones are one.
#[derive(Debug)]
pub(super) struct RoleSets<A> {
    /// Of each rule.
    pub(super) parts: Vec<Part>,
    /// The first address of each interval.
    pub(super) starts: Vec<A>,
    /// Of each set, the intervals that it holds, both ends included.
    pub(super) intervals: Vec<Vec<(u32, u32)>>,
    /// Of each set, how many intervals that is.
    pub(super) coverage: Vec<u32>,
    /// Of each set.
    pub(super) way: Vec<Way>,
}

/// Both roles, and the rules that can match in this family at all, by their numbers.
#[derive(Debug)]
pub(super) struct Sides<A> {
    pub(super) source: RoleSets<A>,
    pub(super) destination: RoleSets<A>,
    pub(super) rules: Vec<u32>,
}

impl<A: Space> Sides<A> {
    pub(super) fn new(sets: &[Arc<AddressSet>], rules: &[Rule]) -> Self {
        let ranges = |set: SetId| -> &[(A, A)] {
            set.index().and_then(|index| sets.get(index)).map_or(&[], |set| A::ranges(set))
        };
        let matches = |set: SetId| set == SetId::ANY || !ranges(set).is_empty();
        let alive: Vec<u32> = (0..)
            .zip(rules)
            .filter(|(_, rule)| matches(rule.source) && matches(rule.destination))
            .map(|(index, _)| index)
            .collect();
        let [source, destination] = Role::BOTH.map(|role| {
            let mut parts = vec![Part::Nothing; rules.len()];
            let mut known: Vec<Option<Part>> = vec![None; sets.len()];
            let mut numbers: HashMap<&[(A, A)], u32, RandomState> = HashMap::default();
            let mut distinct: Vec<&[(A, A)]> = Vec::new();
            for index in &alive {
                let Some(set) = rules.get(*index as usize).map(|rule| role.set(rule)) else { continue };
                let mut make = || {
                    let ranges = ranges(set);
                    if set == SetId::ANY || *ranges == [(A::FIRST, A::LAST)] {
                        return Part::All;
                    }
                    Part::Set(*numbers.entry(ranges).or_insert_with(|| {
                        distinct.push(ranges);
                        distinct.len() as u32 - 1
                    }))
                };
                let part = match set.index().and_then(|index| known.get_mut(index)) {
                    Some(known) => *known.get_or_insert_with(make),
                    None => make(),
                };
                if let Some(place) = parts.get_mut(*index as usize) {
                    *place = part;
                }
            }
            RoleSets::new(parts, &distinct)
        });
        Self { source, destination, rules: alive }
    }

    pub(super) fn role(&self, role: Role) -> &RoleSets<A> {
        match role {
            Role::Source => &self.source,
            Role::Destination => &self.destination,
        }
    }

    pub(super) fn role_mut(&mut self, role: Role) -> &mut RoleSets<A> {
        match role {
            Role::Source => &mut self.source,
            Role::Destination => &mut self.destination,
        }
    }

    /// The sets that rules without a home name in a role, if they are crossed.
    pub(super) fn crossed(&self, rules: &[u32], role: Role) -> HashSet<u32, RandomState> {
        let set = |rule: &u32| self.way(role, *rule).filter(|(_, way)| *way == Way::Crossed);
        rules.iter().filter_map(set).map(|(set, _)| set).collect()
    }

    /// Merges the sets that hold at most so many intervals, and crosses the others.
    pub(super) fn merge(&mut self, most: u32) {
        for role in Role::BOTH {
            let sets = self.role_mut(role);
            for (way, coverage) in sets.way.iter_mut().zip(&sets.coverage) {
                *way = if *coverage <= most { Way::Merged } else { Way::Crossed };
            }
        }
    }

    /// Crosses those sets of each role that hold most intervals, as many as `most`, and chains the others; of those that
    /// `rules`, which have no home, name.
    pub(super) fn cross(&mut self, most: usize, rules: &[u32]) {
        for role in Role::BOTH {
            let named = self.crossed(rules, role);
            self.role_mut(role).divide(named.into_iter(), most, Way::Crossed, Way::Chained);
        }
    }

    /// Has the wider half of the chained sets of each role asked.
    pub(super) fn ask(&mut self) {
        for role in Role::BOTH {
            let sets = self.role_mut(role);
            let chained: Vec<u32> = sets.sets_of(Way::Chained).map(|(set, _)| set).collect();
            sets.divide(chained.iter().copied(), chained.len().div_ceil(2), Way::Asked, Way::Chained);
        }
    }

    /// The set of a rule in a role, with the way in which its rules are found.
    pub(super) fn way(&self, role: Role, rule: u32) -> Option<(u32, Way)> {
        let sets = self.role(role);
        let set = sets.part(rule).set()?;
        Some((set, sets.way.get(set as usize).copied()?))
    }
}

impl<A: Space> RoleSets<A> {
    fn new(parts: Vec<Part>, sets: &[&[(A, A)]]) -> Self {
        let mut starts = vec![A::FIRST];
        for (first, last) in sets.iter().copied().flatten() {
            starts.push(*first);
            starts.extend(last.next());
        }
        starts.sort_unstable();
        starts.dedup();
        let rank = |address: A| starts.partition_point(|start| *start <= address) as u32 - 1;
        let intervals: Vec<Vec<(u32, u32)>> = sets
            .iter()
            .map(|ranges| ranges.iter().map(|(first, last)| (rank(*first), rank(*last))).collect())
            .collect();
        let coverage = intervals
            .iter()
            .map(|ranges| ranges.iter().map(|(first, last)| last - first + 1).sum())
            .collect();
        let way = vec![Way::Crossed; sets.len()];
        Self { parts, starts, intervals, coverage, way }
    }

    pub(super) fn part(&self, rule: u32) -> Part {
        self.parts.get(rule as usize).copied().unwrap_or(Part::Nothing)
    }

    /// Whether a rule's set is one range, or all there is.
    pub(super) fn is_plain(&self, rule: u32) -> bool {
        self.part(rule).set().is_none_or(|set| self.intervals(set).len() == 1)
    }

    pub(super) fn coverage(&self, set: u32) -> u32 {
        self.coverage.get(set as usize).copied().unwrap_or_default()
    }

    pub(super) fn intervals(&self, set: u32) -> &[(u32, u32)] {
        self.intervals.get(set as usize).map_or(&[], Vec::as_slice)
    }

    /// The sets whose rules are found so, with their intervals.
    pub(super) fn sets_of(&self, way: Way) -> impl Iterator<Item = (u32, &[(u32, u32)])> {
        (0..)
            .zip(self.way.iter().zip(&self.intervals))
            .filter(move |(_, (own, _))| **own == way)
            .map(|(set, (_, intervals))| (set, intervals.as_slice()))
    }

    /// Gives those of `sets` that hold most intervals one way, as many as `most`, and the others another.
    fn divide(&mut self, sets: impl Iterator<Item = u32>, most: usize, way: Way, otherwise: Way) {
        let mut sets: Vec<_> = sets.map(|set| (std::cmp::Reverse(self.coverage(set)), set)).collect();
        sets.sort_unstable();
        for (at, (_, set)) in sets.into_iter().enumerate() {
            if let Some(place) = self.way.get_mut(set as usize) {
                *place = if at < most { way } else { otherwise };
            }
        }
    }
}
