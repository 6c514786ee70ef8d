//! What policy adds to a packet: in Ravelin's bridge, against the same bridge without; in the kernel, by nftables, against the
//! same forwarding without. The same rules everywhere: N pairs of a source address and a UDP port may reach the server, nothing
//! else may, and answers belong to the flow.
//!
//! The kernel routes and is filtered in the forward hook of the `inet` family, since not every kernel tracks connections in
//! bridges. Its work happens on the source's core, which spends next to nothing besides; Ravelin has the other core to itself. So
//! either way a packet's time is that of one core. Ravelin tracks flows with or without policy, the kernel only for the
//! rules' sake: to tell the two apart, there is also the kernel that only tracks, and the bare AF_XDP forwarder.

use std::{
    io::Write as _,
    net::Ipv4Addr,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    middle::{Middle, ROUTER, start_ravelin, start_ravelin_as},
    myself,
    programs::Mode,
    topology::{Host, Process, Topology},
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
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1_000, 10_000])]
    rules: Vec<u32>,
}

/// What stands in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Candidate {
    Bare,
    Bridge,
    Policy(u32),
    /// Ravelin routes, under so many rules.
    Router(u32),
    /// Ravelin routes, and what leaves is known as the router's address.
    Translator,
    /// The same by the kernel.
    Masquerade,
    Kernel,
    /// The kernel receives as an XDP program would: frames from which it has yet to make packets.
    KernelFromFrames,
    Tracking,
    Nftables(Form, u32),
}

/// How a ruleset asks for an address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    VerdictMap,
    IntervalSet,
    Linear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    Established,
    New,
}

impl Candidate {
    pub(super) fn name(self) -> String {
        match self {
            Self::Router(0) => "ravelin routes, no policy".to_owned(),
            Self::Router(count) => format!("ravelin routes, {count} rules"),
            Self::Translator => "ravelin routes and translates".to_owned(),
            Self::Masquerade => "nft, masquerade".to_owned(),
            Self::KernelFromFrames => "kernel, no nft, from XDP frames".to_owned(),
            Self::Bare => "bare AF_XDP forwarder".to_owned(),
            Self::Bridge => "ravelin, no policy".to_owned(),
            Self::Policy(count) => format!("ravelin, {count} rules"),
            Self::Kernel => "kernel, no nft".to_owned(),
            Self::Tracking => "nft, conntrack alone".to_owned(),
            Self::Nftables(Form::VerdictMap, count) => format!("nft, verdict map, {count} rules"),
            Self::Nftables(Form::IntervalSet, count) => format!("nft, interval set, {count} rules"),
            Self::Nftables(Form::Linear, count) => format!("nft, linear, {count} rules"),
        }
    }

    /// Whether its packets come from the stack, instead of another's XDP program.
    const fn takes_packets(self) -> bool {
        match self {
            Self::Bare
            | Self::Bridge
            | Self::Policy(_)
            | Self::Router(_)
            | Self::Translator
            | Self::KernelFromFrames => false,
            Self::Kernel | Self::Masquerade | Self::Tracking | Self::Nftables(..) => true,
        }
    }

    /// Whether the server knows the client by another address, to which it would have to answer.
    const fn translates(self) -> bool {
        matches!(self, Self::Translator | Self::Masquerade)
    }

