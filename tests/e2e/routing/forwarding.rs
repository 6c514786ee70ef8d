//! What goes through: both versions of IP, every size, and what is too long for where it goes.

use std::{fs, net::UdpSocket, path::Path};

use ravelin_tests::{
    gateway::{CLIENT, OUTSIDE, SERVER, gateway, guard, start},
    netns::Namespace,
    topology::{Lab, ping_all, wait_for_port},
};
use serde_json::Value;

use super::{fetch, ping_says, web};

const NO_DISCARD: &str = "action = \"deny\"\nprotocol = \"udp\"\ndestination = { ports = [9] }";
const ANYTHING: &str = "action = \"allow\"";

fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("there are records");
    text.lines().map(|line| serde_json::from_str(line).expect("a record is JSON")).collect()
}

#[test]
fn hosts_reach_each_other_through_the_gateway() {
    let Some(lab) = gateway(&["busybox", "curl", "ping"]) else { return };
    let path = lab.folder().join("records.jsonl");
    let ravelin = start(
        &lab,
        &format!("[records]\nfile = \"{}\"\n{}", path.display(), guard("server", &[NO_DISCARD, ANYTHING])),
    );
    for (server, client) in SERVER.into_iter().zip(CLIENT) {
        ping_all(&lab.client, server, 20, 56);
        ping_all(&lab.server, client, 20, 1400);
        // In fragments.
        ping_all(&lab.client, server, 5, 4000);
    }
    let page = lab.random_file("page", 5_000_000);
    let _server = web(&lab, &lab.server, 80);
    SERVER.iter().for_each(|address| fetch(&lab, &lab.client, address, 80, &page));
    let socket = lab.client.inside(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    for _ in 0..20 {
        socket.send_to(b"to be dropped", (SERVER[0], 9)).expect("the client may send");
    }
    let denied = ravelin.wait_for_flow("--port 9", |flow| flow["packets"][0] == 20);
    assert_eq!((&denied["policy"], &denied["rule"]), (&"default.guard".into(), &0.into()));
    let counters = ravelin.finish(&["rule_deny"]);
    assert_eq!(counters.dropped("rule_deny"), 20);
    assert!(counters["forwarded"] > 1_000, "{counters:?}");

    let records = records(&path);
    let find =
        |wanted: &dyn Fn(&Value) -> bool| records.iter().find(|it| wanted(it)).expect("it is recorded");
    for (server, client) in SERVER.into_iter().zip(CLIENT) {
        let visit = find(&|it| it["dest_port"] == 80 && it["dest_ip"] == server);
        assert_eq!((&visit["src_ip"], &visit["ravelin"]["verdict"]), (&client.into(), &"allow".into()));
        assert_eq!(
            (&visit["ravelin"]["in"], &visit["ravelin"]["out"]),
            (&"outside".into(), &"inside".into())
        );
        assert!(visit["flow"]["bytes_toclient"].as_u64() > Some(5_000_000), "{visit}");
    }
    let denied = find(&|it| it["dest_port"] == 9);
    assert_eq!(
        (&denied["ravelin"]["verdict"], &denied["ravelin"]["in"]),
        (&"deny".into(), &"outside".into())
    );
}

#[test]
fn who_sends_with_too_few_hops_is_told_by_the_gateway() {
    let Some(lab) = gateway(&["ping"]) else { return };
    let ravelin = start(&lab, "");
    for (server, gateway, words) in [
        (SERVER[0], OUTSIDE[0], "Time to live exceeded"),
        (SERVER[1], OUTSIDE[1], "Time exceeded: Hop limit"),
    ] {
        let said = ping_says(&lab.client, &format!("-t 1 {server}"));
        assert!(said.contains(&format!("From {gateway}")) && said.contains(words), "{said}");
        // One more is enough.
        lab.client.run(&format!("ping -n -c 1 -W 60 -t 2 {server}"));
    }
    assert_eq!(ravelin.finish(&[])["exceptions_expired"], 2);
}

/// Datagrams that a host put together from fragments, of both versions of IP.
fn reassembled(host: &Namespace) -> u64 {
    let (v4, v6) = (host.run("cat /proc/net/snmp"), host.run("cat /proc/net/snmp6"));
    let mut lines = v4.lines().filter(|line| line.starts_with("Ip:")).map(str::split_whitespace);
    let mut pairs = lines.next().expect("names").zip(lines.next().expect("values"));
    let v4 = pairs.find(|(name, _)| *name == "ReasmOKs").expect("the counter").1;
    let v6 = v6.lines().find_map(|line| line.strip_prefix("Ip6ReasmOKs")).expect("the counter").trim();
    v4.parse::<u64>().expect("a count") + v6.parse::<u64>().expect("a count")
}

#[test]
fn what_is_too_long_for_the_next_link_comes_in_fragments_or_its_sender_is_told() {
    let Some(lab) = gateway(&["ping"]) else { return };
    lab.appliance.ip("link set inside mtu 1280");
    lab.server.ip("link set eth0 mtu 1280");
    let ravelin = start(&lab, "");
    for size in [0, 56, 1252] {
        ping_all(&lab.client, SERVER[0], 2, size);
    }
    let before = reassembled(&lab.server);
    lab.client.run(&format!("ping -n -c 3 -i 0.1 -W 60 -M dont -s 1400 {}", SERVER[0]));
    assert_eq!(reassembled(&lab.server) - before, 3, "requests arrive in fragments");
    let said = ping_says(&lab.client, &format!("-M do -s 1253 {}", SERVER[0]));
    assert!(said.contains(&format!("From {}", OUTSIDE[0])) && said.contains("mtu = 1280"), "{said}");
    let said = ping_says(&lab.client, &format!("-M do -s 1233 {}", SERVER[1]));
    assert!(
        said.contains(&format!("From {}", OUTSIDE[1])) && said.contains("Packet too big: mtu=1280"),
        "{said}"
    );
    // The sender has learnt it, and makes fragments itself.
    ping_all(&lab.client, SERVER[1], 3, 1400);
    assert_eq!(ravelin.finish(&[])["exceptions_too_long"], 5);
}

#[test]
fn tcp_finds_out_how_long_packets_may_be() {
    let Some(lab) = gateway(&["nc"]) else { return };
    // The hosts know nothing of it.
    lab.appliance.ip("route replace 10.8.2.0/24 dev inside proto kernel scope link src 10.8.2.1 mtu 1280");
    lab.appliance.ip("-6 route add fd08:2::/64 dev inside metric 1 mtu 1280");
    let ravelin = start(&lab, "");
    for (count, address) in [(1, SERVER[0]), (2, SERVER[1])] {
        upload(&lab, address);
        let told = ravelin.counters()["exceptions_too_long"];
        assert!(told >= count, "{told}");
    }
    let told = ravelin.finish(&[])["exceptions_too_long"];
    assert!(told < 200, "senders do not listen: {told} packets were too long");
}

/// Sends some MB to the server and compares what arrives.
fn upload(lab: &Lab, address: &str) {
    let sent = lab.random_file("up", 3_000_000);
    let family = if address.contains(':') { "-6" } else { "-4" };
    let mut server = lab.shell(&lab.server, &format!("nc {family} -l -N 9000 > up.received"));
    wait_for_port(&lab.server, 9000);
    lab.shell(&lab.client, &format!("nc -N {address} 9000 < up")).finish();
    server.finish();
    assert!(fs::read(lab.folder().join("up.received")).expect("a file") == sent, "the upload differs");
}
