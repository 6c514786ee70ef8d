//! TCP through the middle with the endpoints' offloads as the kernel makes them.

use super::{
    middle::Middle,
    programs::Mode,
    topology::{Host, Topology},
};
use crate::harness::{Report, ratios, state_calibration};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Seconds per run.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Runs of each.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    report.heading("TCP goodput, iperf3, one stream, endpoints' offloads untouched (veth, copy mode)");
    let (mut small, mut large) = (Vec::new(), Vec::new());
    let (mut threads, mut threads_large) = (Vec::new(), Vec::new());
    let (mut plain, mut with_tso) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        small.push(measure(1500, Middle::Ravelin(Mode::Native), options));
        large.push(measure(3498, Middle::Ravelin(Mode::Native), options));
        threads.push(measure(1500, Middle::RavelinWithReceiveThreads, options));
        threads_large.push(measure(3498, Middle::RavelinWithReceiveThreads, options));
        plain.push(measure(1500, Middle::KernelBridgeWithoutSegmentation, options));
        with_tso.push(measure(1500, Middle::KernelBridge, options));
    }
    report.figure("ravelin, MTU 1500", &small, "Gbit/s", None);
    report.figure("ravelin, MTU 3498", &large, "Gbit/s", None);
    report.figure("ravelin with receive threads, MTU 1500", &threads, "Gbit/s", None);
    report.figure("ravelin with receive threads, MTU 3498", &threads_large, "Gbit/s", None);
    report.figure("kernel bridge without TSO, MTU 1500", &plain, "Gbit/s", None);
    report.figure("kernel bridge with TSO, MTU 1500", &with_tso, "Gbit/s", None);
    report.figure(
        "ravelin / kernel bridge without TSO",
        &ratios(&small, &plain),
        "x",
        Some("must 0.6, aim 0.85"),
    );
    report.figure(
        "ravelin with receive threads / kernel bridge without TSO",
        &ratios(&threads, &plain),
        "x",
        Some("aim 0.85"),
    );
    report.figure("ravelin, MTU 3498 / MTU 1500", &ratios(&large, &small), "x", Some("must 2"));
}

/// Gigabits a second that iperf3's receiver saw.
fn measure(mtu: u32, middle: Middle, options: &Options) -> f64 {
    let topology = Topology::new(mtu);
    let running = middle.start(&topology, 1);
    let mut server = topology.start(Host::Server, 0, "iperf3", &["-s", "-1", "--forceflush"]);
    while !server.line().contains("listening") {}
    let seconds = options.seconds.to_string();
    let client = topology.start(Host::Client, 0, "iperf3", &["-c", "10.77.0.2", "-t", &seconds, "-J"]);
    let report: serde_json::Value = serde_json::from_str(&client.finish()).expect("iperf3 prints JSON");
    let rate = report["end"]["sum_received"]["bits_per_second"].as_f64();
    running.stop(&topology);
    rate.unwrap_or_else(|| panic!("iperf3 did not finish: {report}")) / 1e9
}
