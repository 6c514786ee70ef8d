//! The flow table alone, against hashbrown with the same hashes: the packets' metadata are prepared, so that neither side
//! pays for decode or hashing.
//!
//! Both sides do the same work per packet: find the flow of a packet, or open it, and add to its counters. Ravelin's
//! table does more (direction, state, verdict, expiry), which the comparison does not subtract.

use std::{hint::black_box, time::Duration};

use hashbrown::HashTable;
use ravelin_config::types::Protocol;
use ravelin_dataplane::{
    batch::Meta,
    clock::Timestamp,
    counters::WorkerCounters,
    flow::{FlowKey, FlowTable, Side},
    forward::Segment,
    handoff::WorkerId,
    hash::FlowHasher,
    io::PortId,
    parse::{Address, Headers, Network, Vlans},
    pipeline::Context,
    snapshot::Snapshot,
    verdict::Verdict,
};

use crate::{
    harness::{Report, interleave, nanos_per_item, ratios, state_calibration},
    pipeline::Discard,
    traffic::splitmix,
};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Flows in the table.
    #[arg(long, value_delimiter = ',', default_value = "10000,1000000,10000000")]
    flows: Vec<u32>,
    /// Packets per batch.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Batches per run.
    #[arg(long, default_value_t = 30_000)]
    batches: u64,
    /// Runs.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
}

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    for &flows in &options.flows {
        hits(report, options, flows);
        mixed(report, options, flows);
    }
}

/// What the peer keeps per flow: as much as fits into the size of Ravelin's entry.
struct Peer {
    key: FlowKey,
    packets: [u64; 2],
    bytes: [u64; 2],
    last: Timestamp,
    _state: [u64; 5],
}

struct Bench {
    snapshot: Snapshot,
    hasher: FlowHasher,
    now: Timestamp,
    table: FlowTable,
    counters: WorkerCounters,
    peer: HashTable<Peer>,
    metas: Vec<Meta>,
}

impl Bench {
    fn new(flows: u32, capacity: u32) -> Self {
        let mut bench = Self {
            snapshot: Snapshot { generation: 1, ..Snapshot::default() },
            hasher: FlowHasher::fixed(1),
            now: Timestamp::from_nanos(1_700_000_000_000_000_000),
            table: FlowTable::new(capacity as usize, WorkerId(0)),
            counters: WorkerCounters::new(2),
            peer: HashTable::with_capacity(capacity as usize),
            metas: Vec::new(),
        };
        for reply in [false, true] {
            let mut next = 0;
            while next < flows {
                let upto = flows.min(next + 64);
                bench.fill(next..upto, |flow| (flow, reply));
                bench.own();
                bench.other();
                next = upto;
            }
        }
        assert_eq!(bench.table.len(), flows as usize);
        assert_eq!(bench.peer.len(), flows as usize);
        bench
    }

    /// Prepares a batch.
    fn fill<T>(&mut self, items: impl Iterator<Item = T>, flow: impl Fn(T) -> (u32, bool)) {
        self.metas.clear();
        for item in items {
            let (flow, reply) = flow(item);
            self.metas.push(meta(&self.hasher, self.now, flow, reply));
        }
    }

    /// Ravelin's table over the batch.
    fn own(&mut self) {
        let cx = Context { now: self.now, snapshot: &self.snapshot, worker: WorkerId(0), workers: 1 };
        self.table.run(&cx, &mut self.metas, &mut Discard, &mut self.counters);
        black_box(&self.metas);
    }

    /// The peer's over the same batch.
    fn other(&mut self) {
        for meta in &self.metas {
            let side = meta.side as usize;
            let hash = meta.hash;
            let entry = self.peer.entry(
                hash,
                |peer| peer.key == meta.key,
                |peer| peer.key.hash(Segment::default(), &self.hasher),
            );
            let mut entry = entry.or_insert_with(|| Peer {
                key: meta.key,
                packets: [0; 2],
                bytes: [0; 2],
                last: meta.time,
                _state: [0; 5],
            });
            let peer = entry.get_mut();
            peer.packets[side] += 1;
            peer.bytes[side] += u64::from(meta.length);
            peer.last = meta.time;
        }
        black_box(&self.metas);
    }

