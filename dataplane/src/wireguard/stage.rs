use std::sync::Arc;

use boringtun::noise::{Packet, Tunn};
use ravelin_config::types::Protocol;

use super::{
    Counter, Interface, Parity, PeerSlot, Plan,
    envelope::{self, ETHERNET},
    known::Known,
    message::{Message, To},
    state::{Opened, Origin, State, Via, kind},
    waiting::Waiting,
    wire::{Ends, Heard},
};
use crate::{
    batch::{Batch, Meta, Passage},
    clock::Timestamp,
    counters::WorkerCounters,
    io::{Frame, PacketIo, PortId},
    parse::{self, Address, FragmentKind},
    pipeline::Context,
    verdict::{DropReason, Verdict},
};

/// One worker's end of all tunnels.
#[derive(Debug)]
pub(crate) struct Tunnels<F> {
    /// The plan that the states are of.
    pub(super) plan: Arc<Plan>,
    /// Peers of this worker, by their slots divided by the number of workers.
    pub(super) states: Vec<Option<Box<State>>>,
    /// Changes places with each frame that is opened or sealed.
    pub(super) spare: Option<F>,
    /// To be sent at the end of the turn.
    pub(super) messages: Vec<Message>,
    /// To be sealed at the end of the turn, and what is known of each.
    pub(super) outbound: (Vec<F>, Vec<Meta>),
    /// Packets that were opened in this batch: their places in it, and whose they are.
    opened: Vec<(usize, PeerSlot)>,
    /// What was asked of the plan.
    pub(super) known: Known,
    /// Whose the addresses are of packets that are opened or sealed.
    pub(super) owners: Vec<Option<PeerSlot>>,
    pub(super) waiting: Waiting<F>,
    /// Where frames are made of what came by way of the kernel.
    pub(super) scratch: Vec<u8>,
    /// Handshakes that may still be begun by others in this turn.
    pub(super) handshakes: u32,
    /// Whose timers are looked at next, and when the round after this one begins.
    pub(super) cursor: usize,
    pub(super) round: Timestamp,
}

impl<F> Default for Tunnels<F> {
    fn default() -> Self {
        Self {
            plan: Arc::default(),
            states: Vec::new(),
            spare: None,
            messages: Vec::with_capacity(Self::MESSAGES),
            // A batch, and what other workers hand over besides.
            outbound: (Vec::with_capacity(2 * Batch::<F>::MAX), Vec::with_capacity(2 * Batch::<F>::MAX)),
            opened: Vec::with_capacity(Batch::<F>::MAX),
            known: Known::new(),
            owners: Vec::with_capacity(2 * Batch::<F>::MAX),
            waiting: Waiting::new(),
            scratch: Vec::new(),
            handshakes: 0,
            cursor: 0,
            round: Timestamp::ZERO,
        }
    }
}

impl<F> Tunnels<F> {
    /// Messages besides data that may be sent in a turn.
    const MESSAGES: usize = 2 * Batch::<F>::MAX;
    /// Handshakes that others may begin in a turn: each takes a fifth of a millisecond.
    pub(super) const HANDSHAKES: u32 = 4;

    /// Begins a turn. After a change of the plan, who stays keeps sessions, who is new is taken over.
    pub(crate) fn follow<I: PacketIo<Frame = F>>(&mut self, cx: &Context<'_>, io: &mut I) {
        if !Arc::ptr_eq(&self.plan, &cx.snapshot.wireguard) {
            self.adopt(cx);
        }
        self.handshakes = Self::HANDSHAKES;
        if self.spare.is_none() && !self.plan.is_empty() {
            self.spare = io.compose(&[]);
        }
    }

    #[cold]
    fn adopt(&mut self, cx: &Context<'_>) {
        self.plan = Arc::clone(&cx.snapshot.wireguard);
        self.known.forget(&self.plan);
        let mine = || self.plan.peers().filter(|peer| peer.slot.owner(cx.workers) == cx.worker);
        let places = mine().map(|peer| place(peer.slot, cx.workers) + 1).max().unwrap_or_default();
        let mut before = std::mem::take(&mut self.states);
        let mut states: Vec<_> = (0..places).map(|_| None).collect();
        for peer in mine() {
            let place = place(peer.slot, cx.workers);
            let known =
                before.get_mut(place).and_then(|state| state.take_if(|state| Arc::ptr_eq(&state.peer, peer)));
            if let Some(slot) = states.get_mut(place) {
                let mut state = known.unwrap_or_else(|| Box::new(State::new(peer)));
                if let Some(interface) = self.plan.at(peer.interface) {
                    state.serve(interface);
                }
                *slot = Some(state);
            }
        }
        self.states = states;
    }

