//! From the packet path's values to the words of an answer.

use jiff::{Timestamp, Unit};
use ravelin_config::types::Protocol;
use ravelin_dataplane::{
    batch::Meta,
    clock,
    command::{Step, TraceEntry},
    flow::{FlowRecord, FlowState},
    parse::{FragmentKind, Network, Vlans, tcp_flags},
    verdict::Verdict,
};

use super::view::{Decided, Dropped, Flow, TracedPacket, TracedStep, decider};
use crate::{
    appliance::Appliance,
    policy::{Named, Told, verdict_name},
};

/// A flow in words.
pub(super) fn flow(appliance: &Appliance, record: &FlowRecord) -> Flow {
    let (src, src_port) = record.key.end(record.initiator);
    let (dst, dst_port) = record.key.end(record.initiator.other());
    let protocol = record.key.protocol();
    let Numbers { src_port, dst_port, icmp_id } = numbers(protocol, [src_port, dst_port]);
    Flow {
        worker: record.worker.0,
        proto: protocol.to_string(),
        src: src.to_string(),
        src_port,
        dst: dst.to_string(),
        dst_port,
        icmp_id,
        vlan: record.key.vlans().into_iter().filter(|vlan| *vlan != 0).collect(),
        port_in: appliance.port(record.port_in),
        port_out: appliance.port(record.port_out),
        state: match record.state {
            FlowState::New => "new",
            FlowState::Established => "established",
            FlowState::Closed => "closed",
        }
        .to_owned(),
        tcp: record.tcp.map(|state| state.name().to_owned()),
        decision: decided(appliance, record),
        generation: record.generation,
        packets: record.packets,
        bytes: record.bytes,
        first: time(record.first),
        last: time(record.last),
        age_seconds: record.last.since(record.first).as_secs_f64(),
        rtt_us: measured(record.handshake_rtt_us),
        srtt_us: measured(record.smoothed_rtt_us),
        retransmissions: record.retransmissions,
    }
}

/// What policy decided about a flow.
fn decided(appliance: &Appliance, record: &FlowRecord) -> Decided {
    let verdict = verdict_name(record.verdict).to_owned();
    match appliance.told(record.worker, record.decision) {
        Some(decision) => told(&decision),
        None => Decided { pending_verdict: verdict.clone(), verdict, ..Decided::default() },
    }
}

/// A decision in words.
pub(super) fn told(told: &Told) -> Decided {
    Decided {
        verdict: verdict_name(told.verdict).to_owned(),
        policy: told.decider.as_ref().map(|rule| rule.block.policy.clone()),
        rule: told.decider.as_ref().map(Named::number),
        drop_reason: told.reason.map(|reason| reason.name().to_owned()),
        enforced: told.enforced.clone(),
        pending: told.pending.clone(),
        pending_verdict: verdict_name(told.pending_verdict).to_owned(),
    }
}

/// What the two numbers beside the addresses of a key are.
#[derive(Default)]
struct Numbers {
    src_port: Option<u16>,
    dst_port: Option<u16>,
    icmp_id: Option<u16>,
}

/// Zero on both sides stands for what is not there, as in fragments.
fn numbers(protocol: Protocol, [src, dst]: [u16; 2]) -> Numbers {
    match protocol {
        _ if src == 0 && dst == 0 => Numbers::default(),
        Protocol::ICMP | Protocol::ICMPV6 => Numbers { icmp_id: Some(src.max(dst)), ..Numbers::default() },
        _ if protocol.has_ports() => Numbers { src_port: Some(src), dst_port: Some(dst), icmp_id: None },
        _ => Numbers::default(),
    }
}

/// Zero stands for what was not measured.
fn measured(us: u32) -> Option<u32> {
    (us != 0).then_some(us)
}

