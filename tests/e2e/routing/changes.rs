//! Routes, addresses and links change while packets go.

use ravelin_tests::{
    echo::Echo,
    gateway::{SERVER, batch, gateway, start},
    process::wait_for,
    topology::{ping_all, pings},
};

use super::{fetch, ping_says, web};

const ROUTES: usize = 10_000;

fn prefix(number: usize) -> String {
    format!("20.{}.{}.0/24", number / 256, number % 256)
}

#[test]
fn ten_thousand_routes_come_and_go_and_no_packet_is_lost() {
    let Some(lab) = gateway(&["ping"]) else { return };
    // At the end of the last route.
    let last = prefix(ROUTES - 1).replace(".0/24", ".1");
    lab.server.ip(&format!("address add {last}/32 dev lo"));
    let ravelin = start(&lab, "");
    let (v4, v6) = (Echo::start(&lab, SERVER[0], 8, 400), Echo::start(&lab, SERVER[1], 8, 400));
    wait_for("packets", || v4.returned() > 100 && v6.returned() > 100);
    for _ in 0..2 {
        batch(
            &lab.appliance,
            (0..ROUTES).map(|number| format!("route add {} via {}", prefix(number), SERVER[0])),
        );
        let before = ravelin.counters()["exceptions_route"];
        wait_for("the last route to be followed", || pings(&lab.client, &last));
        ping_all(&lab.client, &last, 5, 56);
        println!("{} packets were the kernel's", ravelin.counters()["exceptions_route"] - before);
        batch(&lab.appliance, (0..ROUTES).map(|number| format!("route del {}", prefix(number))));
        wait_for("the last route to be gone", || {
            ping_says(&lab.client, &last).contains("Destination Net Unreachable")
        });
        let (before4, before6) = (v4.returned(), v6.returned());
        wait_for("packets to go on", || v4.returned() > before4 + 100 && v6.returned() > before6 + 100);
    }
    v4.finish().assert_lossless();
    v6.finish().assert_lossless();
    // A request over a route that workers do not know yet is the kernel's; its answer comes from where they know no way to.
    ravelin.finish(&["reverse_path"]);
}

#[test]
fn addresses_of_the_host_come_and_go() {
    let Some(lab) = gateway(&["busybox", "curl", "ping"]) else { return };
    let page = lab.random_file("page", 100_000);
    let _servers = [22, 80].map(|port| web(&lab, &lab.appliance, port));
    let ravelin = start(&lab, "");
    for (address, length, gone) in [
        ("10.77.0.1", 32, "Destination Net Unreachable"),
        ("fd77::1", 128, "Destination unreachable: No route"),
    ] {
        assert!(ping_says(&lab.client, address).contains(gone));
        for _ in 0..2 {
            lab.appliance.ip(&format!("address add {address}/{length} dev lo"));
            wait_for("the new address to be reached", || pings(&lab.client, address));
            let before = ravelin.counters()["local"];
            ping_all(&lab.client, address, 10, 56);
            assert!(ravelin.counters()["local"] >= before + 10);
            [22, 80].iter().for_each(|port| fetch(&lab, &lab.client, address, *port, &page));
            lab.appliance.ip(&format!("address del {address}/{length} dev lo"));
            wait_for("the address to be gone", || ping_says(&lab.client, address).contains(gone));
        }
    }
    ravelin.finish(&[]);
}

#[test]
fn an_interface_goes_down_and_comes_back() {
    let Some(lab) = gateway(&["ping"]) else { return };
    lab.appliance.sysctl("ipv6/conf/inside/keep_addr_on_down", "1");
    let ravelin = start(&lab, "");
    for _ in 0..3 {
        SERVER.iter().for_each(|address| drop(ping_all(&lab.client, address, 5, 56)));
        lab.appliance.ip("link set inside down");
        for (address, gone) in
            SERVER.iter().zip(["Destination Net Unreachable", "Destination unreachable: No route"])
        {
            wait_for("the gateway to have no route", || ping_says(&lab.client, address).contains(gone));
        }
        lab.appliance.ip("link set inside up");
        SERVER.iter().for_each(|address| wait_for("packets to go on", || pings(&lab.client, address)));
        let before = ravelin.counters()["forwarded"];
        SERVER.iter().for_each(|address| drop(ping_all(&lab.client, address, 20, 56)));
        assert!(ravelin.counters()["forwarded"] >= before + 80, "workers forward again");
    }
    ravelin.finish(&["transmit_down", "no_destination", "reverse_path"]);
}

#[test]
fn a_link_whose_mtu_changes_loses_nothing_that_fits() {
    let Some(lab) = gateway(&["ping"]) else { return };
    let ravelin = start(&lab, "");
    let (v4, v6) = (Echo::start(&lab, SERVER[0], 8, 1200), Echo::start(&lab, SERVER[1], 8, 1200));
    for mtu in [1280, 1400, 1300, 1500] {
        lab.appliance.ip(&format!("link set inside mtu {mtu}"));
        if mtu < 1500 {
            // As long as the client has not learnt it.
            lab.client.ip("route flush cache");
            wait_for("the gateway to know the new MTU", || {
                ping_says(&lab.client, &format!("-M do -s 1472 {}", SERVER[0]))
                    .contains(&format!("mtu = {mtu}"))
            });
        }
        let (before4, before6) = (v4.returned(), v6.returned());
        wait_for("packets to go on", || v4.returned() > before4 + 200 && v6.returned() > before6 + 200);
    }
    lab.client.ip("route flush cache");
    lab.client.run(&format!("ping -n -c 1 -W 60 -M do -s 1472 {}", SERVER[0]));
    v4.finish().assert_lossless();
    v6.finish().assert_lossless();
    assert!(ravelin.finish(&[])["exceptions_too_long"] >= 3);
}
