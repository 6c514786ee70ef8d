use super::{
    link::{Adapted, ETHERNET_HEADER, Link},
    record::Record,
};
use crate::{clock::Timestamp, io::Frame};

/// A packet of a capture as an Ethernet frame. Its buffer comes from the backend's pool and keeps what it has grown to.
#[derive(Debug)]
pub struct PcapFrame {
    buffer: Vec<u8>,
    /// How much of the buffer was captured; zeros follow.
    captured: usize,
    /// What was captured, if that is not what the buffer holds.
    original: Vec<u8>,
    /// What the frame's length would be had all of it been captured.
    length: u32,
    time: Timestamp,
}

impl PcapFrame {
    /// The longest frame: an Ethernet header and the longest IPv4 packet.
    pub const MAX: usize = ETHERNET_HEADER + 65_535;

    pub(super) fn new() -> Self {
        Self {
            buffer: Vec::with_capacity(2048),
            captured: 0,
            original: Vec::new(),
            length: 0,
            time: Timestamp::ZERO,
        }
    }

    /// Takes a packet over from the capture.
    #[inline]
    pub(super) fn load(&mut self, record: &Record, link: Link, packet: &[u8]) {
        self.buffer.clear();
        self.original.clear();
        self.time = record.time;
        match link.adapt(packet, record.length) {
            Adapted::AsIs => {
                self.buffer.extend_from_slice(packet.get(..Self::MAX).unwrap_or(packet));
                self.length = record.length;
            }
            Adapted::Replace { strip, header } => {
                let packet = packet.get(strip..).unwrap_or_default();
                self.buffer.extend_from_slice(&header);
                self.buffer.extend_from_slice(packet.get(..Self::MAX - ETHERNET_HEADER).unwrap_or(packet));
                let stripped = u32::try_from(strip).unwrap_or(u32::MAX);
                self.length = record.length.saturating_sub(stripped).saturating_add(ETHERNET_HEADER as u32);
            }
            // Too short for its own link header: decode shall drop it as too short for Ethernet's.
            Adapted::Cut => {
                self.buffer.extend_from_slice(packet.get(..ETHERNET_HEADER - 1).unwrap_or(packet));
                self.length = u32::try_from(self.buffer.len()).unwrap_or(u32::MAX);
            }
        }
        self.captured = self.buffer.len();
        if (self.length as usize) > self.captured {
            self.pad();
        }
    }

    /// Becomes a frame that no capture held.
    pub(super) fn compose(&mut self, time: Timestamp, bytes: &[u8]) {
        self.buffer.clear();
        self.original.clear();
        self.buffer.extend_from_slice(bytes);
        self.captured = bytes.len();
        self.length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.time = time;
    }

    /// Keeps what was captured as it is, before the packet is changed into what it was on the link.
    pub fn keep_original(&mut self) {
        self.original.clear();
        self.original.extend_from_slice(self.buffer.get(..self.captured).unwrap_or_default());
    }

    /// What was captured of the frame.
    pub(super) fn captured(&self) -> &[u8] {
        self.buffer.get(..self.captured).unwrap_or_default()
    }

    pub(super) fn length(&self) -> u32 {
        self.length
    }

    pub(super) fn time(&self) -> Timestamp {
        self.time
    }

    /// Fills a packet that was cut by the snap length up to its real length, so that the lengths in its headers agree with
    /// its own. Only if all headers are there: zeros must not pass for ports.
    #[cold]
    fn pad(&mut self) {
        if holds_headers(&self.buffer) {
            self.buffer.resize((self.length as usize).min(Self::MAX), 0);
        }
    }
}

impl Frame for PcapFrame {
    fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    fn set_len(&mut self, length: usize) -> bool {
        self.buffer.resize(length.min(Self::MAX), 0);
        length <= Self::MAX
    }

    fn received(&self) -> &[u8] {
        if self.original.is_empty() { self.captured() } else { &self.original }
    }
}

/// What a frame carries behind Ethernet header and VLAN tags: EtherType and the bytes behind it.
pub(super) fn payload(frame: &[u8]) -> Option<([u8; 2], &[u8])> {
    const TAGS: [[u8; 2]; 3] = [[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00]];
    let mut rest = frame.get(12..)?;
    for _ in 0..3 {
        let (ethertype, behind) = rest.split_first_chunk::<2>()?;
        if !TAGS.contains(ethertype) {
            return Some((*ethertype, behind));
        }
        rest = behind.get(2..)?;
    }
    None
}

/// Whether network and transport header of an IP packet were captured.
fn holds_headers(frame: &[u8]) -> bool {
    let transport = |protocol: u8| match protocol {
        6 => 20,
        // UDP, ICMP, ICMPv6 and the ports and tag of SCTP; an extension header's fixed part.
        _ => 8,
    };
    match payload(frame) {
        Some(([0x08, 0x00], packet)) => {
            let (Some(first), Some(offset), Some(protocol)) =
                (packet.first(), packet.get(6..8).and_then(|bytes| bytes.first_chunk()), packet.get(9))
            else {
                return false;
            };
            let header = usize::from(first & 0x0f) * 4;
            let later = u16::from_be_bytes(*offset) & 0x1fff != 0;
            packet.len() >= header.max(20) + if later { 0 } else { transport(*protocol) }
        }
        Some(([0x86, 0xdd], packet)) => {
            packet.get(6).is_some_and(|next| packet.len() >= 40 + transport(*next))
        }
        Some(_) | None => false,
    }
}
