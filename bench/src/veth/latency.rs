//! Round-trip time of small UDP packets, endpoints and middle on the same core, and what an idle appliance costs.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use super::{
    middle::{Middle, Running, start_ravelin},
    myself,
    programs::Mode,
    topology::{Host, Process, Topology},
};
use crate::harness::{Report, ratios, state_calibration};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Round trips per run.
    #[arg(long, default_value_t = 20_000)]
    packets: usize,
    /// Runs of each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    report.heading("latency, 32-byte UDP there and back, middle spinning on another core (veth, copy mode)");
    let topology = Topology::new(1500);
    // The bare forwarder would lose packets with partial checksums.
    topology.compute_checksums();
    let middles = [
        Middle::Bare(Mode::Native),
        Middle::Ravelin(Mode::Native),
        Middle::RavelinWithReceiveThreads,
        Middle::KernelBridge,
    ];
    let mut results = vec![Vec::new(); middles.len()];
    for _ in 0..options.rounds {
        for (middle, results) in middles.iter().zip(&mut results) {
            let running = middle.start(&topology, 1);
            results.push(measure(&topology, options));
            running.stop(&topology);
        }
    }
    for (middle, results) in middles.iter().zip(&results) {
        for (place, name) in ["p50", "p99", "p99.9"].iter().enumerate() {
            let runs: Vec<f64> = results.iter().map(|quantiles| quantiles[place]).collect();
            report.figure(&format!("{}, {name}", middle.name()), &runs, "us", None);
        }
    }
    for (place, must) in [(0, "p50 must 1.1"), (2, "p99.9 must 1.3")] {
        let column = |of: usize| results[of].iter().map(|quantiles| quantiles[place]).collect::<Vec<f64>>();
        report.figure("ravelin / bare forwarder", &ratios(&column(1), &column(0)), "x", Some(must));
    }
    idle(report, &topology);
}

/// CPU time of an appliance that has nothing to do.
fn idle(report: &Report, topology: &Topology) {
    report.heading("idle, adaptive");
    let process = start_ravelin(topology, 1, Mode::Native, "", "");
    std::thread::sleep(Duration::from_secs(1));
    let (before, start) = (cpu_seconds(&process), Instant::now());
    std::thread::sleep(Duration::from_secs(5));
    let share = (cpu_seconds(&process) - before) / start.elapsed().as_secs_f64() * 100.0;
    report.figure("CPU of one worker and the control thread", &[share], "% of a core", Some("must 1"));
    Running::of(process, Middle::Ravelin(Mode::Native)).stop(topology);
}

/// User and system time of the process and of its threads, from `/proc`.
fn cpu_seconds(process: &Process) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("it runs");
    let fields: Vec<&str> =
        text.rsplit(')').next().expect("a name in parentheses").split_whitespace().collect();
    // Fields 14 and 15 of proc(5), counted behind the name; in hundredths of a second (USER_HZ).
    let ticks: f64 = fields[11].parse::<f64>().expect("utime") + fields[12].parse::<f64>().expect("stime");
    ticks / 100.0
}

/// p50, p99 and p99.9 in microseconds.
fn measure(topology: &Topology, options: &Options) -> [f64; 3] {
    let mut echo = topology.start(Host::Server, 0, &myself(), &["role", "echo", "10.77.0.2:7777"]);
    assert_eq!(echo.line(), "ready");
    let rounds = options.packets.to_string();
    let ping = topology.start(Host::Client, 0, &myself(), &["role", "ping", "10.77.0.2:7777", &rounds]);
    let text = ping.finish();
    let values: Vec<f64> = text.split_whitespace().map(|value| value.parse().expect("a number")).collect();
    values.try_into().expect("three quantiles")
}

/// Answers every packet.
pub(crate) fn echo(address: &str) {
    let socket = UdpSocket::bind(address).expect("the address is ours");
    // Whoever measures what is lost in the middle wants nothing lost here.
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 16 << 20).expect("we are root");
    println!("ready");
    let mut buffer = [0; 64];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let _lost = socket.send_to(&buffer[..length], from);
    }
}

/// Sends a packet, waits for the answer, and again.
pub(crate) fn ping(address: &str, rounds: usize) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a port");
    socket.connect(address).expect("an address");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let mut buffer = [0; 64];
    let mut times = Vec::with_capacity(rounds);
    let warm_up = rounds / 10;
    while times.len() < rounds + warm_up {
        let start = Instant::now();
        let sent = socket.send(&[0x55; 32]);
        if sent.is_ok() && socket.recv(&mut buffer).is_ok() {
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    let mut times = times.split_off(warm_up);
    times.sort_by(f64::total_cmp);
    let quantile = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{} {} {}", quantile(0.5), quantile(0.99), quantile(0.999));
}
