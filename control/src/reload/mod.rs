//! How a configuration comes into force: the one path that start and reload share.
//!
//! ```text
//! load > validate > runnable? > diff (start: from nothing) > compile > publish > acknowledged by every worker > reclaim
//! ```
//!
//! Promises: all or nothing: until every step before `publish` has succeeded nothing has changed, and what is published is
//! the whole configuration; a configuration that needs a restart is refused with the names of the fields; a replaced
//! snapshot dies here, never on a worker. Refuses: to wait for a worker without end. Read next: `../compile/mod.rs`.

mod peers;
mod rotation;
#[cfg(test)]
mod tests;

pub use peers::PeersError;
pub use rotation::RotationError;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ravelin_config::{Change, Config, Interface, Report, types::IfName, wireguard::WireguardPeer};
use ravelin_dataplane::{
    handoff::WorkerId,
    io::PortId,
    nat::NatPlan,
    policy::{AddressSet, PolicySet},
    route::Routes,
    snapshot::{Publisher, Reader, Snapshot},
};

use crate::{
    capture::{CaptureSpec, Captures, Names, SpecError, trigger},
    compile::{self, CompileError, PortFacts, Ports},
    feeds::{Library, Update},
    policy::{self, BeforeFeeds, BookReader, Engine},
    sources::{Loaded, Watched, Watcher},
    wireguard::{self as tunnels, Registry},
};

/// Why a configuration did not come into force. What was in force still is.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file is wrong.
    #[error("the configuration cannot be used\n\n{0}")]
    Config(Report),
    /// Something changed that a running process cannot take over.
    #[error("a change of {} needs a restart", .0.join(", "))]
    Restart(Vec<String>),
    /// The configuration is right in itself, but does not fit this process.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// What a reload did.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// The generation that is in force now.
    pub generation: u32,
    /// What differs from the configuration before.
    pub changes: Vec<Change>,
    /// What is doubtful about the configuration.
    pub warnings: Report,
    /// Workers that had not taken it over when patience ended. They will, with their next turn.
    pub behind: Vec<WorkerId>,
}

/// Reads a configuration and decides whether it may replace `running`; `None` at start.
///
/// # Errors
/// [`ReloadError::Config`] and [`ReloadError::Restart`].
pub fn prepare(path: &Path, running: Option<&Config>) -> Result<(Loaded, Vec<Change>), ReloadError> {
    let loaded = read(path)?;
    let changes = running.map_or(Ok(Vec::new()), |running| differences(running, &loaded.config))?;
    Ok((loaded, changes))
}

fn read(path: &Path) -> Result<Loaded, ReloadError> {
    let loaded = crate::sources::load(path).map_err(ReloadError::Config)?;
    loaded.config.check_runnable().map_err(ReloadError::Config)?;
    Ok(loaded)
}

/// What differs from the configuration in force, if a running process can take it over.
fn differences(running: &Config, next: &Config) -> Result<Vec<Change>, ReloadError> {
    let changes = ravelin_config::diff(running, next);
    let refused: Vec<_> =
        changes.iter().filter(|change| !change.live).map(|change| change.field.clone()).collect();
    if refused.is_empty() { Ok(changes) } else { Err(ReloadError::Restart(refused)) }
}

/// The peers of interfaces whose peers have changed while the process runs, whatever the files say.
type LivePeers = BTreeMap<IfName, Vec<WireguardPeer>>;

/// The configuration in force, and the right to replace it.
#[derive(Debug)]
pub struct Reloader {
    path: PathBuf,
    /// What the files say.
    loaded: Arc<Config>,
    /// What has changed since.
    live: LivePeers,
    /// Both together.
    running: Arc<Config>,
    engine: Engine,
    library: Arc<Library>,
    epoch: u64,
    watcher: Watcher,
    ports: Arc<Ports>,
    captures: Captures,
    tunnels: Registry,
    /// Those of the interfaces that route.
    addresses: Vec<(PortId, IpAddr)>,
    publisher: Publisher,
}

