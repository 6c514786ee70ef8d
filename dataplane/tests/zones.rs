//! Rules about zones: where a packet comes in and where it would leave decide. Port 0 leads to 10.0.0.0/24, which is inside, port 1
//! to 10.1.0.0/24.

mod support;

use std::{sync::Arc, time::Duration};

use ravelin_config::types::{Direction, Exception};
use ravelin_dataplane::{
    flow::{EndReason, Evict, FlowRecord},
    forward::{NonIp, Plan, Port},
    io::PortId,
    policy::{Effect, Limit, LimitId, OnChange, PolicySet, Zone, ZoneSet},
    route::{Change, NextHopId, ReversePath, Rib, Routes, Target},
    snapshot::Snapshot,
    verdict::DropReason,
};
use support::{
    Appliance, Plant, between, policy,
    router::{CLIENT, HOST, NEIGHBOUR, SERVER, Test, hop, packet, routes},
};

const INSIDE: Zone = Zone::new(0).unwrap();
const OUTSIDE: Zone = Zone::new(1).unwrap();
const DMZ: Zone = Zone::new(2).unwrap();

/// Allows flows from one set of zones to another, and denies all others.
fn allow(from: ZoneSet, to: ZoneSet) -> PolicySet {
    allow_until(from, to, OnChange::Drop)
}

/// The same; flows that were allowed become this when they are not any more.
fn allow_until(from: ZoneSet, to: ZoneSet, on_change: OnChange) -> PolicySet {
    let all = 0..=u16::MAX;
    between(policy(&[(all.clone(), Effect::Allow, on_change), (all, Effect::Deny, on_change)]), 0, [from, to])
}

fn only(zone: Zone) -> ZoneSet {
    ZoneSet::of([zone])
}

/// A router whose ports are in these zones.
fn router(zones: [Zone; 2], policy: PolicySet) -> Test {
    let mut test = Test::new(ReversePath::Off, routes());
    publish(&mut test, |snapshot| {
        snapshot.forward = snapshot.forward.clone().with_zones(zones.to_vec());
        snapshot.policy = policy;
    });
    test
}

fn publish(test: &mut Test, change: impl FnOnce(&mut Snapshot)) {
    let mut snapshot = (*test.0.publisher.current()).clone();
    change(&mut snapshot);
    test.0.publisher.publish(snapshot);
}

/// The ports at which a packet that a port receives is sent.
fn goes(test: &mut Test, port: u8, source: &str, destination: &str) -> Vec<PortId> {
    test.receive(port, &packet(source, destination, 64, 1, 10)).into_iter().map(|(port, _)| port).collect()
}

/// What was recorded so far.
fn records(test: &mut Test) -> Vec<FlowRecord> {
    test.0.records.0.lock().unwrap().clone()
}

/// The answer to [`packet`].
fn answer(source: &str, destination: &str) -> Vec<u8> {
    let mut frame = packet(source, destination, 64, 53, 10);
    // From port 53 to port 1.
    frame[34..38].copy_from_slice(&[0, 53, 0, 1]);
    frame[40..42].copy_from_slice(&[0, 0]);
    frame
}

#[test]
fn one_zone_may_open_flows_to_another_and_not_the_other_way() {
    let mut test = router([INSIDE, OUTSIDE], allow(only(INSIDE), only(OUTSIDE)));
    assert_eq!(goes(&mut test, 0, CLIENT, SERVER), [PortId(1)]);
    assert_eq!(test.receive(1, &answer(SERVER, CLIENT)).len(), 1, "an answer is of the flow that was opened");
    assert_eq!(goes(&mut test, 1, SERVER, NEIGHBOUR), []);
    assert_eq!(goes(&mut test, 1, SERVER, NEIGHBOUR), [], "nor when it tries again");
    let counters = test.counters();
    assert_eq!((counters.forwarded, counters.drops.count(DropReason::RuleDeny)), (2, 2));
    assert_eq!(counters.flows_created, 2);
}

