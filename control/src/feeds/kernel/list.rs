use std::collections::HashMap;

use ipnet::{IpSubnets, Ipv4Subnets, Ipv6Subnets};
use ravelin_config::{
    feed::{Feed, FeedMode},
    types::{IpNet, IpRange},
};
use ravelin_dataplane::{
    io::blocklist::{BlockChange, CAPACITY, PATTERNS, Pattern, SPARED, Spared},
    policy::AddressSet,
};

use crate::{
    feeds::{Addresses, Library},
    policy::Exempt,
};

/// What the kernel drops: sources, and what is spared all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct List {
    /// In order, disjoint.
    prefixes: Vec<IpNet>,
    spared: Spared,
    /// Prefixes for which there is no room.
    pub(super) left: usize,
    /// For each feed that may, how many of its entries are here.
    pub(super) feeds: HashMap<String, usize>,
}

/// Whether the kernel may drop what a feed names.
pub(super) fn is_wanted(feed: &Feed) -> bool {
    feed.drop_in_kernel && feed.mode == FeedMode::Enabled
}

impl List {
    /// What feeds name without a port, as far as nothing is exempt.
    pub(super) fn new(library: &Library, exempt: &Exempt) -> Self {
        Self::within(CAPACITY, library, exempt)
    }

    /// The same, with room for so many prefixes of each version of IP.
    pub(super) fn within(capacity: usize, library: &Library, exempt: &Exempt) -> Self {
        let feeds = || library.feeds().iter().filter(|shelf| is_wanted(&shelf.feed));
        let named = named(feeds().flat_map(|shelf| shelf.contents.entries())).difference(&exempt.sources);
        let spared = spared(&exempt.destinations);
        let capacity = if fits(&spared.destinations) { capacity } else { 0 };
        let (mut prefixes, more_v4) = widest(nets_v4(&named), capacity);
        let (v6, more_v6) = widest(nets_v6(&named), capacity);
        prefixes.extend(v6);
        let spared = if prefixes.is_empty() { Spared::default() } else { spared };
        let listed = AddressSet::of_nets(&prefixes);
        let feeds = feeds().map(|shelf| {
            let entries = shelf.contents.entries().filter(|entry| is_in(&listed, entry));
            (shelf.feed.name.clone(), entries.count())
        });
        Self { feeds: feeds.collect(), prefixes, spared, left: more_v4 + more_v6 }
    }

    /// How many prefixes it has.
    pub(super) fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// What makes this of another list.
    pub(super) fn after(&self, before: &Self) -> BlockChange {
        let is_v4 = |net: &IpNet| matches!(net, IpNet::V4(_));
        BlockChange {
            leave: without(&before.prefixes, &self.prefixes),
            join: without(&self.prefixes, &before.prefixes),
            has: [self.prefixes.iter().any(is_v4), !self.prefixes.iter().all(is_v4)],
            spared: (self.spared != before.spared).then(|| self.spared.clone()),
        }
    }
}

/// The addresses of entries without a port.
fn named(entries: impl Iterator<Item = Addresses>) -> AddressSet {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for Addresses { range, .. } in entries.filter(|entry| entry.port.is_none()) {
        match range {
            IpRange::V4 { first, last } => v4.push((first.to_bits(), last.to_bits())),
            IpRange::V6 { first, last } => v6.push((first.to_bits(), last.to_bits())),
        }
    }
    AddressSet::of_ranges(v4, v6)
}

/// Whether all that an entry names, whatever the port, is in a set.
fn is_in(set: &AddressSet, Addresses { range, port }: &Addresses) -> bool {
    fn holds<N: Ord + Copy>(ranges: &[(N, N)], first: N, last: N) -> bool {
        let behind = ranges.partition_point(|(start, _)| *start <= first);
        behind.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, end)| last <= *end)
    }
    port.is_none()
        && match range {
            IpRange::V4 { first, last } => holds(set.v4(), first.to_bits(), last.to_bits()),
            IpRange::V6 { first, last } => holds(set.v6(), first.to_bits(), last.to_bits()),
        }
}

/// The prefixes that a set is made of.
fn nets_v4(set: &AddressSet) -> Vec<IpNet> {
    let ranges = set.v4().iter();
    let nets = ranges.map(|(first, last)| Ipv4Subnets::new((*first).into(), (*last).into(), 0));
    nets.flat_map(IpSubnets::V4).collect()
}

fn nets_v6(set: &AddressSet) -> Vec<IpNet> {
    let ranges = set.v6().iter();
    let nets = ranges.map(|(first, last)| Ipv6Subnets::new((*first).into(), (*last).into(), 0));
    nets.flat_map(IpSubnets::V6).collect()
}

/// As many as there is room for, those first that hold most addresses, in order; and how many are left.
fn widest(mut nets: Vec<IpNet>, capacity: usize) -> (Vec<IpNet>, usize) {
    let left = nets.len().saturating_sub(capacity);
    if left > 0 {
        nets.sort_unstable_by_key(|net| (net.prefix_len(), *net));
        nets.truncate(capacity);
        nets.sort_unstable();
    }
    (nets, left)
}

/// Those of `some` that are not among `others`. Both are in order.
fn without(some: &[IpNet], others: &[IpNet]) -> Vec<IpNet> {
    let mut others = others.iter().peekable();
    let is_missing = |net: &&IpNet| {
        while others.next_if(|other| other < net).is_some() {}
        others.peek() != Some(net)
    };
    some.iter().filter(is_missing).copied().collect()
}

/// Each destination once, with all its patterns. Beyond [`PATTERNS`], everything is spared that any of them speaks of.
fn spared(exempt: &[(AddressSet, Pattern)]) -> Spared {
    let mut patterns: Vec<Pattern> = Vec::new();
    for (_, pattern) in exempt {
        if !patterns.contains(pattern) {
            patterns.push(*pattern);
        }
    }
    if patterns.len() > PATTERNS {
        patterns = vec![Pattern::ANY];
    }
    let bit = |pattern: &Pattern| 1 << patterns.iter().position(|other| other == pattern).unwrap_or_default();
    let mut whole: Vec<(AddressSet, u64)> = Vec::new();
    for (set, pattern) in exempt {
        match whole.iter_mut().find(|(other, _)| other == set) {
            Some((_, bits)) => *bits |= bit(pattern),
            None => whole.push((set.clone(), bit(pattern))),
        }
    }
    // Parts that do not overlap.
    let mut parts: Vec<(AddressSet, u64)> = Vec::new();
    for (mut rest, bits) in whole {
        for (part, others) in std::mem::take(&mut parts) {
            let both = part.intersection(&rest);
            rest = rest.difference(&both);
            parts.push((part.difference(&both), others));
            parts.push((both, others | bits));
        }
        parts.push((rest, bits));
        parts.retain(|(part, _)| !part.is_empty());
    }
    let nets = |(part, bits): &(AddressSet, u64)| {
        let bits = *bits;
        nets_v4(part).into_iter().chain(nets_v6(part)).map(move |net| (net, bits))
    };
    Spared { destinations: parts.iter().flat_map(nets).collect(), patterns }
}

/// Whether there is room for what is spared. If not, nothing can be dropped in the kernel.
fn fits(destinations: &[(IpNet, u64)]) -> bool {
    let v4 = destinations.iter().filter(|(net, _)| matches!(net, IpNet::V4(_))).count();
    v4 <= SPARED && destinations.len() - v4 <= SPARED
}
