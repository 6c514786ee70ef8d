//! ARP, RFC 826, as it is used between IPv4 and Ethernet. Other address families have no place on this link.

use super::{
    cursor::Cursor,
    headers::{Headers, Network},
};
use crate::verdict::DropReason;

/// Checks an ARP packet: protocol type, address lengths, and that it is whole.
pub(super) fn decode(mut cursor: Cursor<'_>, headers: &mut Headers) -> Result<(), DropReason> {
    headers.network = Network::Arp;
    match cursor.take::<28>() {
        Some([_, _, 0x08, 0x00, 6, 4, ..]) => {
            // What follows is padding.
            headers.transport_offset = cursor.offset();
            headers.payload_offset = cursor.offset();
            headers.end = cursor.offset();
            Ok(())
        }
        Some(_) | None => Err(DropReason::ArpMalformed),
    }
}
