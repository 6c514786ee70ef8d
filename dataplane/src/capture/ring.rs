use std::sync::Arc;

use crossbeam::queue::ArrayQueue;

use super::{Chunk, Label};

/// The ring between a worker and the thread that writes what it captures: chunks that are full one way, chunks that may be filled the
/// other way. Neither end ever waits for the other.
#[derive(Debug)]
pub struct CaptureRing {
    full: ArrayQueue<Box<Chunk>>,
    free: ArrayQueue<Box<Chunk>>,
}

impl CaptureRing {
    /// A ring of so many chunks, at least two: one is filled while another is written.
    pub fn new(chunks: usize) -> Arc<Self> {
        let chunks = chunks.max(2);
        let ring = Self { full: ArrayQueue::new(chunks), free: ArrayQueue::new(chunks) };
        for _ in 0..chunks {
            let _has_room = ring.free.push(Box::default());
        }
        Arc::new(ring)
    }

    /// A chunk that may be filled.
    pub fn empty(&self) -> Option<Box<Chunk>> {
        self.free.pop()
    }

    /// Hands in a chunk that came from [`Self::empty`], to be written.
    pub fn put(&self, chunk: Box<Chunk>) {
        // The queue has room for as many chunks as there are.
        let _has_room = self.full.push(chunk);
    }

    /// The next chunk to be written, in order.
    pub fn take(&self) -> Option<Box<Chunk>> {
        self.full.pop()
    }

    /// Gives a chunk back, or another one in its place.
    pub fn give_back(&self, mut chunk: Box<Chunk>) {
        chunk.clear();
        // There are never more than there were.
        let _has_room = self.free.push(chunk);
    }
}

/// The worker's end.
#[derive(Debug)]
pub(crate) struct Recorder {
    ring: Arc<CaptureRing>,
    chunk: Option<Box<Chunk>>,
}

impl Recorder {
    pub(crate) const fn new(ring: Arc<CaptureRing>) -> Self {
        Self { ring, chunk: None }
    }

    /// Copies a packet. Says whether there was room.
    pub(crate) fn record(&mut self, label: &Label, packet: &[u8], kept: usize) -> bool {
        let kept = kept.min(packet.len()).min(Self::MOST);
        if self.chunk.as_ref().is_some_and(|chunk| !chunk.has_room(kept)) {
            self.flush();
        }
        if self.chunk.is_none() {
            self.chunk = self.ring.empty();
        }
        let Some(chunk) = &mut self.chunk else { return false };
        chunk.push(label, packet, kept);
        true
    }

    /// The most bytes that are kept of a packet: more than any interface gives.
    const MOST: usize = Chunk::SIZE / 4;

    /// Gives what there is to the writer.
    pub(crate) fn flush(&mut self) {
        if let Some(chunk) = self.chunk.take_if(|chunk| !chunk.is_empty()) {
            self.ring.put(chunk);
        }
    }

    /// Whether packets wait in a chunk that is not full.
    pub(crate) fn oldest(&self) -> Option<crate::clock::Timestamp> {
        self.chunk.as_ref()?.span().map(|(first, _)| first)
    }
}
