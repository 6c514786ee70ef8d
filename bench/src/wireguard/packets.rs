//! Packets through tunnels, and the same packets without, in turns of a batch.
//!
//! Several things take turns, some batches of each in a row, for under load what a worker finds in the caches is its own: a worker opens messages
//! and routes what comes out; a worker without tunnels routes the same packets, received in the clear at the same port; the first seals
//! what a host sends; the second routes that in the clear; the first seals what its own host sends through the tunnel, past flows and rules; and
//! the cipher alone, in place, over as many bytes. What they receive is written before the clock starts, so no generator is in any figure,
//! and frames are as warm as a network card leaves them.
//!
//! The library's state machine takes its turn as well, without a worker: it has a copy, two locks and its own timers besides the cipher.
//!
//! "The tunnel" is the difference of the two workers. In it: telling that a packet is a message to us, and its own decoding (that of what
//! comes out is in both), finding peer and session, the copy into the spare frame, the cipher, the replay window, allowed IPs, headers,
//! the way to the peer, counters. Not in it: flows, rules, routes of the packet itself, and sending, which both workers do.

use std::time::{Duration, Instant};

use ravelin_dataplane::{io::PortId, worker::Worker};

use super::{
    aead::{Raw, Ring},
    batches::Batches,
    gateway::{BATCH, Gateway, HEADERS, INSIDE, OUTSIDE, Remote, Shape, TUNNEL, pair, plain},
    library::Library,
};
use crate::{
    harness::{Report, nanos, ratios},
    pipeline::Discard,
};

/// What takes turns.
#[derive(Clone, Copy)]
enum Part {
    Opening,
    OpeningPlain,
    Sealing,
    SealingPlain,
    SealingHost,
    CipherSeal,
    CipherOpen,
    LibrarySeal,
    LibraryOpen,
}

impl Part {
    const COUNT: usize = 9;
    /// Those that follow one another in the same turn: what is sealed in it is opened.
    const TURNS: [&[Self]; 7] = [
        &[Self::Opening],
        &[Self::OpeningPlain],
        &[Self::Sealing],
        &[Self::SealingPlain],
        &[Self::SealingHost],
        &[Self::CipherSeal, Self::CipherOpen],
        &[Self::LibrarySeal, Self::LibraryOpen],
    ];
}

/// Nanoseconds a packet of each part.
type Times = [f64; Part::COUNT];

/// Everything that takes turns.
struct Bench {
    gateway: Gateway,
    plain: Worker<Batches, Discard>,
    cipher: Raw<Ring>,
    library: Library,
    remotes: Vec<Remote>,
    /// Frames in the clear: from the host inside, and from behind the peer; those of a batch belong to different peers.
    frames: Vec<[Vec<u8>; 2]>,
    next: usize,
}

/// How often what is measured.
pub(super) struct Runs {
    pub(super) rounds: usize,
    pub(super) turns: usize,
    /// Turns that each part has before it is another's turn.
    pub(super) in_a_row: usize,
}

/// Measures the parts with packets of a length.
pub(super) fn run(
    report: &Report,
    gateway: Gateway,
    shape: Shape,
    lengths: &[usize],
    &Runs { rounds, turns, in_a_row }: &Runs,
) {
    let mut bench = Bench::new(gateway, shape);
    for &length in lengths {
        bench.prepare(shape, length);
        let name = format!(
            "{length} B inside, {} of {} peers in use, {} allowed IPs, batch {BATCH}",
            shape.in_use,
            shape.peers,
            shape.peers * shape.addresses
        );
        report.heading(&name);
        bench.round(turns, in_a_row);
        let results: Vec<Times> = (0..rounds).map(|_| bench.round(turns, in_a_row)).collect();
        bench.tell(report, &results, length);
    }
    let counters = bench.gateway.worker.counters();
    assert_eq!((counters.balance(), counters.drops.total()), (Ok(()), 0), "nothing is lost");
}

impl Bench {
    fn new(mut gateway: Gateway, shape: Shape) -> Self {
        let remotes = (0..shape.in_use).map(|used| gateway.connect(shape.slot(used))).collect();
        let (plain, cipher, library) = (plain(), Raw::new(BATCH, 0), Library::new(0, Vec::new()));
        Self { gateway, plain, cipher, library, remotes, frames: Vec::new(), next: 0 }
    }

    fn prepare(&mut self, shape: Shape, length: usize) {
        self.cipher = Raw::new(BATCH, length);
        let each = shape.addresses.min(16);
        self.frames = (0..each * shape.in_use)
            .map(|number| {
                let slot = shape.slot(number % shape.in_use);
                // Any of those that the peer may use.
                pair(shape.address(slot, number / shape.in_use * shape.addresses / each), length)
            })
            .collect();
        self.library = Library::new(BATCH, self.frames[0][0][14..].to_vec());
        self.next = 0;
        // What a remote gets is what was sent.
        for (place, remote) in self.remotes.iter_mut().enumerate() {
            let [host, _] = &self.frames[place];
            write(&mut self.gateway.worker, INSIDE, host);
            self.gateway.worker.turn();
            let mut got = None;
            self.gateway.worker.io_mut().look(|_, frame| got = remote.open(&frame[HEADERS..]));
            assert_eq!(got.map(|packet| packet.len()), Some(length), "it comes through");
        }
    }

