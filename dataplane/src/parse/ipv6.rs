//! IPv6 and its extension headers, RFC 8200.

use ravelin_config::types::Protocol;

use super::{
    cursor::Cursor,
    headers::{Address, Network},
    ip,
};
use crate::{batch::Meta, verdict::DropReason};

/// Length of the fixed header.
pub(super) const HEADER: usize = 40;

/// How many extension headers are followed.
const DEPTH: usize = 8;

/// Extension headers, by their IANA protocol number.
mod extension {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    /// Authentication header, RFC 4302.
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION: u8 = 60;
    /// Mobility header, RFC 6275.
    pub(super) const MOBILITY: u8 = 135;
}

/// Decodes an IPv6 packet and what it carries. Inlined like IPv4.
#[inline(always)]
pub(super) fn decode(mut cursor: Cursor<'_>, meta: &mut Meta) -> Result<(), DropReason> {
    let headers = &mut meta.headers;
    headers.network = Network::Ipv6;
    let Some(&[first, _, _, _, l0, l1, next, hop_limit, ref addresses @ ..]) = cursor.take::<HEADER>() else {
        return Err(DropReason::Ipv6Truncated);
    };
    if first >> 4 != 6 {
        return Err(DropReason::Ipv6Version);
    }
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    // Length zero before a hop-by-hop header announces a jumbogram, RFC 2675, which no frame here can hold.
    if length == 0 && next == extension::HOP_BY_HOP {
        return Err(DropReason::Ipv6PayloadLength);
    }
    cursor.truncate(length).ok_or(DropReason::Ipv6PayloadLength)?;

    headers.end = cursor.end();
    headers.ttl = hop_limit;
    [headers.source, headers.destination] = ends(addresses).ok_or(DropReason::Ipv6Mapped)?;
    headers.protocol = Protocol(next);
    if is_extension(next) {
        follow(&mut cursor, meta, length)?;
    }
    meta.headers.transport_offset = cursor.offset();
    meta.headers.payload_offset = cursor.offset();
    ip::payload(cursor, meta)
}

/// Source and destination. None if one of them is an IPv4-mapped address: to everything behind this it would be that IPv4 address.
#[inline]
pub(super) fn ends(addresses: &[u8; 32]) -> Option<[Address; 2]> {
    let (halves, _) = addresses.as_chunks::<16>();
    let &[source, destination] = halves else { return None };
    let ends = [Address(source), Address(destination)];
    ends.iter().all(|end| !end.is_v4()).then_some(ends)
}

/// Follows the extension headers of a packet whose payload has `length` bytes.
#[inline(never)]
fn follow(cursor: &mut Cursor<'_>, meta: &mut Meta, length: usize) -> Result<(), DropReason> {
    let headers = &mut meta.headers;
    let mut chain = Chain::new(headers.protocol);
    loop {
        match chain.step(cursor)? {
            Step::Extension => {}
            Step::Fragment(Place { id, offset, more }) => {
                let before = length.saturating_sub(cursor.remaining() + FRAGMENT_HEADER);
                headers.fragment = ip::fragment(id, offset, cursor.remaining(), more, before)?;
            }
            Step::End => break,
        }
    }
    headers.protocol = chain.next;
    Ok(())
}

const FRAGMENT_HEADER: usize = 8;

/// A walk along the extension headers.
#[derive(Debug)]
pub(super) struct Chain {
    /// The protocol of what the cursor stands at.
    pub(super) next: Protocol,
    steps: usize,
    is_fragment_seen: bool,
    fragment: Option<Place>,
}

/// One step of a [`Chain`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Over an extension header that matters to nobody here.
    Extension,
    /// Over the fragment header of a packet that is a fragment.
    Fragment(Place),
    /// None: here the transport header starts, or a later fragment's payload.
    End,
}

/// The place that a fragment header gives: identification, offset in bytes, and whether more follow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) id: u32,
    pub(super) offset: u32,
    pub(super) more: bool,
}

impl Chain {
    pub(super) const fn new(next: Protocol) -> Self {
        Self { next, steps: 0, is_fragment_seen: false, fragment: None }
    }

    /// Steps over one extension header.
    pub(super) fn step(&mut self, cursor: &mut Cursor<'_>) -> Result<Step, DropReason> {
        let kind = self.next.0;
        if !is_extension(kind) || self.fragment.is_some_and(|place| place.offset != 0) {
            return Ok(Step::End);
        }
        if self.steps == DEPTH {
            return Err(DropReason::Ipv6ExtensionDepth);
        }
        // RFC 8200 section 4.1: hop-by-hop options come first or not at all, and a packet has one fragment header.
        if (kind == extension::HOP_BY_HOP && self.steps > 0)
            || (kind == extension::FRAGMENT && self.is_fragment_seen)
        {
            return Err(DropReason::Ipv6Extension);
        }
        self.steps += 1;
        let cut_off = match self.fragment {
            // RFC 7112: a first fragment holds the whole chain of headers.
            Some(_) => DropReason::FragmentTiny,
            None => DropReason::Ipv6Extension,
        };

        if kind == extension::FRAGMENT {
            let &[next, _, o0, o1, i0, i1, i2, i3] = cursor.take::<FRAGMENT_HEADER>().ok_or(cut_off)?;
            let field = u16::from_be_bytes([o0, o1]);
            let (offset, more) = (u32::from(field & 0xfff8), field & 1 != 0);
            self.next = Protocol(next);
            self.is_fragment_seen = true;
            if offset == 0 && !more {
                // An atomic fragment is a whole datagram, RFC 6946.
                return Ok(Step::Extension);
            }
            let place = Place { id: u32::from_be_bytes([i0, i1, i2, i3]), offset, more };
            self.fragment = Some(place);
            return Ok(Step::Fragment(place));
        }
        let &[next, units] = cursor.take().ok_or(cut_off)?;
        let units = usize::from(units);
        let length = match kind {
            // RFC 4302 section 2.2: in units of 4 bytes less 2; the shortest has 12 bytes.
            extension::AUTHENTICATION if units == 0 => return Err(DropReason::Ipv6Extension),
            extension::AUTHENTICATION => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        cursor.take_slice(length - 2).ok_or(cut_off)?;
        self.next = Protocol(next);
        Ok(Step::Extension)
    }
}

#[inline(always)]
const fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        extension::HOP_BY_HOP
            | extension::ROUTING
            | extension::FRAGMENT
            | extension::AUTHENTICATION
            | extension::DESTINATION
            | extension::MOBILITY
    )
}
