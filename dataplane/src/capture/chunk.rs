use super::{AlignedBytes, Fates};
use crate::{clock::Timestamp, verdict::DropReason};

/// Packets in a row, as blocks of a pcapng file, made by one worker.
///
/// Memory is taken once: a chunk that was written is cleared and filled again.
#[derive(Debug)]
pub struct Chunk {
    bytes: AlignedBytes,
    /// Where the last block begins, behind these.
    last: usize,
    packets: u32,
    span: Option<(Timestamp, Timestamp)>,
    captures: u64,
    fates: Fates,
}

/// What is written of a packet besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The interface that received it, or through which it leaves, by its number in the file.
    pub interface: u32,
    /// When.
    pub time: Timestamp,
    /// Its length on the link in bytes.
    pub length: u32,
    /// What became of it.
    pub fate: Fate,
    /// The decision of the worker's log by which it did, 0 if there is none.
    pub decision: u32,
    /// The worker.
    pub worker: u8,
    /// The captures that want it, by bits.
    pub captures: u64,
}

/// What became of a captured packet, as a number in a file: 0 for what passed, 1 for what the appliance took itself, 255 for what it made
/// itself, and else the place of its drop reason, plus 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fate(u8);

impl Fate {
    /// It passed.
    pub const PASSED: Self = Self(0);
    /// The appliance took it itself.
    pub const CONSUMED: Self = Self(1);
    /// The appliance made it, in answer to another.
    pub const INJECTED: Self = Self(255);

    /// It was dropped.
    pub const fn dropped(reason: DropReason) -> Self {
        Self(reason.index() as u8 + 2)
    }

    /// Whether packets are captured that are dropped for a reason: not those that the kernel drops, and not those that are dropped when they
    /// are about to leave.
    pub const fn is_captured(reason: DropReason) -> bool {
        !matches!(
            reason,
            DropReason::ThreatKernel
                | DropReason::HandoffFull
                | DropReason::TransmitFull
                | DropReason::TransmitDown
        )
    }

    /// What a number in a file means.
    pub const fn of_number(number: u8) -> Self {
        Self(number)
    }

    /// Why it was dropped, if it was and for a reason that there is.
    pub fn drop_reason(self) -> Option<DropReason> {
        DropReason::ALL.get(usize::from(self.0.checked_sub(2)?)).copied()
    }
}

/// The private enterprise number in our options: that of examples (RFC 5612), as the project has none.
pub const ENTERPRISE: u32 = 32_473;

/// The code of an option that others may copy and need not understand.
const CUSTOM: u16 = 2989;

/// The type of a block that holds a packet.
const PACKET: u32 = 6;

/// Bytes of a block besides those of the packet: head, our option with its four numbers, the end of options, and the length again.
const OVERHEAD: usize = 28 + (4 + 24) + 4 + 4;

impl Chunk {
    /// The most bytes that a chunk has.
    pub const SIZE: usize = 1 << 20;
    /// The bytes of packets that a chunk has room for: any packet fits, and what [`Chunk::align`] adds.
    pub const ROOM: usize = Self::SIZE - 2 * AlignedBytes::ALIGN;

    /// An empty chunk.
    pub fn new() -> Self {
        let bytes = AlignedBytes::with_capacity(Self::SIZE);
        Self { bytes, last: 0, packets: 0, span: None, captures: 0, fates: Fates::NONE }
    }

    /// Whether a packet of which so many bytes are kept still fits.
    pub fn has_room(&self, kept: usize) -> bool {
        self.bytes.len() + OVERHEAD + kept.next_multiple_of(4) <= Self::ROOM
    }

    /// Adds the first `kept` bytes of a packet, which has room. The format is that of an Enhanced Packet Block of the pcapng draft, in
    /// little endian, with one custom option.
    pub fn push(&mut self, label: &Label, packet: &[u8], kept: usize) {
        let data = packet.get(..kept).unwrap_or(packet);
        let padding = data.len().next_multiple_of(4) - data.len();
        let total = (OVERHEAD + data.len() + padding) as u32;
        let nanos = label.time.as_nanos();
        let mut head = [0; 28];
        let words = [
            PACKET,
            total,
            label.interface,
            (nanos >> 32) as u32,
            nanos as u32,
            data.len() as u32,
            label.length,
        ];
        for (place, word) in head.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        self.last = self.bytes.len();
        self.bytes.extend(&head);
        self.bytes.extend(data);
        self.bytes.extend([0; 3].get(..padding).unwrap_or_default());
        let mut tail = [0; 36];
        let words = [
            u32::from(CUSTOM) | 24 << 16,
            ENTERPRISE,
            u32::from(label.fate.0) | u32::from(label.worker) << 8,
            label.decision,
            0,
            label.captures as u32,
            (label.captures >> 32) as u32,
            0,
            total,
        ];
        for (place, word) in tail.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        self.bytes.extend(&tail);
        self.packets += 1;
        self.captures |= label.captures;
        self.fates.add(label.fate);
        let (first, last) = self.span.unwrap_or((label.time, label.time));
        self.span = Some((first.min(label.time), last.max(label.time)));
    }

    /// Adds the packets of another chunk behind its own, if all of them fit. Says whether they did.
    pub fn append(&mut self, other: &Self) -> bool {
        if self.bytes.len() + other.bytes.len() > Self::ROOM {
            return false;
        }
        self.last = self.bytes.len() + other.last;
        self.bytes.extend(other.bytes());
        self.packets += other.packets;
        self.captures |= other.captures;
        self.fates.add_all(other.fates);
        self.span = match (self.span, other.span) {
            (Some((first, last)), Some((from, until))) => Some((first.min(from), last.max(until))),
            (span, None) | (None, span) => span,
        };
        true
    }

    /// The blocks.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.bytes()
    }

    /// Makes the last block longer, by an option that says nothing, so that the blocks are as long as a disk wants them.
    pub fn align(&mut self) {
        let missing = self.bytes.len().next_multiple_of(AlignedBytes::ALIGN) - self.bytes.len();
        // An option with a number of its owner is at least so long.
        let missing = if (1..8).contains(&missing) { missing + AlignedBytes::ALIGN } else { missing };
        if missing == 0 || self.is_empty() {
            return;
        }
        let total = (self.bytes.len() - self.last + missing) as u32;
        // In place of the end of the options and the length, which come again behind it.
        self.bytes.resize(self.bytes.len() - 8);
        let words = [u32::from(CUSTOM) | ((missing - 4) as u32) << 16, ENTERPRISE];
        words.iter().for_each(|word| self.bytes.extend(&word.to_le_bytes()));
        self.bytes.resize(self.bytes.len() + missing - 8);
        [0, total].iter().for_each(|word| self.bytes.extend(&word.to_le_bytes()));
        if let Some(length) = self.bytes.bytes_mut().get_mut(self.last + 4..self.last + 8) {
            length.copy_from_slice(&total.to_le_bytes());
        }
    }

    /// How many packets there are.
    pub const fn packets(&self) -> u32 {
        self.packets
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// The times of the earliest and of the latest packet.
    pub const fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.span
    }

    /// The captures that want any of it, by bits.
    pub const fn captures(&self) -> u64 {
        self.captures
    }

    /// What became of any of them.
    pub const fn fates(&self) -> Fates {
        self.fates
    }

    /// Forgets everything, but keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.resize(0);
        self.last = 0;
        (self.packets, self.span, self.captures, self.fates) = (0, None, 0, Fates::NONE);
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self::new()
    }
}
