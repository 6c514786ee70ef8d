//! What the table keeps of policy's decisions.

use ravelin_config::types::{Action, Direction, PortRange, Protocol};

use super::{A, B, INSIDE, OUTSIDE, Packet, World};
use crate::{
    flow::FlowSettings,
    parse::{
        TcpFields,
        tcp_flags::{ACK, RST, SYN},
    },
    policy::{Judgement, Rule, RuleId},
    verdict::{DropReason, Verdict},
};

fn deny(id: u16, direction: Option<Direction>, port: u16) -> Rule {
    Rule {
        id: RuleId(id),
        action: Action::Deny,
        direction,
        protocol: None,
        source: vec![],
        destination: vec![],
        source_ports: vec![],
        destination_ports: vec![PortRange::single(port)],
    }
}

#[test]
fn verdict_holds_until_the_next_generation() {
    let mut world = World::new(8, FlowSettings::default());
    let packet = Packet::new(Protocol::UDP, A, B);
    let meta = world.one(packet);
    assert_eq!(meta.verdict, Verdict::Allow);
    let slot = meta.slot.unwrap();
    assert_eq!(world.table.verdict(slot, 1), Some(Judgement { action: Action::Allow, rule: RuleId::NONE }));
    assert_eq!(world.table.verdict(slot, 2), None);

    world.snapshot.policy.rules = vec![deny(7, None, B.1)];
    assert_eq!(world.one(packet.at(1)).verdict, Verdict::Allow, "kept");
    world.snapshot.generation = 2;
    let meta = world.one(packet.back().at(2));
    assert_eq!((meta.verdict, meta.rule), (Verdict::Drop(DropReason::RuleDeny), RuleId(7)));
    let flow = world.flow(&meta).unwrap();
    assert_eq!((flow.verdict, flow.drop_reason), (Action::Deny, Some(DropReason::RuleDeny)));
    assert_eq!((flow.rule, flow.generation, flow.packets), (RuleId(7), 2, [2, 1]));

    world.snapshot.policy.rules.clear();
    world.snapshot.policy.default = Action::Deny;
    world.snapshot.generation = 3;
    let meta = world.one(packet.at(3));
    assert_eq!(meta.verdict, Verdict::Drop(DropReason::DefaultDeny));
    assert_eq!(world.flow(&meta).unwrap().drop_reason, Some(DropReason::DefaultDeny));
}

#[test]
fn flow_picked_up_by_an_answer_is_judged_as_its_initiator_opened_it() {
    let mut world = World::new(8, FlowSettings::default());
    world.snapshot.policy.rules = vec![deny(1, Some(Direction::Ingress), B.1)];
    let mut answer = Packet::new(Protocol::TCP, A, B).back();
    answer.tcp = TcpFields { flags: SYN | ACK, sequence: 1, acknowledgement: 1, window: 1 };
    assert_eq!(answer.port, INSIDE);
    let meta = world.one(answer);
    assert_eq!(meta.verdict, Verdict::Drop(DropReason::RuleDeny));
    assert_eq!(world.table.origin(meta.slot.unwrap()), Some((meta.side.other(), OUTSIDE)));
    assert_eq!(world.flow(&meta).unwrap().port_in, INSIDE, "where the first packet came in");
}

#[test]
fn neighbour_discovery_does_not_lend_its_verdict() {
    let mut world = World::new(8, FlowSettings::default());
    world.snapshot.policy.default = Action::Deny;
    let echo = Packet::new(Protocol::ICMPV6, (1, 0), (2, 0));
    let discovery = Packet { discovery: true, ..echo };
    assert_eq!(world.one(discovery).verdict, Verdict::Allow);
    assert_eq!(world.one(echo).verdict, Verdict::Drop(DropReason::DefaultDeny));
    assert_eq!(world.one(discovery).verdict, Verdict::Allow, "nor take that of others");
}

#[test]
fn flow_that_ends_in_the_batch_that_opened_it_has_its_verdict() {
    let mut world = World::new(8, FlowSettings::default());
    world.snapshot.policy.rules = vec![deny(9, None, B.1)];
    let packet = |flags, acknowledgement| {
        let mut packet = Packet::new(Protocol::TCP, A, B);
        packet.tcp = TcpFields { flags, sequence: 0, acknowledgement, window: 1 };
        packet
    };
    world.batch(&[packet(SYN, 0), packet(RST | ACK, 1).back(), packet(SYN, 0)]);
    assert_eq!(world.records.kept.len(), 1);
    assert_eq!(world.records.kept[0].drop_reason, Some(DropReason::RuleDeny));
    assert_eq!((world.records.kept[0].rule, world.records.kept[0].generation), (RuleId(9), 1));
}
