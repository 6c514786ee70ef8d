//! UDP, ICMP, other protocols, ICMP errors, the counts of an entry.

use ravelin_config::types::Protocol;

use super::{A, B, INSIDE, OUTSIDE, Packet, SECOND, START, World};
use crate::{
    clock::Timestamp,
    flow::{
        EndReason, FlowKey, FlowSettings, FlowState, Side,
        entry::{Entry, Passage, micros},
        phase::Phase,
    },
    forward::Segment,
    handoff::WorkerId,
    io::PortId,
    verdict::Verdict,
};

#[test]
fn answered_flows_are_established() {
    for protocol in [Protocol::UDP, Protocol::ICMP, Protocol::ICMPV6, Protocol::SCTP, Protocol(47)] {
        let mut world = World::new(8, FlowSettings::default());
        let packet = Packet::new(protocol, A, B).payload(46);
        let meta = world.one(packet);
        let flow = world.flow(&meta).unwrap();
        assert_eq!((flow.state, flow.tcp), (FlowState::New, None));
        world.one(packet.at(10));
        assert_eq!(world.flow(&meta).unwrap().state, FlowState::New);
        world.one(packet.back().at(20));
        let flow = world.flow(&meta).unwrap();
        assert_eq!(flow.state, FlowState::Established);
        assert_eq!((flow.packets, flow.bytes), ([2, 1], [200, 100]));
        assert_eq!((flow.port_in, flow.port_out), (OUTSIDE, INSIDE));
        assert_eq!(flow.last, Timestamp::from_micros(START + 20));
    }
}

#[test]
fn flow_opened_and_answered_within_one_batch() {
    let mut world = World::new(8, FlowSettings::default());
    let packet = Packet::new(Protocol::UDP, A, B);
    let metas = world.batch(&[packet, packet.back(), packet]);
    assert!(metas.iter().all(|meta| meta.slot == metas[0].slot && meta.slot.is_some()));
    assert_eq!(world.flow(&metas[0]).unwrap().packets, [2, 1]);
    assert_eq!(world.counters.flows_created, 1);
}

/// An error that `B` sends about a packet of `A`.
fn error(world: &World, time: i64) -> crate::batch::Meta {
    let quoted = Packet::new(Protocol::UDP, A, B);
    let carrier = Packet::new(Protocol::ICMP, (B.0, 0), (A.0, 0)).at(time).payload(50);
    let (key, side) = FlowKey::of(&quoted.headers());
    let mut meta = world.meta(&carrier);
    meta.headers.icmp_error = true;
    // Decode says that the error comes from the end that did not send what it quotes.
    crate::batch::Meta { key, side: side.other(), hash: key.hash(meta.segment, &world.hasher), ..meta }
}

#[test]
fn icmp_error_belongs_to_the_flow_that_it_quotes() {
    let mut world = World::new(8, FlowSettings::default());
    let first = world.one(Packet::new(Protocol::UDP, A, B));
    let mut metas = [error(&world, 5)];
    world.metas(&mut metas);
    assert_eq!((metas[0].slot, metas[0].verdict), (first.slot, Verdict::Allow));
    let flow = world.flow(&first).unwrap();
    assert_eq!((flow.packets, flow.state), ([1, 1], FlowState::New));
    assert_eq!(world.table.len(), 1);
}

#[test]
fn icmp_error_without_a_flow_is_judged_as_itself() {
    let mut world = World::new(8, FlowSettings::default());
    let mut metas = [error(&world, 5)];
    world.metas(&mut metas);
    assert_eq!((metas[0].slot, metas[0].verdict), (None, Verdict::Allow));
    assert_eq!(metas[0].key.protocol(), Protocol::ICMP);
    assert_eq!(world.table.len(), 0);

    // One that quotes a flow that is over comes too late.
    world.one(Packet::new(Protocol::UDP, A, B));
    world.expire_at(30 * SECOND);
    let mut metas = [error(&world, 30_500_000)];
    world.metas(&mut metas);
    assert_eq!(metas[0].slot, None);
    assert_eq!(world.flows()[0].packets, [1, 0]);
}

#[test]
fn records_that_nobody_takes_are_counted() {
    let mut world = World::new(8, FlowSettings::default());
    world.one(Packet::new(Protocol::UDP, A, B));
    world.one(Packet::new(Protocol::UDP, A, (B.0, 53)));
    world.records.full = true;
    world.drain(5);
    assert_eq!((world.counters.records_written, world.counters.records_lost), (0, 2));
    assert_eq!(world.counters.flows_active, 0);
}

