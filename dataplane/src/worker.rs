//! A worker: one thread, one core, one queue of every interface, and everything it owns in plain `&mut`.
//!
//! A turn of its loop is [`Worker::turn`]: receive, decide, settle, tidy up. It shares three things with the rest of the
//! process: a snapshot reader, a published counter block and bounded rings.

use std::{sync::Arc, time::Duration};

use crate::{
    batch::{Batch, Meta, Passage},
    clock::Timestamp,
    command::{Command, CommandQueue, FlowList},
    counters::{CounterBlock, WorkerCounters},
    flow::{EndReason, RecordSink},
    handoff::{Handed, Handoff, WorkerId},
    io::{PacketIo, PortId, TransmitError},
    pipeline::{Context, Pipeline},
    snapshot::Reader,
    stop::Stop,
    tell::{is_told, tell},
    verdict::{DropReason, Verdict},
    wireguard::{Exit, Tunnels},
};

/// How a worker behaves when there is nothing to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// Never sleeps: lowest latency, a whole core.
    Spin,
    /// Looks a few more times, then sleeps until something arrives.
    #[default]
    Adaptive,
    /// Sleeps as soon as there is nothing to do.
    Sleep,
}

impl Idle {
    /// Empty turns before the worker sleeps; `None` for never.
    const fn patience(self) -> Option<u32> {
        match self {
            Self::Spin => None,
            Self::Adaptive => Some(64),
            Self::Sleep => Some(1),
        }
    }
}

/// What a worker needs besides its backend, pipeline and record sink.
#[derive(Debug)]
pub struct Links<F> {
    /// Which worker this is.
    pub id: WorkerId,
    /// Rings to and from the other workers.
    pub handoff: Handoff<F>,
    /// The configuration in force.
    pub reader: Reader,
    /// What the control thread asks for.
    pub commands: Arc<CommandQueue>,
    /// Where the counters are published.
    pub block: Arc<CounterBlock>,
}

/// One worker.
#[derive(Debug)]
pub struct Worker<I: PacketIo, R> {
    links: Links<I::Frame>,
    io: I,
    pipeline: Pipeline,
    records: R,
    batch: Batch<I::Frame>,
    tunnels: Tunnels<I::Frame>,
    counters: WorkerCounters,
    listing: Option<(Arc<FlowList>, u32)>,
}

impl<I: PacketIo, R: RecordSink> Worker<I, R> {
    /// Flows looked at for expiry in one turn.
    const EXPIRY_BUDGET: usize = 256;
    /// Flows shown to the control thread in one turn.
    const LIST_BUDGET: usize = 256;
    /// The longest sleep: expiry and the watchdog's pulse go on.
    const NAP: Duration = Duration::from_millis(100);

    /// A worker over `ports` ports, with batches of `batch` packets.
    pub fn new(
        io: I,
        pipeline: Pipeline,
        records: R,
        links: Links<I::Frame>,
        batch: usize,
        ports: usize,
    ) -> Self {
        Self {
            links,
            io,
            pipeline,
            records,
            batch: Batch::new(batch),
            tunnels: Tunnels::default(),
            counters: WorkerCounters::new(ports),
            listing: None,
        }
    }

    /// Turns until it is told to stop, then takes leave of the other workers, ends every flow and returns.
    pub fn run(&mut self, stop: &Stop, idle: Idle) {
        let mut empty_turns = 0_u32;
        while !stop.is_asked() {
            if self.turn() {
                empty_turns = 0;
                continue;
            }
            self.counters.idle_turns += 1;
            empty_turns = empty_turns.saturating_add(1);
            match idle.patience() {
                Some(patience) if empty_turns >= patience => self.sleep(),
                Some(_) | None => std::hint::spin_loop(),
            }
        }
        self.take_leave(stop);
        self.finish();
    }

    /// Turns until the backend has no more packets, as for a file; then ends every flow and returns.
    pub fn run_to_end(&mut self) {
        while self.turn() || !self.io.is_exhausted() {}
        self.finish();
    }

    /// One turn: receive a batch, decide every packet, settle them, tidy up. Returns whether there was anything to do.
    pub fn turn(&mut self) -> bool {
        let now = self.io.now();
        self.take_over();
        self.relay(now);
        self.receive(now);
        self.work(now)
    }

    /// A turn without receiving.
    fn last_turn(&mut self) -> bool {
        let now = self.io.now();
        self.take_over();
        self.work(now)
    }

