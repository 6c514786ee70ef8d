use crate::{ChecksumMode, Code, Config, InterfaceMode, Report, parse, types::MssClamp};

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
fn segments_are_clamped_where_packets_are_routed() {
    let text = |mode: &str, clamp: &str| {
        format!("[[interface]]\nname = 'x'\nmode = '{mode}'\nmss_clamp = {clamp}\n")
    };
    let read = |clamp: &str| config(&text("route", clamp)).interfaces[0].mss_clamp;
    assert_eq!(["false", "true"].map(read), [MssClamp::Off, MssClamp::Path]);
    assert_eq!(["536", "65495"].map(read), [MssClamp::Most(536), MssClamp::Most(65_495)]);
    for (clamp, code) in [
        ("535", Code::OutOfRange),
        ("65496", Code::OutOfRange),
        ("-1", Code::OutOfRange),
        ("'true'", Code::WrongType),
        ("1400.0", Code::WrongType),
    ] {
        assert_eq!(found(&text("route", clamp)), [(code, 4, 13)], "{clamp}");
    }
    assert_eq!(found(&text("monitor", "true")), [(Code::Combination, 4, 13)]);
    assert_eq!(config("[[interface]]\nname = 'x'\nmode = 'route'").interfaces[0].mss_clamp, MssClamp::Off);
}

#[test]
fn there_is_something_to_run() {
    let report = Config::default().check_runnable().unwrap_err();
    assert_eq!(places(&report), [(Code::NothingToRun, 0, 0)]);
    config("[[bridge]]\nname = 'a'\nports = ['x', 'y']").check_runnable().unwrap();
    config("[[interface]]\nname = 'a'\nmode = 'monitor'").check_runnable().unwrap();
}

#[test]
fn host_bits_are_masked_with_a_warning() {
    let text = "[[network_set]]\nname = 'a'\nnets = ['10.1.2.3/8', '2001:db8::1/32', '10.0.0.1']";
    assert_eq!(found(text), [(Code::HostBits, 3, 9), (Code::HostBits, 3, 23)]);
    let nets: Vec<_> = config(text).resources.network_sets[0].nets.iter().map(ToString::to_string).collect();
    assert_eq!(nets, ["10.0.0.0/8", "2001:db8::/32", "10.0.0.1/32"]);
}
