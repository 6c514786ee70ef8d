//! Everything that an interface receives is captured to disk, with rotation: what of it is lost, and what it costs, against programs that do
//! nothing else.
//!
//! The source keeps a rate that everybody can follow. Ravelin is in the middle and forwards. Its workers ask for packets without a pause at such
//! rates, so that the time of the process says nothing: what a capture costs is what its other threads take, with the ring (on disk, with its
//! index) and without, and what a packet takes longer in a worker that has all the packets that it can forward. What the kernel does to
//! receive happens on the source's core for all of them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{
    bridge,
    middle::{Middle, Running, ravelin, start_ravelin, write_config},
    myself,
    programs::{Mode, Paced, Pattern},
    source::frame,
    topology::{Host, Process, Topology},
};
use crate::harness::{Report, ratios, state_calibration};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Seconds per run.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Runs of each.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Gigabits a second, of frames of 1514 bytes.
    #[arg(long, default_value_t = 2.0)]
    gigabits: f64,
    /// Gigabits a second, of the simple IMIX.
    #[arg(long, default_value_t = 0.6)]
    imix: f64,
    /// Flows.
    #[arg(long, default_value_t = 256)]
    flows: u16,
}

/// The lengths of the frames of a burst, and how many there are of each.
#[derive(Clone, Copy)]
enum Mix {
    Full,
    Imix,
}

impl Mix {
    const fn name(self) -> &'static str {
        match self {
            Self::Full => "1514",
            Self::Imix => "imix",
        }
    }

    /// Lengths of frames, and in which order they are sent.
    const fn shape(self) -> (&'static [usize], &'static [u8]) {
        match self {
            Self::Full => (&[1514], &[0]),
            Self::Imix => (&[60, 590, 1514], &[0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 1, 0]),
        }
    }

    /// The mean length.
    fn mean(self) -> usize {
        let (lengths, order) = self.shape();
        order.iter().map(|shape| lengths[usize::from(*shape)]).sum::<usize>() / order.len()
    }

    fn of(name: &str) -> Self {
        if name == Self::Imix.name() { Self::Imix } else { Self::Full }
    }
}

/// Sends at a rate for some seconds; prints how many frames and bytes that was, and how many frames were left out.
pub(crate) fn paced(interface: &str, seconds: f64, gigabits: f64, mix: &str, flows: u16) {
    let (lengths, order) = Mix::of(mix).shape();
    let frames: Vec<_> = lengths.iter().map(|length| frame(*length, Pattern::Flows)).collect();
    let bytes: usize = order.iter().map(|shape| lengths[usize::from(*shape)]).sum();
    let interval = (bytes * 8) as f64 / order.len() as f64 / gigabits;
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32);
    let begin = now + Duration::from_millis(100);
    let until = begin + Duration::from_secs_f64(seconds);
    let times = (begin.as_nanos() as u64, until.as_nanos() as u64);
    let source = Paced::new(interface, flows, &frames, order, interval as u64, times);
    let counter = source.counter();
    // One call that the end of the process interrupts.
    thread::spawn(move || source.send());
    thread::sleep(until.saturating_sub(now) + Duration::from_millis(100));
    let [frames, bytes, skipped] = counter.read();
    println!("{frames} {bytes} {skipped}");
}

/// Who captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Capturer {
    /// Nobody: `ravelin run` forwards.
    Nobody,
    /// `ravelin run` forwards, with a ring on disk.
    Ravelin,
    Netsniff,
    Tcpdump,
    Dumpcap,
}

impl Capturer {
    const ALL: [Self; 5] = [Self::Nobody, Self::Ravelin, Self::Netsniff, Self::Tcpdump, Self::Dumpcap];

    const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "ravelin forwards, no capture",
            Self::Ravelin => "ravelin forwards and captures",
            Self::Netsniff => "netsniff-ng",
            Self::Tcpdump => "tcpdump",
            Self::Dumpcap => "dumpcap",
        }
    }

    /// The program, and its arguments, that writes files of 256 MiB to a directory.
    fn program(self, directory: &Path) -> Option<(&'static str, Vec<String>)> {
        let file = directory.join("x.pcapng").display().to_string();
        let text = match self {
            Self::Nobody | Self::Ravelin => return None,
            Self::Netsniff => {
                let out = directory.display();
                return Some((
                    "netsniff-ng",
                    format!("--in r0 --out {out} --ring-size 64MiB --interval 256MiB --silent")
                        .split(' ')
                        .map(str::to_owned)
                        .collect(),
                ));
            }
            Self::Tcpdump => ("tcpdump", format!("-i r0 -B 65536 -C 268 -Z root -w {file}")),
            Self::Dumpcap => ("dumpcap", format!("-q -i r0 -B 64 -b filesize:262144 -w {file}")),
        };
        Some((text.0, text.1.split(' ').map(str::to_owned).collect()))
    }
}

