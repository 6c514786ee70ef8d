use std::time::Duration;

use super::{
    Counter, Interface, Parity, PeerSlot, Plan,
    envelope::{self, Envelope},
    exit::{Exit, Sealed},
    message::{Message, To},
    outlet::{Outlet, Way, way},
    stage::{Tunnels, place},
    state::OVERHEAD,
    waiting,
};
use crate::{
    batch::{Meta, Passage},
    io::{Frame, PacketIo, PortId},
    parse::{self, Address},
    pipeline::Context,
    verdict::{DropReason, Verdict},
    worker::forwarded,
};

/// How long packets wait for a session.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the timers of a peer are looked at.
const ROUND: Duration = Duration::from_millis(250);
/// Packets that wait, and peers, looked at in one turn.
const BUDGET: usize = 64;
/// What packets are padded to (section 5.4.6 of the paper on WireGuard).
const BLOCK: usize = 16;

impl<F: Frame> Tunnels<F> {
    /// Has a packet sealed at the end of the turn.
    pub(crate) fn take(&mut self, frame: F, meta: &Meta) {
        let (frames, metas) = &mut self.outbound;
        frames.push(frame);
        metas.push(*meta);
    }

    /// The same for one that the appliance made itself, and that leaves through `port`; gives it back if that is not encrypted.
    pub(crate) fn take_own(&mut self, cx: &Context<'_>, frame: F, port: PortId) -> Option<F> {
        let plan = &cx.snapshot.wireguard;
        if plan.at(port).is_none() {
            return Some(frame);
        }
        let mut meta =
            Meta { length: u32::try_from(frame.bytes().len()).unwrap_or(u32::MAX), port, ..Meta::default() };
        parse::decode_into(frame.bytes(), &mut meta);
        if !plan.seals(port, &meta.headers) {
            return Some(frame);
        }
        meta.verdict = Verdict::Forward(port);
        self.take(frame, &meta);
        None
    }

    /// Sends what is to be sent: packets that are sealed, messages of handshakes, and those whose time has come. Returns whether more
    /// is due.
    pub(crate) fn send<I: PacketIo<Frame = F>>(&mut self, cx: &Context<'_>, exit: &mut Exit<'_, I>) -> bool {
        let plan = &*cx.snapshot.wireguard;
        if plan.is_empty() {
            self.close(exit);
            return false;
        }
        let more_due = self.tick(cx, plan);
        let (mut frames, mut metas) = std::mem::take(&mut self.outbound);
        let mut owners = std::mem::take(&mut self.owners);
        self.known.whose(plan, metas.iter().map(destination), &mut owners);
        let mut woken = 0_u64;
        for ((frame, meta), slot) in frames.drain(..).zip(&metas).zip(&owners) {
            let (sealed, frame) = self.seal(cx, plan, *slot, (frame, meta), exit);
            woken |= exit.settle(sealed, frame, meta);
        }
        metas.clear();
        (self.outbound, self.owners) = ((frames, metas), owners);
        self.release_waiting(cx, plan, exit);
        let mut messages = std::mem::take(&mut self.messages);
        for message in messages.drain(..) {
            self.deliver(cx, plan, &message, exit);
        }
        self.messages = messages;
        exit.counters.wireguard_waiting = self.waiting.len() as u64;
        exit.wake(woken);
        more_due
    }

    /// Gives back the frames that are held, when there are no tunnels any more or the worker ends.
    pub(crate) fn close<I: PacketIo<Frame = F>>(&mut self, exit: &mut Exit<'_, I>) {
        if let Some(spare) = self.spare.take() {
            exit.io.release(spare);
        }
        let (frames, metas) = &mut self.outbound;
        for (frame, meta) in frames.drain(..).zip(metas.drain(..)) {
            exit.settle(Sealed::Dropped(DropReason::WireguardNoPeer), Some(frame), &meta);
        }
        let mut budget = self.waiting.len();
        while let Some(packet) = self.waiting.take_due(&mut budget, |_, _| true) {
            exit.counters.injected += 1;
            exit.settle(Sealed::Dropped(DropReason::WireguardNoSession), Some(packet.frame), &packet.meta);
        }
        exit.counters.wireguard_waiting = 0;
    }

