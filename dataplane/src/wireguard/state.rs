use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use boringtun::noise::{TunnResult, errors::WireGuardError};

use super::{
    Counter, Interface, Parity, Peer, Plan,
    envelope::Envelope,
    machine::{Machine, refused},
    message::To,
    outlet::Outlet,
    wire::{Ends, KnownEnds},
};
use crate::{clock::Timestamp, parse::Address, pipeline::Context, route::OwnWay, verdict::DropReason};

/// What the worker of a peer knows of it.
pub(super) struct State {
    pub(super) peer: Arc<Peer>,
    /// By the parity of the key of ours.
    machines: [Option<Machine>; 2],
    /// That of the key that the interface has now.
    current: Parity,
    /// That of the key which packets are sent under.
    sending: Parity,
    /// What is shown of that: whether there is a session, and under which.
    shown: (bool, Parity),
    remote: Option<SocketAddr>,
    local: Option<IpAddr>,
    /// The same as they stood in the last message that was not from elsewhere, which the next one is compared with.
    known: (Option<(Address, u16)>, Option<Address>),
    outlet: Outlet,
    /// The generation of which the outlet is.
    generation: u32,
    /// The number of the last message that was sent, which fragments of it are told by.
    id: u16,
    /// Between whom messages without packets travel on the wire of a bridge.
    ends: KnownEnds,
}

/// What a message was.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opened {
    /// A packet of so many bytes, and whether it is of IPv4.
    Packet { length: usize, is_v4: bool },
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
    pub(super) remote: (Address, u16),
    pub(super) via: Via,
    pub(super) now: Timestamp,
}

/// What a message came through.
#[derive(Clone, Copy, Debug)]
pub(super) enum Via {
    /// The host: to this address of ours; none, if only the kernel knows.
    Host(Option<Address>),
    /// The wire of a bridge: an answer to the message, if it may be answered, travels so.
    Wire(Option<Ends>),
}

impl Origin {
    /// Whoever sent a message, for an answer to somebody of whom nothing else is known.
    pub(super) fn sender(&self, interface: &Interface) -> To {
        let (interface, remote) = (interface.port, self.remote());
        match self.via {
            Via::Host(local) => To::Stranger { interface, local: local.map(Address::ip), remote },
            Via::Wire(Some(ends)) => To::Sender { interface, ends, peer: None },
            Via::Wire(None) => To::Stranger { interface, local: None, remote },
        }
    }

    /// Who sent it.
    fn remote(&self) -> SocketAddr {
        let (address, port) = self.remote;
        (address.ip(), port).into()
    }
}

/// The kinds of messages, by their first byte.
pub(super) mod kind {
    pub(in crate::wireguard) const INITIATION: u8 = 1;
    pub(in crate::wireguard) const RESPONSE: u8 = 2;
    pub(in crate::wireguard) const COOKIE: u8 = 3;
    pub(in crate::wireguard) const DATA: u8 = 4;
}

impl State {
    /// The state of a peer of which nothing is known yet.
    pub(super) fn new(peer: &Arc<Peer>) -> Self {
        Self {
            peer: Arc::clone(peer),
            machines: [None, None],
            current: Parity::default(),
            sending: Parity::default(),
            shown: (false, Parity::default()),
            remote: None,
            local: None,
            known: (None, None),
            outlet: Outlet::default(),
            generation: 0,
            id: 0,
            ends: KnownEnds::default(),
        }
    }

    /// Takes over who the interface is. Sessions under a key that it does not have any more end.
    pub(super) fn serve(&mut self, interface: &Interface) {
        self.current = interface.identity.parity;
        for parity in Parity::BOTH {
            let machine = parity.of_mut(&mut self.machines);
            let identity = interface.identity(parity);
            machine.take_if(|it| identity.is_none_or(|identity| !Arc::ptr_eq(&it.identity, identity)));
            if machine.is_none() {
                *machine = identity.and_then(|identity| self.peer.take_intake(identity)).map(Machine::new);
            }
        }
        self.choose();
    }

    /// Whether there is a session to send under.
    #[inline]
    pub(super) fn is_up(&self) -> bool {
        self.sending.of(&self.machines).as_ref().is_some_and(|machine| machine.is_up)
    }

    /// Sends under the current key, or else the other one, if there is no session any more under the key that was sent under.
    fn choose(&mut self) {
        let is_up = |parity: Parity| parity.of(&self.machines).as_ref().is_some_and(|machine| machine.is_up);
        if !is_up(self.sending) {
            let other = self.current.other();
            self.sending = if is_up(other) && !is_up(self.current) { other } else { self.current };
        }
        self.show();
    }

