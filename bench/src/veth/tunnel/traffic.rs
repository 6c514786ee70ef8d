//! What goes through a tunnel, and what that costs.

use std::{fs, time::Instant};

use serde_json::Value;

use super::{
    super::topology::{Host, Process, Topology},
    end::Program,
    place::server,
};

/// Bytes in a UDP packet, so that the packet inside has 1400.
const DATAGRAM: &str = "1372";

/// What iperf3 sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Protocol {
    /// One stream for each peer.
    Tcp,
    /// As much as it can, for each peer; what arrives counts.
    Udp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = clap::ValueEnum::to_possible_value(self).expect("none is hidden");
        formatter.write_str(value.get_name())
    }
}

impl Protocol {
    /// What goodput must be, in multiples of another program's.
    pub(super) const fn gate(self, peer: Program) -> Option<&'static str> {
        match (self, peer) {
            (Self::Tcp, Program::WireguardGoBackports) => Some("must 1, aim 2"),
            (Self::Udp, Program::WireguardGoBackports) => Some("must 2"),
            (Self::Tcp | Self::Udp, Program::Gotatun) => Some("must 3"),
            (Self::Tcp | Self::Udp, Program::Ravelin | Program::WireguardGo | Program::Boringtun) => None,
        }
    }
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the client to the server: the gateway opens.
    In,
    /// From the server to the client: the gateway seals.
    Out,
}

impl Way {
    pub(super) const ALL: [Self; 2] = [Self::In, Self::Out];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// What is sent in a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) protocol: Protocol,
    pub(super) way: Way,
    pub(super) peers: u8,
    pub(super) seconds: u32,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// Goodput of all peers together, in Gbit/s.
    pub(super) gigabits: f64,
    /// Bytes that arrived.
    pub(super) bytes: f64,
    /// Seconds of CPU that the machine took for a gigabyte.
    pub(super) machine: f64,
    /// The same without iperf3's own.
    pub(super) rest: f64,
}

impl Load {
    pub(super) fn name(&self) -> String {
        let protocol = match self.protocol {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        };
        format!("{protocol} {}", self.way.name())
    }

    /// Sends it.
    pub(super) fn run(&self, topology: &Topology) -> Outcome {
        let peers = 0..self.peers;
        let servers: Vec<Process> = peers.clone().map(|peer| listen(topology, peer)).collect();
        let before = Machine::now();
        let clients: Vec<Process> = peers.map(|peer| self.client(topology, peer)).collect();
        let reports: Vec<Value> = clients
            .into_iter()
            .map(|client| serde_json::from_str(&client.finish()).expect("iperf3 prints JSON"))
            .collect();
        let busy = before.busy_since();
        drop(servers);
        let sum = |of: fn(&Value) -> Option<f64>| {
            reports
                .iter()
                .map(|report| of(report).unwrap_or_else(|| panic!("iperf3 did not finish: {report}")))
                .sum::<f64>()
        };
        let bytes = sum(|report| received(report)["bytes"].as_f64());
        let gigabytes = bytes / 1e9;
        Outcome {
            gigabits: sum(|report| received(report)["bits_per_second"].as_f64()) / 1e9,
            bytes,
            machine: busy / gigabytes,
            rest: (busy - sum(own_seconds)) / gigabytes,
        }
    }

    fn client(&self, topology: &Topology, peer: u8) -> Process {
        let (address, seconds) = (server(peer), self.seconds.to_string());
        let mut arguments = vec!["-c", &address, "-t", &seconds, "-J"];
        if self.protocol == Protocol::Udp {
            arguments.extend(["-u", "-b", "0", "-l", DATAGRAM]);
        }
        if self.way == Way::Out {
            arguments.push("-R");
        }
        topology.start(Host::Client, "0-1", "iperf3", &arguments)
    }
}

fn listen(topology: &Topology, peer: u8) -> Process {
    let arguments = ["-s", "-1", "--forceflush", "-B", &server(peer)];
    let mut process = topology.start(Host::Server, "0-1", "iperf3", &arguments);
    while !process.line().contains("listening") {}
    process
}

/// What iperf3's receiver says.
fn received(report: &Value) -> &Value {
    &report["end"]["sum_received"]
}

/// Seconds of CPU that iperf3's processes took at both ends.
fn own_seconds(report: &Value) -> Option<f64> {
    let shares = &report["end"]["cpu_utilization_percent"];
    let seconds = report["end"]["sum_sent"]["seconds"].as_f64()?;
    Some((shares["host_total"].as_f64()? + shares["remote_total"].as_f64()?) / 100.0 * seconds)
}

/// A moment, and how long the CPUs have been idle until then.
struct Machine {
    time: Instant,
    idle: f64,
    cores: f64,
}

impl Machine {
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").expect("Linux has it");
        // user nice system idle iowait irq softirq steal, in hundredths of a second, and a line for each CPU (proc(5)).
        let all: Vec<f64> =
            stat.lines().next().unwrap_or_default().split(' ').filter_map(|word| word.parse().ok()).collect();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let cores = stat.lines().filter(|line| line.starts_with("cpu")).count() - 1;
        Self { time: Instant::now(), idle: (all[3] + all[4] + all[7]) / ticks, cores: cores as f64 }
    }

    /// Seconds of CPU that were neither idle since, nor the hypervisor's.
    fn busy_since(&self) -> f64 {
        let now = Self::now();
        (now.time - self.time).as_secs_f64() * self.cores - (now.idle - self.idle)
    }
}