    /// Looks at the timers of some peers; returns whether there are more to look at.
    fn tick(&mut self, cx: &Context<'_>, plan: &Plan) -> bool {
        if self.cursor == 0 {
            if cx.now < self.round {
                return false;
            }
            self.round = cx.now + ROUND;
            // Whichever worker comes first after a second does it.
            let identities = plan.interfaces().iter().flat_map(Interface::identities);
            identities.for_each(|identity| identity.limiter.reset_count());
        }
        let end = (self.cursor + BUDGET).min(self.states.len());
        let mut buffer = [0; Message::MOST];
        for place in self.cursor..end {
            for parity in Parity::BOTH {
                let Some(state) = self.states.get_mut(place).and_then(Option::as_deref_mut) else { break };
                if let Some(length) = state.tick(parity, &mut buffer) {
                    let to = To::Peer(state.peer.slot);
                    self.post(buffer.get(..length).unwrap_or_default(), to);
                }
            }
        }
        self.cursor = if end == self.states.len() { 0 } else { end };
        self.cursor != 0
    }

    /// Seals a packet for a peer, if it is for one, and sends it.
    fn seal<I: PacketIo<Frame = F>>(
        &mut self,
        cx: &Context<'_>,
        plan: &Plan,
        slot: Option<PeerSlot>,
        (frame, meta): (F, &Meta),
        exit: &mut Exit<'_, I>,
    ) -> (Sealed, Option<F>) {
        let Verdict::Forward(port) = meta.verdict else {
            return (Sealed::Dropped(DropReason::NoDestination), Some(frame));
        };
        let Some(interface) = plan.at(port) else {
            return (Sealed::Dropped(DropReason::NoDestination), Some(frame));
        };
        let Some(slot) = slot.filter(|_| meta.headers.is_ip()) else {
            if meta.passage == Passage::Host && meta.headers.destination.is_multicast() {
                // What the host says to whoever is on a link; here nobody is.
                exit.counters.consumed += 1;
                return (Sealed::Done, Some(frame));
            }
            return (Sealed::Dropped(DropReason::WireguardNoPeer), Some(frame));
        };
        let owner = slot.owner(cx.workers);
        if owner != cx.worker {
            return (Sealed::Elsewhere(owner), Some(frame));
        }
        self.seal_own(cx, plan, interface, slot, (frame, meta), exit)
    }

