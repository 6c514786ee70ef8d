//! More flows than there is room for.

use std::{
    io::{Read, Write},
    net::{SocketAddrV4, TcpListener, TcpStream},
};

use ravelin_tests::{
    flood::syn_flood,
    topology::{Lab, SERVER, ping_all},
};

/// Memory that a process holds, in bytes.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel says it");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") * 1024
}

/// A connection from client to server that echoes.
fn connection(lab: &Lab) -> (TcpStream, TcpStream) {
    let listener = lab.server.inside(|| TcpListener::bind((SERVER, 22))).expect("the port is free");
    let client = lab.client.inside(|| TcpStream::connect((SERVER, 22))).expect("the server listens");
    let (server, _) = listener.accept().expect("a connection");
    (client, server)
}

/// Sends something there and back.
fn speak(client: &mut TcpStream, server: &mut TcpStream) {
    let mut heard = [0; 5];
    client.write_all(b"hello").expect("the connection lives");
    server.read_exact(&mut heard).expect("the connection lives");
    server.write_all(&heard).expect("the connection lives");
    client.read_exact(&mut heard).expect("the connection lives");
    assert_eq!(&heard, b"hello");
}

#[test]
fn a_syn_flood_leaves_established_flows_and_memory_alone() {
    const EVICTED: u64 = 500_000;
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("[flow]\ncapacity = 65536\nevict = \"unreplied\"\nfull = \"drop\"\n");
    let (mut client, mut server) = connection(&lab);
    speak(&mut client, &mut server);
    let target: SocketAddrV4 = format!("{SERVER}:80").parse().expect("an address");
    // Fills the table once, so that what is measured afterwards is growth and not first use.
    syn_flood(&lab.client, target, 200_000);
    let before = resident(ravelin.id());
    // What the kernel cannot queue never arrives, so this goes on until enough has.
    ravelin.wait_for_counters("evictions", |counters| {
        syn_flood(&lab.client, target, 1_000_000);
        counters["flows_evicted"] > EVICTED
    });
    speak(&mut client, &mut server);
    ping_all(&lab.client, SERVER, 5, 56);
    let after = resident(ravelin.id());

    assert_eq!(ravelin.flows("--port 22").len(), 1, "the established flow is still the same");
    let counters = ravelin.finish(&["flow_table_full", "transmit_full"]);
    println!("resident before {before}, after {after}; created {}", counters["flows_created"]);
    assert!(after < before + 4_000_000, "memory grew from {before} to {after} bytes");
    let ended = counters["flows_expired"] + counters["flows_evicted"];
    assert_eq!(counters["flows_created"] - ended, counters["flows_active"]);
    assert!(counters["flows_active"] <= 65_536);
}

/// Two thousand flows for a table of a thousand that may not evict; returns created, dropped and untracked.
fn overfill(full: &str) -> Option<(u64, u64, u64)> {
    let lab = Lab::new(&["ping"])?;
    let ravelin = lab.ravelin(&format!("[flow]\ncapacity = 1024\nevict = \"none\"\nfull = \"{full}\"\n"));
    ping_all(&lab.client, SERVER, 5, 56);
    let idle = ravelin.counters();
    let target: SocketAddrV4 = format!("{SERVER}:80").parse().expect("an address");
    for _ in 0..3 {
        // The same flows again: those that are in stay in, the others knock in vain again.
        syn_flood(&lab.client, target, 2_000);
    }
    let counters = ravelin
        .wait_for_counters("all flows to knock", |counters| counters["received"] > idle["received"] + 3_000);
    assert_eq!(counters["flows_active"], 1024);
    assert_eq!(counters["flows_evicted"], 0);
    let counters = ravelin.finish(&["flow_table_full"]);
    Some((counters["flows_created"], counters.dropped("flow_table_full"), counters["flows_untracked"]))
}

#[test]
fn a_full_table_that_drops() {
    let Some((created, dropped, untracked)) = overfill("drop") else { return };
    assert!(created >= 1024 && dropped > 1_000 && untracked == 0, "{created} {dropped} {untracked}");
}

#[test]
fn a_full_table_that_forwards() {
    let Some((created, dropped, untracked)) = overfill("forward") else { return };
    assert!(created >= 1024 && dropped == 0 && untracked > 1_000, "{created} {dropped} {untracked}");
}
