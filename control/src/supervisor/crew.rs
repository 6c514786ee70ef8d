//! The workers: one pinned thread each, started together, stopped together.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use core_affinity::CoreId;
use ravelin_config::Config;
use ravelin_dataplane::{
    capture::CaptureRing,
    command::{Command, CommandQueue},
    counters::{CounterBlock, WorkerCounters},
    flow::{FlowTable, RecordSink, SteerStage},
    handoff::{Handoff, WorkerId},
    hash::FlowHasher,
    io::PacketIo,
    parse::FragmentTable,
    pipeline::Pipeline,
    policy::DecisionLog,
    snapshot::Reader,
    stop::Stop,
    wake::Waker,
    worker::{Idle, Links, Worker},
};

use rustix::thread::{CpuSet, sched_setaffinity};

use super::privileges;
use crate::compile::{self, TableSizes};

/// A worker as the control side sees it.
#[derive(Debug)]
pub struct Member {
    /// Which worker.
    pub id: WorkerId,
    /// The core that it is pinned to.
    pub core: usize,
    block: Arc<CounterBlock>,
    commands: Arc<CommandQueue>,
    decisions: Arc<DecisionLog>,
    captures: Arc<CaptureRing>,
    stalled: AtomicBool,
}

impl Member {
    /// Requests that may wait for a worker.
    const COMMANDS: usize = 16;

    fn new(id: WorkerId, core: usize, ports: usize, chunks: usize) -> Self {
        Self {
            id,
            core,
            block: Arc::new(CounterBlock::new(ports)),
            commands: Arc::new(CommandQueue::new(Self::COMMANDS)),
            decisions: DecisionLog::new(DecisionLog::CAPACITY),
            captures: CaptureRing::new(chunks),
            stalled: AtomicBool::new(false),
        }
    }

    /// Its counters as of some batch.
    pub fn counters(&self) -> WorkerCounters {
        self.block.read()
    }

    /// Changes with every turn.
    pub fn pulse(&self) -> u64 {
        self.block.pulse()
    }

    /// Whether the watchdog found it without a pulse.
    pub fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }

    /// The requests that wait for it, for tests that play the worker.
    #[cfg(test)]
    pub(crate) fn commands(&self) -> &CommandQueue {
        &self.commands
    }

    pub(super) fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }
}

/// What the control side keeps of all workers.
#[derive(Debug)]
pub struct Roster {
    members: Vec<Member>,
    wakers: Arc<[Waker]>,
    ports: usize,
}

impl Roster {
    /// A roster of one worker for each of `cores`, none of them started. Each captures into a ring of so many chunks.
    ///
    /// # Errors
    /// If the system has no event descriptors left.
    pub fn new(cores: &[usize], ports: usize, chunks: usize) -> io::Result<Self> {
        let wakers = cores.iter().map(|_| Waker::new()).collect::<io::Result<Arc<[_]>>>()?;
        let member = |(id, core): (u8, &usize)| Member::new(WorkerId(id), *core, ports, chunks);
        Ok(Self { members: (0..).zip(cores).map(member).collect(), wakers, ports })
    }

    /// The workers, in order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What the workers capture into, in order.
    pub fn captures(&self) -> Vec<Arc<CaptureRing>> {
        self.members.iter().map(|member| Arc::clone(&member.captures)).collect()
    }

    /// What the workers decide, in order.
    pub fn logs(&self) -> Vec<Arc<DecisionLog>> {
        self.members.iter().map(|member| Arc::clone(&member.decisions)).collect()
    }

    /// Wakes a worker if it sleeps.
    pub fn wake(&self, worker: WorkerId) {
        if let Some(waker) = self.wakers.get(worker.index()) {
            waker.wake();
        }
    }

    /// What wakes the workers, in order.
    pub fn wakers(&self) -> &Arc<[Waker]> {
        &self.wakers
    }

    /// Asks a worker for something; `false` if too many requests wait for it.
    pub fn ask(&self, member: &Member, command: Command) -> bool {
        let taken = member.commands.push(command).is_ok();
        self.wake(member.id);
        taken
    }

    /// The counters of all workers together.
    pub fn totals(&self) -> WorkerCounters {
        let mut totals = WorkerCounters::default();
        for member in &self.members {
            totals.add(&member.counters());
        }
        totals
    }

