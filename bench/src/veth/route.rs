//! Ravelin as a router, against the kernel's forwarding by the same routes; with rules, against nftables with as many in the forward hook; and as
//! one that translates addresses, against nftables that masquerades.
//!
//! Packets a second are those of `nftables.rs`: the same source, sink and rules, and one core for the router, which is the source's own where
//! the kernel routes. For TCP the endpoints' offloads are as the kernel makes them, and once without segmentation: Ravelin's XDP programs
//! switch it off on veth.

use std::process::Command;

use super::{
    middle::{Middle, ROUTER, start_ravelin_as},
    nftables::{Candidate, Configuration, Form, Traffic, measure},
    programs::Mode,
    topology::{Host, Topology},
};
use crate::harness::{Report, ratios, state_calibration};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Seconds per run of established flows.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Runs of each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Established flows.
    #[arg(long, default_value_t = 256)]
    flows: u16,
    /// Numbers of rules.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1_000])]
    rules: Vec<u32>,
}

pub(crate) fn run(report: &Report, options: &Options) {
    for (program, package) in [("nft", "nftables"), ("iperf3", "iperf3")] {
        if Command::new(program).arg("--version").output().is_err() {
            report.note(&format!("left out: {program} is missing: install the package {package}"));
            return;
        }
    }
    if let Err(reason) = Middle::Ravelin(Mode::Native).is_available() {
        report.note(&format!("left out: {reason}"));
        return;
    }
    state_calibration(report);
    let _removed_at_the_end = Configuration;
    for traffic in [Traffic::Established, Traffic::New] {
        packets(report, options, traffic);
    }
    goodput(report, options);
}

fn packets(report: &Report, options: &Options, traffic: Traffic) {
    let what = match traffic {
        Traffic::Established => format!("{} established flows", options.flows),
        Traffic::New => "every packet a new flow".to_owned(),
    };
    report.heading(&format!("routed: {what}, 60-byte frames, one direction (veth, native AF_XDP)"));
    let mut candidates = vec![
        Candidate::Bare,
        Candidate::Bridge,
        Candidate::Router(0),
        Candidate::Kernel,
        Candidate::KernelFromFrames,
        Candidate::Translator,
        Candidate::Masquerade,
    ];
    for &count in &options.rules {
        candidates.push(Candidate::Router(count));
        candidates.extend(Form::ALL.map(|form| Candidate::Nftables(form, count)));
    }
    let mut results: Vec<Vec<f64>> = vec![Vec::new(); candidates.len()];
    for _ in 0..options.rounds {
        for (candidate, rates) in candidates.iter().zip(&mut results) {
            rates.push(measure(*candidate, options.seconds, options.flows, traffic));
        }
    }
    let mut medians = Vec::new();
    for (candidate, rates) in candidates.iter().zip(&results) {
        medians.push(report.figure(&candidate.name(), rates, "Mpps", None));
    }
    let place =
        |wanted| candidates.iter().position(|it| *it == wanted).expect("every candidate was measured");
    let against = |name: &str, own, peer, gate| {
        report.figure(name, &ratios(&results[place(own)], &results[place(peer)]), "x", gate);
    };
    against("ravelin routes / ravelin bridges", Candidate::Router(0), Candidate::Bridge, None);
    against("ravelin routes / bare AF_XDP forwarder", Candidate::Router(0), Candidate::Bare, None);
    against("ravelin routes / kernel", Candidate::Router(0), Candidate::Kernel, Some("must 1.2"));
    against(
        "ravelin routes / kernel from XDP frames",
        Candidate::Router(0),
        Candidate::KernelFromFrames,
        None,
    );
    let [own, peer] = [Candidate::Translator, Candidate::Masquerade];
    against("ravelin translates / nft masquerade", own, peer, Some("must 1.2"));
    for &count in &options.rules {
        let forms = Form::ALL.map(|form| Candidate::Nftables(form, count));
        let best = forms.into_iter().max_by(|a, b| medians[place(*a)].total_cmp(&medians[place(*b)]));
        let best = best.expect("there are three");
        let name = format!("ravelin routes / the best of nftables, {count} rules");
        against(&name, Candidate::Router(count), best, Some("must 1.2"));
    }
}

/// Who routes TCP.
#[derive(Clone, Copy, Debug)]
enum Router {
    Ravelin,
    RavelinWithReceiveThreads,
    Kernel { segmentation: bool },
}

fn goodput(report: &Report, options: &Options) {
    report.heading("routed: TCP goodput, iperf3, one stream, MTU 1500 (veth, copy mode)");
    let routers = [
        ("ravelin", Router::Ravelin),
        ("ravelin with receive threads", Router::RavelinWithReceiveThreads),
        ("kernel without TSO", Router::Kernel { segmentation: false }),
        ("kernel with TSO", Router::Kernel { segmentation: true }),
    ];
    let mut results = routers.map(|_| Vec::new());
    for _ in 0..options.rounds {
        for ((_, router), rates) in routers.iter().zip(&mut results) {
            rates.push(stream(*router));
        }
    }
    for ((name, _), rates) in routers.iter().zip(&results) {
        report.figure(name, rates, "Gbit/s", None);
    }
    let [own, threads, plain, _] = &results;
    report.figure("ravelin / kernel without TSO", &ratios(own, plain), "x", Some("must 1.2"));
    report.figure("ravelin with receive threads / kernel without TSO", &ratios(threads, plain), "x", None);
}

/// Gigabits a second that iperf3's receiver saw.
fn stream(router: Router) -> f64 {
    let topology = Topology::routed(1500);
    let ravelin = |io| Some(start_ravelin_as(&topology, 1, Mode::Native, ["idle = \"spin\"", io, ROUTER]));
    let process = match router {
        Router::Ravelin => ravelin(""),
        Router::RavelinWithReceiveThreads => ravelin("napi_threads = \"auto\""),
        Router::Kernel { segmentation } => {
            for (host, interface) in [(Host::Client, "a0"), (Host::Server, "b0")] {
                let state = if segmentation { "on" } else { "off" };
                let features = ["-K", interface, "tso", state, "gso", state, "gro", state];
                let status = topology.command(host, 0, "ethtool", &features).status();
                assert!(status.is_ok_and(|status| status.success()), "ethtool is installed");
            }
            None
        }
    };
    let mut server = topology.start(Host::Server, 0, "iperf3", &["-s", "-1", "--forceflush"]);
    while !server.line().contains("listening") {}
    let client = topology.start(Host::Client, 0, "iperf3", &["-c", "10.79.0.2", "-t", "3", "-J"]);
    let report: serde_json::Value = serde_json::from_str(&client.finish()).expect("iperf3 prints JSON");
    if let Some(process) = process {
        process.stop();
    }
    let rate = report["end"]["sum_received"]["bits_per_second"].as_f64();
    rate.unwrap_or_else(|| panic!("iperf3 did not finish: {report}")) / 1e9
}