/// What a run was like.
struct Run {
    /// Percent of a core, for a gigabit a second; of Ravelin, without its workers.
    cpu: f64,
    /// Packets that were sent and are in no file.
    lost: f64,
    gigabits: f64,
}

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    if let Err(reason) = Middle::Ravelin(Mode::Native).is_available() {
        report.note(&format!("left out: {reason}"));
        return;
    }
    let topology = Topology::new(1500);
    // Without XDP, a veth only takes frames from XDP if it polls.
    let gro = topology.command(Host::Middle, 0, "ethtool", &["-K", "r0", "gro", "on"]).output();
    assert!(gro.is_ok_and(|output| output.status.success()), "ethtool is installed");
    for (mix, gigabits) in [(Mix::Full, options.gigabits), (Mix::Imix, options.imix)] {
        let longer = path(report, &topology, mix, options);
        report.heading(&format!("everything captured to disk, {}, {gigabits} Gbit/s", mix.name()));
        let mut runs: Vec<(Capturer, Vec<Run>)> = Vec::new();
        for capturer in Capturer::ALL {
            match capturer.program(Path::new("")) {
                Some((program, _)) if Command::new(program).arg("--version").output().is_err() => {
                    report.note(&format!("{program} left out: install the package of that name"));
                }
                Some(_) | None => runs.push((capturer, Vec::new())),
            }
        }
        for _ in 0..options.rounds {
            for (capturer, runs) in &mut runs {
                runs.push(measure(report, &topology, *capturer, mix, gigabits, options));
            }
        }
        tell(report, &runs, mix, &longer);
    }
}

/// What the packet path loses to a ring in memory, when it has all that it can forward: microseconds that a packet takes longer.
fn path(report: &Report, topology: &Topology, mix: Mix, options: &Options) -> Vec<f64> {
    let Options { seconds, flows, rounds, .. } = *options;
    let length = mix.mean();
    let load = bridge::Options { seconds, rounds, flows, length };
    report.heading(&format!("everything kept in memory, {length}-byte frames as fast as they are forwarded"));
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        without.push(bridge::measure(report, topology, Middle::Ravelin(Mode::Native), &load));
        with.push(bridge::measure(report, topology, Middle::RavelinWithRing, &load));
    }
    report.figure("ravelin", &without, "Mpps", None);
    report.figure("ravelin with a ring in memory", &with, "Mpps", None);
    report.figure("with / without", &ratios(&with, &without), "x", Some("aim 0.85"));
    with.iter().zip(&without).map(|(with, without)| 1.0 / with - 1.0 / without).collect()
}

fn tell(report: &Report, runs: &[(Capturer, Vec<Run>)], mix: Mix, longer: &[f64]) {
    let of = |wanted: Capturer| runs.iter().find(|(capturer, _)| *capturer == wanted).map(|(_, runs)| runs);
    let cpu = |runs: &[Run]| runs.iter().map(|run| run.cpu).collect::<Vec<_>>();
    for (capturer, runs) in runs {
        let name = capturer.name();
        let rates: Vec<f64> = runs.iter().map(|run| run.gigabits).collect();
        report.figure(&format!("{name}: sent"), &rates, "Gbit/s", None);
        let lost: Vec<f64> = runs.iter().map(|run| run.lost).collect();
        let must = (*capturer == Capturer::Ravelin).then_some("must 0");
        report.figure(&format!("{name}: lost"), &lost, "packets", must);
        report.figure(&format!("{name}: its threads"), &cpu(runs), "% a Gbit/s", None);
    }
    let (Some(without), Some(with)) = (of(Capturer::Nobody), of(Capturer::Ravelin)) else { return };
    let writer: Vec<f64> = cpu(with).iter().zip(cpu(without)).map(|(with, without)| with - without).collect();
    // Percent of a core that so many microseconds are for each packet of a gigabit.
    let packets = 1e9 / (8 * mix.mean()) as f64;
    let worker: Vec<f64> = longer.iter().map(|micros| micros * packets / 1e4).collect();
    let added: Vec<f64> = writer.iter().zip(&worker).map(|(writer, worker)| writer + worker).collect();
    report.figure("what the capture adds: other threads than workers", &writer, "% a Gbit/s", None);
    report.figure("what the capture adds: workers", &worker, "% a Gbit/s", None);
    for peer in [Capturer::Netsniff, Capturer::Tcpdump, Capturer::Dumpcap] {
        let Some(peers) = of(peer) else { continue };
        let must = (peer == Capturer::Netsniff).then_some("must 1, aim 0.5");
        let name = format!("what the capture adds, together / {}", peer.name());
        report.figure(&name, &ratios(&added, &cpu(peers)), "x", must);
    }
}

