use super::{
    assert_golden,
    capture::{Capture, arp, connection, fragments, ping, tcp, udp, unreachable},
    lines, replay,
};

const CLIENT: &str = "10.0.0.2";
const SERVER: &str = "192.0.2.7";

const CONFIG: &str = r#"
[[endpoint]]
name = "clients"
addresses = ["10.0.0.0/8"]
profiles = ["default-allow"]

[[policy]]
name = "no-telnet"

[[policy.egress]]
action = "deny"
protocol = "tcp"
destination.ports = [23]

[[policy.egress]]
action = "pass"
"#;

fn check(name: &str, capture: &Capture, packets: u64) {
    let (summary, records) =
        replay(capture.bytes(), CONFIG, |replay| replay.inside = vec!["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(summary.packets, packets);
    assert_eq!(summary.packets, summary.forwarded + summary.consumed + summary.dropped());
    assert_eq!(summary.records, Some(summary.flows.allow + summary.flows.deny));
    for line in lines(&records) {
        assert!(line["timestamp"].as_str().unwrap() >= line["flow"]["end"].as_str().unwrap());
    }
    assert_golden(name, &records);
}

/// A connection that is allowed, one that a rule denies, one that its server resets.
#[test]
fn tcp_connections() {
    let mut capture = Capture::new();
    connection(&mut capture, 0, (CLIENT, 40_000), (SERVER, 443));
    for again in 0..3 {
        capture.add(1_000_000 << again, &tcp((CLIENT, 40_001), (SERVER, 23), "S", (7, 0), 0));
    }
    capture.add(9_000_000, &tcp((SERVER, 999), (CLIENT, 22), "S", (7, 0), 0));
    capture.add(9_001_000, &tcp((CLIENT, 22), (SERVER, 999), "RA", (0, 8), 0));
    check("tcp.json", &capture, 16);
}

/// Ping, and an ICMP error that counts for the flow that it is about.
#[test]
fn icmp() {
    let mut capture = Capture::new();
    capture.add(0, &ping(CLIENT, SERVER, true, 77));
    capture.add(11_000, &ping(SERVER, CLIENT, false, 77));
    let refused = udp(&[], (CLIENT, 5_000), (SERVER, 69), 20);
    capture.add(20_000, &refused);
    capture.add(31_000, &unreachable(SERVER, CLIENT, &refused));
    capture.add(32_000, &arp());
    check("icmp.json", &capture, 5);
}

/// A datagram in three fragments, and its answer.
#[test]
fn fragmented() {
    let mut capture = Capture::new();
    let whole = udp(&[], (CLIENT, 5_000), (SERVER, 2_049), 3_000);
    for (index, fragment) in fragments(&whole, 1_480, 0x1234).iter().enumerate() {
        capture.add(index as u64 * 10, fragment);
    }
    capture.add(20_000, &udp(&[], (SERVER, 2_049), (CLIENT, 5_000), 40));
    check("fragments.json", &capture, 4);
}

/// The same addresses and ports on no, one and two VLANs are three flows.
#[test]
fn vlans() {
    let mut capture = Capture::new();
    for (index, vlans) in [[].as_slice(), &[100], &[100, 7]].into_iter().enumerate() {
        let time = index as u64 * 100_000;
        capture.add(time, &udp(vlans, (CLIENT, 5_000), (SERVER, 53), 40));
        capture.add(time + 9_000, &udp(vlans, (SERVER, 53), (CLIENT, 5_000), 140));
    }
    check("vlans.json", &capture, 6);
}

#[test]
fn ipv6() {
    let mut capture = Capture::new();
    let (client, server) = ("2001:db8::2", "2001:db8:ffff::7");
    connection(&mut capture, 0, (client, 40_000), (server, 443));
    capture.add(200_000, &udp(&[], (client, 5_000), (server, 53), 40));
    capture.add(209_000, &udp(&[], (server, 53), (client, 5_000), 140));
    capture.add(300_000, &ping(client, server, true, 5));
    capture.add(301_000, &ping(server, client, false, 5));
    check("ipv6.json", &capture, 15);
}