/// What is for the appliance itself leaves nowhere, and so is in no zone; what leaves where it came in is in that zone.
#[test]
fn what_stays_here_is_not_what_leaves_where_it_came_in() {
    let local = "10.0.0.1";
    let inside = || router([INSIDE, OUTSIDE], allow(only(INSIDE), only(INSIDE)));
    assert_eq!(goes(&mut inside(), 0, CLIENT, NEIGHBOUR), [PortId(0)]);
    assert_eq!(goes(&mut inside(), 0, CLIENT, local), []);
    let elsewhere = || router([INSIDE, OUTSIDE], allow(ZoneSet::ANY, ZoneSet::ANY.without(only(INSIDE))));
    assert_eq!(goes(&mut elsewhere(), 0, CLIENT, NEIGHBOUR), []);
    assert_eq!(goes(&mut elsewhere(), 0, CLIENT, local), [HOST], "`not_zones` holds for what is in none");
    // By a route that is not ours to follow, as little is known.
    assert_eq!(goes(&mut inside(), 0, CLIENT, "10.9.0.1"), []);
    assert_eq!(goes(&mut elsewhere(), 0, CLIENT, "10.9.0.1"), [HOST]);
    // An interface without a zone.
    let from_none = allow(ZoneSet::ANY.without(only(INSIDE)), only(INSIDE));
    assert_eq!(goes(&mut router([INSIDE, Zone::NONE], from_none), 1, SERVER, CLIENT), [PortId(0)]);
}

/// 10.1.0.0/24 behind port 0, through a gateway there, or behind port 1.
fn moved(is_inside: bool) -> Routes {
    let there = Target::Hops([hop(0, Some(NEIGHBOUR), 1500, 1)].into());
    let targets: Vec<_> = routes().targets.iter().cloned().chain([there]).collect();
    let place = if is_inside { targets.len() - 1 } else { 4 };
    let prefixes = [("10.0.0.0/24", 3), ("10.1.0.0/24", place)];
    let changes = prefixes
        .map(|(prefix, target)| Change { prefix: prefix.parse().unwrap(), next: NextHopId::new(target) });
    Routes { fibs: Arc::new([Rib::new().apply(&changes)]), targets: targets.into(), ..routes() }
}

#[test]
fn a_flow_that_would_leave_elsewhere_is_judged_before_it_does() {
    let mut test = router([INSIDE, OUTSIDE], allow(only(INSIDE), only(OUTSIDE)));
    assert_eq!(goes(&mut test, 0, CLIENT, SERVER), [PortId(1)]);
    publish(&mut test, |snapshot| snapshot.routes = moved(true));
    assert_eq!(goes(&mut test, 0, CLIENT, SERVER), [], "it would stay inside");
    assert_eq!(test.counters().drops.count(DropReason::FlowCut), 1);
    let [before] = records(&mut test)[..] else { panic!("one flow was") };
    assert_eq!((before.reason, before.port_out), (EndReason::Policy, PortId(1)), "where it went until then");
    publish(&mut test, |snapshot| snapshot.routes = moved(false));
    assert_eq!(goes(&mut test, 0, CLIENT, SERVER), [PortId(1)]);
    let [_, cut] = records(&mut test)[..] else { panic!("and was cut") };
    assert_eq!((cut.port_in, cut.port_out, cut.packets), (PortId(0), PortId(0), [1, 0]));
}

/// The answers to a flow do not say where it leaves; the routes to who answers do.
#[test]
fn an_answer_is_judged_by_where_the_flow_leaves() {
    let mut test = router([INSIDE, OUTSIDE], allow(only(INSIDE), only(OUTSIDE)));
    goes(&mut test, 0, CLIENT, SERVER);
    publish(&mut test, |snapshot| snapshot.routes = moved(false));
    assert_eq!(test.receive(1, &answer(SERVER, CLIENT)).len(), 1, "nothing has changed for it");
    assert_eq!(records(&mut test).len(), 0);
    publish(&mut test, |snapshot| snapshot.routes = moved(true));
    assert_eq!(test.receive(1, &answer(SERVER, CLIENT)), []);
    assert_eq!(test.counters().drops.count(DropReason::FlowCut), 1);
}

#[test]
fn an_interface_that_changes_its_zone_takes_its_flows_along() {
    for (on_change, expected) in [(OnChange::Drop, vec![]), (OnChange::Keep, vec![PortId(1)])] {
        let policy = allow_until(only(INSIDE), only(OUTSIDE), on_change);
        let mut test = router([INSIDE, OUTSIDE], policy);
        goes(&mut test, 0, CLIENT, SERVER);
        let zones = |zones: [Zone; 2]| {
            move |snapshot: &mut Snapshot| {
                snapshot.forward = snapshot.forward.clone().with_zones(zones.to_vec());
            }
        };
        publish(&mut test, zones([INSIDE, DMZ]));
        assert_eq!(goes(&mut test, 0, CLIENT, SERVER), expected);
        publish(&mut test, zones([INSIDE, OUTSIDE]));
        assert_eq!(goes(&mut test, 0, CLIENT, SERVER), [PortId(1)]);
    }
}

