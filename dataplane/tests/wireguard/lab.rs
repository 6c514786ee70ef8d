//! A gateway in memory with a tunnel: 10.0.0.0/24 and fd00::/64 are inside, behind port 0; peers are outside, behind port 1, and what is
//! behind them, 10.9.0.0/16 and fd09::/64, is reached through port 3.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses its own part of this"
)]

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
};

use blake2::{
    Blake2s256, Blake2sMac, Digest as _,
    digest::{FixedOutput as _, KeyInit as _, Update as _, consts::U16},
};
use boringtun::{
    noise::{Tunn, TunnResult, rate_limiter::RateLimiter},
    x25519::{PublicKey, StaticSecret},
};
use etherparse::PacketBuilder;
use ravelin_config::types::{IpNet, MssClamp};
use ravelin_dataplane::{
    counters::WorkerCounters,
    forward::{Plan as Ports, Port},
    io::PortId,
    parse::decode,
    policy::PolicySet,
    route::{Change, Hop, Link, Neighbours, NextHopId, ReversePath, Rib, Routes, Target},
    snapshot::Snapshot,
    verdict::DropReason,
    wireguard::{AllowedIps, Counter, Identity, Inbox, Interface, Peer, PeerKeys, PeerSlot, Plan},
};

use crate::support::{
    Appliance, Plant,
    router::{OURS, THEIRS},
};

pub const INSIDE: u8 = 0;
pub const OUTSIDE: u8 = 1;
pub const TUNNEL: u8 = 3;
pub const LISTEN: u16 = 51820;
/// The gateway outside.
pub const GATEWAY: &str = "10.1.0.1";
pub const GATEWAY6: &str = "fd01::1";
/// A host inside.
pub const HOST: &str = "10.0.0.9";
pub const HOST6: &str = "fd00::9";

