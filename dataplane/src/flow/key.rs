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
///
/// ICMP and ICMPv6 have no ports: the identifier stands for that of the low end, and type and code of the request, with which end
/// it is that asks, for that of the high one. So a message never passes as part of a flow of messages of another kind, and a
/// ping one way is another flow than one the other way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowKey([u64; 5]);

impl FlowKey {
    /// The key of a packet that has none.
    pub(crate) const EMPTY: Self = Self([0; 5]);

    /// No flow's key: its ends are in the wrong order.
    pub(super) const NOBODY: Self = Self([u64::MAX, u64::MAX, 0, 0, 0]);

    /// The key of a packet and the end that sent it.
    #[inline]
    pub fn of(headers: &Headers) -> (Self, Side) {
        Self::with_icmp(
            (headers.source, headers.source_port),
            (headers.destination, headers.destination_port),
            headers.protocol,
            headers.vlans,
            headers.icmp,
        )
    }

    /// The key of what passes between `source` and `destination`, and which end `source` is. For ICMP and ICMPv6, of an echo
    /// request and its answer.
    pub fn new(
        source: (Address, u16),
        destination: (Address, u16),
        protocol: Protocol,
        vlans: Vlans,
    ) -> (Self, Side) {
        let echo = if protocol == Protocol::ICMPV6 { [128, 0] } else { [8, 0] };
        Self::with_icmp(source, destination, protocol, vlans, echo)
    }

    /// The same; for ICMP and ICMPv6, `icmp` is type and code of a message from `source`.
    #[inline]
    pub(crate) fn with_icmp(
        source: (Address, u16),
        destination: (Address, u16),
        protocol: Protocol,
        vlans: Vlans,
        icmp: [u8; 2],
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
        let rest = if is_icmp(protocol) { exchanged(rest, protocol, icmp, side) } else { rest };
        let ([low_first, low_last], [high_first, high_last]) = (low.0, high.0);
        (Self([low_first, low_last, high_first, high_last, rest]), side)
    }

    /// Whether this is the same key. Said so because what the compiler makes of `==` is a call, for every packet.
    #[inline]
    pub(super) const fn is(&self, other: &Self) -> bool {
        let ([a, b, c, d, e], [v, w, x, y, z]) = (self.0, other.0);
        (a ^ v) | (b ^ w) | (c ^ x) | (d ^ y) | (e ^ z) == 0
    }

    /// The hash of the flow on `segment`, the same for both directions.
    pub fn hash(&self, segment: Segment, hasher: &FlowHasher) -> u64 {
        let [a, b, c, d, e] = self.0;
        hasher.hash(&[a, b, c, d, e, u64::from(segment.number())])
    }

    /// Address and port of one end; for ICMP and ICMPv6, the identifier at both.
    pub fn end(&self, side: Side) -> (IpAddr, u16) {
        let ([first, last], port) = self.words(side);
        let address = Address((u128::from(first) << 64 | u128::from(last)).to_be_bytes());
        (address.ip(), port)
    }

    /// The same of an end that has an IPv4 address, which is given as a number.
    #[inline]
    pub(crate) fn end_v4(&self, side: Side) -> Option<(u32, u16)> {
        const MAPPED: u64 = 0xffff << 32;
        let ([first, last], port) = self.words(side);
        let address = u32::try_from(last ^ MAPPED).ok().filter(|_| first == 0)?;
        Some((address, port))
    }

    /// The address of one end as words, and its port.
    #[inline]
    fn words(&self, side: Side) -> ([u64; 2], u16) {
        let [low_first, low_last, high_first, high_last, rest] = self.0;
        let (address, shift) = match side {
            Side::Low => ([low_first, low_last], 48),
            Side::High if is_icmp(self.protocol()) => ([high_first, high_last], 48),
            Side::High => ([high_first, high_last], 32),
        };
        (address, low_bits(rest >> shift))
    }

