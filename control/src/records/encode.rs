use std::collections::HashMap;

use ravelin_config::types::Action;
use ravelin_dataplane::{
    clock::Timestamp,
    flow::{EndReason, FlowRecord, FlowState, TcpState},
    handoff::WorkerId,
    io::PortId,
    nat::NatFlow,
    parse::tcp_flags,
    policy::DecisionId,
};

use super::{community::CommunityId, json, protocol};
use crate::{
    alerts::{About, Alert, Hit},
    compile::Ports,
    policy::{Teller, Told, verdict_name},
};

/// Turns records into lines. Holds what it needs to name ports and rules; works without allocating once its buffer is warm.
///
/// The fields up to `tcp` are those that Suricata writes, with its meaning: `timestamp` is when the flow ended, `end` when its
/// last packet came, `age` the seconds between start and end, and `src` is the side that opened the connection. What is ours
/// stands under `ravelin`.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    /// The names of the ports in quotes, escaped.
    ports: Vec<Vec<u8>>,
    teller: Teller,
    /// What is written about each decision of each worker: thousands of flows share one.
    told: HashMap<(WorkerId, DecisionId), Box<[u8]>>,
}

impl Encoder {
    /// Decisions whose text is kept; beyond that all are forgotten and made anew.
    const TOLD: usize = 1 << 16;

    /// An encoder that names `ports`, and decisions as `teller` tells them.
    pub fn new(ports: &Ports, teller: Teller) -> Self {
        let quoted = |name: &str| {
            let mut out = Vec::new();
            json::text(&mut out, name);
            out
        };
        let ports = ports.iter().map(|(_, name, _)| quoted(name.as_str())).collect();
        Self { ports, teller, told: HashMap::new() }
    }

    /// Appends the record as one line, with its line end.
    pub fn encode(&mut self, record: &FlowRecord, out: &mut Vec<u8>) {
        out.reserve(1024);
        let community = CommunityId::of(&record.key, record.initiator);
        head(record, &community, "flow", record.ended, out);
        flow(record, out);
        if let Some(state) = record.tcp {
            tcp(record, state, out);
        }
        self.ravelin(record, out);
        out.extend_from_slice(b"}\n");
    }

    /// Appends an alert about a flow that is a hit as one line, with its line end. The fields under `alert` are Suricata's; `severity`
    /// is 1 for the worst of three.
    pub fn encode_hit(&mut self, record: &FlowRecord, alert: &Alert, hit: &Hit, out: &mut Vec<u8>) {
        let community = CommunityId::of(&record.key, record.initiator);
        head(record, &community, "alert", record.last, out);
        let blocked = if record.verdict == Action::Allow { "allowed" } else { "blocked" };
        let level = match alert.severity {
            67.. => 1,
            34.. => 2,
            _ => 3,
        };
        let malware = hit.malware.as_deref().unwrap_or("listed address");
        let signature = format!("{}: {malware} {}", hit.feed, hit.indicator);
        let category = "Malware Command and Control Activity Detected";
        let fields = serde_json::json!({
            "action": blocked, "gid": 1, "signature_id": 0, "rev": 0,
            "signature": signature, "category": category, "severity": level,
        });
        out.extend_from_slice(b",\"alert\":");
        out.extend_from_slice(fields.to_string().as_bytes());
        if let Some(file) = &alert.capture_file {
            out.extend_from_slice(b",\"capture_file\":");
            json::text(out, file);
        }
        // All of the alert's fields are texts and numbers.
        let own = serde_json::to_string(alert).unwrap_or_default();
        out.extend_from_slice(b",\"threat\":");
        out.extend_from_slice(own.as_bytes());
        self.ravelin(record, out);
        out.extend_from_slice(b"}\n");
    }

    fn ravelin(&mut self, record: &FlowRecord, out: &mut Vec<u8>) {
        self.decision(record, out);
        out.extend_from_slice(b",\"worker\":");
        json::number(out, record.worker.0);
        out.extend_from_slice(b",\"in\":");
        self.port(Some(record.port_in), out);
        out.extend_from_slice(b",\"out\":");
        self.port((record.port_out != record.port_in).then_some(record.port_out), out);
        if record.tcp.is_some() {
            let measured = |micros: u32| (micros > 0).then_some(micros);
            out.extend_from_slice(b",\"rtt_us\":");
            json::optional(out, measured(record.handshake_rtt_us));
            out.extend_from_slice(b",\"srtt_us\":");
            json::optional(out, measured(record.smoothed_rtt_us));
            out.extend_from_slice(b",\"retransmissions_toserver\":");
            json::number(out, record.retransmissions[0]);
            out.extend_from_slice(b",\"retransmissions_toclient\":");
            json::number(out, record.retransmissions[1]);
            out.extend_from_slice(b",\"zero_windows_toserver\":");
            json::number(out, record.zero_windows[0]);
            out.extend_from_slice(b",\"zero_windows_toclient\":");
            json::number(out, record.zero_windows[1]);
        }
        nat(&record.nat, out);
        out.extend_from_slice(b",\"generation\":");
        json::number(out, record.generation);
        out.push(b'}');
    }

