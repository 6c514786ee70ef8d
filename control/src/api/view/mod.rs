//! The answers of the control socket: what the handlers fill in, JSON on the way, what the command line shows.
//!
//! Units are in the names; times are RFC 3339 in UTC.

mod captures;
mod feeds;
mod nat;
mod policy;
mod routes;
mod wireguard;

pub use captures::{Capture, CaptureFile, CapturesRemoved, SaveQuery, TriggerCounts};
pub use feeds::{Alerts, Feed, FeedsAsked};
pub use nat::{Nat, NatAddress, NatMapping, NatPublished};
pub use policy::{CutFlows, CutOne, RuleUse, StagedFlows, StagedGroup, Used};
pub use routes::{Acquaintance, Leads, Neighbour, Neighbours, NextHop, Route, Routes};
pub use wireguard::{
    Origin, SentKey, Session, WireguardChange, WireguardChanged, WireguardInterface, WireguardKeys,
    WireguardPeer, WireguardPeerChange, WireguardPrevious, WireguardTraffic,
};

use serde::{Deserialize, Serialize};

/// `GET /status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the program that runs.
    pub version: String,
    /// Its process number.
    pub pid: u32,
    /// When it was started.
    pub started: String,
    /// How long it has been running.
    pub uptime_seconds: u64,
    /// The configuration file.
    pub config: String,
    /// The number of the configuration in force: 1 after start, one more with each reload.
    pub generation: u32,
    /// The last attempt to bring a configuration into force.
    pub last_reload: LastReload,
    /// How packets come in, for each interface.
    pub interfaces: Vec<InterfaceMode>,
    /// How many workers there are.
    pub workers: usize,
    /// Workers that make no progress.
    pub stalled: Vec<u8>,
    /// Flows in the tables now.
    pub flows: u64,
    /// Flows that there may be.
    pub flow_capacity: usize,
    /// Where flow records are written; absent if nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<String>,
    /// Flow records written.
    pub records_written: u64,
    /// Flow records lost because the writer could not keep up or could not write.
    pub records_lost: u64,
    /// Whether writing flow records fails at the moment.
    pub records_failing: bool,
    /// Packets received.
    pub received_packets: u64,
    /// Packets forwarded.
    pub forwarded_packets: u64,
    /// Packets dropped.
    pub dropped_packets: u64,
}

/// How an attempt to bring a configuration into force ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastReload {
    /// When.
    pub time: String,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// What came of it, in one line.
    pub message: String,
}

/// What policy decided about a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// `allow`, `deny` or `reject`.
    pub verdict: String,
    /// The policy that decided; absent if neither end is an endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Which of its rules, from 0; -1 for the default behind them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<i64>,
    /// Why packets are dropped, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_reason: Option<String>,
    /// The way to the verdict, `index|tier|name|action|rule`: the source's egress rules, then the destination's ingress rules.
    pub enforced: Vec<String>,
    /// The same if every staged policy were in force.
    pub pending: Vec<String>,
    /// And the verdict that would come of that.
    pub pending_verdict: String,
}

impl Decided {
    /// Who decided, in one line: a policy and which of its rules.
    pub fn decider(&self) -> Option<String> {
        decider(self.policy.as_deref(), self.rule)
    }
}

/// A policy and which of its rules, in one line.
pub(crate) fn decider(policy: Option<&str>, rule: Option<i64>) -> Option<String> {
    Some(match (policy?, rule?) {
        (policy, -1) => format!("{policy}, default"),
        (policy, rule) => format!("{policy}, rule {rule}"),
    })
}

/// How packets come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceMode {
    /// The interface.
    pub name: String,
    /// How it is now.
    pub state: LinkState,
    /// `native`, `generic` or, where there is no kernel, the backend's name.
    pub mode: String,
    /// Why it is not native, if it is not by choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// `GET /interfaces`: one entry for each interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The kernel's name for it.
    pub name: String,
    /// `bridge NAME, outside`, `bridge NAME, inside` or `monitor`.
    pub role: String,
    /// Driver, mode, queues: what the backend says.
    #[serde(flatten)]
    pub link: Link,
    /// Packets received.
    pub received_packets: u64,
    /// Bytes received, whole frames.
    pub received_bytes: u64,
    /// Packets sent.
    pub sent_packets: u64,
    /// Bytes sent, whole frames.
    pub sent_bytes: u64,
    /// Packets received here and dropped.
    pub dropped_packets: u64,
}