    /// The same, for a peer of this worker.
    pub(super) fn seal_own<I: PacketIo<Frame = F>>(
        &mut self,
        cx: &Context<'_>,
        plan: &Plan,
        interface: &Interface,
        slot: PeerSlot,
        (mut frame, meta): (F, &Meta),
        exit: &mut Exit<'_, I>,
    ) -> (Sealed, Option<F>) {
        let dropped = |reason, frame| (Sealed::Dropped(reason), Some(frame));
        let Some(state) = self.states.get_mut(place(slot, cx.workers)).and_then(Option::as_deref_mut) else {
            return dropped(DropReason::WireguardNoPeer, frame);
        };
        let way = match way(cx, plan, interface, state, &frame, meta) {
            Ok(way) => way,
            Err(reason) => return dropped(reason, frame),
        };
        if !state.is_up() {
            if let Way::Wire(ends) = way {
                state.aim(ends);
            }
            let peer = state.peer.clone();
            self.begin(slot, cx.workers);
            return match self.waiting.push(slot, interface.port, frame, meta, cx.now) {
                Ok(()) => {
                    exit.counters.consumed += 1;
                    (Sealed::Done, None)
                }
                Err(frame) => {
                    peer.add(Counter::QueueFull, 1);
                    dropped(DropReason::WireguardQueueFull, frame)
                }
            };
        }
        let start = usize::from(meta.headers.network_offset);
        let length = usize::from(meta.headers.end).saturating_sub(start);
        if let Some(wire) = &interface.wire {
            if length > usize::from(interface.mtu) {
                return self.seal_in_fragments(cx, plan, interface, slot, (frame, meta), exit);
            }
            exit.counters.mss_clamped +=
                u64::from(wire.clamp(interface.mtu, frame.bytes_mut(), &meta.headers));
        }
        let padded = length.next_multiple_of(BLOCK).min(usize::from(interface.mtu)).max(length);
        let headers = way.headers();
        let Some(spare) = self.spare.as_mut() else { return dropped(DropReason::WireguardTooBig, frame) };
        let total = headers + (padded + OVERHEAD).max(Message::MOST);
        if !frame.set_len(start + padded) || !spare.set_len(total) {
            return dropped(DropReason::WireguardTooBig, frame);
        }
        if let Some(padding) = frame.bytes_mut().get_mut(start + length..) {
            padding.fill(0);
        }
        let packet = frame.bytes().get(start..).unwrap_or_default();
        let ecn = envelope::ecn(packet);
        let sealed = spare.bytes_mut().get_mut(headers..).and_then(|into| state.seal(packet, into));
        let Some(message) = sealed else {
            // The session has just ended.
            state.peer.add(Counter::NoSession, 1);
            return dropped(DropReason::WireguardNoSession, frame);
        };
        spare.set_len(headers + message);
        state.peer.add(Counter::SentPackets, 1);
        state.peer.add(Counter::SentBytes, message as u64);
        exit.counters.wireguard_sealed += 1;
        let (outlet, remote) = match way {
            Way::Host(outlet, remote) => (outlet, remote),
            Way::Wire(ends) => {
                // What stands in the spare frame before the message is not for the wire.
                if ends.write(spare.bytes_mut(), interface.listen_port, ecn).is_none() {
                    return dropped(DropReason::WireguardTooBig, frame);
                }
                exit.counters.consumed += 1;
                std::mem::swap(&mut frame, spare);
                exit.transmit(interface.port, frame);
                return (Sealed::Done, None);
            }
        };
        forwarded(exit.counters, interface.port, meta.length);
        match outlet {
            Outlet::Direct(way) if headers - envelope::ETHERNET + message <= way.mtu as usize => {
                let envelope = state.envelope(cx, &way, interface.listen_port, ecn);
                if envelope.and_then(|envelope| envelope.write(spare.bytes_mut())).is_none() {
                    exit.counters.injected += 1;
                    exit.counters.drops.add(DropReason::WireguardUnroutable);
                    state.peer.add(Counter::Unroutable, 1);
                    return (Sealed::Done, Some(frame));
                }
                std::mem::swap(&mut frame, spare);
                exit.transmit(way.exit, frame);
                (Sealed::Done, None)
            }
            Outlet::Direct(_) | Outlet::Kernel => {
                let message = spare.bytes().get(headers..).unwrap_or_default();
                let sent = exit.ask_kernel(interface, message, remote);
                state.peer.add(if sent { Counter::ThroughKernel } else { Counter::Unroutable }, 1);
                (Sealed::Done, Some(frame))
            }
            Outlet::Tunnel => {
                exit.counters.injected += 1;
                exit.counters.drops.add(DropReason::WireguardUnroutable);
                state.peer.add(Counter::Unroutable, 1);
                (Sealed::Done, Some(frame))
            }
        }
    }

    /// Begins handshakes with a peer, one for each key of ours that it may know.
    fn begin(&mut self, slot: PeerSlot, workers: u8) {
        let mut buffer = [0; Message::MOST];
        for parity in Parity::BOTH {
            let begun = self.state(slot, workers).and_then(|state| state.begin(parity, &mut buffer));
            if let Some(length) = begun {
                self.post(buffer.get(..length).unwrap_or_default(), To::Peer(slot));
            }
        }
    }

