use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use ravelin_dataplane::{
    clock::Timestamp,
    flow::{FlowRecord, RawRecord, RecordLost, RecordSink},
};

use super::Encoder;

/// Loses no record, and gives them an order that depends on the flows alone: by the time they ended, then by the time they
/// started, then by their key. For replays, where the worker waits for the file.
///
/// The worker ends flows a few at a time, so records come in no particular order; whoever drives it says with
/// [`OrderedSink::release`] from when on no earlier record can come. Sorting, encoding and writing are the work of a thread.
#[derive(Debug)]
pub struct OrderedSink {
    pending: Vec<RawRecord>,
    /// Lines of another kind, with their times.
    lines: Vec<(Timestamp, Vec<u8>)>,
    /// Up to when the flows of all records given to the thread had ended.
    released: Timestamp,
    /// `None` once the sink has finished.
    chunks: Option<SyncSender<Chunk>>,
    thread: Option<JoinHandle<io::Result<u64>>>,
    failed: Arc<AtomicBool>,
}

/// Records, and the time from which on no earlier one can come; `None` if none can come at all.
#[derive(Debug)]
struct Chunk {
    records: Vec<RawRecord>,
    lines: Vec<(Timestamp, Vec<u8>)>,
    until: Option<Timestamp>,
}

impl OrderedSink {
    /// Records that are given to the thread at once, if there are many.
    const CHUNK: usize = 1 << 14;
    /// Chunks that may wait for the thread.
    const WAITING: usize = 8;
    /// Capture time between two chunks, if there are few.
    const INTERVAL: Duration = Duration::from_secs(1);

    /// A sink that writes to `out`, in large pieces.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(out: impl Write + Send + 'static, encoder: Encoder) -> io::Result<Self> {
        let (chunks, received) = mpsc::sync_channel(Self::WAITING);
        let failed = Arc::new(AtomicBool::new(false));
        let lines = Lines {
            out,
            encoder,
            held: Vec::new(),
            held_lines: VecDeque::new(),
            buffer: Vec::new(),
            written: 0,
            failed: Arc::clone(&failed),
        };
        let thread = thread::Builder::new().name("records".to_owned()).spawn(move || lines.run(&received))?;
        Ok(Self {
            pending: Vec::new(),
            lines: Vec::new(),
            released: Timestamp::ZERO,
            chunks: Some(chunks),
            thread: Some(thread),
            failed,
        })
    }

    /// Has a line written among the records, before those of flows that ended then or later. Lines come in the order of time, and no
    /// later than what is released.
    pub fn line(&mut self, time: Timestamp, line: Vec<u8>) {
        self.lines.push((time, line));
    }

    /// Lets the records of flows that ended before `until` be written: the caller knows that no more of them will come.
    pub fn release(&mut self, until: Timestamp) {
        if self.pending.len() >= Self::CHUNK || until.since(self.released) >= Self::INTERVAL {
            self.released = until;
            self.send(Some(until));
        }
    }

    /// Writes all that is left, and says how many records were written in all.
    ///
    /// # Errors
    /// Why a write failed, now or earlier.
    pub fn finish(&mut self) -> io::Result<u64> {
        self.send(None);
        self.chunks = None;
        // A panic has aborted the process, so the thread has an answer; but it gives it only once.
        let answer = self.thread.take().and_then(|thread| thread.join().ok());
        answer.unwrap_or_else(|| Err(io::Error::other("the records are finished already")))
    }

    /// Whether a write has failed. Then nothing more is written, and [`OrderedSink::finish`] says why.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn send(&mut self, until: Option<Timestamp>) {
        let (records, lines) = (std::mem::take(&mut self.pending), std::mem::take(&mut self.lines));
        if let Some(chunks) = &self.chunks {
            // The thread ends early only if a write failed, which it reports when it is joined.
            let _failed = chunks.send(Chunk { records, lines, until });
        }
    }
}

impl RecordSink for OrderedSink {
    fn push(&mut self, record: &RawRecord) -> Result<(), RecordLost> {
        if self.has_failed() {
            return Err(RecordLost);
        }
        self.pending.push(*record);
        Ok(())
    }
}

/// The thread's part.
struct Lines<W> {
    out: W,
    encoder: Encoder,
    /// Records that earlier ones may still have to go before, in order.
    held: Vec<FlowRecord>,
    held_lines: VecDeque<(Timestamp, Vec<u8>)>,
    buffer: Vec<u8>,
    written: u64,
    failed: Arc<AtomicBool>,
}

impl<W: Write> Lines<W> {
    /// Bytes that are written at once.
    const BUFFER: usize = 256 << 10;

    fn run(mut self, chunks: &Receiver<Chunk>) -> io::Result<u64> {
        let result = chunks.iter().try_for_each(|chunk| self.take(chunk)).and_then(|()| self.out.flush());
        self.failed.store(result.is_err(), Ordering::Relaxed);
        result.map(|()| self.written)
    }

    fn take(&mut self, chunk: Chunk) -> io::Result<()> {
        self.held_lines.extend(chunk.lines);
        self.held.extend(chunk.records.iter().map(RawRecord::read));
        // Stable: a flow that ended and began again at the same time stays behind itself.
        self.held.sort_by(|a, b| {
            let times = |record: &FlowRecord| (record.ended, record.first);
            let name = |record: &FlowRecord| {
                let (source, destination) =
                    (record.key.end(record.initiator), record.key.end(record.initiator.other()));
                (source, destination, record.key.protocol(), record.key.vlans())
            };
            times(a).cmp(&times(b)).then_with(|| name(a).cmp(&name(b)))
        });
        let due = match chunk.until {
            Some(until) => self.held.partition_point(|record| record.ended < until),
            None => self.held.len(),
        };
        for record in self.held.drain(..due) {
            while let Some((_, line)) = self.held_lines.pop_front_if(|(time, _)| *time <= record.ended) {
                self.buffer.extend_from_slice(&line);
            }
            self.encoder.encode(&record, &mut self.buffer);
            self.written += 1;
            if self.buffer.len() >= Self::BUFFER {
                self.out.write_all(&self.buffer)?;
                self.buffer.clear();
            }
        }
        if chunk.until.is_none() {
            self.held_lines.drain(..).for_each(|(_, line)| self.buffer.extend_from_slice(&line));
            self.out.write_all(&self.buffer)?;
        }
        Ok(())
    }
}
