//! What a network card would have done. A capture made on the machine that sends holds packets as they were handed to the
//! card: the checksum of the IPv4 header is zero where the card adds it, and so is the total length where the card
//! cuts a large packet into segments. On the link, where the appliance stands, no such packet is ever seen.

/// Whether an IPv4 header says nothing of its checksum.
pub(super) fn is_left_to_the_card(frame: &mut [u8]) -> bool {
    ipv4(frame).is_some_and(|packet| packet.get(10..12) == Some(&[0, 0]))
}

/// Completes checksum and total length of an IPv4 header that left its checksum to the card. Says whether it did.
pub(super) fn complete(frame: &mut [u8]) -> bool {
    let Some(packet) = ipv4(frame) else { return false };
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    let Some((header, _)) = packet.split_first_chunk_mut::<20>() else { return false };
    if header[0] >> 4 != 4 || header[10..12] != [0, 0] {
        return false;
    }
    if header[2..4] == [0, 0] {
        header[2..4].copy_from_slice(&length.to_be_bytes());
    }
    let header_length = usize::from(packet[0] & 0xf) * 4;
    let Some(header) = packet.get_mut(..header_length.max(20)) else { return false };
    let checksum = checksum(header);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    checksum != 0
}

/// The IPv4 packet in an Ethernet frame, behind up to two VLAN tags.
fn ipv4(frame: &mut [u8]) -> Option<&mut [u8]> {
    let mut offset = 12;
    for _ in 0..3 {
        match frame.get(offset..offset + 2)? {
            [0x08, 0x00] => return frame.get_mut(offset + 2..),
            [0x81, 0x00] | [0x88, 0xa8] | [0x91, 0x00] => offset += 4,
            _ => return None,
        }
    }
    None
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from(sum).unwrap_or_default()
}
