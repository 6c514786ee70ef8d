//! What is promised of messages of WireGuard, whatever they are: none breaks a worker, each gets its disposition, one that is not exactly as a
//! peer made it does nothing, and does not move the peer; one that is does what it is for, once, however late. Used by the fuzz target and
//! by `dataplane/tests/wireguard/corpus.rs`; the gateway is that of the tests there (`lab.rs`).
//!
//! The input is read as numbers, zeros behind its end: the first says how many workers there are; then come steps, each a number of
//! [`step`] and what it asks for. Keys of sessions are random, so the input says what is done to messages, and not what they are.

use std::net::SocketAddr;

use boringtun::{
    noise::{TunnResult, rate_limiter::RateLimiter},
    x25519::PublicKey,
};
use ravelin_dataplane::{
    clock::Timestamp,
    parse::decode,
    wireguard::{Counter, PeerSlot},
};

use crate::lab::{
    Answer, GATEWAY, Gateway, HOST, INSIDE, OUTSIDE, Remote, content, frame, mac1, packet, secret, wrap,
};

/// What can be done.
pub(crate) mod step {
    /// Bytes of any kind are sent as a message.
    pub(crate) const BYTES: u8 = 0;
    /// The peer sends a packet.
    pub(crate) const DATA: u8 = 1;
    /// The same, and the message is altered on its way.
    pub(crate) const ALTERED: u8 = 2;
    /// A message comes again.
    pub(crate) const AGAIN: u8 = 3;
    /// The peer sends a packet that is on its way for longer.
    pub(crate) const HOLD: u8 = 4;
    /// One of these arrives.
    pub(crate) const LATE: u8 = 5;
    /// The peer begins a session, whole.
    pub(crate) const SESSION: u8 = 6;
    /// The same, and its first message is altered.
    pub(crate) const INITIATION: u8 = 7;
    /// A packet goes to the other peer, with whom there is no session at first.
    pub(crate) const BEGIN: u8 = 8;
    /// The other peer answers that the gateway has begun.
    pub(crate) const RESPONSE: u8 = 9;
    /// The other peer demands a cookie instead.
    pub(crate) const COOKIE: u8 = 10;
    /// The peer sends what is not quite a packet, or not its own.
    pub(crate) const INSIDE: u8 = 11;
    /// A packet goes to the peer.
    pub(crate) const ANSWER: u8 = 12;
    /// Bytes of any kind arrive as a frame, at any port.
    pub(crate) const FRAME: u8 = 13;
    /// Time passes.
    pub(crate) const TIME: u8 = 14;
    /// How many there are.
    pub(crate) const COUNT: u8 = 15;
}

const STEPS: usize = 64;
/// As much of UDP as a packet holds that fits into a tunnel; the kernel is told of longer ones.
const LONGEST: usize = 1420 - 28;
/// Sessions that are known beside the last one, of an end that has begun or answered each: the state machine has eight.
const SESSIONS: u32 = 7;
const FRIEND: &str = "10.9.0.2";
const CALLER: &str = "10.9.0.3";

/// Checks one course of things.
pub(crate) fn check(input: &[u8]) {
    let mut bytes = Bytes(input.iter());
    let mut scene = Scene::new(1 + bytes.next() % 2);
    for _ in 0..STEPS {
        let Some(kind) = bytes.0.next() else { break };
        scene.step(kind % step::COUNT, &mut bytes);
    }
    for worker in &mut scene.gateway.appliance.workers {
        worker.run_to_end();
    }
    let counters = scene.gateway.counters();
    assert_eq!(counters.wireguard_waiting, 0, "nothing waits behind the end");
}

/// A message of a peer that was, or may yet be, delivered.
struct Sent {
    message: Vec<u8>,
    packet: Vec<u8>,
    /// How many sessions the peer had begun before.
    session: u32,
    is_delivered: bool,
}

/// What a message that is not right must not change.
#[derive(Debug, PartialEq, Eq)]
struct Effects {
    opened: u64,
    answered: u64,
    of_peers: [[u64; 6]; 2],
    endpoints: [Option<SocketAddr>; 2],
}

struct Scene {
    gateway: Gateway,
    /// A peer with a session.
    friend: Remote,
    /// One that has called, and not heard of the answer.
    caller: Remote,
    /// What the caller was sent to begin a session, and says to it, until it has.
    begun: Option<(Vec<u8>, Vec<u8>)>,
    history: Vec<Sent>,
    /// Sessions, and beginnings of sessions, of the friend.
    sessions: u32,
    /// How many steps there were.
    number: usize,
    now: u64,
}

