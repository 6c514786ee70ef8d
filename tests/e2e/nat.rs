//! Address translation: the server's network is inside, and known outside, where the client is, as the gateway's address there. The client has
//! no route to it.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use ravelin_tests::{
    gateway::{CLIENT, INSIDE, OUTSIDE, SERVER, batch, gateway, routes, start},
    netns::Namespace,
    process::{attempt, wait_for},
    topology::{Lab, ping_all, pings},
};

/// What leaves through `outside` is known as the gateway; the server's ports 80 of TCP and 53 of UDP are published at 8080 and 53.
const NAT: &str = r#"
[[nat.source]]
out = ["outside"]
sources = ["10.8.2.0/24"]

[[nat.destination]]
address = "outside"
protocol = "tcp"
ports = 8080
to = "10.8.2.2"
to_port = 80

[[nat.destination]]
address = "outside"
protocol = "udp"
ports = 53
to = "10.8.2.2"
"#;

/// The same for the kernel.
const NFT: &str = "
table ip nat {
    chain out {
        type nat hook postrouting priority 100;
        ip saddr 10.8.2.0/24 oifname outside masquerade
        ip saddr 10.8.2.0/24 oifname inside ct status dnat snat to 10.8.1.1
    }
    chain in {
        type nat hook prerouting priority -100;
        ip daddr 10.8.1.1 tcp dport 8080 dnat to 10.8.2.2:80
        ip daddr 10.8.1.1 udp dport 53 dnat to 10.8.2.2
    }
}
";

/// A gateway beyond which nobody knows of the inside.
fn hidden(programs: &[&str]) -> Option<Lab> {
    let lab = gateway(programs)?;
    lab.client.ip("route del default");
    Some(lab)
}

const PATIENCE: Duration = Duration::from_secs(20);

fn tcp(host: &Namespace, to: &str) -> std::io::Result<TcpStream> {
    let to: SocketAddr = to.parse().expect("an address");
    let stream = host.inside(|| TcpStream::connect_timeout(&to, PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE)).expect("sockets can");
    Ok(stream)
}

fn listen(host: &Namespace, port: u16) -> TcpListener {
    host.inside(|| TcpListener::bind(("0.0.0.0", port))).expect("the port is free")
}

fn udp(host: &Namespace, port: u16) -> UdpSocket {
    let socket = host.inside(|| UdpSocket::bind(("0.0.0.0", port))).expect("the port is free");
    socket.set_read_timeout(Some(PATIENCE)).expect("sockets can");
    socket
}

/// Both ends of a connection from inside.
fn connected(lab: &Lab) -> [TcpStream; 2] {
    let at = listen(&lab.client, 7000);
    let stream = tcp(&lab.server, &format!("{}:7000", CLIENT[0])).expect("it connects");
    let (other, _) = at.accept().expect("it comes");
    other.set_read_timeout(Some(PATIENCE)).expect("sockets can");
    [stream, other]
}

/// Whom somebody who is connected to sees, once what both say has arrived.
fn talk(from: &TcpStream, at: &TcpListener) -> String {
    let (other, peer) = at.accept().expect("somebody comes");
    other.set_read_timeout(Some(PATIENCE)).expect("sockets can");
    for (mut one, mut two) in [(from, &other), (&other, from)] {
        one.write_all(b"hello").expect("it is connected");
        let mut heard = [0; 5];
        two.read_exact(&mut heard).expect("it arrives");
        assert_eq!(&heard, b"hello");
    }
    peer.ip().to_string()
}

/// Whom somebody sees who is sent a datagram of this size; the answer comes back from where it was sent to.
fn exchange(from: &UdpSocket, to: &str, at: &UdpSocket, size: usize) -> String {
    let mut heard = vec![0; 10_000];
    from.send_to(&vec![7; size], to).expect("it can be sent");
    let (length, peer) = at.recv_from(&mut heard).expect("it arrives");
    assert_eq!(heard[..length], vec![7; size]);
    at.send_to(&heard[..length], peer).expect("it can be sent");
    let (length, answers) = from.recv_from(&mut heard).expect("the answer arrives");
    assert_eq!((answers.to_string().as_str(), &heard[..length]), (to, &vec![7; size][..]));
    peer.ip().to_string()
}