    /// Puts it in the middle of namespaces that nothing has been in before.
    fn start(self, topology: &Topology) -> Option<Process> {
        let ravelin = |policy: &str| start_ravelin(topology, 1, Mode::Native, "idle = \"spin\"", policy);
        match self {
            Self::Bare => {
                let arguments = ["role", "bare", "r0", "r1", Mode::Native.name()];
                let mut process = topology.start(Host::Middle, 1, &myself(), &arguments);
                assert_eq!(process.line(), "ready");
                Some(process)
            }
            Self::Bridge => Some(ravelin("")),
            Self::Policy(count) => Some(ravelin(&policy(count))),
            Self::Router(count) => {
                route(topology);
                let policy = if count > 0 { policy(count) } else { String::new() };
                Some(start_ravelin_as(topology, 1, Mode::Native, ["idle = \"spin\"", &policy, ROUTER]))
            }
            Self::Translator => {
                route(topology);
                know_as(topology);
                let nat = "[[nat.source]]\nout = [\"r1\"]\nsources = [\"10.78.0.2/32\"]\n";
                Some(start_ravelin_as(topology, 1, Mode::Native, ["idle = \"spin\"", nat, ROUTER]))
            }
            Self::Masquerade => {
                route(topology);
                know_as(topology);
                filter(topology, MASQUERADE);
                None
            }
            Self::Kernel => {
                route(topology);
                None
            }
            Self::KernelFromFrames => {
                route(topology);
                // Without it, a veth does not take frames.
                for interface in ["r0", "r1"] {
                    let features = ["-K", interface, "gro", "on"];
                    let status = topology.command(Host::Middle, 0, "ethtool", &features).status();
                    assert!(status.is_ok_and(|status| status.success()), "ethtool is installed");
                }
                None
            }
            Self::Tracking => {
                route(topology);
                filter(topology, &ruleset("accept", "", ""));
                None
            }
            Self::Nftables(form, count) => {
                route(topology);
                filter(topology, &form.ruleset(count));
                None
            }
        }
    }
}

/// The source and port of each rule. Only the one halfway is that of the packets.
fn rules(count: u32) -> impl Iterator<Item = (Ipv4Addr, u16)> {
    let first = u32::from(Ipv4Addr::new(10, 80, 0, 0));
    (0..count).map(move |index| {
        if index == count / 2 {
            return (Ipv4Addr::new(10, 78, 0, 2), 9);
        }
        (Ipv4Addr::from(first + index), 1_000 + u16::try_from(index % 50_000).expect("below 50,000"))
    })
}

/// The rules for Ravelin, in policies of a thousand: one takes 1,024 at most.
fn policy(count: u32) -> String {
    let mut text = "[[endpoint]]\nname = \"server\"\naddresses = [\"10.78.0.1\", \"10.78.128.0/17\"]\n\
                    labels = { role = \"server\" }\n"
        .to_owned();
    for (index, (address, port)) in rules(count).enumerate() {
        if index % 1_000 == 0 {
            text += &format!("[[policy]]\nname = \"guard{index}\"\nselector = \"role == 'server'\"\n");
        }
        text += &format!(
            "[[policy.ingress]]\naction = \"allow\"\nprotocol = \"udp\"\nsource = {{ nets = [\"{address}\"] }}\n\
             destination = {{ ports = [{port}] }}\n"
        );
    }
    text
}

impl Form {
    pub(super) const ALL: [Self; 3] = [Self::VerdictMap, Self::IntervalSet, Self::Linear];

