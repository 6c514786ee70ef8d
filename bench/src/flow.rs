//! The flow table alone, against hashbrown with the same hashes: the packets' metadata are prepared, so that neither side
//! pays for decode or hashing.
//!
//! Both sides find the flow of a packet, open it if it is to be opened, and add to its counters; both end idle flows. That is
//! all that the peer does, which keeps as many bytes a flow and fetches nothing ahead, as its interface has no way to.
//! Ravelin's table does the rest of its work as well (direction, state, verdict, records), which the comparison does not
//! subtract.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use hashbrown::HashTable;
use ravelin_config::types::Protocol;
use ravelin_dataplane::{
    batch::Meta,
    clock::Timestamp,
    counters::WorkerCounters,
    flow::{FlowKey, FlowSettings, FlowTable, Midstream, Side},
    forward::Segment,
    handoff::WorkerId,
    hash::FlowHasher,
    io::PortId,
    parse::{Address, Headers, Network, TcpFields, Vlans, tcp_flags},
    pipeline::Context,
    snapshot::Snapshot,
    verdict::{DropReason, Verdict},
};

use crate::{
    harness::{Report, interleave, nanos, ratios, state_calibration},
    pipeline::Discard,
    traffic::splitmix,
};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Flows in the table.
    #[arg(long, value_delimiter = ',', default_value = "10000,1000000,10000000")]
    flows: Vec<u32>,
    /// What is measured.
    #[arg(long, value_delimiter = ',', default_value = "hit,miss,turnover,mixed")]
    rows: Vec<Row>,
    /// Packets per batch.
    #[arg(long, default_value_t = 64)]
    batch: u32,
    /// Batches per run of `hit` and `miss`; a tenth of them for `mixed`.
    #[arg(long, default_value_t = 30_000)]
    batches: u64,
    /// Runs.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
}

/// Some of the rows of the table.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    /// Packets of established flows.
    Hit,
    /// Packets of no flow, in a full table.
    Miss,
    /// An empty table is filled, and emptied by expiry.
    Turnover,
    /// Nine packets of ten hit, the tenth opens a flow.
    Mixed,
}

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    for &flows in &options.flows {
        let wanted = |row| options.rows.contains(&row);
        if wanted(Row::Hit) || wanted(Row::Miss) {
            let mut bench = Bench::new(flows);
            bench.establish(flows);
            if wanted(Row::Hit) {
                hit(report, options, &mut bench, flows);
            }
            if wanted(Row::Miss) {
                miss(report, options, &mut bench, flows);
            }
        }
        if wanted(Row::Turnover) {
            turnover(report, options, flows);
        }
        if wanted(Row::Mixed) {
            mixed(report, options, flows);
        }
    }
}

/// What the peer keeps per flow: as much as Ravelin's entry.
#[derive(Clone, Copy)]
struct Peer {
    key: FlowKey,
    packets: [u64; 2],
    bytes: [u64; 2],
    last: Timestamp,
    _state: [u64; 5],
}

