//! Policy with real packets: a flow's first packet goes through `ravelin replay`, and the record that comes out says what
//! happened, in the same words in which the oracle says what must.
//!
//! Resources reach the program as the TOML that they serialise to, so this also holds the configuration file against them.
//! Read next: `tests/conformance.rs`.

use crate::{
    binary,
    generate::ZONES,
    oracle::{Flow, Settings, Verdict},
    packets::{Capture, End, Tcp, datagram, echo, ip},
    process::run,
    topology::Folder,
};
use etherparse::IpNumber;
use ravelin_config::{resources::Resources, types::Protocol};
use serde_json::Value;
use std::{
    collections::HashMap,
    fmt::Write,
    fs,
    net::{IpAddr, SocketAddr},
    process::Command,
};

/// What the program says about a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What happened.
    pub verdict: Verdict,
    /// The steps to that: the source's, then the destination's.
    pub enforced: Vec<String>,
    /// What would have happened with every staged policy.
    pub pending_verdict: Verdict,
    /// The steps to that.
    pub pending: Vec<String>,
}

/// Whether a flow can be made of one packet that is not malformed: port 0 is, and so is an ICMP error that quotes nothing.
pub fn has_packet(flow: &Flow) -> bool {
    match flow.protocol {
        Protocol::ICMP => flow.source.is_ipv4() && flow.icmp == (8, 0),
        Protocol::ICMPV6 => flow.source.is_ipv6() && flow.icmp == (128, 0),
        protocol => !protocol.has_ports() || (flow.source_port > 0 && flow.destination_port > 0),
    }
}

/// The packet that opens a flow.
fn packet(flow: &Flow, capture: &mut Capture) {
    let from = End { mac: [2, 0, 0, 0, 1, 1], ip: flow.source, port: flow.source_port };
    let to = End { mac: [2, 0, 0, 0, 2, 1], ip: flow.destination, port: flow.destination_port };
    match flow.protocol {
        Protocol::TCP => {
            Tcp::new(from, to).client(capture, "S", 0);
        }
        Protocol::UDP => {
            capture.push(&datagram(from, to, b"hello"));
        }
        Protocol::SCTP => {
            // INIT, RFC 9260 section 3.3.2, without a checksum.
            let ports = [from.port, to.port].map(u16::to_be_bytes).concat();
            let init = [1, 0, 0, 20, 0, 0, 0, 7, 0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 1];
            capture.push(&ip(from, to, IpNumber::SCTP, &[&ports[..], &[0; 8], &init].concat()));
        }
        Protocol::ICMP | Protocol::ICMPV6 => {
            capture.push(&echo(from, to, 1, 1, false));
        }
        Protocol(number) => {
            capture.push(&ip(from, to, IpNumber(number), &[0; 32]));
        }
    }
}

/// The same with the networks that files hold written out, since the files are not there.
fn written_out(resources: &Resources) -> Resources {
    let mut resources = resources.clone();
    for set in &mut resources.network_sets {
        if let Some(nets) = set.nets_file.take().and_then(|file| resources.nets_files.remove(&file)) {
            set.nets.extend(nets.iter());
        }
    }
    resources
}

/// The configuration file of resources and settings.
pub fn config(resources: &Resources, settings: &Settings) -> String {
    let mut text = String::from("[enforcement]\n");
    let unknown = match settings.unknown {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
        Verdict::Reject => "reject",
    };
    let _ = writeln!(text, "unknown = \"{unknown}\"");
    for (key, list) in [("failsafe_inbound", &settings.inbound), ("failsafe_outbound", &settings.outbound)] {
        let list: Vec<String> = list.iter().map(|failsafe| format!("{:?}", failsafe.to_string())).collect();
        let _ = writeln!(text, "{key} = [{}]", list.join(", "));
    }
    // Rules may only name zones in which there are interfaces.
    let text = zones(resources).iter().fold(text, |text, zone| {
        format!("{text}[[interface]]\nname = \"at-{zone}\"\nmode = \"monitor\"\nzone = \"{zone}\"\n")
    });
    text + "\n" + &toml::to_string(&written_out(resources)).expect("resources are TOML")
}

/// The zones, if any rule asks for one.
fn zones(resources: &Resources) -> &'static [&'static str] {
    let policies = resources.policies.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress));
    let profiles =
        resources.profiles.iter().flat_map(|profile| profile.ingress.iter().chain(&profile.egress));
    let mut entities = policies.chain(profiles).flat_map(|rule| [&rule.source, &rule.destination]);
    let asks = entities.any(|entity| !entity.zones.is_empty() || !entity.not_zones.is_empty());
    if asks { &ZONES } else { &[] }
}

