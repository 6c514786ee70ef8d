//! Which way packets take: several next hops, routes that refuse, and the way back.

use std::net::{SocketAddr, UdpSocket};

use ravelin_tests::{
    gateway::{CLIENT, OUTSIDE, SERVER, gateway, give, routes, start, start_with},
    netns::Namespace,
    process::wait_for,
    ravelin::Ravelin,
    topology::{Lab, Links, connect, pings},
};

use super::{ping_says, received};

/// An address behind both links to the server.
const BEHIND: [&str; 2] = ["10.50.0.1", "fd50::1"];

/// A second link to the server, and routes over both to what is behind it.
fn two_ways(lab: &Lab) {
    connect(&lab.server, "eth1", &lab.appliance, "inside2", Links::default());
    give(&lab.server, "eth1", ["10.8.3.2", "fd08:3::2"]);
    give(&lab.appliance, "inside2", ["10.8.3.1", "fd08:3::1"]);
    lab.server.sysctl("ipv4/conf/all/rp_filter", "0");
    lab.server.sysctl("ipv4/conf/eth1/rp_filter", "0");
    for (family, [one, other], length) in
        [(0, [SERVER[0], "10.8.3.2"], 32), (1, [SERVER[1], "fd08:3::2"], 128)]
    {
        let to = BEHIND[family];
        lab.server.ip(&format!("address add {to}/{length} dev lo"));
        lab.appliance.ip(&format!(
            "route add {to}/{length} nexthop via {one} dev inside nexthop via {other} dev inside2"
        ));
    }
}

/// Packets that an interface has received.
fn packets(host: &Namespace, interface: &str) -> u64 {
    let table = host.run("cat /proc/net/dev");
    let line = table
        .lines()
        .find_map(|line| line.trim().strip_prefix(&format!("{interface}:")))
        .expect("it is there");
    line.split_whitespace().nth(1).and_then(|count| count.parse().ok()).expect("a count")
}

/// A socket with the client's address that `address` says.
fn client(lab: &Lab, address: &str) -> UdpSocket {
    let address = SocketAddr::new(address.parse().expect("an address"), 0);
    lab.client.inside(|| UdpSocket::bind(address)).expect("the address is the client's")
}

#[test]
fn flows_are_shared_among_next_hops_and_each_keeps_its_own() {
    let Some(lab) = gateway(&["ping"]) else { return };
    two_ways(&lab);
    let ravelin = start(&lab, &routes("inside2", ""));
    for (family, to) in BEHIND.into_iter().enumerate() {
        let sink = lab.server.inside(|| UdpSocket::bind((to, 9))).expect("the port is free");
        let any = ["0.0.0.0", "::"][family];
        let sockets: Vec<UdpSocket> = (0..300).map(|_| client(&lab, any)).collect();
        // Neighbours are found; from now on workers forward.
        for way in [[SERVER[0], "10.8.3.2"], [SERVER[1], "fd08:3::2"]][family] {
            assert!(pings(&lab.client, way));
        }
        let before = packets(&lab.server, "eth0");
        let mut count = 0;
        for socket in &sockets {
            socket.send_to(b"one of many", (to, 9)).expect("the client may send");
        }
        wait_for("all flows to arrive", || {
            count += received(&sink);
            count == sockets.len()
        });
        let share = packets(&lab.server, "eth0") - before;
        println!("{share} of 300 flows to {to} over the first link");
        assert!((90..=210).contains(&share), "{share} of 300 over the first link");

        let before = ["eth0", "eth1"].map(|link| packets(&lab.server, link));
        let mut count = 0;
        for _ in 0..100 {
            sockets[0].send_to(b"one of a flow", (to, 9)).expect("the client may send");
        }
        wait_for("the flow to arrive", || {
            count += received(&sink);
            count == 100
        });
        let after = ["eth0", "eth1"].map(|link| packets(&lab.server, link));
        let most = (after[0] - before[0]).max(after[1] - before[1]);
        let least = (after[0] - before[0]).min(after[1] - before[1]);
        assert!(
            most >= 100 && least < 20,
            "{most} packets of one flow over one link, {least} over the other"
        );
    }
    assert!(ravelin.finish(&[])["forwarded"] >= 800);
}