fn measure(
    report: &Report,
    topology: &Topology,
    capturer: Capturer,
    mix: Mix,
    gigabits: f64,
    options: &Options,
) -> Run {
    // What the one before has left to be written is not this one's business: it would take the cores for a while.
    rustix::fs::sync();
    let (config, socket) = write_config(1, Mode::Native, "", "");
    let directory = config.parent().expect("it is in a directory").join("captures");
    fs::create_dir_all(&directory).expect("the temporary directory is writable");
    let mut sink = topology.start(Host::Server, 0, &myself(), &["role", "sink", "b0"]);
    assert_eq!(sink.line(), "ready");
    let process = start(topology, capturer, &directory);
    let before = spent(&process);
    let [seconds, gigabits, flows] =
        [options.seconds.to_string(), gigabits.to_string(), options.flows.to_string()];
    let arguments = ["role", "paced", "a0", &seconds, &gigabits, mix.name(), &flows];
    let answer = topology.start(Host::Client, 0, &myself(), &arguments).finish();
    let counts: Vec<u64> = answer.split_whitespace().map(|count| count.parse().expect("a count")).collect();
    let &[sent, bytes, skipped] = counts.as_slice() else { panic!("{answer}") };
    if skipped > 0 {
        report.note(&format!("the source lost its core for a while: {skipped} packets were not sent"));
    }
    // What is on its way gets there.
    thread::sleep(Duration::from_millis(1500));
    let cpu = spent(&process) - before;
    let run = |written| Run::new(cpu, sent, written, bytes, options);
    match capturer {
        Capturer::Nobody => {
            let forwarded = count(&ask(&socket, "counters"), "forwarded");
            stop(topology, process);
            run(forwarded)
        }
        Capturer::Ravelin => {
            let counters = ask(&socket, "counters");
            let captured = count(&counters, "captured");
            stop(topology, process);
            assert_eq!(captured, packets(&directory.join("ring")), "what was counted is in files");
            fs::remove_dir_all(&directory).expect("nothing else uses it");
            if captured < sent {
                let [received, full] = ["received", "capture_lost"].map(|name| count(&counters, name));
                report.note(&format!("sent {sent}, received {received}; {full} found no room to be written"));
            }
            run(captured)
        }
        Capturer::Netsniff | Capturer::Tcpdump | Capturer::Dumpcap => {
            process.stop();
            let written = packets(&directory);
            fs::remove_dir_all(&directory).expect("nothing else uses it");
            run(written)
        }
    }
}

impl Run {
    fn new(cpu: f64, sent: u64, written: u64, bytes: u64, options: &Options) -> Self {
        let gigabits = bytes as f64 * 8.0 / 1e9;
        Self {
            cpu: 100.0 * cpu / gigabits,
            lost: sent as f64 - written as f64,
            gigabits: gigabits / options.seconds,
        }
    }
}

fn start(topology: &Topology, capturer: Capturer, directory: &Path) -> Process {
    if let Some((program, arguments)) = capturer.program(directory) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let process = topology.start(Host::Middle, 1, program, &arguments);
        thread::sleep(Duration::from_millis(700));
        return process;
    }
    let capture = format!("[capture]\ndirectory = \"{}\"\n", directory.display());
    let ring = match capturer {
        Capturer::Ravelin => "[capture.ring]\ndisk = \"8GiB\"\n",
        Capturer::Nobody | Capturer::Netsniff | Capturer::Tcpdump | Capturer::Dumpcap => "",
    };
    start_ravelin(topology, 1, Mode::Native, "", &format!("{RING_SIZE}{capture}{ring}{NO_FEED}"))
}

/// Room for tens of milliseconds, as the peers have it: others run on the worker's core now and then, such as what writes to the disk.
const RING_SIZE: &str = "ring_size = 16384\n";

/// The feed that there is by default would be asked for in vain.
const NO_FEED: &str = "[[feed]]\nname = \"feodo\"\nmode = \"disabled\"\n";

fn stop(topology: &Topology, process: Process) {
    Running::of(process, Middle::Ravelin(Mode::Native)).stop(topology);
}

/// Seconds that the threads of a process have had of a core, without workers.
fn spent(process: &Process) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).expect("it runs").flatten();
    let ticks: u64 = tasks.map(|task| ticks(&task.path())).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn ticks(task: &Path) -> u64 {
    let stat = fs::read_to_string(task.join("stat")).unwrap_or_default();
    let Some((head, behind_name)) = stat.rsplit_once(')') else { return 0 };
    if head.contains("(ravelin-w") {
        return 0;
    }
    behind_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

fn ask(socket: &Path, what: &str) -> Value {
    let arguments = ["show", what, "--json", "--socket", &socket.display().to_string()];
    let output = Command::new(ravelin()).args(arguments).output().expect("it has been started before");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn count(counters: &Value, name: &str) -> u64 {
    let found = counters.as_array().into_iter().flatten().find(|counter| counter["name"] == name);
    found.and_then(|counter| counter["total"].as_u64()).unwrap_or_else(|| panic!("a counter {name}"))
}

/// Packets in all files of a directory, as capinfos counts them.
fn packets(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).expect("it was written to").flatten().map(|entry| entry.path());
    let is_capture = |path: &PathBuf| path.extension().is_none_or(|extension| extension != "index");
    files.filter(is_capture).map(|path| packets_of(&path)).sum()
}

fn packets_of(path: &Path) -> u64 {
    let output = Command::new("capinfos").args(["-TrcM"]).arg(path).output().expect("capinfos is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    let count = text.trim().rsplit('\t').next().and_then(|count| count.parse().ok());
    count.unwrap_or_else(|| panic!("capinfos {}: {text}", path.display()))
}
