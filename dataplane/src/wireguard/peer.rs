use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    num::NonZeroU16,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use boringtun::{noise::Tunn, x25519::PublicKey};
use parking_lot::Mutex;

use super::Identity;
use crate::io::PortId;

/// The number of a peer, which indexes of sessions begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerSlot(pub u32);

impl PeerSlot {
    /// How many there can be: an index of WireGuard has 32 bits, of which eight number the sessions of a peer.
    pub const MOST: usize = 1 << 24;

    /// The peer that the index of a session belongs to.
    pub(super) const fn of_index(index: u32) -> Self {
        Self(index >> 8)
    }

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What makes a peer who it is. Another is another peer, which begins anew.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerKeys {
    /// Its public key.
    pub public_key: [u8; 32],
    /// A key that both know besides.
    pub preshared_key: Option<[u8; 32]>,
    /// After how many seconds without a packet to it one is sent all the same.
    pub keepalive: Option<NonZeroU16>,
}

impl fmt::Debug for PeerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerKeys").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

/// A peer, as control thread and worker share it.
pub struct Peer {
    /// Its number.
    pub slot: PeerSlot,
    /// The port of its interface.
    pub interface: PortId,
    /// Who it is.
    pub keys: PeerKeys,
    /// Its state machine, until its worker takes it.
    intake: Mutex<Option<Box<Tunn>>>,
    /// Where it is said to be, until its worker has heard of that.
    sent_to: Mutex<Option<SocketAddr>>,
    is_sent: AtomicBool,
    /// What its worker tells.
    sight: Mutex<Sight>,
    counters: [AtomicU64; Counter::COUNT],
}

/// What there is to be seen of a peer, besides what it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// Where it is.
    pub endpoint: Option<SocketAddr>,
    /// Our address that it knows.
    pub local: Option<IpAddr>,
    /// When the last handshake was completed, in seconds since the Unix epoch; 0 if there was none.
    pub handshake: u64,
    /// How long the answer to our last handshake took, in milliseconds.
    pub round_trip: Option<u32>,
    /// Whether there is a session to send under.
    pub is_up: bool,
}

macro_rules! counters {
    ($($variant:ident $name:literal $help:literal,)+) => {
        /// What is counted of each peer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Counter { $(#[doc = $help] $variant,)+ }

        /// All counters of a peer, with their names and what they mean.
        pub const COUNTERS: &[(Counter, &str, &str)] = &[$((Counter::$variant, $name, $help),)+];
    };
}

counters! {
    ReceivedPackets "received_packets" "Packets that came out of the tunnel.",
    ReceivedBytes "received_bytes" "Bytes of messages that were received and authentic, without IP and UDP headers.",
    SentPackets "sent_packets" "Packets that were sent into the tunnel.",
    SentBytes "sent_bytes" "Bytes of messages that were sent, without IP and UDP headers.",
    KeepalivesReceived "keepalives_received" "Empty packets received.",
    HandshakesSent "handshakes_sent" "Handshakes begun by us, repetitions too.",
    Handshakes "handshakes" "Handshakes completed, whoever began.",
    Roams "roams" "Times that the peer was found at another address or port.",
    CookiesReceived "cookies_received" "Times that the peer wanted to know first whether we are where we say.",
    HandshakeFailed "handshake_failed" "Handshake messages that were not authentic, or not newer than one before.",
    NoSession "no_session" "Packets under a session that is gone, and packets for the peer that waited in vain for one.",
    Replay "replay" "Packets that came twice, or too late to be told from such.",
    BadTag "bad_tag" "Packets that were not authentic.",
    SourceNotAllowed "source_not_allowed" "Packets whose inner source is not among the allowed IPs.",
    Malformed "malformed" "Authentic packets whose inside is no IP packet.",
    NoEndpoint "no_endpoint" "Packets for the peer while nobody knew where it is.",
    QueueFull "queue_full" "Packets for the peer that found no room to wait for a session.",
    Unroutable "unroutable" "Packets for the peer that could not be sent to where it is.",
    ThroughKernel "through_kernel" "Messages that the kernel sent, because workers did not know the way.",
}

impl Counter {
    /// How many there are.
    pub const COUNT: usize = COUNTERS.len();
}

impl Peer {
    /// A peer of an interface. Making it takes two multiplications on the curve, a tenth of a millisecond.
    pub fn new(
        slot: PeerSlot,
        (interface, identity): (PortId, &Identity),
        keys: PeerKeys,
        endpoint: Option<SocketAddr>,
    ) -> Self {
        let tunn = Tunn::new(
            identity.private.clone(),
            PublicKey::from(keys.public_key),
            keys.preshared_key,
            keys.keepalive.map(NonZeroU16::get),
            slot.0,
            Some(identity.limiter.clone()),
        );
        Self {
            slot,
            interface,
            keys,
            intake: Mutex::new(Some(Box::new(tunn))),
            sent_to: Mutex::new(endpoint),
            is_sent: AtomicBool::new(endpoint.is_some()),
            sight: Mutex::new(Sight { endpoint, ..Sight::default() }),
            counters: [const { AtomicU64::new(0) }; Counter::COUNT],
        }
    }

    /// Says where the peer is; what its own packets say later is believed more.
    pub fn send_to(&self, endpoint: SocketAddr) {
        *self.sent_to.lock() = Some(endpoint);
        self.is_sent.store(true, Ordering::Release);
    }

    /// What there is to be seen of it.
    pub fn sight(&self) -> Sight {
        *self.sight.lock()
    }

    /// What it has counted.
    pub fn count(&self, counter: Counter) -> u64 {
        self.counters.get(counter as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Its state machine, once.
    pub(super) fn take_intake(&self) -> Option<Box<Tunn>> {
        self.intake.lock().take()
    }

    /// Where it is said to be, if that is new.
    pub(super) fn take_endpoint(&self) -> Option<SocketAddr> {
        if !self.is_sent.load(Ordering::Relaxed) {
            return None;
        }
        self.is_sent.store(false, Ordering::Relaxed);
        self.sent_to.lock().take()
    }

    /// Shows what has changed. Rare: at handshakes, when the peer moves, when a session ends.
    pub(super) fn show(&self, change: impl FnOnce(&mut Sight)) {
        change(&mut self.sight.lock());
    }

    /// Counts. Only the worker that the peer belongs to does.
    #[inline]
    pub(super) fn add(&self, counter: Counter, count: u64) {
        if let Some(cell) = self.counters.get(counter as usize) {
            cell.store(cell.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("slot", &self.slot).field("keys", &self.keys).finish_non_exhaustive()
    }
}
