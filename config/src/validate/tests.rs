use crate::{ChecksumMode, Code, Config, InterfaceMode, Report, parse};

/// What is found in `text`: code, line and column.
fn found(text: &str) -> Vec<(Code, usize, usize)> {
    let report = parse(text, "t.toml").map_or_else(|report| report, |loaded| loaded.warnings);
    places(&report)
}

fn places(report: &Report) -> Vec<(Code, usize, usize)> {
    let place = |it: &crate::Diagnostic| it.span.as_ref().map_or((0, 0), |span| (span.line, span.column));
    report.diagnostics().iter().map(|it| (it.code, place(it).0, place(it).1)).collect()
}

fn config(text: &str) -> Config {
    parse(text, "t.toml").unwrap_or_else(|report| panic!("{report}")).config
}

/// A file of rules, each given by its keys; names are `r0`, `r1` and so on, in line 2, 6, 10 and so on.
fn rules(rules: &[&str]) -> String {
    let rule =
        |(index, keys): (usize, &&str)| format!("[[rule]]\nname = \"r{index}\"\naction = \"deny\"\n{keys}\n");
    rules.iter().enumerate().map(rule).collect()
}

#[test]
fn interfaces_are_complete_and_in_order() {
    let config = config(
        "[[bridge]]\nname = 'a'\nports = ['o', 'i']\n\
         [[interface]]\nname = 'm'\nmode = 'monitor'\n\
         [[interface]]\nname = 'i'\nchecksum = 'keep'\n\
         [[bridge]]\nname = 'b'\nports = ['p', 'q']\n",
    );
    let interfaces: Vec<_> =
        config.interfaces.iter().map(|it| (it.name.as_str(), it.mode, it.checksum, it.bridge)).collect();
    let expected = [
        ("m", InterfaceMode::Monitor, ChecksumMode::Auto, None),
        ("i", InterfaceMode::Bridge, ChecksumMode::Keep, Some(0)),
        ("o", InterfaceMode::Bridge, ChecksumMode::Auto, Some(0)),
        ("p", InterfaceMode::Bridge, ChecksumMode::Auto, Some(1)),
        ("q", InterfaceMode::Bridge, ChecksumMode::Auto, Some(1)),
    ];
    assert_eq!(interfaces, expected);
    assert_eq!(config.bridges[1].ports.each_ref().map(|port| port.as_str()), ["p", "q"]);
}

#[test]
fn an_interface_is_declared_once() {
    let text = "[[interface]]\nname = 'm'\nmode = 'monitor'\n[[interface]]\nname = 'm'\nmode = 'monitor'\n";
    assert_eq!(found(text), [(Code::DuplicateName, 5, 8)]);
}

#[test]
fn an_interface_is_a_port_once() {
    let text = "[[bridge]]\nname = 'a'\nports = ['x', 'x']\n";
    assert_eq!(found(text), [(Code::PortTaken, 3, 15)]);
    let text = "[[bridge]]\nname = 'a'\nports = ['x', 'y']\n[[bridge]]\nname = 'b'\nports = ['y', 'z']\n";
    assert_eq!(found(text), [(Code::PortTaken, 6, 10)]);
    let message = &parse(text, "t").unwrap_err().diagnostics()[0].clone();
    assert_eq!(message.message, "the interface `y` is a port of bridge `a` already");
    assert_eq!(message.help.as_deref(), Some("the first use is at t:3:15"));
}

#[test]
fn a_bridge_has_two_ports_and_a_name_of_its_own() {
    for ports in ["[]", "['x']", "['x', 'y', 'z']"] {
        assert_eq!(found(&format!("[[bridge]]\nname = 'a'\nports = {ports}")), [(Code::BridgePorts, 3, 9)]);
    }
    let text = "[[bridge]]\nname = 'a'\nports = ['x', 'y']\n[[bridge]]\nname = 'a'\nports = ['v', 'w']\n";
    assert_eq!(found(text), [(Code::DuplicateName, 5, 8)]);
}

