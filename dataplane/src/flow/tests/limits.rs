//! Rules that let so many flows pass and no more.

use ravelin_config::types::{Action, Protocol};

use super::{A, B, Packet, World};
use crate::{
    flow::FlowSettings,
    parse::{
        TcpFields,
        tcp_flags::{ACK, RST, SYN},
    },
    policy::testing::{Line, Lists, policy},
    verdict::{DropReason, Verdict},
};

const LIMITED: Verdict = Verdict::Drop(DropReason::RuleRateLimit);

fn world(egress: Vec<Line>, ingress: Vec<Line>) -> World {
    let mut world = World::new(64, FlowSettings::default());
    world.snapshot.policy = policy(&Lists { egress, ingress }, None);
    world
}

/// The first packet of one of many flows.
fn packet(number: u16) -> Packet {
    Packet::new(Protocol::UDP, (A.0, number), B)
}

#[test]
fn what_comes_too_early_is_dropped_and_may_try_again() {
    for size in [1, 4] {
        let mut world = world(vec![], vec![Line::allow(1).limit(2)]);
        let packets: Vec<_> = (0..4).map(packet).collect();
        let metas: Vec<_> = packets.chunks(size).flat_map(|packets| world.batch(packets)).collect();
        let verdicts: Vec<_> = metas.iter().map(|meta| meta.verdict).collect();
        assert_eq!(verdicts, [Verdict::Allow, Verdict::Allow, LIMITED, LIMITED]);
        // Those that passed once pass always; of the others one more may after half a second.
        let again: Vec<_> = packets.iter().map(|packet| packet.at(500_000)).collect();
        let metas: Vec<_> = again.chunks(size).flat_map(|packets| world.batch(packets)).collect();
        let verdicts: Vec<_> = metas.iter().map(|meta| meta.verdict).collect();
        assert_eq!(verdicts, [Verdict::Allow, Verdict::Allow, Verdict::Allow, LIMITED]);
        assert_eq!(world.drops(DropReason::RuleRateLimit), 3);
        assert_eq!(world.counters.flows_created, 4);
    }
}

#[test]
fn a_flow_that_a_side_denies_takes_from_no_limit() {
    let egress = vec![Line::allow(1).limit(1)];
    let mut world = world(egress, vec![Line::deny(2).port(53), Line::allow(3)]);
    for number in 0..5 {
        let denied = Packet { destination: (B.0, 53), ..packet(number) };
        assert_eq!(world.one(denied).verdict, Verdict::Drop(DropReason::RuleDeny));
    }
    assert_eq!(world.one(packet(5)).verdict, Verdict::Allow);
    assert_eq!(world.one(packet(6)).verdict, LIMITED);
}

#[test]
fn a_flow_that_one_limit_refuses_takes_from_no_other() {
    let egress = vec![Line::allow(1).limit(3)];
    let mut world = world(egress, vec![Line::allow(2).port(B.1).limit(1), Line::allow(3)]);
    assert_eq!(world.one(packet(0)).verdict, Verdict::Allow);
    for number in 1..5 {
        assert_eq!(world.one(packet(number)).verdict, LIMITED);
    }
    let other = |number| Packet { destination: (B.0, 53), ..packet(number) };
    let verdicts = [5, 6, 7].map(|number| world.one(other(number)).verdict);
    assert_eq!(verdicts, [Verdict::Allow, Verdict::Allow, LIMITED]);
}

#[test]
fn the_record_of_a_flow_that_was_refused_says_so() {
    let mut world = world(vec![], vec![Line::allow(1).limit(1)]);
    world.batch(&[packet(0), packet(1), packet(1)]);
    world.drain(1);
    world.records.kept.sort_by_key(|record| record.packets);
    let told: Vec<_> = world
        .records
        .kept
        .iter()
        .map(|record| {
            let decision = world.decision(record.decision).unwrap();
            (record.verdict, decision.reason, decision.decider(), record.packets)
        })
        .collect();
    let refused = (Action::Deny, Some(DropReason::RuleRateLimit), Some(1), [2, 0]);
    assert_eq!(told, [(Action::Allow, None, Some(1), [1, 0]), refused]);
    let counts = world.table.decisions.log().counts(world.records.kept[1].decision);
    assert_eq!((counts.flows, counts.packets), (2, 2));
}

#[test]
fn a_flow_that_ends_in_the_batch_that_opened_it_takes_from_its_limit() {
    let connection = |number| {
        let mut packet = Packet::new(Protocol::TCP, (A.0, number), B);
        packet.tcp = TcpFields { flags: SYN, ..packet.tcp };
        let mut refusal = packet.back();
        refusal.tcp = TcpFields { flags: RST | ACK, acknowledgement: 1, ..packet.tcp };
        [packet, refusal]
    };
    let packets = [connection(1), connection(1), connection(1)].concat();
    for size in 1..=packets.len() {
        let mut world = world(vec![], vec![Line::allow(1).limit(2)]);
        let metas: Vec<_> = packets.chunks(size).flat_map(|packets| world.batch(packets)).collect();
        let verdicts: Vec<_> = metas.iter().map(|meta| meta.verdict).collect();
        assert_eq!(verdicts[..4], [Verdict::Allow; 4], "batches of {size}");
        assert_eq!(verdicts[4..], [LIMITED; 2], "batches of {size}");
        let ended: Vec<_> = world.records.kept.iter().map(|record| record.verdict).collect();
        assert_eq!(ended, [Action::Allow; 2], "batches of {size}");
    }
}
