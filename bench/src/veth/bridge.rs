//! Packets a second through the middle: one direction, source and middle on different cores, the source several times as fast.
//!
//! What the kernel does to receive for the middle's sockets happens on the source's core; what it does to send, and what the sink
//! does, on the middle's.

use std::time::{Duration, Instant};

use super::{
    middle::Middle,
    myself,
    programs::Mode,
    topology::{Host, Topology},
};
use crate::harness::{Report, ratios, state_calibration};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Seconds per run.
    #[arg(long, default_value_t = 2.0)]
    pub(super) seconds: f64,
    /// Runs of each.
    #[arg(long, default_value_t = 5)]
    pub(super) rounds: usize,
    /// Flows.
    #[arg(long, default_value_t = 256)]
    pub(super) flows: u16,
    /// Bytes of a frame.
    #[arg(long, default_value_t = 60)]
    pub(super) length: usize,
}

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    let length = options.length;
    report.heading(&format!(
        "bridge, {length}-byte frames, one direction, one core in the middle (veth, copy mode)"
    ));
    let mut candidates = Vec::new();
    for candidate in [
        Middle::Bare(Mode::Native),
        Middle::Ravelin(Mode::Native),
        Middle::Bare(Mode::Generic),
        Middle::Ravelin(Mode::Generic),
        Middle::KernelBridge,
        Middle::Testpmd,
    ] {
        match candidate.is_available() {
            Ok(()) => candidates.push((candidate, Vec::new())),
            Err(reason) => report.note(&format!("{} left out: {reason}", candidate.name())),
        }
    }
    let topology = Topology::new(1500);
    for _ in 0..options.rounds {
        for (candidate, rates) in &mut candidates {
            rates.push(measure(report, &topology, *candidate, options));
        }
    }
    for (candidate, rates) in &candidates {
        report.figure(&candidate.name(), rates, "Mpps", None);
    }
    let rates =
        |wanted| candidates.iter().find(|(candidate, _)| *candidate == wanted).map(|(_, rates)| rates);
    for mode in [Mode::Native, Mode::Generic] {
        if let (Some(own), Some(bare)) = (rates(Middle::Ravelin(mode)), rates(Middle::Bare(mode))) {
            let name = format!("ravelin / bare forwarder, {}", mode.name());
            report.figure(&name, &ratios(own, bare), "x", Some("must 0.95"));
        }
    }
    if let Some(peer) = rates(Middle::Testpmd) {
        for (middle, gate) in
            [(Middle::Ravelin(Mode::Native), Some("must 1.2")), (Middle::Bare(Mode::Native), None)]
        {
            if let Some(own) = rates(middle) {
                report.figure(&format!("{} / testpmd", middle.name()), &ratios(own, peer), "x", gate);
            }
        }
    }
}

/// Millions of packets a second that reach the server.
pub(super) fn measure(report: &Report, topology: &Topology, middle: Middle, options: &Options) -> f64 {
    let mut sink = topology.start(Host::Server, 0, &myself(), &["role", "sink", "b0"]);
    assert_eq!(sink.line(), "ready");
    let running = middle.start(topology, 1);
    let seconds = options.seconds + 0.5;
    let (host, interface, entrance) = match middle {
        Middle::Bare(Mode::Native)
        | Middle::Ravelin(Mode::Native)
        | Middle::RavelinWithReceiveThreads
        | Middle::RavelinWithRing
        | Middle::Testpmd => (Host::Client, "a0", "transmit"),
        Middle::Bare(Mode::Generic)
        | Middle::Ravelin(Mode::Generic)
        | Middle::KernelBridge
        | Middle::KernelBridgeWithoutSegmentation => (Host::Middle, "r0", "receive"),
    };
    let [spoken, flows, length] =
        [seconds.to_string(), options.flows.to_string(), options.length.to_string()];
    let arguments = ["role", "source", interface, entrance, &spoken, &flows, &length, "flows"];
    let source = topology.start(host, 0, &myself(), &arguments);
    std::thread::sleep(Duration::from_millis(400));
    let count = |sink: &mut super::topology::Process| sink.ask().parse::<u64>().expect("a count");
    let (before, start) = (count(&mut sink), Instant::now());
    std::thread::sleep(Duration::from_secs_f64(options.seconds - 0.3));
    let (after, spent) = (count(&mut sink), start.elapsed());
    let sent: u64 = source.finish().trim().parse().expect("a count");
    assert!(after <= sent, "more packets arrived than were sent");
    running.stop(topology);
    let arrived = (after - before) as f64 / spent.as_secs_f64() / 1e6;
    let offered = sent as f64 / seconds / 1e6;
    if middle != Middle::KernelBridge && offered < 1.2 * arrived {
        report.note(&format!("{}: the source is the limit ({offered:.2} Mpps)", middle.name()));
    }
    arrived
}
