//! A feed of a million addresses that says something else, while packets flow: how long until no packet is judged by the old
//! list, what is lost meanwhile, and what memory it takes. Against the kernel, which is given as many addresses by nft.
//!
//! The time is that of everything: the file is read and parsed, the set built, the network set that the feed is as well changed, the
//! snapshot published and taken over. Each round's list has nothing in common with the one before, which is the worst case.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    process::Command,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    middle::{Middle, Running, ravelin, start_ravelin, write_config},
    myself,
    nftables::{Configuration, filter},
    programs::Mode,
    topology::{Host, Process, Topology},
};
use crate::harness::{Report, ratios, state_calibration};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Entries of each list.
    #[arg(long, default_value_t = 1_000_000)]
    entries: u32,
    /// Lists that follow one another.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Packets a second that ask for an answer meanwhile.
    #[arg(long, default_value_t = 5_000)]
    packets: u32,
}

pub(crate) fn run(report: &Report, options: &Options) {
    if let Err(reason) = Middle::Ravelin(Mode::Native).is_available() {
        report.note(&format!("left out: {reason}"));
        return;
    }
    state_calibration(report);
    report.heading(&format!("a feed of {} addresses is replaced under traffic", options.entries));
    let _removed_at_the_end = Configuration;
    let topology = Topology::new(1500);
    let (config, socket) = write_config(1, Mode::Native, "", "");
    let folder = config.parent().expect("it is in a directory");
    let list = folder.join("list");
    replace(&list, addresses(0, 10));
    let feed = format!(
        "[threat]\ndirectory = \"{}\"\n[[feed]]\nname = \"feodo\"\nmode = \"disabled\"\n\
         [[feed]]\nname = \"big\"\nformat = \"lines\"\nfile = \"{}\"\n",
        folder.join("feeds").display(),
        list.display()
    );
    // The two ends may run on either core: the thread that reads the list takes one for itself.
    let mut echo = topology.start(Host::Server, "0-1", &myself(), &["role", "echo", "10.77.0.2:7777"]);
    assert_eq!(echo.line(), "ready");
    let process = start_ravelin(&topology, 1, Mode::Native, "", &feed);
    let appliance =
        Appliance { topology: &topology, socket: socket.display().to_string(), process: &process };

    let small = appliance.memory("VmRSS");
    let packets = options.packets.to_string();
    let mut steady =
        topology.start(Host::Client, "0-1", &myself(), &["role", "steady", "10.77.0.2:7777", &packets]);
    assert_eq!(steady.line(), "ready");
    let (mut times, mut peaks, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        replace(&list, addresses(round as u64, options.entries));
        appliance.forget_peak();
        times.push(appliance.update());
        // What is not needed any more goes within moments.
        sleep(Duration::from_secs(2));
        peaks.push((appliance.memory("VmHWM") - small) / 1e6);
        sizes.push((appliance.memory("VmRSS") - small) / 1e6);
    }
    let answer = steady.ask();
    let counts: Vec<f64> = answer.split(' ').map(|count| count.parse().expect("a number")).collect();
    let &[sent, answered, longest] = counts.as_slice() else { panic!("{answer}") };
    report.figure("ravelin: from the word to the last worker", &times, "s", Some("must 2, aim 0.3"));
    report.figure("packets sent meanwhile", &[sent], "packets", None);
    report.figure("packets lost, there or back", &[sent - answered], "packets", Some("must 0"));
    report.figure("longest time without an answer", &[longest * 1e3], "ms", None);
    report.figure("memory that the list takes, all in all", &sizes, "MB", None);
    report.figure("at most while it is replaced", &peaks, "MB", None);
    drop(steady);
    Running::of(process, Middle::Ravelin(Mode::Native)).stop(&topology);

    if Command::new("nft").arg("--version").output().is_err() {
        report.note("nftables left out: install the package nftables");
        return;
    }
    let peer: Vec<f64> = (1..=options.rounds)
        .map(|round| {
            let ruleset = ruleset(round as u64, options.entries);
            let start = Instant::now();
            filter(&topology, &ruleset);
            start.elapsed().as_secs_f64()
        })
        .collect();
    report.figure("nft: a set with as many is replaced", &peer, "s", None);
    report.figure("ravelin / nft", &ratios(&times, &peer), "x", None);
}

/// `ravelin run` in the middle, and how it is asked.
struct Appliance<'t> {
    topology: &'t Topology,
    socket: String,
    process: &'t Process,
}