    fn show(&mut self) {
        let now = (self.is_up(), self.sending);
        if now != self.shown {
            self.shown = now;
            self.peer.show(|sight| (sight.is_up, sight.parity) = now);
        }
    }

    /// Where the peer is, if that is known.
    pub(super) const fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    /// Opens a message under the key of this parity; what comes of it is in `into`, which has to have as many bytes as the message, and as
    /// the longest answer.
    pub(super) fn open(
        &mut self,
        (parity, message): (Parity, &[u8]),
        into: &mut [u8],
        origin: &Origin,
    ) -> Result<Opened, DropReason> {
        let first = message.first().copied().unwrap_or_default();
        if first == kind::DATA && is_spent(message) {
            return Err(self.refuse(first, &WireGuardError::NoCurrentSession));
        }
        let Some(machine) = parity.of_mut(&mut self.machines) else {
            // The key that it was under is not served any more.
            return Err(self.refuse(first, &WireGuardError::NoCurrentSession));
        };
        let is_settled = machine.is_settled(index(message));
        // Of packets nobody is asked to show where they are.
        let from = (first != kind::DATA).then(|| origin.remote.0.ip());
        let opened = match machine.tunn.decapsulate(from, message, into) {
            TunnResult::Done if first == kind::DATA => Opened::Keepalive,
            TunnResult::Done => Opened::Cookie,
            TunnResult::WriteToNetwork(answer) if answer.first() == Some(&kind::COOKIE) => {
                return Ok(Opened::Answered { length: answer.len() });
            }
            TunnResult::WriteToNetwork(answer) => {
                if first == kind::INITIATION {
                    machine.unconfirmed = index(answer);
                }
                Opened::Answered { length: answer.len() }
            }
            TunnResult::WriteToTunnelV4(packet, _) => Opened::Packet { length: packet.len(), is_v4: true },
            TunnResult::WriteToTunnelV6(packet, _) => Opened::Packet { length: packet.len(), is_v4: false },
            TunnResult::Err(error) => return Err(self.refuse(first, &error)),
        };
        self.peer.add(Counter::ReceivedBytes, message.len() as u64);
        match first {
            kind::DATA if is_settled && parity == self.sending => {}
            kind::DATA => self.heard(parity, is_settled, opened, origin.now),
            kind::INITIATION => {}
            kind::RESPONSE => {
                let (.., round_trip) = machine.tunn.stats();
                self.peer.show(|sight| sight.round_trip = round_trip);
                self.established(parity, origin.now);
            }
            // Of a cookie the sender is not known for sure.
            _ => {
                self.peer.add(Counter::CookiesReceived, 1);
                self.ends.tie();
                return Ok(opened);
            }
        }
        self.find(origin);
        Ok(opened)
    }

    /// Takes note of a message that is dropped, and says why it is.
    fn refuse(&self, first: u8, error: &WireGuardError) -> DropReason {
        let (reason, counter) = refused(first, error);
        if let Some(counter) = counter {
            self.peer.add(counter, 1);
        }
        reason
    }

    /// Learns where the peer is from a message that was authentic.
    #[inline]
    fn find(&mut self, origin: &Origin) {
        match origin.via {
            Via::Host(local) => {
                let (remote, known) = self.known;
                if remote != Some(origin.remote) || (local.is_some() && known != local) {
                    self.moved(origin, local);
                }
            }
            Via::Wire(Some(ends)) => self.found(ends, origin.remote()),
            Via::Wire(None) => {}
        }
    }

    /// Learns that the peer is heard between these on a wire.
    #[cold]
    fn found(&mut self, ends: Ends, remote: SocketAddr) {
        self.ends.know(ends);
        self.peer.show(|sight| (sight.local, sight.endpoint) = (Some(ends.source()), Some(remote)));
    }

    /// Says between whom a packet travels that waits for a session.
    pub(super) fn aim(&mut self, ends: Ends) {
        self.ends.want(ends);
    }

    /// Between whom the next message without a packet travels on a wire.
    pub(super) fn next_ends(&mut self) -> Option<Ends> {
        self.ends.next(self.is_up())
    }

    /// A packet came under a session that was not used yet, or under another key than what is sent.
    #[cold]
    fn heard(&mut self, parity: Parity, is_settled: bool, opened: Opened, now: Timestamp) {
        if !is_settled {
            self.established(parity, now);
        }
        // A peer that knows both keys may keep the other session alive without using it; one that has gone back to a key does use it.
        let since = |parity: Parity| {
            parity.of(&self.machines).as_ref().map_or(Timestamp::ZERO, |machine| machine.since)
        };
        if matches!(opened, Opened::Packet { .. }) && since(parity) > since(self.sending) {
            self.sending = parity;
            self.show();
        }
    }

