//! Handing packets from the worker that received them to the worker that owns their flow.
//!
//! Promises: a bounded ring per worker, no copy of the frame, no lock, and no packet lost without a drop reason. A ring
//! that is full gives the packet back, and the sender drops it as `handoff_full`. Sleeping workers are woken through
//! [`Waker`]. Read next: `worker.rs`.

use std::{fmt, sync::Arc};

use crossbeam::queue::ArrayQueue;

use crate::{batch::Meta, wake::Waker};

/// A worker's number: 0 for the first core configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u8);

impl WorkerId {
    /// How many workers there can be.
    pub const MAX_WORKERS: usize = 64;

    /// The worker that owns a flow hash among `workers`. Uses the upper half of the hash; the flow table's index uses
    /// the lower half, so that the flows of one worker still spread over its whole table.
    pub fn owner(hash: u64, workers: u8) -> Self {
        let spread = ((hash >> 32) * u64::from(workers.max(1))) >> 32;
        Self(u8::try_from(spread).unwrap_or(0))
    }

    /// The worker's place in arrays.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A packet on its way between two workers.
#[derive(Debug)]
#[must_use]
pub struct Handed<F> {
    /// The frame itself; the ring carries ownership, not bytes.
    pub frame: F,
    /// What the sender already knows of it.
    pub meta: Meta,
}

/// The rings and wakers of all workers; every worker holds a clone.
#[derive(Debug)]
pub struct Handoff<F> {
    inboxes: Arc<[ArrayQueue<Handed<F>>]>,
    wakers: Arc<[Waker]>,
}

impl<F> Clone for Handoff<F> {
    fn clone(&self) -> Self {
        Self { inboxes: Arc::clone(&self.inboxes), wakers: Arc::clone(&self.wakers) }
    }
}

impl<F> Handoff<F> {
    /// Rings of `capacity` packets for each worker that `wakers` names.
    pub fn new(capacity: usize, wakers: Arc<[Waker]>) -> Self {
        let inboxes = wakers.iter().map(|_| ArrayQueue::new(capacity.max(1))).collect();
        Self { inboxes, wakers }
    }

    /// How many workers take part.
    pub fn workers(&self) -> u8 {
        u8::try_from(self.inboxes.len()).unwrap_or(u8::MAX)
    }

    /// Sends a packet to `worker`. The receiver is woken by [`Handoff::wake`], once per batch.
    ///
    /// # Errors
    /// The packet itself, if the ring is full or there is no such worker.
    #[expect(
        clippy::result_large_err,
        reason = "the packet must come back; boxing it would allocate per packet"
    )]
    pub fn send(&self, worker: WorkerId, packet: Handed<F>) -> Result<(), Handed<F>> {
        match self.inboxes.get(worker.index()) {
            Some(inbox) => inbox.push(packet),
            None => Err(packet),
        }
    }

    /// Wakes `worker` if it sleeps.
    pub fn wake(&self, worker: WorkerId) {
        if let Some(waker) = self.wakers.get(worker.index()) {
            waker.wake();
        }
    }

    /// The next packet that was handed to `worker`.
    pub fn take(&self, worker: WorkerId) -> Option<Handed<F>> {
        self.inboxes.get(worker.index())?.pop()
    }

    /// Whether nothing waits for `worker`.
    pub fn is_empty(&self, worker: WorkerId) -> bool {
        self.inboxes.get(worker.index()).is_none_or(ArrayQueue::is_empty)
    }

    /// The waker of `worker`.
    pub fn waker(&self, worker: WorkerId) -> Option<&Waker> {
        self.wakers.get(worker.index())
    }
}
