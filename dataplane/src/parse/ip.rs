//! What both versions of IP share: the rules for fragments, and the step to the transport header.

use ravelin_config::types::Protocol;

use super::{
    cursor::Cursor,
    headers::{Fragment, FragmentKind},
    transport,
};
use crate::{batch::Meta, verdict::DropReason};

/// The largest datagram, RFC 791 section 3.1 (total length) and RFC 8200 section 4.5 (payload length).
const LARGEST: usize = 65_535;

/// A fragment's place, checked. `headers` is what the length of the whole datagram counts besides the fragments'
/// payload: the IPv4 header, or the IPv6 extension headers before the fragment header.
#[cold]
pub(super) fn fragment(
    id: u32,
    offset: u32,
    length: usize,
    more: bool,
    headers: usize,
) -> Result<Fragment, DropReason> {
    let is_whole_units = length.is_multiple_of(8) || !more;
    if length == 0 || !is_whole_units || headers + offset as usize + length > LARGEST {
        return Err(DropReason::FragmentLength);
    }
    let length = u32::try_from(length).map_err(|_| DropReason::FragmentLength)?;
    let kind = if offset == 0 { FragmentKind::First } else { FragmentKind::Later };
    Ok(Fragment { kind, id, offset, length, more })
}

/// Decodes what an IP packet carries.
#[inline(always)]
pub(super) fn payload(cursor: Cursor<'_>, meta: &mut Meta) -> Result<(), DropReason> {
    let headers = &meta.headers;
    match headers.fragment.kind {
        FragmentKind::Whole | FragmentKind::First => transport::decode(cursor, meta),
        FragmentKind::Later => {
            let transport_header = match headers.protocol {
                Protocol::TCP => transport::TCP_HEADER,
                Protocol::SCTP => transport::SCTP_HEADER,
                // An offset of 8, the smallest, is already behind a UDP or ICMP header.
                _ => return Ok(()),
            };
            if (headers.fragment.offset as usize) < transport_header {
                return Err(DropReason::FragmentTiny);
            }
            Ok(())
        }
    }
}
