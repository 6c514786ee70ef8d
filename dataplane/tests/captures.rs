//! What captures are given: packets as they came or as they leave, of the rules that decided, and every one accounted for.

mod support;

use std::sync::Arc;

use etherparse::PacketBuilder;
use ravelin_dataplane::{
    capture::{CapturePlan, CaptureRing, Direction, Fate, Fates, Point, Selection},
    io::PortId,
    policy::{AddressSet, Effect, OnChange, RuleId},
    snapshot::Snapshot,
    verdict::DropReason,
};
use support::{Appliance, Plant, bridge, policy};

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 80];

fn everything(capture: u8, point: Point) -> Selection {
    Selection {
        capture,
        point,
        filter: None,
        addresses: None,
        direction: Direction::Both,
        fates: Fates::ANY,
        decided_by: None,
        sample: 1,
        snap: 2000,
    }
}

struct Test {
    appliance: Appliance,
    ring: Arc<CaptureRing>,
}

/// A packet as it was captured.
#[derive(Debug, PartialEq, Eq)]
struct Captured {
    port: PortId,
    bytes: Vec<u8>,
    fate: Fate,
    captures: u64,
}

impl Test {
    /// Port 80 is allowed by rule 1, 443 by rule 2, 667 rejected by rule 3, the rest dropped by rule 4.
    fn new(selections: Vec<Selection>) -> Self {
        let policy = policy(&[
            (80..=80, Effect::Allow, OnChange::Drop),
            (443..=443, Effect::Allow, OnChange::Drop),
            (667..=667, Effect::Reject, OnChange::Drop),
            (0..=u16::MAX, Effect::Deny, OnChange::Drop),
        ]);
        let capture = CapturePlan::new(selections);
        let ring = CaptureRing::new(4);
        let snapshot = Snapshot { policy, capture, ..bridge() };
        let captures = Some(Arc::clone(&ring));
        Self { appliance: Appliance::new(Plant { snapshot, captures, ..Plant::default() }), ring }
    }

    /// Receives SYNs from different ports of the client to these of the server, and gives what was captured and what was sent.
    fn run(&mut self, ports: &[u16]) -> (Vec<Captured>, Vec<(PortId, Vec<u8>)>) {
        for (port, from) in ports.iter().zip(2000..) {
            self.appliance.push(0, 0, u64::from(from), &syn(from, *port));
        }
        self.appliance.settle();
        // Another batch, long after: what waited is handed in.
        self.appliance.push(0, 2, 10_000_000, &[0; 60]);
        self.appliance.settle();
        let mut captured = Vec::new();
        while let Some(chunk) = self.ring.take() {
            captured.extend(packets(chunk.bytes()));
            self.ring.give_back(chunk);
        }
        (captured, self.appliance.sent())
    }
}

/// With the checksum that a local stack leaves to be completed.
fn syn(from: u16, to: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet =
        PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(CLIENT, SERVER, 64).tcp(from, to, 7, 1000).syn();
    packet.write(&mut frame, &[]).unwrap();
    let pseudo = [&CLIENT[..], &SERVER, &[0, 6, 0, 20]].concat();
    let sum: u32 = pseudo.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    frame[50..52].copy_from_slice(&((sum & 0xffff) as u16 + (sum >> 16) as u16).to_be_bytes());
    frame
}

fn packets(mut blocks: &[u8]) -> Vec<Captured> {
    let mut found = Vec::new();
    while !blocks.is_empty() {
        let word = |at: usize| u32::from_le_bytes(blocks[at * 4..at * 4 + 4].try_into().unwrap()) as usize;
        let (length, kept) = (word(1), word(5));
        let option = 7 + kept.div_ceil(4);
        found.push(Captured {
            port: PortId(word(2) as u8),
            bytes: blocks[28..28 + kept].to_vec(),
            fate: Fate::of_number(word(option + 2) as u8),
            captures: word(option + 5) as u64,
        });
        blocks = &blocks[length..];
    }
    found
}

