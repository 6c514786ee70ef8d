//! Etherparse as the oracle. Where its strict parser accepts an IP packet, ours must agree on addresses, tags, protocol,
//! ports and payload; where it refuses one, so must ours. The differences, all on purpose:
//!
//! - Ours verifies the IPv4 header checksum; etherparse does not.
//! - Ours refuses a third tag; etherparse follows three. Etherparse looks into MACsec; ours does not.
//! - Ours takes an IPv6 payload length of zero and a UDP length of zero at their word; etherparse takes what is there.
//! - Ours follows the IPv6 mobility header, at most eight extension headers and one fragment header; etherparse stops at
//!   mobility, and follows any number.
//! - Ours leaves IPv4's authentication header to be the protocol; etherparse steps over it.
//! - Ours decodes SCTP and what a first fragment carries; etherparse decodes no transport header in a fragment, and reads
//!   a later fragment of IPv6 as if extension headers stood in it.
//! - Ours reads ICMP only in IPv4 and ICMPv6 only in IPv6, and checks the length of neither timestamps nor IGMP.
//! - Ours wants ARP to be between IPv4 and Ethernet; etherparse takes any address length.

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, IpAuthHeader, IpFragOffset, IpHeaders, IpNumber,
    IpSlice, Ipv4Extensions, Ipv4Header, Ipv4Options, Ipv6Extensions, Ipv6FragmentHeader, Ipv6Header,
    Ipv6RawExtHeader, Ipv6RoutingExtensions, LinkExtSlice, NetSlice, PacketBuilder, SlicedPacket, TcpHeader,
    TransportSlice, VlanId, ip_number,
};
use proptest::prelude::*;
use ravelin_config::types::Protocol;

use super::*;

const MOBILITY: IpNumber = ip_number::MOBILITY;

pub(super) fn assert_agrees(frame: &[u8]) {
    let ours = decode(frame);
    match SlicedPacket::from_ethernet(frame) {
        Ok(theirs) if theirs.link_exts.iter().any(|ext| matches!(ext, LinkExtSlice::Macsec(_))) => {
            assert!(!ours.headers.is_ip());
        }
        Ok(theirs) => match &theirs.net {
            Some(NetSlice::Ipv4(ip)) => agree_on_ip(frame, &ours, &theirs, &IpSlice::Ipv4(ip.clone())),
            Some(NetSlice::Ipv6(ip)) => agree_on_ip(frame, &ours, &theirs, &IpSlice::Ipv6(ip.clone())),
            Some(NetSlice::Arp(_)) => assert_eq!(ours.headers.network, Network::Arp, "{frame:02x?}"),
            None => assert!(!ours.headers.is_ip(), "{frame:02x?}"),
        },
        Err(error) if ours.verdict == Verdict::Undecided && ours.headers.ethertype != 0x88e5 => {
            let h = &ours.headers;
            let is_other = matches!(
                (h.network, h.protocol.0),
                (Network::Ipv4 | Network::Ipv6, 2) | (Network::Ipv4, 51 | 58) | (Network::Ipv6, 1)
            );
            let is_timestamp = h.protocol == Protocol::ICMP && matches!(h.icmp, [13 | 14, 0]);
            let is_later = h.network == Network::Ipv6 && h.fragment.kind == FragmentKind::Later;
            assert!(is_other || is_timestamp || is_later, "{error}: {frame:02x?}");
        }
        Err(_) => {}
    }
}

