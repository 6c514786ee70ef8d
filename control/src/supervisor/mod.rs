//! Starts, watches and stops the process.
//!
//! ```text
//! load > privileges? > claim socket > bind metrics > open records > open interfaces > compile > drop privileges > workers > READY
//!                                                                                                           |
//!                      close interfaces < drain records < stop workers < SIGTERM, SIGINT  <  watch  <-------+   SIGHUP: reload
//! ```
//!
//! What can be refused without touching an interface is refused before. Privileges are dropped as soon as the interfaces are
//! open, before any thread is started, so that no thread ever has more than it needs.
//!
//! Promises: whatever happens after the interfaces were taken over, they are given back, unless the process dies; then the
//! programs in the kernel do what `fail` says, and `ravelin detach` cleans up. So they do if a process that should follow it
//! gets no further than here: interfaces on which it found a program keep one until a process was READY. Stopping takes no longer than `[control]
//! shutdown`, and what hangs is named. Refuses: to let the control thread run on a worker's core while there is another.
//! Read next: `crew.rs` (the workers), `ports.rs` (the interfaces), `links.rs`, `privileges.rs`, `watchdog.rs`.

pub mod crew;
pub mod links;
pub mod notify;
pub mod ports;
pub mod privileges;
#[cfg(test)]
mod tests;
pub mod watchdog;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ravelin_config::{Capture, Config, NapiThreads};
use ravelin_dataplane::{
    capture::Chunk,
    flow::RecordSink,
    handoff::WorkerId,
    io::{PacketIo, PortId},
    snapshot::Reader,
};
use tokio::signal::unix::{SignalKind, signal};

use self::{
    crew::{Crew, CrewError, Hanging, Roster},
    links::LinkWatch,
    ports::{Opened, PortsError},
    watchdog::{Finding, Watchdog},
};
use crate::{
    api::{
        self,
        socket::{Claim, SocketError},
        view::LinkState,
    },
    appliance::{Appliance, Interfaces, captures::CaptureDesk, routes::RouteDesk},
    capture::{CaptureWriter, Commentator, RingSettings, Settings},
    compile::CompileError,
    feeds::{Keeper, Library, kernel::KernelKeeper},
    log,
    policy::Teller,
    records::{Encoder, RecordRing, RingSink, Target, Writer},
    reload::{self, ReloadError, Reloader},
    routing::Routing,
    stats::{self, Metrics, MetricsError},
};

