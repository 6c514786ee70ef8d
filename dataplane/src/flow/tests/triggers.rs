//! Flows of which somebody wants the packets.

use ravelin_config::types::{Action, Protocol};

use super::{A, B, Packet, World};
use crate::{
    flow::FlowSettings,
    policy::{
        DecisionLog, PolicySet, TriggerCause,
        testing::{Line, Lists, list, policy},
    },
};

fn world(policy: PolicySet) -> World {
    let mut world = World::new(64, FlowSettings::default());
    world.snapshot.policy = policy;
    world
}

/// Puts a policy in force.
fn change(world: &mut World, policy: PolicySet) {
    world.snapshot.policy = policy;
    world.snapshot.generation += 1;
}

fn to(port: u16) -> Packet {
    Packet::new(Protocol::UDP, A, (B.0, port))
}

/// Why, to which port, and with which verdict by now.
fn triggers(world: &World) -> Vec<(TriggerCause, u16, Action)> {
    let log: &DecisionLog = world.table.decisions.log();
    let all = std::iter::from_fn(|| log.take_trigger());
    all.map(|trigger| {
        let record = trigger.record.read();
        (trigger.cause, record.key.end(record.initiator.other()).1, record.verdict)
    })
    .collect()
}

#[test]
fn a_rule_that_captures_tells_of_each_flow_once() {
    let rules = [Line::allow(1).port(1).captures(), Line::deny(2).port(2).captures(), Line::allow(3)];
    let mut world = world(list(rules.clone()));
    world.batch(&[to(1), to(1).back(), to(2), to(2), to(3), to(1).at(5)]);
    let rule = TriggerCause::Rule;
    assert_eq!(triggers(&world), [(rule, 1, Action::Allow), (rule, 2, Action::Deny)]);
    // The same rules decide: nothing has happened.
    change(&mut world, list(rules));
    world.batch(&[to(1).at(6), to(2).at(6)]);
    assert_eq!(triggers(&world), []);
    // Another rule does.
    change(&mut world, list([Line::allow(4).captures()]));
    world.batch(&[to(1).at(7), to(3).at(7)]);
    assert_eq!(triggers(&world), [(rule, 1, Action::Allow), (rule, 3, Action::Allow)]);
}

#[test]
fn a_rule_that_is_not_in_force_tells_nothing() {
    let lists = |line: Line| Lists { egress: vec![], ingress: vec![line] };
    let mut world = world(policy(&lists(Line::allow(1)), Some(&lists(Line::deny(2).captures()))));
    world.batch(&[to(1)]);
    assert_eq!(triggers(&world), []);
}

#[test]
fn what_a_limit_refuses_has_not_met_the_rule() {
    let mut world = world(list([Line::allow(1).captures().limit(1)]));
    world.batch(&[to(1), to(2), to(2)]);
    assert_eq!(triggers(&world), [(TriggerCause::Rule, 1, Action::Allow)]);
}

#[test]
fn a_verdict_that_changes_is_told_if_somebody_wants_to_know() {
    for wanted in [false, true] {
        let mut world = world(list([Line::allow(1)]));
        world.snapshot.capture.verdict_changes = wanted;
        world.batch(&[to(1)]);
        change(&mut world, list([Line::allow(2)]));
        world.batch(&[to(1).at(1)]);
        assert_eq!(triggers(&world), [], "the rule has changed, and the verdict has not");
        change(&mut world, list([Line::deny(3)]));
        world.batch(&[to(1).at(2), to(1).at(2)]);
        change(&mut world, list([Line::allow(4)]));
        world.batch(&[to(1).at(3)]);
        let changes = [
            (TriggerCause::Verdict(Action::Allow), 1, Action::Deny),
            (TriggerCause::Verdict(Action::Deny), 1, Action::Allow),
        ];
        assert_eq!(triggers(&world), if wanted { changes.to_vec() } else { Vec::new() });
    }
}

#[test]
fn what_nobody_asks_for_is_counted_when_there_is_too_much_of_it() {
    let mut world = World::new(4096, FlowSettings::default());
    world.snapshot.policy = list([Line::allow(1).captures()]);
    for port in 1..=1030 {
        world.batch(&[to(port)]);
    }
    let [.., lost] = world.table.decisions_made();
    assert_eq!((triggers(&world).len(), lost), (1024, 6));
}