fn port(number: u8) -> PortId {
    PortId(number)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Where everything is.
pub fn routes() -> Routes {
    routes_with(&[])
}

/// The same, with the prefixes `others` led elsewhere: 0 to the host, 1 inside, 2 outside, 3 into the tunnel, 4 through a gateway outside,
/// 5 to the kernel.
pub fn routes_with(others: &[(&str, usize)]) -> Routes {
    let through =
        |number, mtu| Target::Hops([Hop { port: port(number), gateway: None, mtu, weight: 1 }].into());
    let gateway = Hop { port: port(OUTSIDE), gateway: Some(ip("10.1.0.9").into()), mtu: 1500, weight: 1 };
    let targets = vec![
        Target::Local,
        through(INSIDE, 1500),
        through(OUTSIDE, 1500),
        through(TUNNEL, 1420),
        Target::Hops([gateway].into()),
        Target::Kernel,
    ];
    let prefixes = [
        ("10.0.0.1/32", 0),
        ("10.1.0.1/32", 0),
        ("10.9.0.1/32", 0),
        ("fd01::1/128", 0),
        ("10.0.0.0/24", 1),
        ("fd00::/64", 1),
        ("10.1.0.0/24", 2),
        ("fd01::/64", 2),
        ("10.9.0.0/16", 3),
        ("fd09::/64", 3),
    ];
    let changes: Vec<_> = prefixes
        .into_iter()
        .chain(others.iter().copied())
        .map(|(prefix, target)| Change { prefix: prefix.parse().unwrap(), next: NextHopId::new(target) })
        .collect();
    let link = |index, mac, is_tunnel| Link { index, mac, table: 0, forwards: [true; 2], is_tunnel };
    let neighbours = [
        (INSIDE, HOST, THEIRS[0]),
        (INSIDE, HOST6, THEIRS[0]),
        (OUTSIDE, "10.1.0.9", THEIRS[1]),
        (OUTSIDE, "10.1.0.8", THEIRS[1]),
        (OUTSIDE, "fd01::9", THEIRS[1]),
    ];
    Routes {
        fibs: Arc::new([Rib::new().apply(&changes)]),
        targets: targets.into(),
        links: Arc::new([
            Some(link(1, OURS[0], false)),
            Some(link(2, OURS[1], false)),
            None,
            Some(link(4, [2, 0, 0, 0, 0, 4], true)),
        ]),
        neighbours: Arc::new(Neighbours::new(
            neighbours.map(|(number, address, mac)| (port(number), ip(address), mac)),
        )),
    }
}

/// Who the gateway is.
pub struct Gateway {
    pub appliance: Appliance,
    pub identity: Arc<Identity>,
    pub previous: Option<Arc<Identity>>,
    pub sockets: [Option<Arc<UdpSocket>>; 2],
    pub peers: Vec<Arc<Peer>>,
    pub is_strict: bool,
    pub inbox: Arc<Inbox>,
    allowed: Vec<Vec<IpNet>>,
}

impl Gateway {
    pub fn new(workers: u8) -> Self {
        let appliance =
            Appliance::new(Plant { snapshot: snapshot(Plan::default()), workers, ..Plant::default() });
        Self {
            appliance,
            identity: Arc::new(Identity::new([7; 32])),
            previous: None,
            sockets: [None, None],
            peers: Vec::new(),
            is_strict: false,
            inbox: Arc::default(),
            allowed: Vec::new(),
        }
    }

    /// One with a worker, and a peer that may use these addresses.
    pub fn with_peer(endpoint: &str, allowed: &[&str]) -> (Self, Remote) {
        let mut gateway = Self::new(1);
        let remote = gateway.add(endpoint, None, allowed);
        gateway.publish();
        (gateway, remote)
    }

    /// Adds a peer; it is known with the next publication.
    pub fn add(&mut self, endpoint: &str, said: Option<SocketAddr>, allowed: &[&str]) -> Remote {
        let slot = PeerSlot(u32::try_from(self.peers.len()).unwrap());
        let secret = secret(slot);
        let keys = PeerKeys {
            public_key: PublicKey::from(&secret).to_bytes(),
            preshared_key: Some([5; 32]),
            keepalive: None,
        };
        self.add_peer(slot, keys, said, allowed);
        Remote::new(secret, self.identity.public_key(), endpoint)
    }

    /// The same for one with these keys, whoever it is.
    pub fn add_peer(&mut self, slot: PeerSlot, keys: PeerKeys, said: Option<SocketAddr>, allowed: &[&str]) {
        self.peers.push(Arc::new(Peer::new(slot, (port(TUNNEL), &self.identity), keys, said)));
        self.allowed.push(allowed.iter().map(|prefix| prefix.parse().unwrap()).collect());
    }

    pub fn plan(&self) -> Plan {
        let allowed = self.peers.iter().zip(&self.allowed).map(|(peer, allowed)| (peer.slot, &**allowed));
        let interface = Interface {
            port: port(TUNNEL),
            wire: None,
            listen_port: LISTEN,
            mtu: 1420,
            requires_encryption: self.is_strict,
            identity: Arc::clone(&self.identity),
            previous: self.previous.clone(),
            allowed: AllowedIps::new(allowed).unwrap(),
            keys: self.peers.iter().map(|peer| (peer.keys.public_key, peer.slot)).collect(),
            sockets: self.sockets.clone(),
            inbox: Arc::clone(&self.inbox),
        };
        let most = self.peers.iter().map(|peer| peer.slot.0 + 1).max().unwrap_or(0);
        let mut peers = vec![None; most as usize];
        for peer in &self.peers {
            peers[peer.slot.0 as usize] = Some(Arc::clone(peer));
        }
        Plan::new(vec![interface], peers)
    }

    /// What a worker needs to know to be this gateway.
    pub fn snapshot(&self) -> Snapshot {
        snapshot(self.plan())
    }

    pub fn publish(&mut self) {
        self.publish_with(routes());
    }

    /// The same where packets are routed otherwise.
    pub fn publish_with(&mut self, routes: Routes) {
        let snapshot = Snapshot { routes, ..snapshot(self.plan()) };
        self.appliance.publisher.publish(snapshot);
        self.appliance.settle();
    }

    /// The same with this policy.
    pub fn publish_policy(&mut self, policy: PolicySet) {
        let snapshot = Snapshot { policy, ..snapshot(self.plan()) };
        self.appliance.publisher.publish(snapshot);
        self.appliance.settle();
    }

    /// Removes a peer; it is gone with the next publication.
    pub fn remove(&mut self, slot: u32) {
        let place = self.peers.iter().position(|peer| peer.slot.0 == slot).unwrap();
        self.peers.remove(place);
        self.allowed.remove(place);
    }

    /// What the gateway sends when a worker of it receives a packet at a port.
    pub fn receive_at(&mut self, worker: usize, number: u8, frame: &[u8]) -> Vec<(u8, Vec<u8>)> {
        self.appliance.push(worker, number, 1, frame);
        self.appliance.settle();
        self.appliance.sent().into_iter().map(|(port, frame)| (port.0, frame)).collect()
    }

    pub fn receive(&mut self, number: u8, frame: &[u8]) -> Vec<(u8, Vec<u8>)> {
        self.receive_at(0, number, frame)
    }

    /// The same for what is dropped: nothing is sent, and the packet counts for this reason.
    #[track_caller]
    pub fn drops(&mut self, number: u8, frame: &[u8], reason: DropReason) {
        let before = self.counters().drops.count(reason);
        assert_eq!(self.receive(number, frame), []);
        assert_eq!(self.counters().drops.count(reason), before + 1, "{}", reason.name());
    }

    pub fn counters(&self) -> WorkerCounters {
        self.appliance.counters()
    }

    pub fn count(&self, slot: u32, counter: Counter) -> u64 {
        self.peers.iter().find(|peer| peer.slot.0 == slot).unwrap().count(counter)
    }

    /// Has somebody else begin handshakes with a key of the gateway until cookies are asked for, and a peer get a session with one.
    #[track_caller]
    pub fn get_through_a_flood(&mut self, remote: &mut Remote, key: [u8; 32]) {
        let mut flooder = Remote::new([200; 32].into(), key, "10.1.0.8:1");
        for _ in 0..300 {
            let initiation = flooder.begin();
            self.receive(OUTSIDE, &flooder.wrap(&initiation));
        }
        let initiation = remote.begin();
        let answers = self.receive(OUTSIDE, &remote.wrap(&initiation));
        let cookie = answers.iter().map(|(_, frame)| frame).rfind(|frame| frame.len() == 42 + 64);
        assert_eq!(remote.open(cookie.expect("a cookie")), Answer::Nothing);
        let initiation = remote.begin();
        let answers = self.receive(OUTSIDE, &remote.wrap(&initiation));
        assert!(matches!(remote.open(&answers[0].1), Answer::Send(_)), "a response");
    }

    /// Has a peer begin a handshake, and finish it.
    #[track_caller]
    pub fn shake_hands(&mut self, remote: &mut Remote) {
        let initiation = remote.begin();
        let answers = self.receive(OUTSIDE, &remote.wrap(&initiation));
        let [(OUTSIDE, response)] = &*answers else { panic!("one answer: {answers:?}") };
        let Answer::Send(keepalive) = remote.open(response) else { panic!("a response") };
        assert_eq!(self.receive(OUTSIDE, &remote.wrap(&keepalive)), []);
    }
}

fn snapshot(plan: Plan) -> Snapshot {
    let route =
        Port::Route { complete_checksums: true, reverse_path: ReversePath::Strict, mss_clamp: MssClamp::Off };
    let forward = Ports::new(vec![route, route, Port::Host, route]);
    Snapshot { forward, routes: routes(), wireguard: Arc::new(plan), ..Snapshot::default() }
}

/// The private key of a peer that [`Gateway::add`] adds.
pub fn secret(slot: PeerSlot) -> StaticSecret {
    StaticSecret::from([slot.0 as u8 + 100; 32])
}

/// A peer of the gateway, which is made of the same state machine and of other code for everything around it.
pub struct Remote {
    tunn: Tunn,
    pub endpoint: SocketAddr,
}

/// What a message was.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// A packet.
    Packet(Vec<u8>),
    /// It is answered by this message.
    Send(Vec<u8>),
    Nothing,
    Failed,
}

