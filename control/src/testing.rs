//! A whole appliance in a test process: real workers and handlers over packets from memory, no privileges needed.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs, io,
    io::Write,
    path::PathBuf,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam::queue::{ArrayQueue, SegQueue};
use parking_lot::Mutex;
use ravelin_config::{
    Interface,
    feed::{Feed, FeedMode, FeedSource},
};
use ravelin_dataplane::{
    batch::{Batch, Meta},
    clock::{Clock, Timestamp},
    counters::WorkerCounters,
    flow::{FlowKey, FlowTable, Side},
    handoff::WorkerId,
    io::{IoCounters, PacketIo, PortId, TransmitError, memory::MemoryFrame},
    parse::{Headers, tcp_flags},
    pipeline::Context,
    policy::{DecisionId, DecisionLog, PolicyStage},
    snapshot::Snapshot,
    wake::Waker,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    api::view::{Link, LinkState, Statistic},
    appliance::{Appliance, Interfaces, Own},
    compile::{self, PortFacts, Ports},
    feeds::{Keeper, Library, kernel::Blocklist},
    log::LogLevelHandle,
    policy::Engine,
    records::RingSink,
    reload::{self, Reloader},
    supervisor::crew::{Crew, Roster, allowed_cores},
};

/// A directory of its own for each test, removed at the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ravelin-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A path in the directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _best_effort = fs::remove_dir_all(&self.0);
    }
}

/// Says that a test cannot run here, where nobody can overlook it: `./x test` counts these lines, and fails.
pub(crate) fn skip(test: &str, missing: &str) {
    // Not `eprintln`, which the test harness keeps to itself.
    writeln!(io::stderr(), "SKIPPED {test}: missing {missing}").unwrap();
}

/// A backend that the test feeds while the worker runs.
pub(crate) struct TestIo {
    link: Arc<Wire>,
    clock: Clock,
}

/// The test's end of a [`TestIo`].
pub(crate) struct Wire {
    input: ArrayQueue<(PortId, Vec<u8>)>,
    pub(crate) output: SegQueue<(PortId, Vec<u8>)>,
    /// Held by the test to make the worker hang where it would sleep.
    pub(crate) hang: Mutex<()>,
}

impl Default for Wire {
    fn default() -> Self {
        Self { input: ArrayQueue::new(4096), output: SegQueue::new(), hang: Mutex::new(()) }
    }
}

impl PacketIo for TestIo {
    type Frame = MemoryFrame;

    fn now(&mut self) -> Timestamp {
        self.clock.now()
    }

    fn receive(&mut self, now: Timestamp, batch: &mut Batch<MemoryFrame>) -> usize {
        let mut received = 0;
        while batch.room() > 0 {
            let Some((port, bytes)) = self.link.input.pop() else { break };
            let length = u32::try_from(bytes.len()).unwrap();
            let meta = Meta { time: now, length, port, ..Meta::default() };
            batch.push(MemoryFrame::new(&bytes), meta).unwrap();
            received += 1;
        }
        received
    }

    fn transmit(&mut self, port: PortId, frame: MemoryFrame) -> Result<(), (TransmitError, MemoryFrame)> {
        self.link.output.push((port, ravelin_dataplane::io::Frame::bytes(&frame).to_vec()));
        Ok(())
    }

    fn compose(&mut self, bytes: &[u8]) -> Option<MemoryFrame> {
        Some(MemoryFrame::new(bytes))
    }

    fn release(&mut self, _frame: MemoryFrame) {}

    fn flush(&mut self) {}

    fn wait(&mut self, waker: &Waker, timeout: Duration) {
        drop(self.link.hang.lock());
        let timeout = Timespec::try_from(timeout).unwrap();
        let _interrupted = poll(&mut [PollFd::new(waker, PollFlags::IN)], Some(&timeout));
    }

    fn is_exhausted(&self) -> bool {
        false
    }

    fn counters(&self) -> IoCounters {
        IoCounters::default()
    }
}

