//! The thread that makes files of what workers copy.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use ravelin_config::Trigger;
use ravelin_dataplane::{
    capture::{CaptureRing, Chunk},
    clock::{Clock, Timestamp},
};

use super::{
    Commentator, RingSettings, SaveRequest, Saved,
    blocks::Packets,
    budget::Budget,
    file::{Spec, make_directory, recover},
    ring::Ring,
    save,
    trigger::{Help, TriggerThread, Triggers},
};

mod hold;
mod one;
#[cfg(test)]
mod tests;

use hold::{Holding, hold};
use one::One;

/// Where captures are written, and how much room they have there.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory: one below it for each capture, and one for the ring.
    pub directory: PathBuf,
    /// Bytes that all files together may have.
    pub budget: u64,
    /// Bytes that the file system keeps for others.
    pub min_free: u64,
    /// The ring, capture number 0, if there is one.
    pub ring: Option<RingSettings>,
    /// What has packets saved out of it.
    pub trigger: Trigger,
}

/// How a capture is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureStatus {
    /// Its number.
    pub number: u8,
    /// Its name; the ring's is `ring`.
    pub name: String,
    /// Packets that were written: of the ring, that are or were on the disk, or in memory if there is nothing else.
    pub packets: u64,
    /// Bytes that were written to files; of the ring, those that it has now.
    pub bytes: u64,
    /// Packets that were copied for it, and are not in a file because nothing could be written.
    pub lost: u64,
    /// Complete files that it has.
    pub files: usize,
    /// What it does.
    pub state: CaptureState,
    /// Whether all that was copied for it has come: the numbers stay as they are.
    pub is_settled: bool,
}

/// What a capture does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaptureState {
    /// No packet has come.
    Waiting,
    /// Packets are written.
    Capturing,
    /// It was closed, or has what it may have.
    Finished,
    /// Nothing can be written, and this is why.
    Error(String),
}

/// The thread that empties the workers' capture rings into files, and keeps the ring that reaches back.
///
/// It never holds anything that a worker waits for: while a disk is slow, the workers' rings fill up, and what finds no room there is
/// counted by the workers. For each capture, the packets that came for it are either written or lost, exactly.
#[derive(Debug)]
pub struct CaptureWriter {
    thread: JoinHandle<()>,
    orders: Sender<Order>,
    shared: Arc<Shared>,
    finished: Receiver<()>,
    /// Nothing is triggered without a ring.
    triggers: Option<TriggerThread>,
}

#[derive(Debug, Default)]
struct Shared {
    status: Mutex<BTreeMap<u8, CaptureStatus>>,
    unclaimed: AtomicU64,
    stop: AtomicBool,
}

enum Order {
    Open(u8, Box<Spec>),
    Close(u8),
    Save(Box<Saving>),
    Hold(Holding),
}

/// A request, where its answer goes, and who waits for it.
struct Saving {
    request: SaveRequest,
    out: Box<dyn Write + Send>,
    answer: Sender<io::Result<Saved>>,
    /// When everything that it could want has come.
    ready: Timestamp,
}

