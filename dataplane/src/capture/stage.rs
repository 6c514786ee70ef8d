use std::{sync::Arc, time::Duration};

use super::{CaptureRing, Fate, Label, ring::Recorder};
use crate::{
    batch::{Batch, Meta},
    clock::Timestamp,
    counters::WorkerCounters,
    io::Frame,
    pipeline::Context,
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

    /// Runs over one batch, of which is decided what becomes of it and nothing is changed yet.
    pub fn run<F: Frame>(&mut self, cx: &Context<'_>, batch: &mut Batch<F>, counters: &mut WorkerCounters) {
        let plan = &cx.snapshot.capture;
        let Some(recorder) = self.recorder.as_mut().filter(|_| !plan.is_empty()) else { return };
        for (frame, meta) in batch.iter_mut() {
            if matches!(meta.verdict, Verdict::Handoff(_)) {
                continue;
            }
            counters.capture_offered += 1;
            let (captures, kept) = plan.ask(meta, frame.received());
            if captures == 0 {
                counters.capture_filtered += 1;
                continue;
            }
            let label = Label { captures, ..label(cx, meta) };
            if recorder.record(&label, frame.received(), kept) {
                counters.captured += 1;
            } else {
                counters.capture_lost += 1;
            }
        }
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

fn label(cx: &Context<'_>, meta: &Meta) -> Label {
    let fate = match meta.verdict {
        Verdict::Undecided | Verdict::Allow | Verdict::Forward(_) | Verdict::Handoff(_) => Fate::PASSED,
        Verdict::Consume => Fate::CONSUMED,
        Verdict::Drop(reason) => Fate::dropped(reason),
    };
    Label {
        interface: u32::from(meta.port.0),
        time: meta.time,
        length: meta.length,
        fate,
        decision: meta.decision.0,
        worker: cx.worker.0,
        captures: 0,
    }
}
