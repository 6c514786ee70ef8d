//! The packet inside a tunnel: VXLAN, Geneve, GRE and IP in IP, one level deep.
//!
//! Not part of decode: rules and flows know the tunnel, not what it carries. Whoever has to know asks here, and gets
//! what decode would say of the packet inside. Refuses tunnels in tunnels, and what its own decode would drop.

use ravelin_config::types::Protocol;

use super::{cursor::Cursor, ethernet, ethertype, headers::Headers, ipv4, ipv6};
use crate::batch::Meta;

/// UDP ports by which tunnels are known.
mod port {
    /// VXLAN, RFC 7348.
    pub(super) const VXLAN: u16 = 4789;
    /// VXLAN before it was given a port, and what Linux, Flannel and Cilium use unless told otherwise.
    pub(super) const VXLAN_LINUX: u16 = 8472;
    /// Geneve, RFC 8926.
    pub(super) const GENEVE: u16 = 6081;
}

/// IPv4 in IP, RFC 2003 and RFC 2473.
const IPV4: Protocol = Protocol(4);
/// IPv6 in IP, RFC 4213 and RFC 2473.
const IPV6: Protocol = Protocol(41);
/// GRE, RFC 2784 and RFC 2890.
const GRE: Protocol = Protocol(47);

/// The first byte of a GRE header that has a checksum.
const GRE_CHECKSUM: u8 = 0x80;
/// The same for a key.
const GRE_KEY: u8 = 0x20;
/// The same for a sequence number.
const GRE_SEQUENCE: u8 = 0x10;

/// Whether a packet is one of a tunnel known here, by protocol and port.
#[inline(always)]
pub(crate) const fn is_tunnel(headers: &Headers) -> bool {
    match headers.protocol {
        Protocol::UDP => {
            matches!(headers.destination_port, port::VXLAN | port::VXLAN_LINUX | port::GENEVE)
        }
        IPV4 | IPV6 | GRE => true,
        _ => false,
    }
}

/// Whether the packet is one of GRE with a checksum, which then stands behind the first 4 bytes.
pub(crate) fn has_gre_checksum(frame: &[u8], headers: &Headers) -> bool {
    headers.protocol == GRE
        && frame.get(usize::from(headers.transport_offset)..).is_some_and(|header| {
            matches!(header, &[flags, version, ..] if is_plain_gre(flags, version) && flags & GRE_CHECKSUM != 0)
        })
}

/// Whether a GRE header has no fields but those known here: source routes (RFC 1701) and the GRE of PPTP (version 1) do.
const fn is_plain_gre(flags: u8, version: u8) -> bool {
    flags & !(GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE) == 0 && version == 0
}

/// What decode says of the IP packet inside `outer`'s, with offsets that count from the start of the frame like all others.
/// `None` if there is none or it cannot be parsed.
pub(crate) fn inner(frame: &[u8], outer: &Headers) -> Option<Headers> {
    let mut cursor = Cursor::new(frame.get(..usize::from(outer.end))?);
    cursor.take_slice(usize::from(outer.payload_offset))?;
    let mut ethertype = match (outer.protocol, outer.destination_port) {
        (IPV4, _) => ethertype::IPV4,
        (IPV6, _) => ethertype::IPV6,
        (GRE, _) => gre(&mut cursor)?,
        (Protocol::UDP, port::GENEVE) => geneve(&mut cursor)?,
        (Protocol::UDP, port::VXLAN | port::VXLAN_LINUX) => vxlan(&mut cursor)?,
        _ => return None,
    };
    let mut meta = Meta::default();
    if ethertype == ethertype::BRIDGED {
        (_, ethertype) = ethernet::header(&mut cursor, &mut meta).ok()?;
    }
    meta.headers.network_offset = cursor.offset();
    match ethertype {
        ethertype::IPV4 => ipv4::decode(cursor, &mut meta).ok()?,
        ethertype::IPV6 => ipv6::decode(cursor, &mut meta).ok()?,
        _ => return None,
    }
    Some(meta.headers)
}

/// Takes a VXLAN header. What it carries is an Ethernet frame.
fn vxlan(cursor: &mut Cursor<'_>) -> Option<u16> {
    let &[flags, more, ..] = cursor.take::<8>()?;
    // The identifier is valid, and perhaps there is a group policy. Any other bit means another format (GPE).
    let is_plain = flags & !0x80 == 0x08;
    // Remote checksum offload: the receiver completes the checksum inside, and must find it partial.
    let is_remote = more & 0x20 != 0;
    (is_plain && !is_remote).then_some(ethertype::BRIDGED)
}

/// Takes a Geneve header with its options, and returns the EtherType of what it carries.
fn geneve(cursor: &mut Cursor<'_>) -> Option<u16> {
    let &[first, _, t0, t1, ..] = cursor.take::<8>()?;
    let (version, words) = (first >> 6, usize::from(first & 0x3f));
    cursor.take_slice(words * 4)?;
    (version == 0).then_some(u16::from_be_bytes([t0, t1]))
}

/// Takes a GRE header with its optional fields, and returns the EtherType of what it carries.
fn gre(cursor: &mut Cursor<'_>) -> Option<u16> {
    let &[flags, version, t0, t1] = cursor.take()?;
    for optional in [GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE] {
        if flags & optional != 0 {
            cursor.take::<4>()?;
        }
    }
    is_plain_gre(flags, version).then_some(u16::from_be_bytes([t0, t1]))
}
