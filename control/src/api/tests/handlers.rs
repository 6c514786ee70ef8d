use std::{fs, sync::Arc};

use super::serve;
use crate::{
    api::{
        client::{self, ClientError},
        view::{Counter, Drop, Flows, Interface, Reload, Status, TraceLine, Worker},
    },
    cli::Failure,
    testing::{BRIDGE, Running, dns, syn},
};

#[tokio::test]
async fn status_says_what_runs_and_what_came_of_the_last_reload() {
    let running = Running::start(BRIDGE, 2);
    let (socket, _claim) = serve(&running);
    running.receive(0, 0, &dns(b"question"));
    running.settled(1).await;
    let status: Status = client::get(&socket, "/status").await.unwrap();
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(status.pid, std::process::id());
    assert_eq!((status.generation, status.workers, status.stalled.len()), (1, 2, 0));
    assert_eq!(status.config, running.config.display().to_string());
    assert!(status.last_reload.succeeded);
    assert_eq!(status.last_reload.message, "started");
    assert_eq!(status.interfaces.len(), 2);
    assert_eq!((status.interfaces[1].name.as_str(), status.interfaces[1].mode.as_str()), ("in0", "memory"));
    assert_eq!(status.interfaces[1].why.as_deref(), Some("there is no kernel"));
    assert_eq!((status.received_packets, status.flow_capacity, status.records), (1, 1_000_000, None));

    fs::write(&running.config, "[[bridge]").unwrap();
    client::post::<Reload>(&socket, "/reload").await.unwrap_err();
    let status: Status = client::get(&socket, "/status").await.unwrap();
    assert!(!status.last_reload.succeeded);
    assert_eq!(status.last_reload.message, "the configuration cannot be used");
    assert_eq!(status.generation, 1);
}

#[tokio::test]
async fn packets_are_counted_by_interface_worker_counter_and_reason() {
    let running = Running::start(BRIDGE, 1);
    let (socket, _claim) = serve(&running);
    running.receive(0, 0, &dns(b"question"));
    running.receive(0, 1, &syn(1, 80));
    running.receive(0, 0, &syn(1, 23));
    running.receive(0, 0, &[0; 3]);
    running.settled(4).await;

    let interfaces: Vec<Interface> = client::get(&socket, "/interfaces").await.unwrap();
    let [outside, inside] = interfaces.as_slice() else { panic!("{interfaces:?}") };
    assert_eq!((outside.name.as_str(), outside.role.as_str()), ("out0", "bridge edge, outside"));
    assert_eq!((inside.name.as_str(), inside.role.as_str()), ("in0", "bridge edge, inside"));
    assert_eq!((outside.received_packets, outside.sent_packets, outside.dropped_packets), (3, 1, 2));
    assert_eq!((inside.received_packets, inside.sent_packets, inside.dropped_packets), (1, 1, 0));
    assert_eq!(outside.link.statistics[0].name, "test_frames");

    let workers: Vec<Worker> = client::get(&socket, "/workers").await.unwrap();
    let [worker] = workers.as_slice() else { panic!("{workers:?}") };
    assert_eq!((worker.received_packets, worker.forwarded_packets, worker.dropped_packets), (4, 2, 2));
    assert!(!worker.stalled && worker.pulse > 0);

    let counters: Vec<Counter> = client::get(&socket, "/counters").await.unwrap();
    let received = counters.iter().find(|counter| counter.name == "received").unwrap();
    assert_eq!((received.total, received.workers.as_slice()), (4, &[4][..]));
    assert_eq!(received.metric, "ravelin_worker_received_packets_total");

    let drops: Vec<Drop> = client::get(&socket, "/drops").await.unwrap();
    let dropped: Vec<_> = drops
        .iter()
        .filter(|drop| drop.packets > 0)
        .map(|drop| (drop.reason.as_str(), drop.group.as_str(), drop.packets))
        .collect();
    assert_eq!(dropped, [("ethernet_truncated", "decode", 1), ("rule_deny", "policy", 1)]);
}

