use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use boringtun::noise::{Tunn, TunnResult, errors::WireGuardError};

use super::{Counter, Peer, Plan, envelope::Envelope, outlet::Outlet};
use crate::{clock::Timestamp, parse::Address, pipeline::Context, route::OwnWay, verdict::DropReason};

/// What the worker of a peer knows of it.
pub(super) struct State {
    pub(super) peer: Arc<Peer>,
    tunn: Box<Tunn>,
    /// Whether there is a session to send under.
    is_up: bool,
    /// What we call the session that the peer has asked for last, while that has carried nothing yet.
    unconfirmed: Option<u32>,
    remote: Option<SocketAddr>,
    local: Option<IpAddr>,
    outlet: Outlet,
    /// The generation of which the outlet is.
    generation: u32,
    /// The number of the last message that was sent, which fragments of it are told by.
    id: u16,
}

/// What a message was.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opened {
    /// A packet of so many bytes, from an address.
    Packet { length: usize, source: Address },
    /// A packet without content.
    Keepalive,
    /// One that is answered by so many bytes.
    Answered { length: usize },
    /// A cookie, for the next handshake.
    Cookie,
}

/// Where a message came from, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) remote: SocketAddr,
    /// Our address; none, if only the kernel knows.
    pub(super) local: Option<IpAddr>,
    pub(super) now: Timestamp,
}

/// The kinds of messages, by their first byte.
pub(super) mod kind {
    pub(in crate::wireguard) const INITIATION: u8 = 1;
    pub(in crate::wireguard) const RESPONSE: u8 = 2;
    pub(in crate::wireguard) const COOKIE: u8 = 3;
    pub(in crate::wireguard) const DATA: u8 = 4;
}

impl State {
    /// The state of a peer of which nothing is known yet; none if another worker has it.
    pub(super) fn new(peer: &Arc<Peer>) -> Option<Self> {
        Some(Self {
            tunn: peer.take_intake()?,
            peer: Arc::clone(peer),
            is_up: false,
            unconfirmed: None,
            remote: None,
            local: None,
            outlet: Outlet::default(),
            generation: 0,
            id: 0,
        })
    }

    /// Whether there is a session to send under.
    pub(super) const fn is_up(&self) -> bool {
        self.is_up
    }

    /// Where the peer is, if that is known.
    pub(super) const fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Opens a message; what comes of it is in `into`, which has to have as many bytes as the message, and as the longest answer.
    pub(super) fn open(
        &mut self,
        message: &[u8],
        into: &mut [u8],
        origin: Origin,
    ) -> Result<Opened, DropReason> {
        let first = message.first().copied().unwrap_or_default();
        if first == kind::DATA && is_spent(message) {
            self.peer.add(Counter::NoSession, 1);
            return Err(DropReason::WireguardNoSession);
        }
        let opened = match self.tunn.decapsulate(Some(origin.remote.ip()), message, into) {
            TunnResult::Done if first == kind::DATA => Opened::Keepalive,
            TunnResult::Done => Opened::Cookie,
            TunnResult::WriteToNetwork(answer) if answer.first() == Some(&kind::COOKIE) => {
                return Ok(Opened::Answered { length: answer.len() });
            }
            TunnResult::WriteToNetwork(answer) => {
                if first == kind::INITIATION {
                    self.unconfirmed = index(answer);
                }
                Opened::Answered { length: answer.len() }
            }
            TunnResult::WriteToTunnelV4(packet, source) => {
                Opened::Packet { length: packet.len(), source: IpAddr::V4(source).into() }
            }
            TunnResult::WriteToTunnelV6(packet, source) => {
                Opened::Packet { length: packet.len(), source: IpAddr::V6(source).into() }
            }
            TunnResult::Err(error) => {
                let (reason, counter) = refused(first, &error);
                if let Some(counter) = counter {
                    self.peer.add(counter, 1);
                }
                return Err(reason);
            }
        };
        self.learn(first, message, origin);
        Ok(opened)
    }

