use super::{policy, tables};
use crate::api::view::{
    Counter, CutFlows, CutOne, Decided, Drop, Flow, Flows, Interface, LastReload, Link, LinkState,
    ReceiveThreads, RuleUse, StagedFlows, StagedGroup, Statistic, Status, Used, Worker,
};

/// Lines without the space at their ends, which a table may or may not have.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).collect()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn drops_are_those_that_happened_with_their_meaning() {
    let drop = |reason: &str, packets| Drop {
        reason: reason.to_owned(),
        group: "policy".to_owned(),
        packets,
        help: "A rule denies the flow.".to_owned(),
    };
    let now = [drop("rule_deny", 30), drop("default_deny", 0)];
    let text = tables::drops(&now, None, false);
    let shown = lines(&text);
    assert_eq!(words(shown[0]), ["reason", "step", "packets", "meaning"]);
    assert_eq!(words(shown[2])[..3], ["rule_deny", "policy", "30"]);
    assert_eq!(shown.len(), 3);
    assert!(tables::drops(&now, None, true).contains("default_deny"));
    assert_eq!(tables::drops(&now[1..], None, false), "nothing was dropped");

    let before = vec![drop("rule_deny", 10), drop("default_deny", 0)];
    let text = tables::drops(&now, Some((&before, 2.0)), false);
    assert!(lines(&text)[2].contains("10/s"), "{text}");
}

#[test]
fn counters_show_rates_of_what_only_grows() {
    let counter = |name: &str, gauge, total| Counter {
        name: name.to_owned(),
        metric: String::new(),
        unit: "packets".to_owned(),
        gauge,
        total,
        workers: vec![total],
        help: "Something counted.".to_owned(),
    };
    let before =
        vec![counter("received", false, 1000), counter("flows_active", true, 5), counter("quiet", false, 0)];
    let now =
        vec![counter("received", false, 5000), counter("flows_active", true, 9), counter("quiet", false, 0)];
    let text = tables::counters(&now, Some((&before, 2.0)), true, false);
    let shown = lines(&text);
    assert_eq!(words(shown[2]), ["received", "5000", "2.0", "k/s", "packets", "Something", "counted."]);
    assert_eq!(words(shown[3]), ["flows_active", "9", "packets", "Something", "counted."]);
    assert!(!text.contains("quiet"));
    assert!(tables::counters(&now, None, false, true).contains("quiet"));
}

