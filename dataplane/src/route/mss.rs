//! Clamps what ends of TCP connections say of the segments that they take to what fits through here, for ways on which nobody tells them.

#[cfg(test)]
mod tests;

use ravelin_config::types::{MssClamp, Protocol};

use super::{Hop, Link, Routes, Target};
use crate::{
    batch::Meta,
    forward::{Plan, fold, is_tcp_partial},
    parse::{Headers, Network, tcp_flags},
};

/// The longest segment that the sender of a packet may say that it takes, if it says so in this packet, and either interface wants it clamped.
#[inline]
pub(super) fn limit(routes: &Routes, plan: &Plan, link: &Link, meta: &Meta, hop: &Hop) -> Option<u16> {
    let headers = &meta.headers;
    let opens = headers.protocol == Protocol::TCP && headers.tcp.flags & tcp_flags::SYN != 0;
    if opens { limit_of_opening(routes, plan, link, meta, hop) } else { None }
}

#[inline(never)]
fn limit_of_opening(routes: &Routes, plan: &Plan, link: &Link, meta: &Meta, hop: &Hop) -> Option<u16> {
    let headers = &meta.headers;
    let clamps =
        [meta.port, hop.port].map(|port| plan.port(port).map_or(MssClamp::Off, |port| port.mss_clamp()));
    let of = |clamp| match clamp {
        MssClamp::Off => None,
        MssClamp::Path => Some(u16::MAX),
        MssClamp::Most(bytes) => Some(bytes),
    };
    let said = clamps.into_iter().filter_map(of).min()?;
    // The segments that it speaks of go the way back.
    let back = match routes.target(link.table, headers.source) {
        Some(Target::Hops(hops)) => hops.iter().map(|hop| hop.mtu).min(),
        Some(Target::Local | Target::Kernel | Target::Blackhole) | None => None,
    };
    // What is in front of a segment without options (RFC 6691).
    let before = if headers.network == Network::Ipv4 { 40 } else { 60 };
    let fits = back.map_or(hop.mtu, |back| back.min(hop.mtu)).saturating_sub(before);
    Some(said.min(u16::try_from(fits).unwrap_or(u16::MAX)))
}

/// Lowers what a packet says to `most`, and says whether it said more. A packet that says nothing stays as it is: then 536 bytes are meant, or 1220.
#[inline(never)]
pub(crate) fn clamp(frame: &mut [u8], headers: &Headers, most: u16) -> bool {
    const HEADER: usize = 20;
    let start = usize::from(headers.transport_offset);
    let end = usize::from(headers.payload_offset.min(headers.end));
    let is_partial = is_tcp_partial(frame, headers);
    let Some(header) = frame.get_mut(start..end) else { return false };
    let Some((fixed, options)) = header.split_first_chunk_mut::<HEADER>() else { return false };
    let mut sum = u64::from(!u16::from_be_bytes([fixed[16], fixed[17]]));
    let mut is_lowered = false;
    let (mut rest, mut at) = (options, 0_usize);
    while let Some(length) = option_length(rest) {
        let Some((option, behind)) = rest.split_at_mut_checked(length) else { break };
        if let [2, 4, high, low] = option {
            let said = u16::from_be_bytes([*high, *low]);
            if said > most {
                [*high, *low] = most.to_be_bytes();
                // RFC 1624; bytes that lie across two words of the sum count the other way round.
                let place = |value: u16| if at.is_multiple_of(2) { value } else { value.swap_bytes() };
                sum += u64::from(!place(said)) + u64::from(place(most));
                is_lowered = true;
            }
        }
        at += length;
        rest = behind;
    }
    if is_lowered && !is_partial {
        [fixed[16], fixed[17]] = (!fold(sum)).to_be_bytes();
    }
    is_lowered
}

/// The length of the first option; none if there is none, or nothing that makes sense.
fn option_length(options: &[u8]) -> Option<usize> {
    match options {
        [] | [0, ..] | [_] => None,
        [1, ..] => Some(1),
        [_, length, ..] => Some(usize::from(*length)).filter(|length| *length >= 2),
    }
}
