//! The packets of one turn of a worker.
//!
//! Frames and what is known of them stand in two parallel arrays: the stages that decide walk the small, dense
//! [`Meta`]s; only decode, checksum completion and capture touch the bytes.

use crate::{
    clock::Timestamp,
    flow::{FlowKey, Side, Slot},
    forward::Segment,
    io::PortId,
    nat::{Arrival, Endpoint},
    parse::Headers,
    policy::DecisionId,
    verdict::Verdict,
};

/// What is known of one packet. Plain values, no borrow of the frame, so that it can travel between workers.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// When the packet was received.
    pub time: Timestamp,
    /// Length of the frame on the link in bytes, without the Ethernet checksum.
    pub length: u32,
    /// The port that received the packet.
    pub port: PortId,
    /// Whether another worker has received and decoded it.
    pub handed_in: bool,
    /// What tunnels have to do with the packet.
    pub passage: Passage,
    /// Whether the packet is a fragment that has been tied to its first fragment, and so has ports.
    pub resolved: bool,
    /// Whether the packet has a flow key.
    pub keyed: bool,
    /// What decode found; behind address translation, with the destination that the packet really has.
    pub headers: Headers,
    /// What it was sent to, if that is another.
    pub arrival: Arrival,
    /// The flow that the packet belongs to, if `keyed`.
    pub key: FlowKey,
    /// Which end of the key sent it.
    pub side: Side,
    /// The segment that the packet is on, if `keyed`: a flow never leaves its own.
    pub segment: Segment,
    /// Keyed hash of `key` and `segment`, the same for both directions.
    pub hash: u64,
    /// The flow's place in the table of the worker that owns it, if it is tracked.
    pub slot: Option<Slot>,
    /// What is decided so far.
    pub verdict: Verdict,
    /// By which decision.
    pub decision: DecisionId,
}

/// What tunnels that end at the appliance have to do with a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passage {
    /// Nothing yet.
    #[default]
    Plain,
    /// It came out of one.
    Opened,
    /// The host sends it through one, and has routed it.
    Host,
    /// It is a message that came by way of the kernel.
    Relayed,
    /// It leaves through one that another worker has.
    Sealing,
}

impl Default for Meta {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Meta {
    /// Nothing known yet. A constant for the reason that [`Headers::EMPTY`] is one.
    pub const EMPTY: Self = Self {
        time: Timestamp::ZERO,
        length: 0,
        port: PortId(0),
        handed_in: false,
        passage: Passage::Plain,
        resolved: false,
        keyed: false,
        headers: Headers::EMPTY,
        arrival: Arrival::UNASKED,
        key: FlowKey::EMPTY,
        side: Side::Low,
        segment: Segment::NONE,
        hash: 0,
        slot: None,
        verdict: Verdict::Undecided,
        decision: DecisionId::NONE,
    };

    /// The headers as the packet was sent, before its destination was translated.
    pub fn sent_headers(&self) -> Headers {
        let mut headers = self.headers;
        if self.arrival.is_translated() {
            headers.destination = self.arrival.sent_to.ip();
            headers.destination_port = self.arrival.sent_to.port;
        }
        headers
    }

    /// Shows in the headers what the packet was sent to, if that is another destination, and keeps that instead; and back again.
    pub(crate) fn swap_destinations(&mut self) {
        if self.arrival.is_translated() {
            let Self { headers, arrival, .. } = self;
            let sent_to = arrival.sent_to;
            arrival.sent_to = Endpoint::new(headers.destination, headers.destination_port);
            (headers.destination, headers.destination_port) = (sent_to.ip(), sent_to.port);
        }
    }
}

/// A bounded batch of frames with their [`Meta`]s. Never grows beyond the capacity it was made with.
#[derive(Debug)]
pub struct Batch<F> {
    frames: Vec<F>,
    metas: Vec<Meta>,
    capacity: usize,
}

impl<F> Batch<F> {
    /// The largest batch that can be configured.
    pub const MAX: usize = 256;

    /// An empty batch for `capacity` packets.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, Self::MAX);
        Self { frames: Vec::with_capacity(capacity), metas: Vec::with_capacity(capacity), capacity }
    }

    /// How many packets are in the batch.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// How many more packets fit.
    pub fn room(&self) -> usize {
        self.capacity - self.frames.len()
    }

    /// Adds a packet.
    ///
    /// # Errors
    /// The frame, if the batch is full.
    pub fn push(&mut self, frame: F, meta: Meta) -> Result<(), F> {
        if self.room() == 0 {
            return Err(frame);
        }
        self.frames.push(frame);
        self.metas.push(meta);
        Ok(())
    }

    /// Adds a packet of which is known only where and when it was received, and how long it was on the link. It is written where it
    /// stays: a [`Meta`] that is made elsewhere is copied while its parts are still on their way to memory, which takes longer than all
    /// else here.
    ///
    /// # Errors
    /// The frame, if the batch is full.
    #[inline]
    pub fn receive(&mut self, frame: F, port: PortId, time: Timestamp, length: u32) -> Result<(), F> {
        self.push(frame, Meta::EMPTY)?;
        if let Some(meta) = self.metas.last_mut() {
            (meta.port, meta.time, meta.length) = (port, time, length);
        }
        Ok(())
    }

    /// What is known of each packet.
    pub fn metas(&self) -> &[Meta] {
        &self.metas
    }

    /// What is known of each packet, for the stages that decide.
    pub fn metas_mut(&mut self) -> &mut [Meta] {
        &mut self.metas
    }

    /// Each packet's frame with what is known of it.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&mut F, &mut Meta)> {
        self.frames.iter_mut().zip(self.metas.iter_mut())
    }

    /// Takes all packets out, in order. What is known of them is lent, not copied: it is much, and little of it is needed.
    pub fn drain_with(&mut self, mut take: impl FnMut(F, &Meta)) {
        for (frame, meta) in self.frames.drain(..).zip(&self.metas) {
            take(frame, meta);
        }
        self.metas.clear();
    }

    /// Takes all packets out, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = (F, Meta)> + '_ {
        self.frames.drain(..).zip(self.metas.drain(..))
    }
}