impl CaptureWriter {
    /// Starts to empty `rings`. Packets name `interfaces` by number. Files that a process left hidden when it died get their names.
    ///
    /// # Errors
    /// Why the directory cannot be made or read, or the thread cannot be started.
    pub fn start(
        settings: Settings,
        rings: Vec<Arc<CaptureRing>>,
        interfaces: Vec<String>,
        commentator: Commentator,
    ) -> io::Result<Self> {
        let Settings { directory, budget, min_free, ring, trigger } = settings;
        make_directory(&directory)?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            // The ring looks after its own files.
            let is_other = entry.file_type()?.is_dir() && entry.file_name() != "ring";
            if let Some(Err(error)) = is_other.then(|| recover(&entry.path())) {
                tracing::warn!(%error, "files of an earlier capture stay hidden");
            }
        }
        let interfaces: Arc<[String]> = interfaces.into();
        let shared = Arc::new(Shared::default());
        let (orders, receiver) = mpsc::channel();
        let (finish, finished) = mpsc::channel();
        let budget = Budget::new(directory.clone(), budget, min_free);
        let triggers = ring.map(|_| Triggers::new(&directory, trigger));
        let help = Help {
            root: directory.clone(),
            hold: hold(orders.clone()),
            commentator: commentator.clone(),
            budget: budget.clone(),
        };
        let task = Task {
            rings,
            commentator,
            ring: ring.map(|settings| Ring::open(&directory, settings, Arc::clone(&interfaces))),
            interfaces,
            captures: BTreeMap::new(),
            budget,
            triggers: triggers.as_ref().map(|(triggers, _)| triggers.clone()),
            directory,
            orders: receiver,
            saves: Vec::new(),
            holds: Vec::new(),
            saving: Arc::new(()),
            clock: Clock::start(),
            shared: Arc::clone(&shared),
        };
        task.publish();
        let thread = thread::Builder::new().name("captures".to_owned()).spawn(move || task.run(&finish))?;
        let start = |(triggers, messages)| TriggerThread::start(triggers, messages, help);
        let triggers = triggers.map(start).transpose()?;
        Ok(Self { thread, orders, shared, finished, triggers })
    }

    /// Begins a capture, whose number selections may have from now on: 1 to 63, and not one that is open. If its files cannot be made, its
    /// status says so. The status of the last capture with that number is forgotten.
    pub fn open(&self, number: u8, spec: Spec) {
        let status = CaptureStatus {
            number,
            name: spec.name.clone(),
            packets: 0,
            bytes: 0,
            lost: 0,
            files: 0,
            state: CaptureState::Waiting,
            is_settled: false,
        };
        self.shared.status.lock().insert(number, status);
        self.order(Order::Open(number, Box::new(spec)));
    }

    /// Ends a capture, whose number no selection has any more. What workers have copied before is still written: the state is
    /// [`CaptureState::Finished`] a moment later, and stays until the number is opened again.
    pub fn close(&self, number: u8) {
        self.order(Order::Close(number));
    }

    /// How the ring and the captures are, by number.
    pub fn status(&self) -> Vec<CaptureStatus> {
        self.shared.status.lock().values().cloned().collect()
    }

    /// Packets that came for a capture that was not open, or had what it may have: they are written for nobody, and not lost either.
    pub fn unclaimed(&self) -> u64 {
        self.shared.unclaimed.load(Ordering::Relaxed)
    }

    /// Writes to `out` what is wanted of the ring, in a thread of its own, and answers when all is written. What workers have
    /// not handed in yet is waited for a moment, unless `request.until` is long past. The channel closes without an answer if the writer is stopped.
    pub fn save(&self, request: SaveRequest, out: Box<dyn Write + Send>) -> Receiver<io::Result<Saved>> {
        let (answer, receiver) = mpsc::channel();
        self.order(Order::Save(Box::new(Saving { request, out, answer, ready: Timestamp::ZERO })));
        receiver
    }

    /// Who is told that something has happened; nobody if there is no ring.
    pub fn triggers(&self) -> Option<&Triggers> {
        self.triggers.as_ref().map(TriggerThread::triggers)
    }

    fn order(&self, order: Order) {
        // The thread lives as long as this end.
        let _is_taken = self.orders.send(order);
        self.thread.thread().unpark();
    }

    /// Writes what is still in the rings and ends all captures. Called when no worker captures any more. Returns after `patience`
    /// at the latest, for a disk may block for ever; what is written by then is readable.
    pub fn stop(self, patience: Duration) -> Vec<CaptureStatus> {
        let end = Instant::now() + patience;
        // They ask for what is in the ring.
        if let Some(triggers) = self.triggers {
            triggers.stop(patience);
        }
        self.shared.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        match self.finished.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => drop(self.thread.join()),
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("captures could not be ended in time: what is not written is lost");
            }
        }
        let mut status = self.shared.status.lock();
        std::mem::take(&mut *status).into_values().collect()
    }
}

struct Task {
    directory: PathBuf,
    rings: Vec<Arc<CaptureRing>>,
    interfaces: Arc<[String]>,
    commentator: Commentator,
    budget: Budget,
    ring: Option<Ring>,
    captures: BTreeMap<u8, One>,
    orders: Receiver<Order>,
    saves: Vec<Saving>,
    holds: Vec<Holding>,
    triggers: Option<Triggers>,
    /// As many as there are threads that save, and one.
    saving: Arc<()>,
    clock: Clock,
    shared: Arc<Shared>,
}