/// How an interface is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// It can send, and what it receives comes to us.
    #[default]
    Up,
    /// The other end is not there.
    #[serde(rename = "no carrier")]
    NoCarrier,
    /// It was switched off.
    Down,
    /// Somebody has removed or replaced our program: nothing that it receives comes to us.
    Detached,
    /// It does not exist any more, or not under its name.
    Gone,
}

impl LinkState {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::NoCarrier => "no carrier",
            Self::Down => "down",
            Self::Detached => "detached",
            Self::Gone => "gone",
        }
    }
}

/// What the backend says of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The driver's name.
    pub driver: String,
    /// How it is now.
    pub state: LinkState,
    /// `native`, `generic` or, where there is no kernel, the backend's name.
    pub mode: String,
    /// Why it is not native, if it is not by choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether the network card writes into our memory directly.
    pub zero_copy: bool,
    /// Receive queues that are served.
    pub queues: u32,
    /// Largest network packet in bytes.
    pub mtu: u32,
    /// The kernel's receive threads; absent if it receives without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive_threads: Option<ReceiveThreads>,
    /// What the kernel counted.
    pub statistics: Vec<Statistic>,
}

/// Where the kernel does an interface's receive work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveThreads {
    /// The cores that it may use.
    pub cores: Vec<usize>,
    /// The threads' process numbers.
    pub pids: Vec<u32>,
}

/// Something that the kernel counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistic {
    /// Its name, as in `ravelin_interface_<name>_total`.
    pub name: String,
    /// How often.
    pub value: u64,
    /// One sentence that explains it.
    pub help: String,
}

/// `GET /workers`: one entry for each worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its number.
    pub id: u8,
    /// The core that it is pinned to.
    pub core: usize,
    /// Whether the watchdog found it without progress.
    pub stalled: bool,
    /// Changes with every turn.
    pub pulse: u64,
    /// Turns that held packets.
    pub batches: u64,
    /// Turns that found nothing to do.
    pub idle_turns: u64,
    /// Times that it slept.
    pub sleeps: u64,
    /// Packets received from interfaces.
    pub received_packets: u64,
    /// Packets received from other workers.
    pub handed_in_packets: u64,
    /// Packets given to other workers.
    pub handed_off_packets: u64,
    /// Packets forwarded.
    pub forwarded_packets: u64,
    /// Packets dropped.
    pub dropped_packets: u64,
    /// Flows in its table now.
    pub flows: u64,
}

/// `GET /counters`: one entry for each counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// Its name.
    pub name: String,
    /// The metric that shows it.
    pub metric: String,
    /// What it counts.
    pub unit: String,
    /// Whether it goes up and down.
    pub gauge: bool,
    /// Over all workers.
    pub total: u64,
    /// For each worker.
    pub workers: Vec<u64>,
    /// One sentence that explains it.
    pub help: String,
}

/// `GET /drops`: one entry for each reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drop {
    /// The reason's name.
    pub reason: String,
    /// The step that drops for it.
    pub group: String,
    /// Packets.
    pub packets: u64,
    /// One sentence that explains it.
    pub help: String,
}

/// `GET /flows`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flows {
    /// Flows in the tables that were looked at.
    pub seen: u64,
    /// Those that match.
    pub matching: u64,
    /// Workers that did not answer in time, so that their flows are missing.
    pub missing: Vec<u8>,
    /// The flows, at most as many as were asked for.
    pub flows: Vec<Flow>,
}

