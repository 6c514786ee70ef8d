//! Workers over memory, for tests that look at the packet path from outside.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses its own part of this"
)]

pub mod router;

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex},
};

use ravelin_config::types::{Direction, PortRange};
use ravelin_dataplane::{
    capture::CaptureRing,
    clock::Timestamp,
    command::CommandQueue,
    counters::{CounterBlock, WorkerCounters},
    flow::{FlowRecord, FlowTable, RawRecord, RecordLost, RecordSink, SteerStage},
    forward::{NonIp, Plan, Port},
    handoff::{Handoff, WorkerId},
    hash::FlowHasher,
    io::{
        PacketIo, PortId,
        memory::{MemoryFrame, MemoryIo},
    },
    parse::FragmentTable,
    pipeline::Pipeline,
    policy::{
        Classifier, Effect, OnChange, Outcome, PolicySet, Position, ProtocolMatch, Rule, RuleId, SetId,
        Sides, ZoneSet,
    },
    snapshot::{Publisher, Snapshot},
    wake::Waker,
    worker::{Links, Worker},
};

/// Keeps every record.
#[derive(Clone, Default)]
pub struct Kept(pub Arc<Mutex<Vec<FlowRecord>>>);

impl RecordSink for Kept {
    fn push(&mut self, record: &RawRecord) -> Result<(), RecordLost> {
        self.0.lock().unwrap().push(record.read());
        Ok(())
    }
}

/// One worker over any backend and sink.
pub fn worker_over<I: PacketIo, R: RecordSink>(io: I, records: R, plant: Plant) -> Worker<I, R> {
    let id = WorkerId(0);
    let pipeline = Pipeline::new(
        SteerStage::new(FlowHasher::fixed(7)),
        FlowTable::new(plant.flows, id),
        FragmentTable::new(plant.fragments),
    );
    let links = Links {
        id,
        handoff: Handoff::new(plant.ring, Arc::new([Waker::new().unwrap()])),
        reader: Publisher::new(plant.snapshot, 1).reader(id),
        commands: Arc::new(CommandQueue::new(4)),
        block: Arc::new(CounterBlock::new(3)),
    };
    Worker::new(io, pipeline, records, links, plant.batch, 3)
}

pub type TestWorker = Worker<MemoryIo, Kept>;

/// An appliance in memory.
pub struct Appliance {
    pub workers: Vec<TestWorker>,
    pub publisher: Publisher,
    pub records: Kept,
    pub commands: Vec<Arc<CommandQueue>>,
    pub blocks: Vec<Arc<CounterBlock>>,
}

/// What an appliance is made of.
pub struct Plant {
    pub workers: u8,
    pub flows: usize,
    pub fragments: usize,
    pub ring: usize,
    pub batch: usize,
    pub snapshot: Snapshot,
    pub captures: Option<Arc<CaptureRing>>,
}

impl Default for Plant {
    fn default() -> Self {
        let snapshot = bridge();
        Self { workers: 1, flows: 1024, fragments: 64, ring: 256, batch: 64, snapshot, captures: None }
    }
}

fn port(twin: u8, direction: Direction) -> Port {
    Port::Bridge {
        twin: PortId(twin),
        direction,
        non_ip: NonIp::default(),
        complete_checksums: true,
        mtu: 1500,
    }
}

/// Ports 0 and 1 joined, and ports 2 and 3.
pub fn two_bridges() -> Snapshot {
    let pair = |low| [port(low + 1, Direction::Ingress), port(low, Direction::Egress)];
    Snapshot { forward: Plan::new([pair(0), pair(2)].concat()), ..Snapshot::default() }
}

/// Ports 0 (outside) and 1 (inside) joined, port 2 a monitor; everything is allowed.
pub fn bridge() -> Snapshot {
    let ports = vec![port(1, Direction::Ingress), port(0, Direction::Egress), Port::Monitor];
    Snapshot { forward: Plan::new(ports), ..Snapshot::default() }
}

