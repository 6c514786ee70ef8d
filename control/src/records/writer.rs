use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam::queue::ArrayQueue;

use super::{
    Encoder, RecordRing,
    output::{Lines, Output, Target},
};

/// The thread that empties the workers' rings into a file or standard output.
///
/// It goes on whatever happens to the output: while writing fails (disk full, I/O error), lines wait in a bounded buffer, then
/// are discarded and counted, until writing works again. A file that was renamed or removed is opened anew within a second, or
/// when somebody asks for it.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<()>,
    rings: Vec<Arc<RecordRing>>,
    shared: Arc<Shared>,
    finished: Receiver<()>,
}

/// What became of the records that workers put into the rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Records written to the output.
    pub written: u64,
    /// Records that were taken from the rings but could not be written, and never will be.
    pub unwritten: u64,
    /// Whether the last write failed.
    pub failing: bool,
}

#[derive(Debug)]
struct Shared {
    /// Lines of other kinds that wait.
    lines: ArrayQueue<Vec<u8>>,
    taken: AtomicU64,
    written: AtomicU64,
    discarded: AtomicU64,
    failing: AtomicBool,
    stop: AtomicBool,
    /// How often somebody wanted to know that the file is the one that its path names.
    asked: AtomicU64,
    /// The last of these requests that was fulfilled.
    looked: AtomicU64,
}

impl Shared {
    /// Lines of other kinds than records that wait, at most.
    const LINES: usize = 4096;

    fn new() -> Self {
        Self {
            lines: ArrayQueue::new(Self::LINES),
            taken: AtomicU64::new(0),
            written: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            looked: AtomicU64::new(0),
        }
    }

    fn stats(&self) -> WriterStats {
        WriterStats {
            written: self.written.load(Ordering::Relaxed),
            unwritten: self.discarded.load(Ordering::Relaxed),
            failing: self.failing.load(Ordering::Relaxed),
        }
    }
}

impl Writer {
    /// Starts to empty `rings` into `target`.
    ///
    /// # Errors
    /// Why the thread cannot be started.
    pub fn start(target: Target, rings: Vec<Arc<RecordRing>>, encoder: Encoder) -> io::Result<Self> {
        Self::with_output(target, rings, encoder)
    }

    pub(super) fn with_output(
        output: impl Output + 'static,
        rings: Vec<Arc<RecordRing>>,
        encoder: Encoder,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new());
        let (finish, finished) = mpsc::channel();
        let task = Task {
            lines: Lines::new(output),
            lost: false,
            rings: rings.clone(),
            encoder,
            shared: Arc::clone(&shared),
        };
        let thread = thread::Builder::new().name("records".to_owned()).spawn(move || task.run(&finish))?;
        Ok(Self { thread, rings, shared, finished })
    }

    /// Writes a line of another kind among the records; `false` if too many wait already.
    pub fn line(&self, line: Vec<u8>) -> bool {
        self.shared.lines.push(line).is_ok()
    }

    /// What became of the records so far.
    pub fn stats(&self) -> WriterStats {
        self.shared.stats()
    }

    /// Asks for the file to be opened anew if it was renamed or removed. The number is for [`Writer::has_looked`].
    pub fn look(&self) -> u64 {
        let request = self.shared.asked.fetch_add(1, Ordering::Relaxed) + 1;
        self.thread.thread().unpark();
        request
    }

    /// Whether a request has been fulfilled: from then on nothing is written to a file that was renamed
    /// before it, unless its successor could not be made, which the log says.
    pub fn has_looked(&self, request: u64) -> bool {
        self.shared.looked.load(Ordering::Acquire) >= request
    }

    /// Writes what is still in the rings, then ends. Called when no worker writes any more. Returns after `deadline` at the
    /// latest, for an output may block for ever; what is not written by then counts as unwritten.
    pub fn stop(self, deadline: Duration) -> WriterStats {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        match self.finished.recv_timeout(deadline) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                // It has nothing left to do but return. A panic has aborted the process.
                drop(self.thread.join());
                self.shared.stats()
            }
            Err(RecvTimeoutError::Timeout) => {
                let waiting: usize = self.rings.iter().map(|ring| ring.len()).sum();
                let taken = self.shared.taken.load(Ordering::Acquire);
                let stats = self.stats();
                WriterStats { unwritten: taken + waiting as u64 - stats.written, failing: true, ..stats }
            }
        }
    }
}