/// A traced packet in words.
pub(super) fn packet(appliance: &Appliance, entry: &TraceEntry) -> TracedPacket {
    let TraceEntry { worker, meta, verdicts } = entry;
    let headers = &meta.headers;
    let ip = headers.is_ip();
    let numbers = if ip {
        numbers(headers.protocol, [headers.source_port, headers.destination_port])
    } else {
        Numbers::default()
    };
    let taken = Step::ALL.into_iter().zip(verdicts).filter_map(|(step, decided)| Some((step, (*decided)?)));
    let told = appliance.told(*worker, meta.decision);
    let rule = told.as_ref().and_then(|told| told.decider.as_ref());
    let (policy, number) = (rule.map(|rule| rule.block.policy.clone()), rule.map(Named::number));
    let by = decider(policy.as_deref(), number);
    let mut dropped = false;
    // What was dropped passes through the other steps as well, but nothing is decided there.
    let taken = taken
        .take_while(|(_, decided)| !std::mem::replace(&mut dropped, matches!(decided, Verdict::Drop(_))));
    let steps = taken.map(|(step, decided)| TracedStep {
        step: step.name().to_owned(),
        verdict: match (step, decided, &by) {
            (Step::Policy, Verdict::Allow, Some(by)) => format!("allow by {by}"),
            (Step::Policy, Verdict::Allow, None) => "allow: neither end is an endpoint".to_owned(),
            (_, decided, _) => verdict(appliance, decided),
        },
    });
    TracedPacket {
        time: time(meta.time),
        worker: worker.0,
        port_in: appliance.port(meta.port),
        handed_in: meta.handed_in,
        length: meta.length,
        network: network(meta),
        vlan: vlans(headers.vlans),
        proto: ip.then(|| headers.protocol.to_string()),
        src: ip.then(|| headers.source.ip().to_string()),
        src_port: numbers.src_port,
        dst: ip.then(|| headers.destination.ip().to_string()),
        dst_port: numbers.dst_port,
        icmp_id: numbers.icmp_id,
        ttl: headers.ttl,
        flags: (ip && headers.protocol == Protocol::TCP).then(|| flags(headers.tcp.flags)),
        icmp: (ip && matches!(headers.protocol, Protocol::ICMP | Protocol::ICMPV6)).then_some(headers.icmp),
        fragment: match headers.fragment.kind {
            FragmentKind::Whole => None,
            FragmentKind::First => Some("first".to_owned()),
            FragmentKind::Later => Some("later".to_owned()),
        },
        steps: steps.collect(),
        verdict: verdict(appliance, meta.verdict),
        policy,
        rule: number,
        enforced: told.map(|told| told.enforced).unwrap_or_default(),
        drop: match meta.verdict {
            Verdict::Drop(reason) => Some(Dropped {
                reason: reason.name().to_owned(),
                group: reason.group().name().to_owned(),
                help: reason.help().to_owned(),
            }),
            Verdict::Undecided
            | Verdict::Allow
            | Verdict::Forward(_)
            | Verdict::Handoff(_)
            | Verdict::Local
            | Verdict::Consume => None,
        },
    }
}

fn verdict(appliance: &Appliance, verdict: Verdict) -> String {
    match verdict {
        Verdict::Undecided => "passed".to_owned(),
        Verdict::Allow => "allow".to_owned(),
        Verdict::Forward(port) => format!("forward to {}", appliance.port(port)),
        Verdict::Handoff(worker) => format!("hand to worker {worker}"),
        Verdict::Local => "local".to_owned(),
        Verdict::Consume => "consume".to_owned(),
        Verdict::Drop(reason) => format!("drop {}", reason.name()),
    }
}

fn network(meta: &Meta) -> String {
    match meta.headers.network {
        Network::Ipv4 => "ipv4".to_owned(),
        Network::Ipv6 => "ipv6".to_owned(),
        Network::Arp => "arp".to_owned(),
        Network::Lldp => "lldp".to_owned(),
        Network::Stp => "stp".to_owned(),
        Network::Other => format!("{:#06x}", meta.headers.ethertype),
    }
}

fn vlans(vlans: Vlans) -> Vec<u16> {
    vlans.ids.into_iter().take(vlans.count.into()).collect()
}

fn flags(bits: u8) -> String {
    let names = [
        (tcp_flags::SYN, "SYN"),
        (tcp_flags::FIN, "FIN"),
        (tcp_flags::RST, "RST"),
        (tcp_flags::PSH, "PSH"),
        (tcp_flags::ACK, "ACK"),
        (tcp_flags::URG, "URG"),
        (tcp_flags::ECE, "ECE"),
        (tcp_flags::CWR, "CWR"),
    ];
    let set = names.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| name);
    set.collect::<Vec<_>>().join(",")
}

/// RFC 3339 in UTC, to the microsecond.
pub(super) fn time(time: clock::Timestamp) -> String {
    let exact = Timestamp::from_nanosecond(time.as_nanos().into()).unwrap_or_default();
    exact.round(Unit::Microsecond).unwrap_or(exact).to_string()
}