/// A policy of one list about the destination of flows, by destination port (for ICMP, type and code).
pub fn policy(lines: &[(RangeInclusive<u16>, Effect, OnChange)]) -> PolicySet {
    let any = PortRange::new(0, u16::MAX).unwrap();
    let rules = lines.iter().zip(0..).map(|((ports, ..), place)| Rule {
        position: Position(place),
        source: SetId::ANY,
        destination: SetId::ANY,
        protocol: ProtocolMatch::Any,
        source_ports: any,
        destination_ports: PortRange::new(*ports.start(), *ports.end()).unwrap(),
        outcome: place,
    });
    let outcomes = lines.iter().zip(1..).map(|(&(_, effect, on_change), rule)| Outcome {
        rule: RuleId(rule),
        effect,
        is_default: false,
        on_change,
        limit: None,
        captures: false,
        zones: [ZoneSet::ANY; 2],
    });
    let ingress = Classifier::new(Vec::new(), rules.collect());
    let enforced = Sides { ingress, ..Sides::default() };
    PolicySet { enforced, outcomes: outcomes.collect(), ..PolicySet::default() }
}

/// The same policy, in which a line, counted from 0, is only about flows between these zones.
pub fn between(policy: PolicySet, line: usize, zones: [ZoneSet; 2]) -> PolicySet {
    let outcomes = policy.outcomes.iter().enumerate();
    let outcomes =
        outcomes.map(|(place, outcome)| if place == line { Outcome { zones, ..*outcome } } else { *outcome });
    PolicySet { outcomes: outcomes.collect(), ..policy }
}

impl Appliance {
    pub fn new(plant: Plant) -> Self {
        let wakers: Arc<[Waker]> = (0..plant.workers).map(|_| Waker::new().unwrap()).collect();
        let handoff: Handoff<MemoryFrame> = Handoff::new(plant.ring, wakers);
        let publisher = Publisher::new(plant.snapshot, plant.workers);
        let records = Kept::default();
        let commands: Vec<_> = (0..plant.workers).map(|_| Arc::new(CommandQueue::new(4))).collect();
        let blocks: Vec<_> = (0..plant.workers).map(|_| Arc::new(CounterBlock::new(3))).collect();
        let workers = (0..plant.workers)
            .map(|number| {
                let id = WorkerId(number);
                let mut pipeline = Pipeline::new(
                    SteerStage::new(FlowHasher::fixed(7)),
                    FlowTable::new(plant.flows, id),
                    FragmentTable::new(plant.fragments),
                );
                plant.captures.iter().for_each(|ring| pipeline.capture_into(Arc::clone(ring)));
                let links = Links {
                    id,
                    handoff: handoff.clone(),
                    reader: publisher.reader(id),
                    commands: Arc::clone(&commands[usize::from(number)]),
                    block: Arc::clone(&blocks[usize::from(number)]),
                };
                Worker::new(MemoryIo::new(), pipeline, records.clone(), links, plant.batch, 3)
            })
            .collect();
        Self { workers, publisher, records, commands, blocks }
    }

    /// Lets a worker receive a packet.
    pub fn push(&mut self, worker: usize, port: u8, micros: u64, bytes: &[u8]) {
        self.workers[worker].io_mut().push(Timestamp::from_micros(micros), PortId(port), bytes);
    }

    /// Turns all workers until none has anything to do.
    pub fn settle(&mut self) {
        while self.workers.iter_mut().map(Worker::turn).fold(false, |any, busy| any | busy) {}
    }

    /// All workers' counters, each of which must balance.
    pub fn counters(&self) -> WorkerCounters {
        let mut sum = WorkerCounters::new(3);
        for worker in &self.workers {
            assert_eq!(worker.counters().balance(), Ok(()), "the conservation law");
            sum.add(worker.counters());
        }
        sum
    }

    /// What all workers sent.
    pub fn sent(&mut self) -> Vec<(PortId, Vec<u8>)> {
        self.workers.iter_mut().flat_map(|worker| worker.io_mut().sent()).collect()
    }
}

/// A UDP packet between two hosts of 10.0.0.0/16.
pub fn udp(source: (u16, u16), destination: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let host = |number: u16| {
        let [high, low] = number.to_be_bytes();
        [10, 0, high, low]
    };
    let mut bytes = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(host(source.0), host(destination.0), 64)
        .udp(source.1, destination.1)
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}
