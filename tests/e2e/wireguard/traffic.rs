//! What goes through tunnels: of several workers, under policies, and as long as it may be.

use ravelin_tests::{
    echo::Echo,
    gateway::{OUTSIDE, SERVER, start},
    process::{attempt, wait_for},
    topology::{ping_all, pings, wait_for_port},
    wireguard::Kind,
};

use super::tunnel::{OURS, PORT, THEIRS, Tunnel};
use crate::routing::{fetch, is_shut, web};

#[test]
fn two_workers_have_a_peer_each_and_lose_nothing() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let client = &tunnel.lab.client;
    let other = tunnel.other(3);
    let ravelin = tunnel.start(&(other.section("") + "[workers]\ncores = [0, 1]\n"));
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    other.tell(&tunnel.keys.public);
    ping_all(client, SERVER[0], 3, 56);
    assert!(other.pings(client));
    let (v4, v6) = (Echo::start(&tunnel.lab, SERVER[0], 8, 400), Echo::start(&tunnel.lab, SERVER[1], 8, 400));
    wait_for("packets through the tunnel", || v4.returned() > 3_000 && v6.returned() > 3_000);
    for address in [THEIRS[0], THEIRS[1], "10.9.0.3"] {
        ping_all(&tunnel.lab.server, address, 20, 1300);
        ping_all(&tunnel.lab.appliance, address, 20, 1300);
    }
    assert!(other.pings(client));
    v4.finish().assert_lossless();
    v6.finish().assert_lossless();
    let workers: Vec<_> =
        ["client", "wg3"].map(|name| super::tunnel::shown(&ravelin, name)["worker"].clone()).into();
    assert_ne!(workers[0], workers[1], "each has a peer");
    let counters = ravelin.finish(&[]);
    assert!(counters.workers("wireguard_opened").iter().all(|opened| *opened > 0), "{counters:?}");
}

/// A policy of the server, with an ingress rule about flows to port 80 from `source`.
fn governed(source: &str) -> String {
    format!(
        r#"
[[endpoint]]
name = "server"
addresses = ["10.8.2.2", "fd08:2::2"]
profiles = ["default-allow"]

[[policy]]
name = "guard"
types = ["ingress"]
[[policy.ingress]]
action = "allow"
protocol = "tcp"
{source}
destination = {{ ports = [80] }}
"#
    )
}

#[test]
fn rules_ask_for_the_zone_of_a_tunnel_and_for_labels_of_a_peer() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let lab = &tunnel.lab;
    let page = lab.random_file("page", 100_000);
    let _servers = [web(lab, &lab.server, 80), web(lab, &lab.server, 81)];
    let section = tunnel.section("labels = { team = \"red\" }\n");
    let section = section.replacen("listen_port", "zone = \"vpn\"\nlisten_port", 1);
    let config = |source: &str| format!("{section}{}", governed(source));
    let ravelin = start(lab, &config("source.zones = [\"vpn\"]"));
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    let interfaces = ["outside", "inside"].map(|name| ravelin_tests::gateway::routes(name, "")).concat();
    for (source, is_let_in) in [
        ("source.zones = [\"vpn\"]", true),
        ("source.selector = \"ravelin.io/peer == 'client'\"", true),
        ("source.selector = \"ravelin.io/peer == 'another'\"", false),
        ("source.selector = \"team == 'red'\"", true),
        ("source.selector = \"team == 'blue'\"", false),
    ] {
        ravelin.rewrite(&format!("{interfaces}{}", config(source)));
        ravelin.reload().expect("a good configuration is taken");
        for address in SERVER {
            if is_let_in {
                fetch(lab, &lab.client, address, 80, &page);
            } else {
                assert!(is_shut(&lab.client, address, 80), "{source}");
            }
            assert!(is_shut(&lab.client, address, 81), "{source}");
        }
        assert!(is_shut(&lab.appliance, THEIRS[0], 1), "nobody listens there");
    }
    let flow = ravelin.wait_for_flow(&format!("--src {} --port 80", THEIRS[0]), |_| true);
    assert!(flow.to_string().contains("\"wg0\""), "{flow}");
    assert!(ravelin.ask(&["show", "flows"]).expect("flows").contains("wg0"));
    ravelin.finish(&["default_deny", "flow_cut"]);
}

