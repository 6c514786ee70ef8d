//! The set against a list of entries that is looked through.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::{Feeds, Indicator, IndicatorSet};

fn v4(bits: u32) -> IpAddr {
    Ipv4Addr::from_bits(bits).into()
}

fn v6(bits: u128) -> IpAddr {
    Ipv6Addr::from_bits(bits).into()
}

fn naive(list: &[Indicator], address: IpAddr, port: u16) -> Feeds {
    list.iter()
        .filter(|entry| entry.first.is_ipv4() == address.is_ipv4())
        .filter(|entry| entry.first <= address && address <= entry.last)
        .filter(|entry| entry.port.is_none_or(|only| only == port))
        .fold(Feeds::EMPTY, |feeds, entry| feeds.union(Feeds::of(entry.feed)))
}

fn next(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => v4(address.to_bits().wrapping_add(1)),
        IpAddr::V6(address) => v6(address.to_bits().wrapping_add(1)),
    }
}

fn before(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => v4(address.to_bits().wrapping_sub(1)),
        IpAddr::V6(address) => v6(address.to_bits().wrapping_sub(1)),
    }
}

/// Everything at which the answer can change, and the ports that are named.
fn ends(list: &[Indicator]) -> Vec<(IpAddr, u16)> {
    let mut addresses = vec![v4(0), v4(u32::MAX), v6(0), v6(u128::MAX), v4(0x0a00_0001), v6(1 << 64)];
    for entry in list {
        for address in [entry.first, entry.last] {
            addresses.extend([before(address), address, next(address)]);
        }
    }
    let mut ports: Vec<u16> = list.iter().filter_map(|entry| entry.port).chain([7]).collect();
    ports.sort_unstable();
    ports.dedup();
    ports.truncate(20);
    addresses.iter().flat_map(|address| ports.iter().map(|port| (*address, *port))).collect()
}

fn check(list: &[Indicator]) -> IndicatorSet {
    let set = IndicatorSet::new(list.iter().copied());
    let ends = ends(list);
    let mut out = vec![Feeds(!0); ends.len()];
    set.feeds_of_batch(&ends, &mut out);
    for ((address, port), of_batch) in ends.into_iter().zip(out) {
        let expected = naive(list, address, port);
        assert_eq!(set.feeds(address, port), expected, "{address} {port}");
        assert_eq!(of_batch, expected, "{address} {port} in a batch");
    }
    assert_eq!(set.len(), list.len());
    assert_eq!(set.is_empty(), list.is_empty());
    set
}

fn entry(first: IpAddr, last: IpAddr, port: Option<u16>, feed: u8) -> Indicator {
    Indicator { first: first.min(last), last: first.max(last), port, feed }
}

fn single4(address: u32, feed: u8) -> Indicator {
    entry(v4(address), v4(address), None, feed)
}

fn address4() -> impl Strategy<Value = u32> {
    // Crowded, scattered, and at the ends.
    prop_oneof![
        4 => 0x0a00_ff00u32..0x0a01_0080,
        2 => any::<u32>(),
        1 => 0u32..40,
        1 => (u32::MAX - 40)..=u32::MAX,
    ]
}

fn address6() -> impl Strategy<Value = u128> {
    let upper =
        prop_oneof![0u64..3, 0x2001_0db8_0000_0000u64..0x2001_0db8_0000_0040, any::<u64>(), Just(u64::MAX)];
    let lower = prop_oneof![0u64..12, any::<u64>(), Just(u64::MAX), Just(0)];
    (upper, lower).prop_map(|(upper, lower)| u128::from(upper) << 64 | u128::from(lower))
}

fn range4() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        4 => address4().prop_map(|at| (v4(at), v4(at))),
        2 => (address4(), 0u32..200).prop_map(|(at, more)| (v4(at), v4(at.saturating_add(more)))),
        2 => (address4(), 0u32..=32).prop_map(|(at, bits)| {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            (v4(at & mask), v4(at | !mask))
        }),
        1 => (address4(), address4()).prop_map(|(one, two)| (v4(one.min(two)), v4(one.max(two)))),
    ]
}