/// The line of `ping`'s that says why nothing came back.
fn ping_says(host: &Namespace, line: &str) -> String {
    let (_, out, error) = attempt(&mut host.split(&format!("ping -n -c 1 -W 5 {line}")));
    (out + &error)
        .lines()
        .find(|line| line.contains("From") || line.contains("error"))
        .unwrap_or("nothing")
        .to_owned()
}

/// What happens, in words.
fn observe(lab: &Lab) -> Vec<String> {
    let (inside, outside) = (&lab.server, &lab.client);
    let mut seen = Vec::new();
    let at = listen(outside, 7000);
    seen.push(format!(
        "tcp: {}",
        talk(&tcp(inside, &format!("{}:7000", CLIENT[0])).expect("it connects"), &at)
    ));
    let refused = tcp(inside, &format!("{}:7001", CLIENT[0])).expect_err("nobody listens");
    seen.push(format!("closed port: {refused}"));

    let (from, at) = (udp(inside, 0), udp(outside, 7000));
    for size in [1, 1400, 4000] {
        seen.push(format!("udp {size}: {}", exchange(&from, &format!("{}:7000", CLIENT[0]), &at, size)));
    }
    let lonely = udp(inside, 0);
    lonely.connect((CLIENT[0], 7002)).expect("it is an address");
    lonely.send(b"anybody?").expect("it can be sent");
    seen.push(format!("closed udp port: {}", lonely.recv(&mut [0; 9]).expect_err("nobody listens")));

    for size in [0, 56, 1472, 4000] {
        ping_all(inside, CLIENT[0], 2, size);
        seen.push(format!("ping {size}"));
    }
    seen.push(format!("one hop: {}", ping_says(inside, &format!("-t 1 {}", CLIENT[0]))));
    seen.push(format!("too long: {}", ping_says(inside, &format!("-M do -s 1453 {}", "10.9.0.2"))));

    let (web, dns) = (listen(inside, 80), udp(inside, 53));
    let published = format!("{}:8080", OUTSIDE[0]);
    seen.push(format!("published: {}", talk(&tcp(outside, &published).expect("it connects"), &web)));
    seen.push(format!(
        "published udp: {}",
        exchange(&udp(outside, 0), &format!("{}:53", OUTSIDE[0]), &dns, 900)
    ));
    seen.push(format!(
        "published udp, long: {}",
        exchange(&udp(outside, 0), &format!("{}:53", OUTSIDE[0]), &dns, 4000)
    ));
    seen.push(format!("hairpin: {}", talk(&tcp(inside, &published).expect("it connects"), &web)));
    drop(web);
    seen.push(format!(
        "published, nobody listens: {}",
        tcp(outside, &published).expect_err("nobody listens")
    ));
    let refused = tcp(outside, &format!("{}:8081", OUTSIDE[0])).expect_err("it is not published");
    seen.push(format!("not published: {refused}"));
    ping_all(outside, OUTSIDE[0], 2, 56);
    ping_all(inside, INSIDE[0], 2, 56);
    seen
}

/// A network behind the client to which packets of at most 1480 bytes go.
fn narrow(lab: &Lab) {
    lab.client.ip("address add 10.9.0.2/32 dev lo");
    lab.appliance.ip(&format!("route add 10.9.0.0/24 via {} mtu 1480", CLIENT[0]));
}

