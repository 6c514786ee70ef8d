//! A gateway in memory: a host, 10.0.0.9, is inside, behind port 0; peers are outside, at 10.1.0.9, behind port 1; what they may use are
//! single addresses of 100.0.0.0/8, scattered, behind port 3.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use boringtun::{
    noise::{Tunn, TunnResult},
    x25519::{PublicKey, StaticSecret},
};
use etherparse::PacketBuilder;
use ravelin_config::types::{IpNet, MssClamp};
use ravelin_dataplane::{
    forward::{Plan as Ports, Port},
    io::PortId,
    parse::decode,
    route::{Change, Hop, Link, Mac, Neighbours, NextHopId, ReversePath, Rib, Routes, Target},
    snapshot::Snapshot,
    wireguard::{AllowedIps, Identity, Interface, Peer, PeerKeys, PeerSlot, Plan},
    worker::Worker,
};

use super::batches::Batches;
use crate::{
    pipeline::{Discard, worker_with},
    traffic::splitmix,
};

pub(super) const INSIDE: PortId = PortId(0);
pub(super) const OUTSIDE: PortId = PortId(1);
pub(super) const TUNNEL: PortId = PortId(3);
/// Packets in a turn.
pub(super) const BATCH: usize = 64;
pub(super) const MTU: u16 = 1420;
/// Ethernet, IPv4 and UDP in front of a message.
pub(super) const HEADERS: usize = 42;
const LISTEN: u16 = 51820;
const HOST: [u8; 4] = [10, 0, 0, 9];
const GATEWAY: [u8; 4] = [10, 1, 0, 1];
const PEER: [u8; 4] = [10, 1, 0, 9];
const OURS: [Mac; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
const THEIRS: [Mac; 2] = [[4, 0, 0, 0, 0, 1], [4, 0, 0, 0, 0, 2]];

/// Peers of a gateway.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) peers: usize,
    /// Of these, those that have sessions, evenly among them.
    pub(super) in_use: usize,
    /// Allowed IPs of each.
    pub(super) addresses: usize,
}

impl Shape {
    /// The slot of a peer in use.
    pub(super) const fn slot(&self, used: usize) -> usize {
        used * (self.peers / self.in_use)
    }

    /// An address of a peer: scattered over 2^24, none twice.
    pub(super) fn address(&self, slot: usize, number: usize) -> [u8; 4] {
        let number = (slot * self.addresses + number % self.addresses) as u32;
        let [_, a, b, c] = number.wrapping_mul(0x9e37_79b1).to_be_bytes();
        [100, a, b, c]
    }
}

/// A worker of a gateway, and what is around it.
pub(super) struct Gateway {
    pub(super) worker: Worker<Batches, Discard>,
    pub(super) identity: Arc<Identity>,
}

impl Gateway {
    /// One with peers, which have no sessions yet.
    pub(super) fn new(shape: Shape) -> Self {
        let identity = Arc::new(Identity::new([7; 32]));
        let peers: Vec<_> = (0..shape.peers).map(|slot| peer(slot, &identity)).collect();
        let worker = worker(plan(shape, &identity, &peers));
        let mut gateway = Self { worker, identity };
        // The first look at the timers of all.
        while gateway.worker.turn() {}
        gateway
    }

    /// Time of a turn with what is laid out.
    pub(super) fn turn(&mut self) -> Duration {
        let start = Instant::now();
        self.worker.turn();
        start.elapsed()
    }

    /// Who is at the other end of a peer's tunnel.
    pub(super) fn remote(&self, slot: usize) -> Remote {
        let gateway = PublicKey::from(self.identity.public_key());
        let tunn = Tunn::new(secret(slot), gateway, Some([5; 32]), None, 77, None);
        Remote { tunn, port: 40_000 + (slot % 20_000) as u16 }
    }