    /// Learns from a message that was authentic.
    #[inline]
    fn learn(&mut self, first: u8, message: &[u8], origin: Origin) {
        let peer = &self.peer;
        peer.add(Counter::ReceivedBytes, message.len() as u64);
        match first {
            // It may be of a session before that one.
            kind::DATA
                if self.is_up && (self.unconfirmed.is_none() || self.unconfirmed != index(message)) => {}
            kind::DATA => self.established(origin.now),
            kind::INITIATION => {}
            kind::RESPONSE => {
                let (.., round_trip) = self.tunn.stats();
                peer.show(|sight| sight.round_trip = round_trip);
                self.established(origin.now);
            }
            // Of a cookie the sender is not known for sure.
            _ => {
                peer.add(Counter::CookiesReceived, 1);
                return;
            }
        }
        if self.remote != Some(origin.remote) || (origin.local.is_some() && self.local != origin.local) {
            self.moved(origin);
        }
    }

    #[cold]
    fn established(&mut self, now: Timestamp) {
        (self.is_up, self.unconfirmed) = (true, None);
        self.peer.add(Counter::Handshakes, 1);
        self.peer.show(|sight| (sight.handshake, sight.is_up) = (now.as_secs(), true));
    }

    #[cold]
    fn moved(&mut self, origin: Origin) {
        if self.remote.is_some_and(|before| before != origin.remote) {
            self.peer.add(Counter::Roams, 1);
        }
        (self.remote, self.local) = (Some(origin.remote), origin.local);
        self.generation = 0;
        self.peer.show(|sight| (sight.endpoint, sight.local) = (self.remote, self.local));
    }

    /// Seals a packet that is padded already, into a buffer with room for 32 bytes more; returns the length of the message. There has to be
    /// a session.
    #[inline]
    pub(super) fn seal(&mut self, packet: &[u8], into: &mut [u8]) -> Option<usize> {
        if !self.is_up || into.len() < (packet.len() + OVERHEAD).max(LONGEST) {
            return None;
        }
        match self.tunn.encapsulate(packet, into) {
            TunnResult::WriteToNetwork(message) if message.first() == Some(&kind::DATA) => {
                Some(message.len())
            }
            // It asks for a session instead, and keeps the packet: the next look at the timers finds that out.
            TunnResult::WriteToNetwork(_)
            | TunnResult::Done
            | TunnResult::Err(_)
            | TunnResult::WriteToTunnelV4(..)
            | TunnResult::WriteToTunnelV6(..) => {
                self.is_up = false;
                None
            }
        }
    }

    /// Begins a handshake, unless one is under way. Returns how long the message is.
    pub(super) fn begin(&mut self, into: &mut [u8]) -> Option<usize> {
        let message = written(self.tunn.format_handshake_initiation(into, false));
        self.sent(message)
    }

    /// What time has come for: a repetition, a new session, a keepalive. Returns how long the message is.
    pub(super) fn tick(&mut self, into: &mut [u8]) -> Option<usize> {
        self.follow();
        let mut message = written(self.tunn.update_timers(into));
        if self.tunn.is_expired() && self.peer.keys.keepalive.is_some() && self.remote.is_some() {
            // It has given up, which one that is to be kept alive never does.
            message = written(self.tunn.format_handshake_initiation(into, false));
        }
        let is_up = self.tunn.time_since_last_handshake().is_some();
        if is_up != self.is_up {
            self.is_up = is_up;
            self.peer.show(|sight| sight.is_up = is_up);
        }
        self.sent(message)
    }

    /// Goes where the peer is said to be, if that is new.
    fn follow(&mut self) {
        let Some(endpoint) = self.peer.take_endpoint() else { return };
        // What it knew us as may be of the other version of IP; the kernel finds an address until the peer answers.
        (self.remote, self.local, self.generation) = (Some(endpoint), None, 0);
        self.peer.show(|sight| (sight.endpoint, sight.local) = (self.remote, self.local));
    }

    fn sent(&self, message: Option<(u8, usize)>) -> Option<usize> {
        let (first, length) = message?;
        if first == kind::INITIATION {
            self.peer.add(Counter::HandshakesSent, 1);
        }
        Some(length)
    }

    /// The way to the peer, under this generation. Where the peer is said to be is only right behind it: a generation may say so anew.
    #[inline]
    pub(super) fn outlet(&mut self, cx: &Context<'_>, plan: &Plan) -> Outlet {
        if self.generation != cx.snapshot.generation {
            self.find_outlet(cx, plan);
        }
        self.outlet
    }

