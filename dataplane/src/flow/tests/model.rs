//! The table against a naive model: a map from keys to flows that is searched from end to end.

use std::collections::HashMap;

use proptest::prelude::*;
use ravelin_config::types::{Exception, Protocol};

use super::{A, B, INSIDE, MONITOR, OTHER_INSIDE, OTHER_OUTSIDE, OUTSIDE, Packet, Random, START, World};
use crate::{
    batch::Meta,
    clock::Timestamp,
    flow::{
        EndReason, Evict, FlowKey, FlowRecord, FlowSettings, FlowState, Midstream, Side, Timeouts,
        entry::{Entry, Flag, Passage, micros},
        phase::{Limits, Phase},
        tcp,
    },
    io::PortId,
    parse::{
        TcpFields,
        tcp_flags::{ACK, FIN, PSH, RST, SYN},
    },
    verdict::{DropReason, Verdict},
};

/// A packet among a few hosts and ports on two bridges and a monitor interface, so that flows meet again.
pub(super) fn random_packet(random: &mut Random) -> Packet {
    let protocol = match random.below(10) {
        0..4 => Protocol::TCP,
        4..8 => Protocol::UDP,
        8 => Protocol::ICMP,
        _ => Protocol(47),
    };
    let host = |random: &mut Random, base: u32| base + u32::try_from(random.below(4)).unwrap();
    let port = |random: &mut Random| u16::try_from(random.below(6)).unwrap();
    let source = (host(random, A.0), if random.chance(50) { 2000 } else { 0 } + port(random));
    let destination = (host(random, B.0 + 100), port(random));
    // One connection that much happens to.
    let busy = protocol == Protocol::TCP && random.chance(40);
    let (source, destination) = if busy { ((A.0, 2000), (B.0 + 100, 0)) } else { (source, destination) };
    let port = [OUTSIDE, OTHER_OUTSIDE, MONITOR][usize::try_from(random.below(3)).unwrap()];
    let mut packet = Packet::new(protocol, source, destination).on(port);
    packet.payload = u16::try_from(random.below(3) * random.below(700)).unwrap();
    packet.tcp = TcpFields {
        flags: [SYN, SYN, SYN | ACK, ACK, ACK, ACK | PSH, FIN | ACK, RST | ACK, RST, SYN | FIN]
            [usize::try_from(random.below(10)).unwrap()],
        sequence: u32::try_from(random.below(3)).unwrap(),
        acknowledgement: u32::try_from(random.below(3)).unwrap(),
        window: u16::try_from(random.below(2)).unwrap(),
    };
    if random.chance(45) { packet.back() } else { packet }
}

/// Where a packet passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Bridge,
    OtherBridge,
    Monitor,
}

impl Place {
    fn of(port: PortId) -> Self {
        match port {
            OUTSIDE | INSIDE => Self::Bridge,
            OTHER_OUTSIDE | OTHER_INSIDE => Self::OtherBridge,
            MONITOR => Self::Monitor,
            other => panic!("there is no port {other}"),
        }
    }

    /// The ports by which a flow passes whose initiator is outside, or is not.
    fn ports(self, from_outside: bool) -> (PortId, PortId) {
        match (self, from_outside) {
            (Self::Bridge, true) => (OUTSIDE, INSIDE),
            (Self::Bridge, false) => (INSIDE, OUTSIDE),
            (Self::OtherBridge, true) => (OTHER_OUTSIDE, OTHER_INSIDE),
            (Self::OtherBridge, false) => (OTHER_INSIDE, OTHER_OUTSIDE),
            (Self::Monitor, _) => (MONITOR, MONITOR),
        }
    }
}

/// What names a flow.
type Name = (FlowKey, Place);

fn name(record: &FlowRecord) -> Name {
    (record.key, Place::of(record.port_in))
}