#[test]
fn everything_works_that_works_behind_the_kernels_masquerade() {
    let Some(lab) = hidden(&["ping", "nft"]) else { return };
    narrow(&lab);
    let rules = lab.folder().join("rules.nft");
    std::fs::write(&rules, NFT).expect("the folder is there");
    lab.appliance.run(&format!("nft -f {}", rules.display()));
    let kernel = observe(&lab);
    lab.appliance.run("nft flush ruleset");
    // What hosts have learnt.
    lab.server.ip("route flush cache");
    assert!(!pings(&lab.server, CLIENT[0]), "nothing comes back untranslated");

    let ravelin = start(&lab, NAT);
    let ours = observe(&lab);
    assert_eq!(ours, kernel);
    println!("{ours:#?}");
    assert!(
        ours.contains(&"tcp: 10.8.1.1".to_owned()) && ours.contains(&"hairpin: 10.8.1.1".to_owned()),
        "{ours:?}"
    );
    let nat = ravelin.show("nat");
    assert_eq!(nat["addresses"][0]["address"], OUTSIDE[0]);
    assert!(nat["mappings"].as_array().is_some_and(|all| !all.is_empty()), "{nat}");
    let counters = ravelin.finish(&["ttl_expired", "mtu_exceeded", "fragment_orphan", "tcp_midstream"]);
    assert!(counters["nat_translated"] > 40, "{counters:?}");
    assert_eq!((counters.dropped("ttl_expired"), counters.dropped("mtu_exceeded")), (1, 1));
}

#[test]
fn records_and_flows_say_what_ends_are_known_as() {
    let Some(lab) = hidden(&["ping"]) else { return };
    let path = lab.folder().join("records.jsonl");
    let ravelin = start(&lab, &format!("[records]\nfile = \"{}\"\n{NAT}", path.display()));
    let (web, at) = (listen(&lab.server, 80), udp(&lab.client, 7000));
    talk(&tcp(&lab.client, &format!("{}:8080", OUTSIDE[0])).expect("it connects"), &web);
    let from = udp(&lab.server, 5555);
    exchange(&from, &format!("{}:7000", CLIENT[0]), &at, 10);
    let flow = ravelin.wait_for_flow("--port 7000", |flow| flow["packets"][1] == 1);
    assert_eq!((&flow["src"], &flow["nat_src"]), (&SERVER[0].into(), &"10.8.1.1:5555".into()));
    let flow = ravelin.wait_for_flow("--port 80", |_| true);
    assert_eq!((&flow["dst"], &flow["nat_dst"]), (&SERVER[0].into(), &"10.8.1.1:8080".into()));
    let shown = ravelin.ask(&["show", "nat"]).expect("it answers");
    assert!(shown.contains("10.8.2.2:5555") && shown.contains("10.8.1.1:8080"), "{shown}");
    ravelin.finish(&[]);
    let text = std::fs::read_to_string(path).expect("there are records");
    let find = |port: u16| {
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        lines.into_iter().find(|record| record["dest_port"] == port).expect("it is recorded")["ravelin"]["nat"].clone()
    };
    assert_eq!(find(7000), serde_json::json!({ "src_ip": "10.8.1.1", "src_port": 5555 }));
    assert_eq!(find(80), serde_json::json!({ "dest_ip": "10.8.1.1", "dest_port": 8080 }));
}

#[test]
fn translation_follows_the_address_of_the_interface() {
    let Some(lab) = hidden(&["ping"]) else { return };
    let ravelin = start(&lab, NAT);
    let at = udp(&lab.client, 7000);
    let to = format!("{}:7000", CLIENT[0]);
    assert_eq!(exchange(&udp(&lab.server, 0), &to, &at, 10), "10.8.1.1");
    lab.appliance.ip("address del 10.8.1.1/24 dev outside");
    lab.appliance.ip("address add 10.8.1.5/24 dev outside");
    wait_for("the other address", || ravelin.show("nat")["addresses"][0]["address"] == "10.8.1.5");
    assert_eq!(exchange(&udp(&lab.server, 0), &to, &at, 10), "10.8.1.5");
    lab.appliance.ip("address flush dev outside");
    wait_for("no address", || ravelin.show("nat")["addresses"].as_array().is_some_and(Vec::is_empty));
    assert!(!pings(&lab.server, CLIENT[0]), "nothing leaves untranslated");
    ravelin.finish(&["nat_exhausted"]);
}

