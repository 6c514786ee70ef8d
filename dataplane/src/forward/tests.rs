use proptest::prelude::*;
use ravelin_config::types::{Direction, Protocol};

use super::{ForwardStage, NonIp, Plan, Port, Segment, checksum};
use crate::{
    batch::{Batch, Meta},
    clock::Timestamp,
    counters::WorkerCounters,
    handoff::WorkerId,
    io::{Frame, PortId, memory::MemoryFrame},
    parse::{Address, Headers, Network, Vlans},
    pipeline::Context,
    snapshot::Snapshot,
    verdict::{DropReason, Verdict},
};

fn snapshot(non_ip: NonIp, mtu: u32) -> Snapshot {
    let port = |twin, direction| Port::Bridge {
        twin: PortId(twin),
        direction,
        non_ip,
        complete_checksums: true,
        mtu,
    };
    let ports = vec![port(1, Direction::Ingress), port(0, Direction::Egress), Port::Monitor];
    Snapshot { forward: Plan::new(ports), ..Snapshot::default() }
}

fn forward(snapshot: &Snapshot, meta: Meta) -> Verdict {
    let cx = Context { now: Timestamp::ZERO, snapshot, worker: WorkerId(0), workers: 1 };
    let mut batch = Batch::new(1);
    batch.push(MemoryFrame::new(&[0; 60]), meta).unwrap();
    ForwardStage.run(&cx, &mut batch, &mut WorkerCounters::new(3));
    batch.metas()[0].verdict
}

fn of(network: Network, port: u8, verdict: Verdict) -> Meta {
    Meta {
        port: PortId(port),
        length: 60,
        verdict,
        headers: Headers { network, ..Headers::default() },
        ..Meta::default()
    }
}

#[test]
fn allowed_packets_cross_to_the_twin_and_monitored_ones_are_consumed() {
    let snapshot = snapshot(NonIp::default(), 1500);
    assert_eq!(forward(&snapshot, of(Network::Ipv4, 0, Verdict::Allow)), Verdict::Forward(PortId(1)));
    assert_eq!(forward(&snapshot, of(Network::Ipv6, 1, Verdict::Allow)), Verdict::Forward(PortId(0)));
    assert_eq!(forward(&snapshot, of(Network::Ipv4, 2, Verdict::Allow)), Verdict::Consume);
    assert_eq!(
        forward(&snapshot, of(Network::Ipv4, 9, Verdict::Allow)),
        Verdict::Drop(DropReason::NoDestination)
    );
}

#[test]
fn both_ends_of_a_bridge_are_one_segment_and_a_monitor_is_alone() {
    let snapshot = snapshot(NonIp::default(), 1500);
    let segments = [0, 1, 2, 9].map(|port| snapshot.forward.segment(PortId(port)));
    assert_eq!(segments, [0, 0, 2, 9].map(|port| Segment(PortId(port))));
}

#[test]
fn a_final_verdict_is_left_alone() {
    let snapshot = snapshot(NonIp::default(), 1500);
    let denied = Verdict::Drop(DropReason::RuleDeny);
    assert_eq!(forward(&snapshot, of(Network::Ipv4, 0, denied)), denied);
    assert_eq!(
        forward(&snapshot, of(Network::Ipv4, 0, Verdict::Handoff(WorkerId(1)))),
        Verdict::Handoff(WorkerId(1))
    );
}

#[test]
fn frames_without_ip_follow_the_bridge() {
    let none = NonIp { arp: false, neighbour_discovery: false, lldp: false, stp: false, unknown: false };
    let cases = [
        (Network::Arp, DropReason::ArpDenied),
        (Network::Lldp, DropReason::LldpDenied),
        (Network::Stp, DropReason::StpDenied),
        (Network::Other, DropReason::EtherTypeDenied),
    ];
    for (network, reason) in cases {
        let undecided = of(network, 0, Verdict::Undecided);
        assert_eq!(forward(&snapshot(none, 1500), undecided), Verdict::Drop(reason));
        assert_eq!(forward(&snapshot(NonIp::default(), 1500), undecided), Verdict::Forward(PortId(1)));
    }
}

