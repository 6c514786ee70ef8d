use ravelin_config::types::Protocol;
use ravelin_dataplane::parse::Address;

use crate::records::CommunityId;

/// What a captured packet is looked for by: its addresses, protocol and ports, as they stand in what was kept of it.
///
/// The index is made of these, and a packet is judged by these, so that the one never hides what the other would find. Nothing is checked:
/// a malformed packet has what stands where it should. What is inside of tunnels is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) source: Address,
    pub(super) destination: Address,
    /// What is behind the extension headers; of a packet that ends in one of these, that.
    pub(super) protocol: Protocol,
    pub(super) detail: Detail,
}

/// What stands at the beginning of what an IP packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Source and destination port, of TCP, UDP and SCTP.
    Ports([u16; 2]),
    /// Type and code, of ICMP and ICMPv6.
    Icmp([u8; 2]),
    /// Nothing: the protocol has neither.
    None,
    /// Nobody knows: a later fragment does not have it, or it was cut off.
    Unknown,
}

const TAGS: [[u8; 2]; 3] = [[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00]];

/// Extension headers of IPv6, by their protocol number: hop by hop, routing, fragment, authentication, destination, mobility.
const EXTENSIONS: [u8; 6] = [0, 43, FRAGMENT, AUTHENTICATION, 60, 135];
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
/// How many of them are followed.
const DEPTH: usize = 8;

impl Marks {
    /// Those of an IP packet in an Ethernet frame behind at most two VLAN tags, of which the beginning is enough.
    pub(super) fn of(frame: &[u8]) -> Option<Self> {
        let mut rest = frame.get(12..)?;
        for _ in 0..3 {
            let (ethertype, behind) = rest.split_first_chunk::<2>()?;
            match ethertype {
                [0x08, 0x00] => return ipv4(behind),
                [0x86, 0xdd] => return ipv6(behind),
                tag if TAGS.contains(tag) => rest = behind.get(2..)?,
                _ => return None,
            }
        }
        None
    }

    /// A number for a place in a small table.
    pub(super) fn digest(&self) -> usize {
        let [source, destination] =
            [self.source, self.destination].map(|address| u128::from_be_bytes(address.0));
        let detail = match self.detail {
            Detail::Ports([source, destination]) => u64::from(source) << 16 | u64::from(destination),
            Detail::Icmp(message) => u64::from(u16::from_be_bytes(message)),
            Detail::None | Detail::Unknown => 0,
        };
        let addresses = source ^ destination.rotate_left(24);
        let mixed =
            (addresses as u64 ^ (addresses >> 64) as u64 ^ detail << 20).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 48) as usize
    }

    pub(super) fn has_address(&self, address: Address) -> bool {
        self.source == address || self.destination == address
    }

    /// Source and destination port, if there are any.
    pub(super) fn ports(&self) -> Option<[u16; 2]> {
        match self.detail {
            Detail::Ports(ports) => Some(ports),
            Detail::Icmp(_) | Detail::None | Detail::Unknown => None,
        }
    }

    /// The name of the packet's flow, if that is known.
    pub(super) fn community_id(&self) -> Option<CommunityId> {
        let ends = [self.source.ip(), self.destination.ip()];
        match self.detail {
            Detail::Ports(ports) => Some(CommunityId::of_ends(ends, self.protocol, Some(ports))),
            Detail::Icmp(message) => Some(CommunityId::of_message(ends, self.protocol, message)),
            Detail::None => Some(CommunityId::of_ends(ends, self.protocol, None)),
            Detail::Unknown => None,
        }
    }
}

fn ipv4(packet: &[u8]) -> Option<Marks> {
    let (header, _) = packet.split_first_chunk::<20>()?;
    let [first, _, _, _, _, _, f0, f1, _, protocol, _, _, addresses @ ..] = *header;
    let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
    let is_later = u16::from_be_bytes([f0, f1]) & 0x1fff != 0;
    let payload = packet.get(usize::from(first & 0xf) * 4..).filter(|_| !is_later);
    let protocol = Protocol(protocol);
    Some(Marks {
        source: Address::v4([s0, s1, s2, s3]),
        destination: Address::v4([d0, d1, d2, d3]),
        protocol,
        detail: detail(protocol, payload),
    })
}