#[test]
fn an_interface_is_a_port_or_a_monitor() {
    let text = "[[interface]]\nname = 'x'\nmode = 'monitor'\n[[bridge]]\nname = 'a'\nports = ['x', 'y']\n";
    assert_eq!(found(text), [(Code::MonitorPort, 6, 10)]);
    assert_eq!(found("[[interface]]\nname = 'x'"), [(Code::UnusedInterface, 2, 8)]);
    // Which ports the bridge has is not known, so nothing is said of the interface.
    let text = "[[interface]]\nname = 'x'\n[[bridge]]\nname = 'a'\nports = ['x', 'a/b']\n";
    assert_eq!(found(text), [(Code::Malformed, 5, 15)]);
}

#[test]
fn there_is_something_to_run() {
    let report = Config::default().check_runnable().unwrap_err();
    assert_eq!(places(&report), [(Code::NothingToRun, 0, 0)]);
    config("[[bridge]]\nname = 'a'\nports = ['x', 'y']").check_runnable().unwrap();
    config("[[interface]]\nname = 'a'\nmode = 'monitor'").check_runnable().unwrap();
}

#[test]
fn rules_have_different_names() {
    let text = "[[rule]]\nname = 'a'\naction = 'deny'\nprotocol = 1\n[[rule]]\nname = 'a'\naction = 'deny'\n";
    assert_eq!(found(text), [(Code::DuplicateName, 6, 8)]);
}

#[test]
fn rules_are_read_as_written() {
    let config = config(
        "[[rule]]\nname = 'dns'\naction = 'allow'\ndirection = 'egress'\nprotocol = 'udp'\nsource = ['10.0.0.0/8']\n\
         destination = ['192.0.2.1', '2001:db8::/32']\nsource_ports = ['1024-65535']\ndestination_ports = [53, '853']\n",
    );
    let json = serde_json::json!([{
        "name": "dns", "action": "allow", "direction": "egress", "protocol": "udp",
        "source": ["10.0.0.0/8"], "destination": ["192.0.2.1/32", "2001:db8::/32"],
        "source_ports": ["1024-65535"], "destination_ports": ["53", "853"],
    }]);
    assert_eq!(serde_json::to_value(&config.rules).unwrap(), json);
}

#[test]
fn ports_need_a_protocol_that_has_them() {
    assert_eq!(found(&rules(&["source_ports = [1]"])), [(Code::PortsWithoutProtocol, 4, 16)]);
    let both = rules(&["protocol = 'icmp'\nsource_ports = [1]\ndestination_ports = [2]"]);
    assert_eq!(found(&both), [(Code::PortsWithoutProtocol, 5, 16), (Code::PortsWithoutProtocol, 6, 21)]);
    for protocol in ["'tcp'", "'udp'", "'sctp'", "17"] {
        assert_eq!(found(&rules(&[&format!("protocol = {protocol}\nsource_ports = [1]")])), []);
    }
    // The protocol is wrong, so whether it has ports is not known.
    assert_eq!(found(&rules(&["protocol = 'tpc'\nsource_ports = [1]"])), [(Code::Malformed, 4, 12)]);
}

#[test]
fn source_and_destination_have_a_family_in_common() {
    let text = rules(&["source = ['10.0.0.0/8']\ndestination = ['2001:db8::/32']"]);
    assert_eq!(found(&text), [(Code::MixedFamilies, 5, 15)]);
    let text = rules(&["source = ['10.0.0.0/8', '::/0']\ndestination = ['2001:db8::/32']"]);
    assert_eq!(found(&text), []);
}

