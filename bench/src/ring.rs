//! One flow out of a large ring: what `ravelin capture save` does, through its index and without, and tcpdump over the same files.
//!
//! The ring is filled as workers fill it, with full frames of flows in random order; the flow that is looked for has some packets in a
//! few bursts.

use std::{
    fs, io,
    net::IpAddr,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ravelin_config::Trigger;
use ravelin_control::capture::{
    CaptureWriter, Commentator, RingSettings, SaveRequest, Settings, Wanted, compile,
};
use ravelin_dataplane::{
    capture::{CaptureRing, Chunk, Fate, Label},
    clock::Timestamp,
};

use crate::{
    harness::{Report, state_calibration},
    traffic::splitmix,
};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// GiB on disk.
    #[arg(long, default_value_t = 10)]
    gib: u64,
    /// Flows of the others.
    #[arg(long, default_value_t = 20_000)]
    flows: u64,
    /// Runs.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Has the kernel forget what it has read of all files before each run.
    #[arg(long)]
    cold: bool,
    /// Where the ring is made; it is removed afterwards.
    #[arg(long)]
    directory: Option<PathBuf>,
}

const FRAME: usize = 1514;
/// The flow that is looked for comes back so many times, with so many packets each.
const BURSTS: u64 = 20;
const BURST: u64 = 10;
const NEEDLE: &str = "10.9.8.7:40000-192.0.2.1:443/tcp";

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    let directory = options
        .directory
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("ravelin-bench-ring-{}", std::process::id())));
    let chunks = CaptureRing::new(64);
    let settings = Settings {
        directory: directory.clone(),
        budget: u64::MAX,
        min_free: 0,
        ring: Some(RingSettings { memory: 0, disk: (options.gib + 1) << 30, keep: None }),
        trigger: Trigger::default(),
    };
    let writer = CaptureWriter::start(
        settings,
        vec![Arc::clone(&chunks)],
        vec!["eth0".to_owned()],
        Commentator::default(),
    )
    .expect("the directory can be made");
    let start = Instant::now();
    let packets = fill(&chunks, options);
    while writer.status().iter().map(|status| status.packets).sum::<u64>() < packets {
        thread::sleep(Duration::from_millis(5));
    }
    let taken = start.elapsed().as_secs_f64();
    report.heading(&format!("{} GiB, {packets} packets of {FRAME} bytes", options.gib));
    let gigabits = (packets * FRAME as u64 * 8) as f64 / 1e9;
    report.figure("filled, with its index", &[gigabits / taken], "Gbit/s", None);
    let size = |extension: &str| -> f64 {
        let files = fs::read_dir(directory.join("ring")).expect("it was written to").flatten();
        let wanted = files.filter(|file| file.path().extension().is_some_and(|found| found == extension));
        wanted.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len() as f64).sum()
    };
    report.figure("index", &[100.0 * size("index") / size("pcapng")], "% of it", None);

    let flow = Wanted { flow: Some(NEEDLE.parse().expect("a flow")), ..Wanted::default() };
    let host = Wanted { host: Some(IpAddr::from([10, 9, 8, 7])), ..Wanted::default() };
    let expression = "host 10.9.8.7 and host 192.0.2.1 and tcp port 40000 and tcp port 443";
    let filter = Some(Arc::new(compile(expression).expect("an expression")));
    for (name, wanted, filter, must) in [
        ("a flow, by its name", flow, None, Some("must 1000, aim 100")),
        ("a host", host, None, None),
        ("a flow, by a filter without the index", Wanted::default(), filter, None),
    ] {
        let times: Vec<f64> = (0..options.rounds)
            .map(|_| {
                forget(options);
                let request = SaveRequest {
                    from: Timestamp::ZERO,
                    until: Timestamp::from_nanos(packets),
                    wanted,
                    filter: filter.clone(),
                    subject: None,
                };
                let bytes = Arc::new(AtomicU64::new(0));
                let start = Instant::now();
                let answer = writer.save(request, Box::new(Count(Arc::clone(&bytes))));
                let saved = answer.recv().expect("the writer runs").expect("the ring can be read");
                let taken = start.elapsed().as_secs_f64() * 1e3;
                assert_eq!(saved.packets, BURSTS * BURST, "{name}");
                assert_eq!(saved.bytes, bytes.load(Ordering::Relaxed), "{name}");
                taken
            })
            .collect();
        report.figure(name, &times, "ms", must);
    }
    drop(writer.stop(Duration::from_secs(60)));
    let peer = tcpdump(&directory.join("ring"), expression, options);
    if peer.is_empty() {
        report.note("tcpdump left out: install the package tcpdump");
    } else {
        report.figure("tcpdump -r, over the same files", &peer, "ms", None);
    }
    fs::remove_dir_all(&directory).expect("nothing else uses it");
}

