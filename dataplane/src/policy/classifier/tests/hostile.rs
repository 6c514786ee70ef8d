//! Rule sets that somebody made to take much memory, or much time: they stay right, and within what the documentation says.

use std::{net::IpAddr, sync::Arc};

use ravelin_config::types::{PortRange, Protocol};

use super::super::{Classifier, Key, Linear, Position, ProtocolMatch, Rule, SetId};
use crate::policy::AddressSet;

/// What a rule and a range may take, and what every classifier takes, in bytes.
const RULE: usize = 1500;
const RANGE: usize = 300;
const TABLES: usize = 2 << 20;

fn rule(position: usize, source: SetId, destination: SetId, destination_ports: PortRange) -> Rule {
    Rule {
        position: Position(position as u32),
        source,
        destination,
        protocol: ProtocolMatch::Any,
        source_ports: PortRange::new(0, u16::MAX).unwrap(),
        destination_ports,
        outcome: position as u32,
    }
}

fn set(ranges: impl Iterator<Item = (u32, u32)>) -> Arc<AddressSet> {
    // Prefixes that make up each range.
    let mut nets = Vec::new();
    for (mut first, last) in ranges {
        while first <= last {
            let size = (last - first + 1).ilog2().min(first.trailing_zeros());
            nets.push(format!("{}/{}", std::net::Ipv4Addr::from_bits(first), 32 - size).parse().unwrap());
            first += 1 << size;
        }
    }
    Arc::new(AddressSet::of_nets(&nets))
}

fn check(sets: Vec<Arc<AddressSet>>, rules: Vec<Rule>, address: impl Fn(u32) -> u32) {
    let classifier = Classifier::new(sets.clone(), rules.clone());
    let ranges: usize = sets.iter().map(|set| set.v4().len()).sum();
    let most = TABLES + rules.len() * RULE + ranges * RANGE;
    assert!(classifier.bytes() <= most, "{} of {most} bytes", classifier.bytes());
    let linear = Linear::new(sets, rules);
    let mut seed = 1_u32;
    let mut random = |end: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % end
    };
    let keys: Vec<Key> = (0..150)
        .map(|_| Key {
            source: IpAddr::V4(address(random(1 << 20)).into()),
            destination: IpAddr::V4(address(random(1 << 20)).into()),
            protocol: Protocol::TCP,
            source_port: random(65_536) as u16,
            destination_port: random(65_536) as u16,
            zones: Key::NO_ZONES,
        })
        .collect();
    for from in [0, 1, 700, 1_999].map(Position) {
        let expected: Vec<_> = keys.iter().map(|key| linear.first(key, from)).collect();
        let mut found = vec![None; keys.len()];
        classifier.first_of_batch(&keys, &vec![from; keys.len()], &mut found);
        assert_eq!(found, expected);
        assert_eq!(keys.iter().map(|key| classifier.first(key, from)).collect::<Vec<_>>(), expected);
    }
}

const ALL: (u16, u16) = (0, u16::MAX);

fn ports((first, last): (u16, u16)) -> PortRange {
    PortRange::new(first, last).unwrap()
}

#[test]
fn sets_like_stairs() {
    // Each address is in half of all sets, and no two addresses in the same ones.
    let sets: Vec<_> = (0..1_200u32).map(|n| set(std::iter::once((n << 8, (n + 1_200) << 8)))).collect();
    let rules = (0..1_200)
        .map(|n| rule(n, SetId(n as u32), SetId((n as u32 * 7) % 1_200), ports((n as u16, 40_000))));
    check(sets.clone(), rules.collect(), |n| n % (2_400 << 8));
}

#[test]
fn everything_with_everything() {
    // Nested sets on both sides, and a rule for every pair.
    let sets: Vec<_> = (0..50u32).map(|n| set(std::iter::once((n << 8, (200 - n) << 8)))).collect();
    let pairs = (0..50).flat_map(|a| (0..50).map(move |b| (a, b)));
    let rules = pairs.enumerate().map(|(at, (a, b))| {
        let port = (at * 26) as u16;
        rule(at, SetId(a), SetId(b), ports((port, port.saturating_add(100))))
    });
    check(sets, rules.collect(), |n| n % (210 << 8));
}

#[test]
fn one_pair_with_all_rules() {
    let sets = vec![set(std::iter::once((0, 0xffff))), set(std::iter::once((0x8000, 0x1_ffff)))];
    let rules = (0..6_000).map(|n| {
        let port = (n * 7_919) as u16;
        rule(n, SetId(0), SetId(1), ports((port, port.saturating_add((n % 9) as u16))))
    });
    check(sets, rules.collect(), |n| n % 0x2_0000);
}

#[test]
fn rules_that_nothing_tells_apart() {
    let rules =
        (0..3_000).map(|n| rule(n, SetId::ANY, SetId::ANY, ports(if n > 1_500 { ALL } else { (9, 9) })));
    check(Vec::new(), rules.collect(), |n| n);
}

#[test]
fn ports_like_stairs() {
    let rules = (0..3_000).map(|n| {
        let first = (n * 10) as u16;
        rule(n, SetId::ANY, SetId::ANY, ports((first, first + 30_000)))
    });
    check(Vec::new(), rules.collect(), |n| n);
}

#[test]
fn many_sets_of_many_members() {
    // Every set has an address in every net, and most nets hold addresses of many sets.
    let sets: Vec<_> = (0..60u32)
        .map(|n| set((0..200).map(|m| m * 64 + n * (m + 1) % 64).map(|address| (address, address))))
        .collect();
    let rules = (0..3_000).map(|n| {
        let (a, b) = (n as u32 % 60, n as u32 / 7 % 60);
        rule(n, SetId(a), SetId(b), PortRange::single((n % 5) as u16))
    });
    check(sets, rules.collect(), |n| n % (200 * 64));
}