    /// The state of a peer of this worker.
    #[inline]
    pub(super) fn state(&mut self, slot: PeerSlot, workers: u8) -> Option<&mut State> {
        self.states.get_mut(place(slot, workers))?.as_deref_mut()
    }

    /// Has a message sent at the end of the turn; if there is no room, its sender will repeat it.
    pub(super) fn post(&mut self, content: &[u8], to: To) {
        if self.messages.len() < Self::MESSAGES {
            self.messages.extend(Message::new(content, to));
        }
    }
}

impl<F: Frame> Tunnels<F> {
    /// Opens what peers have sent: the packet that comes out takes the place of the message. What the host sends through a tunnel
    /// is let pass: its kernel has routed it.
    pub(crate) fn run(&mut self, cx: &Context<'_>, batch: &mut Batch<F>, counters: &mut WorkerCounters) {
        let plan = &*cx.snapshot.wireguard;
        if plan.is_empty() {
            return;
        }
        let mut own = Own::default();
        self.opened.clear();
        for (place, (frame, meta)) in batch.iter_mut().enumerate() {
            if !meta.verdict.is_undecided() {
                continue;
            }
            let interface = match meta.passage {
                Passage::Opened | Passage::Host | Passage::Sealing => continue,
                Passage::Relayed => plan.at(meta.port),
                Passage::Plain => match plan.at(meta.port) {
                    None => addressed(cx, plan, meta, &mut own),
                    Some(interface) => match heard(interface, meta) {
                        Heard::Message => Some(interface),
                        Heard::Plain => continue,
                        Heard::Refused => {
                            meta.verdict = Verdict::Drop(DropReason::WireguardRequired);
                            continue;
                        }
                    },
                },
            };
            if let Some(interface) = interface {
                meta.verdict = match self.open(cx, interface, place, (frame, meta), counters) {
                    Ok(verdict) => verdict,
                    Err(reason) => Verdict::Drop(reason),
                };
            }
        }
        self.check_sources(cx, plan, batch.metas_mut());
    }

    /// Drops what came out of tunnels with a source that is not its peer's.
    fn check_sources(&mut self, cx: &Context<'_>, plan: &Plan, metas: &mut [Meta]) {
        let mut opened = std::mem::take(&mut self.opened);
        let packet = |(place, _): &(usize, PeerSlot)| {
            metas.get(*place).map_or_else(Default::default, |meta| (meta.port, meta.headers.source))
        };
        self.known.whose(plan, opened.iter().map(packet), &mut self.owners);
        for (number, (place, slot)) in opened.drain(..).enumerate() {
            let owner = self.owners.get(number).copied().flatten();
            let Some(state) = self.state(slot, cx.workers) else { continue };
            match metas.get_mut(place) {
                // What decode refuses keeps its reason.
                Some(meta) if owner != Some(slot) && meta.verdict.is_undecided() => {
                    state.peer.add(Counter::SourceNotAllowed, 1);
                    meta.verdict = Verdict::Drop(DropReason::WireguardSource);
                }
                Some(_) | None => state.peer.add(Counter::ReceivedPackets, 1),
            }
        }
        self.opened = opened;
    }

