use super::{EndReason, FlowRecord, RecordSink, Side};
use crate::{
    batch::Meta, clock::Timestamp, counters::WorkerCounters, handoff::WorkerId, io::PortId,
    pipeline::Context, policy::Judgement,
};

/// A flow's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub(crate) u32);

/// The flows of one worker.
#[derive(Debug)]
pub struct FlowTable {
    capacity: usize,
}

impl FlowTable {
    /// A table for `capacity` flows.
    pub fn new(capacity: usize, _worker: WorkerId) -> Self {
        Self { capacity }
    }

    /// Looks up or opens the flow of every keyed packet that is still undecided, tracks the connection and counts.
    pub fn run(
        &mut self,
        _cx: &Context<'_>,
        _metas: &mut [Meta],
        _records: &mut impl RecordSink,
        _counters: &mut WorkerCounters,
    ) {
    }

    /// The flow's verdict, if it was decided under `generation`.
    pub fn verdict(&self, _slot: Slot, _generation: u32) -> Option<Judgement> {
        None
    }

    /// Keeps a verdict.
    pub fn decide(&mut self, _slot: Slot, _generation: u32, _judgement: Judgement) {}

    /// Which end opened the flow, and the port at which its first packet came in.
    pub fn origin(&self, _slot: Slot) -> Option<(Side, PortId)> {
        None
    }

    /// Ends idle flows, at most `budget` of them; returns whether more are due.
    pub fn expire(
        &mut self,
        _cx: &Context<'_>,
        _budget: usize,
        _records: &mut impl RecordSink,
        _counters: &mut WorkerCounters,
    ) -> bool {
        false
    }

    /// Ends flows whatever their state, at most `budget` of them; returns whether more are left.
    pub fn drain(
        &mut self,
        _now: Timestamp,
        _reason: EndReason,
        _budget: usize,
        _records: &mut impl RecordSink,
        _counters: &mut WorkerCounters,
    ) -> bool {
        false
    }

    /// Shows live flows to `visit`, from `cursor` on, at most `budget` slots; returns where to go on, or `None` at the end.
    /// Stops early, to go on with the same flow, when `visit` returns `false`.
    pub fn walk(&self, _cursor: u32, _budget: usize, _visit: impl FnMut(&FlowRecord) -> bool) -> Option<u32> {
        None
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        0
    }

    /// Whether there is no flow.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many flows there may be.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}
