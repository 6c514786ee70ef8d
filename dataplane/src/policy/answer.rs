//! What the sender of a packet is told that got no further, and what both ends of a connection are told that a change has cut.
//!
//! TCP gets a reset as the other end would send it (RFC 9293 section 3.10.7), everything else an ICMP or ICMPv6 error that
//! says that communication is administratively prohibited (RFC 1812 section 5.2.7.1, RFC 4443 section 3.1) in the name of the
//! other end, since a bridge has no address of its own. Nothing is said to what must not be answered: errors, later fragments,
//! resets, and what comes from or goes to a group of hosts (RFC 1122 section 3.2.2).

use ravelin_config::types::Protocol;

use crate::{
    forward::{fold, sum},
    parse::{FragmentKind, Headers, Network, TcpFields, tcp_flags},
};

const MACS: usize = 12;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
const ICMP_HEADER: usize = 8;
/// What an error over IPv4 may have at most (RFC 1812 section 4.3.2.3), and over IPv6 (RFC 4443 section 2.4).
const IPV4_ERROR_MAX: usize = 576;
const IPV6_ERROR_MAX: usize = 1280;
/// Hops that an answer may take.
const TTL: u8 = 64;

/// A packet that is put together.
#[derive(Debug)]
pub(crate) struct Answer {
    bytes: [u8; Self::MAX],
    length: usize,
}

/// Why a packet gets no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Policy forbids it.
    Prohibited,
    /// It has no hop left.
    Expired,
    /// It is longer than this, and nobody may make fragments of it.
    TooLong(u16),
}

impl Problem {
    /// Type and code: RFC 1812 section 5.2.7.1, RFC 792, RFC 1191.
    const fn icmp(self) -> [u8; 2] {
        match self {
            Self::Prohibited => [3, 13],
            Self::Expired => [11, 0],
            Self::TooLong(_) => [3, 4],
        }
    }

    /// Type and code, RFC 4443.
    const fn icmpv6(self) -> [u8; 2] {
        match self {
            Self::Prohibited => [1, 1],
            Self::Expired => [3, 0],
            Self::TooLong(_) => [2, 0],
        }
    }

    const fn mtu(self) -> u32 {
        match self {
            Self::Prohibited | Self::Expired => 0,
            Self::TooLong(mtu) => mtu as u32,
        }
    }
}

/// Which end a reset is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Sender,
    Receiver,
}

impl Answer {
    /// Ethernet header, two tags and the longest error.
    const MAX: usize = MACS + 2 + 8 + IPV6_ERROR_MAX;

    /// The whole frame.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// What the sender of a packet is told that is rejected.
    pub(crate) fn reject(frame: &[u8], headers: &Headers) -> Option<Self> {
        if headers.protocol == Protocol::TCP {
            Self::reset(frame, headers, To::Sender)
        } else {
            Self::error(frame, headers, Problem::Prohibited)
        }
    }

    /// A reset for the sender of a TCP segment.
    pub(crate) fn reset_sender(frame: &[u8], headers: &Headers) -> Option<Self> {
        Self::reset(frame, headers, To::Sender)
    }

    /// A reset for the end that a TCP segment was going to.
    pub(crate) fn reset_receiver(frame: &[u8], headers: &Headers) -> Option<Self> {
        Self::reset(frame, headers, To::Receiver)
    }

    fn reset(frame: &[u8], headers: &Headers, to: To) -> Option<Self> {
        const RST_ACK: u8 = tcp_flags::RST | tcp_flags::ACK;
        let TcpFields { flags, sequence, acknowledgement, .. } = headers.tcp;
        let has = |flag: u8| flags & flag != 0;
        if headers.protocol != Protocol::TCP || has(tcp_flags::RST) || !may_be_answered(frame, headers) {
            return None;
        }
        let length = u32::from(headers.end.saturating_sub(headers.payload_offset));
        let length = length + u32::from(has(tcp_flags::SYN)) + u32::from(has(tcp_flags::FIN));
        let (sequence, acknowledgement, flags) = match to {
            To::Sender if has(tcp_flags::ACK) => (acknowledgement, 0, tcp_flags::RST),
            To::Sender => (0, sequence.wrapping_add(length), RST_ACK),
            To::Receiver if has(tcp_flags::ACK) => (sequence, acknowledgement, RST_ACK),
            To::Receiver => (sequence, 0, tcp_flags::RST),
        };
        let mut ports = *frame.get(usize::from(headers.transport_offset)..)?.first_chunk::<4>()?;
        if to == To::Sender {
            ports.rotate_left(2);
        }
        let mut segment = [0; TCP_HEADER];
        segment[..4].copy_from_slice(&ports);
        segment[4..8].copy_from_slice(&sequence.to_be_bytes());
        segment[8..12].copy_from_slice(&acknowledgement.to_be_bytes());
        segment[12] = 5 << 4;
        segment[13] = flags;
        Self::packet(frame, headers, to, Protocol::TCP, &segment, &[], 16)
    }

