//! Packets and captures made to order: the source of every `input.pcap` under `tests/scenarios/`.
//!
//! Addresses are those that documentation may use (RFC 5737, RFC 3849), MAC addresses are locally administered. A capture
//! starts at a fixed time and goes on only as it is told to, so the same calls give the same bytes.

use std::{fs, net::IpAddr, path::Path, time::Duration};

use etherparse::{
    IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, PacketBuilder, TcpHeader, checksum::u32_16bit_word,
};

mod tcp;

pub use tcp::Tcp;

/// One end of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Link address.
    pub mac: [u8; 6],
    /// Network address.
    pub ip: IpAddr,
    /// Port.
    pub port: u16,
}

impl End {
    /// The same host at another port.
    pub const fn at(self, port: u16) -> Self {
        Self { port, ..self }
    }
}

/// Host `number` of the outside network, 192.0.2.0/24.
pub const fn outside(number: u8) -> End {
    End {
        mac: [2, 0, 0, 0, 1, number],
        ip: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, number)),
        port: 40_000,
    }
}

/// Host `number` of the inside network, 198.51.100.0/24.
pub const fn inside(number: u8) -> End {
    End {
        mac: [2, 0, 0, 0, 2, number],
        ip: IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, number)),
        port: 80,
    }
}

/// Host `number` of the outside IPv6 network, `2001:db8:1::/64`.
pub const fn outside6(number: u16) -> End {
    let ip = std::net::Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, number);
    End { mac: [2, 0, 0, 6, 1, 1], ip: IpAddr::V6(ip), port: 40_000 }
}

/// Host `number` of the inside IPv6 network, `2001:db8:2::/64`.
pub const fn inside6(number: u16) -> End {
    let ip = std::net::Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, number);
    End { mac: [2, 0, 0, 6, 2, 1], ip: IpAddr::V6(ip), port: 80 }
}

/// What a capture's packets begin with; the numbers of <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Nothing: IP at once.
    Raw,
    /// An Ethernet header.
    Ethernet,
    /// The header of Linux's `any` device, version 1.
    Cooked,
    /// Version 2 of that.
    Cooked2,
    /// An address family in the byte order of the machine that captured, here little-endian.
    Null,
}

impl Link {
    const fn number(self) -> u32 {
        match self {
            Self::Null => 0,
            Self::Ethernet => 1,
            Self::Raw => 101,
            Self::Cooked => 113,
            Self::Cooked2 => 276,
        }
    }

    /// A frame of this link type that carries the IP packet of an Ethernet frame.
    fn wrap(self, ethernet: &[u8]) -> Vec<u8> {
        let (ethertype, packet) = (&ethernet[12..14], &ethernet[14..]);
        let source = &ethernet[6..12];
        let header = match self {
            Self::Raw => Vec::new(),
            Self::Ethernet => return ethernet.to_vec(),
            // Packet type (to us), ARPHRD_ETHER, address length and address, protocol.
            Self::Cooked => [&[0, 0, 0, 1, 0, 6], source, &[0, 0], ethertype].concat(),
            // Protocol, reserved, interface index, ARPHRD_ETHER, packet type, address length and address.
            Self::Cooked2 => [ethertype, &[0, 0, 0, 0, 0, 1, 0, 1, 0, 6], source, &[0, 0]].concat(),
            Self::Null => vec![if packet[0] >> 4 == 4 { 2 } else { 24 }, 0, 0, 0],
        };
        [header.as_slice(), packet].concat()
    }
}

/// Packets with their times, to be written as a pcap file.
#[derive(Clone, Debug)]
pub struct Capture {
    link: Link,
    now: Duration,
    packets: Vec<(Duration, Vec<u8>)>,
}

impl Capture {
    /// An empty Ethernet capture that starts at 2026-01-01 00:00:00 UTC.
    pub fn new() -> Self {
        Self::of(Link::Ethernet)
    }

    /// An empty capture of another link type.
    pub fn of(link: Link) -> Self {
        Self { link, now: Duration::from_secs(1_767_225_600), packets: Vec::new() }
    }

    /// Lets time pass.
    pub fn wait(&mut self, milliseconds: u64) -> &mut Self {
        self.now += Duration::from_millis(milliseconds);
        self
    }

    /// Adds an Ethernet frame, wrapped as the link type wants it, a microsecond after what came before it.
    pub fn push(&mut self, ethernet: &[u8]) -> &mut Self {
        let bytes = self.link.wrap(ethernet);
        self.push_as_is(bytes)
    }

