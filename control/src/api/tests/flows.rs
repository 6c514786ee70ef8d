use std::sync::Arc;

use ravelin_config::types::{Action, Protocol};
use ravelin_dataplane::{
    clock::Timestamp,
    command::{Command, FlowList},
    flow::{EndReason, FlowKey, FlowRecord, FlowState, TcpState},
    handoff::WorkerId,
    io::PortId,
    parse::{Address, Vlans},
    policy::DecisionId,
};

use super::serve;
use crate::{
    api::{client, view::Flows},
    testing::{BRIDGE, Running, decide},
};

/// A flow from 192.0.2.1 to 198.51.100.`host`, port `port`, of `kilobytes` in each direction.
fn record(worker: u8, host: u8, port: u16, kilobytes: u64) -> FlowRecord {
    let source = (Address::v4([192, 0, 2, 1]), 40_000);
    let destination = (Address::v4([198, 51, 100, host]), port);
    let (key, initiator) = FlowKey::new(source, destination, Protocol::TCP, Vlans { count: 1, ids: [7, 0] });
    let denied = port == 23;
    FlowRecord {
        key,
        initiator,
        first: Timestamp::from_micros(1_000_000),
        last: Timestamp::from_micros(3_500_000),
        ended: Timestamp::ZERO,
        packets: [kilobytes, kilobytes],
        bytes: [kilobytes * 1000; 2],
        state: FlowState::Established,
        reason: EndReason::Active,
        tcp: Some(TcpState::Established),
        tcp_flags: [0x1b; 2],
        smoothed_rtt_us: 1500,
        handshake_rtt_us: 1200,
        retransmissions: [0, 3],
        zero_windows: [0; 2],
        verdict: if denied { Action::Deny } else { Action::Allow },
        decision: DecisionId::NONE,
        generation: 1,
        worker: WorkerId(worker),
        port_in: PortId(0),
        port_out: PortId(1),
        nat: ravelin_dataplane::nat::NatFlow::default(),
    }
}

/// Plays the workers: answers one listing each with `flows`, a few at a time.
fn answer(running: &Running, flows: Vec<Vec<FlowRecord>>) -> tokio::task::JoinHandle<()> {
    let appliance = Arc::clone(&running.appliance);
    let logs = appliance.roster.logs();
    tokio::spawn(async move {
        for ((member, log), flows) in appliance.roster.members().iter().zip(logs).zip(flows) {
            let list: Arc<FlowList> = loop {
                match member.commands().pop() {
                    Some(Command::ListFlows(list)) => break list,
                    Some(Command::Trace(_)) => panic!("nobody asked for a trace"),
                    None => tokio::task::yield_now().await,
                }
            };
            for mut flow in flows {
                flow.decision = decide(BRIDGE, &log, flow.key, flow.initiator);
                while !list.push(flow) {
                    tokio::task::yield_now().await;
                }
            }
            list.finish();
        }
    })
}

async fn ask(query: &str, flows: Vec<Vec<FlowRecord>>) -> Flows {
    let running = Running::without_workers(BRIDGE, flows.len());
    let (socket, _claim) = serve(&running);
    let workers = answer(&running, flows);
    let answer = client::get(&socket, &format!("/flows?{query}")).await.unwrap();
    workers.await.unwrap();
    answer
}

#[tokio::test]
async fn a_flow_is_shown_in_words() {
    let answer = ask("", vec![vec![record(0, 1, 23, 2)]]).await;
    assert_eq!((answer.seen, answer.matching, answer.missing.len()), (1, 1, 0));
    let flow = &answer.flows[0];
    assert_eq!((flow.src.as_str(), flow.src_port), ("192.0.2.1", Some(40_000)));
    assert_eq!((flow.dst.as_str(), flow.dst_port), ("198.51.100.1", Some(23)));
    assert_eq!((flow.proto.as_str(), flow.vlan.as_slice()), ("tcp", &[7][..]));
    assert_eq!((flow.port_in.as_str(), flow.port_out.as_str()), ("out0", "in0"));
    assert_eq!((flow.state.as_str(), flow.tcp.as_deref()), ("established", Some("established")));
    let decision = &flow.decision;
    assert_eq!((decision.verdict.as_str(), decision.policy.as_deref()), ("deny", Some("default.no-telnet")));
    assert_eq!((decision.rule, decision.drop_reason.as_deref()), (Some(0), Some("rule_deny")));
    assert_eq!(decision.enforced, ["0|default|default.no-telnet|deny|0"]);
    assert_eq!((&decision.pending, decision.pending_verdict.as_str()), (&decision.enforced, "deny"));
    assert_eq!((flow.packets, flow.bytes), ([2, 2], [2000, 2000]));
    assert_eq!((flow.first.as_str(), flow.last.as_str()), ("1970-01-01T00:00:01Z", "1970-01-01T00:00:03.5Z"));
    assert_eq!((flow.age_seconds, flow.srtt_us, flow.retransmissions), (2.5, Some(1500), [0, 3]));
}

