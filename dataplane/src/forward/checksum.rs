//! Partial checksums. A local stack that counts on checksum offload leaves the pseudo-header sum, folded but not
//! inverted, in the checksum field (`CHECKSUM_PARTIAL` in the kernel's `skbuff.h`), or zero where there is no
//! pseudo-header (SCTP, GRE). On a virtual link nobody completes it, so a forwarder that reads bytes must, or the
//! receiver drops the packet.
//!
//! A field that looks partial by chance belongs to a correct checksum once in 65536 packets, and is left as it is.
//! Completing is therefore always safe, except that it repairs a packet whose checksum was wrong on the wire in exactly
//! that way.
//!
//! In a tunnel it is the checksum inside that is partial, and the outer one, if there is one, is right for the packet as it
//! will be (local checksum offload): so it has to agree, or the packet is left alone. Why all this is so:
//! `docs/adr/0007-partial-checksums.md`.

use std::ops::Range;

use ravelin_config::types::Protocol;

use crate::parse::{FragmentKind, Headers, Network, tunnel};

/// Completes the packet's partial checksums, in a tunnel also that of the packet inside, and says whether there were any.
/// The packet is unchanged otherwise.
pub fn complete(bytes: &mut [u8], headers: &Headers) -> bool {
    if !is_whole(headers) {
        return false;
    }
    let field = match headers.protocol {
        Protocol::TCP => Sum::TCP,
        Protocol::UDP if !tunnel::is_tunnel(headers) => Sum::UDP,
        _ => return complete_other(bytes, headers),
    };
    Sum::find(bytes, headers, field).is_some_and(|sum| sum.complete(bytes))
}

/// Whether the packet's TCP checksum is partial: then it covers no byte of the packet yet.
pub(crate) fn is_tcp_partial(bytes: &[u8], headers: &Headers) -> bool {
    if !is_whole(headers) {
        return false;
    }
    let Some(found) = Sum::find(bytes, headers, Sum::TCP) else { return false };
    let covered = bytes.get(found.start..found.end).unwrap_or_default();
    found.is_partial() && !is_right(found.pseudo + sum(covered))
}

/// Completes what is neither TCP nor plain UDP, out of their way.
#[inline(never)]
fn complete_other(bytes: &mut [u8], headers: &Headers) -> bool {
    match headers.protocol {
        Protocol::SCTP => complete_crc(bytes, headers),
        _ if tunnel::is_tunnel(headers) => complete_tunnel(bytes, headers),
        _ => false,
    }
}

/// Whether the packet is one of IP and no fragment. A stack completes checksums before it makes fragments.
fn is_whole(headers: &Headers) -> bool {
    headers.is_ip() && headers.fragment.kind == FragmentKind::Whole
}

/// Completes the checksum of the packet in a tunnel, and that of the tunnel.
#[inline(never)]
fn complete_tunnel(bytes: &mut [u8], headers: &Headers) -> bool {
    let outer = match headers.protocol {
        // Zero is no checksum.
        Protocol::UDP => Sum::find(bytes, headers, Sum::UDP).filter(|outer| outer.stored != 0),
        _ if tunnel::has_gre_checksum(bytes, headers) => {
            Sum::find(bytes, headers, Sum::GRE).map(|outer| Sum { pseudo: 0, ..outer })
        }
        _ => None,
    };
    // The packet inside comes first: the outer checksum covers it.
    let is_inner_completed = tunnel::inner(bytes, headers)
        .is_some_and(|inner| is_whole(&inner) && complete_inner(bytes, &inner, outer));
    let is_outer_completed = outer.is_some_and(|outer| outer.complete(bytes));
    is_inner_completed || is_outer_completed
}

/// Completes the checksum of a packet in a tunnel whose checksum is `outer`, unless that would make `outer` wrong.
fn complete_inner(bytes: &mut [u8], inner: &Headers, outer: Option<Sum>) -> bool {
    // What is partial itself will be made right for whatever the packet inside has become.
    let outer = outer.filter(|outer| !outer.is_partial());
    let field = match inner.protocol {
        Protocol::TCP => Sum::TCP,
        Protocol::UDP => Sum::UDP,
        // No stack can compute an outer checksum without computing the CRC that it covers.
        Protocol::SCTP => return outer.is_none() && complete_crc(bytes, inner),
        _ => return false,
    };
    let Some(sum) = Sum::find(bytes, inner, field) else { return false };
    sum.is_partial() && outer.is_none_or(|outer| outer.awaits(&sum, bytes)) && sum.complete(bytes)
}

/// Completes an SCTP checksum, CRC32c over the whole of the packet (RFC 9260 section 6.8), if there is only the zero that it
/// is computed with.
#[inline(never)]
fn complete_crc(bytes: &mut [u8], headers: &Headers) -> bool {
    const FIELD: Range<usize> = 8..12;
    let covered = usize::from(headers.transport_offset)..usize::from(headers.end);
    let Some(packet) = bytes.get_mut(covered) else { return false };
    if packet.get(FIELD) != Some(&[0; 4]) {
        return false;
    }
    let crc = crc32c::crc32c(packet);
    if let Some(field) = packet.get_mut(FIELD) {
        field.copy_from_slice(&crc.to_le_bytes());
    }
    crc != 0
}