#[test]
fn shutdown_ends_every_flow() {
    let mut world = World::new(100, FlowSettings::default());
    for port in 1..=100 {
        world.one(Packet::new(Protocol::UDP, A, (B.0, port)));
    }
    world.drain(SECOND);
    assert_eq!(world.records.kept.len(), 100);
    for record in &world.records.kept {
        assert_eq!(
            (record.reason, record.ended),
            (EndReason::Shutdown, Timestamp::from_micros(START + SECOND))
        );
    }
    assert!(world.table.is_empty());
    // And the table can be used again.
    world.one(Packet::new(Protocol::UDP, A, B).at(2_000_000));
    assert_eq!(world.table.len(), 1);
}

#[test]
fn walk_stops_and_goes_on_where_it_stopped() {
    let mut world = World::new(50, FlowSettings::default());
    for port in 1..=50 {
        world.one(Packet::new(Protocol::UDP, A, (B.0, port)));
    }
    let all: Vec<_> = world.flows().iter().map(|record| record.key).collect();
    assert_eq!(all.len(), 50);
    let (mut seen, mut cursor, mut refuse) = (Vec::new(), Some(0), false);
    while let Some(from) = cursor {
        cursor = world.table.walk(from, 3, |record| {
            refuse = !refuse;
            if refuse {
                return false;
            }
            seen.push(record.key);
            true
        });
    }
    assert_eq!(seen, all);
}

#[test]
fn counts_stop_at_their_highest_value() {
    let (key, side) = FlowKey::of(&Packet::new(Protocol::UDP, A, B).headers());
    let ports = [Some(PortId(62)), Some(PortId(61))];
    let mut entry = Entry::open(key, Phase::UdpNew, side, micros(Timestamp::from_micros(START)), ports);
    let passage = Passage { side, time: START, length: u32::MAX };
    for _ in 0..600_000 {
        entry.count(passage);
    }
    let record = entry.record(START, EndReason::Active, WorkerId(3));
    assert_eq!(record.bytes, [(1 << 51) - 1, 0]);
    assert_eq!(record.packets, [600_000, 0]);
    assert_eq!((record.port_in, record.port_out, record.worker), (PortId(62), PortId(61), WorkerId(3)));
    assert_eq!(record.initiator, Side::Low);
}

#[test]
fn packets_are_counted_beyond_four_billion() {
    let (key, side) = FlowKey::of(&Packet::new(Protocol::UDP, A, B).headers());
    let mut entry = Entry::open(key, Phase::UdpNew, side, START, [Some(OUTSIDE), Some(INSIDE)]);
    entry.skip_packets(side, u64::from(u32::MAX));
    let passage = Passage { side, time: START, length: 1 };
    entry.count(passage);
    entry.count(passage);
    let record = |entry: &Entry| entry.record(START, EndReason::Active, WorkerId(0));
    assert_eq!((record(&entry).packets, record(&entry).bytes), ([(1 << 32) + 1, 0], [2, 0]));
    entry.skip_packets(side, (1 << 45) - 2);
    entry.count(passage);
    entry.count(passage);
    assert_eq!((record(&entry).packets, record(&entry).bytes), ([(1 << 45) - 1, 0], [4, 0]));
}

/// A flow that stays here, or is only listened to, is not one that leaves where it came in; the record does not tell.
#[test]
fn an_entry_knows_ports_of_which_one_may_be_none() {
    let (key, side) = FlowKey::of(&Packet::new(Protocol::UDP, A, B).headers());
    let last = PortId(62);
    let some = [Some(PortId(0)), Some(PortId(1)), Some(last), None];
    for ports in some.into_iter().flat_map(|one| some.map(|other| [one, other])) {
        let Some(known) = ports[0].or(ports[1]) else { continue };
        let mut entry = Entry::open(key, Phase::UdpNew, side, START, [Some(last), None]);
        entry.lead(ports);
        assert_eq!(entry.ports(), ports);
        let record = entry.record(START, EndReason::Active, WorkerId(0));
        let told = [ports[0].unwrap_or(known), ports[1].unwrap_or(known)];
        assert_eq!([record.port_in, record.port_out], told);
        assert_eq!(record.first, Timestamp::from_micros(START));
        let first = ports.into_iter().flatten().min();
        assert!(entry.is_of(&key, Segment::of(first)) && !entry.is_of(&key, Segment::of([PortId(40)])));
    }
}
