//! Messages of ICMP, which have no ports: what is one flow and what is not.

use ravelin_config::types::Protocol;

use super::{A, B, Packet, World};
use crate::{
    flow::{FlowKey, FlowSettings, Side},
    parse::{Address, Vlans},
    policy::testing::{Line, list},
    verdict::{DropReason, Verdict},
};

const DENIED: Verdict = Verdict::Drop(DropReason::DefaultDeny);

fn icmp(kind: u8, id: u16) -> Packet {
    Packet { icmp: [kind, 0], ..Packet::new(Protocol::ICMP, (A.0, id), (B.0, id)) }
}

/// Lets pings from `A` to `B` pass and nothing else.
fn pings_pass() -> World {
    let mut world = World::new(16, FlowSettings::default());
    let ping = Line::allow(1).of(Protocol::ICMP).port(8 << 8);
    world.snapshot.policy = list([ping.from(&["10.0.0.1/32"]).to(&["10.0.0.2/32"]), Line::end(2)]);
    world
}

#[test]
fn a_flow_is_of_one_kind_of_message() {
    for size in 1..=3 {
        let mut world = pings_pass();
        // An identifier that says nothing, so that it is as that of messages that have none.
        let packets = [icmp(8, 0), icmp(8, 0).back(), icmp(17, 0), icmp(13, 0), icmp(8, 0)];
        let metas: Vec<_> = packets.chunks(size).flat_map(|packets| world.batch(packets)).collect();
        let verdicts: Vec<_> = metas.iter().map(|meta| meta.verdict).collect();
        assert_eq!(verdicts, [Verdict::Allow, Verdict::Allow, DENIED, DENIED, Verdict::Allow]);
        assert_eq!((world.counters.flows_created, world.drops(DropReason::DefaultDeny)), (3, 2));
        assert_eq!(world.flow(&metas[0]).unwrap().packets, [2, 1]);
    }
}

#[test]
fn a_ping_does_not_pass_as_part_of_one_the_other_way() {
    let mut world = pings_pass();
    let ping = icmp(8, 7);
    assert_eq!(world.one(ping).verdict, Verdict::Allow);
    let other_way = Packet { icmp: [8, 0], ..ping.back() };
    assert_eq!(world.one(other_way).verdict, DENIED);
    assert_eq!(world.one(ping.back()).verdict, Verdict::Allow);
    assert_eq!(world.counters.flows_created, 2);
}

#[test]
fn a_request_does_not_pass_as_what_an_answer_opened() {
    let mut world = World::new(16, FlowSettings::default());
    let answers = Line::allow(1).of(Protocol::ICMP).port(0);
    world.snapshot.policy = list([answers, Line::end(2)]);
    let answer = icmp(8, 7).back();
    for packets in [vec![answer, icmp(8, 7), answer], vec![answer], vec![icmp(8, 7)]] {
        for (packet, meta) in packets.iter().zip(world.batch(&packets)) {
            assert_eq!(meta.verdict, if packet.icmp == [0, 0] { Verdict::Allow } else { DENIED });
        }
    }
    assert_eq!((world.counters.flows_created, world.counters.flows_reopened), (1, 0));
    // If it may pass, it opens an exchange of its own, of which what comes is the answer.
    world.snapshot.policy = list([Line::allow(3).of(Protocol::ICMP).port(8 << 8), Line::end(2)]);
    let metas = world.batch(&[icmp(8, 7), answer]);
    assert!(
        metas.iter().all(|meta| meta.verdict == Verdict::Allow && world.decider(meta.decision) == Some(3))
    );
    assert_eq!((world.counters.flows_created, world.counters.flows_reopened), (2, 1));
}

#[test]
fn a_key_says_what_each_end_sends() {
    let ends = [A, B].map(|(address, _)| (Address::v4(address.to_be_bytes()), 7));
    let key = |asking: usize, protocol, icmp| {
        FlowKey::with_icmp(ends[asking], ends[1 - asking], protocol, Vlans::default(), icmp)
    };
    for asking in [0, 1] {
        for (protocol, request, answer) in [
            (Protocol::ICMP, 8, 0),
            (Protocol::ICMP, 13, 14),
            (Protocol::ICMPV6, 128, 129),
            (Protocol::ICMPV6, 135, 136),
        ] {
            let (there, side) = key(asking, protocol, [request, 3]);
            let (back, other) = key(1 - asking, protocol, [answer, 3]);
            assert_eq!((there, side.other()), (back, other));
            assert_eq!((there.icmp(side), there.icmp(other)), ([request, 3], [answer, 3]));
            assert_eq!(there.asking(), Some(side));
            assert_eq!([Side::Low, Side::High].map(|side| there.end(side).1), [7, 7]);
            let (same_way, _) = key(1 - asking, protocol, [request, 3]);
            assert_ne!(there, same_way);
        }
    }
    // What is not answered is what it is, in either direction; codes that do not fit are one.
    let (there, side) = key(0, Protocol::ICMP, [40, 127]);
    assert_eq!((there.icmp(side), key(0, Protocol::ICMP, [40, 255]).0), ([40, 127], there));
    assert_ne!(there, key(0, Protocol::ICMP, [40, 126]).0);
    assert_eq!(key(0, Protocol::UDP, [8, 0]).0.asking(), None);
}