    /// Nanoseconds per packet of `step` over `batches` batches whose packets `flow` chooses.
    fn measure(
        &mut self,
        batches: u64,
        batch: usize,
        flow: impl Fn(u64) -> (u32, bool),
        step: fn(&mut Self),
    ) -> f64 {
        let mut spent = Duration::ZERO;
        for turn in 0..batches {
            let first = turn * batch as u64;
            self.fill(first..first + batch as u64, &flow);
            let start = std::time::Instant::now();
            step(self);
            spent += start.elapsed();
        }
        spent.as_secs_f64() * 1e9 / (batches * batch as u64) as f64
    }
}

fn meta(hasher: &FlowHasher, time: Timestamp, flow: u32, reply: bool) -> Meta {
    let [high, a, b, c] = flow.to_be_bytes();
    let client = (Address::v4([10, a, b, c]), 20_000 + u16::from(high));
    let server = (Address::v4([172, 16, 0, 1]), 4433);
    let (source, destination) = if reply { (server, client) } else { (client, server) };
    let headers = Headers {
        network: Network::Ipv4,
        protocol: Protocol::UDP,
        source: source.0,
        destination: destination.0,
        source_port: source.1,
        destination_port: destination.1,
        ..Headers::default()
    };
    let (key, side): (FlowKey, Side) = FlowKey::new(source, destination, Protocol::UDP, Vlans::default());
    Meta {
        time,
        length: 60,
        port: PortId(u8::from(reply)),
        keyed: true,
        headers,
        key,
        side,
        hash: key.hash(Segment::default(), hasher),
        verdict: Verdict::Undecided,
        ..Meta::default()
    }
}

fn scaled(random: u64, range: u32) -> u32 {
    (((random >> 32) * u64::from(range)) >> 32) as u32
}

/// Packets of established flows.
fn hits(report: &Report, options: &Options, flows: u32) {
    report.heading(&format!("flow table, {flows} flows, hits, batch {}", options.batch));
    let mut bench = Bench::new(flows, flows);
    let flow = |n: u64| (scaled(splitmix(n), flows), splitmix(n) & 1 == 1);
    compare(report, options, &mut bench, &flow, flows);
}

/// Nine packets of ten hit, the tenth opens a flow; what was opened is ended by expiry.
fn mixed(report: &Report, options: &Options, flows: u32) {
    report.heading(&format!("flow table, {flows} flows, 90 % hits and 10 % new, batch {}", options.batch));
    let batches = options.batches / 10;
    let fresh = (batches * options.batch as u64 / 10 * (options.rounds as u64 + 1)) as u32;
    let mut bench = Bench::new(flows, flows + 2 * fresh);
    let options = Options { batches, ..options.clone() };
    let next = std::cell::Cell::new(flows);
    let flow = |n: u64| {
        if n.is_multiple_of(10) {
            next.set(next.get() + 1);
            (next.get(), false)
        } else {
            (scaled(splitmix(n), flows), splitmix(n) & 1 == 1)
        }
    };
    compare(report, &options, &mut bench, &flow, 0);

    let active = bench.table.len() as u64;
    bench.now = bench.now + Duration::from_secs(86_400);
    let expire = nanos_per_item(|| {
        let cx = Context { now: bench.now, snapshot: &bench.snapshot, worker: WorkerId(0), workers: 1 };
        while bench.table.expire(&cx, 256, &mut Discard, &mut bench.counters) {}
        active
    });
    assert!(bench.table.is_empty(), "everything expires");
    report.figure("ravelin, expire", &[expire], "ns/flow", None);
}

fn compare(
    report: &Report,
    options: &Options,
    bench: &mut Bench,
    flow: &dyn Fn(u64) -> (u32, bool),
    gate: u32,
) {
    let bench = std::cell::RefCell::new(bench);
    let measure = |step| bench.borrow_mut().measure(options.batches, options.batch, flow, step);
    let results =
        interleave(options.rounds, &mut [&mut || measure(Bench::own), &mut || measure(Bench::other)]);
    let [own, peer] = &results[..] else { unreachable!("two candidates") };
    report.figure("ravelin", own, "ns/packet", None);
    report.figure("hashbrown, same hasher", peer, "ns/packet", None);
    let must = (gate >= 1_000_000).then_some("must 1.3");
    report.figure("hashbrown / ravelin", &ratios(peer, own), "x", must);
}