    /// Decides and settles what is in the batch, and tidies up.
    fn work(&mut self, now: Timestamp) -> bool {
        self.links.reader.observe();
        let packets = self.batch.len();

        let cx = Context {
            now,
            snapshot: self.links.reader.snapshot(),
            worker: self.links.id,
            workers: self.links.handoff.workers(),
        };
        let more_due = self.pipeline.expire(&cx, Self::EXPIRY_BUDGET, &mut self.records, &mut self.counters);
        self.tunnels.follow(&cx, &mut self.io);
        if packets > 0 {
            let Self { batch, tunnels, records, counters, .. } = self;
            self.pipeline.run(&cx, batch, tunnels, records, counters);
            self.settle(now);
            self.counters.batches += 1;
        }
        let more_due = self.send_through_tunnels(now) || more_due;
        self.pipeline.flush_captures(Some(now));
        self.io.flush();

        let answering = self.answer();
        if packets > 0 {
            debug_assert_eq!(self.counters.balance(), Ok(()), "the conservation law");
        }
        self.publish();
        packets > 0 || more_due || answering
    }

    /// The worker's counters.
    pub fn counters(&self) -> &WorkerCounters {
        &self.counters
    }

    /// The worker's backend.
    pub fn io(&self) -> &I {
        &self.io
    }

    /// The worker's backend, to feed it in tests and benches.
    pub fn io_mut(&mut self) -> &mut I {
        &mut self.io
    }

    /// The worker's record sink.
    pub fn records_mut(&mut self) -> &mut R {
        &mut self.records
    }

    /// Fills up to half of the batch with packets that other workers handed over.
    fn take_over(&mut self) {
        let share = self.batch.room().div_ceil(2);
        for _ in 0..share {
            let Some(Handed { frame, meta }) = self.links.handoff.take(self.links.id) else { break };
            if meta.passage == Passage::Sealing {
                self.counters.handed_in += 1;
                self.tunnels.take(frame, &meta);
                continue;
            }
            let meta = Meta { handed_in: true, verdict: Verdict::Undecided, ..meta };
            match self.batch.push(frame, meta) {
                Ok(()) => self.counters.handed_in += 1,
                Err(frame) => self.io.release(frame),
            }
        }
    }

    /// Takes over what peers of tunnels have sent by way of the kernel.
    fn relay(&mut self, now: Timestamp) {
        let Self { links, io, tunnels, batch, counters, .. } = self;
        let plan = &links.reader.snapshot().wireguard;
        if !plan.is_empty() {
            tunnels.relay((links.id, now), plan, io, batch, counters);
        }
    }

    /// Fills the rest of the batch with received packets.
    fn receive(&mut self, now: Timestamp) {
        let start = self.batch.len();
        let received = self.io.receive(now, &mut self.batch);
        debug_assert_eq!(start + received, self.batch.len(), "receive says how many packets it appended");
        for meta in self.batch.metas().get(start..).unwrap_or_default() {
            self.counters.received += 1;
            self.counters.received_bytes += u64::from(meta.length);
            if let Some(port) = self.counters.ports.get_mut(meta.port.index()) {
                port.received += 1;
                port.received_bytes += u64::from(meta.length);
            }
        }
    }

    /// Gives every packet of the batch its one disposition.
    fn settle(&mut self, now: Timestamp) {
        let cx = Context {
            now,
            snapshot: self.links.reader.snapshot(),
            worker: self.links.id,
            workers: self.links.handoff.workers(),
        };
        let mut wake = 0_u64;
        self.batch.drain_with(|frame, meta| {
            let dropped = match meta.verdict {
                Verdict::Forward(port) if cx.snapshot.wireguard.seals(port, &meta.headers) => {
                    self.tunnels.take(frame, meta);
                    None
                }
                Verdict::Forward(port) => match self.io.transmit(port, frame) {
                    Ok(()) => {
                        forwarded(&mut self.counters, port, meta.length);
                        None
                    }
                    Err((error, frame)) => Some((transmit_reason(error), frame)),
                },
                Verdict::Local => match cx.snapshot.forward.host() {
                    Some(host) => match self.io.transmit(host, frame) {
                        Ok(()) => {
                            self.counters.local += 1;
                            None
                        }
                        Err((error, frame)) => Some((transmit_reason(error), frame)),
                    },
                    None => Some((DropReason::NoDestination, frame)),
                },
                Verdict::Handoff(worker) => {
                    match self.links.handoff.send(worker, Handed { frame, meta: *meta }) {
                        Ok(()) => {
                            self.counters.handed_off += 1;
                            wake |= 1 << worker.0;
                            None
                        }
                        Err(Handed { frame, .. }) => Some((DropReason::HandoffFull, frame)),
                    }
                }
                Verdict::Consume => {
                    self.counters.consumed += 1;
                    self.io.release(frame);
                    None
                }
                Verdict::Drop(reason) => Some((reason, frame)),
                // The forward stage leaves no packet undecided; if one came here it must not pass unjudged.
                Verdict::Undecided | Verdict::Allow => Some((DropReason::NoDestination, frame)),
            };
            if let Some((reason, frame)) = dropped {
                if is_told(reason) {
                    let parts = (&mut self.pipeline, &mut self.io, &mut self.tunnels);
                    tell(&cx, parts, &mut self.counters, reason, &frame, meta);
                }
                self.counters.drops.add(reason);
                if let Some(port) = self.counters.ports.get_mut(meta.port.index()) {
                    port.dropped += 1;
                }
                self.io.release(frame);
            }
        });
        while wake != 0 {
            let worker = wake.trailing_zeros();
            wake &= wake - 1;
            self.links.handoff.wake(WorkerId(u8::try_from(worker).unwrap_or_default()));
        }
    }