fn agree_on_ip(frame: &[u8], ours: &Meta, theirs: &SlicedPacket<'_>, ip: &IpSlice<'_>) {
    let (mut extensions, mut fragment_headers, mut is_checksum_right) = (0, 0, true);
    match ip {
        IpSlice::Ipv4(_) => {
            // Not by etherparse, which adds up the fields that it knows and so leaves out the reserved flag.
            let mut repaired = frame.to_vec();
            repair_checksum(&mut repaired);
            is_checksum_right = repaired == frame;
        }
        IpSlice::Ipv6(ip) if ip.header().payload_length() == 0 => return,
        IpSlice::Ipv6(ip) => {
            for header in ip.extensions().clone() {
                extensions += 1;
                fragment_headers +=
                    usize::from(matches!(header, etherparse::Ipv6ExtensionSlice::Fragment(_)));
            }
        }
    }
    let payload = ip.payload();
    let is_mobility = payload.ip_number == MOBILITY;
    let goes_further = is_mobility || payload.fragmented;
    let h = &ours.headers;

    if let Verdict::Drop(reason) = ours.verdict {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other reasons have no excuse of their own")]
        let is_expected = match reason {
            DropReason::VlanDepth => theirs.vlan_ids().len() == 3,
            DropReason::Ipv4Checksum => !is_checksum_right,
            DropReason::Ipv6Extension => is_mobility || fragment_headers > 1,
            DropReason::Ipv6ExtensionDepth => is_mobility || extensions > 8,
            DropReason::SctpTruncated => is_mobility || payload.ip_number.0 == 132,
            DropReason::UdpLength if payload.ip_number == ip_number::UDP => {
                goes_further || payload.payload[4..6] == [0, 0]
            }
            _ => goes_further,
        };
        assert!(is_expected, "{reason:?}: {frame:02x?}");
        return;
    }
    assert_eq!(ours.verdict, Verdict::Undecided);

    let ids = theirs.vlan_ids();
    assert_eq!(usize::from(h.vlans.count), ids.len());
    assert!(ids.iter().zip(h.vlans.ids).all(|(theirs, ours)| theirs.value() == ours));
    assert_eq!(
        (h.source.ip(), h.destination.ip()),
        (mapped(ip.source_addr()), mapped(ip.destination_addr()))
    );
    if !is_mobility {
        assert_eq!(h.fragment.kind != FragmentKind::Whole, payload.fragmented, "{frame:02x?}");
    }
    let end = offset_in(frame, payload.payload) + payload.payload.len();
    assert_eq!(usize::from(h.end), end);
    let is_v6_later = h.network == Network::Ipv6 && h.fragment.kind == FragmentKind::Later;
    let is_v4_authentication = h.network == Network::Ipv4 && h.protocol.0 == 51;
    if is_mobility || is_v6_later || is_v4_authentication {
        return;
    }
    assert_eq!(h.protocol.0, payload.ip_number.0);
    assert_eq!(usize::from(h.transport_offset), offset_in(frame, payload.payload));
    let ports = (h.source_port, h.destination_port);
    match &theirs.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            assert_eq!(ports, (tcp.source_port(), tcp.destination_port()));
            assert_eq!(usize::from(h.payload_offset), offset_in(frame, tcp.payload()));
            assert_eq!(h.tcp.flags, tcp.slice()[13]);
            assert_eq!(h.tcp.sequence, tcp.sequence_number());
            assert_eq!(h.tcp.acknowledgement, tcp.acknowledgment_number());
            assert_eq!(h.tcp.window, tcp.window_size());
        }
        Some(TransportSlice::Udp(udp)) => {
            assert_eq!(ports, (udp.source_port(), udp.destination_port()));
            assert_eq!(usize::from(h.payload_offset), offset_in(frame, udp.payload()));
        }
        Some(TransportSlice::Icmpv4(icmp)) if h.network == Network::Ipv4 => {
            assert_eq!(h.icmp, [icmp.type_u8(), icmp.code_u8()]);
            assert_eq!(usize::from(h.payload_offset), usize::from(h.transport_offset) + 8);
        }
        Some(TransportSlice::Icmpv6(icmp)) if h.network == Network::Ipv6 => {
            assert_eq!(h.icmp, [icmp.type_u8(), icmp.code_u8()]);
            assert_eq!(usize::from(h.payload_offset), usize::from(h.transport_offset) + 8);
        }
        Some(TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_)) => {
            assert_eq!(ports, (0, 0));
        }
        None if h.fragment.kind == FragmentKind::First || h.protocol == Protocol::SCTP => {}
        None => assert_eq!(ports, (0, 0)),
    }
}

/// An IPv4-mapped IPv6 address in an IPv6 header is shown as IPv4 by [`Address::ip`].
fn mapped(address: std::net::IpAddr) -> std::net::IpAddr {
    Address::from(address).ip()
}

fn offset_in(frame: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - frame.as_ptr() as usize
}

/// A packet to be built by etherparse, in all the forms that it can build.
#[derive(Clone, Debug)]
struct Spec {
    tags: Vec<u16>,
    ip: Ip,
    transport: Transport,
    payload: Vec<u8>,
    padding: usize,
}

#[derive(Clone, Debug)]
enum Ip {
    V4 { source: [u8; 4], destination: [u8; 4], ttl: u8, options: usize },
    V6 { source: [u8; 16], destination: [u8; 16], hop_limit: u8, extensions: Extensions },
}

#[derive(Clone, Copy, Debug)]
struct Extensions {
    hop_by_hop: Option<usize>,
    destination: Option<usize>,
    routing: Option<usize>,
    atomic: bool,
    authentication: bool,
}

#[derive(Clone, Debug)]
enum Transport {
    Tcp { ports: (u16, u16), flags: u8, sequence: u32, acknowledgement: u32, window: u16, options: usize },
    Udp { ports: (u16, u16) },
    Echo { id: u16, is_reply: bool },
}

