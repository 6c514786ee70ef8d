use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    num::NonZeroU16,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use boringtun::{noise::Tunn, x25519::PublicKey};
use parking_lot::Mutex;

use super::{Identity, Parity};
use crate::io::PortId;

/// The number of a peer, which indexes of sessions begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerSlot(pub u32);

impl PeerSlot {
    /// How many there can be: an index of WireGuard has 32 bits, of which eight number the sessions of a peer, and one says under which key
    /// of ours they are.
    pub const MOST: usize = 1 << 23;

    /// The peer that the index of a session belongs to, and the parity of the key that it is under.
    pub(super) const fn of_index(index: u32) -> (Self, Parity) {
        let number = index >> 8;
        let parity = if number < Self::ODD { Parity::Even } else { Parity::Odd };
        (Self(number & (Self::ODD - 1)), parity)
    }

    /// What indexes of sessions begin with, in 24 bits.
    const fn number(self, parity: Parity) -> u32 {
        match parity {
            Parity::Even => self.0,
            Parity::Odd => self.0 | Self::ODD,
        }
    }

    /// The bit for the parity.
    const ODD: u32 = 1 << 23;

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
    /// Its state machines, until its worker takes them.
    intake: Mutex<[Option<Offer>; 2]>,
    /// Where it is said to be, until its worker has heard of that.
    sent_to: Mutex<Option<SocketAddr>>,
    is_sent: AtomicBool,
    /// What its worker tells.
    sight: Mutex<Sight>,
    counters: [AtomicU64; Counter::COUNT],
}

/// A state machine, and who of ours it speaks for.
pub(super) struct Offer {
    pub(super) identity: Arc<Identity>,
    pub(super) tunn: Box<Tunn>,
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
    /// The parity of the key that it is under.
    pub parity: Parity,
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
        (interface, identity): (PortId, &Arc<Identity>),
        keys: PeerKeys,
        endpoint: Option<SocketAddr>,
    ) -> Self {
        let peer = Self {
            slot,
            interface,
            keys,
            intake: Mutex::default(),
            sent_to: Mutex::new(endpoint),
            is_sent: AtomicBool::new(endpoint.is_some()),
            sight: Mutex::new(Sight { endpoint, ..Sight::default() }),
            counters: [const { AtomicU64::new(0) }; Counter::COUNT],
        };
        peer.serve(identity);
        peer
    }

    /// Has the peer find us as `identity`, too: under a plan that has it, in the place of another of the same parity. Takes as long as
    /// making a peer.
    pub fn serve(&self, identity: &Arc<Identity>) {
        let tunn = Tunn::new(
            identity.private.clone(),
            PublicKey::from(self.keys.public_key),
            self.keys.preshared_key,
            self.keys.keepalive.map(NonZeroU16::get),
            self.slot.number(identity.parity),
            Some(identity.limiter.clone()),
        );
        let offer = Offer { identity: Arc::clone(identity), tunn: Box::new(tunn) };
        *identity.parity.of_mut(&mut self.intake.lock()) = Some(offer);
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

    /// Its state machine for an identity, once.
    pub(super) fn take_intake(&self, identity: &Arc<Identity>) -> Option<Offer> {
        let mut intake = self.intake.lock();
        identity.parity.of_mut(&mut intake).take_if(|offer| Arc::ptr_eq(&offer.identity, identity))
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

#[cfg(test)]
mod tests {
    use super::{Parity, PeerSlot};

    #[test]
    fn an_index_says_whose_a_session_is_and_under_which_key() {
        let last = u32::try_from(PeerSlot::MOST - 1).unwrap();
        for slot in [0, 1, 77, last].map(PeerSlot) {
            for parity in Parity::BOTH {
                for session in [0, 255] {
                    let index = slot.number(parity) << 8 | session;
                    assert_eq!(PeerSlot::of_index(index), (slot, parity));
                }
            }
        }
    }
}
