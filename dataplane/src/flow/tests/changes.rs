//! What a change of policy does to flows that are there.

use std::{collections::HashMap, sync::Arc};

use ravelin_config::types::{Action, Protocol};

use super::{A, B, Packet, Random, World};
use crate::{
    batch::Meta,
    clock::Timestamp,
    flow::{EndReason, FlowRecord, FlowSettings, FlowTable},
    forward::NonIp,
    handoff::WorkerId,
    parse::{
        TcpFields,
        tcp_flags::{ACK, RST, SYN},
    },
    policy::{
        AddressSet, Decision, DecisionCounts, DecisionLog, OnChange, PolicySet,
        testing::{Line, Lists, list, policy},
    },
    snapshot::AddressChange,
    verdict::{DropReason, Verdict},
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

fn udp() -> Packet {
    Packet::new(Protocol::UDP, A, B)
}

fn cut(world: &World) -> Vec<FlowRecord> {
    let log = world.table.decisions.log();
    std::iter::from_fn(|| log.take_cut()).map(|record| record.read()).collect()
}

/// What a record says of verdict, deciding rule and traffic.
fn told(world: &World, record: &FlowRecord) -> (Action, Option<u32>, [u64; 2], [u64; 2]) {
    (record.verdict, world.decider(record.decision), record.packets, record.bytes)
}

#[test]
fn nothing_is_written_if_the_same_rules_decide() {
    let mut world = world(list([Line::allow(1).port(B.1), Line::end(2)]));
    let decided = world.one(udp()).decision;
    let denied = world.one(Packet::new(Protocol::UDP, A, (B.0, 53))).decision;
    // Other rules may come and go.
    change(&mut world, list([Line::deny(3).port(80), Line::allow(1).port(B.1), Line::end(2)]));
    let meta = world.one(udp().back().at(1));
    assert_eq!((meta.verdict, meta.decision), (Verdict::Allow, decided));
    let ruling = world.table.ruling(meta.slot.unwrap(), 2).unwrap();
    assert_eq!(ruling.decision, decided, "judged, until the next change");
    let meta = world.one(Packet::new(Protocol::UDP, A, (B.0, 53)).at(2));
    assert_eq!((meta.verdict, meta.decision), (Verdict::Drop(DropReason::DefaultDeny), denied));
    assert!(world.records.kept.is_empty() && cut(&world).is_empty());
    assert_eq!((world.counters.flows_cut, world.counters.records_written), (0, 0));
    assert_eq!(world.table.decisions.log().counts(decided).flows, 1, "it is the same flow");
    assert_eq!(world.flow(&meta).unwrap().packets, [2, 0]);
}

#[test]
fn a_record_is_split_where_another_rule_decides() {
    let mut world = world(list([Line::allow(1)]));
    world.batch(&[udp().payload(10), udp().back().payload(20).at(5)]);
    change(&mut world, list([Line::allow(2)]));
    world.batch(&[udp().payload(30).at(70), udp().payload(40).at(80)]);
    assert_eq!(world.flows().len(), 1);
    world.drain(90);
    let [before, after] = world.records.kept[..] else { panic!("{:?}", world.records.kept) };
    assert_eq!(told(&world, &before), (Action::Allow, Some(1), [1, 1], [64, 74]));
    assert_eq!(told(&world, &after), (Action::Allow, Some(2), [2, 0], [84 + 94, 0]));
    assert_eq!((before.reason, after.reason), (EndReason::Policy, EndReason::Shutdown));
    assert_eq!((before.generation, after.generation), (1, 2));
    let times = |record: &FlowRecord| {
        [record.first, record.last, record.ended].map(|time| time.as_micros() - super::START)
    };
    assert_eq!((times(&before), times(&after)), ([0, 5, 70], [70, 80, 90]));
    assert_eq!((before.key, before.initiator), (after.key, after.initiator));
    assert_eq!((world.counters.flows_created, world.counters.flows_cut), (1, 0));
    assert_eq!(world.counters.records_written, 2);
}

#[test]
fn what_becomes_of_a_flow_that_is_denied_is_the_policys_choice() {
    for (on_change, expected) in [
        (OnChange::Keep, None),
        (OnChange::Drop, Some(DropReason::FlowCut)),
        (OnChange::Reset, Some(DropReason::FlowReset)),
    ] {
        let mut world = world(PolicySet::default());
        let mut packet = Packet::new(Protocol::TCP, A, B);
        packet.tcp = TcpFields { flags: SYN, sequence: 1, ..packet.tcp };
        let decided = world.one(packet).decision;
        for generation in 2..5 {
            // The next changes do not concern it.
            change(&mut world, list([Line::deny(7).port(B.1).on_change(on_change)]));
            packet.tcp = TcpFields { flags: ACK, sequence: 2, ..packet.tcp };
            for packet in [packet, packet.back()] {
                let meta = world.one(packet);
                assert_eq!(meta.verdict, expected.map_or(Verdict::Allow, Verdict::Drop));
                assert_eq!(world.flow(&meta).unwrap().generation, generation);
                let decider = expected.map(|_| 7);
                assert_eq!(
                    (world.decider(meta.decision), meta.decision == decided),
                    (decider, decider.is_none())
                );
            }
        }
        let cut = cut(&world);
        assert_eq!(world.records.kept.len(), cut.len());
        assert_eq!(world.counters.flows_cut, u64::from(expected.is_some()));
        if let Some(reason) = expected {
            assert_eq!(told(&world, &cut[0]), (Action::Allow, None, [1, 0], [54, 0]), "as it was before");
            assert_eq!(cut[0].reason, EndReason::Policy);
            assert_eq!(world.drops(reason), 6);
        }
        // Who comes now is not cut but denied.
        packet.tcp.flags = SYN;
        let stranger = Packet { source: (A.0 + 5, 1), ..packet };
        assert_eq!(world.one(stranger).verdict, Verdict::Drop(DropReason::RuleDeny));
    }
}

#[test]
fn a_flow_that_was_denied_may_pass_after_a_change() {
    let mut world = world(list([Line::deny(1)]));
    assert_eq!(world.one(udp()).verdict, Verdict::Drop(DropReason::RuleDeny));
    change(&mut world, list([Line::allow(2)]));
    assert_eq!(world.one(udp().at(1)).verdict, Verdict::Allow);
    let record = world.records.kept[0];
    assert_eq!(told(&world, &record), (Action::Deny, Some(1), [1, 0], [54, 0]));
    assert_eq!(record.reason, EndReason::Policy);
    assert_eq!((world.counters.flows_cut, cut(&world).len()), (0, 0));
}

#[test]
fn a_full_log_does_not_make_every_change_one_of_its_flows() {
    let mut world = world(list([Line::deny(1).port(1), Line::allow(2)]));
    world.table = FlowTable::with_log(64, WorkerId(0), DecisionLog::new(1));
    let denied = Packet { destination: (B.0, 1), ..udp() };
    let ids = world.batch(&[denied, udp()]).into_iter().map(|meta| meta.decision);
    let ids: Vec<_> = ids.collect();
    assert_eq!(
        (world.decider(ids[0]), world.decider(ids[1]), world.table.decisions.lost),
        (Some(1), None, 1)
    );
    // The same rules, and one more decision that finds no room.
    change(&mut world, list([Line::deny(1).port(1), Line::allow(2).port(B.1), Line::deny(3)]));
    assert_eq!(world.one(udp()).verdict, Verdict::Allow);
    assert!(world.records.kept.is_empty());
    change(&mut world, list([Line::deny(3)]));
    assert_eq!(world.one(udp()).verdict, Verdict::Drop(DropReason::FlowCut));
    change(&mut world, list([Line::deny(3)]));
    assert_eq!(world.one(udp()).verdict, Verdict::Drop(DropReason::FlowCut));
    assert_eq!((world.records.kept.len(), world.counters.flows_cut), (1, 1));
}

#[test]
fn what_knows_no_reset_is_dropped() {
    let mut world = world(PolicySet::default());
    world.one(udp());
    change(&mut world, list([Line::deny(1).on_change(OnChange::Reset)]));
    assert_eq!(world.one(udp()).verdict, Verdict::Drop(DropReason::FlowCut));
}

#[test]
fn a_rule_that_comes_to_reject_is_another_decision() {
    let mut world = world(list([Line::deny(1)]));
    world.one(udp());
    change(&mut world, list([Line::reject(1)]));
    assert_eq!(world.one(udp()).verdict, Verdict::Drop(DropReason::RuleReject));
    assert_eq!((world.records.kept.len(), world.counters.flows_cut), (1, 0));
}

#[test]
fn what_is_staged_changes_without_a_record() {
    let enforced = Lists { ingress: vec![Line::allow(1)], ..Lists::default() };
    let mut world = world(policy(&enforced, None));
    world.one(udp());
    let staged = Lists { ingress: vec![Line::deny(2)], ..Lists::default() };
    for pending in [Some(Action::Deny), None] {
        change(&mut world, policy(&enforced, pending.map(|_| &staged)));
        let meta = world.one(udp());
        let decision = world.decision(meta.decision).unwrap();
        assert_eq!((meta.verdict, decision.decider()), (Verdict::Allow, Some(1)));
        assert_eq!(decision.pending.map(|pending| pending.action), pending);
        assert_eq!(world.flow(&meta).unwrap().decision, meta.decision);
    }
    assert!(world.records.kept.is_empty());
    // A flow that is kept has what is pending, too.
    let denied = Lists { ingress: vec![Line::deny(3).on_change(OnChange::Keep)], ..Lists::default() };
    change(&mut world, policy(&denied, Some(&staged)));
    let decision = world.one(udp()).decision;
    let decision = world.decision(decision).unwrap();
    assert_eq!((decision.action, decision.decider()), (Action::Allow, Some(1)));
    assert_eq!(decision.pending.map(|pending| pending.action), Some(Action::Deny));
    assert!(world.records.kept.is_empty());
}

#[test]
fn packets_of_one_flow_in_one_batch_are_judged_together() {
    let mut world = world(PolicySet::default());
    world.batch(&[udp(), udp().back(), udp()]);
    change(&mut world, list([Line::deny(1)]));
    let metas = world.batch(&[udp().at(1), udp().back().at(2), udp().at(3)]);
    assert!(metas.iter().all(|meta| meta.verdict == Verdict::Drop(DropReason::FlowCut)));
    let ids: Vec<_> = metas.iter().map(|meta| meta.decision).collect();
    assert_eq!(ids[1..], ids[..2]);
    assert_eq!((world.counters.flows_cut, world.records.kept.len(), cut(&world).len()), (1, 1, 1));
    assert_eq!(world.flow(&metas[0]).unwrap().packets, [2, 1]);
    assert_eq!(world.table.decisions.log().counts(ids[0]).flows, 1);
}

#[test]
fn an_icmp_error_judges_the_flow_that_it_is_about() {
    let mut world = world(PolicySet::default());
    let opened = world.one(udp());
    change(&mut world, list([Line::deny(1).of(Protocol::UDP)]));
    let error = |world: &World| {
        let mut meta = world.meta(&Packet::new(Protocol::ICMP, (B.0 + 9, 0), (A.0, 0)));
        meta.headers.icmp = [3, 1];
        meta.headers.icmp_error = true;
        (meta.key, meta.side, meta.hash) = (opened.key, opened.side.other(), opened.hash);
        meta
    };
    let mut metas: [Meta; 1] = [error(&world)];
    world.metas(&mut metas);
    assert_eq!(metas[0].verdict, Verdict::Drop(DropReason::FlowCut));
    assert_eq!(metas[0].slot, opened.slot);
    assert_eq!((world.counters.flows_cut, world.records.kept.len()), (1, 1));
    assert_eq!(world.flow(&opened).unwrap().packets, [0, 1]);
}

#[test]
fn a_reply_of_icmp_has_its_flow_judged_as_the_request() {
    let request = Packet::new(Protocol::ICMP, (A.0, 7), (B.0, 7));
    let reply = request.back();
    let (echo, answer) = (8 << 8, 0);
    let mut world = world(PolicySet::default());
    world.batch(&[request, reply]);
    change(&mut world, list([Line::allow(1).of(Protocol::ICMP).port(echo), Line::deny(2)]));
    assert_eq!(world.one(reply).verdict, Verdict::Allow);
    assert_eq!(world.decider(world.records.kept[0].decision), None);
    change(&mut world, list([Line::allow(3).of(Protocol::ICMP).port(answer), Line::deny(2)]));
    assert_eq!(world.one(reply).verdict, Verdict::Drop(DropReason::FlowCut));
    assert_eq!(world.counters.flows_cut, 1);
}

#[test]
fn neighbour_discovery_that_passes_unjudged_stays_unjudged() {
    let mut world = world(PolicySet::default());
    world.snapshot.forward = super::plan(NonIp::default());
    let discovery =
        Packet { discovery: true, icmp: [135, 0], ..Packet::new(Protocol::ICMPV6, (1, 0), (2, 0)) };
    world.one(discovery);
    change(&mut world, list([Line::deny(1)]));
    assert_eq!(world.one(discovery).verdict, Verdict::Allow);
    assert!(world.records.kept.is_empty() && world.counters.flows_cut == 0);
}

#[test]
fn counts_of_decisions_are_those_of_their_packets() {
    /// Naively: each packet counts for the decision that it met.
    #[derive(Default)]
    struct Model {
        flows: HashMap<(u16, u16), Decision>,
        counts: Vec<(Decision, DecisionCounts)>,
    }
    let policies = || {
        [
            list([Line::deny(1).ports(0, 1), Line::allow(2)]),
            list([Line::allow(2).ports(0, 2), Line::reject(3).on_change(OnChange::Keep)]),
            list([Line::deny(4).ports(2, 3).on_change(OnChange::Reset)]),
        ]
    };
    for seed in 1..20 {
        let mut random = Random::new(seed);
        let mut world = world(list([Line::allow(2)]));
        let mut model = Model::default();
        for time in 0..3000 {
            if random.chance(1) {
                let choice = usize::try_from(random.below(3)).unwrap();
                change(&mut world, policies()[choice].clone());
            }
            let packets: Vec<Packet> = (0..=random.below(5))
                .map(|_| {
                    let client = (A.0, u16::try_from(random.below(6)).unwrap());
                    let server = (B.0, u16::try_from(random.below(5)).unwrap());
                    let packet = Packet::new(Protocol::UDP, client, server).at(time * 700);
                    let packet = packet.payload(u16::try_from(random.below(900)).unwrap());
                    if random.chance(30) && model.flows.contains_key(&(client.1, server.1)) {
                        packet.back()
                    } else {
                        packet
                    }
                })
                .collect();
            for (meta, packet) in world.batch(&packets).iter().zip(&packets) {
                let decision = world.decision(meta.decision).unwrap();
                let [client, server] = if packet.source.0 == A.0 {
                    [packet.source, packet.destination]
                } else {
                    [packet.destination, packet.source]
                };
                let place = model.counts.iter().position(|(known, _)| *known == decision);
                let place = place.unwrap_or_else(|| {
                    model.counts.push((decision, DecisionCounts::default()));
                    model.counts.len() - 1
                });
                let counts = &mut model.counts[place].1;
                if model.flows.insert((client.1, server.1), decision) != Some(decision) {
                    counts.flows += 1;
                    if counts.first == Timestamp::ZERO {
                        counts.first = meta.time;
                    }
                    counts.last = meta.time;
                }
                counts.packets += 1;
                counts.bytes += u64::from(meta.length);
            }
        }
        world.drain(3_000_000_000);
        let log = world.table.decisions.log();
        assert!(model.counts.len() > 4);
        let counted: Vec<_> = log.iter().map(|(id, decision)| (decision, log.counts(id))).collect();
        assert_eq!(counted.len(), model.counts.len());
        for expected in &model.counts {
            assert!(counted.contains(expected), "seed {seed}: {expected:?} in {counted:?}");
        }
    }
}

#[test]
fn batch_size_changes_nothing_when_policies_change() {
    let policies = [
        list([Line::deny(1).of(Protocol::TCP).port(443), Line::allow(2)]),
        list([Line::deny(3).ports(0, 999)]),
        list([Line::deny(3).ports(0, 999).on_change(OnChange::Keep), Line::reject(4)]),
        PolicySet::default(),
    ];
    for seed in 1..=6 {
        let mut random = Random::new(seed);
        let stretches: Vec<Vec<Packet>> = (0..40)
            .map(|stretch| {
                let packet = |random: &mut Random| {
                    let port = |random: &mut Random, ports: &[u16]| {
                        ports[usize::try_from(random.below(ports.len() as u64)).unwrap()]
                    };
                    let protocol = if random.chance(50) { Protocol::TCP } else { Protocol::UDP };
                    let (client, server) = (port(random, &[2000, 2001]), port(random, &[443, 80, 8080]));
                    let mut packet = Packet::new(protocol, (A.0, client), (B.0, server));
                    let flags = [SYN, ACK, ACK, ACK, RST | ACK][usize::try_from(random.below(5)).unwrap()];
                    packet.tcp = TcpFields { flags, sequence: 1, acknowledgement: 1, window: 1 };
                    if random.chance(40) { packet.back() } else { packet }
                };
                let mut packets: Vec<Packet> = (0..50).map(|_| packet(&mut random)).collect();
                for packet in &mut packets {
                    packet.time = stretch * 20_000;
                }
                packets
            })
            .collect();
        let run = |size: usize| {
            let mut world = world(policies[0].clone());
            let mut verdicts = Vec::new();
            for (packets, policy) in stretches.iter().zip(policies.iter().cycle()) {
                change(&mut world, policy.clone());
                for packets in packets.chunks(size) {
                    let metas = world.batch(packets);
                    verdicts.extend(metas.iter().map(|meta| (meta.verdict, world.decision(meta.decision))));
                }
            }
            world.drain(1_000_000_000);
            let records = world.records.kept.iter();
            let records = records.map(|record| {
                (told(&world, record), record.reason, record.generation, record.first, record.ended)
            });
            let records: Vec<_> = records.collect();
            (verdicts, records, world.counters.clone(), cut(&world).len())
        };
        let alone = run(1);
        assert!(alone.2.flows_cut > 10 && alone.1.len() > 50);
        for size in [2, 7, 50] {
            assert!(run(size) == alone, "seed {seed}, batches of {size}");
        }
    }
}

#[test]
fn where_only_sets_changed_flows_of_other_addresses_are_not_asked_again() {
    // A policy that denies everything shows which flows were asked; such a change would not be published so.
    let change_of = |world: &mut World, since, net: &str| {
        change(world, list([Line::deny(2)]));
        let addresses = Arc::new(AddressSet::of_nets([&net.parse().unwrap()]));
        world.snapshot.change = Some(AddressChange { since, addresses });
    };
    let mut world = world(list([Line::allow(1)]));
    let late = Packet::new(Protocol::UDP, A, (B.0, 53));
    let (meta, waits) = (world.one(udp()), world.one(late));
    for since in [1, 2] {
        change_of(&mut world, since, "10.0.0.3/32");
        let next = world.one(udp().back());
        assert_eq!((next.verdict, next.decision), (Verdict::Allow, meta.decision));
        assert_eq!(world.flow(&next).unwrap().generation, since + 1);
    }
    // This one has not been seen since the first generation, of which nothing is known any more.
    assert_eq!(world.one(late).verdict, Verdict::Drop(DropReason::FlowCut));
    assert_ne!(world.flow(&waits).unwrap().decision, waits.decision);
    // And an end of this one is among the addresses.
    change_of(&mut world, 3, "10.0.0.2/32");
    assert_eq!(world.one(udp()).verdict, Verdict::Drop(DropReason::FlowCut));
    assert_eq!(world.counters.flows_cut, 2);
}
