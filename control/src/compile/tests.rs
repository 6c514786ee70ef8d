use std::time::Duration;

use ravelin_config::{Config, types::*};
use ravelin_dataplane::{
    clock::Timestamp,
    flow::{Evict, FlowSettings, Midstream, Timeouts},
    forward::{NonIp, Port},
    io::PortId,
    parse::FragmentSettings,
    policy::{Decision, Key, RuleId},
    snapshot::Snapshot,
    verdict::DropReason,
};

use super::*;
use crate::{
    feeds::Library,
    policy::{BookReader, Engine},
};

const FULL: &str = r#"
[[interface]]
name = "mirror"
mode = "monitor"

[[interface]]
name = "in0"
checksum = "complete"

[[bridge]]
name = "edge"
ports = ["out0", "in0"]
arp = "drop"
nd = "judge"
stp = "drop"

[enforcement]
unknown = "deny"
reject_rate = 7

[[endpoint]]
name = "clients"
addresses = ["10.0.0.0/8"]

[[policy]]
name = "web"

[[policy.egress]]
action = "allow"
protocol = "tcp"
destination.ports = [80, "8000-8999"]

[flow]
capacity = 100001
full = "forward"
evict = "none"
midstream = "drop"

[flow.timeouts]
tcp_syn = "1s"
tcp_established = "2s"
tcp_closing = "3s"
tcp_closed = "4s"
udp_new = "5s"
udp_established = "6s"
icmp = "7s"
other_new = "8s"
other_established = "9s"

[fragments]
capacity = 99
timeout = "10s"
full = "forward"
"#;

fn engine() -> Engine {
    Engine::of(&Config::default(), &Library::default()).unwrap()
}

fn config(text: &str) -> Config {
    ravelin_config::parse(text, "test.toml").unwrap_or_else(|report| panic!("{report}")).config
}

fn compile(text: &str, engine: &mut Engine) -> (Ports, Snapshot) {
    let config = config(text);
    let ports = Ports::unlimited(&config).unwrap();
    engine.replace_with(&config, &Library::default()).unwrap();
    let snapshot = snapshot(&config, &ports, engine.policy().clone()).unwrap();
    (ports, snapshot)
}

/// What is decided about a TCP connection.
fn decision(snapshot: &Snapshot, source: [u8; 4], port: u16) -> Decision {
    let [source, destination] = [source, [192, 0, 2, 1]].map(Into::into);
    let key = Key {
        source,
        destination,
        protocol: Protocol::TCP,
        source_port: 40_000,
        destination_port: port,
        zones: Key::NO_ZONES,
    };
    snapshot.policy.judge(&key).decision()
}

#[test]
fn every_setting_arrives() {
    let (_, snapshot) = compile(FULL, &mut engine());
    let seconds = Duration::from_secs;
    assert_eq!(
        snapshot.flow,
        FlowSettings {
            full: Exception::Forward,
            evict: Evict::Expired,
            midstream: Midstream::Drop,
            timeouts: Timeouts {
                tcp_syn: seconds(1),
                tcp_established: seconds(2),
                tcp_closing: seconds(3),
                tcp_closed: seconds(4),
                udp_new: seconds(5),
                udp_established: seconds(6),
                icmp: seconds(7),
                other_new: seconds(8),
                other_established: seconds(9),
            },
        }
    );
    assert_eq!(snapshot.fragments, FragmentSettings { timeout: seconds(10), full: Exception::Forward });
    let client = [10, 1, 2, 3];
    for (source, port, action, reason) in [
        (client, 80, Action::Allow, None),
        (client, 8500, Action::Allow, None),
        (client, 81, Action::Deny, Some(DropReason::DefaultDeny)),
        ([11, 0, 0, 1], 80, Action::Deny, Some(DropReason::UnknownDeny)),
    ] {
        let decision = decision(&snapshot, source, port);
        assert_eq!((decision.action, decision.reason), (action, reason), "{source:?} {port}");
    }
    let answers = &snapshot.policy.answers;
    let answered = (0..100).filter(|_| answers.take(Timestamp::from_micros(1))).count();
    assert_eq!(answered, 7);
}

