//! Rules: what is denied does not pass, is named, and is counted to the packet.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use ravelin_tests::topology::{Lab, SERVER, ping_all};

const RULES: &str = r#"
[[rule]]
name = "no-telnet"
action = "deny"
protocol = "tcp"
destination_ports = [23]

[[rule]]
name = "no-discard"
action = "deny"
direction = "ingress"
protocol = "udp"
destination_ports = [9]
"#;

#[test]
fn a_denied_port_is_silent_named_and_counted() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin(RULES);
    ping_all(&lab.client, SERVER, 5, 56);

    let telnet: SocketAddr = format!("{SERVER}:23").parse().expect("an address");
    let refused = lab.client.inside(|| TcpStream::connect_timeout(&telnet, Duration::from_millis(1500)));
    assert_eq!(refused.expect_err("the port is denied").kind(), ErrorKind::TimedOut, "refused by silence");
    let attempt = ravelin.wait_for_flow("--port 23", |_| true);
    assert_eq!((&attempt["rule"], &attempt["verdict"]), (&"no-telnet".into(), &"deny".into()));
    assert_eq!(attempt["drop_reason"], "rule_deny");
    let attempts = attempt["packets"][0].as_u64().expect("a count");

    let socket = lab.client.inside(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    for _ in 0..50 {
        socket.send_to(b"to be dropped", (SERVER, 9)).expect("the client may send");
    }
    let found = ravelin.wait_for_flow("--port 9 --verdict deny", |flow| flow["packets"][0] == 50);
    assert_eq!(found["rule"], "no-discard");
    assert_eq!(found["bytes"][0], 50 * (14 + 20 + 8 + 13));

    let counters = ravelin.finish(&["rule_deny"]);
    assert_eq!(counters.dropped("rule_deny"), attempts + 50);
}

#[test]
fn without_a_matching_rule_the_default_decides() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let rules =
        "[policy]\ndefault = \"deny\"\n[[rule]]\nname = \"ping\"\naction = \"allow\"\nprotocol = \"icmp\"\n";
    let ravelin = lab.ravelin(rules);
    ping_all(&lab.client, SERVER, 5, 56);
    let socket = lab.client.inside(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    socket.send_to(b"to be dropped", (SERVER, 9)).expect("the client may send");
    let flow = ravelin.wait_for_flow("--port 9", |_| true);
    assert_eq!((&flow["drop_reason"], flow.get("rule")), (&"default_deny".into(), None));
    // The hosts' own IPv6 chatter may be denied too.
    let counters = ravelin.finish(&["default_deny"]);
    assert!(counters.dropped("default_deny") >= 1);
}

#[test]
fn direction_counts_from_the_side_that_opens_the_flow() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    // Nobody outside may ping the inside; the other way the replies come back in.
    let rules =
        "[[rule]]\nname = \"no-ping\"\naction = \"deny\"\ndirection = \"ingress\"\nprotocol = \"icmp\"\n";
    let ravelin = lab.ravelin(rules);
    ping_all(&lab.server, ravelin_tests::topology::CLIENT, 10, 56);
    assert!(!lab.client.succeeds(&format!("ping -n -q -c 2 -i 0.2 -W 1 {SERVER}")));
    let counters = ravelin.finish(&["rule_deny"]);
    assert_eq!(counters.dropped("rule_deny"), 2);
}
