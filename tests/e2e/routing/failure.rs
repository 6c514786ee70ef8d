//! The gateway's process dies, starts again, or stops in order.

use ravelin_tests::{
    gateway::{CLIENT, INSIDE, OUTSIDE, SERVER, gateway, start, start_with},
    process::wait_for,
    topology::{Lab, ping_all, pings},
};

use super::{fetch, is_shut, web};

const CLOSED: &str = "fail = \"closed\"";

/// What a process may leave behind, in the words of `ip` and `tc`.
fn traces(lab: &Lab) -> Vec<String> {
    let links = lab.appliance.ip("-o link");
    let names = links.lines().filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned);
    let programs = ["outside", "inside"].into_iter().flat_map(|name| {
        let xdp = lab.appliance.ip(&format!("-details link show dev {name}")).contains("prog/xdp");
        let offloads = lab.appliance.run(&format!("ethtool --show-features {name}"));
        let filters = lab.appliance.run(&format!("tc filter show dev {name} egress"));
        [format!("{name} xdp {xdp}"), offloads, filters]
    });
    names.chain(programs).collect()
}

fn has_pair(lab: &Lab) -> bool {
    let links = lab.appliance.ip("-o link");
    let ends = ["rvln-port", "rvln-host"].map(|name| links.contains(name));
    assert_eq!(ends[0], ends[1], "{links}");
    ends[0]
}

#[test]
fn killed_while_open_the_kernel_goes_on_and_a_restart_takes_over() {
    let Some(lab) = gateway(&["ping"]) else { return };
    let first = start(&lab, "");
    let mut running = lab.spawn(&lab.client, &format!("ping -n -i 0.02 {}", SERVER[0]));
    running.wait_for_output("icmp_seq=20");
    first.kill();
    let replies = running.output().lines().count();
    wait_for("ping to go on through the kernel", || running.output().lines().count() > replies + 20);
    for address in SERVER.into_iter().chain(OUTSIDE).chain(INSIDE) {
        ping_all(&lab.client, address, 10, 1400);
    }
    let second = start(&lab, "");
    second.wait_for_counters("packets", |counters| counters["forwarded"] > 50);
    drop(running);
    ping_all(&lab.client, SERVER[0], 20, 56);
    ping_all(&lab.client, OUTSIDE[0], 20, 56);
    assert!(second.finish(&[])["local"] >= 20);
    assert!(!has_pair(&lab));
}

#[test]
fn killed_while_closed_the_host_remains_but_nothing_goes_through() {
    let Some(lab) = gateway(&["busybox", "curl", "ping"]) else { return };
    let page = lab.random_file("page", 200_000);
    let _servers = [22, 80].map(|port| web(&lab, &lab.appliance, port));
    let first = start_with(&lab, CLOSED, "");
    ping_all(&lab.client, SERVER[0], 5, 56);
    fetch(&lab, &lab.client, OUTSIDE[0], 80, &page);
    first.kill();
    for family in 0..2 {
        assert!(!pings(&lab.client, SERVER[family]), "a closed gateway passed a ping");
        assert!(!pings(&lab.server, CLIENT[family]), "a closed gateway passed a ping");
        assert!(is_shut(&lab.client, OUTSIDE[family], 80), "a closed gateway can be reached");
        fetch(&lab, &lab.client, OUTSIDE[family], 22, &page);
        fetch(&lab, &lab.client, INSIDE[family], 22, &page);
        ping_all(&lab.appliance, CLIENT[family], 10, 56);
        ping_all(&lab.appliance, SERVER[family], 10, 1400);
    }
    // As one who was never there before.
    for (host, neighbour) in [(&lab.client, OUTSIDE), (&lab.server, INSIDE)] {
        host.ip("neighbour flush all");
        fetch(&lab, host, neighbour[0], 22, &page);
        fetch(&lab, host, neighbour[1], 22, &page);
    }
    let second = start_with(&lab, CLOSED, "");
    ping_all(&lab.client, SERVER[0], 5, 56);
    fetch(&lab, &lab.client, OUTSIDE[0], 80, &page);
    assert!(second.finish(&[])["forwarded"] >= 10);
    ping_all(&lab.client, SERVER[0], 5, 56);
}

#[test]
fn a_clean_stop_leaves_nothing() {
    let Some(lab) = gateway(&["ping", "tc"]) else { return };
    let before = traces(&lab);
    let ravelin = start(&lab, "");
    assert!(has_pair(&lab) && traces(&lab) != before);
    ping_all(&lab.client, SERVER[0], 5, 56);
    ravelin.finish(&[]);
    assert_eq!(traces(&lab), before);
    ping_all(&lab.client, SERVER[0], 5, 56);
}

#[test]
fn detach_removes_what_a_killed_process_left() {
    let Some(lab) = gateway(&["ping", "tc"]) else { return };
    let before = traces(&lab);
    start_with(&lab, CLOSED, "").kill();
    assert!(has_pair(&lab) && traces(&lab) != before);
    assert!(!pings(&lab.client, SERVER[0]));
    let done = lab.detach(&[]);
    assert!(
        done.contains("inside: the XDP program (native) is removed; the tc program is removed"),
        "{done}"
    );
    assert_eq!(traces(&lab), before);
    ping_all(&lab.client, SERVER[0], 5, 56);
    assert_eq!(lab.detach(&[]), "no interface had a program of ravelin's to remove\n");
}
