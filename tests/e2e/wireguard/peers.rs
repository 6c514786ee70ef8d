//! The programs that stand at the other ends of tunnels in these tests, with one another: what fails here is not the appliance's fault.

use std::path::Path;

use ravelin_tests::{
    gateway::{CLIENT, SERVER, gateway},
    topology::{Lab, ping_all, pings},
    wireguard::{Kind, Peer, Remote, preshared_key},
};

use crate::routing::{fetch, web};

/// The addresses of both ends of the tunnel.
const ENDS: [[&str; 2]; 2] = [["10.9.0.1", "fd09::1"], ["10.9.0.2", "fd09::2"]];
const PORT: u16 = 51_820;

/// What may come from an end.
fn allowed(end: usize) -> String {
    let [v4, v6] = ENDS[end];
    format!("{v4}/32,{v6}/128")
}

/// Where both ends are.
fn endpoints() -> [String; 2] {
    [CLIENT[0], SERVER[0]].map(|address| format!("{address}:{PORT}"))
}

/// A laboratory in which the kernel is the gateway; a peer on each side, which do not know each other yet.
fn peers(kinds: [Kind; 2]) -> Option<(Lab, [Peer; 2])> {
    let programs = kinds.map(Kind::programs).concat();
    let lab = gateway(&[&["ping", "curl", "busybox"], programs.as_slice()].concat())?;
    let peers =
        [(&lab.client, kinds[0]), (&lab.server, kinds[1])].map(|(host, kind)| Peer::start(host, kind, "wg0"));
    for (peer, [v4, v6]) in peers.iter().zip(ENDS) {
        peer.listen(PORT);
        peer.address(&format!("{v4}/24"));
        peer.address(&format!("{v6}/64"));
    }
    Some((lab, peers))
}

/// Has the server wait for the client, which knows where it is. Returns what they then say and do.
fn talk(kinds: [Kind; 2]) {
    let Some((lab, [a, b])) = peers(kinds) else { return };
    let key = preshared_key();
    let [here, there] = endpoints();
    let allowed = [0, 1].map(allowed);
    b.add_peer(&Remote { preshared_key: Some(&key), ..Remote::new(a.public_key(), &allowed[0]) });
    let remote = Remote {
        endpoint: Some(&there),
        preshared_key: Some(&key),
        keepalive: Some(25),
        ..Remote::new(b.public_key(), &allowed[1])
    };
    a.add_peer(&remote);
    a.wait_for_handshake(b.public_key());
    for address in ENDS[1] {
        ping_all(&lab.client, address, 3, 1300);
    }
    for address in ENDS[0] {
        ping_all(&lab.server, address, 3, 56);
    }
    let page = lab.random_file("page", 1_000_000);
    let _server = web(&lab, &lab.server, 80);
    for address in ENDS[1] {
        fetch(&lab, &lab.client, address, 80, &page);
    }

    let (of_b, of_a) = (a.show_peer(b.public_key()), b.show_peer(a.public_key()));
    assert_eq!(
        (of_b.endpoint.as_ref(), of_a.endpoint.as_ref()),
        (Some(&there), Some(&here)),
        "the server has learnt it"
    );
    assert_eq!(of_b.allowed_ips.len(), 2);
    assert_eq!((of_b.keepalive, of_a.keepalive), (Some(25), None));
    b.wait_for_handshake(a.public_key());
    assert!(of_b.received > 2_000_000 && of_a.sent > 2_000_000, "{of_a:?} {of_b:?}");

    a.remove_peer(b.public_key());
    assert!(a.show().is_empty() && !pings(&lab.client, ENDS[1][0]));
}

#[test]
fn wireguard_go_talks_with_itself() {
    talk([Kind::Go, Kind::Go]);
}

#[test]
fn wireguard_go_talks_with_boringtun() {
    talk([Kind::Go, Kind::Boringtun]);
}

#[test]
fn boringtun_talks_with_wireguard_go() {
    talk([Kind::Boringtun, Kind::Go]);
}

#[test]
fn nobody_talks_without_the_right_preshared_key() {
    let Some((lab, [a, b])) = peers([Kind::Go, Kind::Go]) else { return };
    let [_, there] = endpoints();
    let section = |peer: &Peer, end, key: &str| {
        format!(
            "[Peer]\nPublicKey = {}\nAllowedIPs = {}\nPresharedKey = {key}\n",
            peer.public_key(),
            allowed(end)
        )
    };
    let key = preshared_key();
    b.configure(&format!("ListenPort = {PORT}\n{}", section(&a, 0, &key)));
    a.configure(&format!("{}Endpoint = {there}\n", section(&b, 1, &preshared_key())));
    assert!(!pings(&lab.client, ENDS[1][0]));
    assert_eq!(a.show_peer(b.public_key()).latest_handshake, 0);
    a.configure(&format!("{}Endpoint = {there}\n", section(&b, 1, &key)));
    ping_all(&lab.client, ENDS[1][0], 2, 56);
    a.wait_for_handshake(b.public_key());
}

#[test]
fn peers_leave_nothing_behind() {
    let Some((lab, [a, b])) = peers([Kind::Go, Kind::Boringtun]) else { return };
    let hosts = [&lab.client, &lab.server];
    assert!(hosts.iter().all(|host| host.ip("-br link").contains("wg0")));
    assert!(!Path::new("/run/wireguard/wg0.sock").exists(), "it is not for the whole machine");
    let keys = a.keys().clone();
    drop([a, b]);
    assert!(!hosts.iter().any(|host| host.ip("-br link").contains("wg0")));
    let again = Peer::start_with(&lab.client, Kind::Boringtun, "wg0", keys.clone());
    assert_eq!(again.public_key(), keys.public);
}