#[test]
fn a_flow_shows_who_talks_to_whom_and_which_rule_decided() {
    let flow = a_flow();
    let text = tables::flows(&Flows { seen: 9, matching: 5, missing: vec![1], flows: vec![flow] });
    for part in [
        "[2001:db8::1]:40000",
        "198.51.100.1:23",
        "out0 > in0",
        "vlan 7",
        "syn_sent",
        "deny by default.no-telnet, rule 0",
        "3 / 1.5 MB >",
        "2.2s",
        "1.234 ms",
        "1 shown, 5 match, 9 in all; --limit shows more; no answer from worker 1",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let none = tables::flows(&Flows { seen: 0, matching: 0, missing: Vec::new(), flows: Vec::new() });
    assert_eq!(none, "no flow matches\n\n0 shown, 0 match, 0 in all");
}

#[test]
fn a_status_puts_what_is_wrong_in_capitals() {
    let mut status = Status {
        version: "1.2.3".to_owned(),
        pid: 77,
        started: "2026-01-01T00:00:00Z".to_owned(),
        uptime_seconds: 90,
        config: "/etc/ravelin/ravelin.toml".to_owned(),
        generation: 3,
        last_reload: LastReload {
            time: "2026-01-01T00:01:00Z".to_owned(),
            succeeded: true,
            message: "generation 3: rule[web] changed".to_owned(),
        },
        interfaces: vec![crate::api::view::InterfaceMode {
            name: "out0".to_owned(),
            state: LinkState::Up,
            mode: "generic".to_owned(),
            why: Some("the driver refuses".to_owned()),
        }],
        workers: 2,
        stalled: Vec::new(),
        flows: 10,
        flow_capacity: 1000,
        records: None,
        records_written: 0,
        records_lost: 0,
        records_failing: false,
        received_packets: 100,
        forwarded_packets: 99,
        dropped_packets: 1,
    };
    let text = tables::status(&status, None);
    for part in
        ["1m 30s", "generation 3", "out0: generic (the driver refuses)", "2, all make progress", "off"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("FAIL") && !text.contains("NO PROGRESS"));
    status.stalled = vec![1];
    status.last_reload.succeeded = false;
    status.records = Some("records.json".to_owned());
    status.records_failing = true;
    status.interfaces.iter_mut().for_each(|interface| interface.state = LinkState::NoCarrier);
    let text = tables::status(&status, Some((&status.clone(), 1.0)));
    for part in
        ["out0: NO CARRIER, generic", "NO PROGRESS: 1", "FAILED: generation 3", "WRITING FAILS", "100 (0/s)"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn interfaces_and_workers_have_a_row_each() {
    let interface = |name: &str, received_packets| Interface {
        name: name.to_owned(),
        role: "monitor".to_owned(),
        link: Link {
            driver: "veth".to_owned(),
            mode: "native".to_owned(),
            queues: 2,
            mtu: 1500,
            statistics: vec![
                Statistic { name: "lost".to_owned(), value: received_packets, help: "Gone.".to_owned() },
                Statistic { name: "never".to_owned(), value: 0, help: "Nothing.".to_owned() },
            ],
            ..Link::default()
        },
        received_packets,
        received_bytes: 64 * received_packets,
        sent_packets: 0,
        sent_bytes: 0,
        dropped_packets: 0,
    };
    let now = vec![interface("a", 2000), interface("b", 0)];
    let text = tables::interfaces(&now, None);
    assert!(
        text.contains("2000") && text.contains("128.0 kB") && text.contains("veth native, copy"),
        "{text}"
    );
    assert!(text.contains("lost") && !text.contains("never"), "{text}");
    let text = tables::interfaces(&now, Some((&vec![interface("a", 0), interface("b", 0)], 1.0)));
    assert!(text.contains("2.0 kp/s"), "{text}");

    let worker = Worker {
        id: 3,
        core: 5,
        stalled: true,
        pulse: 1,
        batches: 1,
        idle_turns: 1,
        sleeps: 1,
        received_packets: 9,
        handed_in_packets: 0,
        handed_off_packets: 0,
        forwarded_packets: 9,
        dropped_packets: 0,
        flows: 4,
    };
    let text = tables::workers(&[worker], None);
    assert_eq!(words(lines(&text)[2]), ["3", "STALLED", "9", "9", "1"]);
    assert_eq!(words(lines(&text)[3]), ["5", "0", "0", "1"]);
    assert_eq!(words(lines(&text)[4]), ["4", "0", "1"]);
}

/// A number that a busy machine reaches within a year.
const LARGE: u64 = 123_456_789_012_345;

/// Checks that a table keeps its form in 80 columns and shows `parts` whole.
fn fits_a_terminal(mut table: comfy_table::Table, parts: &[&str]) {
    table.set_width(80);
    let text = tables::fit(table);
    println!("{text}\n");
    assert!(text.contains('─'), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for part in parts.iter().chain(&["123456789012345"]) {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn workers_and_interfaces_fit_the_terminal_with_large_numbers() {
    let worker = Worker {
        id: 63,
        core: 1023,
        stalled: true,
        pulse: LARGE,
        batches: LARGE,
        idle_turns: LARGE,
        sleeps: LARGE,
        received_packets: LARGE,
        handed_in_packets: LARGE,
        handed_off_packets: LARGE,
        forwarded_packets: LARGE,
        dropped_packets: LARGE,
        flows: 1_000_000,
    };
    let workers = [worker.clone(), worker];
    fits_a_terminal(tables::worker_table(&workers, None), &["63", "1023", "STALLED", "1000000"]);

    let statistic =
        |name: &str, help: &str| Statistic { name: name.to_owned(), value: LARGE, help: help.to_owned() };
    let interface = Interface {
        name: "enp129s0f1np1v9".to_owned(),
        role: "bridge edge, outside".to_owned(),
        link: Link {
            driver: "virtio_net".to_owned(),
            state: LinkState::NoCarrier,
            mode: "generic".to_owned(),
            zero_copy: true,
            queues: 128,
            mtu: 65_535,
            receive_threads: Some(ReceiveThreads {
                cores: (0..31).chain(32..64).collect(),
                pids: vec![4_194_304],
            }),
            statistics: vec![
                statistic(
                    "xsk_transmit_invalid_descriptors",
                    "Buffers that the transmit ring named wrongly.",
                ),
                statistic("xdp_redirected_packets", "Frames that the XDP program handed to a socket."),
            ],
            ..Link::default()
        },
        received_packets: LARGE,
        received_bytes: 999 * LARGE,
        sent_packets: LARGE / 1000,
        sent_bytes: LARGE,
        dropped_packets: LARGE / 1_000_000,
    };
    let interfaces = [interface];
    let parts =
        ["enp129s0f1np1v9", "virtio_net", "generic", "zero-copy", "65535", "32-63", "CARRIER", "123.5 TB"];
    fits_a_terminal(tables::interface_table(&interfaces, None), &parts);
    let parts = ["enp129s0f1np1v9", "xsk_transmit_invalid_descriptors"];
    fits_a_terminal(tables::statistics_table(&interfaces), &parts);
}

#[test]
fn nothing_is_broken_at_any_width() {
    for (width, is_table) in [(40, false), (80, true), (120, true)] {
        let mut table = tables::table(&["from, to", "packets / bytes", "meaning"]);
        table.set_width(width);
        let cells = [
            "[2001:db8:1::1]:40000\n198.51.100.100:65535",
            "123456 / 1.5 MB >",
            "Some words that may take several lines.",
        ];
        table.add_row(cells);
        let text = tables::fit(table);
        for part in ["[2001:db8:1::1]:40000", "198.51.100.100:65535", "123456 / 1.5 MB >", "packets / bytes"]
        {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert_eq!(text.contains('─'), is_table, "{text}");
        assert!(!is_table || text.lines().all(|line| line.chars().count() <= width.into()), "{text}");
        println!("{text}\n");
    }
}

fn a_flow() -> Flow {
    Flow {
        worker: 0,
        proto: "tcp".to_owned(),
        src: "2001:db8::1".to_owned(),
        src_port: Some(40_000),
        dst: "198.51.100.1".to_owned(),
        dst_port: Some(23),
        icmp_id: None,
        vlan: vec![7],
        port_in: "out0".to_owned(),
        port_out: "in0".to_owned(),
        nat_src: None,
        nat_dst: None,
        state: "new".to_owned(),
        tcp: Some("syn_sent".to_owned()),
        decision: Decided {
            verdict: "deny".to_owned(),
            policy: Some("default.no-telnet".to_owned()),
            rule: Some(0),
            drop_reason: Some("rule_deny".to_owned()),
            enforced: vec!["0|default|default.no-telnet|deny|0".to_owned()],
            pending: vec!["0|default|default.no-telnet|deny|0".to_owned()],
            pending_verdict: "deny".to_owned(),
        },
        generation: 1,
        packets: [3, 0],
        bytes: [1_500_000, 0],
        first: String::new(),
        last: String::new(),
        age_seconds: 2.25,
        rtt_us: Some(1_234),
        srtt_us: None,
        retransmissions: [2, 0],
    }
}

#[test]
fn flows_fit_the_terminal() {
    let icmp = Flow {
        proto: "icmp".to_owned(),
        src: "10.0.0.1".to_owned(),
        src_port: None,
        dst_port: None,
        icmp_id: Some(13_607),
        vlan: Vec::new(),
        ..a_flow()
    };
    let long = "2001:db8:1111:2222:3333:4444:5555:6666".to_owned();
    let long = Flow { src: long.clone(), dst: long, ..a_flow() };
    let all = |flows| Flows { seen: 2, matching: 2, missing: Vec::new(), flows };
    let gre = Flow { proto: "gre".to_owned(), icmp_id: None, ..icmp.clone() };
    for (width, flows, is_table) in [
        (80, vec![icmp.clone(), gre], true),
        (80, vec![icmp.clone(), long.clone()], false),
        (120, vec![icmp, long], true),
    ] {
        let mut table = tables::flow_table(&all(flows));
        table.set_width(width);
        let text = tables::fit(table);
        assert!(text.lines().all(|line| line.chars().count() <= width.into()), "{text}");
        assert!(text.contains("id 13607") && !text.contains(":13607"), "{text}");
        assert!(!text.contains(":0"), "{text}");
        assert_eq!(text.contains('─'), is_table, "{text}");
        println!("{text}\n");
    }
}

fn a_rule(policy: &str, rule: i64, flows: u64) -> RuleUse {
    RuleUse {
        tier: "default".to_owned(),
        policy: policy.to_owned(),
        staged: false,
        direction: "ingress".to_owned(),
        rule,
        action: "reject".to_owned(),
        flows,
        packets: 10 * flows,
        bytes: 1000 * flows,
        first: (flows > 0).then(|| "2026-01-01T00:00:00.5Z".to_owned()),
        last: (flows > 0).then(|| "2026-01-01T23:59:00Z".to_owned()),
    }
}

const NOW: &str = "2026-01-02T00:00:00Z";

#[test]
fn rules_are_shown_with_what_they_did() {
    let rules = vec![a_rule("shop/default.web", 0, LARGE / 1000), a_rule("shop/default.web", -1, 0)];
    let used = Used { since: "2025-12-31T00:00:00Z".to_owned(), missing: vec![3], rules, ..Used::default() };
    let mut table = policy::used_table(&used, NOW.parse().unwrap());
    table.set_width(80);
    let text = tables::fit(table);
    println!("{text}\n");
    assert!(text.contains('─') && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for part in
        ["shop/default.web", "ingress, rule 0", "ingress, default", "reject", "123456789012", "23h 59m ago"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(text.contains("1m 0s ago") || text.contains("1m ago"), "{text}");
    assert!(text.contains("never"), "{text}");
    let text = policy::used(&used, None, NOW.parse().unwrap());
    assert!(text.ends_with("\n\ncounted since 2025-12-31T00:00:00Z; no answer from worker 3"), "{text}");

    let used = Used { missing: Vec::new(), unused_policies: vec!["default.a".to_owned()], ..used };
    let text = policy::used(&used, Some(30 * 86_400), NOW.parse().unwrap());
    assert!(text.starts_with("policies of which no rule was met:\n  default.a\n\n"), "{text}");
    assert!(text.ends_with(": the process has not run for 30d, so this may change"), "{text}");
    let text = policy::used(&used, Some(86_400), NOW.parse().unwrap());
    assert!(text.ends_with("counted since 2025-12-31T00:00:00Z"), "{text}");
    let none = Used { since: NOW.to_owned(), ..Used::default() };
    assert!(policy::used(&none, None, NOW.parse().unwrap()).starts_with("there is no policy"));
    assert!(policy::used(&none, Some(0), NOW.parse().unwrap()).starts_with("every rule was met"));
}

#[test]
fn flows_that_would_turn_or_were_cut_are_shown_with_who_decides() {
    let mut flow = Flow { src: "10.0.0.1".to_owned(), ..a_flow() };
    flow.decision.pending = vec!["0|default|shop/default.staged:no-telnet|reject|3".to_owned()];
    flow.decision.pending_verdict = "reject".to_owned();
    let group = StagedGroup {
        policy: "shop/default.staged:no-telnet".to_owned(),
        direction: Some("ingress".to_owned()),
        rule: 3,
        verdict: "deny".to_owned(),
        pending_verdict: "reject".to_owned(),
        flows: 2,
        packets: 7,
        bytes: 7000,
    };
    let staged = StagedFlows {
        seen: 9,
        changing: 2,
        missing: vec![1],
        groups: vec![group],
        flows: vec![flow.clone()],
    };
    let mut table = policy::staged_table(&staged);
    table.set_width(80);
    let mut groups = policy::staged_groups(&staged);
    groups.set_width(80);
    let text = format!("{}\n\n{}", tables::fit(groups), tables::fit(table));
    println!("{text}\n");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for part in
        ["shop/default.staged:no-telnet", "ingress, rule 3", "deny > reject", "by shop/", "rule 3", "7.0 kB"]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let text = policy::staged(&staged);
    let end = "\n\n1 shown, 2 would change, 9 in all; --limit shows more; no answer from worker 1";
    assert!(text.ends_with(end), "{text}");
    assert!(policy::staged(&StagedFlows::default()).starts_with("no live flow would be decided otherwise"));

    let now = Decided { policy: Some("default.new".to_owned()), rule: Some(-1), ..flow.decision.clone() };
    let cut = CutOne { time: "2026-01-02T03:04:05.678901Z".to_owned(), now, flow };
    let cut = CutFlows { total: 5, flows: vec![cut] };
    let mut table = policy::cut_table(&cut);
    table.set_width(80);
    let text = tables::fit(table);
    println!("{text}\n");
    assert!(text.contains('─') && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for part in ["2026-01-02", "03:04:05", "deny by default.new, default;", "before: deny by", "tcp"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(policy::cut(&cut).ends_with("1 shown, 5 in all"));
    assert!(policy::cut(&CutFlows::default()).starts_with("no flow was cut"));
}