    #[cold]
    fn find_outlet(&mut self, cx: &Context<'_>, plan: &Plan) {
        self.follow();
        let Some(remote) = self.remote else {
            self.outlet = Outlet::Kernel;
            return;
        };
        // Packets of a peer stay together.
        let hash = u64::from(self.peer.slot.0).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.outlet = Outlet::find(&cx.snapshot.routes, plan, self.local, remote.ip(), hash);
        self.generation = cx.snapshot.generation;
    }

    /// What a message to the peer travels in.
    #[inline]
    pub(super) fn envelope(
        &mut self,
        cx: &Context<'_>,
        way: &OwnWay,
        local_port: u16,
        ecn: u8,
    ) -> Option<Envelope> {
        self.id = self.id.wrapping_add(1);
        Some(Envelope {
            macs: cx.snapshot.routes.macs(way),
            local: self.local?,
            local_port,
            remote: self.remote?,
            ecn,
            id: self.id,
        })
    }
}

/// What a message is longer than its packet.
pub(super) const OVERHEAD: usize = 32;
/// The longest message without a packet.
const LONGEST: usize = super::message::Message::MOST;

/// The first index in a message: of data, what its receiver calls the session; of handshakes, what their sender does.
#[inline]
fn index(message: &[u8]) -> Option<u32> {
    message.get(4..)?.first_chunk().map(|index| u32::from_le_bytes(*index))
}

/// Whether a session has ended before a data message, by the number of that (section 6.1 of the paper on WireGuard). The state machine
/// does not look, and its window begins anew behind the last number there is.
#[inline]
fn is_spent(message: &[u8]) -> bool {
    const END: u64 = u64::MAX - (1 << 13);
    let number = message.get(8..).and_then(<[u8]>::first_chunk);
    number.is_some_and(|number| u64::from_le_bytes(*number) >= END)
}

/// What a state machine wrote to be sent: its first byte, and how long it is.
fn written(result: TunnResult<'_>) -> Option<(u8, usize)> {
    match result {
        TunnResult::WriteToNetwork(message) => Some((message.first().copied()?, message.len())),
        TunnResult::Done
        | TunnResult::Err(_)
        | TunnResult::WriteToTunnelV4(..)
        | TunnResult::WriteToTunnelV6(..) => None,
    }
}

/// Why a message is dropped, and what its peer counts.
fn refused(first: u8, error: &WireGuardError) -> (DropReason, Option<Counter>) {
    match error {
        WireGuardError::InvalidCounter | WireGuardError::DuplicateCounter => {
            (DropReason::WireguardReplay, Some(Counter::Replay))
        }
        WireGuardError::InvalidAeadTag if first == kind::DATA => {
            (DropReason::WireguardBadTag, Some(Counter::BadTag))
        }
        WireGuardError::WrongIndex | WireGuardError::NoCurrentSession | WireGuardError::ConnectionExpired
            if first == kind::DATA =>
        {
            (DropReason::WireguardNoSession, Some(Counter::NoSession))
        }
        WireGuardError::InvalidPacket => (DropReason::WireguardInside, Some(Counter::Malformed)),
        // Not known to be of the peer.
        WireGuardError::InvalidMac => (DropReason::WireguardBadMac, None),
        WireGuardError::UnderLoad => (DropReason::WireguardCookieRequired, None),
        WireGuardError::WrongIndex
        | WireGuardError::NoCurrentSession
        | WireGuardError::ConnectionExpired
        | WireGuardError::InvalidAeadTag
        | WireGuardError::DestinationBufferTooSmall
        | WireGuardError::IncorrectPacketLength
        | WireGuardError::UnexpectedPacket
        | WireGuardError::WrongPacketType
        | WireGuardError::WrongKey
        | WireGuardError::InvalidTai64nTimestamp
        | WireGuardError::WrongTai64nTimestamp
        | WireGuardError::LockFailed => {
            (DropReason::WireguardHandshakeFailed, Some(Counter::HandshakeFailed))
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("peer", &self.peer.slot)
            .field("is_up", &self.is_up)
            .finish_non_exhaustive()
    }
}