#[test]
fn the_first_port_of_a_bridge_is_its_outside() {
    let (ports, snapshot) = compile(FULL, &mut engine());
    let id = |name: &str| ports.id(&name.parse().unwrap()).unwrap();
    let (outside, inside, mirror) = (id("out0"), id("in0"), id("mirror"));
    assert_eq!(ports.iter().map(|(id, ..)| id).collect::<Vec<_>>(), [PortId(0), PortId(1), PortId(2)]);
    assert_eq!(ports.name(mirror).unwrap().as_str(), "mirror");
    assert_eq!(ports.name(PortId(3)), None);
    assert_eq!(snapshot.forward.direction(outside), Some(Direction::Ingress));
    assert_eq!(snapshot.forward.twin(outside), Some(inside));
    assert_eq!(snapshot.forward.direction(inside), Some(Direction::Egress));
    assert_eq!(snapshot.forward.twin(inside), Some(outside));
    assert_eq!(snapshot.forward.port(mirror), Some(&Port::Monitor));
    let Some(Port::Bridge { non_ip, complete_checksums, .. }) = snapshot.forward.port(inside) else {
        panic!("in0 is a port of a bridge")
    };
    assert_eq!(
        *non_ip,
        NonIp { arp: false, neighbour_discovery: false, lldp: true, stp: false, unknown: true }
    );
    assert!(complete_checksums);
}

#[test]
fn facts_of_the_system_reach_the_plan() {
    let config = config(FULL);
    let ports = Ports::new(&config, |interface| PortFacts {
        mtu: if interface.name.as_str() == "out0" { 1500 } else { 9000 },
        partial_checksums: interface.name.as_str() == "out0",
    })
    .unwrap();
    let snapshot = snapshot(&config, &ports, ravelin_dataplane::policy::PolicySet::default()).unwrap();
    let Some(Port::Bridge { mtu, complete_checksums, .. }) =
        snapshot.forward.port(ports.id(&"out0".parse().unwrap()).unwrap())
    else {
        panic!("out0 is a port of a bridge")
    };
    assert_eq!((*mtu, *complete_checksums), (1500, true));
}

#[test]
fn a_rule_keeps_its_number_over_reloads() {
    let mut engine = engine();
    let mut reader = engine.book();
    let policy = |name: &str, port: u16| {
        format!(
            "[[policy]]\nname = \"{name}\"\n[[policy.egress]]\naction = \"allow\"\nprotocol = \"tcp\"\n\
             destination.ports = [{port}]\n"
        )
    };
    let endpoint = "[[endpoint]]\nname = \"e\"\naddresses = [\"10.0.0.0/8\"]\n";
    let mut decider = |policies: &[(&str, u16)], port| {
        let policies: String = policies.iter().map(|(name, port)| policy(name, *port)).collect();
        let (_, snapshot) = compile(&format!("{endpoint}{policies}"), &mut engine);
        *decision(&snapshot, [10, 0, 0, 1], port).egress.rules().last().unwrap()
    };
    let name = |rule, reader: &mut BookReader| {
        let named = reader.rule(rule).unwrap();
        format!("{} {}", named.block.policy, named.number())
    };
    let [a, b] = [1, 2].map(|port| decider(&[("a", 1), ("b", 2)], port));
    assert_ne!(a, b);
    assert_eq!((name(a, &mut reader), name(b, &mut reader)), ("default.a 0".into(), "default.b 0".into()));
    assert_eq!(decider(&[("c", 1), ("b", 2)], 2), b);
    let c = decider(&[("c", 1), ("b", 2)], 1);
    assert!(c != a && c != b);
    assert_eq!(decider(&[("a", 1)], 1), a, "it was away for a while");
    assert_eq!(name(c, &mut reader), "default.c 0");
    assert_eq!(name(decider(&[("a", 1)], 7), &mut reader), "default.a -1");
    assert_eq!(reader.rule(RuleId(0)), None);
    assert_eq!(reader.rule(RuleId(u32::MAX)), None);
}

#[test]
fn an_interface_that_was_not_there_at_start_is_refused() {
    let ports = Ports::unlimited(&config("[[interface]]\nname = \"a\"\nmode = \"monitor\"")).unwrap();
    let later = config("[[bridge]]\nname = \"x\"\nports = [\"a\", \"b\"]");
    let error = snapshot(&later, &ports, ravelin_dataplane::policy::PolicySet::default()).unwrap_err();
    assert_eq!(error, CompileError::UnknownInterface { interface: "b".parse().unwrap() });
}

#[test]
fn more_interfaces_than_numbers_are_refused() {
    let text: String =
        (0..65).map(|n| format!("[[interface]]\nname = \"eth{n}\"\nmode = \"monitor\"\n")).collect();
    assert_eq!(Ports::unlimited(&config(&text)), Err(CompileError::TooManyInterfaces { interfaces: 65 }));
}

#[test]
fn tables_are_divided_over_workers() {
    let config = config(FULL);
    assert_eq!(TableSizes::per_worker(&config, 2), TableSizes { flows: 50_001, fragments: 99 });
    assert_eq!(TableSizes::per_worker(&config, 1), TableSizes { flows: 100_001, fragments: 99 });
}