    /// Verdict, deciding rule, reason and traces.
    fn decision(&mut self, record: &FlowRecord, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"ravelin\":{");
        let key = (record.worker, record.decision);
        if let Some(text) = self.told.get(&key) {
            out.extend_from_slice(text);
            return;
        }
        let told = self.teller.tell(record.worker, record.decision);
        let mut text = Vec::new();
        decision(record.verdict, told.as_ref(), &mut text);
        out.extend_from_slice(&text);
        if told.is_some() {
            if self.told.len() >= Self::TOLD {
                self.told.clear();
            }
            self.told.insert(key, text.into_boxed_slice());
        }
    }

    fn port(&self, port: Option<PortId>, out: &mut Vec<u8>) {
        let name = port.and_then(|port| self.ports.get(port.index()));
        out.extend_from_slice(name.map_or(b"null", Vec::as_slice));
    }
}

/// Appends an alert that is about no flow, as one line with its line end, under an event type that says what it is about.
pub fn encode_standing(alert: &Alert, now: jiff::Timestamp, out: &mut Vec<u8>) {
    let now = Timestamp::from_micros(now.as_microsecond().try_into().unwrap_or_default());
    out.extend_from_slice(b"{\"timestamp\":\"");
    json::timestamp(out, now);
    let kind: &[u8] = match &alert.about {
        About::Indicator(_) | About::Feed(_) => b"feed",
        About::Nat(_) => b"nat",
    };
    out.extend_from_slice(b"\",\"event_type\":\"");
    out.extend_from_slice(kind);
    out.extend_from_slice(b"\",\"");
    out.extend_from_slice(kind);
    out.extend_from_slice(b"\":");
    // All of its fields are texts and numbers.
    out.extend_from_slice(serde_json::to_string(alert).unwrap_or_default().as_bytes());
    out.extend_from_slice(b"}\n");
}

/// What was decided; a flow that was never judged has a verdict all the same.
fn decision(verdict: Action, told: Option<&Told>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"verdict\":");
    json::text(out, verdict_name(told.map_or(verdict, |told| told.verdict)));
    out.extend_from_slice(b",\"policy\":");
    match told.and_then(|told| told.decider.as_ref()) {
        Some(rule) => {
            json::text(out, &rule.block.policy);
            out.extend_from_slice(b",\"rule\":");
            json::number(out, rule.number());
        }
        None => out.extend_from_slice(b"null,\"rule\":null"),
    }
    out.extend_from_slice(b",\"drop_reason\":");
    match told.and_then(|told| told.reason) {
        Some(reason) => json::text(out, reason.name()),
        None => out.extend_from_slice(b"null"),
    }
    let list = |out: &mut Vec<u8>, entries: &[String]| {
        for (at, entry) in entries.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"" } else { b"," });
            json::text(out, entry);
        }
    };
    let (enforced, pending) = told.map_or((&[][..], &[][..]), |told| (&told.enforced[..], &told.pending[..]));
    out.extend_from_slice(b",\"policies\":{\"enforced\":[");
    list(out, enforced);
    out.extend_from_slice(b"],\"pending\":[");
    list(out, pending);
    out.extend_from_slice(b"],\"pending_verdict\":");
    json::text(out, verdict_name(told.map_or(verdict, |told| told.pending_verdict)));
    out.push(b'}');
}

/// What every event has: when, what, who with whom.
fn head(record: &FlowRecord, community: &CommunityId, event: &str, time: Timestamp, out: &mut Vec<u8>) {
    let (source, source_port) = record.key.end(record.initiator);
    let (destination, destination_port) = record.key.end(record.initiator.other());
    let protocol = record.key.protocol();

    out.extend_from_slice(b"{\"timestamp\":\"");
    json::timestamp(out, time);
    out.extend_from_slice(b"\",\"flow_id\":");
    json::number(out, flow_id(record, community));
    out.extend_from_slice(b",\"event_type\":\"");
    out.extend_from_slice(event.as_bytes());
    out.push(b'"');
    match record.key.vlans() {
        [0, 0] => {}
        [outer, 0] => {
            out.extend_from_slice(b",\"vlan\":[");
            json::number(out, outer);
            out.push(b']');
        }
        [outer, inner] => {
            out.extend_from_slice(b",\"vlan\":[");
            json::number(out, outer);
            out.push(b',');
            json::number(out, inner);
            out.push(b']');
        }
    }
    out.extend_from_slice(b",\"src_ip\":\"");
    json::address(out, source);
    if protocol.has_ports() {
        out.extend_from_slice(b"\",\"src_port\":");
        json::number(out, source_port);
        out.extend_from_slice(b",\"dest_ip\":\"");
        json::address(out, destination);
        out.extend_from_slice(b"\",\"dest_port\":");
        json::number(out, destination_port);
        out.extend_from_slice(b",\"proto\":\"");
    } else {
        out.extend_from_slice(b"\",\"dest_ip\":\"");
        json::address(out, destination);
        out.extend_from_slice(b"\",\"proto\":\"");
    }
    match protocol::name(protocol) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => json::three_digits(out, protocol.0),
    }
    out.push(b'"');
    if let Some(community) = community.text() {
        out.extend_from_slice(b",\"community_id\":\"1:");
        out.extend_from_slice(&community);
        out.push(b'"');
    }
}

