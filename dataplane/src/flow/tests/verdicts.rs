//! What the table keeps of policy's decisions.

use std::time::Duration;

use ravelin_config::types::{Action, Protocol};

use super::{A, B, INSIDE, OUTSIDE, Packet, World, plan};
use crate::{
    flow::{EndReason, FlowSettings, Timeouts},
    forward::NonIp,
    parse::{
        TcpFields,
        tcp_flags::{ACK, RST, SYN},
    },
    policy::{
        PolicySet,
        testing::{Line, list},
    },
    verdict::{DropReason, Verdict},
};

#[test]
fn verdict_holds_until_the_next_generation() {
    let mut world = World::new(8, FlowSettings::default());
    let packet = Packet::new(Protocol::UDP, A, B);
    let meta = world.one(packet);
    assert_eq!(meta.verdict, Verdict::Allow);
    let slot = meta.slot.unwrap();
    let ruling = world.table.ruling(slot, 1).unwrap();
    assert_eq!((ruling.action, world.decider(ruling.decision)), (Action::Allow, None));
    assert_eq!(world.table.ruling(slot, 2), None);

    world.snapshot.policy = list([Line::deny(7).port(B.1)]);
    assert_eq!(world.one(packet.at(1)).verdict, Verdict::Allow, "kept");
    world.snapshot.generation = 2;
    let meta = world.one(packet.back().at(2));
    assert_eq!((meta.verdict, world.decider(meta.decision)), (Verdict::Drop(DropReason::FlowCut), Some(7)));
    let flow = world.flow(&meta).unwrap();
    assert_eq!((flow.verdict, world.reason(flow.decision)), (Action::Deny, Some(DropReason::FlowCut)));
    assert_eq!((world.decider(flow.decision), flow.generation, flow.packets), (Some(7), 2, [0, 1]));
    let before = world.records.kept.pop().unwrap();
    assert_eq!((before.verdict, before.generation, before.packets), (Action::Allow, 1, [2, 0]));
    assert_eq!(before.reason, EndReason::Policy);

    world.snapshot.policy = list([Line::end(8)]);
    world.snapshot.generation = 3;
    let meta = world.one(packet.at(3));
    assert_eq!(meta.verdict, Verdict::Drop(DropReason::DefaultDeny));
    let flow = world.flow(&meta).unwrap();
    assert_eq!(world.reason(flow.decision), Some(DropReason::DefaultDeny));
}

#[test]
fn flow_picked_up_by_an_answer_is_judged_as_its_initiator_opened_it() {
    let mut world = World::new(8, FlowSettings::default());
    world.snapshot.policy = list([Line::deny(1).from(&["10.0.0.1/32"]).to(&["10.0.0.2/32"]).port(B.1)]);
    let mut answer = Packet::new(Protocol::TCP, A, B).back();
    answer.tcp = TcpFields { flags: SYN | ACK, sequence: 1, acknowledgement: 1, window: 1 };
    assert_eq!(answer.port, INSIDE);
    let meta = world.one(answer);
    assert_eq!(meta.verdict, Verdict::Drop(DropReason::RuleDeny));
    assert_eq!(world.table.initiator(meta.slot.unwrap()), Some(meta.side.other()));
    let flow = world.flow(&meta).unwrap();
    assert_eq!((flow.port_in, flow.port_out), (OUTSIDE, INSIDE), "as its initiator's packets pass");
}

#[test]
fn request_does_not_pass_as_the_answer_of_a_flow_that_was_picked_up() {
    let packet = |flags| {
        let mut packet = Packet::new(Protocol::TCP, (A.0, 443), (B.0, 8022));
        packet.tcp = TcpFields { flags, sequence: 1, acknowledgement: 1, window: 1 };
        packet
    };
    let request = packet(SYN);
    // Either makes the other end the initiator: the answer by what it is, the other by its well-known port.
    for forged in [packet(SYN | ACK), packet(ACK)] {
        for size in 1..=3 {
            let mut world = World::new(8, FlowSettings::default());
            world.snapshot.policy = list([Line::deny(1).port(8022)]);
            let packets = [forged, request, packet(ACK).back()];
            let metas: Vec<_> = packets.chunks(size).flat_map(|packets| world.batch(packets)).collect();
            let verdicts: Vec<_> =
                metas.iter().map(|meta| (meta.verdict, world.decider(meta.decision))).collect();
            let denied = (Verdict::Drop(DropReason::RuleDeny), Some(1));
            let allowed = (Verdict::Allow, None);
            assert_eq!(verdicts, [allowed, denied, allowed], "batches of {size}");
            assert_eq!((world.drops(DropReason::RuleDeny), world.counters.flows_reopened), (1, 0));

            // If it may pass it opens a connection of its own.
            world.snapshot.policy = PolicySet::default();
            let meta = world.one(request);
            assert_eq!(meta.verdict, Verdict::Allow);
            assert_eq!(world.table.initiator(meta.slot.unwrap()), Some(meta.side));
            assert_eq!(world.flow(&meta).unwrap().port_in, OUTSIDE);
            assert_eq!((world.counters.flows_reopened, world.counters.flows_active), (1, 1));
        }
    }
}

