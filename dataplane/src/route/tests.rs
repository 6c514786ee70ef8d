use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use proptest::{prelude::*, sample::Index};
use ravelin_config::types::IpNet;

use ravelin_config::types::MssClamp;

use super::{Change, Fib, Link, Lookups, NextHopId, ReversePath, Rib, Routes, lookups::Found, ways::Ways};
use crate::{
    batch::Meta,
    forward::{Plan, Port},
    io::PortId,
    parse::{Address, Headers},
    snapshot::Snapshot,
    verdict::{DropReason, Verdict},
};

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

/// Of both families and all kinds: no route, of length 0 and more, in slots that go on from those before, divided again and again.
fn varied() -> Fib {
    let routes = [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.0.64.0/18",
        "10.1.2.0/24",
        "10.1.2.128/25",
        "10.1.2.255/32",
        "224.0.0.0/3",
        "2000::/3",
        "2001:db8::/32",
        "2001:db8:1::/48",
        "2001:db8:1:2::/64",
        "2001:db8:1:2:3:4:5:6/128",
        "2001:db9::/33",
    ];
    Rib::new().apply(&routes.into_iter().zip(0..).map(add).collect::<Vec<_>>())
}

fn add((prefix, next): (&str, usize)) -> Change {
    Change { prefix: prefix.parse().unwrap(), next: NextHopId::new(next) }
}

/// About the edges of `varied`.
fn addresses() -> Vec<IpAddr> {
    let words = [
        "9.255.255.255",
        "10.0.63.255",
        "10.0.64.1",
        "10.1.1.255",
        "10.1.2.1",
        "10.1.2.128",
        "10.1.2.255",
        "223.0.0.1",
        "255.255.255.255",
        "::1",
        "1fff::1",
        "2001:db7::1",
        "2001:db8::1",
        "2001:db8:1::1",
        "2001:db8:1:2::1",
        "2001:db8:1:2:3:4:5:6",
        "2001:db9:7fff::",
        "2001:db9:8000::",
        "fe80::1",
    ];
    words.iter().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn together_is_as_one_by_one_however_many() {
    let (fib, addresses) = (varied(), addresses());
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = addresses.iter().partition(|address| address.is_ipv4());
    for kinds in [addresses, v4, v6] {
        for count in (0..=193).chain([1000]) {
            let asked: Vec<IpAddr> = kinds.iter().copied().cycle().skip(count).take(count).collect();
            let expected: Vec<_> = asked.iter().map(|address| fib.lookup(*address)).collect();
            let asked: Vec<Address> = asked.into_iter().map(Address::from).collect();
            let mut out = vec![NextHopId::new(7); count + 1];
            fib.lookup_batch(&asked, &mut out);
            assert_eq!(out[..count], expected, "{asked:?}");
            assert_eq!(out[count], NextHopId::new(7), "what was not asked for is left alone");
        }
    }
}

#[test]
fn what_is_removed_answers_no_more_and_others_do() {
    let mut rib = Rib::new();
    let prefixes =
        ["0.0.0.0/0", "10.0.0.0/8", "10.1.2.3/32", "::/0", "2000::/3", "2001:db8::/32", "2001:db8::7/128"];
    let with: Vec<Change> = prefixes.into_iter().zip(0..).map(add).collect();
    let addresses = ["10.1.2.3", "2001:db8::7"].map(|address| address.parse::<IpAddr>().unwrap());
    let given = addresses.map(Address::from);
    let before = rib.apply(&with);
    let (mut of4, mut of6) = (vec![0, 1, 2], vec![3, 4, 5, 6]);
    let mut out = [None; 2];
    while !rib.is_empty() {
        rib.apply(&[]).lookup_batch(&given, &mut out);
        let longest = [of4.pop(), of6.pop()];
        assert_eq!(out, longest.map(|index| index.and_then(NextHopId::new)));
        let removed = longest.into_iter().flatten().map(|index| Change { next: None, ..with[index] });
        rib.apply(&removed.collect::<Vec<_>>());
    }
    rib.apply(&[]).lookup_batch(&given, &mut out);
    assert_eq!(out, [None; 2]);
    before.lookup_batch(&given, &mut out);
    assert_eq!(out, [NextHopId::new(2), NextHopId::new(6)], "what was made before is what it was");
}

#[test]
fn packets_of_a_batch_find_the_routes_of_their_tables() {
    let other = Rib::new().apply(&[add(("10.0.0.0/8", 20)), add(("2001:db8::/32", 21))]);
    let link = |table| Some(Link { index: 1, mac: [0; 6], table, forwards: [true; 2], is_tunnel: false });
    let routes = Routes {
        fibs: Arc::new([varied(), other]),
        links: Arc::new([link(0), link(1), link(0), None]),
        ..Routes::default()
    };
    let port =
        |reverse_path| Port::Route { complete_checksums: true, reverse_path, mss_clamp: MssClamp::Off };
    let (loose, off) = (port(ReversePath::Loose), port(ReversePath::Off));
    let forward = Plan::new(vec![loose, loose, off, loose]);
    let snapshot = Snapshot { forward, routes: routes.clone(), ..Snapshot::default() };
    let verdicts = [Verdict::Allow, Verdict::Undecided, Verdict::Drop(DropReason::Martian)];
    let mut lookups = Lookups::default();
    for stretch in [1, 3, 40] {
        let ends = addresses();
        let metas: Vec<Meta> = (0..256)
            .map(|place| Meta {
                port: PortId((place / stretch % 4) as u8),
                verdict: verdicts[place / 7 % 3],
                headers: Headers {
                    source: ends[place * 5 % ends.len()].into(),
                    destination: ends[place % ends.len()].into(),
                    ..Headers::default()
                },
                ..Meta::default()
            })
            .collect();
        let found = lookups.run(&snapshot, &Ways::default(), &metas);
        let mut routed = 0;
        for (meta, found) in metas.iter().zip(found) {
            let (Verdict::Allow | Verdict::Undecided, Some(link)) = (meta.verdict, routes.link(meta.port))
            else {
                continue;
            };
            let fib = &routes.fibs[usize::from(link.table)];
            let Found::Routes { destination, source } = *found else { panic!("no way is known") };
            assert_eq!(destination, fib.lookup(meta.headers.destination.ip()));
            if meta.port != PortId(2) {
                assert_eq!(source, fib.lookup(meta.headers.source.ip()));
            }
            routed += 1;
        }
        assert!(routed > 100, "{routed} of the packets are routed");
    }
}
