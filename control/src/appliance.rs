//! The running process as its control side knows it: what handlers, metrics and the watchdog share.
//!
//! Promises: reading anything here never makes a worker wait. Refuses: to know of HTTP or tables. Read next: `api/mod.rs`.

pub mod captures;
mod feeds;
mod rotation;
pub mod routes;
mod triggers;
mod wireguard;

use std::{collections::VecDeque, net::IpAddr, sync::Arc, time::Duration};

use jiff::{Timestamp, Unit};
use parking_lot::Mutex;
use ravelin_config::{Config, Interface, RecordsTarget, resources::Failsafe, types::Protocol};
use ravelin_dataplane::{
    counters::WorkerCounters,
    flow::FlowRecord,
    handoff::WorkerId,
    io::PortId,
    policy::{DecisionId, Key, Zone},
};

use self::{captures::CaptureDesk, routes::RouteDesk};
use crate::{
    alerts::Ledger,
    api::view::{LastReload, Link, LinkState},
    compile::{PortFacts, Ports},
    feeds::{
        Keeper, Library,
        kernel::{Blocklist, KernelKeeper},
    },
    log::LogLevelHandle,
    policy::{Live, RuleUsage, Tally, Teller, Told},
    records::{Writer, WriterStats},
    reload::{ReloadError, Reloaded, Reloader},
    supervisor::{crew::Roster, notify},
};

/// What the control side may ask of the interfaces while workers own their sockets.
pub trait Interfaces: Send + Sync {
    /// What compilation has to know of an interface.
    fn facts(&self, interface: &Interface) -> PortFacts;

    /// What there is to say about every interface, in the order of the ports.
    fn links(&self) -> Vec<Link>;

    /// How every interface is now, in the order of the ports. Workers are told, too, and what
    /// the kernel made anew is set up. Called once a second.
    fn look(&self) -> Vec<LinkState>;

    /// The kernel before them, if it can drop packets by their source. Called once.
    fn blocklist(&self) -> Option<Box<dyn Blocklist>>;

    /// Packets and bytes that the kernel dropped so, in the order of the ports.
    fn blocked(&self) -> Vec<[u64; 2]>;

    /// What they leave to the kernel, if there is one that routes. Called once.
    fn own(&self) -> Option<Box<dyn Own>>;

    /// Gives the interfaces back as they were found. Called once, after the workers have stopped; returns what went wrong.
    fn close(&self) -> Vec<String>;

    /// Gives up after a start that failed: as [`Interfaces::close`], but what an earlier process left goes on.
    fn abandon(&self) -> Vec<String>;
}

/// What interfaces that route leave to the kernel without asking workers.
pub trait Own: Send {
    /// Has these be its addresses, and no others.
    ///
    /// # Errors
    /// What is wrong.
    fn set_addresses(&mut self, addresses: &[IpAddr]) -> Result<(), String>;

    /// Has these be the ports at which it is reached whatever workers do, and no others.
    ///
    /// # Errors
    /// What is wrong.
    fn set_failsafes(&mut self, failsafes: &[Failsafe]) -> Result<(), String>;

    /// Has these be the UDP ports at which tunnels end, whose packets are the workers', and no others.
    ///
    /// # Errors
    /// What is wrong.
    fn set_tunnels(&mut self, ports: &[u16]) -> Result<(), String>;
}

/// The running process.
pub struct Appliance {
    /// When it was started.
    pub started: Timestamp,
    /// The workers.
    pub roster: Roster,
    /// The interfaces.
    pub interfaces: Arc<dyn Interfaces>,
    /// One listing of flows at a time: a worker that is asked for a second one gives up the first.
    pub(crate) listing: tokio::sync::Mutex<()>,
    /// One trace at a time, for the same reason.
    pub(crate) tracing: Arc<tokio::sync::Mutex<()>>,
    reloader: tokio::sync::Mutex<Reloader>,
    in_force: Mutex<InForce>,
    teller: Mutex<Teller>,
    cut: Mutex<Cut>,
    alerts: Mutex<Ledger>,
    captures: Mutex<Option<CaptureDesk>>,
    routes: Mutex<Option<RouteDesk>>,
    keeper: Option<Keeper>,
    kernel: Option<KernelKeeper>,
    writer: Mutex<Option<Writer>>,
    log: LogLevelHandle,
}