/// A flow, kept plainly. Only the TCP state is borrowed from the real thing, which has tests of its own.
struct ModelFlow {
    connection: Entry,
    initiator: Side,
    ports: (PortId, PortId),
    first: u64,
    last: u64,
    packets: [u64; 2],
    bytes: [u64; 2],
    spoke: [bool; 2],
}

impl ModelFlow {
    fn limit(&self, limits: &Limits) -> u64 {
        limits.of(self.phase())
    }

    fn phase(&self) -> Phase {
        // TCP has no answer of this kind.
        if self.spoke == [true; 2] { self.connection.phase.answered() } else { self.connection.phase }
    }

    fn is_weak(&self) -> bool {
        self.phase().flow_state() != FlowState::Established || self.spoke != [true; 2]
    }
}

struct Model {
    flows: HashMap<Name, ModelFlow>,
    capacity: usize,
    settings: FlowSettings,
    limits: Limits,
    /// The last second that was swept.
    swept: u64,
    created: u64,
    expired: u64,
    evicted: u64,
    reopened: u64,
    refused: u64,
}

impl Model {
    /// Ends what is idle at the beginning of a second; returns names and ends.
    fn sweep(&mut self, second: u64) -> Vec<(Name, u64)> {
        if second + 60 < self.swept {
            self.swept = second;
        }
        if second <= self.swept {
            return Vec::new();
        }
        self.swept = second;
        let idle: Vec<_> = self
            .flows
            .iter()
            .filter(|(_, flow)| (second * 1_000_000).saturating_sub(flow.last) > flow.limit(&self.limits))
            .map(|(name, flow)| (*name, flow.last + flow.limit(&self.limits)))
            .collect();
        self.expired += idle.len() as u64;
        idle
    }

    fn check(&self, record: &FlowRecord) {
        let flow = &self.flows[&name(record)];
        let (to_server, to_client) = match flow.initiator {
            Side::Low => (0, 1),
            Side::High => (1, 0),
        };
        assert_eq!(
            (record.initiator, record.port_in, record.port_out),
            (flow.initiator, flow.ports.0, flow.ports.1)
        );
        assert_eq!(record.packets, [flow.packets[to_server], flow.packets[to_client]]);
        assert_eq!(record.bytes, [flow.bytes[to_server], flow.bytes[to_client]]);
        assert_eq!(record.first, Timestamp::from_micros(flow.first));
        assert_eq!(record.last, Timestamp::from_micros(flow.last));
        assert_eq!(record.state, flow.phase().flow_state());
        assert_eq!(record.tcp, flow.phase().tcp());
        let connection = flow.connection.record(0, EndReason::Active, record.worker);
        assert_eq!(record.tcp_flags, connection.tcp_flags);
        assert_eq!(record.retransmissions, connection.retransmissions);
    }