    #[cold]
    fn established(&mut self, parity: Parity, now: Timestamp) {
        let was_up = self.is_up();
        if let Some(machine) = parity.of_mut(&mut self.machines) {
            machine.established(now);
        }
        if parity == self.current || !was_up {
            self.sending = parity;
        }
        self.peer.add(Counter::Handshakes, 1);
        self.peer.show(|sight| sight.handshake = now.as_secs());
        self.show();
    }

    #[cold]
    fn moved(&mut self, origin: &Origin, local: Option<Address>) {
        self.known = (Some(origin.remote), local);
        let (remote, local) = (origin.remote(), local.map(Address::ip));
        if self.remote.is_some_and(|before| before != remote) {
            self.peer.add(Counter::Roams, 1);
        }
        (self.remote, self.local) = (Some(remote), local);
        self.generation = 0;
        self.peer.show(|sight| (sight.endpoint, sight.local) = (self.remote, self.local));
    }

    /// Seals a packet that is padded already, into a buffer with room for 32 bytes more; returns the length of the message. There has to be
    /// a session.
    #[inline]
    pub(super) fn seal(&mut self, packet: &[u8], into: &mut [u8]) -> Option<usize> {
        let machine = self.sending.of_mut(&mut self.machines).as_mut().filter(|machine| machine.is_up)?;
        if into.len() < (packet.len() + OVERHEAD).max(LONGEST) {
            return None;
        }
        match machine.tunn.encapsulate(packet, into) {
            TunnResult::WriteToNetwork(message) if message.first() == Some(&kind::DATA) => {
                Some(message.len())
            }
            // It asks for a session instead, and keeps the packet: the next look at the timers finds that out.
            TunnResult::WriteToNetwork(_)
            | TunnResult::Done
            | TunnResult::Err(_)
            | TunnResult::WriteToTunnelV4(..)
            | TunnResult::WriteToTunnelV6(..) => {
                machine.is_up = false;
                self.choose();
                None
            }
        }
    }

    /// Begins a handshake under the key of this parity, unless one is under way. Returns how long the message is.
    pub(super) fn begin(&mut self, parity: Parity, into: &mut [u8]) -> Option<usize> {
        let message = parity.of_mut(&mut self.machines).as_mut()?.begin(into);
        self.sent(parity, message)
    }

    /// What time has come for under the key of this parity: a repetition, a new session, a keepalive. Returns how long the message is.
    pub(super) fn tick(&mut self, parity: Parity, into: &mut [u8]) -> Option<usize> {
        self.follow();
        let is_kept_alive =
            self.peer.keys.keepalive.is_some() && (self.remote.is_some() || self.ends.is_some());
        let is_sending = parity == self.sending;
        let is_in_vain = self.sending.of(&self.machines).as_ref().is_some_and(Machine::is_in_vain);
        // Who answers under one key need not be asked under the other.
        let may_begin = is_sending || is_in_vain || !self.is_up();
        let machine = parity.of_mut(&mut self.machines).as_mut()?;
        let mut message = machine.tick(into);
        // It has given up, which one that is to be kept alive never does; or the peer may know the other key alone.
        let is_wanted = machine.tunn.is_expired() && is_kept_alive || is_in_vain && !is_sending;
        if message.is_none() && may_begin && is_wanted {
            message = machine.begin(into);
        }
        self.choose();
        self.sent(parity, message.filter(|(first, _)| may_begin || *first != kind::INITIATION))
    }

    /// Goes where the peer is said to be, if that is new.
    fn follow(&mut self) {
        let Some(endpoint) = self.peer.take_endpoint() else { return };
        // What it knew us as may be of the other version of IP; the kernel finds an address until the peer answers.
        (self.remote, self.local, self.known, self.generation) = (Some(endpoint), None, (None, None), 0);
        self.peer.show(|sight| (sight.endpoint, sight.local) = (self.remote, self.local));
    }

    fn sent(&mut self, parity: Parity, message: Option<(u8, usize)>) -> Option<usize> {
        let (first, length) = message?;
        if first == kind::INITIATION {
            if let Some(machine) = parity.of_mut(&mut self.machines) {
                machine.asked();
            }
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

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("peer", &self.peer.slot)
            .field("is_up", &self.is_up())
            .finish_non_exhaustive()
    }
}