impl Remote {
    pub fn new(secret: StaticSecret, gateway: [u8; 32], endpoint: &str) -> Self {
        // It is never too busy for the gateway.
        let limiter = Arc::new(RateLimiter::new(&PublicKey::from(&secret), u64::MAX));
        let tunn = Tunn::new(secret, PublicKey::from(gateway), Some([5; 32]), None, 77, Some(limiter));
        Self { tunn, endpoint: endpoint.parse().unwrap() }
    }

    /// The message that begins a handshake.
    pub fn begin(&mut self) -> Vec<u8> {
        let mut buffer = [0; 256];
        sent(self.tunn.format_handshake_initiation(&mut buffer, true))
    }

    /// A packet in a message.
    pub fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = [0; 4096];
        sent(self.tunn.encapsulate(packet, &mut buffer))
    }

    /// A frame from the peer with a message to the gateway.
    pub fn wrap(&self, message: &[u8]) -> Vec<u8> {
        wrap(self.endpoint, message)
    }

    /// A frame with a packet in a message.
    pub fn send(&mut self, packet: &[u8]) -> Vec<u8> {
        let message = self.seal(packet);
        self.wrap(&message)
    }

    /// What the peer finds in a frame that the gateway sent, which has to be one for it.
    #[track_caller]
    pub fn open(&mut self, frame: &[u8]) -> Answer {
        let headers = decode(frame).headers;
        let gateway = if self.endpoint.is_ipv4() { GATEWAY } else { GATEWAY6 };
        assert_eq!((headers.source.ip(), headers.source_port), (ip(gateway), LISTEN));
        assert_eq!(
            (headers.destination.ip(), headers.destination_port),
            (self.endpoint.ip(), self.endpoint.port())
        );
        assert_eq!(frame[..12], [THEIRS[1], OURS[1]].concat());
        etherparse::SlicedPacket::from_ethernet(frame).expect("a packet");
        self.open_message(content(frame))
    }

    pub fn open_message(&mut self, message: &[u8]) -> Answer {
        let mut buffer = [0; 4096];
        match self.tunn.decapsulate(Some(ip(GATEWAY)), message, &mut buffer) {
            TunnResult::Done => Answer::Nothing,
            TunnResult::Err(_) => Answer::Failed,
            TunnResult::WriteToNetwork(message) => Answer::Send(message.to_vec()),
            TunnResult::WriteToTunnelV4(packet, _) => Answer::Packet(packet.to_vec()),
            TunnResult::WriteToTunnelV6(packet, _) => Answer::Packet(packet.to_vec()),
        }
    }
}

