//! Who is on the links: found, followed, and missed.

use std::net::UdpSocket;

use ravelin_tests::{
    gateway::{OUTSIDE, SERVER, gateway, start},
    netns::Namespace,
    process::wait_for,
    topology::{ping_all, pings},
};

use super::{ping_says, received};

/// Has a host notice sooner than after a minute that a neighbour has gone.
fn hasten(host: &Namespace, interface: &str) {
    for family in ["ipv4", "ipv6"] {
        host.sysctl(&format!("{family}/neigh/{interface}/base_reachable_time_ms"), "1000");
        host.sysctl(&format!("{family}/neigh/{interface}/delay_first_probe_time"), "1");
        host.sysctl(&format!("{family}/neigh/{interface}/retrans_time_ms"), "200");
    }
}

#[test]
fn the_first_packets_to_a_neighbour_wait_until_it_is_found() {
    let Some(lab) = gateway(&["ping"]) else { return };
    let ravelin = start(&lab, "");
    let sinks =
        SERVER.map(|address| lab.server.inside(|| UdpSocket::bind((address, 9))).expect("the port is free"));
    for (family, address) in SERVER.into_iter().enumerate() {
        for round in 1..=5 {
            lab.appliance.ip("neighbour flush all");
            let any = ["0.0.0.0:0", "[::]:0"][family];
            let socket = lab.client.inside(|| UdpSocket::bind(any)).expect("a socket");
            for number in 0..20_u8 {
                socket.send_to(&[number; 100], (address, 9)).expect("the client may send");
            }
            let mut count = 0;
            wait_for(&format!("20 datagrams to {address} in round {round}"), || {
                count += received(&sinks[family]);
                count == 20
            });
        }
    }
    let counters = ravelin.finish(&[]);
    println!("{} packets found nobody there yet", counters["exceptions_neighbour"]);
    assert!(counters["exceptions_neighbour"] >= 10, "{counters:?}");
    assert!(counters["forwarded"] > 0, "{counters:?}");
}

#[test]
fn a_neighbour_with_another_hardware_address_is_followed() {
    let Some(lab) = gateway(&["ping"]) else { return };
    hasten(&lab.appliance, "inside");
    let ravelin = start(&lab, "");
    for (last, address) in [("01", SERVER[0]), ("02", SERVER[1])] {
        ping_all(&lab.client, address, 5, 56);
        // The server says nothing of it.
        lab.server.ip(&format!("link set eth0 address 02:00:00:00:07:{last}"));
        // Meanwhile packets go to the address that it had, until the kernel has asked in vain there.
        wait_for("the server to be found again", || pings(&lab.client, address));
        let before = ravelin.counters()["forwarded"];
        ping_all(&lab.client, address, 20, 56);
        assert!(ravelin.counters()["forwarded"] >= before + 40, "workers know the new address");
    }
    ravelin.finish(&[]);
}

#[test]
fn of_a_host_that_is_not_there_the_gateway_says_so() {
    let Some(lab) = gateway(&["ping"]) else { return };
    hasten(&lab.appliance, "inside");
    let ravelin = start(&lab, "");
    let words = ["Destination Host Unreachable", "Destination unreachable: Address unreachable"];
    for (family, nobody) in ["10.8.2.77", "fd08:2::77"].into_iter().enumerate() {
        let said = ping_says(&lab.client, nobody);
        assert!(
            said.contains(&format!("From {}", OUTSIDE[family])) && said.contains(words[family]),
            "{said}"
        );
    }
    // One that was there, and goes without a word.
    for (family, address) in SERVER.into_iter().enumerate() {
        ping_all(&lab.client, address, 5, 56);
        let length = ["24", "64"][family];
        lab.server.ip(&format!("address del {address}/{length} dev eth0"));
        wait_for("the gateway to miss the server", || {
            let said = ping_says(&lab.client, address);
            said.contains(&format!("From {}", OUTSIDE[family])) && said.contains(words[family])
        });
    }
    assert!(ravelin.finish(&[])["exceptions_neighbour"] >= 4);
}

#[test]
fn a_firewall_of_the_kernel_that_forwards_nothing_keeps_no_neighbour_from_being_found() {
    let Some(lab) = gateway(&["nft", "ping"]) else { return };
    lab.appliance.run("nft add table inet deaf");
    lab.appliance
        .run("nft add chain inet deaf forward { type filter hook forward priority 0; policy drop; }");
    let ravelin = start(&lab, "");
    for _ in 0..3 {
        lab.appliance.ip("neighbour flush all");
        for address in SERVER {
            wait_for("the server to be found", || pings(&lab.client, address));
            ping_all(&lab.client, address, 10, 56);
        }
    }
    let counters = ravelin.finish(&[]);
    assert!(counters["exceptions_neighbour"] >= 2, "{counters:?}");
    assert!(counters["forwarded"] >= 120, "{counters:?}");
}