fn range6() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        2 => address6().prop_map(|at| (v6(at), v6(at))),
        1 => (address6(), 0u128..200).prop_map(|(at, more)| (v6(at), v6(at.saturating_add(more)))),
        4 => (address6(), 0u32..=128).prop_map(|(at, bits)| {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            (v6(at & mask), v6(at | !mask))
        }),
        1 => (address6(), address6()).prop_map(|(one, two)| (v6(one.min(two)), v6(one.max(two)))),
    ]
}

fn indicators(count: usize) -> impl Strategy<Value = Vec<Indicator>> {
    let port = prop_oneof![3 => Just(None), 1 => (440u16..460).prop_map(Some)];
    let feed = prop_oneof![0u8..4, 0u8..Feeds::MOST];
    let indicator = (prop_oneof![range4(), range6()], port, feed)
        .prop_map(|((first, last), port, feed)| entry(first, last, port, feed));
    proptest::collection::vec(indicator, 0..count)
}

proptest! {
    #[test]
    fn it_says_what_a_list_of_entries_says(list in indicators(60)) {
        check(&list);
    }

    #[test]
    fn where_it_is_crowded_too(
        addresses in proptest::collection::vec((0x0a00_0000u32..0x0a00_1000, 0u32..3, 0u8..Feeds::MOST), 0..900),
    ) {
        let list: Vec<Indicator> =
            addresses.into_iter().map(|(at, more, feed)| entry(v4(at), v4(at + more), None, feed)).collect();
        let set = IndicatorSet::new(list.iter().copied());
        for at in 0x0a00_0000..0x0a00_1004 {
            prop_assert_eq!(set.feeds(v4(at), 0), naive(&list, v4(at), 0));
        }
    }

    #[test]
    fn where_it_is_crowded_in_ipv6_too(
        prefixes in proptest::collection::vec(
            (0u128..3, 0u128..3, 0u128..30, prop_oneof![Just(0u64), 0u64..9, any::<u64>()], 0usize..9, 0u8..4),
            0..150,
        ),
    ) {
        let list: Vec<Indicator> = prefixes
            .into_iter()
            .map(|(key, one, two, lower, drop, feed)| {
                let at = 0x2a00 << 112 | key << 96 | one << 80 | two << 64 | u128::from(lower);
                let span = (1 << [0, 0, 1, 17, 63, 64, 65, 80, 90][drop]) - 1;
                entry(v6(at & !span), v6(at | span), None, feed)
            })
            .collect();
        check(&list);
    }

    #[test]
    fn what_differs_is_found(old in indicators(30), new in indicators(30), both in indicators(30)) {
        let old: Vec<Indicator> = old.into_iter().chain(both.iter().copied()).collect();
        let new: Vec<Indicator> = new.into_iter().chain(both).collect();
        let (old_set, new_set) = (IndicatorSet::new(old.iter().copied()), IndicatorSet::new(new.iter().copied()));
        let differing = old_set.differing(&new_set);
        prop_assert_eq!(&differing, &new_set.differing(&old_set));
        let all: Vec<Indicator> = old.iter().chain(&new).copied().collect();
        let ports: Vec<u16> = (440..461).collect();
        for (address, _) in ends(&all) {
            let differs = ports.iter().any(|port| old_set.feeds(address, *port) != new_set.feeds(address, *port));
            let crowded = [&old, &new].iter().any(|list| {
                list.iter().filter(|entry| entry.port.is_some() && entry.first <= address && address <= entry.last).count() > 8
            });
            prop_assert!(differing.contains(address) == differs || (crowded && !differs), "{}", address);
        }
    }
}

#[test]
fn nothing_costs_nothing() {
    let set = check(&[]);
    assert!(set.bytes() < 1024, "{}", set.bytes());
    assert!(IndicatorSet::default().differing(&set).is_empty());
}

#[test]
fn what_is_not_an_entry_is_left_out() {
    let wrong = [
        Indicator { first: v4(2), last: v4(1), port: None, feed: 0 },
        Indicator { first: v4(2), last: v6(1), port: None, feed: 0 },
        Indicator { first: v4(2), last: v4(2), port: None, feed: Feeds::MOST },
    ];
    let set = IndicatorSet::new(wrong);
    assert_eq!((set.len(), set.feeds(v4(2), 1)), (0, Feeds::EMPTY));
}

