use std::collections::VecDeque;

use super::PeerSlot;
use crate::{batch::Meta, clock::Timestamp, io::PortId};

/// Packets for peers without a session, until there is one. Bounded: for each peer, and for all together.
#[derive(Debug)]
pub(super) struct Waiting<F> {
    packets: VecDeque<Packet<F>>,
}

/// A packet that waits.
#[derive(Debug)]
pub(super) struct Packet<F> {
    /// For whom.
    pub(super) slot: PeerSlot,
    /// The port of the peer's interface.
    pub(super) port: PortId,
    pub(super) frame: F,
    pub(super) meta: Meta,
    since: Timestamp,
}

impl<F> Waiting<F> {
    /// For all peers of a worker together.
    const MOST: usize = 512;
    /// For one peer.
    const EACH: usize = 64;

    pub(super) fn new() -> Self {
        Self { packets: VecDeque::with_capacity(Self::MOST) }
    }

    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Has a packet wait for a peer.
    ///
    /// # Errors
    /// The frame, if there is no room.
    pub(super) fn push(
        &mut self,
        slot: PeerSlot,
        port: PortId,
        frame: F,
        meta: &Meta,
        now: Timestamp,
    ) -> Result<(), F> {
        let of_peer = self.packets.iter().filter(|packet| packet.slot == slot).count();
        if self.packets.len() >= Self::MOST || of_peer >= Self::EACH {
            return Err(frame);
        }
        self.packets.push_back(Packet { slot, port, frame, meta: *meta, since: now });
        Ok(())
    }

    /// The next packet, of those that were there when this was asked first, for which `is_due` holds; asks for at most `budget` of them,
    /// which is counted down.
    pub(super) fn take_due(
        &mut self,
        budget: &mut usize,
        is_due: impl Fn(PeerSlot, Timestamp) -> bool,
    ) -> Option<Packet<F>> {
        while *budget > 0 {
            *budget -= 1;
            let packet = self.packets.pop_front()?;
            if is_due(packet.slot, packet.since) {
                return Some(packet);
            }
            self.packets.push_back(packet);
        }
        None
    }
}