struct Task<O> {
    lines: Lines<O>,
    /// Whether the file has moved and its successor could not be made.
    lost: bool,
    rings: Vec<Arc<RecordRing>>,
    encoder: Encoder,
    shared: Arc<Shared>,
}

impl<O: Output> Task<O> {
    /// Records taken from a ring before the next one has its turn.
    const SHARE: usize = 1024;
    /// How long a line waits at most.
    const FLUSH: Duration = Duration::from_millis(500);
    /// How often the file is looked for, and a failed write is tried again.
    const CHECK: Duration = Duration::from_secs(1);
    /// The longest sleep. Short enough for a ring of the usual size to hold what comes meanwhile.
    const NAP: Duration = Duration::from_millis(10);

    fn run(mut self, finish: &Sender<()>) {
        let (mut flushed, mut checked) = (Instant::now(), Instant::now());
        loop {
            // Before the rings: what is in them once this is set is all there will be.
            let stopping = self.shared.stop.load(Ordering::Acquire);
            let taken = self.take();
            if !self.is_failing() && flushed.elapsed() >= Self::FLUSH {
                self.flush();
                flushed = Instant::now();
            }
            let asked = self.shared.asked.load(Ordering::Relaxed);
            if checked.elapsed() >= Self::CHECK || asked > self.shared.looked.load(Ordering::Relaxed) {
                self.follow();
                if self.is_failing() {
                    self.flush();
                }
                checked = Instant::now();
                self.shared.looked.store(asked, Ordering::Release);
            }
            if taken == 0 {
                if stopping {
                    break;
                }
                thread::park_timeout(Self::NAP);
            }
        }
        self.flush();
        self.lines.discard();
        self.publish();
        // Nobody listens if the deadline has passed.
        let _deadline_passed = finish.send(());
    }

    /// Takes a share of every ring.
    fn take(&mut self) -> u64 {
        let mut all = 0;
        while let Some(line) = self.shared.lines.pop() {
            self.lines.push(|out| out.extend_from_slice(&line));
            all += 1;
        }
        self.shared.taken.fetch_add(all, Ordering::Release);
        for index in 0..self.rings.len() {
            let mut taken = 0;
            for record in std::iter::from_fn(|| self.rings[index].pop()).take(Self::SHARE) {
                self.lines.push(|out| self.encoder.encode(&record.read(), out));
                taken += 1;
            }
            self.shared.taken.fetch_add(taken, Ordering::Release);
            all += taken;
            if self.lines.is_plenty() && !self.is_failing() {
                self.flush();
            }
        }
        self.publish();
        all
    }

    fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::Relaxed)
    }

    fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let result = self.lines.flush();
        self.publish();
        let failed = result.is_err();
        if self.shared.failing.swap(failed, Ordering::Relaxed) == failed {
            return;
        }
        let unwritten = self.lines.discarded();
        match result {
            Ok(()) => tracing::info!(unwritten, "flow records are written again"),
            Err(error) => {
                tracing::warn!(%error, unwritten, "flow records cannot be written; trying again every second");
            }
        }
    }

    /// Opens the file anew if it was renamed or removed.
    fn follow(&mut self) {
        if !self.lines.output.has_moved() {
            return;
        }
        let reopened = self.lines.reopen();
        let was_lost = std::mem::replace(&mut self.lost, reopened.is_err());
        match reopened {
            Ok(()) => tracing::info!("the file for flow records was renamed or removed; a new one was made"),
            Err(error) if !was_lost => {
                tracing::warn!(%error, "the file for flow records was renamed or removed and cannot be made again; writing on to the old one");
            }
            Err(_) => {}
        }
        self.publish();
    }

    fn publish(&self) {
        self.shared.written.store(self.lines.written(), Ordering::Relaxed);
        self.shared.discarded.store(self.lines.discarded(), Ordering::Relaxed);
    }
}
