//! What people do all day, with the links' offloads as the kernel has them by default.

use std::fs;

use ravelin_tests::{
    netns::Namespace,
    process::run,
    topology::{CLIENT, Lab, SERVER, SERVER6, ping_all, wait_for_port},
};
use serde_json::Value;

#[test]
fn ping_over_ipv4_and_ipv6() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("");
    ping_all(&lab.client, SERVER, 50, 56);
    ping_all(&lab.client, SERVER6, 50, 56);
    ping_all(&lab.server, CLIENT, 50, 56);
    let flow = ravelin.wait_for_flow(&format!("--dst {SERVER}"), |flow| flow["proto"] == "icmp");
    assert_eq!((&flow["packets"], &flow["src"]), (&serde_json::json!([50, 50]), &CLIENT.into()));
    ravelin.finish(&[]);
}

#[test]
fn a_download_of_100_megabytes_arrives_whole() {
    let Some(lab) = Lab::new(&["busybox", "curl"]) else { return };
    let ravelin = lab.ravelin("");
    let sent = lab.random_file("large", 100_000_000);
    let folder = lab.folder().display();
    let _server = lab.serve(&lab.server, 80, &format!("busybox httpd -f -p 80 -h {folder}"));
    for (host, name) in [(SERVER.to_owned(), "v4"), (format!("[{SERVER6}]"), "v6")] {
        lab.client.run(&format!("curl --silent --fail --output {folder}/{name} http://{host}/large"));
        let received = fs::read(lab.folder().join(name)).expect("curl wrote a file");
        assert!(received == sent, "{name}: {} bytes arrived, or other ones", received.len());
    }
    let flow = ravelin.wait_for_flow("--port 80", |_| true);
    assert!(flow["bytes"][1].as_u64() > Some(100_000_000), "{flow}");
    assert!(flow["rtt_us"].as_u64() > Some(0), "{flow}");
    let counters = ravelin.finish(&[]);
    assert!(counters["checksums_completed"] > 0, "veth links leave checksums to the card");
}

#[test]
fn netcat_carries_both_directions_at_once() {
    let Some(lab) = Lab::new(&["nc"]) else { return };
    let ravelin = lab.ravelin("");
    let up = lab.random_file("up", 20_000_001);
    let down = lab.random_file("down", 30_000_003);
    // One connection for each direction: what netcat does when only one side of a connection has ended differs.
    let mut servers =
        [lab.shell(&lab.server, "nc -l 9000 > up.received"), lab.shell(&lab.server, "nc -l -N 9001 < down")];
    for port in [9000, 9001] {
        wait_for_port(&lab.server, port);
    }
    let mut clients = [
        lab.shell(&lab.client, &format!("nc -N {SERVER} 9000 < up")),
        lab.shell(&lab.client, &format!("nc -d {SERVER} 9001 > down.received")),
    ];
    for process in servers.iter_mut().chain(&mut clients) {
        process.finish();
    }
    assert!(fs::read(lab.folder().join("up.received")).expect("a file") == up, "the upload differs");
    assert!(fs::read(lab.folder().join("down.received")).expect("a file") == down, "the download differs");
    ravelin.finish(&[]);
}

/// Runs the client of iperf3 and returns its report.
fn iperf(lab: &Lab, arguments: &str) -> Value {
    let mut server = lab.serve(&lab.server, 5201, "iperf3 --server --one-off");
    let report = run(&mut lab.client.split(&format!("iperf3 --client {SERVER} --json {arguments}")));
    server.finish();
    serde_json::from_str(&report).expect("iperf3 prints JSON")
}

#[test]
fn iperf3_over_tcp_both_ways() {
    let Some(lab) = Lab::new(&["iperf3"]) else { return };
    let ravelin = lab.ravelin("");
    for direction in ["", "--reverse"] {
        let report = iperf(&lab, &format!("--time 3 {direction}"));
        let rate = report["end"]["sum_received"]["bits_per_second"].as_f64().expect("a rate");
        println!("TCP {direction}: {:.0} Mbit/s (veth, copy mode)", rate / 1e6);
        assert!(rate > 0.0);
    }
    ravelin.finish(&[]);
}

/// UDP datagrams that reached a host but found their socket's buffer full.
fn overflows(host: &Namespace) -> u64 {
    let table = host.run("cat /proc/net/snmp");
    let mut lines = table.lines().filter(|line| line.starts_with("Udp:")).map(str::split_whitespace);
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let (_, value) = names.zip(values).find(|(name, _)| *name == "RcvbufErrors").expect("the counter");
    value.parse().expect("a number")
}

#[test]
fn iperf3_over_udp_without_loss() {
    let Some(lab) = Lab::new(&["iperf3"]) else { return };
    let ravelin = lab.ravelin("");
    for direction in ["", "--reverse"] {
        let before = overflows(&lab.server) + overflows(&lab.client);
        let report = iperf(&lab, &format!("--udp --bitrate 20M --length 1200 --time 3 {direction}"));
        // What a busy receiver did not fetch in time is its own loss.
        let own = overflows(&lab.server) + overflows(&lab.client) - before;
        let sum = &report["end"]["sum"];
        let (packets, lost) = (sum["packets"].as_u64().expect("a count"), sum["lost_packets"].as_u64());
        assert!(packets > 1_000 && lost.expect("a count") <= own, "{sum}, the receiver lost {own}");
    }
    ravelin.finish(&[]);
}

#[test]
fn names_are_resolved() {
    let Some(lab) = Lab::new(&["dnsmasq", "dig"]) else { return };
    let ravelin = lab.ravelin("");
    let server = format!(
        "dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --pid-file= --user=root \
         --listen-address={SERVER} --bind-interfaces --address=/ravelin.test/192.0.2.77"
    );
    let _server = lab.serve(&lab.server, 53, &server);
    for transport in ["+notcp", "+tcp"] {
        let answer =
            lab.client.run(&format!("dig +short +time=60 +tries=1 {transport} @{SERVER} www.ravelin.test"));
        assert_eq!(answer.trim(), "192.0.2.77", "{transport}");
    }
    ravelin.finish(&[]);
}

/// A ping and an upload within VLANs; `tags` is what `show flows` says of them.
fn crosses_in_vlan(outer: u16, inner: u16, tags: &Value) {
    let Some(lab) = Lab::new(&["clang", "nc", "ping", "tc"]) else { return };
    lab.enter_vlan(outer, inner);
    let ravelin = lab.ravelin("");
    ping_all(&lab.client, SERVER, 20, 56);
    ping_all(&lab.client, SERVER6, 20, 1400);
    let sent = lab.random_file("up", 5_000_000);
    let mut server = lab.shell(&lab.server, "nc -l -N 9000 > up.received");
    wait_for_port(&lab.server, 9000);
    lab.shell(&lab.client, &format!("nc -N {SERVER} 9000 < up")).finish();
    server.finish();
    assert!(fs::read(lab.folder().join("up.received")).expect("a file") == sent, "the upload differs");
    let flow = ravelin.wait_for_flow("--port 9000", |_| true);
    assert_eq!(&flow["vlan"], tags);
    ravelin.finish(&[]);
}

#[test]
fn a_vlan_crosses() {
    crosses_in_vlan(42, 0, &serde_json::json!([42]));
}

#[test]
fn vlans_within_vlans_cross() {
    crosses_in_vlan(100, 42, &serde_json::json!([100, 42]));
}
