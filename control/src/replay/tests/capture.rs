//! Captures that tests build themselves.

use std::net::IpAddr;

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, IpFragOffset, IpHeaders, IpNumber, Ipv4Extensions,
    Ipv4Header, Ipv6Extensions, Ipv6FlowLabel, Ipv6Header, PacketBuilder, PacketBuilderStep, TcpHeader,
    VlanId,
};

const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// A capture in the making: pcap, little endian, microseconds, Ethernet.
pub(super) struct Capture(Vec<u8>);

impl Capture {
    pub(super) fn new() -> Self {
        let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        bytes.extend_from_slice(&[2, 0, 4, 0]);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&262_144_u32.to_le_bytes());
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        Self(bytes)
    }

    /// Adds a packet that was captured at `micros` after 2024-03-26T10:00:00Z.
    pub(super) fn add(&mut self, micros: u64, packet: &[u8]) {
        let time = 1_711_447_200_000_000 + micros;
        let length = u32::try_from(packet.len()).unwrap();
        for field in [u32::try_from(time / 1_000_000).unwrap(), (time % 1_000_000) as u32, length, length] {
            self.0.extend_from_slice(&field.to_le_bytes());
        }
        self.0.extend_from_slice(packet);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An IP header without payload length.
pub(super) fn ip(source: &str, destination: &str) -> IpHeaders {
    match (source.parse().unwrap(), destination.parse().unwrap()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => IpHeaders::Ipv4(
            Ipv4Header {
                source: source.octets(),
                destination: destination.octets(),
                time_to_live: 64,
                ..Ipv4Header::default()
            },
            Ipv4Extensions::default(),
        ),
        (IpAddr::V6(source), IpAddr::V6(destination)) => IpHeaders::Ipv6(
            Ipv6Header {
                source: source.octets(),
                destination: destination.octets(),
                hop_limit: 64,
                flow_label: Ipv6FlowLabel::ZERO,
                ..Ipv6Header::default()
            },
            Ipv6Extensions::default(),
        ),
        _ => panic!("addresses of two families"),
    }
}

/// An Ethernet frame with VLAN tags around an IP header.
pub(super) fn frame(vlans: &[u16], ip: IpHeaders) -> PacketBuilderStep<IpHeaders> {
    let ethernet = PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC);
    let id = |id: u16| VlanId::try_new(id).unwrap();
    match *vlans {
        [] => ethernet.ip(ip),
        [vlan] => ethernet.single_vlan(id(vlan)).ip(ip),
        [outer, inner] => ethernet.double_vlan(id(outer), id(inner)).ip(ip),
        _ => panic!("at most two tags"),
    }
}

pub(super) fn udp(
    vlans: &[u16],
    (source, source_port): (&str, u16),
    (destination, port): (&str, u16),
    payload: usize,
) -> Vec<u8> {
    let mut out = Vec::new();
    frame(vlans, ip(source, destination))
        .udp(source_port, port)
        .write(&mut out, &vec![0x55; payload])
        .unwrap();
    out
}

/// Flags are letters: S, A, F, R, P.
pub(super) fn tcp(
    (source, source_port): (&str, u16),
    (destination, port): (&str, u16),
    flags: &str,
    (sequence, acknowledgement): (u32, u32),
    payload: usize,
) -> Vec<u8> {
    let has = |flag| flags.contains(flag);
    let header = TcpHeader {
        syn: has('S'),
        ack: has('A'),
        fin: has('F'),
        rst: has('R'),
        psh: has('P'),
        acknowledgment_number: acknowledgement,
        ..TcpHeader::new(source_port, port, sequence, 64_000)
    };
    let mut out = Vec::new();
    frame(&[], ip(source, destination)).tcp_header(header).write(&mut out, &vec![0x55; payload]).unwrap();
    out
}

pub(super) fn ping(source: &str, destination: &str, request: bool, id: u16) -> Vec<u8> {
    let step = frame(&[], ip(source, destination));
    let mut out = Vec::new();
    match (source.contains(':'), request) {
        (false, true) => step.icmpv4_echo_request(id, 1).write(&mut out, &[1; 56]),
        (false, false) => step.icmpv4_echo_reply(id, 1).write(&mut out, &[1; 56]),
        (true, true) => step.icmpv6_echo_request(id, 1).write(&mut out, &[1; 56]),
        (true, false) => step.icmpv6_echo_reply(id, 1).write(&mut out, &[1; 56]),
    }
    .unwrap();
    out
}

/// ICMP port unreachable, which quotes `packet`.
pub(super) fn unreachable(source: &str, destination: &str, packet: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame(&[], ip(source, destination)).icmpv4_raw(3, 3, [0; 4]).write(&mut out, &packet[14..42]).unwrap();
    out
}

/// The IPv4 packet cut into fragments of at most `size` bytes of payload, a multiple of eight.
pub(super) fn fragments(packet: &[u8], size: usize, id: u16) -> Vec<Vec<u8>> {
    let (header, _) = Ipv4Header::from_slice(&packet[14..]).unwrap();
    let payload = &packet[34..];
    let count = payload.len().div_ceil(size);
    payload
        .chunks(size)
        .enumerate()
        .map(|(index, chunk)| {
            let mut header = Ipv4Header {
                identification: id,
                more_fragments: index + 1 < count,
                fragment_offset: IpFragOffset::try_new(u16::try_from(index * size / 8).unwrap()).unwrap(),
                dont_fragment: false,
                protocol: IpNumber::UDP,
                ..header.clone()
            };
            header.set_payload_len(chunk.len()).unwrap();
            header.header_checksum = header.calc_header_checksum();
            let mut out = packet[..14].to_vec();
            header.write(&mut out).unwrap();
            out.extend_from_slice(chunk);
            out
        })
        .collect()
}

pub(super) fn arp() -> Vec<u8> {
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &CLIENT_MAC,
        &[10, 0, 0, 2],
        &[0; 6],
        &[10, 0, 0, 1],
    )
    .unwrap();
    let mut out = Vec::new();
    PacketBuilder::ethernet2(CLIENT_MAC, [0xff; 6]).arp(packet).write(&mut out).unwrap();
    out
}

/// A whole TCP connection from handshake to close: eleven packets, of which the server sends one twice.
pub(super) fn connection(capture: &mut Capture, start: u64, client: (&str, u16), server: (&str, u16)) {
    let packets = [
        (0, tcp(client, server, "S", (1_000, 0), 0)),
        (20_000, tcp(server, client, "SA", (5_000, 1_001), 0)),
        (20_500, tcp(client, server, "A", (1_001, 5_001), 0)),
        (21_000, tcp(client, server, "PA", (1_001, 5_001), 300)),
        (41_000, tcp(server, client, "A", (5_001, 1_301), 0)),
        (42_000, tcp(server, client, "PA", (5_001, 1_301), 1_400)),
        (43_000, tcp(server, client, "PA", (5_001, 1_301), 1_400)),
        (62_000, tcp(client, server, "A", (1_301, 6_401), 0)),
        (63_000, tcp(client, server, "FA", (1_301, 6_401), 0)),
        (83_000, tcp(server, client, "FA", (6_401, 1_302), 0)),
        (83_500, tcp(client, server, "A", (1_302, 6_402), 0)),
    ];
    for (after, packet) in packets {
        capture.add(start + after, &packet);
    }
}
