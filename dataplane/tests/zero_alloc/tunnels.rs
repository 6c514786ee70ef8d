//! Tunnels: data is opened and sealed without an allocation, and a flood of handshakes takes no memory, and nothing from sessions.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use ravelin_dataplane::{
    batch::{Batch, Meta},
    clock::Timestamp,
    io::{Frame, IoCounters, PacketIo, PortId, TransmitError},
    verdict::DropReason,
    wake::Waker,
    wireguard::Counter,
    worker::Worker,
};

use crate::{
    ALLOCATIONS, LIVE,
    common::Sink,
    lab::{Answer, Gateway, HOST, INSIDE, OUTSIDE, Remote, frame, packet, routes_with, wrap},
    support::{Plant, worker_over},
};

const PEER: &str = "10.1.0.9:51000";
const INNER: &str = "10.9.0.2";

/// A frame of a pool: its buffer is as long as it will ever be, as those of interfaces are.
struct Room {
    bytes: Box<[u8; Self::MOST]>,
    length: usize,
}

impl Room {
    const MOST: usize = 2048;

    fn new() -> Self {
        Self { bytes: Box::new([0; Self::MOST]), length: 0 }
    }

    fn filled(mut self, bytes: &[u8]) -> Self {
        self.length = bytes.len();
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self
    }
}

impl Frame for Room {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }

    fn set_len(&mut self, length: usize) -> bool {
        if length <= Self::MOST {
            self.length = length;
        }
        length <= Self::MOST
    }
}

/// A backend over a pool of frames.
struct Pool {
    input: VecDeque<(PortId, Room)>,
    output: VecDeque<(PortId, Room)>,
    pool: Vec<Room>,
    now: Timestamp,
}

impl Pool {
    const FRAMES: usize = 256;

    fn new() -> Self {
        let queue = || VecDeque::with_capacity(Self::FRAMES);
        let pool = (0..Self::FRAMES).map(|_| Room::new()).collect();
        Self { input: queue(), output: queue(), pool, now: Timestamp::from_micros(1) }
    }

    fn push(&mut self, port: u8, bytes: &[u8]) {
        let frame = self.pool.pop().expect("frames come back").filled(bytes);
        self.input.push_back((PortId(port), frame));
    }
}

impl PacketIo for Pool {
    type Frame = Room;

    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn receive(&mut self, now: Timestamp, batch: &mut Batch<Room>) -> usize {
        let count = batch.room().min(self.input.len());
        for (port, frame) in self.input.drain(..count) {
            let length = u32::try_from(frame.length).expect("a short frame");
            let pushed = batch.push(frame, Meta { time: now, length, port, ..Meta::default() });
            assert!(pushed.is_ok(), "there is room");
        }
        count
    }

    fn transmit(&mut self, port: PortId, frame: Room) -> Result<(), (TransmitError, Room)> {
        self.output.push_back((port, frame));
        Ok(())
    }

    fn compose(&mut self, bytes: &[u8]) -> Option<Room> {
        Some(self.pool.pop()?.filled(bytes))
    }

    fn release(&mut self, frame: Room) {
        self.pool.push(frame);
    }

    fn flush(&mut self) {}

    fn wait(&mut self, _waker: &Waker, _timeout: Duration) {}

    fn is_exhausted(&self) -> bool {
        self.input.is_empty()
    }

    fn counters(&self) -> IoCounters {
        IoCounters::default()
    }
}

/// A worker of a gateway with a peer, and the peer.
struct Scene {
    worker: Worker<Pool, Sink>,
    remote: Remote,
    /// Allocations during turns.
    allocations: u64,
}

impl Scene {
    fn new() -> Self {
        let mut gateway = Gateway::new(1);
        let mut remote = gateway.add(PEER, None, &["10.9.0.2/32"]);
        let plant = Plant { snapshot: gateway.snapshot(), ..Plant::default() };
        let worker = worker_over(Pool::new(), Sink::default(), plant);
        let initiation = remote.begin();
        let mut scene = Self { worker, remote, allocations: 0 };
        let sent = scene.exchange(&[(OUTSIDE, scene.remote.wrap(&initiation))]);
        let Answer::Send(keepalive) = scene.remote.open(&sent[0].1) else { panic!("a response") };
        let keepalive = scene.remote.wrap(&keepalive);
        assert_eq!(scene.exchange(&[(OUTSIDE, keepalive)]), []);
        scene
    }

    /// What the worker sends when it receives this, some time later.
    fn exchange(&mut self, frames: &[(u8, Vec<u8>)]) -> Vec<(u8, Vec<u8>)> {
        let io = self.worker.io_mut();
        io.now = io.now + Duration::from_millis(20);
        frames.iter().for_each(|(port, frame)| io.push(*port, frame));
        let before = ALLOCATIONS.get();
        while self.worker.turn() {}
        self.allocations += ALLOCATIONS.get() - before;
        let io = self.worker.io_mut();
        let sent = std::iter::from_fn(|| {
            let (port, frame) = io.output.pop_front()?;
            let bytes = frame.bytes().to_vec();
            io.pool.push(frame);
            Some((port.0, bytes))
        });
        sent.collect()
    }
}