    /// Goes on with packets that wait: those whose peer has a session now, and those that have waited for too long.
    fn release_waiting<I: PacketIo<Frame = F>>(
        &mut self,
        cx: &Context<'_>,
        plan: &Plan,
        exit: &mut Exit<'_, I>,
    ) {
        let mut budget = self.waiting.len().min(BUDGET);
        while budget > 0 {
            let states = &self.states;
            let is_due = |slot, since| {
                let state = states.get(place(slot, cx.workers)).and_then(Option::as_deref);
                cx.now.since(since) > PATIENCE || state.is_none_or(super::state::State::is_up)
            };
            let Some(waiting::Packet { slot, port, frame, meta, .. }) =
                self.waiting.take_due(&mut budget, is_due)
            else {
                return;
            };
            exit.counters.injected += 1;
            let is_up = self.state(slot, cx.workers).is_some_and(|state| state.is_up());
            let (sealed, frame) = match plan.at(port) {
                Some(interface) if is_up => self.seal_own(cx, plan, interface, slot, (frame, &meta), exit),
                Some(_) | None => {
                    if let Some(state) = self.state(slot, cx.workers) {
                        state.peer.add(Counter::NoSession, 1);
                    }
                    (Sealed::Dropped(DropReason::WireguardNoSession), Some(frame))
                }
            };
            exit.settle(sealed, frame, &meta);
        }
    }

    /// Sends a message.
    fn deliver<I: PacketIo<Frame = F>>(
        &mut self,
        cx: &Context<'_>,
        plan: &Plan,
        message: &Message,
        exit: &mut Exit<'_, I>,
    ) {
        match message.to {
            To::Peer(slot) => {
                let Some(state) = self.state(slot, cx.workers) else { return };
                if let Some(interface) = plan.at(state.peer.interface).filter(|at| at.wire.is_some()) {
                    if let Some(ends) = state.next_ends() {
                        state.peer.add(Counter::SentBytes, message.bytes().len() as u64);
                        exit.compose_on_wire(message.bytes(), interface, &ends);
                    }
                    return;
                }
                let outlet = state.outlet(cx, plan);
                let (Some(remote), Some(interface)) = (state.remote(), plan.at(state.peer.interface)) else {
                    state.peer.add(Counter::NoEndpoint, 1);
                    return;
                };
                state.peer.add(Counter::SentBytes, message.bytes().len() as u64);
                let envelope = match outlet {
                    Outlet::Direct(way) => {
                        state.envelope(cx, &way, interface.listen_port, 0).map(|it| (way, it))
                    }
                    Outlet::Kernel | Outlet::Tunnel => None,
                };
                let is_lost = matches!(outlet, Outlet::Tunnel);
                let peer = state.peer.clone();
                match envelope {
                    Some((way, envelope)) => exit.compose(message.bytes(), &way, &envelope),
                    None if is_lost => peer.add(Counter::Unroutable, 1),
                    None => {
                        let sent = exit.ask_kernel(interface, message.bytes(), remote);
                        peer.add(if sent { Counter::ThroughKernel } else { Counter::Unroutable }, 1);
                    }
                }
            }
            To::Stranger { interface, local, remote } => {
                let Some(interface) = plan.at(interface) else { return };
                match (local, Outlet::find(&cx.snapshot.routes, plan, local, remote.ip(), 0)) {
                    (Some(local), Outlet::Direct(way)) => {
                        let envelope = Envelope {
                            macs: cx.snapshot.routes.macs(&way),
                            local,
                            local_port: interface.listen_port,
                            remote,
                            ecn: 0,
                            id: 0,
                        };
                        exit.compose(message.bytes(), &way, &envelope);
                    }
                    (None, Outlet::Direct(_)) | (_, Outlet::Kernel) => {
                        let _repeated_by_its_sender = exit.ask_kernel(interface, message.bytes(), remote);
                    }
                    (_, Outlet::Tunnel) => {}
                }
            }
            To::Sender { interface, ends, peer } => {
                let Some(interface) = plan.at(interface) else { return };
                if let Some(state) = peer.and_then(|slot| self.state(slot, cx.workers)) {
                    state.peer.add(Counter::SentBytes, message.bytes().len() as u64);
                }
                exit.compose_on_wire(message.bytes(), interface, &ends);
            }
        }
    }
}

/// Where a packet goes that is to be sealed, and through which port.
#[inline]
fn destination(meta: &Meta) -> (PortId, Address) {
    let Verdict::Forward(port) = meta.verdict else { return (meta.port, meta.headers.destination) };
    (port, meta.headers.destination)
}