/// A number that names the flow in all its events: the same for the same flow of the same capture, on every machine. 51 bits,
/// as Suricata's, because many JSON readers know no larger integers.
fn flow_id(record: &FlowRecord, community: &CommunityId) -> u64 {
    let mix = |value: u64| {
        // The finalizer of splitmix64.
        let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    // Community ID knows neither VLANs nor echo identifiers, nor on which of two bridges a packet was seen at the same time.
    let [outer, inner] = record.key.vlans();
    let (_, port) = record.key.end(record.initiator);
    let segment = record.port_in.min(record.port_out);
    let rest =
        (u64::from(segment.0) << 48) | (u64::from(outer) << 32) | (u64::from(inner) << 16) | u64::from(port);
    mix(community.hash() ^ mix(record.first.as_nanos()) ^ mix(rest)) >> 13
}

fn flow(record: &FlowRecord, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"flow\":{\"pkts_toserver\":");
    json::number(out, record.packets[0]);
    out.extend_from_slice(b",\"pkts_toclient\":");
    json::number(out, record.packets[1]);
    out.extend_from_slice(b",\"bytes_toserver\":");
    json::number(out, record.bytes[0]);
    out.extend_from_slice(b",\"bytes_toclient\":");
    json::number(out, record.bytes[1]);
    out.extend_from_slice(b",\"start\":\"");
    json::timestamp(out, record.first);
    out.extend_from_slice(b"\",\"end\":\"");
    json::timestamp(out, record.last);
    out.extend_from_slice(b"\",\"age\":");
    json::number(out, record.last.as_secs().saturating_sub(record.first.as_secs()));
    out.extend_from_slice(match record.state {
        FlowState::New => b",\"state\":\"new\"".as_slice(),
        FlowState::Established => b",\"state\":\"established\"",
        FlowState::Closed => b",\"state\":\"closed\"",
    });
    out.extend_from_slice(match record.reason {
        EndReason::Timeout => b",\"reason\":\"timeout\",\"alerted\":false}".as_slice(),
        EndReason::Policy => b",\"reason\":\"policy\",\"alerted\":false}",
        EndReason::Forced => b",\"reason\":\"forced\",\"alerted\":false}",
        EndReason::Shutdown => b",\"reason\":\"shutdown\",\"alerted\":false}",
        EndReason::Active => b",\"reason\":\"active\",\"alerted\":false}",
    });
}

/// What the ends are known as to each other, where that is not what they are: the source that packets leave with, the destination that they
/// are sent to.
fn nat(known: &NatFlow, out: &mut Vec<u8>) {
    let mut begin = b",\"nat\":{".as_slice();
    let names: [(_, [&[u8]; 2]); 2] = [
        (known.initiator, [b"\"src_ip\":\"", b"\",\"src_port\":"]),
        (known.responder, [b"\"dest_ip\":\"", b"\",\"dest_port\":"]),
    ];
    for (end, [address, port]) in names {
        let Some(end) = end else { continue };
        out.extend_from_slice(begin);
        out.extend_from_slice(address);
        json::address(out, end.v4().into());
        out.extend_from_slice(port);
        json::number(out, end.port);
        begin = b",";
    }
    if *known != NatFlow::default() {
        out.push(b'}');
    }
}

/// Like Suricata, names only the flags that were seen.
fn tcp(record: &FlowRecord, state: TcpState, out: &mut Vec<u8>) {
    const NAMES: [(u8, &[u8]); 8] = [
        (tcp_flags::SYN, b"\"syn\":true,"),
        (tcp_flags::FIN, b"\"fin\":true,"),
        (tcp_flags::RST, b"\"rst\":true,"),
        (tcp_flags::PSH, b"\"psh\":true,"),
        (tcp_flags::ACK, b"\"ack\":true,"),
        (tcp_flags::URG, b"\"urg\":true,"),
        (tcp_flags::ECE, b"\"ecn\":true,"),
        (tcp_flags::CWR, b"\"cwr\":true,"),
    ];
    let [to_server, to_client] = record.tcp_flags;
    let all = to_server | to_client;
    out.extend_from_slice(b",\"tcp\":{\"tcp_flags\":\"");
    json::byte(out, all);
    out.extend_from_slice(b"\",\"tcp_flags_ts\":\"");
    json::byte(out, to_server);
    out.extend_from_slice(b"\",\"tcp_flags_tc\":\"");
    json::byte(out, to_client);
    out.extend_from_slice(b"\",");
    for (flag, name) in NAMES {
        if all & flag != 0 {
            out.extend_from_slice(name);
        }
    }
    out.extend_from_slice(b"\"state\":\"");
    out.extend_from_slice(state.name().as_bytes());
    out.extend_from_slice(b"\"}");
}