impl Reloader {
    /// How often workers are asked whether they have moved on.
    const POLL: Duration = Duration::from_millis(1);

    /// Brings the first configuration into force, before there are workers: `config`, read from `path` by [`prepare`], with what
    /// its feeds say.
    ///
    /// # Errors
    /// [`CompileError`]: too many interfaces or rules.
    pub fn begin(
        path: PathBuf,
        config: Config,
        library: Library,
        workers: u8,
        facts: impl FnMut(&Interface) -> PortFacts,
    ) -> Result<Self, CompileError> {
        let ports = Ports::new(&config, facts)?;
        let engine = Engine::of(&config, &library)?;
        trigger::check(&config.capture)?;
        let mut captures =
            Captures::new(&config.capture.ring).map_err(|error| CompileError::Ring(error.to_string()))?;
        captures.follow(&config.capture.trigger);
        let mut snapshot = compile::snapshot(&config, &ports, engine.policy().clone())?;
        snapshot.capture = captures.plan(names(&engine, &engine.book()));
        snapshot.nat = Arc::new(compile::nat(&config, &ports, &[]));
        let mut tunnels = Registry::default();
        snapshot.wireguard = tunnels.take_over(tunnels.prepare(&config, &ports)?);
        let publisher = Publisher::new(snapshot, workers);
        let running = Arc::new(config);
        Ok(Self {
            path,
            watcher: Watcher::new(&running),
            loaded: Arc::clone(&running),
            live: LivePeers::new(),
            running,
            engine,
            library: Arc::new(library),
            epoch: 0,
            ports: Arc::new(ports),
            captures,
            tunnels,
            addresses: Vec::new(),
            publisher,
        })
    }

    /// Reads the file again and publishes what it says. Also asks again what the system knows of the interfaces, so
    /// publishes even if the file is the same. What has changed in the process alone is lost.
    ///
    /// # Errors
    /// Why not; the old configuration stays in force.
    pub fn reload(&mut self, facts: impl FnMut(&Interface) -> PortFacts) -> Result<Reloaded, ReloadError> {
        self.take_over(facts, LivePeers::new())
    }

    /// The same because files have changed that are read again without anybody asking for it: what has changed in the process alone stays.
    ///
    /// # Errors
    /// As for [`Reloader::reload`].
    pub fn follow_files(
        &mut self,
        facts: impl FnMut(&Interface) -> PortFacts,
    ) -> Result<Reloaded, ReloadError> {
        self.take_over(facts, self.live.clone())
    }

    fn take_over(
        &mut self,
        facts: impl FnMut(&Interface) -> PortFacts,
        live: LivePeers,
    ) -> Result<Reloaded, ReloadError> {
        let Loaded { config, warnings, mut library } = read(&self.path)?;
        let loaded = Arc::new(config);
        let config = peers::with(&loaded, &live);
        let changes = differences(&self.running, &config)?;
        library.keep(&self.library);
        let ports = Ports::new(&config, facts)?;
        trigger::check(&config.capture).map_err(CompileError::from)?;
        let mut snapshot = compile::snapshot(&config, &ports, PolicySet::default())?;
        let tunnels = self.tunnels.prepare(&config, &ports)?;
        self.engine.replace_with(&config, &library)?;
        snapshot.wireguard = self.tunnels.take_over(tunnels);
        snapshot.policy = self.engine.policy().clone();
        self.captures.follow(&config.capture.trigger);
        snapshot.capture = self.captures.plan(names(&self.engine, &self.engine.book()));
        snapshot.routes = self.publisher.current().routes.clone();
        snapshot.nat = self.nat(&config, &ports);
        let generation = self.publisher.publish(snapshot);
        self.watcher = Watcher::new(&config);
        self.library = Arc::new(library);
        self.epoch += 1;
        (self.loaded, self.live, self.running) = (loaded, live, config);
        self.ports = Arc::new(ports);
        Ok(Reloaded { generation, changes, warnings, behind: Vec::new() })
    }