impl Spec {
    fn build(&self) -> Vec<u8> {
        let step = PacketBuilder::ethernet2([2; 6], [4; 6]);
        let ids: Vec<_> = self.tags.iter().map(|id| VlanId::try_new(*id).expect("12 bits")).collect();
        let ip = self.ip.build();
        let step = match ids[..] {
            [] => step.ip(ip),
            [id] => step.single_vlan(id).ip(ip),
            [outer, inner] => step.double_vlan(outer, inner).ip(ip),
            _ => unreachable!("at most two tags"),
        };
        let mut frame = Vec::new();
        match (&self.transport, &self.ip) {
            (Transport::Tcp { ports, flags, sequence, acknowledgement, window, options }, _) => {
                let mut header = TcpHeader::new(ports.0, ports.1, *sequence, *window);
                header.acknowledgment_number = *acknowledgement;
                header.fin = flags & tcp_flags::FIN != 0;
                header.syn = flags & tcp_flags::SYN != 0;
                header.rst = flags & tcp_flags::RST != 0;
                header.psh = flags & tcp_flags::PSH != 0;
                header.ack = flags & tcp_flags::ACK != 0;
                header.urg = flags & tcp_flags::URG != 0;
                header.ece = flags & tcp_flags::ECE != 0;
                header.cwr = flags & tcp_flags::CWR != 0;
                header.set_options_raw(&vec![1; options * 4]).expect("at most 40 bytes");
                step.tcp_header(header).write(&mut frame, &self.payload)
            }
            (Transport::Udp { ports }, _) => step.udp(ports.0, ports.1).write(&mut frame, &self.payload),
            (Transport::Echo { id, is_reply: false }, Ip::V4 { .. }) => {
                step.icmpv4_echo_request(*id, 1).write(&mut frame, &self.payload)
            }
            (Transport::Echo { id, is_reply: true }, Ip::V4 { .. }) => {
                step.icmpv4_echo_reply(*id, 1).write(&mut frame, &self.payload)
            }
            (Transport::Echo { id, is_reply: false }, Ip::V6 { .. }) => {
                step.icmpv6_echo_request(*id, 1).write(&mut frame, &self.payload)
            }
            (Transport::Echo { id, is_reply: true }, Ip::V6 { .. }) => {
                step.icmpv6_echo_reply(*id, 1).write(&mut frame, &self.payload)
            }
        }
        .expect("every combination can be built");
        frame.resize(frame.len() + self.padding, 0xee);
        frame
    }

    fn header_length(&self) -> usize {
        match &self.transport {
            Transport::Tcp { options, .. } => 20 + options * 4,
            Transport::Udp { .. } | Transport::Echo { .. } => 8,
        }
    }
}

impl Ip {
    fn build(&self) -> IpHeaders {
        match self {
            Self::V4 { source, destination, ttl, options } => {
                let mut header = Ipv4Header::new(0, *ttl, ip_number::TCP, *source, *destination)
                    .expect("length is set later");
                header.options = Ipv4Options::try_from(&vec![1; options * 4][..]).expect("at most 40 bytes");
                IpHeaders::Ipv4(header, Ipv4Extensions::default())
            }
            Self::V6 { source, destination, hop_limit, extensions } => {
                let raw = |units: usize| {
                    Ipv6RawExtHeader::new_raw(ip_number::TCP, &vec![0; 6 + units * 8]).expect("whole units")
                };
                let header = Ipv6Header {
                    hop_limit: *hop_limit,
                    source: *source,
                    destination: *destination,
                    ..Ipv6Header::default()
                };
                let extensions = Ipv6Extensions {
                    hop_by_hop_options: extensions.hop_by_hop.map(raw),
                    destination_options: extensions.destination.map(raw),
                    routing: extensions.routing.map(|units| Ipv6RoutingExtensions {
                        routing: raw(units),
                        final_destination_options: None,
                    }),
                    fragment: extensions
                        .atomic
                        .then(|| Ipv6FragmentHeader::new(ip_number::TCP, IpFragOffset::ZERO, false, 7)),
                    auth: extensions
                        .authentication
                        .then(|| IpAuthHeader::new(ip_number::TCP, 1, 2, &[0; 12]).expect("whole words")),
                };
                IpHeaders::Ipv6(header, extensions)
            }
        }
    }
}

