use std::{
    fmt,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use crossbeam::queue::ArrayQueue;
use ravelin_dataplane::{
    clock::Timestamp,
    flow::{FlowRecord, RecordLost, RecordSink},
};

use super::Encoder;

/// The records of one worker on their way to the [`super::Writer`].
pub type RecordRing = ArrayQueue<FlowRecord>;

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
    fn push(&mut self, record: &FlowRecord) -> Result<(), RecordLost> {
        match &self.0 {
            Some(ring) => ring.push(*record).map_err(|_| RecordLost),
            None => Ok(()),
        }
    }
}

/// Writes records itself, loses none, and gives them an order that depends on the flows alone: by the time they ended, then by
/// the time they started, then by their key. For replays, where the worker waits for the file.
///
/// The worker ends flows a few at a time, so records come in no particular order; whoever drives it says with
/// [`OrderedSink::release`] from when on no earlier record can come.
pub struct OrderedSink<W> {
    encoder: Encoder,
    out: W,
    pending: Vec<FlowRecord>,
    /// How many may be pending before they are sorted early.
    threshold: usize,
    released: Timestamp,
    buffer: Vec<u8>,
    written: u64,
    failed: Option<io::Error>,
}

impl<W> fmt::Debug for OrderedSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderedSink")
            .field("pending", &self.pending.len())
            .field("written", &self.written)
            .finish()
    }
}

impl<W: Write> OrderedSink<W> {
    /// Records that are sorted at once.
    const CHUNK: usize = 1 << 16;
    /// Capture time between two sorts.
    const INTERVAL: Duration = Duration::from_secs(1);
    /// Bytes that are written at once.
    const BUFFER: usize = 256 << 10;

    /// A sink that writes to `out`, in large pieces.
    pub fn new(out: W, encoder: Encoder) -> Self {
        Self {
            encoder,
            out,
            pending: Vec::new(),
            threshold: Self::CHUNK,
            released: Timestamp::ZERO,
            buffer: Vec::new(),
            written: 0,
            failed: None,
        }
    }

    /// Writes the records of flows that ended before `until`: the caller knows that no more of them will come.
    pub fn release(&mut self, until: Timestamp) {
        if self.pending.len() >= self.threshold || until.since(self.released) >= Self::INTERVAL {
            self.released = until;
            self.sort();
            let due = self.pending.partition_point(|record| record.ended < until);
            self.write(due);
            self.threshold = Self::CHUNK.max(2 * self.pending.len());
        }
    }

    /// Writes all that is left, and says how many records were written in all.
    ///
    /// # Errors
    /// Why a write failed, now or earlier.
    pub fn finish(&mut self) -> io::Result<u64> {
        self.sort();
        self.write(self.pending.len());
        self.drain_buffer();
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.out.flush().map(|()| self.written),
        }
    }

    /// Whether a write has failed. Then nothing more is written, and [`OrderedSink::finish`] says why.
    pub const fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    fn sort(&mut self) {
        // Stable: a flow that ended and began again at the same time stays behind itself.
        self.pending.sort_by(|a, b| {
            let order = |record: &FlowRecord| (record.ended, record.first);
            let name = |record: &FlowRecord| {
                let (source, destination) =
                    (record.key.end(record.initiator), record.key.end(record.initiator.other()));
                (source, destination, record.key.protocol(), record.key.vlans())
            };
            order(a).cmp(&order(b)).then_with(|| name(a).cmp(&name(b)))
        });
    }

    fn write(&mut self, due: usize) {
        for record in self.pending.drain(..due) {
            self.encoder.encode(&record, &mut self.buffer);
            self.written += 1;
            if self.buffer.len() >= Self::BUFFER {
                write_buffer(&mut self.out, &mut self.buffer, &mut self.failed);
            }
        }
    }

    fn drain_buffer(&mut self) {
        write_buffer(&mut self.out, &mut self.buffer, &mut self.failed);
    }
}

fn write_buffer(out: &mut impl Write, buffer: &mut Vec<u8>, failed: &mut Option<io::Error>) {
    if failed.is_none() {
        *failed = out.write_all(buffer).err();
    }
    buffer.clear();
}

impl<W: Write> RecordSink for OrderedSink<W> {
    fn push(&mut self, record: &FlowRecord) -> Result<(), RecordLost> {
        if self.failed.is_some() {
            return Err(RecordLost);
        }
        self.pending.push(*record);
        Ok(())
    }
}