    /// Looks for changes of what the configuration names and others write.
    pub fn look(&mut self) -> Watched {
        self.watcher.look(&self.running)
    }

    /// What the feeds of the configuration in force say.
    pub fn library(&self) -> &Arc<Library> {
        &self.library
    }

    /// Brings what feeds say now into force, and returns the number of the configuration with it; `None` if it is about feeds of
    /// a configuration that was replaced meanwhile.
    ///
    /// # Errors
    /// Why it cannot be compiled; then what was in force still is.
    pub fn update_feeds(&mut self, update: Update) -> Result<Option<u32>, CompileError> {
        let Update { epoch, changed, library, indicators } = update;
        if epoch != self.epoch {
            return Ok(None);
        }
        let changes = changed.iter().map(|name| self.library.members(&library, name));
        let members = self.engine.apply(changes.map(policy::Change::Members).collect())?;
        let before = &self.engine.policy().threat.indicators;
        let touched = members.map(|members| AddressSet::union_of([&members, &before.differing(&indicators)]));
        self.engine.set_indicators(indicators);
        self.library = Arc::new(library);
        Ok(Some(self.publish_policy(touched.as_ref())))
    }

    /// What policy says before these are asked.
    pub fn before_feeds(&self) -> BeforeFeeds {
        self.engine.before_feeds()
    }

    /// Which configuration's feeds these are: see [`Update::epoch`].
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Brings changes of resources into force, and returns the number of the configuration with them.
    ///
    /// # Errors
    /// Why they cannot be compiled; then what was in force still is.
    pub fn apply(&mut self, changes: Vec<policy::Change>) -> Result<u32, CompileError> {
        let touched = self.engine.apply(changes)?;
        Ok(self.publish_policy(touched.as_ref()))
    }

    /// Compiles policy anew if so much has changed that it is slow by now; says whether it did.
    ///
    /// # Errors
    /// Why it cannot be compiled; then what was in force still is.
    pub fn renew(&mut self) -> Result<bool, CompileError> {
        let renewed = self.engine.renew()?;
        if renewed {
            // The meaning is the same.
            self.publish_policy(Some(&AddressSet::empty()));
        }
        Ok(renewed)
    }

    /// Publishes the engine's policy; `touched`, if given, are the addresses that it now speaks otherwise of.
    fn publish_policy(&mut self, touched: Option<&AddressSet>) -> u32 {
        let current = self.publisher.current();
        let mut snapshot = Snapshot { policy: self.engine.policy().clone(), ..(*current).clone() };
        if self.captures.follow_names() {
            snapshot.capture = self.captures.plan(names(&self.engine, &self.engine.book()));
        }
        match touched {
            Some(addresses) => self.publisher.publish_change(snapshot, addresses),
            None => self.publisher.publish(snapshot),
        }
    }

    /// Has packets routed otherwise from now on. What was decided about flows still holds, unless it is a matter of the zone by
    /// which they leave: then each is judged again before its next packet does.
    pub fn follow_routes(&mut self, routes: Routes, addresses: Vec<(PortId, IpAddr)>) {
        self.addresses = addresses;
        let nat = self.nat(&self.running, &self.ports);
        let current = self.publisher.current();
        let moves_flows = current.policy.uses_zones() && !routes.lead_as(&current.routes);
        let snapshot = Snapshot { routes, nat, ..(*current).clone() };
        if moves_flows {
            self.publisher.publish(snapshot);
        } else {
            self.publisher.publish_change(snapshot, &AddressSet::empty());
        }
    }

    /// Has packets inside tunnels be as long as the ways to the peers allow.
    pub fn follow_paths(&mut self) {
        let current = self.publisher.current();
        if !self.tunnels.follow_paths(&self.running, &current.routes) {
            return;
        }
        match self.tunnels.prepare(&self.running, &self.ports) {
            Ok(prepared) => {
                let wireguard = self.tunnels.take_over(prepared);
                let snapshot = Snapshot { wireguard, ..(*current).clone() };
                self.publisher.publish_change(snapshot, &AddressSet::empty());
            }
            Err(error) => {
                tracing::error!(%error, "tunnels do not follow the length of packets on the way to peers");
            }
        }
        self.apply_tunnels();
    }