/// A bridge that flows cross from one zone to another, if any rule asks for one.
fn bridge(resources: &Resources, between: [Option<&str>; 2]) -> String {
    if zones(resources).is_empty() {
        // A replay has one then.
        return String::new();
    }
    let port = |(name, zone): (&str, Option<&str>)| {
        Some(format!("[[interface]]\nname = \"{name}\"\nzone = \"{}\"\n", zone?))
    };
    let ports: String = ["out0", "in0"].into_iter().zip(between).filter_map(port).collect();
    format!("\n[[bridge]]\nname = \"edge\"\nports = [\"out0\", \"in0\"]\n{ports}")
}

/// What the program says of each flow. No two flows may have the same ends, protocol and ports, whichever opens; all pass between
/// the same zones.
///
/// # Panics
/// If a flow has no record, or more than one.
pub fn replay(resources: &Resources, settings: &Settings, flows: &[Flow]) -> Vec<Seen> {
    let folder = Folder::new();
    let file = |name: &str| folder.0.join(name);
    let mut capture = Capture::new();
    flows.iter().for_each(|flow| packet(flow, &mut capture));
    fs::write(file("input.pcap"), capture.to_pcap()).expect("the folder is writable");
    let between = flows.first().map_or([None; 2], |flow| flow.zones);
    assert!(flows.iter().all(|flow| flow.zones == between), "all come in at one port");
    let config = config(resources, settings) + &bridge(resources, between);
    fs::write(file("config.toml"), config).expect("the folder is writable");
    let mut command = Command::new(binary::ravelin());
    command.arg("replay").arg(file("input.pcap")).arg("-c").arg(file("config.toml"));
    run(command.arg("--records").arg(file("records.jsonl")));
    let records = fs::read_to_string(file("records.jsonl")).expect("replay writes records");
    let mut seen: HashMap<Ends, Seen> = HashMap::new();
    for line in records.lines() {
        let record: Value = serde_json::from_str(line).expect("records are JSON");
        if record["event_type"] == "flow" {
            let before = seen.insert(Ends::of_record(&record), verdict_of(&record));
            assert!(before.is_none(), "two records of one flow: {line}");
        }
    }
    let record = |flow: &Flow| {
        let seen = seen.remove(&Ends::of(flow));
        seen.unwrap_or_else(|| panic!("{flow:?} has no record in\n{records}"))
    };
    flows.iter().map(record).collect()
}

/// What a flow is known by in its record.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Ends(String, SocketAddr, SocketAddr);

impl Ends {
    fn of(flow: &Flow) -> Self {
        let protocol = match flow.protocol {
            Protocol::ICMPV6 => "IPv6-ICMP".to_owned(),
            other => other.to_string().to_uppercase(),
        };
        let (source, destination) = (flow.source, flow.destination);
        Self(
            protocol,
            SocketAddr::new(source, flow.source_port),
            SocketAddr::new(destination, flow.destination_port),
        )
    }

    fn of_record(record: &Value) -> Self {
        let end = |ip: &str, port: &str| {
            let ip: IpAddr = record[ip].as_str().and_then(|ip| ip.parse().ok()).expect("an address");
            let port = record[port].as_u64().unwrap_or(0);
            SocketAddr::new(ip, u16::try_from(port).expect("a port"))
        };
        let protocol = record["proto"].as_str().expect("a protocol").to_owned();
        Self(protocol, end("src_ip", "src_port"), end("dest_ip", "dest_port"))
    }
}

fn verdict_of(record: &Value) -> Seen {
    let ours = &record["ravelin"];
    Seen {
        verdict: verdict(&ours["verdict"]),
        enforced: lines(&ours["policies"]["enforced"]),
        pending_verdict: verdict(&ours["policies"]["pending_verdict"]),
        pending: lines(&ours["policies"]["pending"]),
    }
}

/// A verdict as the program writes it.
pub(crate) fn verdict(value: &Value) -> Verdict {
    match value.as_str() {
        Some("allow") => Verdict::Allow,
        Some("deny") => Verdict::Deny,
        Some("reject") => Verdict::Reject,
        _ => panic!("no verdict: {value}"),
    }
}

/// A trace as the program writes it.
pub(crate) fn lines(value: &Value) -> Vec<String> {
    let lines = value.as_array().unwrap_or_else(|| panic!("no trace: {value}"));
    lines.iter().map(|line| line.as_str().expect("a text").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        generate::{World, bytes},
        vectors,
    };

    fn assert_is_accepted(resources: &Resources, settings: &Settings) {
        let text = config(resources, settings);
        let loaded =
            ravelin_config::parse(&text, "world.toml").unwrap_or_else(|report| panic!("{report}\n{text}"));
        assert_eq!(loaded.config.resources, written_out(resources), "{text}");
    }

    #[test]
    fn vectors_are_configurations() {
        vectors::all().iter().for_each(|vector| assert_is_accepted(&vector.resources, &vector.settings));
    }

    #[test]
    fn random_worlds_are_configurations() {
        for seed in 0..500 {
            let world = World::from_bytes(&bytes(seed, World::BYTES));
            assert_is_accepted(&world.resources, &world.settings);
        }
    }
}
