//! Tests of the flow table, without frames: packets are made as decode and steering would leave them.

mod batches;
mod changes;
mod expiry;
mod full;
mod icmp;
mod index;
mod limits;
mod model;
mod other;
mod segments;
mod tcp;
mod tcp_again;
mod triggers;
mod verdicts;

use ravelin_config::types::{Direction, Protocol};

use super::{EndReason, FlowKey, FlowRecord, FlowSettings, FlowTable, RawRecord, RecordLost, RecordSink};
use crate::{
    batch::Meta,
    clock::Timestamp,
    counters::WorkerCounters,
    forward::{NonIp, Plan, Port},
    handoff::WorkerId,
    hash::FlowHasher,
    io::PortId,
    parse::{Address, Headers, Network, TcpFields},
    pipeline::Context,
    policy::{Decision, DecisionId, PolicyStage},
    snapshot::Snapshot,
    verdict::{DropReason, Verdict},
};

pub(super) const SECOND: u64 = 1_000_000;
/// When tests begin, in microseconds.
pub(super) const START: u64 = 1_700_000_000 * SECOND;

/// A bridge.
pub(super) const OUTSIDE: PortId = PortId(0);
pub(super) const INSIDE: PortId = PortId(1);
/// Another, whose upper port is the outside.
pub(super) const OTHER_INSIDE: PortId = PortId(2);
pub(super) const OTHER_OUTSIDE: PortId = PortId(3);
pub(super) const MONITOR: PortId = PortId(4);

/// A packet to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    /// Microseconds after [`START`]; may be negative.
    pub(super) time: i64,
    pub(super) source: (u32, u16),
    pub(super) destination: (u32, u16),
    pub(super) protocol: Protocol,
    pub(super) tcp: TcpFields,
    pub(super) payload: u16,
    pub(super) port: PortId,
    pub(super) discovery: bool,
    pub(super) icmp: [u8; 2],
}

impl Packet {
    pub(super) fn new(protocol: Protocol, source: (u32, u16), destination: (u32, u16)) -> Self {
        Self {
            time: 0,
            source,
            destination,
            protocol,
            tcp: TcpFields { window: 1000, ..TcpFields::default() },
            payload: 0,
            port: OUTSIDE,
            discovery: false,
            icmp: [if protocol == Protocol::ICMPV6 { 128 } else { 8 }, 0],
        }
    }

    pub(super) fn at(self, time: i64) -> Self {
        Self { time, ..self }
    }

    pub(super) fn on(self, port: PortId) -> Self {
        Self { port, ..self }
    }

    pub(super) fn payload(self, payload: u16) -> Self {
        Self { payload, ..self }
    }

    /// The same packet from the other end.
    pub(super) fn back(self) -> Self {
        let port = match self.port {
            OUTSIDE => INSIDE,
            INSIDE => OUTSIDE,
            OTHER_OUTSIDE => OTHER_INSIDE,
            OTHER_INSIDE => OTHER_OUTSIDE,
            monitor => monitor,
        };
        let icmp = match self.icmp {
            [8, code] => [0, code],
            [0, code] => [8, code],
            [128, code] => [129, code],
            [129, code] => [128, code],
            other => other,
        };
        Self { source: self.destination, destination: self.source, port, icmp, ..self }
    }

    pub(super) fn headers(&self) -> Headers {
        const HEADERS: u16 = 54;
        Headers {
            network: Network::Ipv4,
            source: Address::v4(self.source.0.to_be_bytes()),
            destination: Address::v4(self.destination.0.to_be_bytes()),
            source_port: self.source.1,
            destination_port: self.destination.1,
            protocol: self.protocol,
            tcp: self.tcp,
            payload_offset: HEADERS,
            end: HEADERS + self.payload,
            neighbour_discovery: self.discovery,
            icmp: self.icmp,
            ..Headers::default()
        }
    }
}

/// Keeps what ends, and can be told to be full.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) kept: Vec<FlowRecord>,
    pub(super) full: bool,
}

impl RecordSink for Records {
    fn push(&mut self, record: &RawRecord) -> Result<(), RecordLost> {
        if self.full {
            return Err(RecordLost);
        }
        self.kept.push(record.read());
        Ok(())
    }
}

/// A table with everything around it that a worker has.
pub(super) struct World {
    pub(super) table: FlowTable,
    pub(super) snapshot: Snapshot,
    pub(super) records: Records,
    pub(super) counters: WorkerCounters,
    pub(super) hasher: FlowHasher,
}