/// Interfaces that exist only here.
pub(crate) struct TestInterfaces {
    ports: usize,
    /// What a kernel would have dropped.
    pub(crate) blocked: Mutex<Vec<[u64; 2]>>,
}

impl Interfaces for TestInterfaces {
    fn facts(&self, _interface: &Interface) -> PortFacts {
        PortFacts { mtu: 1500, partial_checksums: false }
    }

    fn links(&self) -> Vec<Link> {
        let statistic = Statistic {
            name: "test_frames".to_owned(),
            value: 7,
            help: "Frames that nobody sent.".to_owned(),
        };
        let link = Link {
            driver: "none".to_owned(),
            mode: "memory".to_owned(),
            why: Some("there is no kernel".to_owned()),
            queues: 1,
            mtu: 1500,
            statistics: vec![statistic],
            ..Link::default()
        };
        vec![link; self.ports]
    }

    fn look(&self) -> Vec<LinkState> {
        vec![LinkState::Up; self.ports]
    }

    fn blocklist(&self) -> Option<Box<dyn Blocklist>> {
        None
    }

    fn blocked(&self) -> Vec<[u64; 2]> {
        self.blocked.lock().clone()
    }

    fn own(&self) -> Option<Box<dyn Own>> {
        None
    }

    fn close(&self) -> Vec<String> {
        Vec::new()
    }

    fn abandon(&self) -> Vec<String> {
        Vec::new()
    }
}

/// An appliance whose workers run.
pub(crate) struct Running {
    pub(crate) directory: Directory,
    pub(crate) config: PathBuf,
    pub(crate) appliance: Arc<Appliance>,
    pub(crate) interfaces: Arc<TestInterfaces>,
    pub(crate) wires: Vec<Arc<Wire>>,
    crew: Option<Crew>,
}

impl Running {
    /// Starts `workers` workers with the configuration `text`, all of them on the last core that there is.
    pub(crate) fn start(text: &str, workers: usize) -> Self {
        Self::prepare(text, workers, true)
    }

    /// An appliance whose workers were never started, so that the test can play them.
    pub(crate) fn without_workers(text: &str, workers: usize) -> Self {
        Self::prepare(text, workers, false)
    }

    fn prepare(text: &str, workers: usize, start: bool) -> Self {
        let directory = Directory::new();
        let config = directory.write("ravelin.toml", text);
        let (loaded, _) = reload::prepare(&config, None).unwrap();
        let ports = loaded.config.interfaces.len();
        let interfaces = Arc::new(TestInterfaces { ports, blocked: Mutex::default() });
        let count = u8::try_from(workers).unwrap();
        let reloader =
            Reloader::begin(config.clone(), loaded.config.clone(), loaded.library, count, |interface| {
                interfaces.facts(interface)
            })
            .unwrap();
        let core = *allowed_cores().last().unwrap();
        let roster = Roster::new(&vec![core; workers], ports, 2).unwrap();
        let wires: Vec<Arc<Wire>> = (0..workers).map(|_| Arc::default()).collect();
        let crew = start.then(|| {
            let equipment = wires.iter().zip(roster.members()).map(|(wire, member)| {
                let io = TestIo { link: Arc::clone(wire), clock: Clock::start() };
                (io, RingSink::discard(), reloader.reader(member.id))
            });
            Crew::start(&roster, &loaded.config, &[core], equipment.collect::<Vec<_>>()).unwrap()
        });
        let log = LogLevelHandle::default();
        // No test asks servers that are not its own.
        let is_remote =
            |feed: &Feed| feed.mode == FeedMode::Enabled && matches!(feed.source, FeedSource::Url { .. });
        let is_local = !reloader.running().feeds.iter().any(is_remote);
        let keeper = is_local.then(|| Keeper::start(reloader.running(), reloader.library()).unwrap());
        let shared: Arc<TestInterfaces> = Arc::clone(&interfaces);
        let appliance = Arc::new(Appliance::new(roster, shared, reloader, None, (keeper, None), log));
        Self { directory, config, appliance, interfaces, wires, crew }
    }