#[test]
fn icmp_goes_with_its_family() {
    assert_eq!(found(&rules(&["protocol = 'icmp'\nsource = ['::/0']"])), [(Code::IcmpFamily, 4, 12)]);
    assert_eq!(found(&rules(&["protocol = 58\ndestination = ['10.0.0.1']"])), [(Code::IcmpFamily, 4, 12)]);
    assert_eq!(found(&rules(&["protocol = 'icmp'\nsource = ['10.0.0.0/8', '::/0']"])), []);
    assert_eq!(found(&rules(&["protocol = 'icmpv6'\nsource = ['::/0']", "protocol = 'icmp'"])), []);
}

#[test]
fn host_bits_are_masked_with_a_warning() {
    let text = rules(&["source = ['10.1.2.3/8', '2001:db8::1/32', '10.0.0.1']"]);
    assert_eq!(found(&text), [(Code::HostBits, 4, 11), (Code::HostBits, 4, 25)]);
    let source: Vec<_> = config(&text).rules[0].source.iter().map(ToString::to_string).collect();
    assert_eq!(source, ["10.0.0.0/8", "2001:db8::/32", "10.0.0.1/32"]);
}

#[test]
fn a_rule_behind_one_that_covers_it_is_reported() {
    let covering = [
        ("", "protocol = 'tcp'"),
        ("", ""),
        ("", "direction = 'ingress'"),
        ("direction = 'ingress'", "direction = 'ingress'\nprotocol = 1"),
        ("source = ['10.0.0.0/8']", "source = ['10.1.0.0/16', '10.2.3.4']"),
        ("source = ['10.0.0.0/9', '10.128.0.0/9']", "source = ['10.0.0.0/8']"),
        ("destination = ['0.0.0.0/0', '::/0']", ""),
        ("destination = ['0.0.0.0/0']", "source = ['0.0.0.0/0']\ndestination = ['192.0.2.0/24']"),
        (
            "protocol = 'tcp'\nsource_ports = ['1-10', '11-20']",
            "protocol = 'tcp'\nsource_ports = ['5-15', 20]",
        ),
        ("protocol = 'tcp'\nsource_ports = ['0-65535']", "protocol = 'tcp'"),
        ("protocol = 'tcp'", "protocol = 6\ndestination_ports = [80]"),
    ];
    for (first, second) in covering {
        let text = rules(&[first, second]);
        let line = text.lines().position(|line| line.contains("r1")).unwrap() + 1;
        assert_eq!(found(&text), [(Code::Shadowed, line, 8)], "\n{text}");
    }
    let apart = [
        ("protocol = 'tcp'", ""),
        ("direction = 'ingress'", ""),
        ("direction = 'ingress'", "direction = 'egress'"),
        ("source = ['10.0.0.0/8']", ""),
        ("source = ['10.0.0.0/8']", "source = ['10.1.0.0/16', '11.0.0.0/8']"),
        ("source = ['10.0.0.0/8']", "destination = ['10.0.0.0/8']"),
        ("source = ['10.0.0.0/8']", "source = ['::/0']"),
        ("destination = ['0.0.0.0/0']", ""),
        ("protocol = 'tcp'\nsource_ports = ['1-10', '12-20']", "protocol = 'tcp'\nsource_ports = ['5-15']"),
        ("protocol = 'tcp'\nsource_ports = [80]", "protocol = 'tcp'"),
        ("protocol = 'udp'", "protocol = 'tcp'"),
    ];
    for (first, second) in apart {
        let text = rules(&[first, second]);
        assert_eq!(found(&text), [], "\n{text}");
    }
}

#[test]
fn the_first_covering_rule_is_named_with_what_to_do() {
    let text = "[[rule]]\nname = 'all'\naction = 'allow'\n[[rule]]\nname = 'web'\naction = 'deny'\nprotocol = 'tcp'\n";
    let warning = parse(text, "t").unwrap().warnings.diagnostics()[0].clone();
    assert_eq!(warning.message, "rule `web` never decides: `all` matches all that it matches");
    assert_eq!(warning.help.as_deref(), Some("`all` is at t:2:8: put the narrower rule first"));
}
