//! UDP through a gateway alone, on one core: the other end of the tunnel costs as little as can be, on the other core.
//!
//! What the gateway opens was sealed before, by boringtun's state machine in this program; what it seals the kernel sends from memory, as in
//! `nftables.rs`. What leaves the gateway is counted and dropped at the door of who it is for. Both sources send more than a gateway passes, so
//! what is measured is what it passes while the rest is lost.

use std::{
    io::BufRead as _,
    net::UdpSocket,
    thread::sleep,
    time::{Duration, Instant},
};

use boringtun::{
    noise::{Tunn, TunnResult},
    x25519::{PublicKey, StaticSecret},
};
use ravelin_config::wireguard::{PrivateKey, PublicKey as Spelled};

use super::{
    super::{
        myself,
        programs::Pattern,
        source,
        topology::{Host, Process, Topology},
    },
    end::{End, Interface, Keys, Program, Remote},
    place::PORT,
    traffic::Way,
};
use crate::harness::Report;

/// Where the gateway is, as the sender sees it.
const GATEWAY: &str = "10.77.0.254";
/// Bytes of a packet inside.
const LENGTH: usize = 1400;
/// Ethernet in front of it.
const ETHERNET: usize = 14;
/// How long it is watched.
const RUN: Duration = Duration::from_millis(400);
/// Messages sealed before a run.
const SEALED: usize = 400_000;

/// Gigabits a second, of packets inside, that a gateway passes.
pub(super) fn measure(report: &Report, program: Program, way: Way) -> f64 {
    let topology = Topology::routed(1500);
    place(&topology);
    let (ours, theirs) = (Keys::new(), Keys::new());
    let remote =
        Remote { public_key: theirs.public.clone(), allowed_ips: "10.78.0.2/32".to_owned(), endpoint: None };
    let interface = Interface {
        host: Host::Middle,
        name: "wg0".to_owned(),
        cores: "1",
        core: 1,
        ports: &["r0", "r1"],
        address: "10.9.0.1".to_owned(),
        listen_port: PORT,
        remotes: vec![remote],
    };
    let gateway = End::start(&topology, program, &ours, &interface);
    let (door, host) = match way {
        Way::In => ("b0", Host::Server),
        Way::Out => ("a0", Host::Client),
    };
    let count = if way == Way::In { SEALED } else { 0 };
    let arguments = ["role", "seal", theirs.private(), &ours.public, &count.to_string()];
    let mut sender = topology.start(Host::Client, 0, &myself(), &arguments);
    assert_eq!(sender.line(), "ready");
    let mut sink = topology.start(host, 0, &myself(), &["role", "sink", door]);
    assert_eq!(sink.line(), "ready");
    let transferred = gateway.transferred(&topology);
    let kernel = match way {
        Way::In => {
            sender.tell();
            None
        }
        Way::Out => Some(start_source(&topology, program)),
    };
    let [arrived, spent] = watch(&mut sink, program);
    let bytes = arrived * LENGTH as f64;
    if way == Way::In {
        let mut sent: f64 = sender.line().parse().expect("packets a second");
        sent *= spent / arrived;
        if sent < 1.1 {
            report.note(&format!(
                "{}: the source is the limit: it sends {sent:.2} times as much",
                program.name()
            ));
        }
    }
    drop(kernel);
    let through = (gateway.transferred(&topology) - transferred) as f64;
    assert!(through >= bytes, "{}: of {bytes} bytes {through} went through the tunnel", program.name());
    bytes * 8.0 / 1e9 / spent
}

/// Packets that arrive at the sink in a while, and how long that was.
fn watch(sink: &mut Process, program: Program) -> [f64; 2] {
    let mut count = || (sink.ask().parse::<u64>().expect("a count"), Instant::now());
    let patience = Instant::now();
    while count().0 < 1_000 {
        assert!(patience.elapsed() < Duration::from_secs(10), "{}: nothing arrives", program.name());
        sleep(Duration::from_millis(2));
    }
    sleep(Duration::from_millis(30));
    let (before, start) = count();
    sleep(RUN);
    let (after, end) = count();
    [(after - before) as f64, (end - start).as_secs_f64()]
}