/// The configuration in force, for those who only read.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The configuration.
    pub config: Arc<Config>,
    /// Its number.
    pub generation: u32,
    /// Its interfaces by number.
    pub ports: Arc<Ports>,
    /// What its feeds say.
    pub library: Arc<Library>,
    /// The file it came from.
    pub path: String,
    /// The last attempt to bring one into force.
    pub last_reload: LastReload,
    /// When that was.
    pub last_reload_time: Timestamp,
}

impl Appliance {
    /// How long a reload waits for workers to take it over.
    const PATIENCE: Duration = Duration::from_secs(2);

    /// The process whose workers are in `roster` and whose first configuration `reloader` has brought into force.
    pub fn new(
        roster: Roster,
        interfaces: Arc<dyn Interfaces>,
        reloader: Reloader,
        writer: Option<Writer>,
        keepers: (Option<Keeper>, Option<KernelKeeper>),
        log: LogLevelHandle,
    ) -> Self {
        let (keeper, kernel) = keepers;
        let now = Timestamp::now();
        let in_force = InForce {
            config: Arc::clone(reloader.running()),
            generation: reloader.generation(),
            ports: Arc::clone(reloader.ports()),
            library: Arc::clone(reloader.library()),
            path: reloader.path().display().to_string(),
            last_reload: LastReload {
                time: whole_seconds(now),
                succeeded: true,
                message: "started".to_owned(),
            },
            last_reload_time: now,
        };
        let teller = Teller::new(roster.logs(), reloader.book());
        let appliance = Self {
            started: now,
            roster,
            interfaces,
            listing: tokio::sync::Mutex::default(),
            tracing: Arc::default(),
            teller: Mutex::new(teller),
            cut: Mutex::default(),
            alerts: Mutex::default(),
            captures: Mutex::default(),
            routes: Mutex::default(),
            keeper,
            kernel,
            reloader: tokio::sync::Mutex::new(reloader),
            in_force: Mutex::new(in_force),
            writer: Mutex::new(writer),
            log,
        };
        if let Ok(reloader) = appliance.reloader.try_lock() {
            appliance.tell_kernel(&reloader);
        }
        appliance
    }

    /// What the workers counted, and the kernel in their place.
    pub fn totals(&self) -> WorkerCounters {
        let mut totals = self.roster.totals();
        totals.add(&self.dropped_by_kernel());
        totals
    }

    /// What the kernel counted in the place of workers.
    pub fn dropped_by_kernel(&self) -> WorkerCounters {
        WorkerCounters::of_kernel(&self.interfaces.blocked())
    }

    /// The configuration in force.
    pub fn in_force(&self) -> InForce {
        self.in_force.lock().clone()
    }

    /// What a worker decided, in names.
    pub fn told(&self, worker: WorkerId, decision: DecisionId) -> Option<Told> {
        self.teller.lock().tell(worker, decision)
    }

    /// The name of an interface.
    pub fn port(&self, port: PortId) -> String {
        self.in_force.lock().ports.name(port).map_or_else(|| format!("port {port}"), ToString::to_string)
    }

    /// Where flow records go and what became of them; `None` if there are none.
    pub fn records(&self) -> Option<(String, WriterStats)> {
        let stats = self.writer.lock().as_ref()?.stats();
        Some((describe(self.in_force.lock().config.records.file.as_ref()?), stats))
    }

    /// The record writer, to stop it.
    pub fn take_writer(&self) -> Option<Writer> {
        self.writer.lock().take()
    }