impl Task {
    /// Chunks taken from a ring before the next one has its turn.
    const SHARE: usize = 16;
    /// How long packets wait at most until they are written.
    const FLUSH: Duration = Duration::from_millis(500);
    /// How often what others do in the directory is looked at.
    const LOOK: Duration = Duration::from_secs(2);
    /// The longest sleep while something is captured.
    const NAP: Duration = Duration::from_millis(5);
    /// The longest sleep while nothing is: orders wake the thread.
    const REST: Duration = Duration::from_millis(200);
    /// After so long a worker has handed in what it copied: more than `CaptureStage::LINGER`.
    const SETTLE: Duration = Duration::from_millis(250);
    /// Saves at once.
    const SAVES: usize = 4;
    /// How long what the ring has is not given away while more comes.
    const PATIENCE: Duration = Duration::from_secs(1);

    fn run(mut self, finish: &Sender<()>) {
        let (mut flushed, mut looked) = (Instant::now(), Instant::now());
        loop {
            // Before the rings: what is in them once this is set is all there will be.
            let stopping = self.shared.stop.load(Ordering::Acquire);
            let now = self.clock.now();
            self.obey(now);
            let taken = self.drain(now);
            self.answer(taken == 0, now);
            if looked.elapsed() >= Self::LOOK {
                self.budget.look();
                looked = Instant::now();
            }
            if flushed.elapsed() >= Self::FLUSH {
                self.tick(now);
                flushed = Instant::now();
            }
            if taken == 0 {
                if stopping {
                    break;
                }
                let is_idle = self.ring.is_none() && !self.captures.values().any(One::is_open);
                thread::park_timeout(if is_idle { Self::REST } else { Self::NAP });
            }
        }
        self.finish();
        // Nobody listens if patience has ended.
        let _nobody_waits = finish.send(());
    }