#[test]
fn neighbour_discovery_does_not_lend_its_verdict() {
    let mut world = World::new(8, FlowSettings::default());
    world.snapshot.policy = list([Line::end(1)]);
    let echo = Packet::new(Protocol::ICMPV6, (1, 0), (2, 0));
    let discovery = Packet { discovery: true, ..echo };
    assert_eq!(world.one(discovery).verdict, Verdict::Allow);
    assert_eq!(world.one(echo).verdict, Verdict::Drop(DropReason::DefaultDeny));
    assert_eq!(world.one(discovery).verdict, Verdict::Allow, "nor take that of others");
}

#[test]
fn neighbour_discovery_that_rules_judge_has_its_verdict_when_it_ends_in_its_batch() {
    for size in [1, 2] {
        let timeouts = Timeouts { icmp: Duration::from_millis(1), ..Timeouts::default() };
        let mut world = World::new(8, FlowSettings { timeouts, ..FlowSettings::default() });
        world.snapshot.forward = plan(NonIp { neighbour_discovery: false, ..NonIp::default() });
        world.snapshot.policy = list([Line::end(1)]);
        let discovery = Packet { discovery: true, ..Packet::new(Protocol::ICMPV6, (1, 0), (2, 0)) };
        for packets in [discovery, discovery.at(5000)].chunks(size) {
            assert!(
                world
                    .batch(packets)
                    .iter()
                    .all(|meta| meta.verdict == Verdict::Drop(DropReason::DefaultDeny))
            );
        }
        let ended: Vec<_> = world.records.kept.iter().map(|record| world.reason(record.decision)).collect();
        assert_eq!(ended, [Some(DropReason::DefaultDeny)], "batches of {size}");
        assert_eq!((world.counters.flows_expired, world.drops(DropReason::DefaultDeny)), (1, 2));
    }
}

#[test]
fn flow_that_ends_in_the_batch_that_opened_it_has_its_verdict() {
    let mut world = World::new(8, FlowSettings::default());
    world.snapshot.policy = list([Line::deny(9).port(B.1)]);
    let packet = |flags, acknowledgement| {
        let mut packet = Packet::new(Protocol::TCP, A, B);
        packet.tcp = TcpFields { flags, sequence: 0, acknowledgement, window: 1 };
        packet
    };
    world.batch(&[packet(SYN, 0), packet(RST | ACK, 1).back(), packet(SYN, 0)]);
    assert_eq!(world.records.kept.len(), 1);
    let record = world.records.kept[0];
    assert_eq!(world.reason(record.decision), Some(DropReason::RuleDeny));
    assert_eq!((world.decider(record.decision), record.generation), (Some(9), 1));
}

#[test]
fn packets_of_a_connection_that_ends_in_their_batch_keep_its_verdict() {
    let packet = |flags, sequence, acknowledgement| {
        let mut packet = Packet::new(Protocol::TCP, A, B);
        packet.tcp = TcpFields { flags, sequence, acknowledgement, window: 1 };
        packet
    };
    // Opened from outside and refused, opened by the other end and refused, opened from outside.
    let packets = [
        packet(SYN, 0, 0),
        packet(RST | ACK, 0, 1).back(),
        packet(SYN, 7, 0).back(),
        packet(RST | ACK, 0, 8),
        packet(SYN, 5, 0),
    ];
    let denied = Verdict::Drop(DropReason::RuleDeny);
    let expected = [denied, denied, Verdict::Allow, Verdict::Allow, denied];
    for size in 1..=packets.len() {
        let mut world = World::new(8, FlowSettings::default());
        world.snapshot.policy = list([Line::deny(1).from(&["10.0.0.1/32"]).to(&["10.0.0.2/32"]).port(B.1)]);
        let metas: Vec<_> = packets.chunks(size).flat_map(|packets| world.batch(packets)).collect();
        let verdicts: Vec<_> = metas.iter().map(|meta| meta.verdict).collect();
        assert_eq!(verdicts, expected, "batches of {size}");
        let rules: Vec<_> = metas.iter().map(|meta| world.decider(meta.decision)).collect();
        assert_eq!(rules, [Some(1), Some(1), None, None, Some(1)], "batches of {size}");
        let ended = world.records.kept.iter();
        let ended: Vec<_> = ended.map(|record| (world.reason(record.decision), record.packets)).collect();
        assert_eq!(ended, [(Some(DropReason::RuleDeny), [1, 1]), (None, [1, 1])], "batches of {size}");
        assert_eq!((world.counters.flows_reopened, world.drops(DropReason::RuleDeny)), (2, 3));
    }
    let mut world = World::new(8, FlowSettings::default());
    let metas = world.batch(&packets);
    let slots: Vec<_> = metas.iter().map(|meta| meta.slot.is_some()).collect();
    assert_eq!(slots, [false, false, false, false, true], "a slot names one flow");
}
