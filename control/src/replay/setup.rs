use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use ravelin_config::{Config, types::IpNet};
use ravelin_dataplane::{
    capture::Program,
    counters::Imbalance,
    io::{
        PortId,
        fault::{FaultIo, FaultPlan},
        pcap::{PcapError, PcapIo, PortMap},
    },
    policy::DecisionLog,
};

use super::{Parts, Progress, Summary, alerts::Alerts, capture::Capturing, captures::Captures, drive};
use crate::{
    alerts::Ledger,
    capture::Commentator,
    compile::{self, CompileError, Ports, TableSizes},
    feeds::Library,
    policy::{Engine, Teller},
    records::{Encoder, OrderedSink},
};

/// What is replayed, and how.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// The captures, in order; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// The configuration. One without interfaces is given a bridge of two ports, `outside` and `inside`.
    pub config: Config,
    /// What its feeds say.
    pub library: Library,
    /// Where flow records are written; `-` is standard output.
    pub records: Option<PathBuf>,
    /// Where a capture of what was forwarded is written; `-` is standard output.
    pub write: Option<PathBuf>,
    /// Where a capture of what the filter selects is written; `-` is standard output.
    pub capture: Option<PathBuf>,
    /// What it selects; everything if `None`.
    pub filter: Option<Program>,
    /// Whose packets come from the inside.
    pub inside: Vec<IpNet>,
    /// Packets in a batch; the configuration's if `None`.
    pub batch: Option<usize>,
    /// Faults to inject.
    pub faults: Option<FaultPlan>,
}