fn ipv6(packet: &[u8]) -> Option<Marks> {
    let (header, mut rest) = packet.split_first_chunk::<40>()?;
    let (addresses, _) = header.get(8..)?.as_chunks::<16>();
    let [source, destination] = addresses.first_chunk::<2>()?.map(Address);
    let mut protocol = header[6];
    let mut payload = Some(rest);
    for _ in 0..DEPTH {
        if !EXTENSIONS.contains(&protocol) {
            break;
        }
        let Some((&[next, units, f0, f1], _)) = rest.split_first_chunk::<4>() else {
            payload = None;
            break;
        };
        let length = match protocol {
            FRAGMENT => 8,
            AUTHENTICATION => (usize::from(units) + 2) * 4,
            _ => (usize::from(units) + 1) * 8,
        };
        let is_later = protocol == FRAGMENT && u16::from_be_bytes([f0, f1]) & 0xfff8 != 0;
        protocol = next;
        payload = rest.get(length..).filter(|_| !is_later);
        let Some(behind) = payload else { break };
        rest = behind;
    }
    let protocol = Protocol(protocol);
    Some(Marks { source, destination, protocol, detail: detail(protocol, payload) })
}

fn detail(protocol: Protocol, payload: Option<&[u8]>) -> Detail {
    let Some(payload) = payload else { return Detail::Unknown };
    match protocol {
        Protocol::ICMP | Protocol::ICMPV6 => {
            payload.first_chunk().map_or(Detail::Unknown, |message| Detail::Icmp(*message))
        }
        _ if protocol.has_ports() => {
            payload.first_chunk::<4>().map_or(Detail::Unknown, |&[s0, s1, d0, d1]| {
                Detail::Ports([u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])])
            })
        }
        Protocol(number) if EXTENSIONS.contains(&number) => Detail::Unknown,
        _ => Detail::None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use etherparse::{
        IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header, PacketBuilder, VlanId,
    };

    use super::*;

    const FOUR: ([u8; 4], [u8; 4]) = ([10, 0, 0, 1], [192, 0, 2, 7]);

    fn six() -> ([u8; 16], [u8; 16]) {
        let octets = |text: &str| match text.parse::<IpAddr>().unwrap() {
            IpAddr::V6(address) => address.octets(),
            IpAddr::V4(_) => unreachable!(),
        };
        (octets("2001:db8::1"), octets("2001:db8::2"))
    }

    fn ethernet() -> etherparse::PacketBuilderStep<etherparse::Ethernet2Header> {
        PacketBuilder::ethernet2([2; 6], [3; 6])
    }

    fn marks(protocol: Protocol, detail: Detail) -> Marks {
        Marks { source: Address::v4(FOUR.0), destination: Address::v4(FOUR.1), protocol, detail }
    }

    #[test]
    fn marks_are_found_behind_tags_and_as_far_as_bytes_go() {
        let tag = VlanId::try_new(7).unwrap();
        let (mut plain, mut double, mut single) = (Vec::new(), Vec::new(), Vec::new());
        ethernet().ipv4(FOUR.0, FOUR.1, 64).udp(1, 2).write(&mut plain, &[]).unwrap();
        ethernet()
            .double_vlan(tag, tag)
            .ipv4(FOUR.0, FOUR.1, 64)
            .tcp(1, 2, 0, 0)
            .write(&mut double, &[])
            .unwrap();
        ethernet().single_vlan(tag).ipv6(six().0, six().1, 64).udp(1, 2).write(&mut single, &[]).unwrap();
        let of_six = Marks {
            source: Address(six().0),
            destination: Address(six().1),
            ..marks(Protocol::UDP, Detail::Ports([1, 2]))
        };
        for (frame, expected, transport) in [
            (plain, marks(Protocol::UDP, Detail::Ports([1, 2])), 34),
            (double, marks(Protocol::TCP, Detail::Ports([1, 2])), 42),
            (single, of_six, 58),
        ] {
            for end in 0..=frame.len() {
                let found = Marks::of(&frame[..end]);
                let cut = Marks { detail: Detail::Unknown, ..expected };
                match end {
                    _ if end < transport => assert_eq!(found, None, "{end}"),
                    _ if end < transport + 4 => assert_eq!(found, Some(cut), "{end}"),
                    _ => assert_eq!(found, Some(expected), "{end}"),
                }
            }
        }
        assert_eq!(Marks::of(&[0; 60]), None);
        assert_eq!(
            Marks::of(&[[0; 12].as_slice(), &[0x81, 0, 0, 7].repeat(4), &[8, 0], &[0; 40]].concat()),
            None
        );
    }

    #[test]
    fn options_are_stepped_over_and_later_fragments_have_no_ports() {
        let transport = [0, 80, 4, 0, 0, 8, 0, 0];
        let frame = |header: &Ipv4Header| {
            let mut frame = vec![0; 12];
            frame.extend([8, 0]);
            header.write(&mut frame).unwrap();
            [frame, transport.to_vec()].concat()
        };
        let mut header = Ipv4Header::new(8, 64, IpNumber::UDP, FOUR.0, FOUR.1).unwrap();
        let expected = marks(Protocol::UDP, Detail::Ports([80, 1024]));
        header.options = [1; 8].into();
        assert_eq!(Marks::of(&frame(&header)), Some(expected));
        header.more_fragments = true;
        assert_eq!(Marks::of(&frame(&header)), Some(expected));
        header.fragment_offset = IpFragOffset::try_new(1).unwrap();
        assert_eq!(Marks::of(&frame(&header)), Some(marks(Protocol::UDP, Detail::Unknown)));
        let gre = Ipv4Header::new(8, 64, IpNumber::GRE, FOUR.0, FOUR.1).unwrap();
        assert_eq!(Marks::of(&frame(&gre)), Some(marks(Protocol(47), Detail::None)));
    }

    #[test]
    fn extension_headers_are_followed() {
        let frame = |first: u8, extensions: &[u8]| {
            let header = Ipv6Header {
                next_header: IpNumber(first),
                source: six().0,
                destination: six().1,
                ..Ipv6Header::default()
            };
            let mut frame = vec![0; 12];
            frame.extend([0x86, 0xdd]);
            header.write(&mut frame).unwrap();
            [&frame, extensions, &[0, 80, 4, 0, 0, 8, 0, 0]].concat()
        };
        let found = |first, extensions: &[u8]| {
            let marks = Marks::of(&frame(first, extensions)).unwrap();
            (marks.protocol.0, marks.detail)
        };
        let fragment = |offset| {
            let offset = IpFragOffset::try_new(offset).unwrap();
            Ipv6FragmentHeader::new(IpNumber::UDP, offset, true, 9).to_bytes()
        };
        let ports = Detail::Ports([80, 1024]);
        // Destination options of 16 bytes; authentication of 12 bytes.
        let options = [[17, 1], [0; 2], [0; 2], [0; 2], [0; 2], [0; 2], [0; 2], [0; 2]].concat();
        assert_eq!(found(60, &options), (17, ports));
        let both = [[51, 0, 0, 0, 0, 0, 0, 0].as_slice(), &[17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(found(0, &both), (17, ports));
        assert_eq!(found(44, &fragment(0)), (17, ports));
        assert_eq!(found(44, &fragment(1)), (17, Detail::Unknown));
        assert_eq!(found(59, &[]), (59, Detail::None));
        // A chain that is cut off, and one that does not end.
        let cut = frame(60, &options);
        assert_eq!(Marks::of(&cut[..57]).unwrap().detail, Detail::Unknown);
        assert_eq!(found(60, &[60, 0, 0, 0, 0, 0, 0, 0].repeat(9)), (60, Detail::Unknown));
    }

    #[test]
    fn icmp_has_type_and_code() {
        let mut frame = Vec::new();
        ethernet().ipv4(FOUR.0, FOUR.1, 64).icmpv4_raw(3, 13, [0; 4]).write(&mut frame, &[]).unwrap();
        let found = Marks::of(&frame).unwrap();
        assert_eq!(found, marks(Protocol::ICMP, Detail::Icmp([3, 13])));
        assert_eq!(found.ports(), None);
    }
}
