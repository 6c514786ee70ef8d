//! What a rule matches, as sets of numbers, so that "this rule matches all that that one matches" can be
//! asked.

use super::Rule;
use crate::types::{Direction, IpNet, PortRange, Protocol};

/// What a rule matches.
#[derive(Debug)]
pub(super) struct Cover {
    direction: Option<Direction>,
    protocol: Option<Protocol>,
    source: Addresses,
    destination: Addresses,
    source_ports: Ranges,
    destination_ports: Ranges,
}

impl Cover {
    pub(super) fn of(rule: &Rule) -> Self {
        Self {
            direction: rule.direction,
            protocol: rule.protocol,
            source: Addresses::of(&rule.source),
            destination: Addresses::of(&rule.destination),
            source_ports: Ranges::ports(&rule.source_ports),
            destination_ports: Ranges::ports(&rule.destination_ports),
        }
    }

    /// Whether every flow that matches `other` matches this. Addresses count in each family for itself, so
    /// this is exact for one rule; two rules that together cover a third are not seen.
    pub(super) fn covers(&self, other: &Self) -> bool {
        (self.direction.is_none() || self.direction == other.direction)
            && (self.protocol.is_none() || self.protocol == other.protocol)
            && self.source.covers(&other.source)
            && self.destination.covers(&other.destination)
            && self.source_ports.covers(&other.source_ports)
            && self.destination_ports.covers(&other.destination_ports)
    }
}

/// Sets of addresses, one for each family.
#[derive(Debug)]
struct Addresses {
    v4: Ranges,
    v6: Ranges,
}

impl Addresses {
    fn of(prefixes: &[IpNet]) -> Self {
        if prefixes.is_empty() {
            let all = |last| Ranges::new(vec![(0, last)]);
            return Self { v4: all(u128::from(u32::MAX)), v6: all(u128::MAX) };
        }
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for prefix in prefixes {
            match prefix {
                IpNet::V4(net) => v4.push((net.network().to_bits().into(), net.broadcast().to_bits().into())),
                IpNet::V6(net) => v6.push((net.network().to_bits(), net.broadcast().to_bits())),
            }
        }
        Self { v4: Ranges::new(v4), v6: Ranges::new(v6) }
    }

    fn covers(&self, other: &Self) -> bool {
        self.v4.covers(&other.v4) && self.v6.covers(&other.v6)
    }
}

/// A set of numbers: inclusive ranges, sorted, neither overlapping nor touching.
#[derive(Debug)]
struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    fn new(mut ranges: Vec<(u128, u128)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(previous) if first <= previous.1.saturating_add(1) => previous.1 = previous.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    fn ports(ports: &[PortRange]) -> Self {
        if ports.is_empty() {
            return Self(vec![(0, u128::from(u16::MAX))]);
        }
        Self::new(ports.iter().map(|range| (range.first().into(), range.last().into())).collect())
    }

    fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(first, last)| {
            let behind = self.0.partition_point(|(start, _)| start <= first);
            behind.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, end)| last <= end)
        })
    }
}