/// A checksum found in a packet that is a sum of 16-bit words, RFC 1071.
#[derive(Clone, Copy, Debug)]
struct Sum {
    /// The first byte that it covers.
    start: usize,
    /// What is behind the last one.
    end: usize,
    /// Its place behind `start`.
    field: usize,
    /// What the packet says.
    stored: u16,
    /// What it covers besides: the sum of the pseudo-header.
    pseudo: u64,
}

impl Sum {
    /// The place of TCP's, RFC 9293.
    const TCP: usize = 16;
    /// The place of UDP's, RFC 768.
    const UDP: usize = 6;
    /// The place of GRE's, RFC 2784.
    const GRE: usize = 4;

    /// That of a transport header, at this place.
    #[inline(always)]
    fn find(bytes: &[u8], headers: &Headers, field: usize) -> Option<Self> {
        let (start, end) = (usize::from(headers.transport_offset), usize::from(headers.end));
        let covered = bytes.get(start..end)?;
        let stored = u16::from_be_bytes(*covered.get(field..)?.first_chunk()?);
        Some(Self { start, end, field, stored, pseudo: pseudo_header_sum(headers, covered.len()) })
    }

    /// Whether the packet says what a stack leaves to be completed.
    #[inline(always)]
    const fn is_partial(&self) -> bool {
        self.stored == fold(self.pseudo)
    }

    /// Whether this checksum, which covers `inner`'s packet, will be right once `inner` is completed. What a right checksum
    /// covers, itself included, sums up to the inverse of its pseudo-header, whatever the payload: so it is enough to look at
    /// the headers. This is how the kernel computes it (`lco_csum`).
    fn awaits(&self, inner: &Self, bytes: &[u8]) -> bool {
        let Some(headers) = bytes.get(self.start..inner.start) else { return false };
        is_right(self.pseudo + sum(headers) + u64::from(!fold(inner.pseudo)))
    }

    /// Completes the checksum if it is partial, and says whether it was.
    #[inline(always)]
    fn complete(&self, bytes: &mut [u8]) -> bool {
        self.is_partial()
            && bytes
                .get_mut(self.start..self.end)
                .is_some_and(|covered| compute(covered, self.field, self.pseudo))
    }
}

/// Computes a checksum that looks partial; says whether it is, and not what the right one happens to be.
#[inline(never)]
fn compute(covered: &mut [u8], field: usize, pseudo: u64) -> bool {
    let sum = sum(covered);
    if is_right(pseudo + sum) {
        return false;
    }
    // The field holds the pseudo-header's sum already, so the sum over the packet covers both.
    let checksum = match !fold(sum) {
        // RFC 768: a UDP checksum of zero is sent as all ones; elsewhere the two are equivalent, and the kernel does it too.
        0 => 0xffff,
        checksum => checksum,
    };
    if let Some(field) = covered.get_mut(field..).and_then(|rest| rest.first_chunk_mut()) {
        *field = checksum.to_be_bytes();
    }
    true
}

/// Whether a sum that includes the checksum is what it must be.
const fn is_right(sum: u64) -> bool {
    fold(sum) == 0xffff
}

/// The sum over the pseudo-header, RFC 9293 section 3.1 and RFC 8200 section 8.1.
#[inline(always)]
fn pseudo_header_sum(headers: &Headers, length: usize) -> u64 {
    let addresses = match headers.network {
        Network::Ipv4 => tail(&headers.source.0) + tail(&headers.destination.0),
        Network::Ipv6 | Network::Arp | Network::Lldp | Network::Stp | Network::Other => {
            sum(&headers.source.0) + sum(&headers.destination.0)
        }
    };
    addresses + u64::from(headers.protocol.0) + length as u64
}

/// The sum over an IPv4 address in its mapped form.
fn tail(address: &[u8; 16]) -> u64 {
    let [.., a, b, c, d] = *address;
    u64::from(u16::from_be_bytes([a, b])) + u64::from(u16::from_be_bytes([c, d]))
}

/// The unfolded ones' complement sum of `bytes` as big-endian 16-bit words, RFC 1071.
pub fn sum(bytes: &[u8]) -> u64 {
    let mut total = 0_u64;
    let (quads, rest) = bytes.as_chunks::<4>();
    // Four bytes at a time: 32-bit words fold to the same 16-bit sum, and the loop vectorises.
    for quad in quads {
        total += u64::from(u32::from_be_bytes(*quad));
    }
    let (pairs, odd) = rest.as_chunks::<2>();
    for pair in pairs {
        total += u64::from(u16::from_be_bytes(*pair));
    }
    if let [last] = odd {
        total += u64::from(u16::from_be_bytes([*last, 0]));
    }
    total
}

/// Folds a sum to 16 bits with end-around carry, RFC 1071. To add a number to itself with its halves exchanged leaves in the
/// upper half the sum of the halves with its carry.
pub const fn fold(sum: u64) -> u16 {
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}
