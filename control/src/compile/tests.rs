use std::time::Duration;

use ravelin_config::{Config, types::*};
use ravelin_dataplane::{
    flow::{Evict, FlowSettings, Midstream, Timeouts},
    forward::{NonIp, Port},
    io::PortId,
    parse::FragmentSettings,
    policy::RuleId,
    snapshot::Snapshot,
};

use super::*;

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

[policy]
default = "deny"

[[rule]]
name = "web"
action = "allow"
direction = "egress"
protocol = "tcp"
source = ["10.0.0.0/8"]
destination_ports = [80, "8000-8999"]

[[rule]]
name = "rest"
action = "deny"

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

fn config(text: &str) -> Config {
    ravelin_config::parse(text, "test.toml").unwrap_or_else(|report| panic!("{report}")).config
}

fn compile(text: &str, names: &mut RuleNames) -> (Ports, Snapshot) {
    let config = config(text);
    let ports = Ports::unlimited(&config).unwrap();
    let snapshot = snapshot(&config, &ports, names).unwrap();
    (ports, snapshot)
}

fn rule_name(text: &str) -> RuleName {
    text.parse().unwrap()
}

#[test]
fn every_setting_arrives() {
    let (_, snapshot) = compile(FULL, &mut RuleNames::new());
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
    assert_eq!(snapshot.policy.default, Action::Deny);
    assert_eq!(snapshot.policy.rules.len(), 2);
    let web = &snapshot.policy.rules[0];
    assert_eq!((web.id, web.action), (RuleId(1), Action::Allow));
    assert_eq!(web.direction, Some(Direction::Egress));
    assert_eq!(web.protocol, Some(Protocol::TCP));
    assert_eq!(web.source, ["10.0.0.0/8".parse().unwrap()]);
    assert!(web.destination.is_empty() && web.source_ports.is_empty());
    assert_eq!(web.destination_ports, ["80".parse().unwrap(), "8000-8999".parse().unwrap()]);
}

#[test]
fn the_first_port_of_a_bridge_is_its_outside() {
    let (ports, snapshot) = compile(FULL, &mut RuleNames::new());
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
    let snapshot = snapshot(&config, &ports, &mut RuleNames::new()).unwrap();
    let Some(Port::Bridge { mtu, complete_checksums, .. }) =
        snapshot.forward.port(ports.id(&"out0".parse().unwrap()).unwrap())
    else {
        panic!("out0 is a port of a bridge")
    };
    assert_eq!((*mtu, *complete_checksums), (1500, true));
}

#[test]
fn a_rule_keeps_its_number_over_reloads() {
    let mut names = RuleNames::new();
    let mut reader = names.reader();
    let numbers =
        |snapshot: &Snapshot| snapshot.policy.rules.iter().map(|rule| rule.id.0).collect::<Vec<_>>();
    let rules = |list: &[&str]| {
        list.iter()
            .map(|name| format!("[[rule]]\nname = \"{name}\"\naction = \"deny\"\nprotocol = \"udp\"\n"))
            .collect::<String>()
    };
    assert_eq!(numbers(&compile(&rules(&["a", "b"]), &mut names).1), [1, 2]);
    assert_eq!(reader.name(RuleId(2)), Some(&rule_name("b")));
    assert_eq!(numbers(&compile(&rules(&["c", "b"]), &mut names).1), [3, 2]);
    assert_eq!(numbers(&compile(&rules(&["a"]), &mut names).1), [1]);
    assert_eq!(reader.name(RuleId(3)), Some(&rule_name("c")));
    assert_eq!(reader.name(RuleId(1)), Some(&rule_name("a")));
    assert_eq!(reader.name(RuleId::NONE), None);
    assert_eq!(reader.name(RuleId(4)), None);
}

#[test]
fn the_last_rule_number_is_65535() {
    let mut names = RuleNames::new();
    for number in 1..=u16::MAX {
        assert_eq!(names.intern(&rule_name(&format!("rule {number}"))), Ok(RuleId(number)));
    }
    let rule = rule_name("one more");
    assert_eq!(names.intern(&rule), Err(CompileError::RuleNamesExhausted { rule: rule.clone() }));
    assert_eq!(names.intern(&rule_name("rule 7")), Ok(RuleId(7)));
}

#[test]
fn an_interface_that_was_not_there_at_start_is_refused() {
    let ports = Ports::unlimited(&config("[[interface]]\nname = \"a\"\nmode = \"monitor\"")).unwrap();
    let later = config("[[bridge]]\nname = \"x\"\nports = [\"a\", \"b\"]");
    let error = snapshot(&later, &ports, &mut RuleNames::new()).unwrap_err();
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