#[tokio::test]
async fn live_flows_of_all_workers_are_listed() {
    let running = Running::start(BRIDGE, 2);
    let (socket, _claim) = serve(&running);
    for host in 1..=20 {
        running.receive(0, 0, &syn(host, 80));
    }
    running.receive(1, 0, &syn(1, 23));
    running.receive(1, 0, &dns(b"question"));
    running.settled(22).await;
    let listed: Flows = client::get(&socket, "/flows").await.unwrap();
    assert_eq!((listed.seen, listed.matching, listed.missing.len()), (22, 22, 0));
    for worker in [0, 1] {
        assert!(listed.flows.iter().any(|flow| flow.worker == worker), "flows are spread over the workers");
    }
    let denied: Flows = client::get(&socket, "/flows?verdict=deny").await.unwrap();
    let [flow] = denied.flows.as_slice() else { panic!("{denied:?}") };
    assert_eq!(
        (flow.dst_port, flow.decision.decider().as_deref()),
        (Some(23), Some("default.no-telnet, rule 0"))
    );
    assert_eq!(
        (flow.decision.drop_reason.as_deref(), flow.tcp.as_deref()),
        (Some("rule_deny"), Some("syn_sent"))
    );
    let dns: Flows = client::get(&socket, "/flows?proto=udp&dst=198.51.100.0/24").await.unwrap();
    assert_eq!((dns.flows.len(), dns.flows[0].packets), (1, [1, 0]));
    let status: Status = client::get(&socket, "/status").await.unwrap();
    assert_eq!(status.flows, 22);
}

#[tokio::test]
async fn a_reload_through_the_socket_changes_what_happens_to_packets() {
    let running = Running::start(BRIDGE, 2);
    let (socket, _claim) = serve(&running);
    let pings = BRIDGE.replace("\"allow\"", "\"allow\"\nprotocol = \"icmp\"");
    running.directory.write("ravelin.toml", pings);
    let answer: Reload = client::post(&socket, "/reload").await.unwrap();
    assert_eq!((answer.generation, answer.changes.as_slice()), (2, &["policy[no-telnet]".to_owned()][..]));
    assert_eq!((answer.behind, answer.warnings), (Vec::new(), None));
    running.receive(0, 0, &dns(b"question"));
    running.settled(1).await;
    let drops: Vec<Drop> = client::get(&socket, "/drops").await.unwrap();
    assert_eq!(drops.iter().find(|drop| drop.reason == "default_deny").unwrap().packets, 1);
}

#[tokio::test]
async fn a_refused_reload_says_which_fields_need_a_restart() {
    let running = Running::start(BRIDGE, 1);
    let (socket, _claim) = serve(&running);
    running
        .directory
        .write("ravelin.toml", format!("{BRIDGE}[workers]\nbatch = 7\n[flow]\ncapacity = 5000\n"));
    let error = client::post::<Reload>(&socket, "/reload").await.unwrap_err();
    let ClientError::Refused { wrong: true, ref refusal } = error else { panic!("{error}") };
    assert_eq!(refusal.fields, ["workers.batch", "flow.capacity"]);
    assert_eq!(refusal.error, "a change of workers.batch, flow.capacity needs a restart");
    assert!(refusal.help.as_ref().unwrap().contains("the old configuration stays in force"));
    let answer = serde_json::json!(Failure::from(error));
    assert_eq!(answer["fields"], serde_json::json!(["workers.batch", "flow.capacity"]));
    assert_eq!(answer.get("diagnostics"), None);

    running.directory.write("ravelin.toml", "[[bridge]]\nname = 3\n");
    let error = client::post::<Reload>(&socket, "/reload").await.unwrap_err();
    assert!(error.to_string().contains("ravelin.toml:2:8"), "{error}");
    // What `--json` prints.
    let answer = serde_json::json!(Failure::from(error));
    assert_eq!(answer["diagnostics"][1]["span"]["line"], 2, "{answer}");
    assert_eq!((answer["diagnostics"][1]["code"].as_str(), answer.get("fields")), (Some("C004"), None));
}