#[test]
fn data_is_opened_and_sealed_without_an_allocation() {
    const WARM_UP: usize = 100;
    const WATCHED: usize = 600;
    const EACH: usize = 12;
    let mut scene = Scene::new();
    let lengths = [0, 1, 100, 700, 1372];
    for turn in 0..WARM_UP + WATCHED {
        if turn == WARM_UP {
            scene.allocations = 0;
        }
        let length = lengths[turn % lengths.len()];
        let mut frames: Vec<_> = (0..EACH)
            .flat_map(|_| {
                let message = scene.remote.send(&packet(INNER, HOST, length));
                [(OUTSIDE, message), (INSIDE, frame(HOST, INNER, length))]
            })
            .collect();
        // What is not right costs no more.
        let again = frames[0].clone();
        let mut forged = scene.remote.send(&packet(INNER, HOST, length));
        *forged.last_mut().expect("a message") ^= 1;
        let lie = scene.remote.send(&packet("10.9.0.3", HOST, length));
        frames.extend([again, (OUTSIDE, forged), (OUTSIDE, lie)]);
        let sent = scene.exchange(&frames);
        let inside = sent.iter().filter(|(port, _)| *port == INSIDE).count();
        assert_eq!((inside, sent.len() - inside), (EACH, EACH));
        let message = sent.iter().rfind(|(port, _)| *port == OUTSIDE).expect("a message");
        assert!(matches!(scene.remote.open(&message.1), Answer::Packet(_)));
    }
    let counters = scene.worker.counters();
    assert_eq!(counters.balance(), Ok(()));
    for reason in [DropReason::WireguardReplay, DropReason::WireguardBadTag, DropReason::WireguardSource] {
        assert_eq!(counters.drops.count(reason), (WARM_UP + WATCHED) as u64, "{reason:?}");
    }
    assert_eq!(scene.allocations, 0, "allocations in {WATCHED} turns");
}

#[test]
fn a_flood_of_handshakes_from_everywhere_takes_no_memory_and_no_packet() {
    const PEERS: u32 = 8;
    const TURNS: u32 = 200;
    const EACH: u32 = 56;
    let mut gateway = Gateway::new(1);
    let mut remotes: Vec<_> = (0..PEERS)
        .map(|number| {
            let endpoint = format!("10.1.0.9:{}", 51_000 + number);
            gateway.add(&endpoint, None, &[&format!("10.9.1.{number}/32")])
        })
        .collect();
    // From where the flood comes, by way of a gateway.
    gateway.publish_with(routes_with(&[("198.18.0.0/15", 4)]));
    remotes.iter_mut().for_each(|remote| gateway.shake_hands(remote));
    let mut flooders: Vec<_> = (0..4)
        .map(|number| Remote::new([number + 200; 32].into(), gateway.identity.public_key(), PEER))
        .collect();
    // Of strangers, and of a peer: of those, none is the first with its time.
    let mut initiations: Vec<_> = flooders.iter_mut().map(Remote::begin).collect();
    let known = remotes[0].begin();
    gateway.receive(OUTSIDE, &remotes[0].wrap(&known));
    initiations.push(known);
    let mut live = 0;
    for turn in 0..TURNS {
        for number in 0..EACH {
            let place = turn * EACH + number;
            let source = Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() + place);
            let message = &initiations[place as usize % initiations.len()];
            let flood = wrap(SocketAddr::new(source.into(), 1024 + place as u16), message);
            gateway.appliance.push(0, OUTSIDE, 1, &flood);
        }
        for (number, remote) in remotes.iter_mut().enumerate() {
            let good = remote.send(&packet(&format!("10.9.1.{number}"), HOST, 10));
            gateway.appliance.push(0, OUTSIDE, 1, &good);
        }
        gateway.appliance.settle();
        let sent = gateway.appliance.sent();
        let inside = sent.iter().filter(|(port, _)| port.0 == INSIDE).count();
        assert_eq!(inside, PEERS as usize, "turn {turn}");
        drop(sent);
        if turn == TURNS / 4 {
            live = LIVE.get();
        }
    }
    let growth = LIVE.get() - live;
    assert!(growth < 4096, "{growth} bytes more are held than after the first quarter of the flood");
    let counters = gateway.counters();
    let count = |reason| counters.drops.count(reason);
    let cookies = count(DropReason::WireguardCookieRequired);
    let others =
        [DropReason::WireguardBusy, DropReason::WireguardUnknownPeer, DropReason::WireguardHandshakeFailed];
    assert_eq!(counters.wireguard_opened, u64::from(TURNS * PEERS));
    assert_eq!(cookies + others.map(count).iter().sum::<u64>(), u64::from(TURNS * EACH));
    assert_eq!(counters.drops.total(), u64::from(TURNS * EACH), "nothing else is dropped");
    assert_eq!(counters.wireguard_cookies_sent, cookies);
    // Not all: each second the first ones are looked at.
    assert!(cookies > u64::from(TURNS * EACH / 2), "{cookies} cookies");
    assert!(counters.wireguard_waiting == 0 && counters.flows_created == u64::from(PEERS));
    assert!((0..PEERS).all(|slot| gateway.count(slot, Counter::Handshakes) == 1));
}
