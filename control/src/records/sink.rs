use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use ravelin_dataplane::flow::{RawRecord, RecordLost, RecordSink};

/// The records of one worker on their way to the [`super::Writer`].
pub type RecordRing = ArrayQueue<RawRecord>;

/// A worker's end of a [`RecordRing`]. Never blocks: a record that finds no room is lost, and the worker counts it.
#[derive(Clone, Debug)]
pub struct RingSink(Option<Arc<RecordRing>>);

impl RingSink {
    /// A sink that puts records into `ring`.
    pub fn new(ring: Arc<RecordRing>) -> Self {
        Self(Some(ring))
    }

    /// A sink for a process that writes no records: takes and forgets them.
    pub const fn discard() -> Self {
        Self(None)
    }
}

impl RecordSink for RingSink {
    fn push(&mut self, record: &RawRecord) -> Result<(), RecordLost> {
        match &self.0 {
            Some(ring) => ring.push(*record).map_err(|_| RecordLost),
            None => Ok(()),
        }
    }
}