    /// Adds bytes as they are.
    pub fn push_as_is(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.now += Duration::from_micros(1);
        self.packets.push((self.now, bytes.into()));
        self
    }

    /// Adds the packets of another capture, one after the other.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        for (_, bytes) in &other.packets {
            self.push_as_is(bytes.clone());
        }
        self
    }

    /// The packets' bytes.
    pub fn frames(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.packets.iter().map(|(_, bytes)| bytes)
    }

    /// How many packets there are.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The file's bytes: classic pcap, little-endian, microseconds.
    pub fn to_pcap(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, self.link.number()] {
            file.extend(field.to_le_bytes());
        }
        for (time, bytes) in &self.packets {
            let length = u32::try_from(bytes.len()).expect("packets are short");
            let seconds = u32::try_from(time.as_secs()).expect("before 2106");
            for field in [seconds, time.subsec_micros(), length, length] {
                file.extend(field.to_le_bytes());
            }
            file.extend(bytes);
        }
        file
    }
}

/// The frames of a capture file as [`Capture::to_pcap`], `ravelin replay --write` and tcpdump write it.
pub fn frames(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).unwrap_or_default();
    let mut rest = file.get(24..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some(length) = rest.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        let Some(frame) = rest.get(16..16 + length) else { break };
        frames.push(frame.to_vec());
        rest = &rest[16 + length..];
    }
    frames
}

impl Default for Capture {
    fn default() -> Self {
        Self::new()
    }
}

/// A UDP datagram with `length` bytes of payload.
pub fn udp(from: End, to: End, length: usize) -> Vec<u8> {
    datagram(from, to, &payload(length))
}

/// A UDP datagram with this payload.
pub fn datagram(from: End, to: End, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(8 + payload.len()).expect("datagrams are short");
    let header = [from.port, to.port, total, 0].map(u16::to_be_bytes).concat();
    ip(from, to, IpNumber::UDP, &[&header, payload].concat())
}

/// An ICMP or ICMPv6 echo request, or the reply to one.
pub fn echo(from: End, to: End, identifier: u16, sequence: u16, reply: bool) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(from.mac, to.mac);
    let mut frame = Vec::new();
    let data = payload(32);
    match (from.ip, to.ip) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let builder = builder.ipv4(source.octets(), destination.octets(), 64);
            let builder = if reply {
                builder.icmpv4_echo_reply(identifier, sequence)
            } else {
                builder.icmpv4_echo_request(identifier, sequence)
            };
            builder.write(&mut frame, &data)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let builder = builder.ipv6(source.octets(), destination.octets(), 64);
            let builder = if reply {
                builder.icmpv6_echo_reply(identifier, sequence)
            } else {
                builder.icmpv6_echo_request(identifier, sequence)
            };
            builder.write(&mut frame, &data)
        }
        _ => panic!("both ends are of one family"),
    }
    .expect("a vector takes everything");
    frame
}

/// An ICMP error (type and code) from `from` to the sender of `about`, an Ethernet frame that carries IPv4 or IPv6; quotes
/// its IP header and 8 bytes.
pub fn icmp_error(from: End, to: End, kind: [u8; 2], about: &[u8]) -> Vec<u8> {
    let (number, header) = match about[14] >> 4 {
        4 => (IpNumber::ICMP, 20),
        _ => (IpNumber::IPV6_ICMP, 40),
    };
    let quote = &about[14..14 + header + 8];
    let [kind, code] = kind;
    ip(from, to, number, &[&[kind, code, 0, 0, 0, 0, 0, 0], quote].concat())
}

/// An Ethernet frame with an IP packet, the transport checksum filled in where the payload is UDP, TCP or ICMP.
pub fn ip(from: End, to: End, protocol: IpNumber, payload: &[u8]) -> Vec<u8> {
    let payload = with_checksum(from.ip, to.ip, protocol, payload);
    let mut frame = ethernet(from, to, ethertype(from));
    frame.extend(match (from.ip, to.ip) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = u16::try_from(payload.len()).expect("packets are short");
            let mut header = Ipv4Header::new(length, 64, protocol, source.octets(), destination.octets())
                .expect("packets are short");
            header.header_checksum = header.calc_header_checksum();
            header.to_bytes().to_vec()
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => Ipv6Header {
            traffic_class: 0,
            flow_label: Ipv6FlowLabel::ZERO,
            payload_length: u16::try_from(payload.len()).expect("packets are short"),
            next_header: protocol,
            hop_limit: 64,
            source: source.octets(),
            destination: destination.octets(),
        }
        .to_bytes()
        .to_vec(),
        _ => panic!("both ends are of one family"),
    });
    frame.extend(payload);
    frame
}

