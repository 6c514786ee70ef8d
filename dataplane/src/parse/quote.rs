//! The packet that an ICMP error quotes: RFC 792 promises its IP header and 8 bytes, RFC 4443 as much as fits.
//!
//! Read far enough for its flow key and no further. Lengths and checksums are not checked: the quote is cut off, and
//! routers have changed it on the way.

use ravelin_config::types::Protocol;

use super::{
    cursor::Cursor,
    headers::{Address, Headers, Network},
    ipv4,
    ipv6::{self, Chain, Step},
    transport::{is_echo, is_echo_v6},
};
use crate::flow::{FlowKey, Side};

/// The flow of the packet quoted at the cursor and the end that sent that packet. `None` if the quote ends too early, is
/// not of the error's own IP version, or is a later fragment.
pub(super) fn flow(mut cursor: Cursor<'_>, error: &Headers) -> Option<(FlowKey, Side)> {
    let (source, destination, protocol) = match error.network {
        Network::Ipv4 => addresses_v4(&mut cursor)?,
        Network::Ipv6 => addresses_v6(&mut cursor)?,
        Network::Arp | Network::Lldp | Network::Stp | Network::Other => return None,
    };
    let Transport { source_port, destination_port, icmp } = transport(cursor, protocol, error.network)?;
    let (source, destination) = ((source, source_port), (destination, destination_port));
    Some(FlowKey::with_icmp(source, destination, protocol, error.vlans, icmp))
}

fn addresses_v4(cursor: &mut Cursor<'_>) -> Option<(Address, Address, Protocol)> {
    let &[first, _, _, _, _, _, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
        cursor.take::<{ ipv4::HEADER }>()?;
    let options = (usize::from(first & 0x0f) * 4).checked_sub(ipv4::HEADER)?;
    cursor.take_slice(options)?;
    let is_later = u16::from_be_bytes([f0, f1]) & 0x1fff != 0;
    (first >> 4 == 4 && !is_later).then_some((
        Address::v4([s0, s1, s2, s3]),
        Address::v4([d0, d1, d2, d3]),
        Protocol(protocol),
    ))
}

fn addresses_v6(cursor: &mut Cursor<'_>) -> Option<(Address, Address, Protocol)> {
    let &[first, _, _, _, _, _, next, _, ref addresses @ ..] = cursor.take::<{ ipv6::HEADER }>()?;
    let [source, destination] = ipv6::ends(addresses)?;
    let mut chain = Chain::new(Protocol(next));
    loop {
        match chain.step(cursor).ok()? {
            Step::Fragment(place) if place.offset != 0 => return None,
            Step::Fragment(_) | Step::Extension => {}
            Step::End => break,
        }
    }
    (first >> 4 == 6).then_some((source, destination, chain.next))
}

/// What of the quoted packet's transport header names its flow.
#[derive(Default)]
struct Transport {
    source_port: u16,
    destination_port: u16,
    icmp: [u8; 2],
}

fn transport(mut cursor: Cursor<'_>, protocol: Protocol, network: Network) -> Option<Transport> {
    let is_echo = match (protocol, network) {
        (Protocol::ICMP, Network::Ipv4) => is_echo,
        (Protocol::ICMPV6, Network::Ipv6) => is_echo_v6,
        _ if protocol.has_ports() => {
            let &[s0, s1, d0, d1] = cursor.take()?;
            let [source_port, destination_port] = [[s0, s1], [d0, d1]].map(u16::from_be_bytes);
            return Some(Transport { source_port, destination_port, icmp: [0; 2] });
        }
        _ => return Some(Transport::default()),
    };
    let &[kind, code, _, _, i0, i1] = cursor.take()?;
    let id = if is_echo(kind) { u16::from_be_bytes([i0, i1]) } else { 0 };
    Some(Transport { source_port: id, destination_port: id, icmp: [kind, code] })
}