    fn obey(&mut self, now: Timestamp) {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Open(number, spec) => self.open(number, *spec),
                Order::Close(number) => {
                    if let Some(one) = self.captures.get_mut(&number) {
                        one.close_at(now + Self::SETTLE);
                    }
                }
                Order::Save(mut saving) => {
                    let is_past = saving.request.until + Self::SETTLE < now;
                    saving.ready = if is_past { now } else { now + Self::SETTLE };
                    self.saves.push(*saving);
                }
                Order::Hold(holding) => self.holds.push(Holding { late: now + Self::PATIENCE, ..holding }),
            }
        }
        let mut over = false;
        for one in self.captures.values_mut() {
            over |= one.close_if_over(now, &mut self.budget);
        }
        if over {
            self.publish();
        }
        for saving in self.saves.extract_if(.., |saving| saving.ready <= now) {
            start(saving, self.ring.as_ref(), &self.commentator, &self.saving);
        }
    }

    /// Gives away what the ring has, once that is all that came.
    fn answer(&mut self, is_all: bool, now: Timestamp) {
        let Some(ring) = &self.ring else { return };
        for hold in self.holds.extract_if(.., |hold| is_all || hold.late <= now) {
            // Whoever wanted it may be gone.
            let _nobody_waits = hold.answer.send(ring.held(hold.from, hold.until));
        }
    }

    fn open(&mut self, number: u8, spec: Spec) {
        if let Some(mut before) = self.captures.remove(&number) {
            before.finish(&mut self.budget);
        }
        // One that is about to end anyway makes room for its successor.
        for one in self.captures.values_mut().filter(|one| one.name() == spec.name) {
            one.finish_if_closing(&mut self.budget);
        }
        let is_taken = self.captures.values().any(|one| one.is_open() && one.name() == spec.name);
        let one = if is_taken {
            One::failed(spec.name, "another capture of that name is under way".to_owned())
        } else {
            One::open(&self.directory, spec, &self.interfaces)
        };
        self.captures.insert(number, one);
        self.publish();
    }

    /// Takes a share of every ring.
    fn drain(&mut self, now: Timestamp) -> usize {
        let mut taken = 0;
        for at in 0..self.rings.len() {
            let ring = Arc::clone(&self.rings[at]);
            for chunk in std::iter::from_fn(|| ring.take()).take(Self::SHARE) {
                ring.give_back(self.spread(chunk, now));
                taken += 1;
            }
        }
        taken
    }

    /// Gives every capture its packets, and the ring the chunk. Gives a chunk to be filled in its place.
    fn spread(&mut self, chunk: Box<Chunk>, now: Timestamp) -> Box<Chunk> {
        if let Some(triggers) = &self.triggers {
            triggers.look(&chunk);
        }
        let mut of_ring = 0;
        let mut unclaimed = 0;
        if chunk.captures() == 1 {
            // All of them have that bit, or they would not be here.
            of_ring = u64::from(chunk.packets());
        } else {
            for packet in Packets::new(chunk.bytes()) {
                of_ring += packet.captures & 1;
                let mut others = packet.captures & !1;
                let comment = if others == 0 { "" } else { self.commentator.comment(&packet) };
                while others != 0 {
                    let number = others.trailing_zeros() as u8;
                    others &= others - 1;
                    let one = self.captures.get_mut(&number);
                    let is_claimed = one.is_some_and(|one| one.push(&packet, comment, &mut self.budget));
                    unclaimed += u64::from(!is_claimed);
                }
            }
        }
        let chunk = match &mut self.ring {
            Some(ring) if of_ring > 0 => ring.take(chunk, of_ring, now, &mut self.budget),
            Some(_) | None => {
                unclaimed += of_ring;
                chunk
            }
        };
        self.shared.unclaimed.fetch_add(unclaimed, Ordering::Relaxed);
        chunk
    }

    /// Writes what waits, removes what is old, and tells how things are.
    fn tick(&mut self, now: Timestamp) {
        for one in self.captures.values_mut() {
            one.tick(now, &mut self.budget);
        }
        if let Some(ring) = &mut self.ring {
            if ring.has_disk() {
                ring.settle(now, &mut self.budget);
            }
            ring.tidy(now);
        }
        self.forget_removed();
        self.publish();
    }

    fn forget_removed(&mut self) {
        for path in self.budget.removed() {
            self.ring.iter_mut().for_each(|ring| ring.forget(&path));
            self.captures.values_mut().for_each(|one| one.forget(&path));
        }
    }

    fn finish(&mut self) {
        let now = self.clock.now();
        for one in self.captures.values_mut() {
            one.finish(&mut self.budget);
        }
        if let Some(ring) = &mut self.ring {
            ring.finish(now, &mut self.budget);
        }
        self.forget_removed();
        self.publish();
    }

    fn publish(&self) {
        let ring = self.ring.as_ref().map(|ring| (0, one::status_of_ring(ring)));
        let captures = self.captures.iter().map(|(number, one)| (*number, one.status(*number)));
        self.shared.status.lock().extend(ring.into_iter().chain(captures));
    }
}

/// Answers a request in a thread of its own, as it may have to read much.
fn start(saving: Saving, ring: Option<&Ring>, commentator: &Commentator, running: &Arc<()>) {
    let Saving { request, mut out, answer, ready: _ } = saving;
    let refuse = |kind, why: &str| drop(answer.send(Err(io::Error::new(kind, why))));
    let Some(ring) = ring else { return refuse(io::ErrorKind::NotFound, "there is no capture ring") };
    if Arc::strong_count(running) > Task::SAVES {
        return refuse(
            io::ErrorKind::ResourceBusy,
            "others are saving from the capture ring; try again later",
        );
    }
    let held = ring.held(request.from, request.until);
    let (mut commentator, running) = (commentator.clone(), Arc::clone(running));
    let waits = answer.clone();
    let thread = thread::Builder::new().name("capture-save".to_owned()).spawn(move || {
        let result = save::save(&held, &request, &mut commentator, &mut *out);
        // Whoever waits knows that it is complete, and that another one may come.
        drop((out, running));
        let _nobody_waits = waits.send(result);
    });
    if let Err(error) = thread {
        let _nobody_waits = answer.send(Err(error));
    }
}
