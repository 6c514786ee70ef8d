//! Policy: what is denied does not pass, is named, and is counted to the packet.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use ravelin_tests::topology::{CLIENT, ENDPOINTS, Lab, SERVER, ping_all};

/// The endpoints with a policy for the server that has these rules about flows to it.
fn to_server(rules: &[&str]) -> String {
    let rules: String = rules.iter().map(|rule| format!("[[policy.ingress]]\n{rule}\n")).collect();
    format!("{ENDPOINTS}[[policy]]\nname = \"guard\"\nselector = \"role == 'server'\"\n{rules}")
}

const NO_TELNET: &str = "action = \"deny\"\nprotocol = \"tcp\"\ndestination = { ports = [23] }";
const NO_DISCARD: &str = "action = \"deny\"\nprotocol = \"udp\"\ndestination = { ports = [9] }";
const NO_PING: &str = "action = \"deny\"\nprotocol = \"icmp\"";
const PING: &str = "action = \"allow\"\nprotocol = \"icmp\"";
const ANYTHING: &str = "action = \"allow\"";

#[test]
fn a_denied_port_is_silent_named_and_counted() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin(&to_server(&[NO_TELNET, NO_DISCARD, ANYTHING]));
    ping_all(&lab.client, SERVER, 5, 56);

    let telnet: SocketAddr = format!("{SERVER}:23").parse().expect("an address");
    let refused = lab.client.inside(|| TcpStream::connect_timeout(&telnet, Duration::from_millis(1500)));
    assert_eq!(refused.expect_err("the port is denied").kind(), ErrorKind::TimedOut, "refused by silence");
    let attempt = ravelin.wait_for_flow("--port 23", |_| true);
    assert_eq!((&attempt["policy"], &attempt["rule"]), (&"default.guard".into(), &0.into()));
    assert_eq!((&attempt["verdict"], &attempt["drop_reason"]), (&"deny".into(), &"rule_deny".into()));
    let attempts = attempt["packets"][0].as_u64().expect("a count");

    let socket = lab.client.inside(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    for _ in 0..50 {
        socket.send_to(b"to be dropped", (SERVER, 9)).expect("the client may send");
    }
    let found = ravelin.wait_for_flow("--port 9 --verdict deny", |flow| flow["packets"][0] == 50);
    assert_eq!((&found["policy"], &found["rule"]), (&"default.guard".into(), &1.into()));
    assert_eq!(found["bytes"][0], 50 * (14 + 20 + 8 + 13));

    let counters = ravelin.finish(&["rule_deny"]);
    assert_eq!(counters.dropped("rule_deny"), attempts + 50);
}

#[test]
fn without_a_matching_rule_the_end_of_the_tier_decides() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin(&to_server(&[PING]));
    ping_all(&lab.client, SERVER, 5, 56);
    let socket = lab.client.inside(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    socket.send_to(b"to be dropped", (SERVER, 9)).expect("the client may send");
    let flow = ravelin.wait_for_flow("--port 9", |_| true);
    assert_eq!((&flow["policy"], &flow["rule"]), (&"default.guard".into(), &(-1).into()));
    assert_eq!(flow["drop_reason"], "default_deny");
    let counters = ravelin.finish(&["default_deny"]);
    assert_eq!(counters.dropped("default_deny"), 1);
}

#[test]
fn ingress_is_about_flows_that_others_open() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    // Nobody may ping the server; the other way the replies come back to it.
    let ravelin = lab.ravelin(&to_server(&[NO_PING, ANYTHING]));
    ping_all(&lab.server, CLIENT, 10, 56);
    assert!(!lab.client.succeeds(&format!("ping -n -q -c 2 -i 0.2 -W 1 {SERVER}")));
    let counters = ravelin.finish(&["rule_deny"]);
    assert_eq!(counters.dropped("rule_deny"), 2);
}

#[test]
fn who_is_no_endpoint_is_treated_as_configured() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("[enforcement]\nunknown = \"deny\"\n");
    assert!(!lab.client.succeeds(&format!("ping -n -q -c 2 -i 0.2 -W 1 {SERVER}")));
    let flow = ravelin.wait_for_flow(&format!("--dst {SERVER} --proto icmp"), |_| true);
    assert_eq!((&flow["verdict"], &flow["drop_reason"]), (&"deny".into(), &"unknown_deny".into()));
    assert_eq!(flow.get("policy"), None);
    // The hosts' own IPv6 chatter is denied too.
    let counters = ravelin.finish(&["unknown_deny"]);
    assert!(counters.dropped("unknown_deny") >= 2);
}