    /// Brings what the configuration file says now into force, and waits a bounded time until every worker runs on it. One at
    /// a time; others wait for their turn. A file of flow records that was renamed or removed is opened anew, whatever the
    /// configuration says. The service manager is told of the beginning and the end.
    ///
    /// # Errors
    /// Why not; the old configuration stays in force.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let mut reloader = self.reloader.lock().await;
        notify::reloading();
        self.follow_records().await;
        let result = self.replace(&mut reloader, Cause::Asked).await;
        let in_force = self.in_force();
        let message = in_force.last_reload.message;
        notify::ready(&match &result {
            Ok(_) => message,
            Err(_) => format!("generation {} stays in force, reload refused: {message}", in_force.generation),
        });
        result
    }

    async fn replace(&self, reloader: &mut Reloader, cause: Cause) -> Result<Reloaded, ReloadError> {
        let facts = |interface: &Interface| self.interfaces.facts(interface);
        let result = match cause {
            Cause::Asked => reloader.reload(facts),
            Cause::Files => reloader.follow_files(facts),
        };
        let now = Timestamp::now();
        let (succeeded, message) = match &result {
            Ok(reloaded) => {
                let fields: Vec<_> = reloaded.changes.iter().map(|change| change.field.as_str()).collect();
                let what = if fields.is_empty() { "nothing".to_owned() } else { fields.join(", ") };
                (true, format!("generation {}: {what} changed", reloaded.generation))
            }
            Err(error) => (false, error.to_string()),
        };
        {
            let mut in_force = self.in_force.lock();
            in_force.last_reload =
                LastReload { time: whole_seconds(now), succeeded, message: first_line(&message) };
            in_force.last_reload_time = now;
            in_force.config = Arc::clone(reloader.running());
            in_force.generation = reloader.generation();
            in_force.ports = Arc::clone(reloader.ports());
            in_force.library = Arc::clone(reloader.library());
        }
        let mut reloaded = result.inspect_err(|error| {
            tracing::error!(%error, "reload refused; the old configuration stays in force");
        })?;
        self.log.set(reloader.running().log.level);
        self.tell_kernel(reloader);
        if let Some(triggers) = self.triggers() {
            triggers.configure(&reloader.running().capture.trigger);
        }
        if let Some(keeper) = &self.keeper {
            keeper.configure(reloader.running(), reloader.library(), reloader.epoch());
        }
        if let Some(routes) = &mut *self.routes.lock() {
            routes.set_failsafes(reloader);
            routes.set_tunnels(&reloader.tunnels().listen_ports());
        }
        reloader.apply_tunnels();
        self.watch_captures(reloader).await;
        reloaded.behind = reloader.settle(Self::PATIENCE, |worker| self.roster.wake(worker)).await;
        tracing::info!(generation = reloaded.generation, "{message}");
        for worker in &reloaded.behind {
            tracing::error!(%worker, "the worker has not taken over the new configuration yet");
        }
        Ok(reloaded)
    }

    /// Takes over what has changed by itself of what the configuration names: endpoints in their directory, manifests, feeds; and
    /// takes note of flows with what feeds name.
    pub async fn watch(&self) {
        let Ok(mut reloader) = self.reloader.try_lock() else { return };
        self.note_named(&reloader);
        self.note_turned();
        self.note_exhaustion(&reloader);
        self.note_triggers();
        self.watch_captures(&mut reloader).await;
        self.update_feeds(&mut reloader).await;
        self.end_rotations(&mut reloader).await;
        let watched = reloader.look();
        for problem in &watched.refused {
            tracing::warn!("{problem}");
        }
        if watched.manifests {
            tracing::info!("manifests have changed");
            // What went wrong is in the log.
            drop(self.replace(&mut reloader, Cause::Files).await);
            return;
        }
        let count = watched.changes.len();
        if count == 0 {
            if let Err(error) = reloader.renew() {
                tracing::error!(%error, "policy cannot be compiled anew; it stays as it is");
            }
            return;
        }
        match reloader.apply(watched.changes) {
            Ok(generation) => {
                self.in_force.lock().generation = generation;
                self.tell_kernel(&reloader);
                let behind = reloader.settle(Self::PATIENCE, |worker| self.roster.wake(worker)).await;
                tracing::info!(generation, endpoints = count, "endpoints have changed");
                for worker in behind {
                    tracing::error!(%worker, "the worker has not taken over the change yet");
                }
            }
            Err(error) => tracing::error!(%error, "endpoints have changed, but not in force"),
        }
    }

    /// Opens the file of flow records anew if it was renamed or removed, and waits a bounded time until that is done: whoever
    /// renamed it may then do with it what he likes.
    async fn follow_records(&self) {
        let Some(request) = self.writer.lock().as_ref().map(Writer::look) else { return };
        let end = tokio::time::Instant::now() + Self::PATIENCE;
        let done = || self.writer.lock().as_ref().is_none_or(|writer| writer.has_looked(request));
        while !done() && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Drops configurations that are no longer in force and that no worker holds any more; and takes note of flows that a change of
    /// policy has cut.
    pub fn reclaim(&self) {
        if let Ok(mut reloader) = self.reloader.try_lock() {
            reloader.reclaim();
            self.note_cut(&reloader);
        }
    }

    /// The flows that changes of policy have cut, the last ones last, and how many there were before them.
    pub(crate) async fn cut(&self) -> (Vec<CutFlow>, u64) {
        self.note_cut(&*self.reloader.lock().await);
        let cut = self.cut.lock();
        (cut.flows.iter().cloned().collect(), cut.forgotten)
    }

    /// Takes from the workers what they have cut, and asks policy by which rule.
    fn note_cut(&self, reloader: &Reloader) {
        let mut teller = self.teller.lock();
        let logs = teller.logs().to_vec();
        let snapshot = reloader.current();
        for raw in logs.iter().flat_map(|log| std::iter::from_fn(|| log.take_cut())) {
            let (record, zones) = (raw.read(), raw.zones(&snapshot.forward));
            let judgement = snapshot.policy.judge(&question(&record, zones));
            let now = teller.name(&judgement.decision());
            self.cut.lock().add(CutFlow { record, now });
        }
    }

    /// What the rules of the configuration in force did, with what live flows add to it.
    pub(crate) fn usage(&self, live: &Live) -> Vec<RuleUsage> {
        let (logs, mut book) = {
            let teller = self.teller.lock();
            (teller.logs().to_vec(), teller.book())
        };
        let config = self.in_force().config;
        Tally::new(&logs, live, &mut book).rules(&config.resources)
    }

    /// Workers that make no progress.
    pub fn stalled(&self) -> Vec<WorkerId> {
        self.roster.members().iter().filter(|member| member.is_stalled()).map(|member| member.id).collect()
    }
}