    /// Whether every packet has its disposition and none is on its way between two workers. Only true for sure once they have
    /// stopped.
    pub fn is_settled(&self) -> bool {
        let totals = self.totals();
        totals.balance().is_ok() && totals.handed_off == totals.handed_in
    }
}

/// Why workers could not be started.
#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    /// A worker cannot run on its core.
    #[error("worker {worker} cannot be pinned to core {core}: {reason}; this process may use {allowed}")]
    Pin {
        /// The worker.
        worker: WorkerId,
        /// The core.
        core: usize,
        /// What the system said.
        reason: io::Error,
        /// The cores that would do.
        allowed: String,
    },
    /// The system refused something that a worker needs.
    #[error("worker {worker} cannot be started: {reason}")]
    System {
        /// The worker.
        worker: WorkerId,
        /// What the system said.
        reason: io::Error,
    },
}

/// Workers that did not stop in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} did not stop in time", .0.iter().map(|worker| format!("worker {worker}")).collect::<Vec<_>>().join(", "))]
pub struct Hanging(pub Vec<WorkerId>);

/// The worker threads.
#[derive(Debug)]
pub struct Crew {
    threads: Vec<(WorkerId, JoinHandle<()>)>,
    stop: Arc<Stop>,
}

impl Crew {
    /// How often it is looked whether a worker has stopped.
    const POLL: Duration = Duration::from_millis(2);

    /// Starts one worker for each backend in `equipment`, which are as many as `roster` has, each with its record sink
    /// and snapshot reader. Returns when all of them run on their cores. After an error none runs. `allowed` are the cores
    /// that the process may use, for messages.
    ///
    /// # Errors
    /// [`CrewError`].
    pub fn start<I, R>(
        roster: &Roster,
        config: &Config,
        allowed: &[usize],
        equipment: impl IntoIterator<Item = (I, R, Reader)>,
    ) -> Result<Self, CrewError>
    where
        I: PacketIo + Send + 'static,
        I::Frame: 'static,
        R: RecordSink + Send + 'static,
    {
        let mut crew = Self { threads: Vec::new(), stop: Arc::default() };
        let handoff = Handoff::new(config.workers.handoff, Arc::clone(&roster.wakers));
        let hasher = FlowHasher::random();
        let (pinned, answers) = mpsc::channel();
        for (member, (io, records, reader)) in roster.members.iter().zip(equipment) {
            let links = Links {
                id: member.id,
                handoff: handoff.clone(),
                reader,
                commands: Arc::clone(&member.commands),
                block: Arc::clone(&member.block),
            };
            let plan = Plan {
                core: member.core,
                sizes: TableSizes::per_worker(config, handoff.workers()),
                hasher: hasher.clone(),
                batch: config.workers.batch,
                ports: roster.ports,
                idle: compile::idle(config.workers.idle),
                decisions: Arc::clone(&member.decisions),
                captures: Arc::clone(&member.captures),
            };
            let (stop, pinned) = (Arc::clone(&crew.stop), pinned.clone());
            let work = move || plan.work(io, records, links, &stop, &pinned);
            let thread = thread::Builder::new().name(format!("ravelin-w{}", member.id)).spawn(work);
            match thread {
                Ok(thread) => crew.threads.push((member.id, thread)),
                Err(reason) => {
                    crew.dismiss();
                    return Err(CrewError::System { worker: member.id, reason });
                }
            }
        }
        drop(pinned);
        for (worker, core, answer) in answers.into_iter().take(crew.threads.len()) {
            let Err(refusal) = answer else { continue };
            crew.dismiss();
            return Err(match refusal {
                Refusal::Pin(reason) => {
                    CrewError::Pin { worker, core, reason, allowed: describe_cores(allowed) }
                }
                Refusal::Privileges(reason) => CrewError::System { worker, reason },
            });
        }
        Ok(crew)
    }