#[test]
fn what_leaves_is_captured_as_it_leaves() {
    let mut test = Test::new(vec![everything(1, Point::Received), everything(2, Point::Forwarded)]);
    let (captured, sent) = test.run(&[80, 21]);
    let (received, forwarded): (Vec<_>, Vec<_>) =
        captured.into_iter().partition(|packet| packet.captures == 2);
    let as_received = [(80, Fate::PASSED), (21, Fate::dropped(DropReason::RuleDeny))];
    let as_received = as_received.into_iter().zip(2000..).map(|((port, fate), from)| Captured {
        port: PortId(0),
        bytes: syn(from, port),
        fate,
        captures: 2,
    });
    assert_eq!(received[..2], as_received.collect::<Vec<_>>());
    let [(port, bytes)] = &*sent else { panic!("{sent:?}") };
    let passed = Captured { port: *port, bytes: bytes.clone(), fate: Fate::PASSED, captures: 4 };
    assert_eq!((*port, forwarded), (PortId(1), vec![passed]));
    assert_ne!(bytes, &syn(2000, 80), "its checksum was completed");
    let counters = test.appliance.counters();
    // Three received, one of them consumed; one forwarded.
    assert_eq!((counters.capture_offered, counters.captured), (4, 4));
    assert_eq!((counters.capture_filtered, counters.capture_lost, counters.checksums_completed), (0, 0, 1));
}

#[test]
fn what_the_appliance_makes_itself_is_captured_where_it_leaves() {
    let mut test = Test::new(vec![everything(2, Point::Forwarded)]);
    let (captured, sent) = test.run(&[667]);
    let [(PortId(0), answer)] = &*sent else { panic!("{sent:?}") };
    let expected = Captured { port: PortId(0), bytes: answer.clone(), fate: Fate::INJECTED, captures: 4 };
    assert_eq!(captured, [expected]);
    let counters = test.appliance.counters();
    assert_eq!((counters.injected, counters.capture_offered, counters.captured), (1, 1, 1));
    // Seen from the server, it is what that sends.
    for (direction, wanted) in [(Direction::Out, 1), (Direction::In, 0)] {
        let server = u32::from_be_bytes(SERVER);
        let addresses = Some(Arc::new(AddressSet::of_ranges(vec![(server, server)], Vec::new())));
        let mut test = Test::new(vec![Selection { addresses, direction, ..everything(2, Point::Forwarded) }]);
        assert_eq!(test.run(&[667]).0.len(), wanted, "{direction:?}");
    }
}

#[test]
fn packets_are_captured_by_the_rule_that_decided() {
    let by = |rules: &[u32], capture| Selection {
        decided_by: Some(Arc::new(rules.iter().copied().map(RuleId).collect())),
        ..everything(capture, Point::Received)
    };
    let mut test = Test::new(vec![by(&[1], 1), by(&[2, 4], 2), by(&[], 3), by(&[0], 4), by(&[100_000], 5)]);
    let (captured, _) = test.run(&[80, 443, 667, 21, 80]);
    let found: Vec<_> = captured.iter().map(|packet| (packet.captures, packet.bytes.clone())).collect();
    let expected = [(2, syn(2000, 80)), (4, syn(2001, 443)), (4, syn(2003, 21)), (2, syn(2004, 80))];
    // What no rule decided has none: number 0.
    assert_eq!(found[..4], expected);
    assert_eq!((found.len(), found[4].0), (5, 16));
    let counters = test.appliance.counters();
    assert_eq!((counters.capture_offered, counters.captured, counters.capture_filtered), (6, 5, 1));
}

#[test]
fn a_writer_that_is_gone_costs_copies_and_nothing_else() {
    const PACKETS: u64 = 20_000;
    let received = Selection { sample: 2, ..everything(1, Point::Received) };
    let mut test = Test::new(vec![received]);
    for number in 0..PACKETS {
        let from = 1024 + (number % 500) as u16;
        test.appliance.push(0, 0, number, &[syn(from, 80), vec![0; 700]].concat());
    }
    test.appliance.settle();
    let counters = test.appliance.counters();
    assert_eq!((counters.forwarded, counters.drops.total()), (PACKETS, 0));
    assert_eq!(counters.capture_offered, PACKETS);
    assert_eq!(
        counters.capture_offered,
        counters.capture_filtered + counters.captured + counters.capture_lost
    );
    assert!(counters.capture_filtered > 0 && counters.capture_lost > 0, "{counters:?}");
    // What was captured is there: in chunks that are full.
    let chunks = std::iter::from_fn(|| test.ring.take());
    assert_eq!(chunks.map(|chunk| u64::from(chunk.packets())).sum::<u64>(), counters.captured);
}

#[test]
fn nothing_is_asked_where_nothing_is_captured() {
    let mut test = Test::new(Vec::new());
    assert!(test.run(&[80, 667]).0.is_empty());
    let counters = test.appliance.counters();
    assert_eq!((counters.capture_offered, counters.captured, counters.capture_filtered), (0, 0, 0));
}
