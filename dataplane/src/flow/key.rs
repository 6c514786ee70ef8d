use std::net::IpAddr;

use ravelin_config::types::Protocol;

use crate::{
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

/// A flow's name: both ends, the protocol and the VLAN tags, normalised so that both directions have the same key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey {
    low: Address,
    high: Address,
    low_port: u16,
    high_port: u16,
    protocol: u8,
    /// Two 12-bit VLAN identifiers, packed.
    vlans: [u8; 3],
}

impl FlowKey {
    /// No flow's key.
    pub(super) const NOBODY: Self = Self {
        low: Address([0; 16]),
        high: Address([0; 16]),
        low_port: 0,
        high_port: 0,
        protocol: 0,
        vlans: [0; 3],
    };

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
        let (low, high, side) = if source <= destination {
            (source, destination, Side::Low)
        } else {
            (destination, source, Side::High)
        };
        let [outer, inner] = vlans.ids;
        let [outer_high, outer_low] = outer.to_be_bytes();
        let [inner_high, inner_low] = inner.to_be_bytes();
        // Tag 0 is priority-only (802.1Q 9.6); it shares the key of the untagged frame on purpose.
        let vlans = [outer_low, (outer_high & 0x0f) | (inner_high << 4), inner_low];
        let key = Self {
            low: low.0,
            high: high.0,
            low_port: low.1,
            high_port: high.1,
            protocol: protocol.0,
            vlans,
        };
        (key, side)
    }

    /// The flow's hash, the same for both directions.
    pub fn hash(&self, hasher: &FlowHasher) -> u64 {
        let low = u128::from_ne_bytes(self.low.0);
        let high = u128::from_ne_bytes(self.high.0);
        let [a, b, c] = self.vlans;
        let rest = (u64::from(self.low_port) << 48)
            | (u64::from(self.high_port) << 32)
            | (u64::from(self.protocol) << 24)
            | (u64::from(a) << 16)
            | (u64::from(b) << 8)
            | u64::from(c);
        let words = [low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64, rest];
        hasher.hash(&words)
    }

    /// Address and port of one end.
    pub fn end(&self, side: Side) -> (IpAddr, u16) {
        match side {
            Side::Low => (self.low.ip(), self.low_port),
            Side::High => (self.high.ip(), self.high_port),
        }
    }

    /// The transport protocol.
    pub const fn protocol(&self) -> Protocol {
        Protocol(self.protocol)
    }

    /// The VLAN identifiers, outermost first; zero where there is none.
    pub fn vlans(&self) -> [u16; 2] {
        let [a, b, c] = self.vlans;
        [u16::from_be_bytes([b & 0x0f, a]), u16::from_be_bytes([b >> 4, c])]
    }
}
