use std::net::IpAddr;

use ravelin_config::types::Protocol;

use crate::{
    forward::Segment,
    hash::FlowHasher,
    parse::{Address, Headers, Vlans},
};

/// Which end of a [`FlowKey`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Side {
    /// The end that sorts first by address and port.
    #[default]
    Low,
    /// The end that sorts last.
    High,
}

impl Side {
    /// The other end.
    pub const fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

/// Who talks to whom: both ends, the protocol and the VLAN tags, normalised so that both directions have the same key. Together
/// with the [`Segment`] on which they do, it names a flow.
///
/// Kept as words, because it is compared and hashed for every packet: two for the address of the low end, two for that of the
/// high one, and one for ports (16 bits each), protocol (8) and VLAN identifiers (12 each), from the highest bit down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowKey([u64; 5]);

impl FlowKey {
    /// No flow's key: its ends are in the wrong order.
    pub(super) const NOBODY: Self = Self([u64::MAX, u64::MAX, 0, 0, 0]);

    /// The key of a packet and the end that sent it.
    pub fn of(headers: &Headers) -> (Self, Side) {
        Self::new(
            (headers.source, headers.source_port),
            (headers.destination, headers.destination_port),
            headers.protocol,
            headers.vlans,
        )
    }

    /// The key of what passes between `source` and `destination`, and which end `source` is.
    pub fn new(
        source: (Address, u16),
        destination: (Address, u16),
        protocol: Protocol,
        vlans: Vlans,
    ) -> (Self, Side) {
        // Compared as numbers, which sort as the addresses do.
        let [source, destination] = [source, destination].map(|(address, port)| (halves(address), port));
        let (low, high, side) = if source <= destination {
            (source, destination, Side::Low)
        } else {
            (destination, source, Side::High)
        };
        let [outer, inner] = vlans.ids.map(|id| u64::from(id & 0x0fff));
        // Tag 0 is priority-only (802.1Q 9.6); it shares the key of the untagged frame on purpose.
        let rest = (u64::from(low.1) << 48)
            | (u64::from(high.1) << 32)
            | (u64::from(protocol.0) << 24)
            | (outer << 12)
            | inner;
        let ([low_first, low_last], [high_first, high_last]) = (low.0, high.0);
        (Self([low_first, low_last, high_first, high_last, rest]), side)
    }

    /// The hash of the flow on `segment`, the same for both directions.
    pub fn hash(&self, segment: Segment, hasher: &FlowHasher) -> u64 {
        let [a, b, c, d, e] = self.0;
        hasher.hash(&[a, b, c, d, e, u64::from(segment.0.0)])
    }

    /// Address and port of one end.
    pub fn end(&self, side: Side) -> (IpAddr, u16) {
        let [low_first, low_last, high_first, high_last, rest] = self.0;
        let (first, last, shift) = match side {
            Side::Low => (low_first, low_last, 48),
            Side::High => (high_first, high_last, 32),
        };
        let address = Address((u128::from(first) << 64 | u128::from(last)).to_be_bytes());
        (address.ip(), low_bits(rest >> shift))
    }

    /// The transport protocol.
    pub const fn protocol(&self) -> Protocol {
        let [.., rest] = self.0;
        let [_, _, _, _, protocol, ..] = rest.to_be_bytes();
        Protocol(protocol)
    }

    /// The VLAN identifiers, outermost first; zero where there is none.
    pub fn vlans(&self) -> [u16; 2] {
        let [.., rest] = self.0;
        [low_bits(rest >> 12) & 0x0fff, low_bits(rest) & 0x0fff]
    }
}

fn halves(address: Address) -> [u64; 2] {
    let number = u128::from_be_bytes(address.0);
    [low_word(number >> 64), low_word(number)]
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn low_word(number: u128) -> u64 {
    number as u64
}

#[expect(clippy::cast_possible_truncation, reason = "the lowest sixteen bits are meant")]
const fn low_bits(number: u64) -> u16 {
    number as u16
}