impl World {
    pub(super) fn new(capacity: usize, flow: FlowSettings) -> Self {
        Self {
            table: FlowTable::new(capacity, WorkerId(0)),
            snapshot: Snapshot {
                generation: 1,
                flow,
                forward: plan(NonIp::default()),
                ..Snapshot::default()
            },
            records: Records::default(),
            counters: WorkerCounters::new(5),
            hasher: FlowHasher::fixed(1),
        }
    }

    /// A packet as decode and steering leave it.
    pub(super) fn meta(&self, packet: &Packet) -> Meta {
        let headers = packet.headers();
        let (key, side) = FlowKey::of(&headers);
        let segment = self.snapshot.forward.segment(packet.port);
        Meta {
            time: Timestamp::from_micros(START.wrapping_add_signed(packet.time)),
            length: u32::from(headers.end),
            port: packet.port,
            keyed: true,
            hash: key.hash(segment, &self.hasher),
            headers,
            key,
            side,
            segment,
            ..Meta::default()
        }
    }

    /// What a worker does with one batch: expire everything that is due, then flow and policy.
    pub(super) fn batch(&mut self, packets: &[Packet]) -> Vec<Meta> {
        let mut metas: Vec<Meta> = packets.iter().map(|packet| self.meta(packet)).collect();
        self.metas(&mut metas);
        metas
    }

    pub(super) fn metas(&mut self, metas: &mut [Meta]) {
        let Some(first) = metas.first() else { return };
        self.expire(first.time);
        let cx = context(&self.snapshot, first.time);
        self.table.run(&cx, metas, &mut self.records, &mut self.counters);
        PolicyStage.run(&cx, metas, &mut self.table);
        for meta in metas {
            if let Verdict::Drop(reason) = meta.verdict {
                self.counters.drops.add(reason);
            }
        }
    }

    /// One packet in a batch of its own.
    pub(super) fn one(&mut self, packet: Packet) -> Meta {
        self.batch(&[packet])[0]
    }

    /// Expires everything that is due.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let cx = context(&self.snapshot, now);
        while self.table.expire(&cx, 64, &mut self.records, &mut self.counters) {}
    }

    pub(super) fn expire_at(&mut self, time: u64) {
        self.expire(Timestamp::from_micros(START + time));
    }

    /// The live flow that `meta` belongs to.
    pub(super) fn flow(&self, meta: &Meta) -> Option<FlowRecord> {
        self.flows().into_iter().find(|record| record.key == meta.key)
    }

    pub(super) fn flows(&self) -> Vec<FlowRecord> {
        let mut flows = Vec::new();
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            cursor = self.table.walk(from, 7, |record| {
                flows.push(*record);
                true
            });
        }
        flows
    }

    pub(super) fn drain(&mut self, time: u64) {
        let now = Timestamp::from_micros(START + time);
        while self.table.drain(now, EndReason::Shutdown, 16, &mut self.records, &mut self.counters) {}
    }

    /// What was decided; `None` if nothing was.
    pub(super) fn decision(&self, id: DecisionId) -> Option<Decision> {
        self.table.decisions.log().get(id)
    }

    /// The rule that decided.
    pub(super) fn decider(&self, id: DecisionId) -> Option<u32> {
        self.decision(id)?.decider()
    }

    /// Why packets are dropped.
    pub(super) fn reason(&self, id: DecisionId) -> Option<DropReason> {
        self.decision(id)?.reason
    }

    pub(super) fn drops(&self, reason: DropReason) -> u64 {
        self.counters.drops.count(reason)
    }
}

/// Two bridges and a monitor interface.
pub(super) fn plan(non_ip: NonIp) -> Plan {
    let port =
        |twin, direction| Port::Bridge { twin, direction, non_ip, complete_checksums: false, mtu: 1500 };
    Plan::new(vec![
        port(INSIDE, Direction::Ingress),
        port(OUTSIDE, Direction::Egress),
        port(OTHER_OUTSIDE, Direction::Egress),
        port(OTHER_INSIDE, Direction::Ingress),
        Port::Monitor,
    ])
}

pub(super) fn context(snapshot: &Snapshot, now: Timestamp) -> Context<'_> {
    Context { now, snapshot, worker: WorkerId(0), workers: 1 }
}

/// Random numbers that are the same every time (xorshift64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

pub(super) const A: (u32, u16) = (0x0a00_0001, 40_000);
pub(super) const B: (u32, u16) = (0x0a00_0002, 443);