#[tokio::test]
async fn protocols_without_ports_have_none() {
    let flow = |protocol, id| {
        let ends = [1, 2].map(|host| (Address::v4([10, 0, 0, host]), id));
        let (key, initiator) = FlowKey::new(ends[0], ends[1], protocol, Vlans::default());
        FlowRecord { key, initiator, tcp: None, ..record(0, 1, 80, 1) }
    };
    let flows = || {
        vec![vec![
            flow(Protocol::ICMP, 13_607),
            flow(Protocol(47), 0),
            flow(Protocol(50), 0),
            flow(Protocol::UDP, 53),
        ]]
    };
    let answer = ask("", flows()).await;
    let numbers: Vec<_> =
        answer.flows.iter().map(|flow| (flow.proto.as_str(), flow.src_port, flow.icmp_id)).collect();
    let expected =
        [("icmp", None, Some(13_607)), ("gre", None, None), ("esp", None, None), ("udp", Some(53), None)];
    assert_eq!(numbers, expected);
    let json = serde_json::json!(answer.flows[1]);
    assert_eq!((json.get("src_port"), json.get("dst_port"), json.get("icmp_id")), (None, None, None));
    assert_eq!(ask("port=0", flows()).await.matching, 0);
    assert_eq!(ask("port=13607", flows()).await.matching, 0, "an identifier is no port");
}

#[tokio::test]
async fn the_largest_flows_of_all_workers_come_first() {
    let first = (1..=100).map(|host| record(0, host, 443, u64::from(host))).collect();
    let second = (101..=200).map(|host| record(1, host, 443, u64::from(host))).collect();
    let answer = ask("top=bytes&limit=3", vec![first, second]).await;
    assert_eq!((answer.seen, answer.matching), (200, 200));
    let bytes: Vec<_> = answer.flows.iter().map(|flow| flow.bytes[0]).collect();
    assert_eq!(bytes, [200_000, 199_000, 198_000]);
}

#[tokio::test]
async fn only_flows_that_match_are_shown() {
    let flows = || vec![vec![record(0, 1, 80, 1), record(0, 2, 23, 1), record(0, 200, 443, 1)]];
    let ports = async |query: &str| -> Vec<u16> {
        ask(query, flows()).await.flows.iter().filter_map(|flow| flow.dst_port).collect()
    };
    assert_eq!(ports("").await, [80, 23, 443]);
    assert_eq!(ports("limit=2").await, [80, 23]);
    assert_eq!(ports("verdict=deny").await, [23]);
    assert_eq!(ports("verdict=allow").await, [80, 443]);
    assert_eq!(ports("dst=198.51.100.0/25").await, [80, 23]);
    assert_eq!(ports("dst=192.0.2.1").await, [0; 0]);
    assert_eq!(ports("src=192.0.2.1").await, [80, 23, 443]);
    assert_eq!(ports("port=443").await, [443]);
    assert_eq!(ports("port=40000").await, [80, 23, 443]);
    assert_eq!(ports("proto=udp").await, [0; 0]);
}

#[tokio::test]
async fn more_flows_than_the_ring_holds_arrive_all() {
    let flows = (0..20_000).map(|n| record(0, 1, n, 1)).collect();
    let answer = ask("limit=1000000", vec![flows]).await;
    assert_eq!((answer.seen, answer.flows.len()), (20_000, 20_000));
}

#[tokio::test]
async fn a_worker_that_does_not_answer_is_named() {
    let running = Running::without_workers(BRIDGE, 2);
    let (socket, _claim) = serve(&running);
    let workers = answer(&running, vec![vec![record(0, 1, 80, 1)]]);
    let answer: Flows = client::get(&socket, "/flows").await.unwrap();
    workers.await.unwrap();
    assert_eq!((answer.flows.len(), answer.missing), (1, vec![1]));
}
