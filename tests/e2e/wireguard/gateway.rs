//! The gateway as one end of tunnels: a peer behind its outside interface reaches what is inside, and is reached.

use ravelin_tests::{gateway::OUTSIDE, topology::ping_all, wireguard::Kind};

use super::tunnel::{PORT, THEIRS, Tunnel, shown};

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
