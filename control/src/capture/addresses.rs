//! The addresses of a packet, without anything else about it.

use ravelin_dataplane::parse::Address;

const TAGS: [[u8; 2]; 3] = [[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00]];

/// Source and destination of an IP packet in an Ethernet frame, of which the beginning is enough.
pub(super) fn of(frame: &[u8]) -> Option<[Address; 2]> {
    let mut rest = frame.get(12..)?;
    for _ in 0..3 {
        let (ethertype, behind) = rest.split_first_chunk::<2>()?;
        match ethertype {
            [0x08, 0x00] => {
                let addresses = behind.get(12..)?.as_chunks::<4>().0;
                return addresses.first_chunk::<2>().map(|both| both.map(Address::v4));
            }
            [0x86, 0xdd] => {
                let addresses = behind.get(8..)?.as_chunks::<16>().0;
                return addresses.first_chunk::<2>().map(|both| both.map(Address));
            }
            tag if TAGS.contains(tag) => rest = behind.get(2..)?,
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use etherparse::{PacketBuilder, VlanId};

    use super::*;

    #[test]
    fn addresses_are_found_behind_tags() {
        let mut frames = [Vec::new(), Vec::new(), Vec::new()];
        let ethernet = || PacketBuilder::ethernet2([2; 6], [3; 6]);
        let tag = VlanId::try_new(7).unwrap();
        let (source, destination) = ([10, 0, 0, 1], [192, 0, 2, 7]);
        ethernet().ipv4(source, destination, 64).udp(1, 2).write(&mut frames[0], &[]).unwrap();
        let tagged = ethernet().double_vlan(tag, tag);
        tagged.ipv4(source, destination, 64).udp(1, 2).write(&mut frames[1], &[]).unwrap();
        let (a, b): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        let (IpAddr::V6(six), IpAddr::V6(other)) = (a, b) else { unreachable!() };
        let tagged = ethernet().single_vlan(tag);
        tagged.ipv6(six.octets(), other.octets(), 64).udp(1, 2).write(&mut frames[2], &[]).unwrap();
        let four = [Address::v4(source), Address::v4(destination)];
        for (frame, expected) in frames.iter().zip([four, four, [a.into(), b.into()]]) {
            assert_eq!(of(frame), Some(expected));
            let transport = frame.len() - 8;
            for end in 0..frame.len() {
                assert_eq!(of(&frame[..end]).is_some(), end >= transport, "{end}");
            }
        }
        assert_eq!(of(&[0; 60]), None);
        assert_eq!(of(&[[0; 12].as_slice(), &[0x81, 0, 0, 7].repeat(4), &[8, 0], &[0; 40]].concat()), None);
    }
}
