//! Addresses that are in the same sets of both policies: no rule can tell them apart.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    net::IpAddr,
};

use ravelin_dataplane::policy::AddressSet;

use super::Both;
use crate::policy::Direction;

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

impl Version {
    /// The last address, as a number.
    pub(super) const fn last(self) -> u128 {
        match self {
            Self::V4 => u32::MAX as u128,
            Self::V6 => u128::MAX,
        }
    }

    /// The ranges of a set.
    pub(super) fn ranges(self, set: &AddressSet) -> Vec<(u128, u128)> {
        match self {
            Self::V4 => set.v4().iter().map(|(first, last)| ((*first).into(), (*last).into())).collect(),
            Self::V6 => set.v6().to_vec(),
        }
    }

    /// The address of a number.
    pub(super) fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(u32::try_from(number).unwrap_or(u32::MAX).into()),
            Self::V6 => IpAddr::V6(number.into()),
        }
    }
}

/// Addresses that belong together.
#[derive(Debug)]
pub(super) struct Class {
    /// One of them.
    pub(super) example: IpAddr,
    /// Their first ranges.
    pub(super) ranges: Vec<(u128, u128)>,
    /// How many ranges there are.
    pub(super) count: usize,
    /// The sets that they are in, by policy and number.
    pub(super) sets: HashSet<(usize, u32)>,
}

impl Class {
    /// Whether it is one address.
    pub(super) fn is_single(&self) -> bool {
        self.count == 1 && self.ranges.iter().all(|(first, last)| first == last)
    }
}

/// All addresses of one version.
#[derive(Debug)]
pub(super) struct Classes {
    pub(super) version: Version,
    pub(super) classes: Vec<Class>,
    /// Where each stretch of addresses begins, in order, and its class.
    stretches: Vec<(u128, usize)>,
}

impl Classes {
    /// Ranges of a class that are kept to describe it.
    const SHOWN: usize = 4;

    pub(super) fn new(version: Version, both: &Both) -> Self {
        // Which sets begin and end where.
        let mut events: Vec<(u128, (usize, u32))> = Vec::new();
        for (policy, flat) in both.each().into_iter().enumerate() {
            let rules =
                [Direction::Egress, Direction::Ingress].map(|direction| flat.side(direction, false).rules);
            let used: HashSet<_> =
                rules.into_iter().flatten().flat_map(|rule| [rule.source, rule.destination]).collect();
            for id in used {
                for (first, last) in flat.set(id).map(|set| version.ranges(set)).unwrap_or_default() {
                    events.push((first, (policy, id.0)));
                    events.extend((last < version.last()).then(|| (last + 1, (policy, id.0))));
                }
            }
        }
        events.sort_unstable();
        let hasher = RandomState::new();
        let mut classes = Self { version, classes: Vec::new(), stretches: Vec::new() };
        let mut known: HashMap<u64, usize> = HashMap::new();
        // The sets that the stretch is in, and a number that stands for all of them.
        let (mut sets, mut sum, mut start) = (HashSet::new(), 0_u64, 0_u128);
        let mut events = events.into_iter().peekable();
        loop {
            while let Some((_, set)) = events.next_if(|(at, _)| *at == start) {
                // Ranges of a set neither overlap nor touch: where one ends no other begins.
                if !sets.remove(&set) {
                    sets.insert(set);
                }
                sum ^= hasher.hash_one(set);
            }
            let next = events.peek().map(|(at, _)| *at);
            let last = next.map_or(version.last(), |next| next - 1);
            let class = *known.entry(sum).or_insert_with(|| {
                let example = version.address(start);
                classes.classes.push(Class { example, ranges: Vec::new(), count: 0, sets: sets.clone() });
                classes.classes.len() - 1
            });
            if let Some(class) = classes.classes.get_mut(class) {
                class.count += 1;
                if class.ranges.len() < Self::SHOWN {
                    class.ranges.push((start, last));
                }
            }
            classes.stretches.push((start, class));
            let Some(next) = next else { return classes };
            start = next;
        }
    }

    /// The classes that some addresses belong to.
    pub(super) fn of(&self, set: &AddressSet) -> HashSet<usize> {
        let mut found = HashSet::new();
        for (first, last) in self.version.ranges(set) {
            let from = self.stretches.partition_point(|(start, _)| *start <= first).saturating_sub(1);
            let to = self.stretches.partition_point(|(start, _)| *start <= last);
            found.extend(self.stretches.get(from..to).unwrap_or_default().iter().map(|(_, class)| *class));
        }
        found
    }
}
