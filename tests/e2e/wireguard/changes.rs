//! Tunnels under changes: another configuration, another address of a peer, another process of the gateway.

use std::fs;

use ravelin_tests::{
    echo::Echo,
    gateway::{OUTSIDE, SERVER},
    process::wait_for,
    topology::{ping_all, pings},
    wireguard::{Kind, Remote},
};

use super::tunnel::{OURS, PORT, THEIRS, Tunnel, secret, shown};

#[test]
fn a_reload_leaves_alone_whom_it_does_not_concern() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let client = &tunnel.lab.client;
    let (leaver, mover, newcomer) = (tunnel.other(3), tunnel.other(4), tunnel.other(5));
    let ravelin = tunnel.start(&(leaver.section("") + &mover.section("")));
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    [&leaver, &mover, &newcomer].iter().for_each(|other| other.tell(&tunnel.keys.public));
    ping_all(client, SERVER[0], 1, 56);
    assert!(leaver.pings(client) && mover.pings(client));
    let before = shown(&ravelin, "client");
    let echo = Echo::start(&tunnel.lab, SERVER[0], 4, 300);
    wait_for("traffic", || echo.returned() > 100);

    // Who moves is elsewhere, has another address inside, and waits to be spoken to.
    mover.peer.listen(PORT + 14);
    mover.address(client, "10.9.0.14");
    let endpoint = format!("endpoint = \"10.8.1.2:{}\"", PORT + 14);
    let changed = newcomer.section("") + &mover.section_with("10.9.0.14/32", &endpoint);
    ravelin.rewrite(&tunnel.config(&changed));
    ravelin.reload().expect("a good configuration is taken");
    ping_all(&tunnel.lab.appliance, "10.9.0.14", 3, 56);
    assert_eq!(shown(&ravelin, "wg4")["endpoint"], format!("10.8.1.2:{}", PORT + 14));
    assert!(newcomer.pings(client));
    assert!(!leaver.pings(client));

    let wrong = "no key but a secret";
    secret(&tunnel.lab, "wg0.key", wrong);
    let error = ravelin.reload().expect_err("this is no key");
    assert!(error.contains("wg0.key") && !error.contains(wrong), "{error}");
    assert!(newcomer.pings(client));
    secret(&tunnel.lab, "wg0.key", &tunnel.keys.private);
    ravelin.reload().expect("the key is back");

    let seen = echo.returned();
    wait_for("traffic after the last reload", || echo.returned() > seen + 100);
    echo.finish().assert_lossless();
    let after = shown(&ravelin, "client");
    for what in ["latest_handshake", "endpoint", "session"] {
        assert!(before.get(what).is_some() && before[what] == after[what], "{what}: {before}\n{after}");
    }
    let counters = ravelin.finish(&["wireguard_unknown_index", "wireguard_source_not_allowed"]);
    assert!(counters.dropped("wireguard_unknown_index") > 0, "{counters:?}");
}

#[test]
fn a_peer_is_followed_to_another_port_and_another_address() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let client = &tunnel.lab.client;
    let ravelin = tunnel.start("");
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    ping_all(client, SERVER[0], 3, 56);
    let before = shown(&ravelin, "client");
    assert_eq!(
        (&before["endpoint"], &before["counters"]["roams"]),
        (&format!("10.8.1.2:{PORT}").into(), &0.into())
    );

    tunnel.peer.listen(PORT + 1);
    ping_all(client, SERVER[0], 3, 56);
    assert_eq!(shown(&ravelin, "client")["endpoint"], format!("10.8.1.2:{}", PORT + 1));

    // A network of its own, whose route stays when the other goes.
    client.ip("address add 10.8.1.77/25 dev eth0");
    client.ip("address del 10.8.1.2/24 dev eth0");
    // wireguard-go goes on from the old address until it has heard of the change.
    wait_for("the peer to send from its new address", || pings(client, SERVER[0]));
    ping_all(client, SERVER[0], 3, 56);
    // It is found there as well.
    ping_all(&tunnel.lab.server, THEIRS[0], 3, 56);
    let after = shown(&ravelin, "client");
    assert_eq!(after["endpoint"], format!("10.8.1.77:{}", PORT + 1));
    assert_eq!(after["counters"]["roams"], 2, "{after}");
    ravelin.finish(&[]);
}

#[test]
fn tunnels_come_back_by_themselves_after_a_kill_and_nothing_leaves_in_the_clear() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let lab = &tunnel.lab;
    let more = format!("endpoint = \"10.8.1.2:{PORT}\"\npersistent_keepalive = 1\n");
    // What neither end would say outside the tunnel.
    let inner = "net 10.9.0.0/24 or net 10.8.2.0/24 or net fd09::/64 or net fd08:2::/64";
    let mut clear =
        lab.shell(&lab.client, &format!("exec tcpdump -i eth0 -n -U -Z root -w clear.pcap '{inner}'"));
    clear.wait_for_output("listening on eth0");
    let ravelin = tunnel.start(&more);
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    tunnel.peer.add_peer(&Remote {
        keepalive: Some(1),
        preshared_key: Some(&tunnel.preshared),
        ..Remote::new(&tunnel.keys.public, "10.9.0.0/24,10.8.2.0/24,fd09::/64,fd08:2::/64")
    });
    ping_all(&lab.client, SERVER[0], 3, 56);
    let mut asked = lab.spawn(&lab.server, &format!("ping -n -i 0.1 {}", THEIRS[0]));
    asked.wait_for_output("icmp_seq=3");
    ravelin.kill();
    assert!(!pings(&lab.client, OURS[0]), "nobody is there to decrypt");
    let ravelin = tunnel.start(&more);
    ravelin.wait_for_counters("traffic to come back", |counters| counters["wireguard_opened"] > 10);
    ping_all(&lab.client, SERVER[0], 3, 56);
    ping_all(&lab.server, THEIRS[0], 3, 56);
    asked.signal(rustix::process::Signal::INT);
    asked.wait();
    clear.signal(rustix::process::Signal::INT);
    clear.finish();
    let length = fs::metadata(lab.folder().join("clear.pcap")).expect("tcpdump wrote it").len();
    assert_eq!(length, 24, "something left in the clear");
    // Messages under sessions of the process that is gone.
    ravelin.finish(&["wireguard_unknown_index", "wireguard_no_session", "wireguard_handshake_failed"]);
}