/// An Ethernet header.
pub fn ethernet(from: End, to: End, ethertype: u16) -> Vec<u8> {
    [&to.mac[..], &from.mac[..], &ethertype.to_be_bytes()].concat()
}

/// The frame with VLAN tags put in, outermost first: EtherType of the tag, and identifier.
pub fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    for (kind, id) in tags {
        tagged.extend(kind.to_be_bytes());
        tagged.extend(id.to_be_bytes());
    }
    tagged.extend(&frame[12..]);
    tagged
}

/// The IPv4 packet of an Ethernet frame, cut into fragments whose payloads begin at these offsets (bytes, multiples of 8).
pub fn fragments(frame: &[u8], offsets: &[usize]) -> Vec<Vec<u8>> {
    let (header, data) = frame.split_at(14 + 20);
    let ends = offsets.iter().skip(1).copied().chain([data.len()]);
    let pieces = offsets.iter().zip(ends);
    pieces.map(|(&start, end)| fragment(header, start, &data[start..end], end < data.len())).collect()
}

/// One IPv4 fragment: Ethernet and IPv4 header as in `header`, payload, offset and whether more follow.
pub fn fragment(header: &[u8], offset: usize, payload: &[u8], more: bool) -> Vec<u8> {
    let mut frame = [&header[..34], payload].concat();
    let units = u16::try_from(offset / 8).expect("an offset fits into 13 bits");
    let length = u16::try_from(20 + payload.len()).expect("packets are short");
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    frame[20..22].copy_from_slice(&(units | (u16::from(more) << 13)).to_be_bytes());
    seal_ipv4(&mut frame);
    frame
}

/// Sets the identification of an IPv4 packet and its header checksum.
pub fn identified(frame: &[u8], identification: u16) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[18..20].copy_from_slice(&identification.to_be_bytes());
    seal_ipv4(&mut frame);
    frame
}

/// Computes the header checksum of the IPv4 packet in an Ethernet frame anew.
pub fn seal_ipv4(frame: &mut [u8]) {
    let length = usize::from(frame[14] & 0x0f) * 4;
    frame[24..26].fill(0);
    let sum = u32_16bit_word::add_slice(0, &frame[14..14 + length]);
    // The sum is over words in the machine's order, which gives the right bytes in the machine's order (RFC 1071).
    let sum = u32_16bit_word::ones_complement(sum).to_ne_bytes();
    frame[24..26].copy_from_slice(&sum);
}

/// Bytes that are easy to recognise.
pub fn payload(length: usize) -> Vec<u8> {
    b"ravelin ".iter().copied().cycle().take(length).collect()
}

fn ethertype(end: End) -> u16 {
    if end.ip.is_ipv4() { 0x0800 } else { 0x86dd }
}

/// The payload with the checksum of its protocol in place.
fn with_checksum(source: IpAddr, destination: IpAddr, protocol: IpNumber, payload: &[u8]) -> Vec<u8> {
    let place = match protocol {
        IpNumber::TCP => 16,
        IpNumber::UDP => 6,
        IpNumber::ICMP | IpNumber::IPV6_ICMP => 2,
        _ => return payload.to_vec(),
    };
    let mut payload = payload.to_vec();
    if payload.len() < place + 2 {
        return payload;
    }
    payload[place..place + 2].fill(0);
    let mut sum = u32_16bit_word::add_slice(0, &payload);
    if protocol != IpNumber::ICMP {
        let length = u32::try_from(payload.len()).expect("packets are short");
        sum = u32_16bit_word::add_slice(sum, &length.to_be_bytes());
        sum = u32_16bit_word::add_slice(sum, &[0, protocol.0]);
        for address in [source, destination] {
            sum = match address {
                IpAddr::V4(address) => u32_16bit_word::add_slice(sum, &address.octets()),
                IpAddr::V6(address) => u32_16bit_word::add_slice(sum, &address.octets()),
            };
        }
    }
    let sum = u32_16bit_word::ones_complement(sum);
    // RFC 768: a UDP checksum that comes out as zero is sent as all ones.
    let sum = if sum == 0 && protocol == IpNumber::UDP { 0xffff } else { sum };
    payload[place..place + 2].copy_from_slice(&sum.to_ne_bytes());
    payload
}

/// An Ethernet frame that carries one TCP segment.
fn segment(from: End, to: End, header: &TcpHeader, payload: &[u8]) -> Vec<u8> {
    ip(from, to, IpNumber::TCP, &[header.to_bytes().as_slice(), payload].concat())
}
