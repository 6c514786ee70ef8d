//! Ethernet II, 802.3 with LLC, 802.1Q and 802.1ad tags, and what is told apart by EtherType or group address alone.

use super::{arp, cursor::Cursor, headers::Network, ipv4, ipv6};
use crate::{batch::Meta, verdict::DropReason};

/// EtherTypes, by their IEEE assignment.
mod ethertype {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const ARP: u16 = 0x0806;
    /// 802.1Q.
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const IPV6: u16 = 0x86dd;
    /// 802.1ad service tag.
    pub(super) const PROVIDER: u16 = 0x88a8;
    pub(super) const LLDP: u16 = 0x88cc;
    /// Double tagging as sold before 802.1ad.
    pub(super) const QINQ: u16 = 0x9100;
    /// Below this the field is a length, IEEE 802.3 section 3.2.6.
    pub(super) const FIRST: u16 = 0x0600;
}

/// Decodes a whole frame.
#[inline]
pub(super) fn decode(frame: &[u8], meta: &mut Meta) -> Result<(), DropReason> {
    let mut cursor = Cursor::new(frame);
    let Some(header @ &[.., t0, t1]) = cursor.take::<14>() else {
        return Err(DropReason::EthernetTruncated);
    };
    let mut ethertype = u16::from_be_bytes([t0, t1]);
    if is_tag(ethertype) {
        ethertype = tags(&mut cursor, meta)?;
    }
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