/// Why the process could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Reload(#[from] ReloadError),
    /// The configuration does not fit this machine.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Another process runs, or the control socket cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Metrics cannot be served.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The interfaces cannot be taken over.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// Flow records cannot be written.
    #[error("flow records cannot be written to {target}: {source}")]
    Records {
        /// Where to.
        target: String,
        /// What the system said.
        source: io::Error,
    },
    /// A worker cannot run.
    #[error(transparent)]
    Crew(#[from] CrewError),
    /// There is no core to run on.
    #[error("the system does not say which cores this process may use")]
    NoCores,
    /// The system refused something else.
    #[error("cannot {step}: {source}")]
    System {
        /// What was tried.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A worker ended by itself.
    #[error("worker {0} ended although nobody told it to")]
    Ended(WorkerId),
    /// Workers did not stop.
    #[error(transparent)]
    Hanging(#[from] Hanging),
}

impl RunError {
    fn system(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { step, source }
    }
}

/// Runs the appliance with the configuration at `path` until it is told to stop.
///
/// # Errors
/// [`RunError`]. The interfaces are as they were before; those that a process which died has left go on without one.
pub fn run(path: &Path) -> Result<(), RunError> {
    let path = std::path::absolute(path).map_err(RunError::system("find the current directory"))?;
    let (loaded, _) = reload::prepare(&path, None)?;
    // Whoever may not run it at all need not be told first that he may not make the directory of the socket.
    ports::check()?;
    let config = loaded.config;
    let log = log::init(&config.log);
    for warning in loaded.warnings.diagnostics() {
        tracing::warn!("{warning}");
    }

    let allowed = crew::allowed_cores();
    let cores = cores(&config, &allowed)?;
    let spare = crew::spare_cores(&cores, &allowed);
    let claim = Claim::new(&config.control.socket)?;
    let metrics = config.metrics.listen.map(stats::bind).transpose()?;
    let records = open_records(&config)?;
    let Opened { backends, interfaces } = ports::open(&config, cores.len(), &spare)?;
    let interfaces: Arc<dyn Interfaces> = Arc::from(interfaces);

    let library = loaded.library;
    let plan = Plan { path, config, library, log, allowed, cores, spare, claim, metrics, records };
    let mut ready = false;
    let result = plan.operate(backends, Arc::clone(&interfaces), &mut ready);
    if let Err(error) = privileges::take_up() {
        tracing::warn!(%error, "privileges that were put aside cannot be taken up again");
    }
    for problem in if ready { interfaces.close() } else { interfaces.abandon() } {
        tracing::error!("{problem}");
    }
    if result.is_ok() {
        tracing::info!("stopped");
    }
    result
}

/// The cores of the workers: those configured, or the last one that the process may use.
fn cores(config: &Config, allowed: &[usize]) -> Result<Vec<usize>, RunError> {
    if config.workers.cores.is_empty() {
        Ok(vec![*allowed.last().ok_or(RunError::NoCores)?])
    } else {
        Ok(config.workers.cores.clone())
    }
}

/// Everything that was decided before the interfaces were touched.
struct Plan {
    path: PathBuf,
    config: Config,
    library: Library,
    log: log::LogLevelHandle,
    allowed: Vec<usize>,
    cores: Vec<usize>,
    spare: Vec<usize>,
    claim: Claim,
    metrics: Option<std::net::TcpListener>,
    records: Option<Target>,
}

impl Plan {
    /// Runs over interfaces that are open, until the end. Sets `ready` once everything works.
    fn operate<I>(
        mut self,
        backends: Vec<I>,
        interfaces: Arc<dyn Interfaces>,
        ready: &mut bool,
    ) -> Result<(), RunError>
    where
        I: PacketIo + Send + 'static,
        I::Frame: 'static,
    {
        // First of all: what follows starts threads.
        crew::stay_off(&self.spare);
        let workers = u8::try_from(self.cores.len()).unwrap_or(u8::MAX);
        let config = self.config;
        let mut reloader = Reloader::begin(self.path, config.clone(), self.library, workers, |interface| {
            interfaces.facts(interface)
        })?;
        let chunks = usize::try_from(config.capture.buffer).unwrap_or(usize::MAX) / Chunk::SIZE;
        let roster = Roster::new(&self.cores, reloader.ports().len(), chunks)
            .map_err(RunError::system("make event descriptors"))?;
        reloader.tunnels().wake(roster.wakers());
        let listener = self.claim.listen()?;
        let tunnels = config.wireguard_devices();
        let tunnels: Vec<_> =
            tunnels.filter_map(|it| Some((it.name.to_string(), reloader.ports().id(&it.name)?))).collect();
        reloader.apply_tunnels();
        let routing = Routing::start(&config, reloader.ports(), &tunnels)
            .map_err(RunError::system("follow the kernel's routes"))?;
        let mut routes = routing.map(|routing| RouteDesk::new(routing, interfaces.own()));
        if let Some(routes) = &mut routes {
            routes.follow(&mut reloader);
            routes.set_failsafes(&reloader);
            routes.set_tunnels(&reloader.tunnels().listen_ports());
        }

        privileges::drop_most(config.io.napi_threads != NapiThreads::Off)
            .map_err(RunError::system("drop privileges"))?;
        let (sinks, writer) = records(self.records, &config, &roster, &reloader)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(RunError::system("start the control thread's runtime"))?;

        let readers: Vec<Reader> = roster.members().iter().map(|member| reloader.reader(member.id)).collect();
        let equipment =
            backends.into_iter().zip(sinks).zip(readers).map(|((io, sink), reader)| (io, sink, reader));
        let crew = Crew::start(&roster, &config, &self.allowed, equipment)?;
        let keeper = unprivileged(|| Keeper::start(&config, reloader.library()))
            .map_err(RunError::system("start the threads that fetch feeds"))?;
        let kernel = interfaces.blocklist().map(KernelKeeper::start).transpose();
        let kernel =
            kernel.map_err(RunError::system("start the thread that tells the kernel what to drop"))?;
        let keepers = (Some(keeper), kernel);
        let captures = captures(&config, &roster, &reloader);
        let appliance = Arc::new(Appliance::new(roster, interfaces, reloader, writer, keepers, self.log));
        appliance.open_captures(captures);
        appliance.open_routes(routes);

        let result = runtime.block_on(async {
            tokio::spawn(served(api::socket::serve(listener, api::router(Arc::clone(&appliance)))));
            if let Some(listener) = self.metrics {
                tokio::spawn(served(stats::serve(listener, Metrics::new(Arc::clone(&appliance)))));
            }
            watch(&appliance, &crew, ready).await
        });
        // Nobody is answered any more from here on.
        runtime.shutdown_background();
        let stopped = stop(&appliance, crew);
        result.and(stopped)
    }
}

/// The thread that writes captures. What cannot be captured is no reason not to forward packets.
fn captures(config: &Config, roster: &Roster, reloader: &Reloader) -> Option<CaptureDesk> {
    let Capture { directory, budget, min_free, ring, trigger, .. } = config.capture.clone();
    let has_ring = ring.is_there();
    let settings = Settings {
        directory: directory.clone(),
        budget,
        min_free,
        ring: has_ring.then_some(RingSettings { memory: ring.memory, disk: ring.disk, keep: ring.keep }),
        trigger,
    };
    let interfaces = config.interfaces.iter().map(|interface| interface.name.to_string()).collect();
    let commentator = Commentator::new(Teller::new(roster.logs(), reloader.book()));
    let start = || {
        let writer = CaptureWriter::start(settings, roster.captures(), interfaces, commentator)?;
        CaptureDesk::new(directory.clone(), writer, has_ring)
    };
    let desk = unprivileged(start);
    desk.inspect_err(|error| {
        tracing::warn!(directory = %directory.display(), %error, "nothing can be captured");
    })
    .ok()
}

/// Opens what flow records go to, with as few privileges as the writer has when it opens the file anew.
fn open_records(config: &Config) -> Result<Option<Target>, RunError> {
    let Some(target) = &config.records.file else { return Ok(None) };
    unprivileged(|| Target::open(target)).map(Some).map_err(refused_records(config))
}

/// A record sink for each worker, and the writer behind them if records are wanted.
fn records(
    target: Option<Target>,
    config: &Config,
    roster: &Roster,
    reloader: &Reloader,
) -> Result<(Vec<impl RecordSink + Send + use<>>, Option<Writer>), RunError> {
    let workers = roster.members().len();
    let Some(target) = target else {
        return Ok(((0..workers).map(|_| RingSink::discard()).collect(), None));
    };
    let rings: Vec<_> = (0..workers).map(|_| Arc::new(RecordRing::new(config.records.ring))).collect();
    let sinks = rings.iter().map(|ring| RingSink::new(Arc::clone(ring))).collect();
    let encoder = Encoder::new(reloader.ports(), Teller::new(roster.logs(), reloader.book()));
    // The writer's thread inherits what the thread that starts it may do.
    let writer = unprivileged(|| Writer::start(target, rings, encoder)).map_err(refused_records(config))?;
    Ok((sinks, Some(writer)))
}

fn refused_records(config: &Config) -> impl FnOnce(io::Error) -> RunError {
    let target = config.records.file.as_ref().map(crate::appliance::describe).unwrap_or_default();
    move |source| RunError::Records { target, source }
}

/// Does something in a thread that may do nothing that needs a privilege.
fn unprivileged<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let work = || privileges::drop_all().and_then(|()| work());
    thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A listener that cannot be served any more is no reason to stop forwarding packets.
async fn served(server: impl Future<Output = io::Result<()>>) {
    if let Err(error) = server.await {
        tracing::error!(%error, "a listener has stopped");
    }
}

/// Watches over the process until it is told to stop.
async fn watch(appliance: &Arc<Appliance>, crew: &Crew, ready: &mut bool) -> Result<(), RunError> {
    let listen = |kind| signal(kind).map_err(RunError::system("listen to signals"));
    let mut hangup = listen(SignalKind::hangup())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let limit = appliance.in_force().config.control.watchdog;
    let mut watchdog = Watchdog::new(limit, appliance.roster.members().len(), Instant::now());
    let mut links = LinkWatch::new(appliance.in_force().ports.len(), Instant::now());
    let mut tick = tokio::time::interval(watchdog.interval().min(notify::interval()));

    *ready = true;
    started(appliance);
    appliance.resume_captures().await;
    let mut watch = tokio::time::interval(WATCH);
    watch.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut confirm = tokio::time::interval(CONFIRM);
    loop {
        tokio::select! {
            _ = watch.tick() => {
                appliance.resolve_neighbours();
                appliance.watch().await;
            }
            () = appliance.news() => appliance.watch().await,
            () = appliance.routes_changed() => appliance.follow_routes().await,
            _ = confirm.tick() => {
                appliance.confirm_neighbours();
                appliance.follow_paths().await;
            }
            _ = terminate.recv() => return stopping(appliance, "SIGTERM"),
            _ = interrupt.recv() => return stopping(appliance, "SIGINT"),
            _ = hangup.recv() => {
                let appliance = Arc::clone(appliance);
                // What went wrong is in the log.
                tokio::spawn(async move { drop(appliance.reload().await) });
            }
            _ = tick.tick() => {
                if let Some(worker) = crew.ended() {
                    return Err(RunError::Ended(worker));
                }
                look(appliance, &mut watchdog);
                look_at_links(appliance, &mut links);
                appliance.reclaim();
                if watchdog.all_well() {
                    notify::alive();
                }
            }
        }
    }
}

/// How often it is looked whether endpoints or manifests have changed, and whether neighbours are wanted.
const WATCH: Duration = Duration::from_millis(250);

/// How often the kernel is asked to confirm the neighbours to whom packets go.
const CONFIRM: Duration = Duration::from_secs(10);

fn started(appliance: &Appliance) {
    let in_force = appliance.in_force();
    let cores: Vec<_> = appliance.roster.members().iter().map(|member| member.core).collect();
    for (interface, link) in in_force.config.interfaces.iter().zip(appliance.interfaces.links()) {
        let copy = if link.zero_copy { "zero-copy" } else { "copy" };
        tracing::info!(interface = %interface.name, driver = link.driver, mode = link.mode, copy, queues = link.queues, mtu = link.mtu, "taken over");
        if let Some(threads) = link.receive_threads {
            let cores = crew::describe_cores(&threads.cores);
            tracing::info!(interface = %interface.name, "the kernel receives in threads on {cores}");
        }
        if let Some(why) = link.why {
            tracing::warn!(interface = %interface.name, "not in native mode: {why}");
        }
    }
    let privileges = privileges::effective().unwrap_or_default();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = in_force.path,
        ?cores,
        ?privileges,
        "ravelin runs"
    );
    notify::ready(&format!("generation {}, {} workers", in_force.generation, cores.len()));
}

#[expect(clippy::unnecessary_wraps, reason = "the end of a loop that can also fail")]
fn stopping(appliance: &Appliance, signal: &str) -> Result<(), RunError> {
    tracing::info!("{signal}: stopping");
    // What follows the workers takes a moment of its own.
    notify::stopping(appliance.in_force().config.control.shutdown + Duration::from_secs(10));
    Ok(())
}

fn look(appliance: &Appliance, watchdog: &mut Watchdog) {
    let members = appliance.roster.members();
    for finding in watchdog.look(Instant::now(), members.iter().map(|member| member.pulse())) {
        let (Finding::Stalled(worker) | Finding::Recovered(worker)) = finding;
        let stalled = finding == Finding::Stalled(worker);
        if let Some(member) = members.get(worker.index()) {
            member.set_stalled(stalled);
        }
        if stalled {
            tracing::error!(%worker, "the worker makes no progress");
            notify::status(&format!("worker {worker} makes no progress"));
        } else {
            tracing::info!(%worker, "the worker makes progress again");
            notify::status(&format!("worker {worker} makes progress again"));
        }
    }
}

fn look_at_links(appliance: &Appliance, links: &mut LinkWatch) {
    for (place, state) in links.look(Instant::now(), || appliance.interfaces.look()) {
        let interface = u8::try_from(place).map(|place| appliance.port(PortId(place))).unwrap_or_default();
        match state {
            LinkState::Up => tracing::info!(interface, "the interface is up again"),
            LinkState::NoCarrier => tracing::warn!(interface, "the interface has no carrier"),
            LinkState::Down => tracing::warn!(interface, "the interface is down"),
            LinkState::Gone => {
                tracing::warn!(interface, "the interface is gone; restart ravelin when it is back");
            }
            LinkState::Detached => {
                tracing::warn!(
                    interface,
                    "somebody has detached ravelin's program from the interface, so its packets pass ravelin by; restart ravelin"
                );
            }
        }
    }
}

/// Stops the workers and writes what they leave, within the time that the configuration allows for both.
fn stop(appliance: &Appliance, crew: Crew) -> Result<(), RunError> {
    let deadline = Instant::now() + appliance.in_force().config.control.shutdown;
    let stopped = crew.stop(&appliance.roster, deadline);
    let totals = appliance.totals();
    tracing::info!(
        received = totals.received,
        injected = totals.injected,
        forwarded = totals.forwarded,
        local = totals.local,
        consumed = totals.consumed,
        dropped = totals.drops.total(),
        handed_off = totals.handed_off,
        handed_in = totals.handed_in,
        "the workers have stopped"
    );
    appliance.note_last();
    if let Some(captures) = appliance.take_captures() {
        captures.stop(deadline.saturating_duration_since(Instant::now()));
    }
    if let Some(writer) = appliance.take_writer() {
        let left = writer.stop(deadline.saturating_duration_since(Instant::now()));
        if left.unwritten > 0 {
            tracing::error!(unwritten = left.unwritten, "flow records could not be written");
        }
    }
    Ok(stopped?)
}