    fn open(
        &mut self,
        cx: &Context<'_>,
        interface: &Interface,
        at: usize,
        (frame, meta): (&mut F, &mut Meta),
        counters: &mut WorkerCounters,
    ) -> Result<Verdict, DropReason> {
        let content = usize::from(meta.headers.payload_offset)..usize::from(meta.headers.end);
        let message = frame.bytes().get(content).unwrap_or_default();
        let origin = origin(cx, interface, frame, meta, message);
        let (slot, parity) = match data_index(message) {
            Some(index) => PeerSlot::of_index(index),
            None => self.addressee(interface, message, &origin, counters)?,
        };
        let owner = slot.owner(cx.workers);
        if owner != cx.worker {
            return Ok(Verdict::Handoff(owner));
        }
        let unknown = DropReason::WireguardUnknownIndex;
        let state =
            self.states.get_mut(place(slot, cx.workers)).and_then(Option::as_deref_mut).ok_or(unknown)?;
        if state.peer.interface != interface.port {
            return Err(unknown);
        }
        let spare = self.spare.as_mut().ok_or(DropReason::WireguardTooBig)?;
        // On a wire, what was in front of the message is in front of the packet.
        let before =
            if interface.wire.is_some() { usize::from(meta.headers.network_offset) } else { ETHERNET };
        if !spare.set_len(before + message.len().max(Message::MOST)) {
            return Err(DropReason::WireguardTooBig);
        }
        let Some(into) = spare.bytes_mut().get_mut(before..) else {
            return Err(DropReason::WireguardTooBig);
        };
        match state.open((parity, message), into, &origin)? {
            Opened::Packet { length, is_v4 } => {
                let outer =
                    frame.bytes().get(usize::from(meta.headers.network_offset)..).map_or(0, envelope::ecn);
                let packet = into.get_mut(..length).unwrap_or_default();
                mark(packet, outer)?;
                self.opened.push((at, slot));
                if let Some(header) = spare.bytes_mut().get_mut(..before) {
                    let outer = frame.bytes().get(..before).filter(|_| interface.wire.is_some());
                    write_header(header, outer, is_v4);
                }
                std::mem::swap(frame, spare);
                frame.set_len(before + length);
                arrive(interface, frame, meta, counters);
                Ok(meta.verdict)
            }
            Opened::Keepalive => {
                state.peer.add(Counter::KeepalivesReceived, 1);
                Ok(Verdict::Consume)
            }
            Opened::Answered { length } => {
                let answer = into.get(..length).unwrap_or_default();
                let is_cookie = answer.first() == Some(&kind::COOKIE);
                let to = match origin.sender(interface) {
                    To::Sender { interface, ends, .. } => To::Sender { interface, ends, peer: Some(slot) },
                    sender @ (To::Stranger { .. } | To::Peer(_)) if is_cookie => sender,
                    To::Stranger { .. } | To::Peer(_) => To::Peer(slot),
                };
                let message = Message::new(answer, to);
                self.messages.extend(message.filter(|_| self.messages.len() < Self::MESSAGES));
                if is_cookie {
                    counters.wireguard_cookies_sent += 1;
                    return Err(DropReason::WireguardCookieRequired);
                }
                counters.wireguard_handshakes += 1;
                Ok(Verdict::Consume)
            }
            Opened::Cookie => Ok(Verdict::Consume),
        }
    }

    /// Whose a message is that has no packet, and which of our keys it is about.
    #[inline(never)]
    fn addressee(
        &mut self,
        interface: &Interface,
        message: &[u8],
        origin: &Origin,
        counters: &mut WorkerCounters,
    ) -> Result<(PeerSlot, Parity), DropReason> {
        match Tunn::parse_incoming_packet(message).map_err(|_| DropReason::WireguardMalformed)? {
            Packet::HandshakeInit(_) => {
                let sender = (origin.remote.0.ip(), origin.sender(interface));
                self.admit(interface, message, sender, counters)
            }
            Packet::HandshakeResponse(response) => Ok(PeerSlot::of_index(response.receiver_idx)),
            Packet::PacketCookieReply(cookie) => Ok(PeerSlot::of_index(cookie.receiver_idx)),
            Packet::PacketData(data) => Ok(PeerSlot::of_index(data.receiver_idx)),
        }
    }
}

/// The place of a peer's state at its worker.
#[inline]
pub(super) fn place(slot: PeerSlot, workers: u8) -> usize {
    // Most gateways have one worker, and to divide takes as long as all else here.
    if workers <= 1 { slot.index() } else { (slot.0 / u32::from(workers)) as usize }
}

/// What a packet is that comes in at the port of an interface: what the host sends is for the peers, and is let pass.
#[inline]
fn heard(interface: &Interface, meta: &mut Meta) -> Heard {
    match &interface.wire {
        Some(wire) => wire.hear(interface, &meta.headers),
        None => {
            (meta.passage, meta.verdict) = (Passage::Host, Verdict::Allow);
            Heard::Plain
        }
    }
}