    /// The rules for nftables.
    fn ruleset(self, count: u32) -> String {
        let elements = |verdict: &str| {
            rules(count)
                .map(|(address, port)| format!("{address} . {port}{verdict}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        match self {
            Self::VerdictMap => ruleset(
                "drop",
                &format!(
                    "map verdicts {{ type ipv4_addr . inet_service : verdict; elements = {{ {} }}; }}",
                    elements(" : accept")
                ),
                "ip saddr . udp dport vmap @verdicts",
            ),
            Self::IntervalSet => ruleset(
                "drop",
                &format!(
                    "set allowed {{ type ipv4_addr . inet_service; flags interval; elements = {{ {} }}; }}",
                    elements("")
                ),
                "ip saddr . udp dport @allowed accept",
            ),
            Self::Linear => {
                let lines = rules(count)
                    .map(|(address, port)| format!("ip saddr {address} udp dport {port} accept\n"))
                    .collect::<String>();
                ruleset("drop", "", &lines)
            }
        }
    }
}

fn ruleset(default: &str, sets: &str, rules: &str) -> String {
    format!(
        "table inet bench {{\n{sets}\nchain forward {{\ntype filter hook forward priority 0; policy {default};\n\
         ct state established,related accept\n{rules}\n}}\n}}\n"
    )
}

const MASQUERADE: &str = "table ip bench {\nchain postrouting {\ntype nat hook postrouting priority 100; policy accept;\n\
                          oifname \"r1\" masquerade\n}\n}\n";

/// Gives the router the address as which the client is known outside.
fn know_as(topology: &Topology) {
    topology.ip(Host::Middle, &["address", "add", "10.79.0.254/32", "dev", "r1"]);
}

/// Makes the kernel route between client and server.
fn route(topology: &Topology) {
    let forwarding = ["-q", "-w", "net.ipv4.ip_forward=1"];
    let status = topology.command(Host::Middle, 0, "sysctl", &forwarding).status();
    assert!(status.is_ok_and(|status| status.success()), "sysctl is installed");
    for (interface, address, net, gateway) in [
        ("r0", "02:00:00:00:00:02", "10.78.0.2/32", "10.77.0.1"),
        ("r1", "02:00:00:00:00:01", "10.78.0.0/16", "10.77.0.2"),
    ] {
        let middle = |text: &str| topology.ip(Host::Middle, &text.split(' ').collect::<Vec<_>>());
        middle(&format!("link set {interface} address {address}"));
        middle(&format!("neighbour add {gateway} lladdr 02:00:00:00:00:03 dev {interface} nud permanent"));
        middle(&format!("route add {net} via {gateway} dev {interface} onlink"));
    }
}

/// Loads a ruleset.
pub(super) fn filter(topology: &Topology, ruleset: &str) {
    let mut nft = topology
        .command(Host::Middle, 0, "nft", &["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("it was there a moment ago");
    let mut input = nft.stdin.take().expect("its input is a pipe");
    input.write_all(ruleset.as_bytes()).expect("it reads its input");
    drop(input);
    assert!(nft.wait().is_ok_and(|status| status.success()), "the kernel takes the rules");
}

/// The directory of Ravelin's configuration. Removed when dropped.
pub(super) struct Configuration;

impl Drop for Configuration {
    fn drop(&mut self) {
        let directory = std::env::temp_dir().join(format!("ravelin-bench-{}", std::process::id()));
        let _never_made = std::fs::remove_dir_all(directory);
    }
}

pub(crate) fn run(report: &Report, options: &Options) {
    if Command::new("nft").arg("--version").output().is_err() {
        report.note("left out: nft is missing: install the package nftables");
        return;
    }
    if let Err(reason) = Middle::Ravelin(Mode::Native).is_available() {
        report.note(&format!("left out: {reason}"));
        return;
    }
    state_calibration(report);
    let _removed_at_the_end = Configuration;
    for traffic in [Traffic::Established, Traffic::New] {
        compare(report, options, traffic);
    }
}

fn compare(report: &Report, options: &Options, traffic: Traffic) {
    let what = match traffic {
        Traffic::Established => format!("{} established flows", options.flows),
        Traffic::New => "every packet a new flow".to_owned(),
    };
    report.heading(&format!("{what}, 60-byte frames, one direction (veth: native AF_XDP; kernel routed)"));
    let mut candidates = vec![Candidate::Bare, Candidate::Bridge, Candidate::Kernel, Candidate::Tracking];
    for &count in &options.rules {
        candidates.push(Candidate::Policy(count));
        candidates.extend(Form::ALL.map(|form| Candidate::Nftables(form, count)));
    }
    let mut results: Vec<Vec<f64>> = vec![Vec::new(); candidates.len()];
    for _ in 0..options.rounds {
        for (candidate, rates) in candidates.iter().zip(&mut results) {
            rates.push(measure(*candidate, options.seconds, options.flows, traffic));
        }
    }
    for (candidate, rates) in candidates.iter().zip(&results) {
        report.figure(&candidate.name(), rates, "Mpps", None);
    }
    let rates = |wanted| {
        let found = candidates.iter().zip(&results).find(|(candidate, _)| **candidate == wanted);
        found.map(|(_, rates)| rates.as_slice()).expect("every candidate was measured")
    };
    let added = |with, without| -> Vec<f64> {
        rates(with).iter().zip(rates(without)).map(|(with, without)| 1e3 / with - 1e3 / without).collect()
    };
    report.figure("conntrack alone adds", &added(Candidate::Tracking, Candidate::Kernel), "ns", None);
    for &count in &options.rules {
        let own = added(Candidate::Policy(count), Candidate::Bridge);
        let whole = added(Candidate::Policy(count), Candidate::Bare);
        report.figure(&format!("ravelin, {count} rules: policy adds"), &own, "ns", None);
        report.figure(&format!("ravelin, {count} rules: over the bare forwarder"), &whole, "ns", None);
        let mut best = (f64::INFINITY, Vec::new());
        for form in Form::ALL {
            let candidate = Candidate::Nftables(form, count);
            let peer = added(candidate, Candidate::Kernel);
            let median = report.figure(&format!("{}: adds", candidate.name()), &peer, "ns", None);
            if median < best.0 {
                best = (median, peer);
            }
        }
        let (_, best) = best;
        let name = format!("ravelin's policy / the best of nftables, {count} rules");
        report.figure(&name, &ratios(&own, &best), "x", Some("must 0.2"));
        let name = format!("all of ravelin's work / the best of nftables, {count} rules");
        report.figure(&name, &ratios(&whole, &best), "x", None);
    }
}

/// Millions of packets a second that reach the server.
pub(super) fn measure(candidate: Candidate, seconds: f64, flows: u16, traffic: Traffic) -> f64 {
    let topology = Topology::new(1500);
    let mut sink = topology.start(Host::Server, 0, &myself(), &["role", "sink", "b0"]);
    assert_eq!(sink.line(), "ready");
    let mut received = || sink.ask().parse::<u64>().expect("a count");
    let middle = candidate.start(&topology);
    sleep(Duration::from_millis(500));
    // So many new flows that neither side's table fills up.
    let (seconds, pattern) = match traffic {
        Traffic::Established => (seconds, "flows"),
        Traffic::New => (0.3, "new"),
    };
    if traffic == Traffic::Established {
        let patterns: &[&str] = if candidate.translates() { &["flows"] } else { &["flows", "answers"] };
        for pattern in patterns {
            let _sent = start_source(&topology, candidate, pattern, 0.2, flows).finish();
        }
    }
    let before = received();
    let source = start_source(&topology, candidate, pattern, 60.0, flows);
    let patience = Instant::now();
    while received() == before {
        assert!(patience.elapsed() < Duration::from_secs(10), "{}: nothing arrives", candidate.name());
        sleep(Duration::from_millis(5));
    }
    sleep(Duration::from_millis(50));
    let (before, start) = (received(), Instant::now());
    sleep(Duration::from_secs_f64(seconds));
    let (after, spent) = (received(), start.elapsed());
    drop(source);
    if let Some(process) = middle {
        process.stop();
    }
    let arrived = after - before;
    assert!(arrived > 1_000, "{}: only {arrived} packets arrive", candidate.name());
    arrived as f64 / spent.as_secs_f64() / 1e6
}

/// Sends from the client, or the server's answers.
fn start_source(
    topology: &Topology,
    candidate: Candidate,
    pattern: &str,
    seconds: f64,
    flows: u16,
) -> Process {
    let answers = pattern == "answers";
    let (host, interface, entrance) = match (candidate.takes_packets(), answers) {
        (true, false) => (Host::Middle, "r0", "receive"),
        (true, true) => (Host::Middle, "r1", "receive"),
        (false, false) => (Host::Client, "a0", "transmit"),
        (false, true) => (Host::Server, "b0", "transmit"),
    };
    let (seconds, flows) = (seconds.to_string(), flows.to_string());
    let arguments = ["role", "source", interface, entrance, &seconds, &flows, "60", pattern];
    topology.start(host, 0, &myself(), &arguments)
}