    /// Tells every worker to end its flows and stop, and waits for it. No packet is lost between workers, unless one of them
    /// hangs: for half of the time that is left before `deadline` they wait for one another.
    ///
    /// # Errors
    /// The workers that have not stopped at `deadline`. Their threads are left alone.
    pub fn stop(mut self, roster: &Roster, deadline: Instant) -> Result<(), Hanging> {
        let patience = deadline.saturating_duration_since(Instant::now()) / 2;
        let mut orderly = true;
        self.stop.ask();
        loop {
            roster.members.iter().for_each(|member| roster.wake(member.id));
            for (_, thread) in self.threads.extract_if(.., |(_, thread)| thread.is_finished()) {
                // A worker that panicked has said so, and has aborted the process in a release.
                orderly &= thread.join().is_ok();
            }
            if self.threads.is_empty() {
                debug_assert!(!orderly || roster.is_settled(), "packets were lost between workers");
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Hanging(self.threads.iter().map(|(worker, _)| *worker).collect()));
            }
            if left < patience {
                self.stop.hurry();
                orderly = false;
            }
            thread::sleep(Self::POLL);
        }
    }

    /// The first worker whose thread has ended although nobody told it to.
    pub fn ended(&self) -> Option<WorkerId> {
        self.threads.iter().find(|(_, thread)| thread.is_finished()).map(|(worker, _)| *worker)
    }

    /// Ends what has been started of a crew that cannot be complete. None of it can hang: no packet has come yet.
    fn dismiss(self) {
        self.stop.ask();
        self.stop.hurry();
        for (_, thread) in self.threads {
            let _panicked = thread.join();
        }
    }
}

/// What a worker thread needs to make its worker.
struct Plan {
    core: usize,
    sizes: TableSizes,
    hasher: FlowHasher,
    batch: usize,
    ports: usize,
    idle: Idle,
    decisions: Arc<DecisionLog>,
    captures: Arc<CaptureRing>,
}

/// Why a worker thread gave up before it started.
enum Refusal {
    Pin(io::Error),
    Privileges(io::Error),
}

impl Plan {
    /// The worker's thread. Its tables are made here, after it was pinned, so that they are in the memory next to its core.
    fn work<I: PacketIo, R: RecordSink>(
        self,
        io: I,
        records: R,
        links: Links<I::Frame>,
        stop: &Stop,
        answer: &mpsc::Sender<(WorkerId, usize, Result<(), Refusal>)>,
    ) {
        let ready = pin(self.core)
            .map_err(Refusal::Pin)
            .and_then(|()| privileges::drop_all().map_err(Refusal::Privileges));
        let refused = ready.is_err();
        if answer.send((links.id, self.core, ready)).is_err() || refused {
            return;
        }
        let mut pipeline = Pipeline::new(
            SteerStage::new(self.hasher),
            FlowTable::with_log(self.sizes.flows, links.id, self.decisions),
            FragmentTable::new(self.sizes.fragments),
        );
        pipeline.capture_into(self.captures);
        Worker::new(io, pipeline, records, links, self.batch, self.ports).run(stop, self.idle);
    }
}

/// Binds the calling thread to one core.
fn pin(core: usize) -> io::Result<()> {
    if core_affinity::set_for_current(CoreId { id: core }) { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The cores that the calling thread may use.
pub fn allowed_cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// The cores in `allowed` that have no worker.
pub fn spare_cores(workers: &[usize], allowed: &[usize]) -> Vec<usize> {
    allowed.iter().copied().filter(|core| !workers.contains(core) && *core < CpuSet::MAX_CPU).collect()
}

/// Moves the calling thread, and with it all that it starts, to the cores in `spare`, if there are any.
pub fn stay_off(spare: &[usize]) {
    let mut free = CpuSet::new();
    spare.iter().for_each(|core| free.set(*core));
    if spare.is_empty() {
        tracing::warn!("the control thread shares a core with a worker: there is no other");
    } else if let Err(error) = sched_setaffinity(None, &free) {
        tracing::warn!(%error, "the control thread cannot be moved away from the workers' cores");
    }
}

/// Cores as people write them: `cores 0-3, 8`.
pub fn describe_cores(cores: &[usize]) -> String {
    let runs = cores.chunk_by(|a, b| a + 1 == *b).filter_map(|run| {
        let (first, last) = (run.first()?, run.last()?);
        Some(if first == last { first.to_string() } else { format!("{first}-{last}") })
    });
    let runs: Vec<_> = runs.collect();
    format!("core{} {}", if cores.len() == 1 { "" } else { "s" }, runs.join(", "))
}