/// Where a message came from, and when.
#[inline]
fn origin<F: Frame>(
    cx: &Context<'_>,
    interface: &Interface,
    frame: &F,
    meta: &Meta,
    message: &[u8],
) -> Origin {
    let headers = &meta.headers;
    let via = match &interface.wire {
        None => Via::Host((meta.passage == Passage::Plain).then_some(headers.destination)),
        // Data says nothing of where its peer is: it comes from all behind its bridge.
        Some(_) if message.first() == Some(&kind::DATA) => Via::Wire(None),
        Some(_) => Via::Wire(Ends::of(frame.bytes(), headers).map(Ends::reversed)),
    };
    Origin { remote: (headers.source, headers.source_port), via, now: cx.now }
}

/// Writes what is in front of a packet that was opened: what was in front of its message, or else what says no more than the version of IP.
#[inline]
fn write_header(header: &mut [u8], outer: Option<&[u8]>, is_v4: bool) {
    match outer {
        Some(outer) if outer.len() == header.len() => header.copy_from_slice(outer),
        Some(_) | None => header.fill(0),
    }
    if let Some(last) = header.last_chunk_mut() {
        *last = envelope::ethertype(is_v4);
    }
}

/// What was asked last of addresses of ours, for packets of a batch have few destinations.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    asked: Option<(PortId, Address)>,
    is_own: bool,
}

impl Own {
    /// Whether an address is one of ours, for what comes in at a port.
    #[inline]
    fn ask(&mut self, cx: &Context<'_>, port: PortId, address: Address) -> bool {
        if self.asked != Some((port, address)) {
            *self = Self { asked: Some((port, address)), is_own: cx.snapshot.routes.is_own(port, address) };
        }
        self.is_own
    }
}

/// What the receiver of a message with a packet calls its session; none if it is of another kind, or too short to be one.
#[inline]
fn data_index(message: &[u8]) -> Option<u32> {
    // Type, index, number, and the tag of an empty packet (section 5.4.6 of the paper on WireGuard).
    let message: &[u8; 32] = message.first_chunk()?;
    match *message {
        [kind::DATA, 0, 0, 0, a, b, c, d, ..] => Some(u32::from_le_bytes([a, b, c, d])),
        _ => None,
    }
}

/// The interface that a packet is a message to, if it is one: to an address of ours, and the port of an interface.
#[inline]
fn addressed<'p>(cx: &Context<'_>, plan: &'p Plan, meta: &Meta, own: &mut Own) -> Option<&'p Interface> {
    let headers = &meta.headers;
    if headers.protocol != Protocol::UDP
        || headers.fragment.kind != FragmentKind::Whole
        || headers.vlans.count > 0
    {
        return None;
    }
    let interface = plan.listening(headers.destination_port)?;
    own.ask(cx, meta.port, headers.destination).then_some(interface)
}

/// Tells a packet of the congestion that the message met in which it came.
#[inline]
fn mark(packet: &mut [u8], outer: u8) -> Result<(), DropReason> {
    if outer == 0 {
        return Ok(());
    }
    let inner = envelope::ecn(packet);
    let ecn = envelope::congestion(outer, inner).ok_or(DropReason::WireguardCongestion)?;
    if ecn != inner {
        envelope::set_ecn(packet, ecn);
    }
    Ok(())
}

/// Has a packet that was opened arrive at its interface, in the place of the message that it came in.
#[inline]
fn arrive<F: Frame>(interface: &Interface, frame: &mut F, meta: &mut Meta, counters: &mut WorkerCounters) {
    let length = u32::try_from(frame.bytes().len()).unwrap_or(u32::MAX);
    let time = meta.time;
    *meta = Meta { time, length, port: interface.port, passage: Passage::Opened, ..Meta::EMPTY };
    counters.consumed += 1;
    counters.injected += 1;
    counters.wireguard_opened += 1;
    if let Some(wire) = &interface.wire {
        parse::decode_into(frame.bytes(), meta);
        let headers = meta.headers;
        counters.mss_clamped += u64::from(wire.clamp(interface.mtu, frame.bytes_mut(), &headers));
        return;
    }
    if let Some(port) = counters.ports.get_mut(interface.port.index()) {
        port.received += 1;
        port.received_bytes += u64::from(length);
    }
    parse::decode_into(frame.bytes(), meta);
}