/// Fills the ring as a worker does; says how many packets that took.
fn fill(ring: &CaptureRing, options: &Options) -> u64 {
    let chunks = options.gib << 10;
    let mut frame = Vec::new();
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let builder = builder.ipv4([10, 0, 0, 0], [192, 0, 2, 1], 64).tcp(0, 443, 1, 65_535);
    builder.write(&mut frame, &[0; FRAME - 54]).expect("a short packet");
    let mut packets = 0;
    for number in 0..chunks {
        let mut chunk = empty(ring);
        let has_needle = number % (chunks / BURSTS).max(1) == 0 && number / (chunks / BURSTS).max(1) < BURSTS;
        let mut needles = if has_needle { BURST } else { 0 };
        while chunk.has_room(FRAME) {
            let flow = splitmix(packets) % options.flows;
            let (client, port) = if needles > 0 {
                needles -= 1;
                ([10, 9, 8, 7], 40_000_u16)
            } else {
                ([10, 128, (flow >> 8) as u8, flow as u8], 1024 + (flow >> 4) as u16)
            };
            frame[26..30].copy_from_slice(&client);
            frame[34..36].copy_from_slice(&port.to_be_bytes());
            let label = Label {
                interface: 0,
                time: Timestamp::from_nanos(packets),
                length: FRAME as u32,
                fate: Fate::PASSED,
                decision: 0,
                worker: 0,
                captures: 1,
            };
            chunk.push(&label, &frame, FRAME);
            packets += 1;
        }
        ring.put(chunk);
    }
    packets
}

fn empty(ring: &CaptureRing) -> Box<Chunk> {
    loop {
        if let Some(chunk) = ring.empty() {
            return chunk;
        }
        thread::sleep(Duration::from_micros(100));
    }
}

/// Counts what is written.
struct Count(Arc<AtomicU64>);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn forget(options: &Options) {
    if options.cold {
        rustix::fs::sync();
        fs::write("/proc/sys/vm/drop_caches", "1").expect("root");
    }
}

/// Milliseconds that tcpdump takes; none if there is none.
fn tcpdump(directory: &PathBuf, expression: &str, options: &Options) -> Vec<f64> {
    if Command::new("tcpdump").arg("--version").output().is_err() {
        return Vec::new();
    }
    let files = fs::read_dir(directory).expect("it was written to").flatten().map(|file| file.path());
    let files: Vec<_> =
        files.filter(|file| file.extension().is_some_and(|found| found == "pcapng")).collect();
    (0..options.rounds.min(2))
        .map(|_| {
            forget(options);
            let start = Instant::now();
            for file in &files {
                let mut tcpdump = Command::new("tcpdump");
                tcpdump.arg("-r").arg(file).args(["-w", "-", expression]);
                let status = tcpdump.stdout(Stdio::null()).stderr(Stdio::null()).status();
                assert!(status.is_ok_and(|status| status.success()), "tcpdump reads {}", file.display());
            }
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect()
}