impl Scene {
    fn new(workers: u8) -> Self {
        let mut gateway = Gateway::new(workers);
        let friend = gateway.add("10.1.0.9:51000", None, &["10.9.0.2/32", "fd09::2/128"]);
        let caller = gateway.add("10.1.0.9:52000", None, &["10.9.0.3/32"]);
        gateway.publish();
        let (begun, history) = (None, Vec::new());
        let mut scene = Self { gateway, friend, caller, begun, history, sessions: 0, number: 0, now: 1 };
        scene.shake_hands();
        let call = scene.caller.begin();
        let call = scene.caller.wrap(&call);
        assert_eq!(scene.deliver(OUTSIDE, &call).len(), 1, "an answer, which nobody gets");
        scene
    }

    fn step(&mut self, kind: u8, bytes: &mut Bytes<'_>) {
        self.number += 1;
        match kind {
            step::BYTES => {
                let message = self.nonsense(bytes);
                self.refuses(&message);
            }
            step::DATA => {
                let sent = self.sent(bytes);
                self.takes(&sent);
                self.history.push(Sent { is_delivered: true, ..sent });
            }
            step::ALTERED => {
                let sent = self.sent(bytes);
                if let Some(altered) = self.alter(&sent.message, bytes) {
                    self.refuses(&altered);
                }
                self.history.push(sent);
            }
            step::AGAIN => {
                if let Some(place) = self.choose(true, bytes) {
                    let message = self.history[place].message.clone();
                    self.refuses(&message);
                }
            }
            step::HOLD => {
                let sent = self.sent(bytes);
                self.history.push(sent);
            }
            step::LATE => {
                if let Some(place) = self.choose(false, bytes) {
                    let sent = Sent { is_delivered: true, ..self.history.swap_remove(place) };
                    self.takes(&sent);
                    self.history.push(sent);
                }
            }
            step::SESSION => self.shake_hands(),
            step::INITIATION => {
                let initiation = self.friend.begin();
                self.sessions += 1;
                if let Some(altered) = self.alter(&initiation, bytes) {
                    self.refuses(&altered);
                }
            }
            step::BEGIN => {
                let out = self.deliver(INSIDE, &frame(HOST, CALLER, bytes.length(LONGEST)));
                assert!(out.len() <= 1);
            }
            step::RESPONSE => self.answer_call(bytes),
            step::COOKIE => self.demand_cookie(bytes),
            step::INSIDE => {
                let inside = bytes.inside();
                let message = self.friend.seal(&inside);
                let sent = self.friend.wrap(&message);
                for (port, frame) in self.deliver(OUTSIDE, &sent) {
                    let source = decode(&frame).headers.source.ip().to_string();
                    assert!(port != INSIDE || [FRIEND, "fd09::2"].contains(&&*source), "{source}");
                }
            }
            step::ANSWER => self.answer(bytes.length(LONGEST)),
            step::FRAME => {
                let port = bytes.next() % 4;
                let length = bytes.length(1600);
                let frame = bytes.take(length);
                self.deliver(port, &frame);
            }
            step::TIME => {
                self.now += u64::from(bytes.next()) * 10_000;
                for worker in &mut self.gateway.appliance.workers {
                    worker.io_mut().set_time(Timestamp::from_micros(self.now));
                }
                self.gateway.appliance.settle();
            }
            _ => {}
        }
    }

    /// Has a frame arrive at one of the workers, and checks what holds always.
    fn deliver(&mut self, port: u8, frame: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let worker = self.number % self.gateway.appliance.workers.len();
        let out = self.gateway.receive_at(worker, port, frame);
        assert!(self.gateway.counters().wireguard_waiting <= 128, "64 packets for each peer");
        for (_, frame) in out.iter().filter(|(port, frame)| *port == OUTSIDE && frame.len() > 42) {
            let headers = decode(frame).headers;
            let is_call = headers.destination_port == self.caller.endpoint.port()
                && (headers.destination.ip(), frame[42]) == (self.caller.endpoint.ip(), 1);
            if is_call && let Answer::Send(response) = self.caller.open(frame) {
                self.begun = Some((content(frame).to_vec(), response));
            }
        }
        out
    }

    fn effects(&self) -> Effects {
        let counters = self.gateway.counters();
        let what = [
            Counter::Handshakes,
            Counter::HandshakesSent,
            Counter::ReceivedPackets,
            Counter::ReceivedBytes,
            Counter::CookiesReceived,
            Counter::KeepalivesReceived,
        ];
        let of_peers = [0, 1].map(|slot| what.map(|counter| self.gateway.count(slot, counter)));
        let endpoints = [0, 1].map(|slot| self.gateway.peers[slot].sight().endpoint);
        let (opened, answered) = (counters.wireguard_opened, counters.wireguard_handshakes);
        Effects { opened, answered, of_peers, endpoints }
    }