    /// So many turns of each part, some in a row; nanoseconds a packet.
    fn round(&mut self, turns: usize, in_a_row: usize) -> Times {
        let mut times = [Duration::ZERO; Part::COUNT];
        let rows = turns.div_ceil(in_a_row);
        for _ in 0..rows {
            let first = self.next;
            for parts in Part::TURNS {
                self.next = first;
                for _ in 0..in_a_row {
                    for part in parts {
                        times[*part as usize] += self.turn(*part);
                    }
                    self.next += BATCH;
                }
            }
        }
        times.map(|time| nanos(time) / (rows * in_a_row * BATCH) as f64)
    }

    /// How long a part takes for a batch.
    fn turn(&mut self, part: Part) -> Duration {
        let Self { gateway, plain, frames, .. } = self;
        let places = self.next..self.next + BATCH;
        let batch = places.map(|place| place % frames.len());
        let (worker, entry, frame, exit) = match part {
            Part::Opening => {
                let remotes = self.remotes.len();
                for place in batch {
                    let [_, peer] = &frames[place];
                    let remote = &mut self.remotes[place % remotes];
                    gateway.worker.io_mut().push(OUTSIDE, |room| remote.seal(&peer[14..], room));
                }
                return work(&mut gateway.worker, INSIDE);
            }
            Part::CipherSeal => return timed(|| self.cipher.seal()),
            Part::CipherOpen => return timed(|| self.cipher.open()),
            Part::LibrarySeal => return timed(|| self.library.seal()),
            Part::LibraryOpen => return timed(|| self.library.open()),
            Part::OpeningPlain => (plain, TUNNEL, 1, INSIDE),
            Part::SealingPlain => (plain, INSIDE, 0, TUNNEL),
            Part::Sealing => (&mut gateway.worker, INSIDE, 0, OUTSIDE),
            Part::SealingHost => (&mut gateway.worker, TUNNEL, 0, OUTSIDE),
        };
        batch.for_each(|place| write(worker, entry, &frames[place][frame]));
        work(worker, exit)
    }

    fn tell(&self, report: &Report, results: &[Times], length: usize) {
        let of = |part: Part| -> Vec<f64> { results.iter().map(|times| times[part as usize]).collect() };
        let gate = match length {
            1420 => Some("must 0.85, aim 0.95"),
            64 => Some("must 0.6"),
            _ => None,
        };
        for (name, whole, plain, raw, library) in [
            ("opening", Part::Opening, Part::OpeningPlain, Part::CipherOpen, Part::LibraryOpen),
            ("sealing", Part::Sealing, Part::SealingPlain, Part::CipherSeal, Part::LibrarySeal),
        ] {
            let (whole, plain, raw, library) = (of(whole), of(plain), of(raw), of(library));
            let tunnel: Vec<f64> = whole.iter().zip(&plain).map(|(whole, plain)| whole - plain).collect();
            report.figure(&format!("{name}, the whole worker"), &whole, "ns/packet", None);
            report.figure(&format!("{name}, the same packets in the clear"), &plain, "ns/packet", None);
            report.figure(&format!("{name}, the tunnel"), &tunnel, "ns/packet", None);
            report.figure(&format!("{name}, the cipher alone"), &raw, "ns/packet", None);
            report.figure(&format!("{name}, the library alone"), &library, "ns/packet", None);
            report.figure(&format!("{name}, cipher / library"), &ratios(&raw, &library), "x", None);
            report.figure(&format!("{name}, cipher / tunnel"), &ratios(&raw, &tunnel), "x", gate);
        }
        let host = of(Part::SealingHost);
        report.figure("sealing what the own host sends, the whole worker", &host, "ns/packet", None);
        report.figure("the same, cipher / worker", &ratios(&of(Part::CipherSeal), &host), "x", None);
    }
}

fn write(worker: &mut Worker<Batches, Discard>, port: PortId, frame: &[u8]) {
    worker.io_mut().push(port, |room| {
        room[..frame.len()].copy_from_slice(frame);
        frame.len()
    });
}

/// How long a worker has with what is laid out, all of which leaves through `exit`.
fn work(worker: &mut Worker<Batches, Discard>, exit: PortId) -> Duration {
    let time = timed(|| {
        worker.turn();
    });
    let sent = worker.io_mut().look(|port, _| assert_eq!(port, exit, "it leaves where it should"));
    assert_eq!(sent, BATCH, "all of them leave");
    time
}

/// How long something takes.
pub(super) fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