#[test]
fn the_outgoing_mtu_holds_and_one_tag_does_not_count() {
    let snapshot = snapshot(NonIp::default(), 1500);
    let sized = |length, count| Meta {
        length,
        headers: Headers {
            network: Network::Ipv4,
            vlans: Vlans { count, ids: [0; 2] },
            ..Headers::default()
        },
        ..of(Network::Ipv4, 0, Verdict::Allow)
    };
    assert_eq!(forward(&snapshot, sized(1514, 0)), Verdict::Forward(PortId(1)));
    assert_eq!(forward(&snapshot, sized(1515, 0)), Verdict::Drop(DropReason::MtuExceeded));
    assert_eq!(forward(&snapshot, sized(1518, 1)), Verdict::Forward(PortId(1)));
    assert_eq!(forward(&snapshot, sized(1518, 2)), Verdict::Forward(PortId(1)));
    assert_eq!(forward(&snapshot, sized(1519, 2)), Verdict::Drop(DropReason::MtuExceeded));
}

/// A packet of a local stack: the checksum field holds the folded pseudo-header sum. Returns the frame, its headers and
/// the frame as it should leave, checksum computed by etherparse.
fn partial(v6: bool, tcp: bool, payload: &[u8]) -> (Vec<u8>, Headers, Vec<u8>) {
    let ethernet = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6]);
    let ip = if v6 {
        ethernet.ipv6([0x20; 16], [0x30; 16], 64)
    } else {
        ethernet.ipv4([192, 0, 2, 1], [198, 51, 100, 255], 64)
    };
    let mut whole = Vec::new();
    if tcp {
        ip.tcp(40_000, 443, 1, 1000).write(&mut whole, payload).unwrap();
    } else {
        ip.udp(40_000, 53).write(&mut whole, payload).unwrap();
    }
    let transport = if v6 { 54 } else { 34 };
    let field = transport + if tcp { 16 } else { 6 };
    let (source, destination) = if v6 {
        (Address([0x20; 16]), Address([0x30; 16]))
    } else {
        (Address::v4([192, 0, 2, 1]), Address::v4([198, 51, 100, 255]))
    };
    let protocol = if tcp { Protocol::TCP } else { Protocol::UDP };
    let addresses = if v6 { &whole[22..54] } else { &whole[26..34] };
    let length = (whole.len() - transport) as u64;
    let pseudo = checksum::fold(checksum::sum(addresses) + u64::from(protocol.0) + length);
    let mut bytes = whole.clone();
    bytes[field..field + 2].copy_from_slice(&pseudo.to_be_bytes());
    let headers = Headers {
        network: if v6 { Network::Ipv6 } else { Network::Ipv4 },
        transport_offset: transport as u16,
        end: whole.len() as u16,
        source,
        destination,
        protocol,
        ..Headers::default()
    };
    (bytes, headers, whole)
}

proptest! {
    #[test]
    fn partial_checksums_are_completed(v6: bool, tcp: bool, payload in proptest::collection::vec(any::<u8>(), 0..1400), padding in 0_usize..10) {
        let (mut bytes, headers, mut whole) = partial(v6, tcp, &payload);
        bytes.resize(bytes.len() + padding, 0xaa);
        whole.resize(whole.len() + padding, 0xaa);
        prop_assert!(checksum::complete(&mut bytes, &headers));
        prop_assert_eq!(&bytes, &whole);
        // A complete checksum is left alone, or computed to the same value.
        checksum::complete(&mut bytes, &headers);
        prop_assert_eq!(&bytes, &whole);
    }

    #[test]
    fn the_sum_agrees_with_the_definition(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let naive = bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low))).sum();
        prop_assert_eq!(checksum::fold(checksum::sum(&bytes)), checksum::fold(naive));
    }

    #[test]
    fn hostile_offsets_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), transport_offset: u16, end: u16, tcp: bool) {
        let headers = Headers {
            network: Network::Ipv4,
            transport_offset,
            end,
            protocol: if tcp { Protocol::TCP } else { Protocol::UDP },
            ..Headers::default()
        };
        checksum::complete(&mut bytes.clone(), &headers);
    }
}

#[test]
fn frames_are_left_as_they_came_but_for_the_checksum() {
    let (bytes, headers, whole) = partial(false, true, b"hello");
    let snapshot = snapshot(NonIp::default(), 1500);
    let cx = Context { now: Timestamp::ZERO, snapshot: &snapshot, worker: WorkerId(0), workers: 1 };
    let mut counters = WorkerCounters::new(3);
    let mut batch = Batch::new(1);
    let meta = Meta { length: whole.len() as u32, headers, verdict: Verdict::Allow, ..Meta::default() };
    batch.push(MemoryFrame::new(&bytes), meta).unwrap();
    ForwardStage.run(&cx, &mut batch, &mut counters);
    let (frame, _) = batch.drain().next().unwrap();
    assert_eq!(frame.bytes(), whole);
    assert_eq!(counters.checksums_completed, 1);
}