    /// What one packet does; `records` are those that the table wrote meanwhile.
    fn packet(&mut self, meta: &Meta, records: &[FlowRecord]) {
        let mut records = records.iter();
        let name = (meta.key, Place::of(meta.port));
        let time = micros(meta.time);
        let is_tcp = meta.key.protocol() == Protocol::TCP;
        let tcp_fields = meta.headers.tcp;
        if is_tcp && tcp::is_malformed(tcp_fields.flags) {
            assert_eq!(meta.verdict, Verdict::Drop(DropReason::TcpFlags));
            assert!(records.next().is_none());
            return;
        }
        let request = is_tcp && tcp_fields.flags & (SYN | ACK | RST) == SYN;
        let claim = self
            .flows
            .get(&name)
            .and_then(|flow| tcp::claimed(&flow.connection, meta.side, tcp_fields, time).filter(|_| is_tcp));
        let starts = !is_tcp
            || request
            || claim.is_some()
            || self.settings.midstream == Midstream::Pickup && tcp_fields.flags & RST == 0;
        let over = self.flows.get(&name).map(|flow| {
            let expired = time.saturating_sub(flow.last) > flow.limit(&self.limits);
            let closed = request && flow.phase().flow_state() == FlowState::Closed;
            // Asked for by the end that should have answered somebody whose request was not seen.
            let is_ping = meta.headers.icmp == [8, 0] && meta.key.protocol() == Protocol::ICMP;
            let contradicted = meta.side != flow.initiator
                && (is_ping || request && flow.connection.tcp_flags.of(flow.initiator) & SYN == 0);
            (expired, expired || closed || contradicted || claim.is_some())
        });
        match over {
            Some((_, false)) => {}
            Some((_, true)) | None if !starts => {
                let refused = is_tcp && self.settings.midstream == Midstream::Drop;
                assert_eq!(meta.verdict == Verdict::Drop(DropReason::TcpMidstream), refused);
                assert_eq!(meta.slot, None);
                assert!(records.next().is_none());
                return;
            }
            Some((expired, true)) => {
                let record = records.next().expect("the flow that was there has ended");
                self.check(record);
                let flow = self.flows.remove(&name).unwrap();
                if expired {
                    assert_eq!(record.reason, EndReason::Timeout);
                    assert_eq!(micros(record.ended), flow.last + flow.limit(&self.limits));
                    self.expired += 1;
                } else {
                    assert_eq!(record.reason, EndReason::Forced);
                    self.reopened += 1;
                }
                self.open(meta, time, claim);
            }
            None => {
                if let Some(record) = records.next() {
                    assert_eq!(self.flows.len(), self.capacity, "evicts only when it is full");
                    self.check(record);
                    let flow = self.flows.remove(&self::name(record)).unwrap();
                    let idle = time.saturating_sub(flow.last);
                    if record.reason == EndReason::Timeout {
                        assert!(idle > flow.limit(&self.limits));
                        self.expired += 1;
                    } else {
                        assert_eq!(record.reason, EndReason::Forced);
                        assert_eq!(self.settings.evict, Evict::Unreplied);
                        assert!(flow.is_weak() && idle >= 1_000_000);
                        self.evicted += 1;
                    }
                } else if self.flows.len() == self.capacity {
                    match self.settings.full {
                        Exception::Drop => assert_eq!(meta.verdict, Verdict::Drop(DropReason::FlowTableFull)),
                        Exception::Forward => assert_eq!((meta.slot, meta.verdict), (None, Verdict::Allow)),
                    }
                    self.refused += 1;
                    return;
                }
                self.open(meta, time, None);
            }
        }
        assert!(records.next().is_none());
        assert!(meta.slot.is_some());
        let flow = self.flows.get_mut(&name).unwrap();
        if is_tcp {
            let payload = u32::from(meta.headers.end - meta.headers.payload_offset);
            tcp::follow(&mut flow.connection, meta.side, tcp_fields, payload, time);
        }
        flow.packets[meta.side as usize] += 1;
        flow.bytes[meta.side as usize] += u64::from(meta.length);
        // A reset that is not believed is nothing that this end has said.
        flow.spoke[meta.side as usize] = !is_tcp || flow.connection.has(Flag::seen(meta.side));
        flow.connection.count(Passage { side: meta.side, time, length: meta.length });
        flow.last = flow.last.max(time);
    }

    fn open(&mut self, meta: &Meta, time: u64, claim: Option<u32>) {
        let flags = meta.headers.tcp.flags;
        let from_server = meta.headers.source_port < 1024 && meta.headers.destination_port >= 1024;
        let (phase, initiator) = match (meta.key.protocol(), flags & (SYN | ACK)) {
            (Protocol::TCP, _) if claim.is_some() => (Phase::TcpSynSent, meta.side.other()),
            (Protocol::TCP, SYN) => (Phase::TcpSynSent, meta.side),
            (Protocol::TCP, answer) if answer == SYN | ACK => (Phase::TcpSynRecv, meta.side.other()),
            (Protocol::TCP, _) if from_server => (Phase::TcpEstablished, meta.side.other()),
            (Protocol::TCP, _) => (Phase::TcpEstablished, meta.side),
            (protocol, _) => (Phase::unanswered(protocol), meta.side),
        };
        let place = Place::of(meta.port);
        let came_from_outside = [OUTSIDE, OTHER_OUTSIDE].contains(&meta.port);
        let ports = place.ports(came_from_outside == (initiator == meta.side));
        let (port_in, port_out) = ports;
        let passed = [Some(port_in), Some(port_out).filter(|out| *out != port_in)];
        let mut connection = Entry::open(meta.key, phase, initiator, time, passed);
        let mut spoke = [false; 2];
        if let Some(end) = claim {
            tcp::resume(&mut connection, end);
            spoke[initiator as usize] = true;
        }
        let flow = ModelFlow {
            connection,
            initiator,
            ports,
            first: time,
            last: time,
            packets: [0; 2],
            bytes: [0; 2],
            spoke,
        };
        self.flows.insert((meta.key, place), flow);
        self.created += 1;
    }
}