    /// Seals what leaves through tunnels, and sends it; returns whether more is due.
    fn send_through_tunnels(&mut self, now: Timestamp) -> bool {
        let cx = Context {
            now,
            snapshot: self.links.reader.snapshot(),
            worker: self.links.id,
            workers: self.links.handoff.workers(),
        };
        self.tunnels.send(
            &cx,
            &mut Exit { io: &mut self.io, handoff: &self.links.handoff, counters: &mut self.counters },
        )
    }

    /// Takes requests of the control thread and goes on with those under way; returns whether any is.
    fn answer(&mut self) -> bool {
        match self.links.commands.pop() {
            Some(Command::ListFlows(list)) => {
                if let Some((replaced, _)) = self.listing.replace((list, 0)) {
                    replaced.finish();
                }
            }
            Some(Command::Trace(ring)) => self.pipeline.trace(ring),
            None => {}
        }
        let Some((list, cursor)) = self.listing.take() else { return false };
        if Arc::strong_count(&list) == 1 {
            return false;
        }
        match self.pipeline.flow.walk(cursor, Self::LIST_BUDGET, |record| list.push(*record)) {
            Some(next) => {
                self.listing = Some((list, next));
                // A full ring waits for its reader; the worker may sleep meanwhile.
                next != cursor
            }
            None => {
                list.finish();
                true
            }
        }
    }

    fn publish(&mut self) {
        let io = self.io.counters();
        self.counters.receive_wakeups = io.receive_wakeups;
        self.counters.transmit_wakeups = io.transmit_wakeups;
        self.counters.io_errors = io.errors;
        self.counters.pool_spills = io.pool_spills;
        self.counters.pool_refills = io.pool_refills;
        self.counters.pool_empty = io.pool_empty;
        self.counters.relay_dropped = io.relay_dropped;
        [
            self.counters.decisions_active,
            self.counters.decisions_lost,
            self.counters.alerts_lost,
            self.counters.triggers_lost,
        ] = self.pipeline.flow.decisions_made();
        [self.counters.nat_mappings, self.counters.nat_mappings_created] = self.pipeline.flow.nat.counts();
        self.links.block.publish(&self.counters);
    }

    /// Sleeps until packets arrive or somebody wakes the worker.
    fn sleep(&mut self) {
        let Some(waker) = self.links.handoff.waker(self.links.id) else { return };
        waker.prepare();
        let is_relaying = self.tunnels.is_relaying(self.links.id);
        if self.links.handoff.is_empty(self.links.id) && self.links.commands.is_empty() && !is_relaying {
            // With a listing under way the reader is about to make room.
            let nap = if self.listing.is_some() { Duration::from_millis(1) } else { Self::NAP };
            self.io.wait(waker, nap);
            self.counters.sleeps += 1;
        }
        waker.awake();
    }

    /// Goes on with what other workers hand over until none of them does any more.
    fn take_leave(&mut self, stop: &Stop) {
        for round in 1..=Stop::ROUNDS {
            stop.say();
            while !stop.is_over(round, self.links.handoff.workers()) {
                if !self.last_turn() {
                    self.sleep();
                }
            }
            // What was handed over in this round, all of which is in the ring by now.
            while !self.links.handoff.is_empty(self.links.id) {
                self.last_turn();
            }
        }
    }

    /// Ends every flow, for the record.
    fn finish(&mut self) {
        let now = self.io.now();
        while self.pipeline.flow.drain(
            now,
            EndReason::Shutdown,
            Self::EXPIRY_BUDGET,
            &mut self.records,
            &mut self.counters,
        ) {}
        self.pipeline.flush_captures(None);
        self.tunnels.close(&mut Exit {
            io: &mut self.io,
            handoff: &self.links.handoff,
            counters: &mut self.counters,
        });
        self.io.flush();
        if let Some((list, _)) = self.listing.take() {
            list.finish();
        }
        self.publish();
    }
}

pub(crate) fn forwarded(counters: &mut WorkerCounters, port: PortId, length: u32) {
    counters.forwarded += 1;
    counters.forwarded_bytes += u64::from(length);
    if let Some(port) = counters.ports.get_mut(port.index()) {
        port.sent += 1;
        port.sent_bytes += u64::from(length);
    }
}

pub(crate) const fn transmit_reason(error: TransmitError) -> DropReason {
    match error {
        TransmitError::Full => DropReason::TransmitFull,
        TransmitError::Down => DropReason::TransmitDown,
    }
}
