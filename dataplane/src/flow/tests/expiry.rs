//! Idle flows end in time, never early, in bounded steps.

use std::time::Duration;

use ravelin_config::types::Protocol;

use super::{A, B, Packet, Random, SECOND, START, World, context};
use crate::{
    clock::Timestamp,
    flow::{EndReason, FlowSettings, Timeouts},
    parse::{
        TcpFields,
        tcp_flags::{ACK, RST, SYN},
    },
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn nothing_ends_early_and_everything_in_time() {
    let timeouts = Timeouts {
        udp_new: seconds(30),
        udp_established: seconds(1000),
        icmp: seconds(127),
        other_new: seconds(128),
        other_established: Duration::from_millis(1500),
        ..Timeouts::default()
    };
    let mut world = World::new(2000, FlowSettings { timeouts, ..FlowSettings::default() });
    let mut random = Random::new(42);
    let mut deadlines = std::collections::HashMap::new();
    for port in 1..=1000 {
        let protocol = [Protocol::UDP, Protocol::ICMP, Protocol(99)][port as usize % 3];
        let time = i64::from(port) * 1_000;
        let packet = Packet::new(protocol, (A.0, port), (B.0, port)).at(time);
        let meta = world.one(packet);
        let mut limit = match protocol {
            Protocol::UDP => timeouts.udp_new,
            Protocol::ICMP => timeouts.icmp,
            _ => timeouts.other_new,
        };
        if random.chance(50) {
            world.one(packet.back());
            limit = match protocol {
                Protocol::UDP => timeouts.udp_established,
                Protocol::ICMP => timeouts.icmp,
                _ => timeouts.other_established,
            };
        }
        deadlines.insert(meta.key, meta.time + limit);
    }
    assert_eq!(world.table.len(), 1000);
    for half_second in 2..=2004 {
        let now = Timestamp::from_micros(START + half_second * SECOND / 2);
        world.expire(now);
        for record in world.records.kept.drain(..) {
            let deadline = deadlines.remove(&record.key).expect("ends once");
            assert_eq!((record.reason, record.ended), (EndReason::Timeout, deadline));
            assert!(deadline < now, "early");
            assert!(now.since(deadline) <= seconds(2), "late");
        }
        assert!(deadlines.values().all(|deadline| *deadline + seconds(2) > now), "forgotten");
    }
    assert!(world.table.is_empty());
    assert_eq!(world.counters.flows_expired, 1000);
    assert_eq!(world.counters.records_written, 1000);
}

#[test]
fn packets_put_the_end_off() {
    let mut world = World::new(8, FlowSettings::default());
    let packet = Packet::new(Protocol::UDP, A, B);
    for second in 0..300 {
        world.one(packet.at(second * 1_000_000 + 5));
    }
    assert!(world.records.kept.is_empty());
    world.expire_at(299 * SECOND + 30 * SECOND);
    assert_eq!(world.table.len(), 1);
    world.expire_at(330 * SECOND);
    assert_eq!(world.records.kept[0].ended, Timestamp::from_micros(START + 329 * SECOND + 5));
    assert_eq!(world.records.kept[0].packets, [300, 0]);
}

#[test]
fn packet_after_the_end_opens_a_new_flow() {
    let mut world = World::new(8, FlowSettings::default());
    let packet = Packet::new(Protocol::UDP, A, B);
    let slot = world.one(packet).slot;
    world.one(packet.at(30_000_000));
    assert!(world.records.kept.is_empty(), "exactly as long as allowed");
    // In the second in which it is due, but before a sweep could know.
    world.expire_at(60 * SECOND);
    let meta = world.one(packet.back().at(60_000_001));
    assert_eq!(meta.slot, slot);
    let ended = world.records.kept[0];
    assert_eq!((ended.reason, ended.packets), (EndReason::Timeout, [2, 0]));
    assert_eq!(ended.ended, Timestamp::from_micros(START + 60 * SECOND));
    let flow = world.flow(&meta).unwrap();
    assert_eq!((flow.packets, flow.initiator), ([1, 0], meta.side));
    assert_eq!((world.counters.flows_created, world.counters.flows_expired), (2, 1));
}

#[test]
fn budget_bounds_a_call() {
    let mut world = World::new(1000, FlowSettings::default());
    for port in 1..=1000 {
        world.one(Packet::new(Protocol::UDP, A, (B.0, port)));
    }
    let now = Timestamp::from_micros(START + 31 * SECOND);
    let cx = context(&world.snapshot, now);
    let mut calls = 0;
    loop {
        let before = world.records.kept.len();
        let more = world.table.expire(&cx, 10, &mut world.records, &mut world.counters);
        assert!(world.records.kept.len() - before <= 10);
        calls += 1;
        if !more {
            break;
        }
    }
    assert!(world.table.is_empty());
    assert!(calls >= 100);
}

#[test]
fn state_that_allows_less_shortens_the_wait() {
    let mut world = World::new(8, FlowSettings::default());
    let tcp = |flags, sequence, acknowledgement| {
        let mut packet = Packet::new(Protocol::TCP, A, B);
        packet.tcp = TcpFields { flags, sequence, acknowledgement, window: 1 };
        packet
    };
    world.one(tcp(SYN, 0, 0));
    world.one(tcp(SYN | ACK, 0, 1).back());
    world.one(tcp(ACK, 1, 1));
    world.expire_at(3000 * SECOND);
    assert_eq!(world.table.len(), 1);
    world.one(tcp(RST, 1, 0).at(3_000_000_000));
    world.expire_at(3010 * SECOND);
    assert_eq!(world.table.len(), 1);
    world.expire_at(3011 * SECOND);
    assert_eq!(world.table.len(), 0);
}

#[test]
fn new_timeouts_bite_flows_that_are_idle_already() {
    let mut world = World::new(8, FlowSettings::default());
    let packet = Packet::new(Protocol::UDP, A, B);
    world.batch(&[packet, packet.back()]);
    world.expire_at(100 * SECOND);
    world.snapshot.flow.timeouts.udp_established = seconds(50);
    world.expire_at(101 * SECOND);
    assert!(world.table.is_empty());
    assert_eq!(world.records.kept[0].ended, Timestamp::from_micros(START + 50 * SECOND));

    world.one(packet.at(102_000_000));
    world.snapshot.flow.timeouts.udp_new = seconds(5000);
    world.expire_at(5102 * SECOND);
    assert_eq!(world.table.len(), 1);
    world.expire_at(5103 * SECOND);
    assert!(world.table.is_empty());
}

#[test]
fn time_that_goes_back_breaks_nothing() {
    let mut world = World::new(8, FlowSettings::default());
    let packet = Packet::new(Protocol::UDP, A, B);
    let meta = world.one(packet.at(100_000_000));
    // A little: the flow keeps its later time, and nothing ends.
    world.one(packet.at(95_000_000));
    let flow = world.flow(&meta).unwrap();
    assert_eq!((flow.packets, flow.last), ([2, 0], meta.time));
    // Another capture, a year earlier: its flows end by its own clock.
    let year = 365 * 86_400_000_000_i64;
    let other = Packet::new(Protocol::UDP, A, (B.0, 53));
    world.one(other.at(-year));
    world.one(other.at(-year + 1_000_000));
    world.one(Packet::new(Protocol::UDP, A, (B.0, 54)).at(-year + 40_000_000));
    assert_eq!(world.records.kept.len(), 1);
    assert_eq!(world.records.kept[0].packets, [2, 0]);
    assert_eq!(world.table.len(), 2);
    // And forward again.
    world.expire_at(200 * SECOND);
    assert!(world.table.is_empty());
}
