//! Rejected flows: whoever opens one is told at once, in the name of the server, and not more often than is allowed.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Instant,
};

use ravelin_tests::{
    process::attempt,
    topology::{CLIENT, CLIENT6, Lab, SERVER, SERVER6, guard, ping_all},
};

const REJECT_TELNET: &str = "action = \"reject\"\nprotocol = \"tcp\"\ndestination = { ports = [23] }";
const REJECT_DISCARD: &str = "action = \"reject\"\nprotocol = \"udp\"\ndestination = { ports = [9] }";
const REJECT_PING: &str = "action = \"reject\"\nprotocol = \"icmp\"";
const REJECT_PING6: &str = "action = \"reject\"\nprotocol = \"icmpv6\"";
const ANYTHING: &str = "action = \"allow\"";

#[test]
fn a_rejected_connection_is_refused() {
    let Some(lab) = Lab::new(&["busybox", "curl", "nc"]) else { return };
    let ravelin = lab.ravelin(&guard("", &[REJECT_TELNET, ANYTHING]));
    // There is somebody who would have answered.
    let folder = lab.folder().display();
    let _server = lab.serve(&lab.server, 23, &format!("busybox httpd -f -p [::]:23 -h {folder}"));
    for address in [SERVER, SERVER6] {
        let target = SocketAddr::new(address.parse().expect("an address"), 23);
        let refused = lab.client.inside(|| TcpStream::connect(target)).expect_err("the port is rejected");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{address}");
        let (_, _, said) = attempt(&mut lab.client.split(&format!("nc -v -z {address} 23")));
        assert!(said.contains("Connection refused"), "{said}");
        let (status, _, said) = attempt(&mut lab.client.split(&format!("curl -sS http://{target}/")));
        assert_eq!(status.code(), Some(7), "curl cannot connect: {said}");
        let flow = ravelin.wait_for_flow(&format!("--dst {address} --port 23"), |_| true);
        assert_eq!((&flow["verdict"], &flow["drop_reason"]), (&"reject".into(), &"rule_reject".into()));
        assert_eq!((&flow["policy"], &flow["rule"]), (&"default.guard".into(), &0.into()));
    }
    let counters = ravelin.finish(&["rule_reject"]);
    // One SYN each, because nobody had to try again, and a reset for each.
    assert_eq!((counters.dropped("rule_reject"), counters["injected"]), (6, 6));
    assert_eq!(counters["rejects_silent"], 0);
}

#[test]
fn what_has_no_resets_is_told_by_icmp() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin(&guard("", &[REJECT_DISCARD, REJECT_PING, REJECT_PING6, ANYTHING]));
    // ICMP says "filtered" of IPv4 (type 3 code 13) and "prohibited" of IPv6 (type 1 code 1); so the kernel tells programs.
    let expected = [
        (CLIENT, SERVER, ErrorKind::HostUnreachable, "Packet filtered"),
        (CLIENT6, SERVER6, ErrorKind::PermissionDenied, "Administratively prohibited"),
    ];
    for (client, server, kind, words) in expected {
        let socket = lab.client.inside(|| UdpSocket::bind((client, 0))).expect("a socket");
        socket.connect((server, 9)).expect("the server's network is reachable");
        socket.send(b"to be rejected").expect("nothing is wrong yet");
        let error = socket.recv(&mut [0; 16]).expect_err("nobody answers");
        assert_eq!(error.kind(), kind, "{error}");
        let (status, said, _) = attempt(&mut lab.client.split(&format!("ping -n -c 2 -i 0.2 {server}")));
        assert!(!status.success() && said.contains(words), "{said}");
        assert!(said.contains(&format!("From {server}")), "{said}");
    }
    // The other way round nothing is rejected.
    ping_all(&lab.server, CLIENT, 5, 56);
    let counters = ravelin.finish(&["rule_reject"]);
    assert_eq!((counters.dropped("rule_reject"), counters["injected"]), (6, 6));
}

#[test]
fn answers_are_limited_and_what_is_not_told_is_counted() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let settings = "[enforcement]\nreject_rate = 5\n";
    let ravelin = lab.ravelin(&format!("{settings}{}", guard("", &[REJECT_DISCARD, ANYTHING])));
    // So that the first datagrams need not wait for an address, where there is room for few.
    ping_all(&lab.client, SERVER, 5, 56);
    let start = Instant::now();
    // Without a peer, so that the kernel does not tell it about errors.
    let socket = lab.client.inside(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    for _ in 0..300 {
        socket.send_to(b"to be rejected", (SERVER, 9)).expect("the client may send");
    }
    let counters =
        ravelin.wait_for_counters("all to be rejected", |counters| counters.dropped("rule_reject") == 300);
    // As many at once as in a second, then one whenever it is due.
    let due = 5.0 + 5.0 * start.elapsed().as_secs_f64();
    println!("{} answers, {due:.1} due", counters["injected"]);
    let counters = ravelin.finish(&["rule_reject"]);
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let answers = counters["injected"] as f64;
    assert!((5.0..=due).contains(&answers), "{answers} answers, {due} due");
    assert_eq!(counters["injected"] + counters["rejects_silent"], 300);
}