#[tokio::test]
async fn a_hundred_reloads_lose_no_packet() {
    let running = Running::start(BRIDGE, 2);
    let (socket, _claim) = serve(&running);
    for round in 1..=100 {
        running.receive(0, 0, &dns(&[round]));
        running.receive(1, 1, &dns(&[round]));
        let answer: Reload = client::post(&socket, "/reload").await.unwrap();
        assert_eq!((answer.generation, answer.behind), (u32::from(round) + 1, Vec::new()));
    }
    running.settled(200).await;
    let totals = running.appliance.roster.totals();
    assert_eq!((totals.received, totals.forwarded, totals.drops.total()), (200, 200, 0));
    let sent: usize = running.wires.iter().map(|wire| wire.output.len()).sum();
    assert_eq!(sent, 200);
}

async fn trace(socket: &std::path::Path, query: &str) -> Vec<TraceLine> {
    let mut lines = Vec::new();
    client::follow(socket, &format!("/trace?{query}"), |line| {
        lines.push(line);
        Ok::<_, ClientError>(())
    })
    .await
    .unwrap();
    lines
}

#[tokio::test]
async fn a_trace_shows_the_steps_and_why_a_packet_was_dropped() {
    let running = Arc::new(Running::start(BRIDGE, 1));
    let (socket, _claim) = serve(&running);
    let feeder = Arc::clone(&running);
    let feed = tokio::spawn(async move {
        loop {
            feeder.receive(0, 0, &dns(b"question"));
            feeder.receive(0, 0, &syn(9, 23));
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    let lines = trace(&socket, "count=1&dropped=true&proto=tcp&port=23&host=198.51.100.9").await;
    feed.abort();
    let [TraceLine::Packet(packet), TraceLine::End(end)] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((end.shown, end.lost), (1, 0));
    assert_eq!((packet.port_in.as_str(), packet.network.as_str()), ("out0", "ipv4"));
    assert_eq!((packet.src.as_deref(), packet.src_port), (Some("192.0.2.1"), Some(40_000)));
    assert_eq!((packet.dst.as_deref(), packet.dst_port), (Some("198.51.100.9"), Some(23)));
    assert_eq!((packet.proto.as_deref(), packet.flags.as_deref()), (Some("tcp"), Some("SYN")));
    assert_eq!((packet.length, packet.ttl), (54, 64));
    let steps: Vec<_> = packet.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(steps, ["decode", "fragment", "steer", "flow"]);
    assert_eq!(packet.steps[0].verdict, "passed");
    assert_eq!(packet.steps[3].verdict, "drop rule_deny");
    assert_eq!((packet.policy.as_deref(), packet.rule), (Some("default.no-telnet"), Some(0)));
    let drop = packet.drop.as_ref().unwrap();
    assert_eq!((drop.reason.as_str(), drop.group.as_str()), ("rule_deny", "policy"));
    assert!(drop.help.ends_with('.'));
}

#[tokio::test]
async fn one_trace_at_a_time_and_a_reader_that_leaves_ends_it() {
    let running = Running::start(BRIDGE, 1);
    let (socket, _claim) = serve(&running);
    let first = {
        let socket = socket.clone();
        tokio::spawn(async move { trace(&socket, "count=5").await })
    };
    // No packet comes, so the first trace goes on until its reader leaves.
    while running.appliance.tracing.try_lock().is_ok() {
        tokio::task::yield_now().await;
    }
    let error = client::get::<()>(&socket, "/trace?count=1").await.unwrap_err();
    assert_eq!(error.to_string(), "another trace is running");
    first.abort();
    while running.appliance.tracing.try_lock().is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let running = Running::start(BRIDGE, 1);
    let (socket, _claim) = serve(&running);
    let error = client::get::<()>(&socket, "/flows?port=abc").await.unwrap_err();
    assert!(error.to_string().starts_with("port: "), "{error}");
    let error = client::get::<()>(&socket, "/nonsense").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no such thing to ask for");
    let nobody = running.directory.file("nobody.sock");
    let error = client::get::<()>(&nobody, "/status").await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("nobody.sock"), "{error}");
}