/// The configuration of the gateway.
fn config(nat: &str) -> String {
    format!("{}{}{nat}", routes("outside", ""), routes("inside", ""))
}

#[test]
fn what_is_translated_can_be_changed_while_connections_go_on() {
    let Some(lab) = hidden(&["ping"]) else { return };
    let ravelin = start(&lab, NAT);
    let [mut stream, mut other] = connected(&lab);
    ravelin.rewrite(&config(&NAT.replace("ports = 8080", "ports = 8888")));
    ravelin.reload().expect("it is right");
    stream.write_all(b"still here").expect("it is connected");
    let mut heard = [0; 10];
    other.read_exact(&mut heard).expect("it arrives");
    let web = listen(&lab.server, 80);
    talk(&tcp(&lab.client, &format!("{}:8888", OUTSIDE[0])).expect("it connects"), &web);
    tcp(&lab.client, &format!("{}:8080", OUTSIDE[0])).expect_err("it is not published any more");

    ravelin.rewrite(&config(&NAT.replace("out = [\"outside\"]", "out = [\"outsidee\"]")));
    let error = ravelin.reload().expect_err("there is no such interface");
    assert!(error.contains("did you mean `outside`?"), "{error}");
    stream.write_all(b"still here").expect("it is connected");
    other.read_exact(&mut heard).expect("it arrives");
    ravelin.finish(&[]);
}

#[test]
fn two_workers_translate_as_one() {
    let Some(lab) = hidden(&["ping"]) else { return };
    let ravelin = start(&lab, &format!("[workers]\ncores = [0, 1]\n{NAT}"));
    let at = listen(&lab.client, 7000);
    let web = listen(&lab.server, 80);
    for _ in 0..40 {
        assert_eq!(
            talk(&tcp(&lab.server, &format!("{}:7000", CLIENT[0])).expect("it connects"), &at),
            OUTSIDE[0]
        );
        talk(&tcp(&lab.client, &format!("{}:8080", OUTSIDE[0])).expect("it connects"), &web);
        assert_eq!(
            talk(&tcp(&lab.server, &format!("{}:8080", OUTSIDE[0])).expect("it connects"), &web),
            OUTSIDE[0]
        );
    }
    let at = udp(&lab.client, 7000);
    for _ in 0..40 {
        exchange(&udp(&lab.server, 0), &format!("{}:7000", CLIENT[0]), &at, 4000);
    }
    ping_all(&lab.server, CLIENT[0], 20, 56);
    let counters = ravelin.finish(&[]);
    assert_eq!(counters["flows_created"], 3 * 40 + 40 + 1, "no flow is judged twice");
    assert!(counters["handed_off"] > 0);
}

#[test]
fn routes_flap_and_neighbours_go_while_connections_are_translated() {
    let Some(lab) = hidden(&["ping"]) else { return };
    let ravelin = start(&lab, NAT);
    let [mut stream, mut other] = connected(&lab);
    for round in 0..5 {
        let flap = |what: &'static str| {
            (0..500).map(move |it| format!("route {what} 10.77.{}.{}/32 via 10.8.1.2", it / 250, it % 250))
        };
        batch(&lab.appliance, flap("replace"));
        lab.appliance.ip("neigh flush all");
        stream.write_all(&[round; 1000]).expect("it is connected");
        let mut heard = [0; 1000];
        other.read_exact(&mut heard).expect("it arrives");
        other.write_all(&heard).expect("it is connected");
        stream.read_exact(&mut heard).expect("it arrives");
        assert_eq!(heard, [round; 1000]);
        batch(&lab.appliance, flap("del"));
    }
    ravelin.finish(&[]);
}

