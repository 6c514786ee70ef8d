//! Partial checksums. A local stack that counts on checksum offload leaves the pseudo-header sum, folded but not
//! inverted, in the checksum field (`CHECKSUM_PARTIAL` in the kernel's `skbuff.h`). On a virtual link nobody completes
//! it, so a forwarder that reads bytes must, or the receiver drops the packet.
//!
//! A field that equals the pseudo-header sum by chance belongs to a correct checksum once in 65536 packets; completing
//! it then computes the same value again. Completing is therefore always safe, except that it would repair a packet
//! whose checksum was wrong on the wire in exactly that way.

use ravelin_config::types::Protocol;

use crate::parse::{FragmentKind, Headers, Network};

/// Completes the packet's TCP or UDP checksum if it is partial, and says whether it was. The packet is unchanged otherwise.
pub fn complete(bytes: &mut [u8], headers: &Headers) -> bool {
    if !headers.is_ip() || headers.fragment.kind != FragmentKind::Whole {
        return false;
    }
    let field = match headers.protocol {
        Protocol::TCP => 16,
        Protocol::UDP => 6,
        _ => return false,
    };
    let (start, end) = (usize::from(headers.transport_offset), usize::from(headers.end));
    let Some(segment) = bytes.get_mut(start..end) else { return false };
    let Some(stored) =
        segment.get(field..).and_then(|rest| rest.first_chunk()).copied().map(u16::from_be_bytes)
    else {
        return false;
    };
    let pseudo = pseudo_header_sum(headers, segment.len());
    if stored != fold(pseudo) {
        return false;
    }
    // The field holds the pseudo-header's sum already, so the sum over the segment covers both.
    let sum = !fold(sum(segment));
    // RFC 768: a UDP checksum that computes to zero is sent as all ones; for TCP the two are equivalent.
    let sum = if sum == 0 && headers.protocol == Protocol::UDP { 0xffff } else { sum };
    if let Some(pair) = segment.get_mut(field..field + 2) {
        pair.copy_from_slice(&sum.to_be_bytes());
    }
    true
}

/// The sum over the pseudo-header, RFC 9293 section 3.1 and RFC 8200 section 8.1.
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

/// Folds a sum to 16 bits with end-around carry, RFC 1071.
pub const fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // The loop leaves at most 16 bits.
    sum as u16
}
