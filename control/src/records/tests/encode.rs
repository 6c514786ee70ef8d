use ravelin_config::types::{Action, Protocol};
use ravelin_dataplane::{
    clock::Timestamp,
    flow::{EndReason, FlowRecord, FlowState, TcpState},
    io::PortId,
    parse::Vlans,
    policy::DecisionId,
};
use serde_json::{Value, json};

use super::{
    super::{Encoder, json as pieces},
    START, encoder, encoder_for, key, record,
};

fn line(record: &FlowRecord) -> String {
    line_of(&mut encoder(), record)
}

fn line_of(encoder: &mut Encoder, record: &FlowRecord) -> String {
    let mut out = Vec::new();
    encoder.encode(record, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.ends_with("}\n") && text.matches('\n').count() == 1, "{text}");
    text
}

fn parsed(record: &FlowRecord) -> Value {
    serde_json::from_str(&line(record)).unwrap()
}

#[test]
fn a_tcp_flow_has_every_field() {
    let mut flow = record(("10.0.0.2", 40_000), ("192.0.2.7", 443));
    (flow.key, flow.initiator) =
        key(Protocol::TCP, ("10.0.0.2", 40_000), ("192.0.2.7", 443), Vlans { count: 2, ids: [100, 7] });
    flow.last = Timestamp::from_nanos(START + 61_900_000_000);
    flow.ended = Timestamp::from_nanos(START + 71_900_000_000);
    flow.packets = [10, 8];
    flow.bytes = [1_000, 54_321];
    flow.state = FlowState::Closed;
    flow.tcp = Some(TcpState::TimeWait);
    flow.tcp_flags = [0x1b, 0x13];
    flow.handshake_rtt_us = 12_345;
    flow.smoothed_rtt_us = 23_456;
    flow.retransmissions = [1, 2];
    flow.zero_windows = [3, 4];
    flow.generation = 9;
    flow.verdict = Action::Deny;
    let mut encoder = encoder_for(&mut flow);
    let value: Value = serde_json::from_str(&line_of(&mut encoder, &flow)).unwrap();
    let flow_id = value["flow_id"].as_u64().unwrap();
    assert!(flow_id < 1 << 51);
    assert_eq!(
        value,
        json!({
            "timestamp": "2024-03-26T10:12:24.023456+0000",
            "flow_id": flow_id,
            "event_type": "flow",
            "vlan": [100, 7],
            "src_ip": "10.0.0.2",
            "src_port": 40_000,
            "dest_ip": "192.0.2.7",
            "dest_port": 443,
            "proto": "TCP",
            "community_id": value["community_id"],
            "flow": {
                "pkts_toserver": 10,
                "pkts_toclient": 8,
                "bytes_toserver": 1_000,
                "bytes_toclient": 54_321,
                "start": "2024-03-26T10:11:12.123456+0000",
                "end": "2024-03-26T10:12:14.023456+0000",
                "age": 62,
                "state": "closed",
                "reason": "timeout",
                "alerted": false,
            },
            "tcp": {
                "tcp_flags": "1b",
                "tcp_flags_ts": "1b",
                "tcp_flags_tc": "13",
                "syn": true,
                "fin": true,
                "psh": true,
                "ack": true,
                "state": "time_wait",
            },
            "ravelin": {
                "verdict": "deny",
                "policy": "default.first",
                "rule": 0,
                "drop_reason": "rule_deny",
                "policies": {
                    "enforced": ["0|default|default.first|deny|0"],
                    "pending": ["0|default|default.first|deny|0"],
                    "pending_verdict": "deny",
                },
                "worker": 0,
                "in": "o\"ut",
                "out": "in\\",
                "rtt_us": 12_345,
                "srtt_us": 23_456,
                "retransmissions_toserver": 1,
                "retransmissions_toclient": 2,
                "zero_windows_toserver": 3,
                "zero_windows_toclient": 4,
                "generation": 9,
            },
        })
    );
    assert_eq!(line_of(&mut encoder, &flow), line_of(&mut encoder, &flow), "the text of a decision is kept");
}

#[test]
fn what_staged_policies_would_do_stands_beside_what_was_done() {
    let mut flow = record(("10.0.0.2", 1), ("192.0.2.7", 2));
    let mut encoder = encoder_for(&mut flow);
    let ravelin = &serde_json::from_str::<Value>(&line_of(&mut encoder, &flow)).unwrap()["ravelin"];
    assert_eq!((&ravelin["verdict"], &ravelin["drop_reason"]), (&json!("allow"), &Value::Null));
    assert_eq!((&ravelin["policy"], &ravelin["rule"]), (&json!("default.first"), &json!(1)));
    let policies = json!({
        "enforced": ["0|default|default.first|allow|1"],
        "pending": ["0|default|default.staged:second|reject|0"],
        "pending_verdict": "reject",
    });
    assert_eq!(ravelin["policies"], policies);
}

#[test]
fn the_initiator_is_the_source_whichever_end_sorts_first() {
    let there = parsed(&record(("10.0.0.2", 1), ("10.0.0.1", 2)));
    assert_eq!((&there["src_ip"], &there["src_port"]), (&json!("10.0.0.2"), &json!(1)));
    assert_eq!((&there["dest_ip"], &there["dest_port"]), (&json!("10.0.0.1"), &json!(2)));
    let back = parsed(&record(("10.0.0.1", 2), ("10.0.0.2", 1)));
    assert_eq!(back["src_ip"], json!("10.0.0.1"));
    assert_eq!(there["community_id"], back["community_id"]);
}