    /// Lets a worker receive a packet.
    pub(crate) fn receive(&self, worker: usize, port: u8, packet: &[u8]) {
        self.wires[worker].input.push((PortId(port), packet.to_vec())).unwrap();
        self.appliance.roster.wake(self.appliance.roster.members()[worker].id);
    }

    /// Waits until the workers have decided `packets` packets in all.
    pub(crate) async fn settled(&self, packets: u64) {
        loop {
            let totals = self.appliance.roster.totals();
            // A worker may publish what it was handed before the other one publishes that it handed it over.
            let over = totals.handed_off == totals.handed_in;
            if over && totals.forwarded + totals.local + totals.consumed + totals.drops.total() >= packets {
                assert_eq!(totals.balance(), Ok(()));
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Stops the workers; the ones that hang after `deadline`.
    pub(crate) fn stop(&mut self, deadline: Duration) -> Result<(), crate::supervisor::crew::Hanging> {
        let crew = self.crew.take().unwrap();
        crew.stop(&self.appliance.roster, Instant::now() + deadline)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(crew) = self.crew.take() {
            let stopped = crew.stop(&self.appliance.roster, Instant::now() + Duration::from_secs(60));
            assert!(stopped.is_ok() || std::thread::panicking());
        }
    }
}

/// A bridge between `out0` (port 0) and `in0` (port 1), in front of servers that take everything but telnet.
pub(crate) const BRIDGE: &str = r#"
[[bridge]]
name = "edge"
ports = ["out0", "in0"]

[[endpoint]]
name = "servers"
addresses = ["198.51.100.0/24"]

[[policy]]
name = "no-telnet"

[[policy.ingress]]
action = "deny"
protocol = "tcp"
destination.ports = [23]

[[policy.ingress]]
action = "allow"
"#;

/// What a worker with this log decides about a new flow under `config`. Rules have the numbers that they have in a process that
/// was started with it.
pub(crate) fn decide(config: &str, log: &Arc<DecisionLog>, key: FlowKey, initiator: Side) -> DecisionId {
    thread_local! {
        /// Compiled once: some tests make thousands of flows.
        static COMPILED: RefCell<HashMap<String, Rc<Snapshot>>> = RefCell::default();
    }
    let compiled = || {
        let config =
            ravelin_config::parse(config, "test.toml").unwrap_or_else(|report| panic!("{report}")).config;
        let policy = Engine::of(&config, &Library::default()).unwrap().policy().clone();
        let snapshot = compile::snapshot(&config, &Ports::unlimited(&config).unwrap(), policy).unwrap();
        Rc::new(Snapshot { generation: 1, ..snapshot })
    };
    let snapshot =
        COMPILED.with_borrow_mut(|known| Rc::clone(known.entry(config.to_owned()).or_insert_with(compiled)));
    let cx = Context { now: Timestamp::from_micros(1), snapshot: &snapshot, worker: WorkerId(0), workers: 1 };
    let mut headers = Headers { protocol: key.protocol(), ..Headers::default() };
    headers.tcp.flags = tcp_flags::SYN;
    let mut metas = [Meta { time: cx.now, keyed: true, headers, key, side: initiator, ..Meta::default() }];
    let mut flows = FlowTable::with_log(1, cx.worker, Arc::clone(log));
    flows.run(&cx, &mut metas, &mut RingSink::discard(), &mut WorkerCounters::new(1));
    PolicyStage.run(&cx, &mut metas, &mut flows);
    metas[0].decision
}

/// A TCP SYN from 192.0.2.1 port 40000 to 198.51.100.`host` port `port`.
pub(crate) fn syn(host: u8, port: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 1], [198, 51, 100, host], 64)
        .tcp(40_000, port, 1, 1024)
        .syn()
        .write(&mut bytes, &[])
        .unwrap();
    bytes
}

/// A UDP datagram from 192.0.2.1 port 5000 to 198.51.100.1 port 53 with `payload`.
pub(crate) fn dns(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 1], [198, 51, 100, 1], 64)
        .udp(5000, 53)
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}