    /// What the sender of a packet is told about a problem, in the name of where it went.
    pub(crate) fn error(frame: &[u8], headers: &Headers, problem: Problem) -> Option<Self> {
        if is_error(headers) || !may_be_answered(frame, headers) {
            return None;
        }
        let (protocol, icmp, room) = match headers.network {
            Network::Ipv4 => (Protocol::ICMP, problem.icmp(), IPV4_ERROR_MAX - IPV4_HEADER - ICMP_HEADER),
            Network::Ipv6 => (Protocol::ICMPV6, problem.icmpv6(), IPV6_ERROR_MAX - IPV6_HEADER - ICMP_HEADER),
            Network::Arp | Network::Lldp | Network::Stp | Network::Other => return None,
        };
        let quoted =
            frame.get(usize::from(headers.network_offset)..usize::from(headers.end).min(frame.len()))?;
        let quoted = quoted.get(..room).unwrap_or(quoted);
        let [kind, code] = icmp;
        let [a, b, c, d] = problem.mtu().to_be_bytes();
        let head = [kind, code, 0, 0, a, b, c, d];
        Self::packet(frame, headers, To::Sender, protocol, &head, quoted, 2)
    }

    /// A packet between the ends of `headers` whose transport part is `head` and `tail`, with its checksum at `field`.
    fn packet(
        frame: &[u8],
        headers: &Headers,
        to: To,
        protocol: Protocol,
        head: &[u8],
        tail: &[u8],
        field: usize,
    ) -> Option<Self> {
        let mut answer = Self { bytes: [0; Self::MAX], length: 0 };
        let mut macs = *frame.first_chunk::<MACS>()?;
        if to == To::Sender {
            macs.rotate_left(MACS / 2);
        }
        answer.put(&macs)?;
        answer.put(frame.get(MACS..usize::from(headers.network_offset))?)?;
        let (source, destination) = match to {
            To::Sender => (headers.destination.0, headers.source.0),
            To::Receiver => (headers.source.0, headers.destination.0),
        };
        let length = u16::try_from(head.len() + tail.len()).ok()?;
        let is_v4 = headers.network == Network::Ipv4;
        if is_v4 {
            let [.., s0, s1, s2, s3] = source;
            let [.., d0, d1, d2, d3] = destination;
            let [high, low] = (length + IPV4_HEADER as u16).to_be_bytes();
            let mut ip =
                [0x45, 0, high, low, 0, 0, 0x40, 0, TTL, protocol.0, 0, 0, s0, s1, s2, s3, d0, d1, d2, d3];
            let [high, low] = (!fold(sum(&ip))).to_be_bytes();
            (ip[10], ip[11]) = (high, low);
            answer.put(&ip)?;
        } else {
            let [high, low] = length.to_be_bytes();
            answer.put(&[0x60, 0, 0, 0, high, low, protocol.0, TTL])?;
            answer.put(&source)?;
            answer.put(&destination)?;
        }
        // ICMP over IPv4 has no pseudo-header. The mapped form of an IPv4 address adds 0xffff, which is nothing, twice.
        let pseudo = if is_v4 && protocol == Protocol::ICMP {
            0
        } else {
            sum(&source) + sum(&destination) + u64::from(protocol.0) + u64::from(length)
        };
        let start = answer.length;
        answer.put(head)?;
        answer.put(tail)?;
        let covered = answer.bytes.get_mut(start..answer.length)?;
        let checksum = !fold(pseudo + sum(covered));
        *covered.get_mut(field..)?.first_chunk_mut()? = checksum.to_be_bytes();
        Some(answer)
    }

    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length + bytes.len();
        self.bytes.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }
}

/// Whether a packet is an ICMP error or redirect, also one that does not quote enough to be related to a flow.
fn is_error(headers: &Headers) -> bool {
    let [kind, _] = headers.icmp;
    match headers.protocol {
        Protocol::ICMP => matches!(kind, 3..=5 | 11 | 12),
        Protocol::ICMPV6 => kind < 128 || kind == 137,
        _ => false,
    }
}

