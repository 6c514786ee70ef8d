//! Tests of the forward stage: where packets go is here, `checksum.rs` and `tunnel.rs` are about what is completed before
//! they leave, over packets from `packets.rs`.

mod checksum;
mod packets;
mod tunnel;

use ravelin_config::types::Direction;

use super::{ForwardStage, NonIp, Plan, Port, Segment};
use crate::{
    batch::{Batch, Meta},
    clock::Timestamp,
    counters::WorkerCounters,
    handoff::WorkerId,
    io::{PortId, memory::MemoryFrame},
    parse::{Headers, Network, Vlans},
    pipeline::Context,
    snapshot::Snapshot,
    verdict::{DropReason, Verdict},
};

fn snapshot(non_ip: NonIp, mtu: u32) -> Snapshot {
    bridge(non_ip, mtu, true)
}

fn bridge(non_ip: NonIp, mtu: u32, complete_checksums: bool) -> Snapshot {
    let port =
        |twin, direction| Port::Bridge { twin: PortId(twin), direction, non_ip, complete_checksums, mtu };
    let ports = vec![port(1, Direction::Ingress), port(0, Direction::Egress), Port::Monitor];
    Snapshot { forward: Plan::new(ports), ..Snapshot::default() }
}

fn forward(snapshot: &Snapshot, meta: Meta) -> Verdict {
    let cx = Context { now: Timestamp::ZERO, snapshot, worker: WorkerId(0), workers: 1 };
    let mut batch = Batch::new(1);
    batch.push(MemoryFrame::new(&[0; 60]), meta).unwrap();
    ForwardStage::default().decide(&cx, batch.metas_mut(), &mut WorkerCounters::new(3));
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
    let expected = [&[0, 1][..], &[0, 1], &[2], &[9]];
    assert_eq!(segments, expected.map(|ports| Segment::of(ports.iter().copied().map(PortId))));
    assert_eq!(segments.map(Segment::number), [0, 0, 2, 9]);
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
