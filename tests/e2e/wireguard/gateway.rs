//! The gateway as one end of tunnels: a peer behind its outside interface reaches what is inside, and is reached.

use std::fs;

use ravelin_tests::{gateway::OUTSIDE, topology::ping_all, wireguard::Kind};

use super::tunnel::{PORT, THEIRS, Tunnel, shown};
use crate::receive_threads::may_run_on;

fn the_peer_begins(kind: Kind, endpoint: &str) {
    let Some(tunnel) = Tunnel::new(kind) else { return };
    let ravelin = tunnel.start("");
    tunnel.tell_peer(Some(endpoint));
    tunnel.use_it();
    let peer = shown(&ravelin, "client");
    assert_eq!((&peer["session"], &peer["name"]), (&"up".into(), &"client".into()), "{peer}");
    assert!(peer["sent_bytes"].as_u64() > Some(40_000_000), "{peer}");
    let counters = ravelin.finish(&[]);
    assert!(counters["wireguard_opened"] > 1000 && counters["wireguard_sealed"] > 10_000, "{counters:?}");
    // But for the first answer, if nobody had asked yet who the client is.
    assert!(counters["wireguard_through_kernel"] < 5, "{counters:?}");
}

#[test]
fn wireguard_go_begins_over_ipv4() {
    the_peer_begins(Kind::Go, &format!("{}:{PORT}", OUTSIDE[0]));
}

#[test]
fn wireguard_go_begins_over_ipv6() {
    the_peer_begins(Kind::Go, &format!("[{}]:{PORT}", OUTSIDE[1]));
}

#[test]
fn boringtun_begins() {
    the_peer_begins(Kind::Boringtun, &format!("{}:{PORT}", OUTSIDE[0]));
}

fn the_gateway_begins(kind: Kind, endpoint: &str) {
    let Some(tunnel) = Tunnel::new(kind) else { return };
    tunnel.tell_peer(None);
    let ravelin = tunnel.start(&format!("endpoint = \"{endpoint}:{PORT}\"\n"));
    for address in THEIRS {
        ping_all(&tunnel.lab.server, address, 3, 56);
    }
    tunnel.use_it();
    ravelin.finish(&[]);
}

#[test]
fn the_gateway_begins_with_wireguard_go() {
    the_gateway_begins(Kind::Go, "10.8.1.2");
    the_gateway_begins(Kind::Go, "[fd08:1::2]");
}

#[test]
fn the_gateway_begins_with_boringtun() {
    the_gateway_begins(Kind::Boringtun, "10.8.1.2");
}

#[test]
fn no_thread_of_tunnels_runs_where_a_worker_does() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let ravelin = tunnel.start("[workers]\ncores = [0]\n");
    let tasks = fs::read_dir(format!("/proc/{}/task", ravelin.id())).expect("it runs");
    let read = |task: &fs::DirEntry, name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
    let threads: Vec<_> =
        tasks.flatten().map(|task| (read(&task, "comm").trim().to_owned(), read(&task, "status"))).collect();
    let others: Vec<_> = threads.iter().filter(|(name, _)| !name.starts_with("ravelin-w")).collect();
    assert!(others.len() < threads.len() && others.iter().any(|(name, _)| name == "wireguard-read"));
    // With one core there is no other.
    let is_alone = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    for (name, status) in others {
        assert!(is_alone || !may_run_on(status, 0), "{name} may run on the core of a worker");
    }
    ravelin.finish(&[]);
}
