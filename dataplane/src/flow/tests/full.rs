//! A full table: what goes, what stays, what is counted.

use ravelin_config::types::{Exception, Protocol};

use super::{A, B, Packet, SECOND, World};
use crate::{
    flow::{EndReason, Evict, FlowSettings, FlowState, FlowTable},
    parse::{
        TcpFields,
        tcp_flags::{ACK, SYN},
    },
    verdict::{DropReason, Verdict},
};

fn tcp(source: (u32, u16), flags: u8, sequence: u32, acknowledgement: u32) -> Packet {
    let mut packet = Packet::new(Protocol::TCP, source, B);
    packet.tcp = TcpFields { flags, sequence, acknowledgement, window: 1 };
    packet
}

fn establish(world: &mut World, source: (u32, u16)) {
    world.batch(&[tcp(source, SYN, 0, 0), tcp(source, SYN | ACK, 0, 1).back(), tcp(source, ACK, 1, 1)]);
}

fn syn(number: u32) -> Packet {
    #[expect(clippy::cast_possible_truncation, reason = "the port is the lower half on purpose")]
    tcp((0xc000_0000 + (number >> 16), number as u16), SYN, number, 0)
}

#[test]
fn full_of_young_flows_refuses_more() {
    for (full, verdict) in
        [(Exception::Drop, Verdict::Drop(DropReason::FlowTableFull)), (Exception::Forward, Verdict::Allow)]
    {
        let mut world = World::new(1000, FlowSettings { full, ..FlowSettings::default() });
        for number in 0..1500 {
            let meta = world.one(syn(number).at(i64::from(number)));
            let expected = if number < 1000 { Verdict::Allow } else { verdict };
            assert_eq!((meta.verdict, meta.slot.is_some()), (expected, number < 1000));
        }
        let counters = &world.counters;
        assert_eq!((counters.flows_created, counters.flows_active, counters.flows_evicted), (1000, 1000, 0));
        let refused = (world.drops(DropReason::FlowTableFull), counters.flows_untracked);
        assert_eq!(refused, if full == Exception::Drop { (500, 0) } else { (0, 500) });
        assert!(world.records.kept.is_empty());
    }
}

#[test]
fn unanswered_flows_make_room_after_a_second() {
    let mut world = World::new(100, FlowSettings::default());
    for number in 0..100 {
        world.one(syn(number));
    }
    for number in 100..150 {
        assert!(world.one(syn(number).at(1_000_000)).slot.is_some());
    }
    assert_eq!(world.counters.flows_evicted, 50);
    assert_eq!(world.table.len(), 100);
    for record in &world.records.kept {
        assert_eq!((record.reason, record.state), (EndReason::Forced, FlowState::New));
        assert_eq!(record.ended.since(record.last).as_secs(), 1);
    }
}

#[test]
fn only_expired_flows_make_room_if_so_configured() {
    let mut world = World::new(100, FlowSettings { evict: Evict::Expired, ..FlowSettings::default() });
    for number in 0..100 {
        world.one(syn(number));
    }
    world.one(syn(100).at(30_000_000));
    assert_eq!(world.drops(DropReason::FlowTableFull), 1);
    assert_eq!(world.counters.flows_evicted, 0);
    // Idle for too long, in a second that no sweep has looked at.
    let meta = world.one(syn(101).at(30_500_000));
    assert!(meta.slot.is_some());
    assert_eq!((world.counters.flows_evicted, world.counters.flows_expired), (0, 1));
    assert_eq!(world.records.kept[0].reason, EndReason::Timeout);
}

#[test]
fn established_flows_are_never_evicted() {
    let mut world = World::new(64, FlowSettings::default());
    for port in 0..64 {
        establish(&mut world, (A.0, port));
    }
    for number in 0..1000 {
        let meta = world.one(syn(number).at(2_000_000 + i64::from(number) * 100_000));
        assert_eq!(meta.verdict, Verdict::Drop(DropReason::FlowTableFull));
    }
    assert_eq!(world.table.len(), 64);
    assert!(world.records.kept.is_empty());
}