impl Appliance<'_> {
    fn ask(&self, arguments: &[&str]) -> String {
        let arguments = [arguments, &["--socket", &self.socket]].concat();
        let mut command =
            self.topology.command(Host::Middle, 0, &ravelin().display().to_string(), &arguments);
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("its output is text")
    }

    fn generation(&self) -> u64 {
        let status: Value = serde_json::from_str(&self.ask(&["show", "status", "--json"])).expect("JSON");
        status["generation"].as_u64().expect("a number")
    }

    /// Has the list read, and waits until it is in force; returns the seconds.
    fn update(&self) -> f64 {
        let (before, start) = (self.generation(), Instant::now());
        self.ask(&["feed", "update", "big"]);
        while self.generation() == before {
            assert!(start.elapsed() < Duration::from_secs(120), "the list does not come into force");
            sleep(Duration::from_millis(10));
        }
        start.elapsed().as_secs_f64()
    }

    /// A figure of `/proc/PID/status`, in bytes.
    fn memory(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with(name)).expect("Linux tells");
        let kilobytes: f64 =
            line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
        kilobytes * 1024.0
    }

    /// See `clear_refs` in proc(5).
    fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5").expect("we are root");
    }
}

/// Different public addresses, others in each round.
fn addresses(round: u64, count: u32) -> impl Iterator<Item = Ipv4Addr> {
    // An odd step visits every address of the half of all that begins at 32.0.0.0 before it comes back.
    let start = round.wrapping_mul(0x1234_5679);
    (0..u64::from(count)).map(move |index| {
        let place = (start + index).wrapping_mul(0x9e37_79b1) & 0x3fff_ffff;
        Ipv4Addr::from((32 << 24) + u32::try_from(place).expect("30 bits"))
    })
}

fn replace(path: &Path, addresses: impl Iterator<Item = Ipv4Addr>) {
    let mut text = String::new();
    for address in addresses {
        writeln!(text, "{address}").expect("a string takes everything");
    }
    let beside = path.with_extension("new");
    fs::write(&beside, text).expect("the temporary directory is writable");
    fs::rename(beside, path).expect("it is the same directory");
}

/// One transaction that replaces the set, whether there is one or not.
fn ruleset(round: u64, count: u32) -> String {
    let mut text = "add table inet feeds\ndelete table inet feeds\ntable inet feeds {\nset listed {\n\
                    type ipv4_addr\nelements = {"
        .to_owned();
    for address in addresses(round, count) {
        write!(text, "{address},").expect("a string takes everything");
    }
    text.push_str(
        "}\n}\nchain forward {\ntype filter hook forward priority 0\nip daddr @listed drop\n}\n}\n",
    );
    text
}

/// Sends packets at a steady rate and counts the answers. At the word it stops sending, and prints how many it sent, how many were
/// answered, and the longest time in seconds without an answer.
pub(crate) fn steady(address: &str, rate: u32) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a port");
    socket.connect(address).expect("an address");
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 16 << 20).expect("we are root");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    let sent = AtomicU64::new(0);
    let stop = std::sync::atomic::AtomicBool::new(false);
    println!("ready");
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let start = Instant::now();
            while !stop.load(Relaxed) {
                let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as u64;
                while sent.load(Relaxed) < due {
                    if socket.send(&[0x55; 32]).is_ok() {
                        sent.fetch_add(1, Relaxed);
                    }
                }
                sleep(Duration::from_micros(500));
            }
        });
        let receiver = scope.spawn(|| {
            let (mut answered, mut longest, mut last) = (0_u64, Duration::ZERO, Instant::now());
            let mut buffer = [0; 64];
            // What has not been answered two seconds after the last packet was sent is lost.
            loop {
                match socket.recv(&mut buffer) {
                    Ok(_) => {
                        answered += 1;
                        longest = longest.max(last.elapsed());
                        last = Instant::now();
                        if stop.load(Relaxed) && answered == sent.load(Relaxed) {
                            return (answered, longest);
                        }
                    }
                    Err(_) if stop.load(Relaxed) => return (answered, longest),
                    Err(_) => {}
                }
            }
        });
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).expect("the one who started it asks");
        stop.store(true, Relaxed);
        sender.join().expect("it only sends");
        let (answered, longest) = receiver.join().expect("it only counts");
        println!("{} {answered} {}", sent.load(Relaxed), longest.as_secs_f64());
    });
}