    /// Has a peer begin a handshake, and finish it.
    pub(super) fn connect(&mut self, slot: usize) -> Remote {
        let mut remote = self.remote(slot);
        self.worker.io_mut().push(OUTSIDE, |room| remote.begin(room));
        self.turn();
        let keepalive = self.answer(std::slice::from_mut(&mut remote));
        assert_eq!(keepalive, 1, "a handshake is answered");
        self.turn();
        remote
    }

    /// Has remotes answer what was sent to them, and lays that out for the next turn; returns how many did.
    pub(super) fn answer(&mut self, remotes: &mut [Remote]) -> usize {
        let mut answers = Vec::new();
        self.worker.io_mut().look(|_, frame| {
            let headers = decode(frame).headers;
            let remote = remotes.iter_mut().find(|remote| remote.port == headers.destination_port);
            let remote = remote.expect("it is for one of them");
            answers.extend(remote.answer(&frame[usize::from(headers.payload_offset)..]));
        });
        for answer in &answers {
            self.worker.io_mut().push(OUTSIDE, |room| {
                room[..answer.len()].copy_from_slice(answer);
                answer.len()
            });
        }
        answers.len()
    }
}

/// The same worker where port 3 is an interface like the others.
pub(super) fn plain() -> Worker<Batches, Discard> {
    worker(Plan::default())
}

fn worker(plan: Plan) -> Worker<Batches, Discard> {
    let route =
        Port::Route { complete_checksums: true, reverse_path: ReversePath::Strict, mss_clamp: MssClamp::Off };
    let forward = Ports::new(vec![route, route, Port::Host, route]);
    let snapshot = Snapshot { forward, routes: routes(), wireguard: Arc::new(plan), ..Snapshot::default() };
    worker_with(Batches::new(), 100_000, BATCH, snapshot)
}

fn secret(slot: usize) -> StaticSecret {
    let mut bytes = [9; 32];
    bytes[..8].copy_from_slice(&splitmix(slot as u64).to_le_bytes());
    StaticSecret::from(bytes)
}

pub(super) fn peer(slot: usize, identity: &Arc<Identity>) -> Arc<Peer> {
    let keys = PeerKeys {
        public_key: PublicKey::from(&secret(slot)).to_bytes(),
        preshared_key: Some([5; 32]),
        keepalive: None,
    };
    Arc::new(Peer::new(PeerSlot(slot as u32), (TUNNEL, identity), keys, None))
}

fn plan(shape: Shape, identity: &Arc<Identity>, peers: &[Arc<Peer>]) -> Plan {
    let prefixes: Vec<Vec<IpNet>> = (0..shape.peers)
        .map(|slot| {
            let address = |number| Ipv4Addr::from(shape.address(slot, number));
            (0..shape.addresses)
                .map(|number| format!("{}/32", address(number)).parse().expect("a prefix"))
                .collect()
        })
        .collect();
    let allowed = peers.iter().zip(&prefixes).map(|(peer, prefixes)| (peer.slot, &**prefixes));
    let interface = Interface {
        port: TUNNEL,
        wire: None,
        listen_port: LISTEN,
        mtu: MTU,
        requires_encryption: false,
        identity: Arc::clone(identity),
        previous: None,
        allowed: AllowedIps::new(allowed).expect("not too many"),
        keys: peers.iter().map(|peer| (peer.keys.public_key, peer.slot)).collect(),
        sockets: [None, None],
        inbox: Arc::default(),
    };
    Plan::new(vec![interface], peers.iter().cloned().map(Some).collect())
}

fn routes() -> Routes {
    let through = |port, mtu| Target::Hops([Hop { port, gateway: None, mtu, weight: 1 }].into());
    let targets =
        vec![Target::Local, through(INSIDE, 1500), through(OUTSIDE, 1500), through(TUNNEL, MTU.into())];
    let prefixes = [("10.1.0.1/32", 0), ("10.0.0.0/24", 1), ("10.1.0.0/24", 2), ("100.0.0.0/8", 3)];
    let changes = prefixes
        .map(|(prefix, to)| Change { prefix: prefix.parse().expect("a prefix"), next: NextHopId::new(to) });
    let link = |index, mac, is_tunnel| Some(Link { index, mac, table: 0, forwards: [true; 2], is_tunnel });
    let neighbours = [(INSIDE, IpAddr::from(HOST), THEIRS[0]), (OUTSIDE, IpAddr::from(PEER), THEIRS[1])];
    Routes {
        fibs: Arc::new([Rib::new().apply(&changes)]),
        targets: targets.into(),
        links: Arc::new([
            link(1, OURS[0], false),
            link(2, OURS[1], false),
            None,
            link(4, [2, 0, 0, 0, 0, 4], true),
        ]),
        neighbours: Arc::new(Neighbours::new(neighbours)),
    }
}