#[test]
fn what_does_not_apply_is_absent() {
    let mut flow = record(("2001:db8::1", 0), ("2001:db8::2", 0));
    (flow.key, flow.initiator) =
        key(Protocol::ICMPV6, ("2001:db8::1", 0), ("2001:db8::2", 0), Vlans::default());
    flow.port_out = PortId(0);
    let value = parsed(&flow);
    assert_eq!((&value["src_ip"], &value["proto"]), (&json!("2001:db8::1"), &json!("IPv6-ICMP")));
    for absent in ["vlan", "src_port", "dest_port", "tcp", "community_id"] {
        assert_eq!(value.get(absent), None, "{absent}");
    }
    assert_eq!(value["ravelin"]["out"], Value::Null);
    assert_eq!(value["ravelin"]["rule"], Value::Null);
    assert_eq!(value["ravelin"].get("rtt_us"), None);
}

#[test]
fn what_was_not_measured_is_null() {
    let mut flow = record(("10.0.0.2", 1), ("10.0.0.1", 2));
    flow.tcp = Some(TcpState::SynSent);
    let value = parsed(&flow);
    assert_eq!(value["ravelin"]["rtt_us"], Value::Null);
    assert_eq!(value["ravelin"]["srtt_us"], Value::Null);
    assert_eq!(
        value["tcp"],
        json!({"tcp_flags": "00", "tcp_flags_ts": "00", "tcp_flags_tc": "00", "state": "syn_sent"})
    );
}

#[test]
fn every_word_is_written() {
    for (verdict, word) in [(Action::Allow, "allow"), (Action::Deny, "deny"), (Action::Reject, "reject")] {
        let flow = FlowRecord { verdict, ..record(("10.0.0.2", 1), ("10.0.0.1", 2)) };
        assert_eq!(parsed(&flow)["ravelin"]["verdict"], json!(word));
    }
    for (reason, word) in [
        (EndReason::Timeout, "timeout"),
        (EndReason::Policy, "policy"),
        (EndReason::Forced, "forced"),
        (EndReason::Shutdown, "shutdown"),
        (EndReason::Active, "active"),
    ] {
        let flow = FlowRecord { reason, ..record(("10.0.0.2", 1), ("10.0.0.1", 2)) };
        assert_eq!(parsed(&flow)["flow"]["reason"], json!(word));
    }
    for (state, word) in
        [(FlowState::New, "new"), (FlowState::Established, "established"), (FlowState::Closed, "closed")]
    {
        let flow = FlowRecord { state, ..record(("10.0.0.2", 1), ("10.0.0.1", 2)) };
        assert_eq!(parsed(&flow)["flow"]["state"], json!(word));
    }
}

#[test]
fn protocols_without_a_name_are_three_digits() {
    for (protocol, word) in [(0, "HOPOPT"), (47, "GRE"), (7, "007"), (99, "099"), (255, "255")] {
        let mut flow = record(("10.0.0.2", 0), ("10.0.0.1", 0));
        (flow.key, flow.initiator) =
            key(Protocol(protocol), ("10.0.0.2", 0), ("10.0.0.1", 0), Vlans::default());
        assert_eq!(parsed(&flow)["proto"], json!(word));
    }
}

#[test]
fn a_port_or_decision_that_nobody_knows_is_null() {
    let flow = FlowRecord {
        port_in: PortId(9),
        decision: DecisionId(2),
        ..record(("10.0.0.2", 1), ("10.0.0.1", 2))
    };
    let value = parsed(&flow);
    assert_eq!((&value["ravelin"]["in"], &value["ravelin"]["rule"]), (&Value::Null, &Value::Null));
}

#[test]
fn flow_ids_differ_between_flows_and_stay_the_same() {
    let id = |flow: &FlowRecord| parsed(flow)["flow_id"].as_u64().unwrap();
    let flow = record(("10.0.0.2", 1), ("10.0.0.1", 2));
    // Fixed for ever: other events of the same flow refer to it.
    assert_eq!(id(&flow), 1_284_039_186_628_093);
    assert_ne!(id(&flow), id(&FlowRecord { first: Timestamp::from_nanos(START + 1), ..flow }));
    let (tagged, initiator) =
        key(Protocol::UDP, ("10.0.0.2", 1), ("10.0.0.1", 2), Vlans { count: 1, ids: [5, 0] });
    assert_ne!(id(&flow), id(&FlowRecord { key: tagged, initiator, ..flow }));
    let elsewhere = FlowRecord { port_in: PortId(3), port_out: PortId(2), ..flow };
    assert_ne!(id(&flow), id(&elsewhere), "the same packets at another bridge");
    let ping = |identifier| {
        let (key, initiator) =
            key(Protocol::ICMP, ("10.0.0.2", identifier), ("10.0.0.1", identifier), Vlans::default());
        id(&FlowRecord { key, initiator, ..flow })
    };
    assert_ne!(ping(1), ping(2));
}

#[test]
fn times_agree_with_a_calendar() {
    let mut seconds = 0_u64;
    while seconds < 18_000_000_000 {
        let mut out = Vec::new();
        pieces::timestamp(&mut out, Timestamp::from_nanos(seconds * 1_000_000_000 + 7_999));
        let expected = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap())
            .unwrap()
            .strftime("%Y-%m-%dT%H:%M:%S.000007+0000")
            .to_string();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        seconds += 86_400 * 5 + 12_347;
    }
}

#[test]
fn texts_are_escaped() {
    let mut out = Vec::new();
    let text: String = (0..0x80_u8).map(char::from).chain("äß😀\u{2028}".chars()).collect();
    pieces::text(&mut out, &text);
    assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
}