/// Whether a packet is from one host to one host and is the whole of it, or begins it.
fn may_be_answered(frame: &[u8], headers: &Headers) -> bool {
    let group_mac = frame.first().is_some_and(|first| first & 1 != 0);
    let single = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(address) => {
            !address.is_multicast() && !address.is_broadcast() && !address.is_unspecified()
        }
        std::net::IpAddr::V6(address) => !address.is_multicast() && !address.is_unspecified(),
    };
    !group_mac
        && headers.is_ip()
        && headers.fragment.kind != FragmentKind::Later
        && single(headers.source.ip())
        && single(headers.destination.ip())
}

#[cfg(test)]
mod tests {
    use etherparse::{IpNumber, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

    use super::{Answer, fold, sum};
    use crate::{
        batch::{Batch, Meta},
        io::memory::MemoryFrame,
        parse::{
            DecodeStage, Headers,
            tcp_flags::{FIN, PSH, SYN},
        },
        verdict::Verdict,
    };

    const MACS: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    const A6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const B6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

    fn decoded(frame: &[u8]) -> Headers {
        let mut batch = Batch::new(1);
        batch.push(MemoryFrame::new(frame), Meta::default()).unwrap();
        DecodeStage.run(&mut batch);
        let meta = batch.metas()[0];
        assert_eq!(meta.verdict, Verdict::Undecided);
        meta.headers
    }

    /// What a strict reader finds in the answer, after it has checked every checksum.
    fn checked(answer: &Answer) -> SlicedPacket<'_> {
        let packet = SlicedPacket::from_ethernet(answer.bytes()).unwrap();
        match (packet.net.as_ref().unwrap(), packet.transport.as_ref().unwrap()) {
            (NetSlice::Ipv4(ip), TransportSlice::Tcp(tcp)) => {
                let (ip, header) = (ip.header().to_header(), tcp.to_header());
                assert_eq!(ip.calc_header_checksum(), ip.header_checksum);
                assert_eq!(header.calc_checksum_ipv4(&ip, tcp.payload()).unwrap(), tcp.checksum());
            }
            (NetSlice::Ipv4(ip), TransportSlice::Icmpv4(icmp)) => {
                let ip = ip.header().to_header();
                assert_eq!(ip.calc_header_checksum(), ip.header_checksum);
                assert_eq!(icmp.header().icmp_type.calc_checksum(icmp.payload()), icmp.checksum());
            }
            (NetSlice::Ipv6(ip), TransportSlice::Tcp(tcp)) => {
                let (ip, header) = (ip.header().to_header(), tcp.to_header());
                assert_eq!(header.calc_checksum_ipv6(&ip, tcp.payload()).unwrap(), tcp.checksum());
            }
            (NetSlice::Ipv6(ip), TransportSlice::Icmpv6(icmp)) => {
                assert!(icmp.is_checksum_valid(ip.header().source(), ip.header().destination()));
            }
            other => panic!("{other:?}"),
        }
        packet
    }