fn compare(seed: u64) {
    let mut random = Random::new(seed);
    let mut pick = |percent| random.chance(percent);
    let timeouts = if pick(50) {
        Timeouts::default()
    } else {
        let short = std::time::Duration::from_millis(700);
        Timeouts { tcp_syn: short, udp_new: short * 4, tcp_established: short * 10, ..Timeouts::default() }
    };
    let settings = FlowSettings {
        full: if pick(50) { Exception::Drop } else { Exception::Forward },
        evict: if pick(70) { Evict::Unreplied } else { Evict::Expired },
        midstream: if pick(70) { Midstream::Pickup } else { Midstream::Drop },
        timeouts,
    };
    let capacity = 1 + usize::try_from(random.below(100)).unwrap() * if random.chance(30) { 20 } else { 1 };
    let mut world = World::new(capacity, settings);
    let mut model = Model {
        flows: HashMap::new(),
        capacity,
        settings,
        limits: Limits::new(&timeouts),
        swept: 0,
        created: 0,
        expired: 0,
        evicted: 0,
        reopened: 0,
        refused: 0,
    };
    let mut time = 0_i64;
    for _ in 0..2000 {
        time += match random.below(300) {
            0 => 35_000_000,
            1 => -2_000_000,
            2 => 200_000_000,
            3 => -90_000_000,
            4..60 => i64::try_from(random.below(400_000)).unwrap(),
            _ => 0,
        };
        let packet = random_packet(&mut random).at(time);

        let now = Timestamp::from_micros(START.wrapping_add_signed(time));
        world.expire(now);
        let ended: Vec<_> = world.records.kept.drain(..).collect();
        for record in &ended {
            assert_eq!(record.reason, EndReason::Timeout);
            model.check(record);
        }
        let mut expected = model.sweep(now.as_secs());
        for (name, _) in &expected {
            model.flows.remove(name);
        }
        let mut ended: Vec<_> = ended.iter().map(|record| (name(record), micros(record.ended))).collect();
        ended.sort_by_key(|(name, _)| format!("{name:?}"));
        expected.sort_by_key(|(name, _)| format!("{name:?}"));
        assert_eq!(ended, expected);

        let meta = world.one(packet);
        let records: Vec<_> = world.records.kept.drain(..).collect();
        model.packet(&meta, &records);
        assert_eq!(world.table.len(), model.flows.len());
    }
    let counters = &world.counters;
    assert_eq!(counters.flows_created, model.created);
    assert_eq!(counters.flows_expired, model.expired);
    assert_eq!(counters.flows_evicted, model.evicted);
    assert_eq!(counters.flows_reopened, model.reopened);
    assert_eq!(counters.flows_active, model.flows.len() as u64);
    assert_eq!(world.drops(DropReason::FlowTableFull) + counters.flows_untracked, model.refused);
    for record in world.flows() {
        model.check(&record);
    }
    world.drain(0);
    assert_eq!(world.records.kept.len(), model.flows.len());
    for record in &world.records.kept {
        model.check(record);
        model.flows.remove(&name(record));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn agrees_with_the_model(seed in any::<u64>()) {
        compare(seed);
    }
}
