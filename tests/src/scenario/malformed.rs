//! One packet for each way in which a header can be wrong, and after each a whole one, which must pass.

use std::net::Ipv4Addr;

use etherparse::IpNumber;

use crate::packets::{
    Capture, Tcp, echo, ethernet, inside, inside6, ip, outside, outside6, payload, seal_ipv4, tagged, udp,
};

/// The names of the drop reasons, in the order of the packets.
pub const REASONS: &[&str] = &[
    "ethernet_truncated",
    "vlan_truncated",
    "vlan_depth",
    "arp_malformed",
    "ipv4_truncated",
    "ipv4_version",
    "ipv4_header_length",
    "ipv4_total_length",
    "ipv4_checksum",
    "ipv6_truncated",
    "ipv6_version",
    "ipv6_mapped",
    "ipv6_payload_length",
    "ipv6_extension",
    "ipv6_extension_depth",
    "tcp_truncated",
    "tcp_data_offset",
    "udp_truncated",
    "udp_length",
    "icmp_truncated",
    "icmpv6_truncated",
    "sctp_truncated",
];

/// All of them.
pub fn all() -> Capture {
    let mut capture = Capture::new();
    for reason in REASONS {
        capture.push_as_is(packet(reason));
        capture.push(&udp(outside(1), inside(1), 20)).wait(1);
    }
    capture
}

/// A packet to be dropped for `reason`.
pub fn packet(reason: &str) -> Vec<u8> {
    let (a, b) = (outside(1), inside(1));
    let (a6, b6) = (outside6(1), inside6(1));
    let good = udp(a, b, 20);
    let good6 = udp(a6, b6, 20);
    let segment = Tcp::new(a, b).client(&mut Capture::new(), "S", 0);
    // Changes the IPv4 packet of a frame and makes its checksum right again.
    let sealed = |frame: &[u8], change: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = frame.to_vec();
        change(&mut frame);
        seal_ipv4(&mut frame);
        frame
    };
    let changed = |frame: &[u8], place: usize, value: u8| {
        let mut frame = frame.to_vec();
        frame[place] = value;
        frame
    };
    // Hop-by-hop options that say they are longer than the packet, and more headers than anybody follows.
    let options = |next: u8, length: u8| [next, length, 1, 4, 0, 0, 0, 0];
    match reason {
        "ethernet_truncated" => good[..13].to_vec(),
        "vlan_truncated" => tagged(&good, &[(0x8100, 7)])[..16].to_vec(),
        "vlan_depth" => tagged(&good, &[(0x88a8, 1), (0x8100, 2), (0x8100, 3)]),
        "arp_malformed" => [ethernet(a, b, 0x0806), vec![0, 1, 8, 0, 6, 4, 0, 1]].concat(),
        "ipv4_truncated" => good[..14 + 19].to_vec(),
        "ipv4_version" => changed(&good, 14, 0x65),
        "ipv4_header_length" => changed(&good, 14, 0x44),
        "ipv4_total_length" => {
            sealed(&good, &|frame| frame[16..18].copy_from_slice(&1_000_u16.to_be_bytes()))
        }
        "ipv4_checksum" => changed(&good, 24, good[24] ^ 0xff),
        "ipv6_truncated" => good6[..14 + 39].to_vec(),
        "ipv6_version" => changed(&good6, 14, 0x45),
        "ipv6_mapped" => {
            let mut frame = good6.clone();
            frame[22..38].copy_from_slice(&Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets());
            frame
        }
        "ipv6_payload_length" => changed(&good6, 18, 0x10),
        "ipv6_extension" => ip(a6, b6, IpNumber(0), &options(17, 200)),
        "ipv6_extension_depth" => {
            let chain: Vec<u8> =
                std::iter::repeat_n(options(60, 0), 40).flatten().chain(options(17, 0)).collect();
            ip(a6, b6, IpNumber(60), &[&chain, &good6[54..]].concat())
        }
        "tcp_truncated" => ip(a, b, IpNumber::TCP, &segment[34..34 + 19]),
        "tcp_data_offset" => changed(&segment, 46, 0x40),
        "udp_truncated" => ip(a, b, IpNumber::UDP, &good[34..41]),
        "udp_length" => changed(&good, 39, 7),
        "icmp_truncated" => ip(a, b, IpNumber::ICMP, &echo(a, b, 1, 1, false)[34..37]),
        "icmpv6_truncated" => ip(a6, b6, IpNumber::IPV6_ICMP, &echo(a6, b6, 1, 1, false)[54..57]),
        "sctp_truncated" => ip(a, b, IpNumber::SCTP, &payload(11)),
        other => panic!("no packet is known for {other}"),
    }
}