    #[test]
    fn a_syn_is_answered_as_a_closed_port_would() {
        for v6 in [false, true] {
            let eth = PacketBuilder::ethernet2(MACS.0, MACS.1);
            let mut frame = Vec::new();
            if v6 {
                eth.ipv6(A6, B6, 9).tcp(4000, 443, 77, 1024).syn().write(&mut frame, &[]).unwrap();
            } else {
                eth.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9)
                    .tcp(4000, 443, 77, 1024)
                    .syn()
                    .write(&mut frame, &[])
                    .unwrap();
            }
            let answer = Answer::reject(&frame, &decoded(&frame)).unwrap();
            let headers = decoded(answer.bytes());
            let packet = checked(&answer);
            let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!() };
            assert!(tcp.rst() && tcp.ack() && !tcp.syn());
            assert_eq!((tcp.sequence_number(), tcp.acknowledgment_number()), (0, 78));
            assert_eq!((tcp.source_port(), tcp.destination_port()), (443, 4000));
            assert_eq!(headers.source, decoded(&frame).destination);
            assert_eq!(&answer.bytes()[..6], &MACS.0);
        }
    }

    #[test]
    fn a_segment_without_acknowledgement_is_acknowledged_by_its_reset() {
        // Sequence number, flags, payload: what the sender has used up by it.
        for (sequence, flags, payload, expected) in [
            (1000, PSH, &b"hello"[..], 1005),
            (1000, FIN, b"", 1001),
            (1000, FIN, b"hello", 1006),
            (1000, SYN, b"hello", 1006),
            (u32::MAX, SYN, b"", 0),
            (u32::MAX - 2, 0, b"hello", 2),
        ] {
            let mut frame = Vec::new();
            let eth = PacketBuilder::ethernet2(MACS.0, MACS.1).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9);
            eth.tcp(4000, 443, sequence, 1024).write(&mut frame, payload).unwrap();
            frame[47] = flags;
            // What pads a frame to its least length is not of the segment.
            frame.resize(frame.len().max(60), 0xee);
            let answer = Answer::reject(&frame, &decoded(&frame)).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = checked(&answer).transport else { panic!() };
            assert_eq!((tcp.sequence_number(), tcp.acknowledgment_number()), (0, expected));
            assert!(tcp.rst() && tcp.ack());
            // The other end takes a reset without acknowledgement at the number that it expects.
            let answer = Answer::reset_receiver(&frame, &decoded(&frame)).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = checked(&answer).transport else { panic!() };
            assert_eq!((tcp.sequence_number(), tcp.rst(), tcp.ack()), (sequence, true, false));
        }
    }

    #[test]
    fn both_ends_of_a_connection_accept_their_reset() {
        let mut frame = Vec::new();
        let eth =
            PacketBuilder::ethernet2(MACS.0, MACS.1).vlan(etherparse::VlanHeader::Single(Default::default()));
        eth.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9)
            .tcp(4000, 443, 1000, 1024)
            .ack(5000)
            .write(&mut frame, b"hello")
            .unwrap();
        let headers = decoded(&frame);
        let sender = Answer::reset_sender(&frame, &headers).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = checked(&sender).transport else { panic!() };
        // RFC 5961: exactly what the sender expects next.
        assert_eq!((tcp.sequence_number(), tcp.rst(), tcp.destination_port()), (5000, true, 4000));
        let receiver = Answer::reset_receiver(&frame, &headers).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = checked(&receiver).transport else { panic!() };
        assert_eq!((tcp.sequence_number(), tcp.rst(), tcp.destination_port()), (1000, true, 443));
        assert_eq!(receiver.bytes()[..16], frame[..16], "same MAC addresses, same tag");
    }

    #[test]
    fn others_are_told_by_icmp_with_what_they_sent() {
        let mut frame = Vec::new();
        let eth = PacketBuilder::ethernet2(MACS.0, MACS.1);
        eth.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9).udp(53, 5353).write(&mut frame, &[1; 1400]).unwrap();
        let answer = Answer::reject(&frame, &decoded(&frame)).unwrap();
        let Some(TransportSlice::Icmpv4(icmp)) = checked(&answer).transport else { panic!() };
        assert_eq!((icmp.type_u8(), icmp.code_u8()), (3, 13));
        assert_eq!(icmp.payload(), &frame[14..14 + 548]);

        let mut frame = Vec::new();
        let eth = PacketBuilder::ethernet2(MACS.0, MACS.1);
        eth.ipv6(A6, B6, 9).udp(53, 5353).write(&mut frame, &[1; 1400]).unwrap();
        let answer = Answer::reject(&frame, &decoded(&frame)).unwrap();
        let Some(TransportSlice::Icmpv6(icmp)) = checked(&answer).transport else { panic!() };
        assert_eq!((icmp.type_u8(), icmp.code_u8()), (1, 1));
        assert_eq!(answer.bytes().len(), 14 + 1280);
    }

    #[test]
    fn extension_headers_are_quoted_and_not_answered_in_kind() {
        /// Hop-by-hop options that say nothing, before `next`.
        const fn options(next: u8) -> [u8; 8] {
            [next, 0, 1, 4, 0, 0, 0, 0]
        }
        let with_options = |mut frame: Vec<u8>| {
            let next = std::mem::replace(&mut frame[20], 0);
            frame.splice(54..54, options(next));
            frame[19] += 8;
            // Behind the end of the packet.
            frame.extend([0xee; 10]);
            frame
        };
        let mut frame = Vec::new();
        let packet = || PacketBuilder::ethernet2(MACS.0, MACS.1).ipv6(A6, B6, 9);
        packet().udp(53, 5353).write(&mut frame, &[1; 60]).unwrap();
        let frame = with_options(frame);
        let answer = Answer::reject(&frame, &decoded(&frame)).unwrap();
        let Some(TransportSlice::Icmpv6(icmp)) = checked(&answer).transport else { panic!() };
        assert_eq!(icmp.payload(), &frame[14..frame.len() - 10]);

        let mut frame = Vec::new();
        packet().tcp(4000, 443, 77, 1024).syn().write(&mut frame, &[]).unwrap();
        let frame = with_options(frame);
        let answer = Answer::reject(&frame, &decoded(&frame)).unwrap();
        assert_eq!(answer.bytes().len(), 14 + 40 + 20);
        let Some(TransportSlice::Tcp(tcp)) = checked(&answer).transport else { panic!() };
        assert_eq!((tcp.acknowledgment_number(), tcp.destination_port()), (78, 4000));
    }

    #[test]
    fn protocols_without_an_answer_of_their_own_are_told_by_icmp() {
        let sctp = [0, 7, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 4];
        for (protocol, payload) in [(132, &sctp[..]), (47, &[0; 4]), (50, &[5; 30])] {
            let mut frame = Vec::new();
            let eth = PacketBuilder::ethernet2(MACS.0, MACS.1).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9);
            eth.write(&mut frame, IpNumber(protocol), payload).unwrap();
            let answer = Answer::reject(&frame, &decoded(&frame)).unwrap();
            let Some(TransportSlice::Icmpv4(icmp)) = checked(&answer).transport else { panic!() };
            assert_eq!((icmp.type_u8(), icmp.code_u8(), icmp.payload()), (3, 13, &frame[14..]));
        }
    }

    #[test]
    fn errors_and_redirects_are_not_answered() {
        let quote = [0x45, 0, 0];
        for (kind, answered) in [(3, false), (5, false), (11, false), (8, true), (0, true), (13, true)] {
            let mut frame = Vec::new();
            let eth = PacketBuilder::ethernet2(MACS.0, MACS.1).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9);
            eth.icmpv4_raw(kind, 0, [0; 4]).write(&mut frame, &quote).unwrap();
            let headers = decoded(&frame);
            assert!(!headers.icmp_error, "it quotes too little");
            assert_eq!(Answer::reject(&frame, &headers).is_some(), answered, "type {kind}");
        }
        for (kind, answered) in [(1, false), (4, false), (100, false), (137, false), (128, true), (136, true)]
        {
            let mut frame = Vec::new();
            let eth = PacketBuilder::ethernet2(MACS.0, MACS.1).ipv6(A6, B6, 9);
            eth.icmpv6_raw(kind, 0, [0; 4]).write(&mut frame, &quote).unwrap();
            assert_eq!(Answer::reject(&frame, &decoded(&frame)).is_some(), answered, "type {kind}");
        }
    }

    #[test]
    fn a_first_fragment_is_answered_and_a_later_one_is_not() {
        for (place, answered) in [([0x20, 0], true), ([0, 9], false)] {
            let mut frame = Vec::new();
            let eth = PacketBuilder::ethernet2(MACS.0, MACS.1).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9);
            eth.udp(53, 5353).write(&mut frame, &[1; 64]).unwrap();
            frame[20..22].copy_from_slice(&place);
            frame[24..26].fill(0);
            let checksum = !fold(sum(&frame[14..34]));
            frame[24..26].copy_from_slice(&checksum.to_be_bytes());
            assert_eq!(Answer::reject(&frame, &decoded(&frame)).is_some(), answered);
        }
    }

    #[test]
    fn what_must_not_be_answered_is_not() {
        let built = |destination: [u8; 4], mac: [u8; 6]| {
            let mut frame = Vec::new();
            let eth = PacketBuilder::ethernet2(MACS.0, mac);
            eth.ipv4([10, 0, 0, 1], destination, 9).udp(53, 5353).write(&mut frame, &[1; 40]).unwrap();
            frame
        };
        for frame in [
            built([224, 0, 0, 251], [1, 0, 0x5e, 0, 0, 0xfb]),
            built([255, 255, 255, 255], [0xff; 6]),
            built([10, 0, 0, 2], [0xff; 6]),
        ] {
            assert!(Answer::reject(&frame, &decoded(&frame)).is_none());
        }
        let mut frame = Vec::new();
        let eth = PacketBuilder::ethernet2(MACS.0, MACS.1);
        eth.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9).tcp(1, 2, 3, 4).rst().write(&mut frame, &[]).unwrap();
        assert!(Answer::reject(&frame, &decoded(&frame)).is_none(), "a reset is not answered by a reset");
    }
}
