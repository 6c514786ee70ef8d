//! IPv4, RFC 791.

use ravelin_config::types::Protocol;

use super::{
    cursor::Cursor,
    headers::{Address, Network},
    ip,
};
use crate::{batch::Meta, verdict::DropReason};

/// Length of a header without options.
pub(super) const HEADER: usize = 20;

/// Decodes an IPv4 packet and what it carries. Always inlined: a second caller, for what is in tunnels, would otherwise cost
/// the first one a call.
#[inline(always)]
pub(super) fn decode(mut cursor: Cursor<'_>, meta: &mut Meta) -> Result<(), DropReason> {
    let headers = &mut meta.headers;
    headers.network = Network::Ipv4;
    let frame = cursor.remaining();
    let Some(header) = cursor.take::<HEADER>() else {
        return Err(DropReason::Ipv4Truncated);
    };
    let &[first, _, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, ref addresses @ ..] = header;
    if first >> 4 != 4 {
        return Err(DropReason::Ipv4Version);
    }
    let header_length = usize::from(first & 0x0f) * 4;
    let Some(options) = header_length.checked_sub(HEADER).and_then(|length| cursor.take_slice(length)) else {
        return Err(DropReason::Ipv4HeaderLength);
    };
    let total_length = usize::from(u16::from_be_bytes([l0, l1]));
    if total_length > frame {
        return Err(DropReason::Ipv4TotalLength);
    }
    let payload = total_length.checked_sub(header_length).ok_or(DropReason::Ipv4TotalLength)?;
    cursor.truncate(payload).ok_or(DropReason::Ipv4TotalLength)?;
    if !is_intact(header, options) {
        return Err(DropReason::Ipv4Checksum);
    }

    headers.transport_offset = cursor.offset();
    headers.payload_offset = cursor.offset();
    headers.end = cursor.end();
    let (halves, _) = addresses.as_chunks::<4>();
    if let [source, destination] = halves {
        headers.source = Address::v4(*source);
        headers.destination = Address::v4(*destination);
    }
    headers.protocol = Protocol(protocol);
    headers.ttl = ttl;

    let flags = u16::from_be_bytes([f0, f1]);
    headers.dont_fragment = flags & 0x4000 != 0;
    let (offset, more) = (u32::from(flags & 0x1fff) * 8, flags & 0x2000 != 0);
    if offset != 0 || more {
        let id = u32::from(u16::from_be_bytes([i0, i1]));
        headers.fragment = ip::fragment(id, offset, payload, more, header_length)?;
    }
    ip::payload(cursor, meta)
}

/// Whether the one's complement sum over the header, its checksum included, is all ones, as it must be.
#[inline(always)]
fn is_intact(header: &[u8; HEADER], options: &[u8]) -> bool {
    // Words of any width and byte order have the same sum modulo 65535, which is what adding the carries back computes
    // (RFC 1071). The version makes sure that the sum is not zero itself.
    let mut sum = sum(header);
    if !options.is_empty() {
        sum += self::sum(options);
    }
    sum.is_multiple_of(0xffff)
}

#[inline(always)]
fn sum(bytes: &[u8]) -> u64 {
    bytes.as_chunks::<4>().0.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum()
}