/// One flow. `[to the responder, to the initiator]` in every pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// The worker that owns it.
    pub worker: u8,
    /// The transport protocol.
    pub proto: String,
    /// The side that opened it.
    pub src: String,
    /// Its port; absent, as in flow records, if the protocol has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// The other side.
    pub dst: String,
    /// Its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst_port: Option<u16>,
    /// The identifier of an ICMP echo, which stands for a port on both sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp_id: Option<u16>,
    /// VLAN tags, outermost first.
    pub vlan: Vec<u16>,
    /// The interface that packets of `src` come in at.
    #[serde(rename = "in")]
    pub port_in: String,
    /// The interface that they leave, or would leave, through.
    #[serde(rename = "out")]
    pub port_out: String,
    /// What `src` is known as to the other side, if that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat_src: Option<String>,
    /// What packets of `src` are sent to, if that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat_dst: Option<String>,
    /// `new`, `established` or `closed`.
    pub state: String,
    /// State of the TCP connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// What policy decided.
    #[serde(flatten)]
    pub decision: Decided,
    /// The number of the configuration that decided.
    pub generation: u32,
    /// Packets.
    pub packets: [u64; 2],
    /// Bytes, whole frames.
    pub bytes: [u64; 2],
    /// When the first packet came.
    pub first: String,
    /// When the last packet came.
    pub last: String,
    /// From the first packet to the last.
    pub age_seconds: f64,
    /// Round-trip time of the handshake, as in flow records; `None` if not measured.
    pub rtt_us: Option<u32>,
    /// Smoothed round-trip time, as in flow records; `None` if not measured.
    pub srtt_us: Option<u32>,
    /// TCP segments sent again.
    pub retransmissions: [u16; 2],
}

/// One line of `GET /trace`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TraceLine {
    /// A packet.
    Packet(Box<TracedPacket>),
    /// The last line.
    End(TraceEnd),
}

/// A traced packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedPacket {
    /// When it was received.
    pub time: String,
    /// The worker that saw it.
    pub worker: u8,
    /// The interface that it came in at.
    #[serde(rename = "in")]
    pub port_in: String,
    /// Whether another worker had handed it over.
    pub handed_in: bool,
    /// Length of the frame in bytes.
    pub length: u32,
    /// What the frame carries: `ipv4`, `ipv6`, `arp`, `lldp`, `stp` or an EtherType such as `0x88cc`.
    pub network: String,
    /// VLAN tags, outermost first.
    pub vlan: Vec<u16>,
    /// The transport protocol, for IP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proto: Option<String>,
    /// Source address, for IP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src: Option<String>,
    /// Source port; absent if the protocol has none, or a fragment before its first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// Destination address, for IP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dst: Option<String>,
    /// Destination port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst_port: Option<u16>,
    /// The identifier of an ICMP echo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp_id: Option<u16>,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// TCP flags, such as `SYN,ACK`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<String>,
    /// ICMP type and code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<[u8; 2]>,
    /// Fragment: `first` or `later`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment: Option<String>,
    /// The verdict after each step; a step that is not here was not taken by this worker.
    pub steps: Vec<TracedStep>,
    /// The verdict in the end.
    pub verdict: String,
    /// By which policy; absent if neither end is an endpoint, or nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// By which of its rules, from 0; -1 for the default behind them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<i64>,
    /// The way to that, as in flow records.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub enforced: Vec<String>,
    /// Why it was dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop: Option<Dropped>,
}

/// The verdict after a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedStep {
    /// The step.
    pub step: String,
    /// What was decided when it was over.
    pub verdict: String,
}

/// Why a packet was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The reason's name.
    pub reason: String,
    /// The step that drops for it.
    pub group: String,
    /// One sentence that explains it.
    pub help: String,
}

/// How a trace ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEnd {
    /// Packets shown.
    pub shown: u64,
    /// Packets that were traced, but not shown because they do not match.
    pub skipped: u64,
    /// Packets that could not be traced because the reader was too slow.
    pub lost: u64,
}

/// `POST /reload`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// The number of the configuration in force now.
    pub generation: u32,
    /// The fields that differ from before.
    pub changes: Vec<String>,
    /// What is doubtful about the configuration, ready to print; absent if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<String>,
    /// Workers that had not taken it over when the answer was given.
    pub behind: Vec<u8>,
}

/// Any answer that is not a success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What is wrong.
    pub error: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The fields that need a restart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// What is wrong with the configuration, if that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<serde_json::Value>,
}
