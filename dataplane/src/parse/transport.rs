//! Transport headers: TCP, UDP, ICMP, ICMPv6, SCTP. Any other protocol is payload without ports.
//!
//! A first fragment must hold the whole transport header, or no rule can judge its datagram: if it does not, that is
//! [`DropReason::FragmentTiny`] (RFC 1858, RFC 3128, RFC 7112).

use ravelin_config::types::Protocol;

use super::{
    cursor::Cursor,
    headers::{FragmentKind, Headers, Network, TcpFields},
    quote,
};
use crate::{batch::Meta, verdict::DropReason};

/// Length of a TCP header without options, RFC 9293.
pub(super) const TCP_HEADER: usize = 20;
/// Length of a UDP header, RFC 768.
const UDP_HEADER: usize = 8;
/// Length of what all ICMP and ICMPv6 messages have in common, RFC 792 and RFC 4443.
const ICMP_HEADER: usize = 8;
/// Length of the SCTP common header, RFC 9260.
pub(super) const SCTP_HEADER: usize = 12;

/// Decodes the transport header at the cursor, of a whole packet or a first fragment.
#[inline(always)]
pub(super) fn decode(cursor: Cursor<'_>, meta: &mut Meta) -> Result<(), DropReason> {
    let headers = &mut meta.headers;
    match (headers.protocol, headers.network) {
        (Protocol::TCP, _) => tcp(cursor, headers),
        (Protocol::UDP, _) => udp(cursor, headers),
        (Protocol::ICMP, Network::Ipv4) => icmp(cursor, meta),
        (Protocol::ICMPV6, Network::Ipv6) => icmpv6(cursor, meta),
        (Protocol::SCTP, _) => sctp(cursor, headers),
        _ => Ok(()),
    }
}

#[inline(always)]
fn tcp(mut cursor: Cursor<'_>, headers: &mut Headers) -> Result<(), DropReason> {
    let Some(&[s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, w0, w1, _, _, _, _]) =
        cursor.take::<TCP_HEADER>()
    else {
        return Err(cut_off(headers, DropReason::TcpTruncated));
    };
    let length = usize::from(offset >> 4) * 4;
    let options = length.checked_sub(TCP_HEADER).ok_or(DropReason::TcpDataOffset)?;
    if cursor.take_slice(options).is_none() {
        return Err(cut_off(headers, DropReason::TcpDataOffset));
    }
    headers.payload_offset = cursor.offset();
    headers.source_port = u16::from_be_bytes([s0, s1]);
    headers.destination_port = u16::from_be_bytes([d0, d1]);
    headers.tcp = TcpFields {
        flags,
        sequence: u32::from_be_bytes([q0, q1, q2, q3]),
        acknowledgement: u32::from_be_bytes([a0, a1, a2, a3]),
        window: u16::from_be_bytes([w0, w1]),
    };
    Ok(())
}

#[inline(always)]
fn udp(mut cursor: Cursor<'_>, headers: &mut Headers) -> Result<(), DropReason> {
    let available = cursor.remaining();
    let Some(&[s0, s1, d0, d1, l0, l1, _, _]) = cursor.take::<UDP_HEADER>() else {
        return Err(cut_off(headers, DropReason::UdpTruncated));
    };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    // The length is that of the whole datagram, most of which a first fragment leaves to the others.
    if length < UDP_HEADER || (length > available && headers.fragment.kind == FragmentKind::Whole) {
        return Err(DropReason::UdpLength);
    }
    headers.payload_offset = cursor.offset();
    headers.source_port = u16::from_be_bytes([s0, s1]);
    headers.destination_port = u16::from_be_bytes([d0, d1]);
    Ok(())
}

fn sctp(mut cursor: Cursor<'_>, headers: &mut Headers) -> Result<(), DropReason> {
    let Some(&[s0, s1, d0, d1, ..]) = cursor.take::<SCTP_HEADER>() else {
        return Err(cut_off(headers, DropReason::SctpTruncated));
    };
    headers.payload_offset = cursor.offset();
    headers.source_port = u16::from_be_bytes([s0, s1]);
    headers.destination_port = u16::from_be_bytes([d0, d1]);
    Ok(())
}

fn icmp(mut cursor: Cursor<'_>, meta: &mut Meta) -> Result<(), DropReason> {
    let Some(header) = cursor.take() else {
        return Err(cut_off(&meta.headers, DropReason::IcmpTruncated));
    };
    icmp_fields(&mut meta.headers, cursor, header, is_echo);
    // RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem.
    if matches!(header, [3 | 4 | 5 | 11 | 12, ..]) {
        relate(cursor, meta);
    }
    Ok(())
}

fn icmpv6(mut cursor: Cursor<'_>, meta: &mut Meta) -> Result<(), DropReason> {
    let Some(header) = cursor.take() else {
        return Err(cut_off(&meta.headers, DropReason::Icmpv6Truncated));
    };
    let headers = &mut meta.headers;
    icmp_fields(headers, cursor, header, is_echo_v6);
    match header {
        // RFC 4443: unreachable, packet too big, time exceeded, parameter problem.
        [1..=4, ..] => relate(cursor, meta),
        // RFC 4861: only a neighbour can send with hop limit 255; RFC 6980: never in fragments.
        [133..=137, ..] => {
            headers.neighbour_discovery = headers.ttl == 255 && headers.fragment.kind == FragmentKind::Whole;
        }
        _ => {}
    }
    Ok(())
}

fn icmp_fields(
    headers: &mut Headers,
    cursor: Cursor<'_>,
    &[kind, code, _, _, i0, i1, _, _]: &[u8; ICMP_HEADER],
    is_echo: fn(u8) -> bool,
) {
    headers.payload_offset = cursor.offset();
    headers.icmp = [kind, code];
    if is_echo(kind) {
        let id = u16::from_be_bytes([i0, i1]);
        headers.source_port = id;
        headers.destination_port = id;
    }
}

/// Relates an ICMP error to the flow of the packet that it quotes. The error travels against that packet, so it counts
/// as sent by the end that the packet was sent to, whichever router on the way wrote it.
///
/// Errors never come in fragments (RFC 792 and RFC 4443 keep them small); one that does is judged as plain ICMP, so that
/// its later fragments, which quote nothing, share its fate.
fn relate(cursor: Cursor<'_>, meta: &mut Meta) {
    if meta.headers.fragment.kind != FragmentKind::Whole {
        return;
    }
    if let Some((key, sender)) = quote::flow(cursor, &meta.headers) {
        meta.headers.icmp_error = true;
        meta.key = key;
        meta.side = sender.other();
    }
}

/// Whether an ICMP type is echo reply or request, RFC 792.
pub(super) fn is_echo(kind: u8) -> bool {
    matches!(kind, 0 | 8)
}

/// Whether an ICMPv6 type is echo request or reply, RFC 4443 section 4.
pub(super) fn is_echo_v6(kind: u8) -> bool {
    matches!(kind, 128 | 129)
}

/// The reason to drop a packet that ends inside its transport header.
#[cold]
fn cut_off(headers: &Headers, reason: DropReason) -> DropReason {
    match headers.fragment.kind {
        FragmentKind::First => DropReason::FragmentTiny,
        FragmentKind::Whole | FragmentKind::Later => reason,
    }
}