#[test]
fn what_fits_passes_and_of_the_rest_its_sender_is_told() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let lab = &tunnel.lab;
    let ravelin = tunnel.start("");
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    assert!(pings(&lab.client, OURS[0]));
    // First, while the hosts have not been told how long packets may be.
    let page = lab.random_file("page", 3_000_000);
    let _server = web(lab, &lab.client, 8080);
    wait_for_port(&lab.client, 8080);
    for address in THEIRS {
        fetch(lab, &lab.server, address, 8080, &page);
    }
    let inside = ravelin_tests::gateway::INSIDE;
    for (family, headers) in [(0, 28), (1, 48)] {
        // All lengths of the padding, and the longest packet.
        for length in 1420 - 17..=1420 {
            lab.server.run(&format!(
                "ping -n -q -c 1 -W 60 -M do -s {} {}",
                length - headers,
                THEIRS[family]
            ));
        }
        let line = format!("ping -n -c 1 -W 5 -M do -s {} {}", 1421 - headers, THEIRS[family]);
        let (_, out, error) = attempt(&mut lab.server.split(&line));
        let said = out + &error;
        assert!(said.contains(&format!("From {}", inside[family])) && said.contains("1420"), "{said}");
    }
    let counters = ravelin.finish(&[]);
    assert!(counters["exceptions_too_long"] >= 2, "{counters:?}");
    assert!(counters["mss_clamped"] >= 2, "{counters:?}");
}

#[test]
fn what_is_in_fragments_outside_is_whole_inside() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    tunnel.lab.client.ip("link set eth0 mtu 1280");
    tunnel.lab.appliance.ip("link set outside mtu 1280");
    // Longer than the way to the peer leaves, as if nobody had looked.
    let section = tunnel.section("").replacen("listen_port", "mtu = 1420\nlisten_port", 1);
    let ravelin = start(&tunnel.lab, &section);
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    for address in [SERVER, OURS].concat() {
        ping_all(&tunnel.lab.client, address, 5, 1300);
        ping_all(&tunnel.lab.client, address, 5, 56);
    }
    let counters = ravelin.finish(&[]);
    assert!(counters["wireguard_through_kernel"] >= 20, "{counters:?}");
}

#[test]
fn packets_inside_are_as_long_as_the_way_to_the_peer_leaves() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let lab = &tunnel.lab;
    let ravelin = tunnel.start(&format!("endpoint = \"10.8.1.2:{PORT}\"\n"));
    tunnel.tell_peer(None);
    let is_at = |mtu: &str| lab.appliance.ip("link show wg0").contains(&format!("mtu {mtu} "));
    wait_for("what a link of 1500 bytes leaves", || is_at("1420"));
    ping_all(&lab.server, THEIRS[0], 3, 1392);

    lab.appliance.ip("route replace 10.8.1.0/24 dev outside src 10.8.1.1 mtu 1400");
    wait_for("what a route with less leaves", || is_at("1320"));
    let ping = format!("ping -n -q -c 1 -W 2 -M do -s 1300 {}", THEIRS[0]);
    assert!(!lab.server.succeeds(&ping), "it is too long now");
    let route = lab.server.ip(&format!("route get {}", THEIRS[0]));
    assert!(route.contains("mtu 1320"), "{route}");
    let before = ravelin.counters()["wireguard_through_kernel"];
    ping_all(&lab.server, THEIRS[0], 3, 1292);
    ping_all(&lab.server, THEIRS[1], 3, 1200);
    let counters = ravelin.finish(&[]);
    assert_eq!(counters["wireguard_through_kernel"], before, "messages fit the way: {counters:?}");
}