#[test]
fn a_port_of_an_entry_is_the_only_one() {
    let set = check(&[entry(v4(5), v4(5), Some(443), 3), single4(6, 4), entry(v4(6), v4(6), Some(443), 5)]);
    assert_eq!(set.feeds(v4(5), 443).iter().collect::<Vec<_>>(), [3]);
    assert!(set.feeds(v4(5), 80).is_empty());
    assert_eq!(set.feeds(v4(6), 443).iter().collect::<Vec<_>>(), [4, 5]);
    assert!(set.feeds(v4(6), 80).contains(4) && !set.feeds(v4(6), 80).contains(5));
}

#[test]
fn every_address_has_a_port_of_its_own() {
    let list: Vec<Indicator> =
        (0..3000u32).map(|n| entry(v4(n * 3), v4(n * 3), Some(n as u16), (n % 64) as u8)).collect();
    let set = IndicatorSet::new(list.iter().copied());
    for n in 0..3000u32 {
        assert_eq!(set.feeds(v4(n * 3), n as u16), Feeds::of((n % 64) as u8));
        assert!(
            set.feeds(v4(n * 3), n as u16 ^ 1).is_empty() && set.feeds(v4(n * 3 + 1), n as u16).is_empty()
        );
    }
    assert!(set.bytes() < 3000 * 160 + (1 << 18), "{}", set.bytes());
}

#[test]
fn every_port_of_an_address_is_an_entry() {
    let ports = 0..=u16::MAX;
    let set = IndicatorSet::new(
        ports.clone().flat_map(|port| [v4(9), v6(9)].map(|at| entry(at, at, Some(port), (port % 64) as u8))),
    );
    for port in ports {
        for (at, beside) in [(v4(9), v4(10)), (v6(9), v6(8))] {
            assert_eq!(set.feeds(at, port), Feeds::of((port % 64) as u8));
            assert!(set.feeds(beside, port).is_empty());
        }
    }
}

/// Ranges each within the one before, each with a port of its own: any address has as many ports as it has ranges.
#[test]
fn nested_ranges_with_ports_take_memory_as_their_number() {
    const COUNT: u32 = 60_000;
    let nested = |n: u32| entry(v4(n), v4(u32::MAX - n), Some(n as u16), (n % 64) as u8);
    let set = IndicatorSet::new((0..COUNT).map(nested));
    assert!(set.bytes() < COUNT as usize * 64, "{}", set.bytes());
    for n in [0, 1, 100, COUNT - 1] {
        assert_eq!(set.feeds(v4(1 << 31), n as u16), Feeds::of((n % 64) as u8));
        assert_eq!(set.feeds(v4(n), n as u16), Feeds::of((n % 64) as u8));
        assert!(n == 0 || set.feeds(v4(n - 1), n as u16).is_empty());
    }
}

#[test]
fn the_same_entry_again_and_again_takes_no_memory() {
    let one = [single4(7, 1), entry(v6(1 << 70), v6(2 << 70), None, 1)];
    let set = IndicatorSet::new(std::iter::repeat_n(one, 200_000).flatten());
    assert!(set.bytes() < 300_000, "{}", set.bytes());
    assert_eq!((set.feeds(v4(7), 0), set.feeds(v6(1 << 70), 0)), (Feeds::of(1), Feeds::of(1)));
    assert_eq!((set.feeds(v4(8), 0), set.feeds(v6(1), 0)), (Feeds::EMPTY, Feeds::EMPTY));
}

#[test]
fn prefixes_nested_to_the_last_bit() {
    let list: Vec<Indicator> = (0..=32u32)
        .map(|bits| {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            entry(v4(0xc0a8_0101 & mask), v4(0xc0a8_0101 | !mask), None, bits as u8)
        })
        .chain((0..=128u32).map(|bits| {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            let at = 0x2001_0db8_0000_0000_8000_0000_0000_0001u128;
            entry(v6(at & mask), v6(at | !mask), None, (bits % 64) as u8)
        }))
        .collect();
    check(&list);
}