    /// Brings the interfaces of tunnels to what the configuration says of them.
    pub fn apply_tunnels(&self) {
        tunnels::apply(&self.running, |wireguard| self.tunnels.mtu(wireguard, &self.ports));
    }

    /// All that workers run on.
    pub fn current(&self) -> Arc<Snapshot> {
        self.publisher.current()
    }

    /// What is translated now.
    pub fn translated(&self) -> Arc<NatPlan> {
        Arc::clone(&self.publisher.current().nat)
    }

    /// What is translated: the same as is now, unless something has changed.
    fn nat(&self, config: &Config, ports: &Ports) -> Arc<NatPlan> {
        let nat = compile::nat(config, ports, &self.addresses);
        let current = &self.publisher.current().nat;
        if **current == nat { Arc::clone(current) } else { Arc::new(nat) }
    }

    /// Whether a capture could begin.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_capture(&self, spec: &CaptureSpec) -> Result<(), SpecError> {
        spec.check(names(&self.engine, &self.engine.book()))
    }

    /// Has a capture begin, under a number that none has.
    ///
    /// # Errors
    /// What is wrong with it; then nothing has changed.
    pub fn start_capture(&mut self, number: u8, spec: CaptureSpec) -> Result<(), SpecError> {
        self.captures.add(number, spec, names(&self.engine, &self.engine.book()))?;
        self.publish_captures();
        Ok(())
    }

    /// Has a capture end.
    pub fn stop_capture(&mut self, number: u8) {
        self.captures.remove(number);
        self.publish_captures();
    }

    fn publish_captures(&mut self) {
        let current = self.publisher.current();
        let capture = self.captures.plan(names(&self.engine, &self.engine.book()));
        // What was decided about flows still holds.
        self.publisher.publish_change(Snapshot { capture, ..(*current).clone() }, &AddressSet::empty());
    }

    /// Waits until every worker runs on the newest configuration, waking those that sleep, and drops older ones. Returns
    /// the workers that have not moved on when `patience` ends.
    pub async fn settle(&mut self, patience: Duration, wake: impl Fn(WorkerId)) -> Vec<WorkerId> {
        let end = tokio::time::Instant::now() + patience;
        loop {
            let behind: Vec<_> = self.publisher.behind().collect();
            if behind.is_empty() || tokio::time::Instant::now() >= end {
                self.publisher.reclaim();
                return behind;
            }
            behind.into_iter().for_each(&wake);
            tokio::time::sleep(Self::POLL).await;
        }
    }

    /// The configuration in force.
    pub fn running(&self) -> &Arc<Config> {
        &self.running
    }

    /// The file it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The interfaces by number.
    pub fn ports(&self) -> &Arc<Ports> {
        &self.ports
    }

    /// The number of the configuration in force.
    pub fn generation(&self) -> u32 {
        self.publisher.generation()
    }

    /// A reader for one worker.
    pub fn reader(&self, worker: WorkerId) -> Reader {
        self.publisher.reader(worker)
    }

    /// The policy in force.
    pub fn policy(&self) -> &PolicySet {
        self.engine.policy()
    }

    /// The tunnels of the configuration in force.
    pub fn tunnels(&self) -> &Registry {
        &self.tunnels
    }

    /// Turns rule numbers into names, on another thread.
    pub fn book(&self) -> BookReader {
        self.engine.book()
    }

    /// Drops older configurations if no worker holds them any more.
    pub fn reclaim(&mut self) {
        self.publisher.reclaim();
    }
}

/// Who bears the names that captures mention.
fn names<'e>(engine: &'e Engine, book: &'e BookReader) -> Names<'e> {
    Names { identities: engine.identities(), book, policy: engine.policy() }
}
