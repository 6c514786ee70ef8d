//! Tunnels between the client and the server, with the offloads that the kernel gives them by default: the checksums
//! inside are left to a card that is not there.

use std::fs;

use ravelin_tests::{
    echo::Echo,
    netns::Namespace,
    process::wait_for,
    topology::{CLIENT, CLIENT6, Lab, SERVER, SERVER6, ping_all, wait_for_port},
};

/// Bytes sent each way in each tunnel.
const TRANSFER: usize = 10_000_000;
/// The largest packet in a VXLAN over links with an MTU of 1500.
const MTU: usize = 1450;

/// Puts the client and the server into a VXLAN, in which they are 10.20.`number`.1 and .2, `fd20:number::1` and `::2`.
fn join(lab: &Lab, number: u8, [client, server]: [&str; 2], options: &str) {
    for (host, local, remote, own) in [(&lab.client, client, server, 1), (&lab.server, server, client, 2)] {
        let name = format!("vxlan{number}");
        host.ip(&format!(
            "link add {name} type vxlan id {number} dev eth0 local {local} remote {remote} {options}"
        ));
        host.ip(&format!("address add 10.20.{number}.{own}/24 dev {name}"));
        host.ip(&format!("address add fd20:{number}::{own}/64 dev {name} nodad"));
        host.ip(&format!("link set {name} up"));
    }
}

/// Packets that `host` dropped because a TCP or UDP checksum was wrong.
fn wrong_checksums(host: &Namespace) -> u64 {
    let table = host.run("cat /proc/net/snmp");
    let mut rows = table.lines().map(str::split_whitespace);
    let mut wrong = Vec::new();
    while let (Some(names), Some(values)) = (rows.next(), rows.next()) {
        wrong.extend(
            names.zip(values).filter(|(name, _)| *name == "InCsumErrors").map(|(_, value)| value.to_owned()),
        );
    }
    let table = host.run("cat /proc/net/snmp6");
    let row = table.lines().find_map(|line| line.strip_prefix("Udp6InCsumErrors"));
    wrong.push(row.expect("the counter").trim().to_owned());
    assert!(wrong.len() >= 3, "TCP, UDP, and UDP over IPv6: {wrong:?}");
    wrong.iter().map(|value| value.parse::<u64>().expect("a number")).sum()
}

/// Transfers both ways at once, over one connection each, that must arrive whole.
fn transfer(lab: &Lab, server: &str) {
    let (up, down) = (lab.random_file("up", TRANSFER + 1), lab.random_file("down", TRANSFER + 2));
    let mut servers = [
        lab.shell(&lab.server, &format!("nc -l {server} 9000 > up.received")),
        lab.shell(&lab.server, &format!("nc -l -N {server} 9001 < down")),
    ];
    for port in [9000, 9001] {
        wait_for_port(&lab.server, port);
    }
    let mut clients = [
        lab.shell(&lab.client, &format!("nc -N {server} 9000 < up")),
        lab.shell(&lab.client, &format!("nc -d {server} 9001 > down.received")),
    ];
    for process in servers.iter_mut().chain(&mut clients) {
        process.finish();
    }
    assert!(fs::read(lab.folder().join("up.received")).expect("a file") == up, "the upload differs");
    assert!(fs::read(lab.folder().join("down.received")).expect("a file") == down, "the download differs");
}

#[test]
fn vxlan_with_and_without_a_checksum_over_ipv4_and_ipv6() {
    let Some(lab) = Lab::new(&["ping", "nc"]) else { return };
    let ravelin = lab.ravelin("");
    join(&lab, 1, [CLIENT, SERVER], "dstport 4789");
    join(&lab, 2, [CLIENT, SERVER], "dstport 8472 noudpcsum");
    join(&lab, 3, [CLIENT6, SERVER6], "dstport 4789");
    for number in 1..=3 {
        let before = ravelin.counters()["checksums_completed"];
        let (server, server6) = (format!("10.20.{number}.2"), format!("fd20:{number}::2"));
        ping_all(&lab.client, &server, 20, 56);
        ping_all(&lab.client, &server6, 20, 1000);
        for address in [&server, &server6] {
            transfer(&lab, address);
            let echo = Echo::start(&lab, address, 4, 1000);
            wait_for("a thousand datagrams", || echo.returned() >= 1_000);
            echo.finish().assert_lossless();
        }
        let completed = ravelin.counters()["checksums_completed"] - before;
        assert!(completed > (4 * TRANSFER / MTU) as u64, "tunnel {number}: {completed} checksums completed");
    }
    ravelin.finish(&[]);
    for host in [&lab.client, &lab.server] {
        assert_eq!(wrong_checksums(host), 0, "of {}", host.name());
    }
}