fn sent(result: TunnResult<'_>) -> Vec<u8> {
    let TunnResult::WriteToNetwork(message) = result else { panic!("{result:?}") };
    message.to_vec()
}

/// A frame with a message to the gateway, from this address and port.
pub fn wrap(endpoint: SocketAddr, message: &[u8]) -> Vec<u8> {
    let gateway = if endpoint.is_ipv4() { GATEWAY } else { GATEWAY6 };
    udp((endpoint.ip(), endpoint.port()), (ip(gateway), LISTEN), message)
}

/// The message in a frame.
pub fn content(frame: &[u8]) -> &[u8] {
    let headers = decode(frame).headers;
    &frame[usize::from(headers.payload_offset)..usize::from(headers.end)]
}

/// HASH of the paper on WireGuard, of a label and a public key.
pub fn labelled(label: &[u8; 8], public_key: [u8; 32]) -> [u8; 32] {
    Blake2s256::new().chain_update(label).chain_update(public_key).finalize().into()
}

/// MAC of the paper.
pub fn mac(key: &[u8], message: &[u8]) -> [u8; 16] {
    let mac = Blake2sMac::<U16>::new_from_slice(key).unwrap();
    mac.chain(message).finalize_fixed().into()
}

/// The first sum of a handshake message to whoever has this public key: of all that stands in front of it.
pub fn mac1(public_key: [u8; 32], message: &[u8]) -> [u8; 16] {
    mac(&labelled(b"mac1----", public_key), message)
}

/// A frame that comes in outside.
pub fn udp(source: (IpAddr, u16), destination: (IpAddr, u16), payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let ethernet = PacketBuilder::ethernet2(THEIRS[1], OURS[1]);
    match (source.0, destination.0) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let packet = ethernet.ipv4(from.octets(), to.octets(), 60).udp(source.1, destination.1);
            packet.write(&mut frame, payload).unwrap();
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let packet = ethernet.ipv6(from.octets(), to.octets(), 60).udp(source.1, destination.1);
            packet.write(&mut frame, payload).unwrap();
        }
        _ => panic!("two versions"),
    }
    frame
}

/// An IP packet as it is inside a tunnel: of UDP, with so many bytes.
pub fn packet(source: &str, destination: &str, length: usize) -> Vec<u8> {
    udp((ip(source), 4000), (ip(destination), 5000), &vec![3; length])[14..].to_vec()
}

/// The same as a host behind port 0 sends it.
pub fn frame(source: &str, destination: &str, length: usize) -> Vec<u8> {
    let mut frame = udp((ip(source), 5000), (ip(destination), 4000), &vec![4; length]);
    frame[..12].copy_from_slice(&[OURS[0], THEIRS[0]].concat());
    frame
}