    /// A message from somewhere that does nothing.
    fn refuses(&mut self, message: &[u8]) {
        let before = self.effects();
        let out = self.deliver(OUTSIDE, &wrap("10.1.0.8:9".parse().expect("an address"), message));
        assert!(out.is_empty(), "{message:02x?} has come to something: {out:02x?}");
        assert_eq!(self.effects(), before, "{message:02x?}");
    }

    /// A message of the friend with a packet for a host inside, which comes out.
    fn takes(&mut self, sent: &Sent) {
        let (before, wrapped) = (self.effects(), self.friend.wrap(&sent.message));
        let out = self.deliver(OUTSIDE, &wrapped);
        if self.sessions - sent.session < SESSIONS {
            assert_eq!((out.len(), self.effects().opened), (1, before.opened + 1));
            // But for hops and the sum.
            let (port, frame) = &out[0];
            assert_eq!((*port, &frame[14 + 12..]), (INSIDE, &sent.packet[12..]));
        }
    }

    fn sent(&mut self, bytes: &mut Bytes<'_>) -> Sent {
        let packet = packet(FRIEND, HOST, bytes.length(LONGEST));
        Sent { message: self.friend.seal(&packet), packet, session: self.sessions, is_delivered: false }
    }

    fn choose(&self, is_delivered: bool, bytes: &mut Bytes<'_>) -> Option<usize> {
        let places = self.history.iter().enumerate().filter(|(_, sent)| sent.is_delivered == is_delivered);
        let places: Vec<_> = places.map(|(place, _)| place).collect();
        places.get(usize::from(bytes.next()) % places.len().max(1)).copied()
    }

    /// Adds a message that was delivered and holds no packet.
    fn remember(&mut self, message: Vec<u8>) {
        self.history.push(Sent { message, packet: Vec::new(), session: self.sessions, is_delivered: true });
    }

    fn shake_hands(&mut self) {
        let initiation = self.friend.begin();
        self.sessions += 1;
        let wrapped = self.friend.wrap(&initiation);
        let answers = self.deliver(OUTSIDE, &wrapped);
        let [(OUTSIDE, response)] = &*answers else { panic!("one answer: {answers:02x?}") };
        let Answer::Send(keepalive) = self.friend.open(response) else { panic!("a response") };
        let before = self.effects().of_peers[0][0];
        let wrapped = self.friend.wrap(&keepalive);
        assert!(self.deliver(OUTSIDE, &wrapped).is_empty());
        assert_eq!(self.effects().of_peers[0][0], before + 1, "a session");
        self.remember(initiation);
        self.remember(keepalive);
    }

    fn answer_call(&mut self, bytes: &mut Bytes<'_>) {
        let Some((call, response)) = self.begun.take() else { return };
        if bytes.next().is_multiple_of(2) {
            if let Some(altered) = self.alter(&response, bytes) {
                self.refuses(&altered);
            }
            self.begun = Some((call, response));
            return;
        }
        let before = self.effects().of_peers[1][0];
        let wrapped = self.caller.wrap(&response);
        for (_, frame) in self.deliver(OUTSIDE, &wrapped) {
            assert!(matches!(self.caller.open(&frame), Answer::Packet(_) | Answer::Nothing));
        }
        assert_eq!(self.effects().of_peers[1][0], before + 1, "a session");
        self.remember(response);
    }

    fn demand_cookie(&mut self, bytes: &mut Bytes<'_>) {
        let Some((call, _)) = &self.begun else { return };
        let busy = RateLimiter::new(&PublicKey::from(&secret(PeerSlot(1))), 0);
        let mut cookie = [0; 64];
        let from = GATEWAY.parse().ok();
        let Err(TunnResult::WriteToNetwork(cookie)) = busy.verify_packet(from, call, &mut cookie) else {
            panic!("a cookie")
        };
        let cookie = cookie.to_vec();
        if bytes.next().is_multiple_of(2) {
            if let Some(altered) = self.alter(&cookie, bytes) {
                self.refuses(&altered);
            }
        } else {
            let before = self.effects().of_peers[1][4];
            let wrapped = self.caller.wrap(&cookie);
            assert!(self.deliver(OUTSIDE, &wrapped).is_empty());
            assert_eq!(self.effects().of_peers[1][4], before + 1, "a cookie");
        }
    }