/// A packet: its number's flow, and whether it is a reply.
type Choice = (u32, bool);

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
    /// Empty tables for `capacity` flows.
    fn new(capacity: u32) -> Self {
        let flow = FlowSettings { midstream: Midstream::Drop, ..FlowSettings::default() };
        Self {
            snapshot: Snapshot { generation: 1, flow, ..Snapshot::default() },
            hasher: FlowHasher::fixed(1),
            now: Timestamp::from_nanos(1_700_000_000_000_000_000),
            table: FlowTable::new(capacity as usize, WorkerId(0)),
            counters: WorkerCounters::new(2),
            peer: HashTable::with_capacity(capacity as usize),
            metas: Vec::new(),
        }
    }

    /// Opens `flows` flows in both tables, and answers them.
    fn establish(&mut self, flows: u32) {
        for reply in [false, true] {
            for first in (0..flows).step_by(64) {
                self.fill(first..flows.min(first + 64), Protocol::UDP, |flow| (flow, reply));
                self.own();
                self.other();
            }
        }
        assert_eq!((self.table.len(), self.peer.len()), (flows as usize, flows as usize));
    }

    /// Prepares a batch.
    fn fill<T>(&mut self, items: impl Iterator<Item = T>, protocol: Protocol, choose: impl Fn(T) -> Choice) {
        self.metas.clear();
        for item in items {
            let meta = meta(&self.hasher, self.now, protocol, choose(item));
            self.metas.push(meta);
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
            let entry = self.peer.entry(
                meta.hash,
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
            let (peer, side) = (entry.get_mut(), meta.side as usize);
            peer.packets[side] += 1;
            peer.bytes[side] += u64::from(meta.length);
            peer.last = meta.time;
        }
        black_box(&self.metas);
    }

    /// The peer's over a batch of packets that open nothing.
    fn other_find(&mut self) {
        for meta in &mut self.metas {
            if self.peer.find(meta.hash, |peer| peer.key == meta.key).is_none() {
                meta.verdict = Verdict::Drop(DropReason::TcpMidstream);
            }
        }
        black_box(&self.metas);
    }

    /// Ends all flows of Ravelin's table, which have become idle.
    fn own_expire(&mut self) {
        let cx = Context { now: self.now, snapshot: &self.snapshot, worker: WorkerId(0), workers: 1 };
        while self.table.expire(&cx, 256, &mut Discard, &mut self.counters) {}
    }

    /// Ends all of the peer's, and hands over what it kept of each, too.
    fn other_expire(&mut self) {
        let limit = self.snapshot.flow.timeouts.udp_new;
        let now = self.now;
        self.peer.retain(|peer| {
            let stays = now.since(peer.last) <= limit;
            if !stays {
                black_box(*peer);
            }
            stays
        });
    }

    /// Nanoseconds per packet of `step` over `batches` batches whose packets `choose` chooses.
    fn measure(
        &mut self,
        options: &Options,
        batches: u64,
        protocol: Protocol,
        choose: impl Fn(u64) -> Choice,
        step: fn(&mut Self),
    ) -> f64 {
        let batch = u64::from(options.batch);
        let spent: Duration = (0..batches)
            .map(|turn| {
                self.fill(turn * batch..(turn + 1) * batch, protocol, &choose);
                time(|| step(self))
            })
            .sum();
        nanos(spent) / (batches * batch) as f64
    }

    /// Nanoseconds per flow to open `flows` flows by `step`, and to end them by `expire`.
    fn turn_over(
        &mut self,
        options: &Options,
        flows: u32,
        step: fn(&mut Self),
        expire: fn(&mut Self),
    ) -> (f64, f64) {
        let insert: Duration = (0..flows)
            .step_by(options.batch as usize)
            .map(|first| {
                let batch = first..flows.min(first + options.batch);
                self.fill(batch, Protocol::UDP, |flow| (flow, false));
                time(|| step(self))
            })
            .sum();
        assert_eq!(self.table.len() + self.peer.len(), flows as usize, "every flow was opened");
        self.now = self.now + Duration::from_secs(86_400);
        let expire = time(|| expire(self));
        assert_eq!(self.table.len() + self.peer.len(), 0, "every flow has ended");
        // Spares the peer the tombstones that `retain` leaves, and what the next insertions would have to do about them.
        self.peer.clear();
        (nanos(insert) / f64::from(flows), nanos(expire) / f64::from(flows))
    }
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn meta(hasher: &FlowHasher, time: Timestamp, protocol: Protocol, (flow, reply): Choice) -> Meta {
    let [high, a, b, c] = flow.to_be_bytes();
    let client = (Address::v4([10, a, b, c]), 20_000 + u16::from(high));
    let server = (Address::v4([172, 16, 0, 1]), 4433);
    let (source, destination) = if reply { (server, client) } else { (client, server) };
    let headers = Headers {
        network: Network::Ipv4,
        protocol,
        source: source.0,
        destination: destination.0,
        source_port: source.1,
        destination_port: destination.1,
        tcp: TcpFields { flags: tcp_flags::ACK, ..TcpFields::default() },
        ..Headers::default()
    };
    let (key, side): (FlowKey, Side) = FlowKey::new(source, destination, protocol, Vlans::default());
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

/// A packet of any of `flows` flows, in either direction.
fn any(flows: u32) -> impl Fn(u64) -> Choice + Copy {
    move |n| {
        let random = splitmix(n);
        ((((random >> 32) * u64::from(flows)) >> 32) as u32, random & 1 == 1)
    }
}

fn hit(report: &Report, options: &Options, bench: &mut Bench, flows: u32) {
    report.heading(&format!("flow table, {flows} flows, hits, batch {}", options.batch));
    let choose = any(flows);
    let bench = std::cell::RefCell::new(bench);
    let measure = |step| bench.borrow_mut().measure(options, options.batches, Protocol::UDP, choose, step);
    let results =
        interleave(options.rounds, &mut [&mut || measure(Bench::own), &mut || measure(Bench::other)]);
    let [own, peer] = &results[..] else { unreachable!("two candidates") };
    compare(report, flows, "", own, peer);
}

fn miss(report: &Report, options: &Options, bench: &mut Bench, flows: u32) {
    report.heading(&format!("flow table, {flows} flows, packets of none of them, batch {}", options.batch));
    let before = bench.table.len();
    let bench = std::cell::RefCell::new(bench);
    // Every packet asks for another flow, all of them TCP, of which there is none.
    let choose = |n| (n as u32, false);
    let measure = |step| bench.borrow_mut().measure(options, options.batches, Protocol::TCP, choose, step);
    let results =
        interleave(options.rounds, &mut [&mut || measure(Bench::own), &mut || measure(Bench::other_find)]);
    let [own, peer] = &results[..] else { unreachable!("two candidates") };
    compare(report, flows, "", own, peer);
    let bench = bench.into_inner();
    assert_eq!(bench.table.len(), before, "nothing is opened");
}

fn turnover(report: &Report, options: &Options, flows: u32) {
    report.heading(&format!("flow table, {flows} flows, opened and ended, batch {}", options.batch));
    let (mut ours, mut theirs) = (Bench::new(flows), Bench::new(flows));
    // As many flows in all, whatever the size of the table; the first time, memory is touched that never was.
    let turns = (1_000_000 / flows).max(1);
    let average = |bench: &mut Bench, step, expire| {
        let (mut insert, mut end) = (0.0, 0.0);
        for _ in 0..turns {
            let (inserted, ended) = bench.turn_over(options, flows, step, expire);
            insert += inserted / f64::from(turns);
            end += ended / f64::from(turns);
        }
        (insert, end)
    };
    let mut results = [const { Vec::new() }; 6];
    for round in 0..=options.rounds {
        let own = average(&mut ours, Bench::own, Bench::own_expire);
        let peer = average(&mut theirs, Bench::other, Bench::other_expire);
        let figures = [own.0, peer.0, own.1, peer.1, own.0 + own.1, peer.0 + peer.1];
        if round > 0 {
            results.iter_mut().zip(figures).for_each(|(runs, figure)| runs.push(figure));
        }
    }
    for (pair, what) in results.chunks(2).zip(["insert", "expire", "insert and expire"]) {
        let [own, peer] = pair else { unreachable!("pairs") };
        compare(report, flows, &format!("{what}, "), own, peer);
    }
}

fn mixed(report: &Report, options: &Options, flows: u32) {
    report.heading(&format!("flow table, {flows} flows, 90 % hits and 10 % new, batch {}", options.batch));
    let batches = options.batches / 10;
    let fresh = (batches * u64::from(options.batch) / 10 * (options.rounds as u64 + 1)) as u32;
    let mut bench = Bench::new(flows + 2 * fresh);
    bench.establish(flows);
    let (next, hits) = (std::cell::Cell::new(flows), any(flows));
    let choose = |n: u64| {
        if n.is_multiple_of(10) {
            next.set(next.get() + 1);
            (next.get(), false)
        } else {
            hits(n)
        }
    };
    let bench = std::cell::RefCell::new(&mut bench);
    let measure = |step| bench.borrow_mut().measure(options, batches, Protocol::UDP, choose, step);
    let results =
        interleave(options.rounds, &mut [&mut || measure(Bench::own), &mut || measure(Bench::other)]);
    let [own, peer] = &results[..] else { unreachable!("two candidates") };
    compare(report, flows, "", own, peer);
}

fn compare(report: &Report, flows: u32, what: &str, own: &[f64], peer: &[f64]) {
    report.figure(&format!("{what}ravelin"), own, "ns", None);
    report.figure(&format!("{what}hashbrown, same hasher"), peer, "ns", None);
    let must = (flows >= 1_000_000).then_some("must 1.3");
    report.figure(&format!("{what}hashbrown / ravelin"), &ratios(peer, own), "x", must);
}