#[test]
fn routes_that_refuse_say_so_but_a_blackhole_says_nothing() {
    let Some(lab) = gateway(&["ping"]) else { return };
    lab.appliance.sysctl("ipv4/icmp_ratelimit", "0");
    lab.appliance.sysctl("ipv6/icmp/ratelimit", "0");
    for (kind, net) in [("blackhole", 1), ("unreachable", 2), ("prohibit", 3)] {
        lab.appliance.ip(&format!("route add {kind} 10.60.{net}.0/24"));
        lab.appliance.ip(&format!("-6 route add {kind} fd60:{net}::/64"));
    }
    let ravelin = start(&lab, "");
    for (address, words) in [
        ("10.60.2.1", "Destination Host Unreachable"),
        ("10.60.3.1", "Packet filtered"),
        ("10.60.4.1", "Destination Net Unreachable"),
        ("fd60:2::1", "Destination unreachable: No route"),
        ("fd60:3::1", "Destination unreachable: Administratively prohibited"),
        ("fd60:4::1", "Destination unreachable: No route"),
    ] {
        let said = ping_says(&lab.client, address);
        let gateway = OUTSIDE[usize::from(address.contains(':'))];
        assert!(said.contains(&format!("From {gateway}")) && said.contains(words), "{address}: {said}");
    }
    for address in ["10.60.1.1", "fd60:1::1"] {
        let said = ping_says(&lab.client, &format!("-W 1 {address}"));
        assert!(!said.contains("From") && said.contains("100% packet loss"), "{said}");
    }
    let counters = ravelin.finish(&["route_blackhole"]);
    assert_eq!((counters.dropped("route_blackhole"), counters["exceptions_route"]), (2, 6));
}

/// Sends a datagram from each of these addresses of the client to the server, and says of which one came.
fn arrive(lab: &Lab, ravelin: &Ravelin, from: &[&str]) -> Vec<bool> {
    let arrives = |from: &&str| {
        let to = SERVER[usize::from(from.contains(':'))];
        let sink = lab.server.inside(|| UdpSocket::bind((to, 9))).expect("the port is free");
        let seen = |ravelin: &Ravelin| {
            let counters = ravelin.counters();
            counters["forwarded"] + counters.dropped("reverse_path") + counters.dropped("martian")
        };
        let before = seen(ravelin);
        client(lab, from).send_to(b"from elsewhere", (to, 9)).expect("the client may send");
        wait_for(&format!("the datagram from {from} to be judged"), || seen(ravelin) > before);
        // It is on its way, if it is.
        wait_for("the datagram", || pings(&lab.client, to));
        received(&sink) > 0
    };
    from.iter().map(arrives).collect()
}

/// The client has addresses of its own, of a network that is routed elsewhere, and of one that nobody knows.
fn spoof(lab: &Lab) -> [&'static str; 6] {
    for (elsewhere, nowhere, length) in [("10.70.0.1", "10.71.0.1", 32), ("fd70::1", "fd71::1", 128)] {
        for address in [elsewhere, nowhere] {
            lab.client.ip(&format!("address add {address}/{length} dev lo"));
        }
        let via = SERVER[usize::from(length == 128)];
        lab.appliance.ip(&format!("route add {elsewhere}/{length} via {via}"));
    }
    lab.server.sysctl("ipv4/conf/all/rp_filter", "0");
    lab.server.sysctl("ipv4/conf/eth0/rp_filter", "0");
    for address in SERVER {
        assert!(pings(&lab.client, address));
    }
    [CLIENT[0], "10.70.0.1", "10.71.0.1", CLIENT[1], "fd70::1", "fd71::1"]
}

#[test]
fn a_source_has_to_be_where_it_comes_from_as_strictly_as_is_asked() {
    let Some(lab) = gateway(&["ping"]) else { return };
    let sources = spoof(&lab);
    for (mode, passes) in
        [("strict", [true, false, false]), ("loose", [true, true, false]), ("off", [true, true, true])]
    {
        let ravelin = start_with(&lab, &format!("reverse_path = \"{mode}\""), "");
        for address in SERVER {
            assert!(pings(&lab.client, address));
        }
        assert_eq!(arrive(&lab, &ravelin, &sources), [passes, passes].concat(), "{mode}");
        let dropped = 2 * passes.iter().filter(|passes| !**passes).count() as u64;
        assert_eq!(ravelin.finish(&["reverse_path"]).dropped("reverse_path"), dropped, "{mode}");
    }
}

#[test]
fn what_comes_from_nowhere_on_earth_goes_nowhere() {
    let Some(lab) = gateway(&["ping"]) else { return };
    lab.client.sysctl("ipv4/conf/all/route_localnet", "1");
    // Not even if nobody asks for the way back.
    let ravelin = start_with(&lab, "reverse_path = \"off\"", "");
    for address in SERVER {
        assert!(pings(&lab.client, address));
    }
    lab.client.ip("address add 240.0.0.1/32 dev lo");
    lab.client.ip("address add 0.1.2.3/32 dev lo");
    let sources = ["127.0.0.1", "240.0.0.1", "0.1.2.3"];
    assert_eq!(arrive(&lab, &ravelin, &sources), [false; 3]);
    assert_eq!(ravelin.finish(&["martian"]).dropped("martian"), 3);
}