    fn answer(&mut self, length: usize) {
        let sent = frame(HOST, FRIEND, length);
        let out = self.deliver(INSIDE, &sent);
        let [(OUTSIDE, message)] = &*out else { panic!("one message: {out:02x?}") };
        match self.friend.open(message) {
            Answer::Packet(packet) => assert_eq!(packet[12..], sent[14 + 12..]),
            Answer::Failed if self.sessions > SESSIONS => {}
            other @ (Answer::Failed | Answer::Nothing | Answer::Send(_)) => panic!("{other:02x?}"),
        }
    }

    /// Bytes that begin as messages do, with a sum that is right or not.
    fn nonsense(&self, bytes: &mut Bytes<'_>) -> Vec<u8> {
        let kind = bytes.next();
        let length = match kind & 7 {
            1 => 148,
            2 => 92,
            3 => 64,
            _ => bytes.length(1472),
        };
        let mut message = bytes.take(length);
        if let Some(first) = message.first_chunk_mut::<4>() {
            *first = [kind & 7, 0, 0, 0];
        }
        if kind & 0x80 != 0 {
            self.sum(&mut message);
        }
        message
    }

    /// Makes the first sum of a handshake message right: everybody can.
    fn sum(&self, message: &mut [u8]) {
        if let Some((covered, sums)) = message.split_last_chunk_mut::<32>() {
            sums[..16].copy_from_slice(&mac1(self.gateway.identity.public_key(), covered));
        }
    }

    /// Another message of this one; none if it was altered where nobody could tell.
    fn alter(&self, original: &[u8], bytes: &mut Bytes<'_>) -> Option<Vec<u8>> {
        let mut message = original.to_vec();
        let kind = bytes.next();
        let place = bytes.length(message.len() - 1);
        match kind & 7 {
            0 | 1 => message[place] ^= 1 << (bytes.next() % 8),
            2 => message.truncate(place),
            3 => {
                let more = 1 + usize::from(bytes.next());
                let more = bytes.take(more);
                message.extend(more);
            }
            4 => message[4..8].copy_from_slice(&bytes.take(4)),
            5 => message[8..16].copy_from_slice(&bytes.take(8)),
            6 => {
                let end = (place + 1 + usize::from(bytes.next())).min(message.len());
                let other = bytes.take(end - place);
                message[place..end].copy_from_slice(&other);
            }
            _ => {
                let other = self.history.get(usize::from(bytes.next()) % self.history.len().max(1));
                let other = other.and_then(|sent| sent.message.get(place..)).unwrap_or_default();
                message.truncate(place);
                message.extend(other);
            }
        }
        let is_handshake = matches!(original[0], 1 | 2);
        let is_summed = is_handshake && kind & 0x80 != 0;
        if is_summed {
            self.sum(&mut message);
        }
        let is_known = self.history.iter().any(|sent| is_same(&sent.message, &message, is_summed));
        (!is_known && !is_same(original, &message, is_summed)).then_some(message)
    }
}

/// Whether a message says what another says. Of handshake messages, the second sum says nothing unless cookies are demanded, and if the first
/// is right all the same, nothing holds the index of whoever sent it.
fn is_same(original: &[u8], message: &[u8], is_summed: bool) -> bool {
    if original.len() != message.len() || !matches!(original.first(), Some(1 | 2)) {
        return original == message;
    }
    let end = message.len() - if is_summed { 32 } else { 16 };
    let start = if is_summed { 8 } else { 4 };
    original[..4] == message[..4]
        && (is_summed || original[4..8] == message[4..8])
        && original[start..end] == message[start..end]
}

/// Numbers from bytes.
struct Bytes<'i>(std::slice::Iter<'i, u8>);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        self.0.next().copied().unwrap_or_default()
    }

    /// A length up to a most.
    fn length(&mut self, most: usize) -> usize {
        usize::from(u16::from_be_bytes([self.next(), self.next()])) % (most + 1)
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next()).collect()
    }

    /// What is not quite a packet, or one that is not of the peer.
    fn inside(&mut self) -> Vec<u8> {
        let kind = self.next();
        let mut inside = match kind & 3 {
            0 => {
                let length = self.length(200);
                return self.take(length);
            }
            1 => packet("10.9.0.3", HOST, 20),
            2 => packet("fd09::2", "fd00::9", 20),
            _ => packet(FRIEND, HOST, 20),
        };
        for _ in 0..kind >> 2 & 7 {
            let place = self.length(inside.len() - 1);
            inside[place] = self.next();
        }
        if kind & 0x80 != 0 {
            inside.truncate(self.length(80));
        }
        inside
    }
}
