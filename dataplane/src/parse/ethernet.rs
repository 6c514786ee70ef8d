//! Ethernet II, 802.3 with LLC, 802.1Q and 802.1ad tags, and what is told apart by EtherType or group address alone.

use super::{arp, cursor::Cursor, ethertype, headers::Network, ipv4, ipv6};
use crate::{batch::Meta, verdict::DropReason};

/// Decodes a whole frame.
#[inline]
pub(super) fn decode(frame: &[u8], meta: &mut Meta) -> Result<(), DropReason> {
    let mut cursor = Cursor::new(frame);
    let (header, ethertype) = header(&mut cursor, meta)?;
    let headers = &mut meta.headers;
    headers.ethertype = ethertype;
    headers.network_offset = cursor.offset();

    match ethertype {
        ethertype::IPV4 => ipv4::decode(cursor, meta),
        ethertype::IPV6 => ipv6::decode(cursor, meta),
        ethertype::ARP => arp::decode(cursor, headers),
        _ => {
            headers.network = match ethertype {
                ethertype::LLDP => Network::Lldp,
                _ if ethertype < ethertype::FIRST && is_spanning_tree(*header) => Network::Stp,
                _ => Network::Other,
            };
            if ethertype < ethertype::FIRST {
                // The length says where padding starts. If it is beyond the frame it says nothing, and nobody relies on it.
                let _ = cursor.truncate(usize::from(ethertype));
            }
            headers.transport_offset = headers.network_offset;
            headers.payload_offset = headers.network_offset;
            headers.end = cursor.end();
            Ok(())
        }
    }
}

/// Takes the header and its tags; returns the header and the EtherType behind the tags.
#[inline(always)]
pub(super) fn header<'a>(
    cursor: &mut Cursor<'a>,
    meta: &mut Meta,
) -> Result<(&'a [u8; 14], u16), DropReason> {
    let Some(header @ &[.., t0, t1]) = cursor.take::<14>() else {
        return Err(DropReason::EthernetTruncated);
    };
    let ethertype = u16::from_be_bytes([t0, t1]);
    Ok((header, if is_tag(ethertype) { tags(cursor, meta)? } else { ethertype }))
}

/// Reads the tags, of which the first has been announced, and returns the EtherType behind them.
fn tags(cursor: &mut Cursor<'_>, meta: &mut Meta) -> Result<u16, DropReason> {
    let vlans = &mut meta.headers.vlans;
    for id in &mut vlans.ids {
        let Some(&[c0, c1, t0, t1]) = cursor.take() else {
            return Err(DropReason::VlanTruncated);
        };
        *id = u16::from_be_bytes([c0, c1]) & 0x0fff;
        vlans.count += 1;
        let ethertype = u16::from_be_bytes([t0, t1]);
        if !is_tag(ethertype) {
            return Ok(ethertype);
        }
    }
    Err(DropReason::VlanDepth)
}

const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, ethertype::VLAN | ethertype::PROVIDER | ethertype::QINQ)
}

/// Whether a length frame goes to the bridge group addresses (IEEE 802.1D table 7-10) or to that of per-VLAN spanning
/// tree, which comes in a SNAP header of Cisco's.
const fn is_spanning_tree(header: [u8; 14]) -> bool {
    matches!(
        header,
        [0x01, 0x80, 0xc2, 0x00, 0x00, 0x00..=0x0f, ..] | [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd, ..]
    )
}