    /// The key with another endpoint in the place of one end, and which end that is now.
    pub(crate) fn with_end(&self, side: Side, (address, port): (Address, u16)) -> (Self, Side) {
        let (other, other_port) = self.end(side.other());
        let other_port = if is_icmp(self.protocol()) { port } else { other_port };
        let vlans = Vlans { count: 0, ids: self.vlans() };
        let icmp = self.icmp(side);
        Self::with_icmp((address, port), (other.into(), other_port), self.protocol(), vlans, icmp)
    }

    /// The transport protocol.
    pub const fn protocol(&self) -> Protocol {
        let [.., rest] = self.0;
        let [_, _, _, _, protocol, ..] = rest.to_be_bytes();
        Protocol(protocol)
    }

    /// For ICMP and ICMPv6, type and code of what one end sends; else nothing that means anything.
    pub fn icmp(&self, sender: Side) -> [u8; 2] {
        let [.., rest] = self.0;
        let [kind, code] = low_bits(rest >> 32).to_be_bytes();
        let asks = sender == asking(code);
        let kind = if asks { kind } else { answer_to(self.protocol(), kind) };
        [kind, code & CODE]
    }

    /// For ICMP and ICMPv6, the end that asks.
    pub(super) fn asking(&self) -> Option<Side> {
        let [.., rest] = self.0;
        let [_, code] = low_bits(rest >> 32).to_be_bytes();
        is_icmp(self.protocol()).then_some(asking(code))
    }

    /// The VLAN identifiers, outermost first; zero where there is none.
    pub fn vlans(&self) -> [u16; 2] {
        let [.., rest] = self.0;
        [low_bits(rest >> 12) & 0x0fff, low_bits(rest) & 0x0fff]
    }
}

/// The bit of an ICMP code that says which end asks, and the others. No code beyond 16 has been assigned; those that do not fit
/// are one.
const ASKED_BY_HIGH: u8 = 0x80;
const CODE: u8 = !ASKED_BY_HIGH;

const fn is_icmp(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::ICMP | Protocol::ICMPV6)
}

fn asking(code: u8) -> Side {
    if code & ASKED_BY_HIGH == 0 { Side::Low } else { Side::High }
}

/// The last word of a key, with what stands there for messages of `icmp` type and code from `sender`, and their answers.
#[cold]
fn exchanged(rest: u64, protocol: Protocol, [kind, code]: [u8; 2], sender: Side) -> u64 {
    let (kind, asking) = match answered_by(protocol, kind) {
        Some(request) => (request, sender.other()),
        None => (kind, sender),
    };
    let direction = match asking {
        Side::Low => 0,
        Side::High => ASKED_BY_HIGH,
    };
    let exchange = u16::from_be_bytes([kind, direction | code.min(CODE)]);
    (rest & !(0xffff << 32)) | u64::from(exchange) << 32
}

/// Pairs of request and answer: echo, router discovery, timestamp, information, mask (RFC 792, RFC 950, RFC 1256).
const ICMP: [[u8; 2]; 5] = [[8, 0], [10, 9], [13, 14], [15, 16], [17, 18]];
/// Echo, router and neighbour discovery, node information (RFC 4443, RFC 4861, RFC 4620).
const ICMPV6: [[u8; 2]; 4] = [[128, 129], [133, 134], [135, 136], [139, 140]];

fn pairs(protocol: Protocol) -> &'static [[u8; 2]] {
    match protocol {
        Protocol::ICMP => &ICMP,
        Protocol::ICMPV6 => &ICMPV6,
        _ => &[],
    }
}

/// The type of request that a message of type `kind` answers.
fn answered_by(protocol: Protocol, kind: u8) -> Option<u8> {
    pairs(protocol).iter().find_map(|&[request, answer]| (answer == kind).then_some(request))
}

/// The type of the answer to a request of type `kind`; the same if there is none.
fn answer_to(protocol: Protocol, kind: u8) -> u8 {
    pairs(protocol).iter().find_map(|&[request, answer]| (request == kind).then_some(answer)).unwrap_or(kind)
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
