//! What the control thread may ask of a running worker: a walk over its flows, a trace of its next packets.
//!
//! A worker looks at its queue once per batch and answers into bounded rings, a few entries per batch; a reader that
//! goes away costs nothing, because the worker sees that it holds the last reference.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use crossbeam::queue::ArrayQueue;

use crate::{batch::Meta, flow::FlowRecord, handoff::WorkerId, verdict::Verdict};

/// A request to one worker.
#[derive(Debug)]
pub enum Command {
    /// Walk the flow table.
    ListFlows(Arc<FlowList>),
    /// Trace the next packets.
    Trace(Arc<TraceRing>),
}

/// A worker's queue of requests.
pub type CommandQueue = ArrayQueue<Command>;

/// The answer to [`Command::ListFlows`].
#[derive(Debug)]
pub struct FlowList {
    ring: ArrayQueue<FlowRecord>,
    finished: AtomicBool,
}

impl FlowList {
    /// An empty list that holds up to `capacity` records that have not been read.
    pub fn new(capacity: usize) -> Self {
        Self { ring: ArrayQueue::new(capacity.max(1)), finished: AtomicBool::new(false) }
    }

    /// Adds a record; `false` if the reader has to catch up first.
    pub fn push(&self, record: FlowRecord) -> bool {
        self.ring.push(record).is_ok()
    }

    /// The next record.
    pub fn pop(&self) -> Option<FlowRecord> {
        self.ring.pop()
    }

    /// Says that the walk is complete.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::Release);
    }

    /// Whether the walk is complete and every record has been read.
    pub fn is_drained(&self) -> bool {
        self.finished.load(Ordering::Acquire) && self.ring.is_empty()
    }
}

/// A step of the pipeline, for traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Headers parsed.
    Decode,
    /// Fragments tied to their first fragment.
    Fragment,
    /// The flow's owner named.
    Steer,
    /// Flow looked up or opened.
    Flow,
    /// Rules asked.
    Policy,
    /// Destination chosen.
    Forward,
}

impl Step {
    /// All steps in the order of the pipeline.
    pub const ALL: [Self; 6] =
        [Self::Decode, Self::Fragment, Self::Steer, Self::Flow, Self::Policy, Self::Forward];

    /// The step's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Fragment => "fragment",
            Self::Steer => "steer",
            Self::Flow => "flow",
            Self::Policy => "policy",
            Self::Forward => "forward",
        }
    }
}

/// One traced packet.
#[derive(Clone, Copy, Debug)]
pub struct TraceEntry {
    /// The worker that saw it.
    pub worker: WorkerId,
    /// What was known of it at the end.
    pub meta: Meta,
    /// The verdict after each step, by [`Step::ALL`]; `None` if the packet skipped the step because another worker had
    /// done it.
    pub verdicts: [Option<Verdict>; Step::ALL.len()],
}

/// The answer to [`Command::Trace`]; all workers fill one ring.
#[derive(Debug)]
pub struct TraceRing {
    ring: ArrayQueue<TraceEntry>,
    remaining: AtomicU32,
    lost: AtomicU64,
}

impl TraceRing {
    /// A ring that takes `packets` packets in all.
    pub fn new(packets: u32) -> Self {
        Self {
            ring: ArrayQueue::new((packets as usize).clamp(1, 65_536)),
            remaining: AtomicU32::new(packets),
            lost: AtomicU64::new(0),
        }
    }

    /// Whether packets are still wanted.
    pub fn is_open(&self) -> bool {
        self.remaining.load(Ordering::Relaxed) > 0
    }

    /// Takes the right to trace one packet, if packets are still wanted.
    pub fn claim(&self) -> bool {
        self.remaining.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Adds a traced packet; `false` if there was no room and it is lost.
    pub fn push(&self, entry: TraceEntry) -> bool {
        let kept = self.ring.push(entry).is_ok();
        if !kept {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        kept
    }

    /// The next traced packet.
    pub fn pop(&self) -> Option<TraceEntry> {
        self.ring.pop()
    }

    /// Packets lost because the ring was full.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Stops the trace.
    pub fn close(&self) {
        self.remaining.store(0, Ordering::Relaxed);
    }
}