/// Why a replay did not work.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is nothing to replay.
    #[error("no capture is given")]
    NoFile,
    /// A capture cannot be read, or what was forwarded cannot be written.
    #[error(transparent)]
    Capture(#[from] PcapError),
    /// The configuration cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Flow records cannot be written.
    #[error("flow records cannot be written: {source}")]
    Records {
        /// What the system says.
        source: io::Error,
    },
    /// The capture of what the filter selects cannot be written.
    #[error("the capture cannot be written: {source}")]
    Captured {
        /// What the system says.
        source: io::Error,
    },
    /// The file of flow records cannot be made.
    #[error("cannot write flow records to `{}`: {source}", path.display())]
    OpenRecords {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file would be written over another one that is in use.
    #[error("`{}` is both written and read, or written twice", file.display())]
    SameFile {
        /// The file.
        file: PathBuf,
    },
    /// The system has no event to give.
    #[error("cannot make an event: {source}")]
    Waker {
        /// What the system says.
        source: io::Error,
    },
    /// The conservation law does not hold: a mistake in the packet path.
    #[error("mistake in the packet path: {0}")]
    Imbalance(#[from] Imbalance),
}

/// The bridge of a configuration that has no interfaces.
const BRIDGE: &str = "[[bridge]]\nname = \"replay\"\nports = [\"outside\", \"inside\"]\n";

impl Replay {
    /// Replays the captures from start to end, and says what was found. A capture that is damaged, or an output that fails,
    /// ends it early, with [`Summary::failure`].
    ///
    /// # Errors
    /// Why it could not start, or that records could not be written.
    pub fn run(self, progress: impl FnMut(Progress)) -> Result<Summary, ReplayError> {
        self.check_outputs()?;
        let (first, rest) = self.files.split_first().ok_or(ReplayError::NoFile)?;
        if let Some(directory) = self.files.iter().find(|file| file.is_dir()) {
            let source = io::ErrorKind::IsADirectory.into();
            return Err(PcapError::Open { file: directory.display().to_string(), source }.into());
        }
        // A name that is mistyped is found now, not after an hour.
        for file in rest.iter().filter(|file| !is_standard(file)) {
            File::open(file)
                .map_err(|source| PcapError::Open { file: file.display().to_string(), source })?;
        }
        let config = with_ports(self.config);
        let ports = Ports::unlimited(&config)?;
        let engine = Engine::of(&config, &self.library)?;
        let decisions = DecisionLog::new(DecisionLog::CAPACITY);
        let mut snapshot = compile::snapshot(&config, &ports, engine.policy().clone())?;
        snapshot.nat = Arc::new(compile::nat(&config, &ports, &[]));
        let map = port_map(&config, &ports, self.inside);
        let mut io = PcapIo::open(first, map.clone())?;
        if let Some(path) = &self.write {
            io = io.write_to(path)?;
        }
        let captures = Captures::new(io, first.display().to_string(), VecDeque::from(rest.to_vec()), map);
        let teller = Teller::new(vec![Arc::clone(&decisions)], engine.book());
        let commented = teller.clone();
        let encoder = Encoder::new(&ports, teller.clone());
        let records = match &self.records {
            Some(path) => {
                let encoder = encoder.clone();
                let sink = open(path).and_then(|out| OrderedSink::new(out, encoder));
                Some(sink.map_err(|source| ReplayError::OpenRecords { path: path.clone(), source })?)
            }
            None => None,
        };
        let capturing = match &self.capture {
            Some(path) => {
                snapshot.capture = super::capture::plan(self.filter);
                let names = ports.iter().map(|(_, name, _)| name.as_str());
                let made = open(path).and_then(|out| Capturing::new(out, Commentator::new(commented), names));
                Some(made.map_err(|source| ReplayError::Captured { source })?)
            }
            None => None,
        };
        let parts = Parts {
            snapshot,
            sizes: TableSizes::per_worker(&config, 1),
            batch: self.batch.unwrap_or(config.workers.batch),
            ports: ports.len(),
            decisions: Arc::clone(&decisions),
            records,
            alerts: Alerts {
                log: decisions,
                teller,
                encoder,
                library: self.library,
                window: config.threat.alert_window,
                ledger: Ledger::default(),
            },
            capturing,
        };
        match self.faults {
            Some(plan) => drive(FaultIo::new(captures, plan), parts, progress),
            None => drive(captures, parts, progress),
        }
    }

    /// Length of all files together, if it can be known.
    pub fn total_bytes(&self) -> Option<u64> {
        let length = |file: &PathBuf| {
            let metadata = file.metadata().ok()?;
            (!is_standard(file) && metadata.is_file()).then_some(metadata.len())
        };
        self.files.iter().map(length).sum()
    }

    /// Refuses to write over what is read, and to write twice to the same place.
    fn check_outputs(&self) -> Result<(), ReplayError> {
        let outputs: Vec<_> = self.records.iter().chain(&self.write).chain(&self.capture).collect();
        for (index, output) in outputs.iter().enumerate() {
            let read = self.files.iter().filter(|file| !is_standard(file));
            let written = outputs.iter().take(index).copied();
            if read.chain(written).any(|other| is_same(output, other)) {
                return Err(ReplayError::SameFile { file: output.to_path_buf() });
            }
        }
        Ok(())
    }
}

/// The configuration, with a bridge if it has no interfaces.
fn with_ports(mut config: Config) -> Config {
    if config.interfaces.is_empty() {
        // The text is ours, and a test compiles it.
        if let Ok(loaded) = ravelin_config::parse(BRIDGE, "replay") {
            config.interfaces = loaded.config.interfaces;
            config.bridges = loaded.config.bridges;
        }
    }
    config
}

fn port_map(config: &Config, ports: &Ports, inside: Vec<IpNet>) -> PortMap {
    let id = |name| ports.id(name).unwrap_or_default();
    let [outside_port, inside_port] =
        config.bridges.first().map_or([PortId::default(); 2], |bridge| bridge.ports.each_ref().map(id));
    PortMap {
        names: ports.iter().map(|(id, name, _)| (name.as_str().to_owned(), id)).collect(),
        inside,
        inside_port,
        outside_port,
    }
}

fn open(path: &Path) -> io::Result<Box<dyn Write + Send>> {
    if is_standard(path) { Ok(Box::new(io::stdout())) } else { Ok(Box::new(File::create(path)?)) }
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Whether both are the same regular file, under whatever names.
fn is_same(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
    };
    a == b || identity(a).is_some_and(|identity_of_a| identity(b) == Some(identity_of_a))
}
