use std::{sync::Arc, time::Duration};

use super::{CaptureRing, Fate, Label, Point, Selection, plan::ask, ring::Recorder};
use crate::{
    batch::{Batch, Meta},
    clock::Timestamp,
    counters::WorkerCounters,
    io::{Frame, PortId},
    pipeline::Context,
    policy::DecisionLog,
    verdict::Verdict,
};

/// Copies the packets that captures want into a bounded ring. What finds no room there is counted, and goes its way all the same.
#[derive(Debug, Default)]
pub struct CaptureStage {
    recorder: Option<Recorder>,
}

impl CaptureStage {
    /// How long packets wait for others until the writer is given them.
    const LINGER: Duration = Duration::from_millis(100);

    /// A stage that captures into a ring.
    pub fn new(ring: Arc<CaptureRing>) -> Self {
        Self { recorder: Some(Recorder::new(ring)) }
    }

    /// Runs over one batch at a point: before anything of its packets is changed, or when all that leaves is as it will be.
    pub fn run<F: Frame>(
        &mut self,
        point: Point,
        cx: &Context<'_>,
        batch: &mut Batch<F>,
        decisions: &DecisionLog,
        counters: &mut WorkerCounters,
    ) {
        let wanted = cx.snapshot.capture.at(point);
        let Some(recorder) = self.recorder.as_mut().filter(|_| !wanted.is_empty()) else { return };
        for (frame, meta) in batch.iter_mut() {
            let (port, packet) = match (point, meta.verdict) {
                (_, Verdict::Handoff(_)) => continue,
                (Point::Received, _) => (meta.port, frame.received()),
                (Point::Forwarded, Verdict::Forward(port)) => (port, frame.bytes()),
                (
                    Point::Forwarded,
                    Verdict::Undecided
                    | Verdict::Allow
                    | Verdict::Local
                    | Verdict::Consume
                    | Verdict::Drop(_),
                ) => continue,
            };
            let label = label(cx, meta, port, fate(meta.verdict));
            offer(recorder, wanted, meta, label, packet, decisions, counters);
        }
    }

    /// Captures a packet that the appliance made itself in answer to another, and that leaves through `port`. What is known of the other
    /// says of which flow it is, and by which decision.
    pub(crate) fn run_injected(
        &mut self,
        cx: &Context<'_>,
        (packet, port): (&[u8], PortId),
        answered: &Meta,
        decisions: &DecisionLog,
        counters: &mut WorkerCounters,
    ) {
        let wanted = cx.snapshot.capture.at(Point::Forwarded);
        let Some(recorder) = self.recorder.as_mut().filter(|_| !wanted.is_empty()) else { return };
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let mut meta = Meta { length, verdict: Verdict::Forward(port), ..*answered };
        if port == answered.port {
            // It goes back.
            let headers = &mut meta.headers;
            (headers.source, headers.destination) = (headers.destination, headers.source);
        }
        let label = label(cx, &meta, port, Fate::INJECTED);
        offer(recorder, wanted, &meta, label, packet, decisions, counters);
    }

    /// Gives the writer what has waited for long enough, or everything.
    pub fn flush(&mut self, now: Option<Timestamp>) {
        let Some(recorder) = &mut self.recorder else { return };
        let waits = recorder.oldest();
        if waits.is_some_and(|oldest| now.is_none_or(|now| now.since(oldest) >= Self::LINGER)) {
            recorder.flush();
        }
    }
}

/// Copies a packet if it is wanted and there is room.
#[inline(always)]
fn offer(
    recorder: &mut Recorder,
    wanted: &[Selection],
    meta: &Meta,
    label: Label,
    packet: &[u8],
    decisions: &DecisionLog,
    counters: &mut WorkerCounters,
) {
    counters.capture_offered += 1;
    let (captures, kept) = ask(wanted, meta, packet, decisions);
    if captures == 0 {
        counters.capture_filtered += 1;
    } else if recorder.record(&Label { captures, ..label }, packet, kept) {
        counters.captured += 1;
    } else {
        counters.capture_lost += 1;
    }
}

fn label(cx: &Context<'_>, meta: &Meta, port: PortId, fate: Fate) -> Label {
    Label {
        interface: u32::from(port.0),
        time: meta.time,
        length: meta.length,
        fate,
        decision: meta.decision.0,
        worker: cx.worker.0,
        captures: 0,
    }
}

const fn fate(verdict: Verdict) -> Fate {
    match verdict {
        Verdict::Undecided | Verdict::Allow | Verdict::Forward(_) | Verdict::Handoff(_) => Fate::PASSED,
        Verdict::Local | Verdict::Consume => Fate::CONSUMED,
        Verdict::Drop(reason) => Fate::dropped(reason),
    }
}
