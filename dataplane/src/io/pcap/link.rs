/// The kinds of link whose packets are understood. Numbers as assigned by the tcpdump project (LINKTYPE_ values).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// 1.
    Ethernet,
    /// 101, and 12 and 14 where systems used their own numbers: IPv4 or IPv6.
    Raw,
    /// 228.
    Ipv4,
    /// 229.
    Ipv6,
    /// 113: what Linux gives for interface `any`.
    LinuxCooked,
    /// 276: its second version.
    LinuxCooked2,
    /// 0: a 4-byte address family in the byte order of the machine that captured.
    Null,
    /// 108: the same in network byte order.
    Loopback,
}

/// How a packet becomes an Ethernet frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adapted {
    /// It is one.
    AsIs,
    /// The first `strip` bytes are replaced by an Ethernet header.
    Replace { strip: usize, header: [u8; ETHERNET_HEADER] },
    /// It ends inside its link header: nothing can be said of it.
    Cut,
}

pub(super) const ETHERNET_HEADER: usize = 14;

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
/// Reserved by RFC 1701: stands for what has no EtherType.
const NONE: [u8; 2] = [0xff, 0xff];

impl Link {
    pub(super) const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Null),
            1 => Some(Self::Ethernet),
            12 | 14 | 101 => Some(Self::Raw),
            108 => Some(Self::Loopback),
            113 => Some(Self::LinuxCooked),
            228 => Some(Self::Ipv4),
            229 => Some(Self::Ipv6),
            276 => Some(Self::LinuxCooked2),
            _ => None,
        }
    }

    /// How `packet`, which was `length` bytes long on the link, becomes an Ethernet frame.
    #[inline]
    pub(super) fn adapt(self, packet: &[u8], length: u32) -> Adapted {
        let adapted = match self {
            Self::Ethernet => Some(Adapted::AsIs),
            Self::Raw => packet.first().map(|first| match first >> 4 {
                4 => replace(0, IPV4, [0; 6]),
                6 => replace(0, IPV6, [0; 6]),
                _ => replace(0, NONE, [0; 6]),
            }),
            Self::Ipv4 => Some(replace(0, IPV4, [0; 6])),
            Self::Ipv6 => Some(replace(0, IPV6, [0; 6])),
            Self::LinuxCooked => cooked(packet, length),
            Self::LinuxCooked2 => cooked2(packet, length),
            Self::Null | Self::Loopback => {
                packet.first_chunk().map(|family| replace(4, ethertype_of_family(*family), [0; 6]))
            }
        };
        adapted.unwrap_or(Adapted::Cut)
    }
}

fn replace(strip: usize, [high, low]: [u8; 2], [a, b, c, d, e, f]: [u8; 6]) -> Adapted {
    Adapted::Replace { strip, header: [0, 0, 0, 0, 0, 0, a, b, c, d, e, f, high, low] }
}

/// Packet type, ARPHRD type, address length, address in 8 bytes, protocol.
fn cooked(packet: &[u8], length: u32) -> Option<Adapted> {
    let &[_, _, hardware, hardware_low, _, address_length, a, b, c, d, e, f, _, _, high, low] =
        packet.first_chunk::<16>()?;
    let source = if address_length == 6 { [a, b, c, d, e, f] } else { [0; 6] };
    let hardware = u16::from_be_bytes([hardware, hardware_low]);
    Some(replace(16, ethertype([high, low], hardware, length.saturating_sub(16)), source))
}

/// Protocol, reserved, interface, ARPHRD type, packet type, address length, address in 8 bytes.
fn cooked2(packet: &[u8], length: u32) -> Option<Adapted> {
    let &[high, low, _, _, _, _, _, _, hardware, hardware_low, _, address_length, a, b, c, d, e, f, _, _] =
        packet.first_chunk::<20>()?;
    let source = if address_length == 6 { [a, b, c, d, e, f] } else { [0; 6] };
    let hardware = u16::from_be_bytes([hardware, hardware_low]);
    Some(replace(20, ethertype([high, low], hardware, length.saturating_sub(20)), source))
}

/// The type field of an Ethernet frame for the protocol field of a cooked one.
fn ethertype(protocol: [u8; 2], hardware: u16, payload: u32) -> [u8; 2] {
    /// Devices whose protocol field is no EtherType: IP GRE, 802.11 in its three forms, FRAD, netlink.
    const OTHERS: [u16; 6] = [778, 801, 802, 803, 770, 824];
    /// An LLC packet: its Ethernet frame has the length in place of the type.
    const LLC: [u8; 2] = [0, 4];
    const SMALLEST_ETHERTYPE: u16 = 0x600;
    match u16::try_from(payload) {
        _ if OTHERS.contains(&hardware) => NONE,
        Ok(payload) if protocol == LLC && payload < SMALLEST_ETHERTYPE => payload.to_be_bytes(),
        _ if u16::from_be_bytes(protocol) < SMALLEST_ETHERTYPE => NONE,
        _ => protocol,
    }
}

/// The family's numbers differ from system to system, and its byte order is that of the machine that captured; no
/// number is valid in both orders.
fn ethertype_of_family(family: [u8; 4]) -> [u8; 2] {
    match [u32::from_le_bytes(family), u32::from_be_bytes(family)] {
        [2, _] | [_, 2] => IPV4,
        // Linux, Windows, NetBSD and OpenBSD, FreeBSD, Darwin.
        [10 | 23 | 24 | 28 | 30, _] | [_, 10 | 23 | 24 | 28 | 30] => IPV6,
        _ => NONE,
    }
}
