use std::net::{IpAddr, Ipv6Addr};

use ravelin_config::types::Protocol;

/// What the frame carries above Ethernet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// IPv4, RFC 791.
    Ipv4,
    /// IPv6, RFC 8200.
    Ipv6,
    /// ARP, RFC 826.
    Arp,
    /// Link Layer Discovery Protocol, IEEE 802.1AB.
    Lldp,
    /// Spanning tree and its relatives, IEEE 802.1D: LLC frames to the bridge group addresses.
    Stp,
    /// Any other EtherType, or an LLC frame.
    #[default]
    Other,
}

/// An IP address in 16 bytes; IPv4 as an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), which keeps the
/// two families apart and makes both sort and hash alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 16]);

impl Address {
    /// An IPv4 address as found in a header.
    pub const fn v4(octets: [u8; 4]) -> Self {
        let [a, b, c, d] = octets;
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    }

    /// Whether it is an IPv4 address.
    pub const fn is_v4(self) -> bool {
        matches!(self.0, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..])
    }

    /// Whether it is one of many hosts (RFC 1112, RFC 4291 section 2.7).
    pub const fn is_multicast(self) -> bool {
        matches!(self.0, [0xff, ..] | [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 224..=239, ..])
    }

    /// The address in the standard library's form.
    pub fn ip(self) -> IpAddr {
        let address = Ipv6Addr::from(self.0);
        address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::v4(address.octets()),
            IpAddr::V6(address) => Self(address.octets()),
        }
    }
}

/// VLAN tags: the 12-bit identifiers, outermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vlans {
    /// How many tags the frame carries: 0, 1 (802.1Q) or 2 (802.1ad, QinQ).
    pub count: u8,
    /// The identifiers; those beyond `count` are zero.
    pub ids: [u16; 2],
}

/// Whether and how the packet is a fragment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FragmentKind {
    /// A whole datagram.
    #[default]
    Whole,
    /// The first fragment: offset zero, more follow.
    First,
    /// A later fragment: it has no transport header.
    Later,
}

/// A fragment's place in its datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// Whether this is a fragment at all.
    pub kind: FragmentKind,
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Offset of the fragment's payload in the datagram, in bytes.
    pub offset: u32,
    /// Length of the fragment's payload in bytes.
    pub length: u32,
    /// Whether more fragments follow.
    pub more: bool,
}

/// TCP flags as bits, RFC 9293 section 3.1.
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push function.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is significant.
    pub const URG: u8 = 0x20;
    /// ECN echo, RFC 3168.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced, RFC 3168.
    pub const CWR: u8 = 0x80;
}

/// The TCP fields that connection tracking reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFields {
    /// Flags, as in [`tcp_flags`].
    pub flags: u8,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Window as sent, unscaled.
    pub window: u16,
}

/// What decode found: offsets into the frame and values. Parsed once; later stages never parse again.
///
/// Offsets count from the start of the frame. `network` says which of the fields mean anything: without IP there are no
/// addresses; without ports, `source_port` and `destination_port` are zero, except for ICMP echo, where both hold
/// the identifier, so that the two directions of a ping meet in one flow.
#[derive(Clone, Copy, Debug)]
pub struct Headers {
    /// What the frame carries.
    pub network: Network,
    /// The EtherType behind all VLAN tags, or the length field of an LLC frame.
    pub ethertype: u16,
    /// VLAN tags.
    pub vlans: Vlans,
    /// Start of the network header.
    pub network_offset: u16,
    /// Start of the transport header; for a later fragment, start of its payload.
    pub transport_offset: u16,
    /// Start of the transport payload.
    pub payload_offset: u16,
    /// End of the network packet: what follows is Ethernet padding. 65535 if it is beyond, which takes a capture of a
    /// segmentation offload.
    pub end: u16,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// The transport protocol (behind all IPv6 extension headers). For a later fragment of IPv6, what its fragment header
    /// names, which may be another extension header, until the fragment table has tied it to its first fragment.
    pub protocol: Protocol,
    /// Source port, or ICMP echo identifier.
    pub source_port: u16,
    /// Destination port, or ICMP echo identifier.
    pub destination_port: u16,
    /// ICMP or ICMPv6 type and code.
    pub icmp: [u8; 2],
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Whether the packet is an ICMP error; then the packet's flow key is that of the packet that it quotes.
    pub icmp_error: bool,
    /// Whether the packet is IPv6 neighbour discovery (ICMPv6 types 133 to 137 with hop limit 255, RFC 4861).
    pub neighbour_discovery: bool,
    /// Of IPv4: whether routers may make no fragments of it.
    pub dont_fragment: bool,
    /// Fragmentation.
    pub fragment: Fragment,
    /// TCP fields; zero for other protocols.
    pub tcp: TcpFields,
}

impl Default for Headers {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Headers {
    /// Nothing found yet. A constant, because the compiler copies it in a few wide moves where it builds the derived
    /// default field by field and reads it back, which cost a quarter of the time to decode a packet.
    pub const EMPTY: Self = Self {
        network: Network::Other,
        ethertype: 0,
        vlans: Vlans { count: 0, ids: [0; 2] },
        network_offset: 0,
        transport_offset: 0,
        payload_offset: 0,
        end: 0,
        source: Address([0; 16]),
        destination: Address([0; 16]),
        protocol: Protocol(0),
        source_port: 0,
        destination_port: 0,
        icmp: [0; 2],
        ttl: 0,
        icmp_error: false,
        neighbour_discovery: false,
        dont_fragment: false,
        fragment: Fragment { kind: FragmentKind::Whole, id: 0, offset: 0, length: 0, more: false },
        tcp: TcpFields { flags: 0, sequence: 0, acknowledgement: 0, window: 0 },
    };

    /// Whether the packet is IPv4 or IPv6.
    pub const fn is_ip(&self) -> bool {
        matches!(self.network, Network::Ipv4 | Network::Ipv6)
    }
}
