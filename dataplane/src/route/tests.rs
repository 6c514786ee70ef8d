use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use proptest::{prelude::*, sample::Index};
use ravelin_config::types::IpNet;

use super::{Change, Fib, NextHopId, Rib};
use crate::parse::Address;

/// All prefixes, asked one after the other.
type Naive = BTreeMap<IpNet, NextHopId>;

fn naive(routes: &Naive, address: IpAddr) -> Option<NextHopId> {
    let matching = routes.iter().filter(|(prefix, _)| prefix.contains(&address));
    matching.max_by_key(|(prefix, _)| prefix.prefix_len()).map(|(_, next)| *next)
}

/// Addresses at which an answer may begin or end: about those that the prefixes have as first and last.
fn edges(prefixes: impl Iterator<Item = IpNet>) -> Vec<IpAddr> {
    let ends = prefixes.flat_map(|prefix| [prefix.network(), prefix.broadcast()]);
    let about = ends.flat_map(|end| match end {
        IpAddr::V4(end) => [end.to_bits().wrapping_sub(1), end.to_bits(), end.to_bits().wrapping_add(1)]
            .map(|at| IpAddr::V4(Ipv4Addr::from_bits(at))),
        IpAddr::V6(end) => [end.to_bits().wrapping_sub(1), end.to_bits(), end.to_bits().wrapping_add(1)]
            .map(|at| IpAddr::V6(Ipv6Addr::from_bits(at)).to_canonical()),
    });
    about.collect()
}

fn check(fib: &Fib, routes: &Naive, addresses: &[IpAddr]) {
    let expected: Vec<_> = addresses.iter().map(|at| naive(routes, *at)).collect();
    for (address, expected) in addresses.iter().zip(&expected) {
        assert_eq!(fib.lookup(*address), *expected, "{address} of {routes:?}");
    }
    let addresses: Vec<Address> = addresses.iter().map(|address| Address::from(*address)).collect();
    let mut out = vec![NextHopId::new(7); addresses.len()];
    fib.lookup_batch(&addresses, &mut out);
    assert_eq!(out, expected, "one by one and together are the same");
}

/// Few beginnings, so that prefixes lie in each other and beside each other.
fn prefixes() -> impl Strategy<Value = IpNet> {
    let word = prop_oneof![Just(0u16), Just(1), Just(0x20ff), Just(0xff00), Just(0xffff), any::<u16>()];
    // Those of few bits concern much, which takes its time.
    let shortest = || prop_oneof![20 => Just(11u8), 1 => Just(0u8)];
    let lengths = shortest().prop_flat_map(|shortest| shortest..=32);
    let v4 = (proptest::array::uniform2(word.clone()), lengths).prop_map(|([one, two], length)| {
        IpNet::new_assert(Ipv4Addr::from_bits(u32::from(one) << 16 | u32::from(two)).into(), length)
    });
    let lengths =
        shortest().prop_flat_map(|shortest| prop_oneof![shortest..=128, Just(32), Just(48), Just(64)]);
    let v6 = (proptest::array::uniform8(word), lengths)
        .prop_map(|(words, length)| IpNet::new_assert(Ipv6Addr::from(words).into(), length))
        .prop_filter("IPv4 in IPv6", |prefix| match prefix {
            IpNet::V6(prefix) => prefix.network().to_ipv4_mapped().is_none(),
            IpNet::V4(_) => true,
        });
    prop_oneof![v4, v6]
}

fn next_hops() -> impl Strategy<Value = NextHopId> {
    prop_oneof![0usize..3, Just(NextHopId::MOST - 1)].prop_map(|index| NextHopId::new(index).unwrap())
}

#[derive(Clone, Debug)]
enum Step {
    Add(IpNet, NextHopId),
    Remove(Index),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (prefixes(), next_hops()).prop_map(|(prefix, next)| Step::Add(prefix, next)),
        1 => any::<Index>().prop_map(Step::Remove),
    ]
}

proptest! {
    #[test]
    fn the_longest_prefix_is_found_after_every_change(
        batches in proptest::collection::vec(proptest::collection::vec(steps(), 0..12), 1..8),
        random in proptest::collection::vec(any::<[u16; 8]>(), 8),
    ) {
        let (mut rib, mut routes) = (Rib::new(), Naive::new());
        let mut made: Vec<(Fib, Naive)> = Vec::new();
        let mut addresses: Vec<IpAddr> = random.iter().map(|words| IpAddr::V6(Ipv6Addr::from(*words))).collect();
        for batch in batches {
            let mut changes = Vec::new();
            for step in batch {
                let change = match step {
                    Step::Add(prefix, next) => Change { prefix, next: Some(next) },
                    Step::Remove(_) if routes.is_empty() => continue,
                    Step::Remove(index) => Change { prefix: **index.get(&routes.keys().collect::<Vec<_>>()), next: None },
                };
                match change.next {
                    Some(next) => routes.insert(change.prefix.trunc(), next),
                    None => routes.remove(&change.prefix),
                };
                changes.push(change);
            }
            made.push((rib.apply(&changes), routes.clone()));
            prop_assert_eq!(rib.len(), routes.len());
            addresses.extend(edges(changes.iter().map(|change| change.prefix)));
        }
        // What was made before is what it was.
        for (fib, routes) in &made {
            check(fib, routes, &addresses);
        }
    }
}