/// Why a configuration is read again.
#[derive(Clone, Copy)]
enum Cause {
    /// Somebody asks for it.
    Asked,
    /// Files have changed that are watched.
    Files,
}

/// A flow that a change of policy has cut.
#[derive(Clone, Debug)]
pub(crate) struct CutFlow {
    /// What it was until then.
    pub(crate) record: FlowRecord,
    /// What policy said about it when that was noticed.
    pub(crate) now: Told,
}

/// The last flows that were cut.
#[derive(Debug, Default)]
struct Cut {
    flows: VecDeque<CutFlow>,
    /// Those that are forgotten.
    forgotten: u64,
}

impl Cut {
    /// Flows that are remembered.
    const MOST: usize = 1_000;

    fn add(&mut self, flow: CutFlow) {
        if self.flows.len() == Self::MOST {
            self.flows.pop_front();
            self.forgotten += 1;
        }
        self.flows.push_back(flow);
    }
}

/// What would be asked about a flow if it came now. Its ICMP message is not known any more: one that asks for an echo is likely.
fn question(record: &FlowRecord, zones: [Zone; 2]) -> Key {
    let (source, source_port) = record.key.end(record.initiator);
    let (destination, destination_port) = record.key.end(record.initiator.other());
    let protocol = record.key.protocol();
    let [source_port, destination_port] = match protocol {
        Protocol::ICMP => [0, u16::from_be_bytes([8, 0])],
        Protocol::ICMPV6 => [0, u16::from_be_bytes([128, 0])],
        _ => [source_port, destination_port],
    };
    Key { source, destination, protocol, source_port, destination_port, zones }
}

impl std::fmt::Debug for Appliance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appliance").field("roster", &self.roster).finish_non_exhaustive()
    }
}

/// RFC 3339 in UTC: what people compare with a log does not need more.
pub(crate) fn whole_seconds(time: Timestamp) -> String {
    time.round(Unit::Second).unwrap_or(time).to_string()
}

/// Where flow records go, in words.
pub(crate) fn describe(target: &RecordsTarget) -> String {
    match target {
        RecordsTarget::StandardOutput => "standard output".to_owned(),
        RecordsTarget::File(path) => path.display().to_string(),
    }
}

/// A report that is many lines long is in the log and in the answer; here it is one line.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
