//! Stopping all workers together, so that no packet is lost between them.
//!
//! A worker that stops by itself leaves in its ring what others hand over afterwards. So they stop in rounds: none of them
//! receives any more, each says when it has come so far and goes on with what is handed to it, and none begins the next
//! round before all have said so. At the end of round `k` no packet can be handed over for more than the `k`th time.
//!
//! Promises: every packet handed off is handed in, unless the workers are hurried. Refuses: to measure time; whoever stops
//! the workers hurries them when one of them hangs. Read next: `worker.rs`, function `run`.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Tells the workers to stop. One for all of them.
#[derive(Debug, Default)]
pub struct Stop {
    asked: AtomicBool,
    hurried: AtomicBool,
    /// How often a worker has said that it is done with a round.
    said: AtomicU32,
}

impl Stop {
    /// A fragment goes to the worker that knows its datagram, and from there to the one that owns its flow, whose frames
    /// another one may have to send.
    pub(crate) const ROUNDS: u32 = 3;

    /// Tells the workers to stop. Those that sleep are to be woken.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Tells them not to wait for one another any more. Those that sleep are to be woken.
    pub fn hurry(&self) {
        self.hurried.store(true, Ordering::Relaxed);
    }

    /// Whether they are to stop.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// One worker is done with the round; what it handed over is in the rings.
    pub(crate) fn say(&self) {
        self.said.fetch_add(1, Ordering::Release);
    }

    /// Whether all `workers` have said that they are done with the round, 1 being the first.
    pub(crate) fn is_over(&self, round: u32, workers: u8) -> bool {
        // Nobody says so twice in a round, so the sum tells.
        self.said.load(Ordering::Acquire) >= round * u32::from(workers)
            || self.hurried.load(Ordering::Relaxed)
    }
}
