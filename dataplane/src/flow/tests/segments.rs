//! One connection at several places of the appliance: a flow for each.

use ravelin_config::types::Protocol;

use super::{A, B, INSIDE, MONITOR, OTHER_INSIDE, OTHER_OUTSIDE, OUTSIDE, Packet, World};
use crate::{
    flow::{FlowSettings, TcpState},
    parse::{
        TcpFields,
        tcp_flags::{ACK, PSH, RST, SYN},
    },
    policy::{
        OnChange,
        testing::{Line, list},
    },
    verdict::{DropReason, Verdict},
};

fn tcp(flags: u8, sequence: u32, acknowledgement: u32) -> Packet {
    let mut packet = Packet::new(Protocol::TCP, A, B);
    packet.tcp = TcpFields { flags, sequence, acknowledgement, window: 1 };
    packet
}

/// What `A` sends: seen at one bridge, at a mirror of that, and at another bridge, which it enters from the inside.
fn there(packet: Packet) -> [Packet; 3] {
    [OUTSIDE, MONITOR, OTHER_INSIDE].map(|port| packet.on(port))
}

/// What `B` answers, the other way round.
fn back(packet: Packet) -> [Packet; 3] {
    let mut packets = there(packet).map(Packet::back);
    packets.reverse();
    packets
}

#[test]
fn each_is_followed_and_counted_by_itself() {
    let mut world = World::new(8, FlowSettings::default());
    let passage = [
        there(tcp(SYN, 0, 0)),
        back(tcp(SYN | ACK, 0, 1)),
        there(tcp(ACK, 1, 1)),
        there(tcp(ACK | PSH, 1, 1).payload(100)),
        back(tcp(ACK, 1, 101)),
    ];
    for (packets, time) in passage.iter().zip(0..) {
        world.batch(&packets.map(|packet| packet.at(time)));
    }
    let mut flows = world.flows();
    flows.sort_by_key(|flow| flow.port_in);
    let ports: Vec<_> = flows.iter().map(|flow| (flow.port_in, flow.port_out)).collect();
    assert_eq!(ports, [(OUTSIDE, INSIDE), (OTHER_INSIDE, OTHER_OUTSIDE), (MONITOR, MONITOR)]);
    for flow in &flows {
        assert_eq!((flow.key, flow.initiator), (flows[0].key, flows[0].initiator));
        assert_eq!((flow.packets, flow.tcp), ([3, 2], Some(TcpState::Established)));
        assert_eq!((flow.retransmissions, flow.handshake_rtt_us), ([0, 0], 2));
    }
    assert_eq!((world.counters.flows_created, world.counters.flows_active), (3, 3));

    world.one(tcp(RST | ACK, 101, 1).at(9));
    for flow in world.flows() {
        let state = if flow.port_in == OUTSIDE { TcpState::Closed } else { TcpState::Established };
        assert_eq!(flow.tcp, Some(state));
    }
}

#[test]
fn each_is_judged_by_itself() {
    let mut world = World::new(8, FlowSettings::default());
    world.one(tcp(SYN, 0, 0).on(OUTSIDE));
    // What is there may go on, what is new may not.
    world.snapshot.policy = list([Line::deny(1).port(B.1).on_change(OnChange::Keep)]);
    world.snapshot.generation = 2;
    for packets in [there(tcp(SYN, 0, 0)), back(tcp(SYN | ACK, 0, 1))] {
        for meta in world.batch(&packets) {
            let is_new = ![OUTSIDE, INSIDE].contains(&meta.port);
            let expected = if is_new { Verdict::Drop(DropReason::RuleDeny) } else { Verdict::Allow };
            assert_eq!(meta.verdict, expected, "{}", meta.port);
        }
    }
    assert_eq!((world.counters.flows_created, world.drops(DropReason::RuleDeny)), (3, 4));
    assert_eq!(world.counters.flows_cut, 0);
}

#[test]
fn hash_tells_segments_apart_and_directions_not() {
    let world = World::new(8, FlowSettings::default());
    let hashes = |packets: [Packet; 3]| packets.map(|packet| world.meta(&packet).hash);
    let [first, mirror, second] = hashes(there(tcp(SYN, 0, 0)));
    assert!(first != mirror && mirror != second && second != first);
    assert_eq!(hashes(back(tcp(SYN, 0, 0))), [second, mirror, first]);
}