#[test]
fn picked_up_flows_that_nobody_answers_are_evicted_too() {
    let mut world = World::new(64, FlowSettings::default());
    for port in 0..64 {
        world.one(tcp((A.0, 2000 + port), ACK, 1, 1));
    }
    assert!(world.flows().iter().all(|flow| flow.state == FlowState::Established));
    for number in 0..32 {
        assert!(world.one(syn(number).at(1_500_000)).slot.is_some());
    }
    assert_eq!(world.counters.flows_evicted, 32);
}

#[test]
fn flow_of_the_current_batch_is_never_evicted() {
    let mut world = World::new(2, FlowSettings::default());
    // Time leaps within the batch, as it can in a test or a broken capture.
    let packets: Vec<_> = (0..50_u32).map(|number| syn(number).at(i64::from(number) * 20_000_000)).collect();
    let metas = world.batch(&packets);
    assert_eq!(metas.iter().filter(|meta| meta.slot.is_some()).count(), 2);
    assert_eq!(world.drops(DropReason::FlowTableFull), 48);
    assert!(world.records.kept.is_empty());
}

#[test]
fn one_flow_is_evicted_for_one_that_comes() {
    // Four buckets: eight flows in two of them, and 24 in the other two, so that those are full and so is the table.
    let mut world = World::new(32, FlowSettings::default());
    let crowded = |world: &World, packet: &Packet| {
        let mut both = world.table.index.both(world.meta(packet).hash);
        both.sort_unstable();
        both == [2, 3]
    };
    let mut packets: Vec<_> = (0..1000).map(syn).filter(|packet| crowded(&world, packet)).take(25).collect();
    let last = packets.pop().unwrap().at(2_000_000);
    let spacious = |packet: &Packet| {
        world.table.index.both(world.meta(packet).hash).into_iter().all(|bucket| bucket < 2)
    };
    packets.extend((0..1000).map(syn).filter(spacious).take(8));
    world.batch(&packets);
    assert_eq!((world.table.len(), world.table.index.has_room(world.meta(&last).hash)), (32, false));
    assert!(world.one(last).slot.is_some());
    assert_eq!((world.table.len(), world.counters.flows_evicted, world.records.kept.len()), (32, 1, 1));
}

/// A million distinct flows in 4 seconds over a table for 20,000, half of them established.
#[test]
fn flood_cannot_evict_established_flows() {
    const CAPACITY: u32 = 20_000;
    const FLOOD: u32 = 1_000_000;
    let mut world = World::new(CAPACITY as usize, FlowSettings::default());
    for number in 0..CAPACITY / 2 {
        #[expect(clippy::cast_possible_truncation, reason = "the port is the lower half on purpose")]
        establish(&mut world, (0x0a00_0000 + (number >> 16), number as u16));
    }
    let memory = world.table.memory();
    let mut packets = Vec::new();
    for first in (0..FLOOD).step_by(100) {
        packets.clear();
        packets.extend((first..first + 100).map(|number| syn(number).at(i64::from(first) * 4)));
        world.batch(&packets);
    }
    let counters = &world.counters;
    let refused = world.drops(DropReason::FlowTableFull);
    assert_eq!(counters.flows_created - u64::from(CAPACITY / 2) + refused, u64::from(FLOOD));
    assert_eq!(
        counters.flows_created,
        counters.flows_active + counters.flows_evicted + counters.flows_expired
    );
    assert!(counters.flows_evicted > 0);
    assert_eq!(counters.flows_active, u64::from(CAPACITY));
    assert_eq!(world.table.memory(), memory);
    assert!(
        memory as u64 <= FlowTable::BYTES_PER_FLOW * u64::from(CAPACITY),
        "{memory} bytes for {CAPACITY} flows"
    );
    let established = |state: FlowState| state == FlowState::Established;
    assert!(!world.records.kept.iter().any(|record| established(record.state)));
    let alive = world.flows().iter().filter(|flow| established(flow.state)).count();
    assert_eq!(alive, (CAPACITY / 2) as usize);

    // When the flood is over, everything it left goes by itself.
    world.expire_at(4 * SECOND + 32 * SECOND);
    assert_eq!(world.table.len(), (CAPACITY / 2) as usize);
}