fn specs() -> impl Strategy<Value = Spec> {
    let v4 = (any::<[u8; 4]>(), any::<[u8; 4]>(), any::<u8>(), 0..=10_usize)
        .prop_map(|(source, destination, ttl, options)| Ip::V4 { source, destination, ttl, options });
    let unit = || proptest::option::of(0..4_usize);
    let extensions = (unit(), unit(), unit(), any::<bool>(), any::<bool>()).prop_map(
        |(hop_by_hop, destination, routing, atomic, authentication)| Extensions {
            hop_by_hop,
            destination,
            routing,
            atomic,
            authentication,
        },
    );
    let v6 = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<u8>(), extensions).prop_map(
        |(source, destination, hop_limit, extensions)| Ip::V6 { source, destination, hop_limit, extensions },
    );
    let tcp = (any::<(u16, u16)>(), any::<u8>(), any::<u32>(), any::<u32>(), any::<u16>(), 0..=10_usize)
        .prop_map(|(ports, flags, sequence, acknowledgement, window, options)| Transport::Tcp {
            ports,
            flags,
            sequence,
            acknowledgement,
            window,
            options,
        });
    let transport = prop_oneof![
        tcp,
        any::<(u16, u16)>().prop_map(|ports| Transport::Udp { ports }),
        any::<(u16, bool)>().prop_map(|(id, is_reply)| Transport::Echo { id, is_reply }),
    ];
    (
        proptest::collection::vec(0..4096_u16, 0..=2),
        prop_oneof![v4, v6],
        transport,
        proptest::collection::vec(any::<u8>(), 0..1400),
        0..60_usize,
    )
        .prop_map(|(tags, ip, transport, payload, padding)| Spec {
            tags,
            ip,
            transport,
            payload,
            padding,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn built_packets_decode_to_what_they_were_built_from(spec in specs()) {
        let frame = spec.build();
        let meta = decode(&frame);
        prop_assert_eq!(meta.verdict, Verdict::Undecided);
        let h = meta.headers;

        prop_assert_eq!(usize::from(h.vlans.count), spec.tags.len());
        for (place, id) in spec.tags.iter().enumerate() {
            prop_assert_eq!(h.vlans.ids[place], *id);
        }
        match spec.ip {
            Ip::V4 { source, destination, ttl, options } => {
                prop_assert_eq!(h.network, Network::Ipv4);
                prop_assert_eq!((h.source, h.destination), (Address::v4(source), Address::v4(destination)));
                prop_assert_eq!(h.ttl, ttl);
                prop_assert_eq!(usize::from(h.transport_offset - h.network_offset), 20 + options * 4);
            }
            Ip::V6 { source, destination, hop_limit, .. } => {
                prop_assert_eq!(h.network, Network::Ipv6);
                prop_assert_eq!((h.source, h.destination), (Address(source), Address(destination)));
                prop_assert_eq!(h.ttl, hop_limit);
            }
        }
        let ports = (h.source_port, h.destination_port);
        match spec.transport {
            Transport::Tcp { ports: built, flags, sequence, acknowledgement, window, .. } => {
                prop_assert_eq!((h.protocol, ports), (Protocol::TCP, built));
                prop_assert_eq!(h.tcp, TcpFields { flags, sequence, acknowledgement, window });
            }
            Transport::Udp { ports: built } => prop_assert_eq!((h.protocol, ports), (Protocol::UDP, built)),
            Transport::Echo { id, .. } => prop_assert_eq!(ports, (id, id)),
        }
        let end = frame.len() - spec.padding;
        let payload = end - spec.payload.len();
        prop_assert_eq!(usize::from(h.end), end);
        prop_assert_eq!(usize::from(h.payload_offset), payload);
        prop_assert_eq!(usize::from(h.transport_offset), payload - spec.header_length());
        assert_agrees(&frame);
    }

    #[test]
    fn arbitrary_bytes_have_a_disposition_and_agree(frame in proptest::collection::vec(any::<u8>(), 0..300)) {
        assert_disposed(&frame);
        assert_agrees(&frame);
    }

    #[test]
    fn built_packets_with_changed_bytes_have_a_disposition_and_agree(
        spec in specs(),
        changes in proptest::collection::vec((0..120_usize, any::<u8>()), 1..6),
        length in proptest::option::of(0..200_usize),
    ) {
        let mut frame = spec.build();
        for (place, byte) in changes {
            if let Some(target) = frame.get_mut(place) {
                *target = byte;
            }
        }
        frame.truncate(length.unwrap_or(frame.len()));
        repair_checksum(&mut frame);
        assert_disposed(&frame);
        assert_agrees(&frame);
    }
}

#[test]
fn built_arp_packets_are_arp() {
    let arp = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &[2, 0, 0, 0, 0, 1],
        &[192, 0, 2, 1],
        &[0; 6],
        &[192, 0, 2, 2],
    )
    .expect("the lengths are right");
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [0xff; 6]).arp(arp).write(&mut frame).expect("can be built");
    assert_eq!(headers(&frame).network, Network::Arp);
    assert_agrees(&frame);
}
