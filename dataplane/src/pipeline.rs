//! The order of stages: this is the function to read first.

use std::sync::Arc;

use crate::{
    batch::{Batch, Meta},
    capture::{CaptureRing, CaptureStage, Point},
    clock::Timestamp,
    command::{Step, TraceEntry, TraceRing},
    counters::WorkerCounters,
    flow::{FlowTable, RecordSink, SteerStage},
    forward::ForwardStage,
    handoff::WorkerId,
    io::{Frame, PortId},
    nat,
    parse::{DecodeStage, FragmentTable},
    policy::PolicyStage,
    snapshot::Snapshot,
    verdict::Verdict,
    wireguard::Tunnels,
};

/// What every stage may know.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The time of the batch. Live packets carry the same; packets of a capture carry their own, which may be earlier or
    /// later.
    pub now: Timestamp,
    /// The configuration in force.
    pub snapshot: &'a Snapshot,
    /// This worker.
    pub worker: WorkerId,
    /// How many workers there are.
    pub workers: u8,
}

/// The stages of one worker, with the state that they own.
#[derive(Debug)]
pub struct Pipeline {
    decode: DecodeStage,
    fragments: FragmentTable,
    steer: SteerStage,
    pub(crate) flow: FlowTable,
    policy: PolicyStage,
    forward: ForwardStage,
    capture: CaptureStage,
    trace: Option<Trace>,
}

impl Pipeline {
    /// A pipeline with empty tables.
    pub fn new(steer: SteerStage, mut flow: FlowTable, fragments: FragmentTable) -> Self {
        flow.steer_by(steer.clone());
        Self {
            decode: DecodeStage,
            fragments,
            steer,
            flow,
            policy: PolicyStage,
            forward: ForwardStage::default(),
            capture: CaptureStage::default(),
            trace: None,
        }
    }

    /// Captures into a ring.
    pub fn capture_into(&mut self, ring: Arc<CaptureRing>) {
        self.capture = CaptureStage::new(ring);
    }

    /// Gives the writer of captures what waits: what has waited for long enough, or all of it if no time is given.
    pub fn flush_captures(&mut self, now: Option<Timestamp>) {
        self.capture.flush(now);
    }

    /// Decides every packet of a batch.
    pub(crate) fn run<F: Frame>(
        &mut self,
        cx: &Context<'_>,
        batch: &mut Batch<F>,
        tunnels: &mut Tunnels<F>,
        records: &mut impl RecordSink,
        counters: &mut WorkerCounters,
    ) {
        let mut trace = self.trace.take();
        let mut observe = |step, metas: &[Meta]| {
            if let Some(trace) = &mut trace {
                trace.observe(step, metas);
            }
        };

        self.decode.run(batch);
        observe(Step::Decode, batch.metas());
        tunnels.run(cx, batch, counters);
        self.steer.fragments(cx, batch.metas_mut());
        self.fragments.run(cx, batch.metas_mut(), counters);
        observe(Step::Fragment, batch.metas());
        self.flow.take_over_routing(cx);
        nat::arrive(cx, &self.flow.nat, batch.metas_mut());
        self.steer.flows(cx, batch.metas_mut());
        observe(Step::Steer, batch.metas());
        self.flow.run(cx, batch.metas_mut(), records, counters);
        observe(Step::Flow, batch.metas());
        self.flow.fetch_forwarding(cx, batch.metas());
        self.policy.run(cx, batch.metas_mut(), &mut self.flow);
        observe(Step::Policy, batch.metas());
        self.forward.decide(cx, batch.metas_mut(), &mut self.flow, counters);
        observe(Step::Forward, batch.metas());
        let decisions = self.flow.decisions.log();
        self.capture.run(Point::Received, cx, batch, decisions, counters);
        self.forward.complete(cx, batch, counters);
        self.capture.run(Point::Forwarded, cx, batch, decisions, counters);

        self.trace = trace.and_then(|trace| trace.report(cx, batch.metas(), counters));
    }

    /// Captures a packet that the appliance made in answer to another, and that leaves through a port.
    pub(crate) fn capture_injected(
        &mut self,
        cx: &Context<'_>,
        packet: (&[u8], PortId),
        answered: &Meta,
        counters: &mut WorkerCounters,
    ) {
        self.capture.run_injected(cx, packet, answered, self.flow.decisions.log(), counters);
    }

    /// Ends idle flows and forgets old fragments, within `budget`; returns whether more are due.
    pub fn expire(
        &mut self,
        cx: &Context<'_>,
        budget: usize,
        records: &mut impl RecordSink,
        counters: &mut WorkerCounters,
    ) -> bool {
        self.fragments.expire(cx, budget, counters);
        self.flow.expire(cx, budget, records, counters)
    }

    /// Traces the next packets.
    pub fn trace(&mut self, ring: Arc<TraceRing>) {
        self.trace = Some(Trace { ring, verdicts: vec![[None; Step::ALL.len()]; Batch::<()>::MAX] });
    }

    /// Whether packets are being traced.
    pub fn is_tracing(&self) -> bool {
        self.trace.is_some()
    }
}

/// A trace that is under way: the verdict of each packet of the batch after each step.
#[derive(Debug)]
struct Trace {
    ring: Arc<TraceRing>,
    verdicts: Vec<[Option<Verdict>; Step::ALL.len()]>,
}

impl Trace {
    fn observe(&mut self, step: Step, metas: &[Meta]) {
        for (verdicts, meta) in self.verdicts.iter_mut().zip(metas) {
            if let Some(verdict) = verdicts.get_mut(step as usize) {
                *verdict = (!(meta.handed_in && step == Step::Decode)).then_some(meta.verdict);
            }
        }
    }

    /// Reports the batch; gives itself back while more packets are wanted and somebody is there to read them.
    fn report(self, cx: &Context<'_>, metas: &[Meta], counters: &mut WorkerCounters) -> Option<Self> {
        for (verdicts, meta) in self.verdicts.iter().zip(metas) {
            if !self.ring.claim() {
                return None;
            }
            if !self.ring.push(TraceEntry { worker: cx.worker, meta: *meta, verdicts: *verdicts }) {
                counters.traces_lost += 1;
            }
        }
        (self.ring.is_open() && Arc::strong_count(&self.ring) > 1).then_some(self)
    }
}
