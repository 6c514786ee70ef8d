//! Frames that are not in use: a stack of each worker, and a depot that all share.
//!
//! Promises: taking and giving back is a push or pop on a `Vec` that never grows; every 64th time at most a chunk of 64
//! frames moves to or from the depot, without a lock and without allocation. No frame is lost or doubled.
//! A frame that worker A received and worker B sent comes back to B; B's surplus reaches A through the depot, and both
//! ways are counted. Generic over the frame so that it can be tested without memory shared with a kernel.

use std::{mem, sync::Arc};

use crossbeam::queue::ArrayQueue;

/// Frames that move between a worker and the depot at once.
pub(super) const CHUNK: usize = 64;
/// Full chunks that a worker keeps before it gives one to the depot.
pub(super) const KEPT_CHUNKS: usize = 8;

/// What all workers share.
#[derive(Debug)]
pub(super) struct Depot<F> {
    full: ArrayQueue<Vec<F>>,
    /// Vectors without frames but with room for [`CHUNK`], so that nobody has to allocate.
    empty: ArrayQueue<Vec<F>>,
}

impl<F> Depot<F> {
    /// A depot that holds all frames, for `workers` workers.
    pub(super) fn new(frames: Vec<F>, workers: usize) -> Arc<Self> {
        let chunks = frames.len().div_ceil(CHUNK) + workers + 1;
        let depot = Self { full: ArrayQueue::new(chunks), empty: ArrayQueue::new(chunks) };
        let mut frames = frames.into_iter().peekable();
        while frames.peek().is_some() {
            let mut chunk = Vec::with_capacity(CHUNK);
            chunk.extend(frames.by_ref().take(CHUNK));
            let _always_room = depot.full.push(chunk);
        }
        while depot.full.len() + depot.empty.len() < chunks {
            let _always_room = depot.empty.push(Vec::with_capacity(CHUNK));
        }
        Arc::new(depot)
    }

    #[cfg(test)]
    pub(super) fn drain(&self) -> Vec<F> {
        std::iter::from_fn(|| self.full.pop()).flatten().collect()
    }
}

/// One worker's free frames.
#[derive(Debug)]
pub(super) struct FramePool<F> {
    current: Vec<F>,
    full: Vec<Vec<F>>,
    depot: Arc<Depot<F>>,
    /// Chunks given to the depot.
    pub spills: u64,
    /// Chunks taken from the depot.
    pub refills: u64,
}

impl<F> FramePool<F> {
    pub(super) fn new(depot: Arc<Depot<F>>) -> Self {
        let current = depot.empty.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK));
        Self { current, full: Vec::with_capacity(KEPT_CHUNKS + 1), depot, spills: 0, refills: 0 }
    }

    /// A free frame, if there is one here or in the depot.
    pub(super) fn take(&mut self) -> Option<F> {
        if self.current.is_empty() {
            let chunk = match self.full.pop() {
                Some(chunk) => chunk,
                None => {
                    let chunk = self.depot.full.pop()?;
                    self.refills += 1;
                    chunk
                }
            };
            let empty = mem::replace(&mut self.current, chunk);
            let _always_room = self.depot.empty.push(empty);
        }
        self.current.pop()
    }

    /// Takes a frame back.
    pub(super) fn give(&mut self, frame: F) {
        if self.current.len() >= CHUNK {
            // There are more vectors than full chunks and workers together, so one is always there.
            let empty = self.depot.empty.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK));
            let chunk = mem::replace(&mut self.current, empty);
            if self.full.len() < KEPT_CHUNKS {
                self.full.push(chunk);
            } else {
                self.spills += 1;
                if let Err(chunk) = self.depot.full.push(chunk) {
                    self.full.push(chunk); // cannot be: the depot has room for all frames
                }
            }
        }
        self.current.push(frame);
    }
}

impl<F> Drop for FramePool<F> {
    /// A worker that ends leaves its frames to the others.
    fn drop(&mut self) {
        for chunk in self.full.drain(..).chain([mem::take(&mut self.current)]) {
            if !chunk.is_empty() {
                let _always_room = self.depot.full.push(chunk);
            }
        }
    }
}
