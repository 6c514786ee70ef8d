//! Changes addresses and ports of a packet, and its checksums by as much (RFC 1624).

use ravelin_config::types::Protocol;

use super::Endpoint;
use crate::{
    forward::fold,
    parse::{FragmentKind, Headers},
    route::spend_hop,
};

/// What a packet leaves as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Translation {
    /// Whether the sender is known as something else than it is.
    pub(super) is_known: bool,
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
    /// Whether it is from the end that opened the flow.
    pub(super) from_initiator: bool,
}

impl Translation {
    /// The identifier of an echo: one stands for both ends, that of the end that asked.
    const fn identifier(&self) -> u16 {
        if self.from_initiator { self.source.port } else { self.destination.port }
    }
}

/// Where things are in an IPv4 header, RFC 791.
mod ip {
    pub(super) const TTL: usize = 8;
    pub(super) const CHECKSUM: usize = 10;
    pub(super) const SOURCE: usize = 12;
    pub(super) const DESTINATION: usize = 16;
    pub(super) const HEADER: usize = 20;
    /// By how much the sum changes with a hop less: the word of the hops, which begins with them, loses 0x0100.
    pub(super) const HOP: u64 = !0x0100_u16.to_be() as u64;
}

/// Has a packet say what it leaves as, and take one hop less if it is forwarded. `headers` are those that decode found, but for the addresses.
#[inline]
pub(crate) fn rewrite(frame: &mut [u8], headers: &Headers, to: &Translation, spends_hop: bool) {
    let network = usize::from(headers.network_offset);
    let transport = usize::from(headers.transport_offset);
    if headers.icmp_error {
        if spends_hop {
            spend_hop(frame, headers);
        }
        rewrite_error(frame, network, transport, to);
        return;
    }
    // Each header is found once: what is in it then needs no look at where the frame ends.
    let Some(header) = part::<{ ip::HEADER }>(frame, network) else { return };
    let mut of_addresses = Difference::default();
    of_addresses.put4(header, ip::SOURCE, to.source.address);
    of_addresses.put4(header, ip::DESTINATION, to.destination.address);
    let mut of_header = of_addresses;
    if spends_hop && let Some(left) = header[ip::TTL].checked_sub(1) {
        header[ip::TTL] = left;
        of_header.0 += ip::HOP;
    }
    of_header.apply(header, ip::CHECKSUM);
    if headers.fragment.kind == FragmentKind::Later {
        return;
    }
    let ports = u32::from(to.source.port) << 16 | u32::from(to.destination.port);
    let mut difference = of_addresses;
    match headers.protocol {
        Protocol::TCP => {
            if let Some(header) = part::<18>(frame, transport) {
                difference.put4(header, 0, ports);
                difference.apply(header, 16);
            } else if let Some(header) = part::<4>(frame, transport) {
                // The first of fragments may be as short.
                difference.put4(header, 0, ports);
            }
        }
        Protocol::UDP => {
            let Some(header) = part::<8>(frame, transport) else { return };
            difference.put4(header, 0, ports);
            difference.apply_udp(header, 6);
        }
        Protocol::ICMP if matches!(headers.icmp, [0 | 8, _]) => {
            let Some(header) = part::<8>(frame, transport) else { return };
            // There is no pseudo-header.
            let mut difference = Difference::default();
            difference.put2(header, 4, to.identifier());
            difference.apply(header, 2);
        }
        // Addresses are no part of the checksums of others.
        _ => {}
    }
}

/// So many bytes of a frame.
#[inline]
fn part<const LENGTH: usize>(frame: &mut [u8], at: usize) -> Option<&mut [u8; LENGTH]> {
    frame.get_mut(at..)?.first_chunk_mut()
}

/// An ICMP error: what it quotes is what its receiver sent, as that knows it, to the sender as the receiver knows it. Whoever wrote the
/// error, the receiver need not know of it what the sender is known as (RFC 5508 section 4.2).
#[inline(never)]
fn rewrite_error(frame: &mut [u8], network: usize, transport: usize, to: &Translation) {
    let mut outer = Difference::default();
    if to.is_known {
        outer.put4(frame, network + ip::SOURCE, to.source.address);
    }
    outer.put4(frame, network + ip::DESTINATION, to.destination.address);
    outer.apply(frame, network + ip::CHECKSUM);

    let quoted = transport + 8;
    let Some(&[first, _, _, _, _, _, _, _, _, protocol]) = frame.get(quoted..).and_then(<[u8]>::first_chunk)
    else {
        return;
    };
    let mut addresses = Difference::default();
    addresses.put4(frame, quoted + ip::SOURCE, to.destination.address);
    addresses.put4(frame, quoted + ip::DESTINATION, to.source.address);
    // The ICMP checksum covers the quote, in which the header's own checksum makes good what changes of the addresses.
    addresses.apply(frame, quoted + ip::CHECKSUM);
    let mut changed = Difference::default();
    let inner = quoted + usize::from(first & 0x0f) * 4;
    match Protocol(protocol) {
        Protocol::TCP | Protocol::UDP => {
            changed.put2(frame, inner, to.destination.port);
            changed.put2(frame, inner + 2, to.source.port);
        }
        Protocol::ICMP => changed.put2(frame, inner + 4, to.identifier()),
        _ => {}
    }
    changed.apply(frame, transport + 2);
}

/// By how much the sum over some words has changed. Words are summed as the frame has them, in the order of bytes of the machine:
/// that gives the same checksum (RFC 1071 section 2).
#[derive(Clone, Copy, Debug, Default)]
struct Difference(u64);

impl Difference {
    /// Writes two bytes of a frame.
    #[inline]
    fn put2(&mut self, frame: &mut [u8], at: usize, new: u16) {
        if let Some(place) = frame.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<2>) {
            let new = new.to_be();
            self.0 += u64::from(!u16::from_ne_bytes(*place)) + u64::from(new);
            *place = new.to_ne_bytes();
        }
    }

    /// Writes four bytes of a frame.
    #[inline]
    fn put4(&mut self, frame: &mut [u8], at: usize, new: u32) {
        if let Some(place) = frame.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) {
            let new = new.to_be();
            // Words of 32 bits fold to the same sum.
            self.0 += u64::from(!u32::from_ne_bytes(*place)) + u64::from(new);
            *place = new.to_ne_bytes();
        }
    }

    /// Changes the checksum at a place.
    #[inline]
    fn apply(self, frame: &mut [u8], at: usize) {
        if let Some(place) = frame.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<2>) {
            *place = self.of(*place).to_ne_bytes();
        }
    }

    /// The same for UDP, where zero says that there is none (RFC 768).
    #[inline]
    fn apply_udp(self, frame: &mut [u8], at: usize) {
        if let Some(place) = frame.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<2>)
            && *place != [0; 2]
        {
            let sum = self.of(*place);
            *place = if sum == 0 { u16::MAX } else { sum }.to_ne_bytes();
        }
    }

    #[inline]
    const fn of(self, old: [u8; 2]) -> u16 {
        !fold((!u16::from_ne_bytes(old)) as u64 + self.0)
    }
}