/// Has the middle know ways to all, for a sink answers no ARP.
fn place(topology: &Topology) {
    let middle = |text: &str| topology.ip(Host::Middle, &text.split(' ').collect::<Vec<_>>());
    // To whom the source sends; see `source::frame`.
    middle("link set r1 address 02:00:00:00:00:01");
    for (host, name, address) in
        [(Host::Client, "a0", "02:00:00:00:00:03"), (Host::Server, "b0", "02:00:00:00:00:02")]
    {
        topology.ip(host, &["link", "set", name, "address", address]);
    }
    middle("neighbour replace 10.77.0.1 lladdr 02:00:00:00:00:03 dev r0 nud permanent");
    middle("neighbour replace 10.79.0.2 lladdr 02:00:00:00:00:02 dev r1 nud permanent");
    middle("route add 10.78.0.1/32 via 10.79.0.2 dev r1");
}

/// Sends to the peer, from the server; where the kernel routes, as its stack receives it from there.
fn start_source(topology: &Topology, program: Program) -> Process {
    let (host, interface, entrance) = match program {
        Program::Ravelin => (Host::Server, "b0", "transmit"),
        Program::WireguardGo | Program::WireguardGoBackports | Program::Boringtun | Program::Gotatun => {
            (Host::Middle, "r1", "receive")
        }
    };
    let length = (ETHERNET + LENGTH).to_string();
    let arguments = ["role", "source", interface, entrance, "60", "16", &length, "answers"];
    topology.start(host, 0, &myself(), &arguments)
}

/// Opens a tunnel to the gateway, seals so many packets, and says that it is ready; after a line sends them as fast as it can, and prints how many
/// a second that were.
pub(crate) fn seal(private: &str, gateway: &str, count: usize) {
    let private: PrivateKey = private.parse().expect("a key");
    let gateway: Spelled = gateway.parse().expect("a key");
    let mut tunn = Tunn::new(
        StaticSecret::from(*private.reveal()),
        PublicKey::from(*gateway.as_bytes()),
        None,
        None,
        1,
        None,
    );
    let socket = UdpSocket::bind("0.0.0.0:51900").expect("the port is free");
    socket.connect((GATEWAY, PORT)).expect("an address");
    shake_hands(&mut tunn, &socket);
    let frame = source::frame(ETHERNET + LENGTH, Pattern::Flows);
    let packet = &frame[ETHERNET..];
    let mut messages = Vec::with_capacity(count * (LENGTH + 48));
    let mut size = 1;
    let mut buffer = vec![0; LENGTH + 148];
    for _ in 0..count {
        let TunnResult::WriteToNetwork(message) = tunn.encapsulate(packet, &mut buffer) else {
            panic!("there is a session")
        };
        size = message.len();
        messages.extend_from_slice(message);
    }
    println!("ready");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).expect("input is a pipe");
    let start = Instant::now();
    for message in messages.chunks_exact(size) {
        let _lost = socket.send(message);
    }
    println!("{}", count as f64 / start.elapsed().as_secs_f64());
}

fn shake_hands(tunn: &mut Tunn, socket: &UdpSocket) {
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let (mut buffer, mut answer) = ([0; 2048], [0; 2048]);
    for _ in 0..20 {
        let TunnResult::WriteToNetwork(first) = tunn.format_handshake_initiation(&mut buffer, true) else {
            panic!("a handshake can be begun")
        };
        let _repeated = socket.send(first);
        // Until nothing more comes: an answer to what was sent before may be late.
        while let Ok(length) = socket.recv(&mut answer) {
            if let TunnResult::WriteToNetwork(keepalive) =
                tunn.decapsulate(None, &answer[..length], &mut buffer)
            {
                socket.send(keepalive).expect("there is a way");
                return;
            }
        }
    }
    panic!("the gateway does not answer");
}