/// The other end of a tunnel.
pub(super) struct Remote {
    tunn: Tunn,
    port: u16,
}

impl Remote {
    /// Writes a frame that begins a handshake.
    pub(super) fn begin(&mut self, room: &mut [u8]) -> usize {
        let result = self.tunn.format_handshake_initiation(&mut room[HEADERS..], true);
        let length = sent(result).expect("it begins one");
        self.wrap(room, length)
    }

    /// Writes a frame with a packet in a message.
    pub(super) fn seal(&mut self, packet: &[u8], room: &mut [u8]) -> usize {
        let length = sent(self.tunn.encapsulate(packet, &mut room[HEADERS..])).expect("there is a session");
        self.wrap(room, length)
    }

    /// The packet in a message.
    pub(super) fn open(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = [0; 2048];
        match self.tunn.decapsulate(None, message, &mut buffer) {
            TunnResult::WriteToTunnelV4(packet, _) => Some(packet.to_vec()),
            TunnResult::WriteToTunnelV6(..)
            | TunnResult::WriteToNetwork(_)
            | TunnResult::Done
            | TunnResult::Err(_) => None,
        }
    }

    /// The frame that answers a message, if one does.
    fn answer(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let mut frame = vec![0; 512];
        let length = sent(self.tunn.decapsulate(None, message, &mut frame[HEADERS..]))?;
        let length = self.wrap(&mut frame, length);
        frame.truncate(length);
        Some(frame)
    }

    /// Writes headers in front of a message; returns the length of the frame.
    fn wrap(&self, room: &mut [u8], message: usize) -> usize {
        let headers = frame(OUTSIDE, (PEER, self.port), (GATEWAY, LISTEN), message);
        room[..HEADERS].copy_from_slice(&headers[..HEADERS]);
        // Without a checksum, as peers send messages over IPv4.
        room[HEADERS - 2..HEADERS].fill(0);
        HEADERS + message
    }
}

pub(super) fn sent(result: TunnResult<'_>) -> Option<usize> {
    match result {
        TunnResult::WriteToNetwork(message) => Some(message.len()),
        TunnResult::Done
        | TunnResult::Err(_)
        | TunnResult::WriteToTunnelV4(..)
        | TunnResult::WriteToTunnelV6(..) => None,
    }
}

/// A frame that comes in at a port, with so many bytes behind its headers.
pub(super) fn frame(port: PortId, from: ([u8; 4], u16), to: ([u8; 4], u16), length: usize) -> Vec<u8> {
    let (source, destination) = match port {
        INSIDE => (THEIRS[0], OURS[0]),
        OUTSIDE => (THEIRS[1], OURS[1]),
        _ => ([0; 6], [2, 0, 0, 0, 0, 4]),
    };
    let mut frame = Vec::with_capacity(HEADERS + length);
    PacketBuilder::ethernet2(source, destination)
        .ipv4(from.0, to.0, 60)
        .udp(from.1, to.1)
        .write(&mut frame, &vec![3; length])
        .expect("it fits");
    frame
}

/// The frames of a host and a peer's network to each other, with packets of so many bytes.
pub(super) fn pair(address: [u8; 4], length: usize) -> [Vec<u8>; 2] {
    let payload = length + 14 - HEADERS;
    let (host, peer) = ((HOST, 5000), (address, 4000));
    [frame(INSIDE, host, peer, payload), frame(TUNNEL, peer, host, payload)]
}