#[test]
fn when_ports_run_out_new_connections_fail_and_an_alert_says_why() {
    let Some(lab) = hidden(&["ping"]) else { return };
    let ravelin = start(&lab, &NAT.replace("sources =", "ports = \"2000-2003\"\nsources ="));
    let at = listen(&lab.client, 7000);
    let to = format!("{}:7000", CLIENT[0]);
    let mut streams: Vec<_> = (0..4).map(|_| tcp(&lab.server, &to).expect("it connects")).collect();
    let address: SocketAddr = to.parse().expect("an address");
    let refused = lab.server.inside(|| TcpStream::connect_timeout(&address, Duration::from_millis(500)));
    refused.expect_err("there is no port");
    wait_for("the alert", || ravelin.show("alerts")["alerts"].to_string().contains("\"kind\":\"nat\""));
    let shown = ravelin.ask(&["show", "alerts"]).expect("it answers");
    assert!(shown.contains("no outside port is left"), "{shown}");
    assert!(ravelin.ask(&["show", "nat"]).expect("it answers").contains("4 of 4"));
    // Those that have one go on.
    let (mut other, _) = at.accept().expect("the first");
    streams[0].write_all(b"hello").expect("it is connected");
    let mut heard = [0; 5];
    other.read_exact(&mut heard).expect("it arrives");
    ravelin.finish(&["nat_exhausted"]);
}

#[test]
fn addresses_that_are_only_routed_to_the_gateway_are_shared_and_given_to_one() {
    const POOL: &str = r#"
[[nat.destination]]
address = "203.0.113.20"
to = "10.8.2.2"

[[nat.source]]
out = ["outside"]
sources = ["10.8.2.0/24"]
to = ["203.0.113.8-203.0.113.11"]
"#;
    let Some(lab) = hidden(&["ping"]) else { return };
    lab.client.ip(&format!("route add 203.0.113.0/24 via {}", OUTSIDE[0]));
    let ravelin = start(&lab, POOL);
    let at = listen(&lab.client, 7000);
    let to = format!("{}:7000", CLIENT[0]);
    let known_as = talk(&tcp(&lab.server, &to).expect("it connects"), &at);
    assert!(["8", "9", "10", "11"].map(|last| format!("203.0.113.{last}")).contains(&known_as), "{known_as}");
    let at = udp(&lab.client, 7000);
    assert_eq!(exchange(&udp(&lab.server, 0), &to, &at, 4000), known_as, "a machine has one address");
    ping_all(&lab.server, CLIENT[0], 2, 56);
    // One address is the server's alone, whatever is sent to it.
    let (web, dns) = (listen(&lab.server, 80), udp(&lab.server, 53));
    talk(&tcp(&lab.client, "203.0.113.20:80").expect("it connects"), &web);
    exchange(&udp(&lab.client, 0), "203.0.113.20:53", &dns, 4000);
    ping_all(&lab.client, "203.0.113.20", 2, 56);
    talk(&tcp(&lab.server, "203.0.113.20:80").expect("it connects"), &web);
    // What nobody has is nobody's.
    assert!(!pings(&lab.client, "203.0.113.9"), "nobody inside is asked for");
    ravelin.finish(&["nat_untracked"]);
}

#[test]
fn a_connection_that_the_inside_continues_survives_the_process() {
    let Some(lab) = hidden(&["ping"]) else { return };
    let ravelin = start(&lab, NAT);
    let [mut stream, mut other] = connected(&lab);
    ravelin.kill();
    let ravelin = start(&lab, NAT);
    for _ in 0..3 {
        stream.write_all(b"still here").expect("it is connected");
        let mut heard = [0; 10];
        other.read_exact(&mut heard).expect("it arrives");
        other.write_all(&heard).expect("it is connected");
        stream.read_exact(&mut heard).expect("it arrives");
        assert_eq!(&heard, b"still here");
    }
    ravelin.finish(&[]);
}