#[test]
fn more_classes_than_a_line_has_room_for() {
    // Each address is in feeds that no other is in.
    let list: Vec<Indicator> = (0..2000u32)
        .flat_map(|n| {
            (0..11).filter(move |bit| n >> bit & 1 != 0).map(move |bit| single4(0x0b00_0000 + n * 7, bit))
        })
        .collect();
    let set = IndicatorSet::new(list.iter().copied());
    for n in 0..2000u32 {
        assert_eq!(set.feeds(v4(0x0b00_0000 + n * 7), 1), Feeds(n.into()));
        assert!(set.feeds(v4(0x0b00_0001 + n * 7), 1).is_empty());
    }
}

#[test]
fn neighbours_in_turn_fill_whole_halves() {
    let list: Vec<Indicator> = (0x0a00_0000..0x0a02_0010u32).map(|at| single4(at, (at % 3) as u8)).collect();
    let set = IndicatorSet::new(list.iter().copied());
    for entry in &list {
        assert_eq!(set.feeds(entry.first, 0), Feeds::of(entry.feed));
    }
    assert!(set.feeds(v4(0x0a02_0010), 0).is_empty() && set.feeds(v4(0x09ff_ffff), 0).is_empty());
    assert!(set.bytes() < list.len() * 16 + (1 << 20), "{}", set.bytes());
}

#[test]
fn crowds_below_crowds_in_ipv6() {
    // Each bit once more than the one before, and a crowd at the bottom of each.
    let list: Vec<Indicator> = (0..60u32)
        .flat_map(|bit| (0..20u128).map(move |n| v6((1u128 << (64 + bit)) + (n << 64))))
        .map(|at| entry(at, at, None, 1))
        .collect();
    check(&list);
}

#[test]
fn more_classes_than_records_have_room_for_in_ipv6() {
    let at = |n: u32, bits: u32| v6(u128::from(0x2001_0db8u32) << 96 | u128::from(n) << (128 - bits));
    let of = |n: u32, bits: u32| {
        let last = v6(match at(n + 1, bits) {
            IpAddr::V6(behind) => behind.to_bits() - 1,
            IpAddr::V4(_) => unreachable!("it is made of 128 bits"),
        });
        (0..11).filter(move |bit| n >> bit & 1 != 0).map(move |bit| entry(at(n, bits), last, None, bit))
    };
    // Of 48, 60 and 128 bits.
    let list: Vec<Indicator> = (0..2000)
        .flat_map(|n| of(n, 48).chain(of(1 << 28 | n << 8, 60)).chain(of(1 << 31 | n << 3, 64)))
        .collect();
    let set = IndicatorSet::new(list.iter().copied());
    for n in 0..2000 {
        assert_eq!(set.feeds(at(n, 48), 1), Feeds(n.into()));
        assert_eq!(set.feeds(at(1 << 28 | n << 8, 60), 1), naive(&list, at(1 << 28 | n << 8, 60), 1));
        assert_eq!(set.feeds(at(1 << 31 | n << 3, 64), 1), naive(&list, at(1 << 31 | n << 3, 64), 1));
    }
}

/// Each in a beginning of its own, or ending in the middle of many words: what takes the most memory.
#[test]
fn ipv6_takes_memory_as_the_number_of_entries() {
    const COUNT: u128 = 20_000;
    type Make = fn(u128) -> (u128, u128);
    let shapes: [(&str, Make, usize); 4] = [
        ("one in each beginning", |n| (n << 97 | 1, n << 97 | 1), 128),
        ("ranges over words", |n| (n << 80 | 5, (n << 80) + (1 << 79) + 3), 128),
        ("all ends in all words", |n| (n * 0x1_0001_0001_0001_0001, n * 0x1_0001_0001_0001_0001 + 7), 192),
        ("nine in each node", |n| ((n / 9) << 70 | (n % 9) << 1, (n / 9) << 70 | (n % 9) << 1), 64),
    ];
    for (name, make, most) in shapes {
        let list: Vec<Indicator> =
            (0..COUNT).map(make).map(|(first, last)| entry(v6(first), v6(last), None, 1)).collect();
        let set = IndicatorSet::new(list.iter().copied());
        assert!(set.bytes() < list.len() * most, "{name}: {}", set.bytes() / list.len());
        for entry in list.iter().step_by(97) {
            assert_eq!(set.feeds(entry.last, 0), Feeds::of(1), "{name}: {}", entry.last);
            let behind = next(entry.last);
            assert_eq!(set.feeds(behind, 0), naive(&list, behind, 0), "{name}: {behind}");
        }
    }
}
