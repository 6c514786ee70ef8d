//! What came before, and whose an address is, against models that are too simple to be wrong.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use proptest::{collection::vec, prelude::*};
use ravelin_config::types::IpNet;
use ravelin_dataplane::{
    verdict::DropReason,
    wireguard::{AllowedIps, Counter, PeerSlot},
};

use crate::{
    lab::{HOST, INSIDE, OUTSIDE, packet, wrap},
    noise::Other,
};

/// How far back messages are told from replays: what the state machine remembers. Linux remembers 8128.
const WINDOW: u64 = 1024;
/// The first number that no message may have (section 6.1 of the paper on WireGuard).
const END: u64 = u64::MAX - (1 << 13);

/// Which numbers are taken.
#[derive(Default)]
struct Window {
    seen: HashSet<u64>,
    highest: u64,
}

impl Window {
    fn takes(&mut self, number: u64) -> bool {
        let is_late = number.checked_add(WINDOW).is_some_and(|end| end <= self.highest);
        self.highest = self.highest.max(number);
        !is_late && self.seen.insert(number)
    }
}

/// Numbers of messages on a path that loses, repeats and reorders, up to beyond the window.
fn numbers(base: u64, steps: &[(u8, u64)]) -> Vec<u64> {
    let (mut highest, mut last) = (base, base);
    let mut next = |&(kind, amount): &(u8, u64)| {
        last = match kind {
            0..=2 => highest + 1,
            3 => highest + amount % 100,
            4 => highest + WINDOW - 4 + amount % 8,
            5 => highest + amount,
            6 => highest.saturating_sub(amount % 80),
            7 => highest.saturating_sub(WINDOW - 4 + amount % 8),
            8 => highest.saturating_sub(amount),
            _ => last,
        };
        highest = highest.max(last);
        last
    };
    steps.iter().map(&mut next).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn messages_are_taken_once_and_as_late_as_the_window_is_long(
        base in prop_oneof![Just(0), Just(1 << 40), 0_u64..200_000],
        steps in vec((0_u8..10, 0_u64..3000), 1..300),
    ) {
        let (mut gateway, other) = Other::connected(None);
        let asked = packet("10.9.0.2", HOST, 10);
        let (mut window, mut taken) = (Window::default(), 0);
        for number in numbers(base, &steps) {
            let message = wrap(other.endpoint, &other.seal(number, &asked));
            let out = gateway.receive(OUTSIDE, &message);
            let is_taken = window.takes(number);
            prop_assert_eq!(out.len(), usize::from(is_taken), "number {}", number);
            prop_assert!(out.iter().all(|(port, _)| *port == INSIDE));
            taken += u64::from(is_taken);
        }
        let counters = gateway.counters();
        let replays = steps.len() as u64 - taken;
        prop_assert_eq!(counters.wireguard_opened, taken);
        prop_assert_eq!(counters.drops.count(DropReason::WireguardReplay), replays);
        prop_assert_eq!(gateway.count(0, Counter::Replay), replays);
    }
}

#[test]
fn a_session_ends_with_its_last_number() {
    let (mut gateway, other) = Other::connected(None);
    let message = |number| wrap(other.endpoint, &other.seal(number, &packet("10.9.0.2", HOST, 10)));
    assert_eq!(gateway.receive(OUTSIDE, &message(0)).len(), 1);
    // The peer could say such numbers; the last one is not one of Noise, and so not one that it could seal with.
    for number in [END, END + 1, u64::MAX - WINDOW, u64::MAX - WINDOW + 1, u64::MAX - 1] {
        gateway.drops(OUTSIDE, &message(number), DropReason::WireguardNoSession);
    }
    assert_eq!(gateway.receive(OUTSIDE, &message(END - 1)).len(), 1);
    gateway.drops(OUTSIDE, &message(END - 1), DropReason::WireguardReplay);
    gateway.drops(OUTSIDE, &message(0), DropReason::WireguardReplay);
    assert_eq!(gateway.count(0, Counter::NoSession), 5);
}

#[test]
fn an_address_of_ipv4_is_none_of_ipv6() {
    let (mut gateway, other) = Other::connected(None);
    let mut mapped = packet("::ffff:a09:2", "fd00::9", 10);
    assert_eq!(gateway.receive(OUTSIDE, &wrap(other.endpoint, &other.seal(0, &mapped))), []);
    assert_eq!(gateway.counters().drops.total(), 1);
    // Nor that way round.
    mapped[0] = 0x45;
    assert_eq!(gateway.receive(OUTSIDE, &wrap(other.endpoint, &other.seal(1, &mapped))), []);
    assert_eq!(gateway.counters().drops.total(), 2);
}

/// An address among few, so that prefixes meet.
fn address() -> impl Strategy<Value = IpAddr> {
    let byte = || prop_oneof![Just(0_u8), Just(1), Just(127), Just(128), Just(255)];
    (any::<bool>(), byte(), byte(), byte(), byte()).prop_map(|(is_v4, a, b, c, d)| {
        if is_v4 {
            IpAddr::V4(Ipv4Addr::new(10, b, c, d))
        } else {
            let word = |high, low| u16::from_be_bytes([high, low]);
            IpAddr::V6(Ipv6Addr::new(0xfd00, word(0, a), 0, word(0, b), 0, word(c, 0), 0, word(d, d)))
        }
    })
}

fn prefix() -> impl Strategy<Value = IpNet> {
    let length = prop_oneof![1 => Just(0_u8), 4 => 1_u8..=128, 4 => 20_u8..=32, 2 => Just(128)];
    (address(), length).prop_map(|(address, length)| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        format!("{address}/{}", length.min(most)).parse().unwrap()
    })
}

proptest! {
    // To make a table takes a quarter of a second.
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn an_address_is_that_peers_whose_prefix_is_longest(
        peers in vec((0_u32..1 << 24, vec(prefix(), 0..8)), 0..12),
        addresses in vec(address(), 100..200),
    ) {
        let slots = peers.iter().map(|(slot, prefixes)| (PeerSlot(*slot), &**prefixes));
        let allowed = AllowedIps::new(slots).unwrap();
        let ends = peers.iter().flat_map(|(_, prefixes)| prefixes).flat_map(|prefix| {
            let ends = [prefix.network(), prefix.broadcast()];
            ends.map(IpAddr::from)
        });
        for address in addresses.into_iter().chain(ends) {
            let all = peers.iter().flat_map(|(slot, prefixes)| prefixes.iter().map(move |prefix| (slot, prefix)));
            // Of two alike the later one holds, as with wg(8).
            let longest = all
                .filter(|(_, prefix)| prefix.contains(&address))
                .max_by_key(|(_, prefix)| prefix.prefix_len());
            let expected = longest.map(|(slot, _)| PeerSlot(*slot));
            prop_assert_eq!(allowed.peer(address.into()), expected, "{}", address);
        }
    }
}
