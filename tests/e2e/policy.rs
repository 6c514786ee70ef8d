//! Policy: what is denied does not pass, is named, and is counted to the packet.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use ravelin_tests::topology::{CLIENT, Lab, SERVER, SERVER6, guard, ping_all};
use serde_json::{Value, json};

const NO_TELNET: &str = "action = \"deny\"\nprotocol = \"tcp\"\ndestination = { ports = [23] }";
const NO_DISCARD: &str = "action = \"deny\"\nprotocol = \"udp\"\ndestination = { ports = [9] }";
const NO_PING: &str = "action = \"deny\"\nprotocol = \"icmp\"";
const PING: &str = "action = \"allow\"\nprotocol = \"icmp\"";
const ANYTHING: &str = "action = \"allow\"";

#[test]
fn a_denied_port_is_silent_named_and_counted() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin(&guard("", &[NO_TELNET, NO_DISCARD, ANYTHING]));
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
    let ravelin = lab.ravelin(&guard("", &[PING]));
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
    let ravelin = lab.ravelin(&guard("", &[NO_PING, ANYTHING]));
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

#[test]
fn a_hosts_failsafe_ports_cannot_be_shut() {
    let Some(lab) = Lab::new(&["busybox", "curl"]) else { return };
    let host = format!(
        "[[endpoint]]\nname = \"host\"\nkind = \"host\"\naddresses = [\"{SERVER}\", \"{SERVER6}\"]\n"
    );
    let policy = "[[policy]]\nname = \"nobody\"\ntypes = [\"ingress\", \"egress\"]\n";
    let ravelin = lab.ravelin(&format!("{host}{policy}"));
    lab.random_file("page", 10_000);
    let folder = lab.folder().display();
    let _servers = [22, 80]
        .map(|port| lab.serve(&lab.server, port, &format!("busybox httpd -f -p [::]:{port} -h {folder}")));
    for address in [SERVER.to_owned(), format!("[{SERVER6}]")] {
        lab.client.run(&format!("curl --silent --fail --output {folder}/copy http://{address}:22/page"));
        assert!(!lab.client.succeeds(&format!("curl --silent --connect-timeout 1 http://{address}/page")));
    }
    let way = |port: &str| ravelin.wait_for_flow(&format!("--dst {SERVER} --port {port}"), |_| true);
    assert_eq!(way("22")["enforced"], json!(["0|__FAILSAFE__|__FAILSAFE__.inbound|allow|0"]));
    assert_eq!(way("80")["enforced"], json!(["0|default|default.nobody|deny|-1"]));
    // It may ask for names, and nothing else.
    let socket = lab.server.inside(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    for port in [53, 9] {
        socket.send_to(b"a question", (CLIENT, port)).expect("the server may send");
    }
    let verdict = |port: u16| {
        ravelin.wait_for_flow(&format!("--src {SERVER} --port {port}"), |_| true)["verdict"].clone()
    };
    assert_eq!((verdict(53), verdict(9)), (json!("allow"), json!("deny")));
    let counters = ravelin.finish(&["default_deny"]);
    assert!(counters.dropped("default_deny") >= 3);
}

#[test]
fn a_staged_policy_changes_nothing_and_says_what_it_would() {
    let Some(lab) = Lab::new(&["busybox", "curl", "ping"]) else { return };
    let records = lab.folder().join("records.jsonl");
    let no_web = "action = \"deny\"\nprotocol = \"tcp\"\ndestination = { ports = [80] }";
    let staged = guard("staged = \"set\"", &[no_web, ANYTHING]);
    let ravelin = lab.ravelin(&format!("[records]\nfile = \"{}\"\n{staged}", records.display()));
    lab.random_file("page", 200_000);
    let folder = lab.folder().display();
    let _server = lab.serve(&lab.server, 80, &format!("busybox httpd -f -p 80 -h {folder}"));
    lab.client.run(&format!("curl --silent --fail --output {folder}/copy http://{SERVER}/page"));
    ping_all(&lab.client, SERVER, 5, 56);
    let flow = ravelin.wait_for_flow("--port 80", |_| true);
    assert_eq!((&flow["verdict"], &flow["pending_verdict"]), (&"allow".into(), &"deny".into()));
    ravelin.finish(&[]);

    let text = std::fs::read_to_string(records).expect("there are records");
    let said: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a record is JSON")).collect();
    let find = |wanted: &dyn Fn(&Value) -> bool| {
        said.iter().find(|record| wanted(record)).expect("it is recorded")["ravelin"].clone()
    };
    let visit = find(&|record| record["dest_port"] == 80);
    assert_eq!(visit["verdict"], "allow");
    let profile = "0|__PROFILE__|__PROFILE__.default-allow|allow|0";
    let expected = json!({
        "enforced": [profile, profile],
        "pending": [profile, "0|default|default.staged:guard|deny|0"],
        "pending_verdict": "deny",
    });
    assert_eq!(visit["policies"], expected);
    let ping = find(&|record| record["proto"] == "ICMP");
    assert_eq!(ping["policies"]["pending_verdict"], "allow");
}

#[test]
fn a_rate_limit_holds() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let limited =
        "action = \"allow\"\nprotocol = \"udp\"\nrate_limit = \"5/second\"\ndestination = { ports = [9] }";
    let ravelin = lab.ravelin(&guard("", &[limited, ANYTHING]));
    ping_all(&lab.client, SERVER, 5, 56);
    let server = lab.server.inside(|| UdpSocket::bind("0.0.0.0:9")).expect("the port is free");
    server.set_nonblocking(true).expect("sockets can");
    let start = Instant::now();
    let sockets: Vec<UdpSocket> =
        lab.client.inside(|| (0..50).map(|_| UdpSocket::bind("0.0.0.0:0").expect("a socket")).collect());
    for socket in &sockets {
        socket.send_to(b"a flow of its own", (SERVER, 9)).expect("the client may send");
    }
    ravelin.wait_for_counters("all to be judged", |counters| {
        counters["flows_created"] >= 51 && counters["received"] >= 60
    });
    let elapsed = start.elapsed().as_secs_f64();
    let passed = std::iter::from_fn(|| server.recv(&mut [0; 32]).ok()).count();
    // As many at once as in a second, then one whenever it is due.
    let due = 5.0 + 5.0 * elapsed;
    println!("{passed} passed, {due:.1} due");
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let few = passed >= 5 && passed as f64 <= due;
    assert!(few, "{passed} passed, {due} due");
    let counters = ravelin.finish(&["rule_rate_limit"]);
    assert_eq!(counters.dropped("rule_rate_limit"), 50 - passed as u64);
}