/// Without room for flows each packet is judged by itself.
#[test]
fn a_packet_without_a_flow_is_judged_by_where_it_would_leave() {
    let snapshot = {
        let test = router([INSIDE, OUTSIDE], allow(only(INSIDE), only(OUTSIDE)));
        let mut snapshot = (*test.0.publisher.current()).clone();
        snapshot.flow.full = Exception::Forward;
        snapshot.flow.evict = Evict::Expired;
        snapshot
    };
    let mut test = Test(Appliance::new(Plant { snapshot, flows: 1, ..Plant::default() }));
    assert_eq!(goes(&mut test, 0, NEIGHBOUR, SERVER), [PortId(1)]);
    assert_eq!(goes(&mut test, 0, CLIENT, SERVER), [PortId(1)]);
    assert_eq!(goes(&mut test, 1, SERVER, CLIENT), [], "which cannot be known to be no answer");
    assert_eq!(goes(&mut test, 0, CLIENT, "10.0.0.20"), []);
    let counters = test.counters();
    assert_eq!((counters.flows_untracked, counters.drops.count(DropReason::RuleDeny)), (3, 2));
}

/// A limit that refused a flow judges it again with each packet: with the way that it would go now.
#[test]
fn a_flow_that_a_limit_refused_is_judged_by_where_it_would_leave_now() {
    let mut set = allow(only(INSIDE), only(OUTSIDE));
    let mut outcomes: Vec<_> = set.outcomes.iter().copied().collect();
    outcomes[0].limit = Some(LimitId(0));
    set.outcomes = outcomes.into_iter().collect();
    set.limits = vec![Limit::new(1, Duration::from_secs(1))];
    let mut test = router([INSIDE, OUTSIDE], set);
    assert_eq!(goes(&mut test, 0, NEIGHBOUR, SERVER), [PortId(1)]);
    assert_eq!(goes(&mut test, 0, CLIENT, SERVER), []);
    assert_eq!(test.counters().drops.count(DropReason::RuleRateLimit), 1);
    publish(&mut test, |snapshot| snapshot.routes = moved(true));
    assert_eq!(goes(&mut test, 0, CLIENT, SERVER), []);
    assert_eq!(test.counters().drops.count(DropReason::RuleDeny), 1, "it does not go where the limit is");
}

#[test]
fn a_bridge_leads_from_zone_to_zone_and_a_monitor_nowhere() {
    let port = |twin, direction| {
        let non_ip = NonIp::default();
        Port::Bridge { twin: PortId(twin), direction, non_ip, complete_checksums: false, mtu: 1500 }
    };
    let ports = vec![port(1, Direction::Ingress), port(0, Direction::Egress), Port::Monitor];
    let forward = Plan::new(ports).with_zones(vec![OUTSIDE, INSIDE, INSIDE]);
    let at = |number: u8, policy: PolicySet| {
        let snapshot = Snapshot { forward: forward.clone(), policy, ..Snapshot::default() };
        let mut test = Test(Appliance::new(Plant { snapshot, ..Plant::default() }));
        let sent = goes(&mut test, number, CLIENT, SERVER);
        (sent, test.counters().drops.count(DropReason::RuleDeny))
    };
    let out = || allow(only(INSIDE), only(OUTSIDE));
    assert_eq!(at(1, out()), (vec![PortId(0)], 0));
    assert_eq!(at(0, out()), (vec![], 1));
    assert_eq!(at(2, out()), (vec![], 1), "what a monitor sees leaves nowhere that is known");
    assert_eq!(at(2, allow(only(INSIDE), ZoneSet::ANY.without(only(OUTSIDE)))), (vec![], 0));
}

#[test]
fn where_a_route_leads_is_asked_only_if_a_rule_asks_for_zones() {
    let mut test = router([INSIDE, OUTSIDE], allow(ZoneSet::ANY, ZoneSet::ANY));
    assert_eq!(goes(&mut test, 0, CLIENT, SERVER), [PortId(1)]);
    publish(&mut test, |snapshot| snapshot.routes = moved(true));
    assert_eq!(goes(&mut test, 0, CLIENT, SERVER), [PortId(0)]);
    assert_eq!(records(&mut test).len(), 0, "the same rule decides");
}
