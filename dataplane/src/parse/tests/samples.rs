//! Valid packets, one of each kind, written out in small pieces.

use crate::forward::checksum::{fold, sum};

/// Sender's and receiver's addresses in all samples.
pub(super) const V4: ([u8; 4], [u8; 4]) = ([192, 0, 2, 1], [198, 51, 100, 2]);
pub(super) const V6: ([u8; 16], [u8; 16]) = (
    [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
);

pub(super) fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Puts a tag into a frame, before those that are there.
pub(super) fn tagged(tag: u16, control: u16, frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &tag.to_be_bytes(), &control.to_be_bytes(), &frame[12..]].concat()
}

pub(super) fn v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    v4_with(&[], 0, 0, protocol, payload)
}

/// `place` is the field with flags and fragment offset.
pub(super) fn v4_with(options: &[u8], id: u16, place: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + options.len() + payload.len()).expect("fits");
    let first = 0x40 | u8::try_from(5 + options.len() / 4).expect("fits");
    let mut packet = vec![first, 0];
    packet.extend(length.to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(place.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(V4.0);
    packet.extend(V4.1);
    packet.extend(options);
    packet.extend(payload);
    let mut frame = ethernet(0x0800, &packet);
    super::repair_checksum(&mut frame);
    frame
}

pub(super) fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    v6_with(64, next, payload)
}

pub(super) fn v6_with(hop_limit: u8, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(u16::try_from(payload.len()).expect("fits").to_be_bytes());
    packet.extend([next, hop_limit]);
    packet.extend(V6.0);
    packet.extend(V6.1);
    packet.extend(payload);
    ethernet(0x86dd, &packet)
}

/// An IPv6 fragment header. `offset` in bytes.
pub(super) fn v6_place(next: u8, id: u32, offset: u16, more: bool) -> Vec<u8> {
    let mut header = vec![next, 0];
    header.extend((offset | u16::from(more)).to_be_bytes());
    header.extend(id.to_be_bytes());
    header
}

/// From port 1000 to port 80, SYN, with one option word and four bytes of payload.
pub(super) fn tcp() -> Vec<u8> {
    let mut segment = vec![0x03, 0xe8, 0x00, 0x50];
    segment.extend(7_u32.to_be_bytes());
    segment.extend(9_u32.to_be_bytes());
    segment.extend([0x60, 0x02, 0x20, 0x00, 0, 0, 0, 0]);
    segment.extend([0x02, 0x04, 0x05, 0xb4]);
    segment.extend(*b"data");
    segment
}

/// The same from a stack with checksum offload, between the IPv4 addresses.
fn tcp_partial() -> Vec<u8> {
    let mut segment = tcp();
    let pseudo = sum(&V4.0) + sum(&V4.1) + 6 + segment.len() as u64;
    segment[16..18].copy_from_slice(&fold(pseudo).to_be_bytes());
    segment
}

/// From port 1000 to another port.
fn udp_to(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = udp(payload);
    datagram[2..4].copy_from_slice(&port.to_be_bytes());
    datagram
}

/// From port 1000 to port 53.
pub(super) fn udp(payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x03, 0xe8, 0x00, 0x35];
    datagram.extend(u16::try_from(8 + payload.len()).expect("fits").to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

pub(super) fn sctp() -> Vec<u8> {
    let mut packet = vec![0x03, 0xe8, 0x0b, 0x59, 0, 0, 0, 1, 0, 0, 0, 0];
    packet.extend([1, 0, 0, 4]);
    packet
}

/// With identifier 0x1234 where the type has one.
pub(super) fn icmp(kind: u8, code: u8, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0, 0x12, 0x34, 0, 1];
    message.extend(payload);
    message
}

pub(super) fn arp() -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1];
    packet.extend([2, 0, 0, 0, 0, 1]);
    packet.extend(V4.0);
    packet.extend([0; 6]);
    packet.extend(V4.1);
    ethernet(0x0806, &packet)
}

pub(super) fn spanning_tree() -> Vec<u8> {
    let mut frame = ethernet(38, &[0x42, 0x42, 0x03]);
    frame[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0, 0, 0]);
    frame.resize(60, 0);
    frame
}

/// A packet's bytes behind the Ethernet header, as an ICMP error quotes them.
pub(super) fn quoted(frame: &[u8]) -> &[u8] {
    &frame[14..]
}

/// One of each kind, by name. The names are those of the files in the fuzz corpus.
pub(super) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let chain = {
        let mut chain = vec![43, 0, 1, 4, 0, 0, 0, 0]; // hop-by-hop options, then a routing header
        chain.extend([60, 0, 4, 0, 0, 0, 0, 0]); // routing header, then destination options
        chain.extend([51, 0, 1, 4, 0, 0, 0, 0]); // destination options, then authentication
        chain.extend([6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]); // authentication, then TCP
        chain.extend(tcp());
        chain
    };
    let first = udp(&[0xaa; 24]);
    let inside = v4(6, &tcp_partial());
    let vxlan = [&[8, 0, 0, 0, 0, 0, 7, 0], &inside[..]].concat();
    let geneve = [&[1, 0, 8, 0, 0, 0, 7, 0, 0xff, 0xff, 1, 0], quoted(&inside)].concat();
    let gre = [&[0xb0, 0, 0x65, 0x58, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1], &tagged(0x8100, 5, &inside)[..]]
        .concat();
    vec![
        ("ipv4_tcp", v4(6, &tcp())),
        ("ipv4_udp", v4(17, &udp(b"question"))),
        ("ipv4_icmp_echo", v4(1, &icmp(8, 0, b"ping"))),
        ("ipv4_icmp_error", v4(1, &icmp(3, 3, quoted(&v4(17, &udp(b"question")))))),
        ("ipv4_sctp", v4(132, &sctp())),
        ("ipv4_gre", v4(47, &[0, 0, 8, 0, 0x45])),
        ("ipv4_options", v4_with(&[0x94, 4, 0, 0], 0, 0, 6, &tcp())),
        ("ipv4_first_fragment", v4_with(&[], 77, 0x2000, 17, &first[..16])),
        ("ipv4_later_fragment", v4_with(&[], 77, 2, 17, &first[16..])),
        ("ipv6_tcp", v6(6, &tcp())),
        ("ipv6_udp", v6(17, &udp(b"question"))),
        ("ipv6_icmp_echo", v6(58, &icmp(128, 0, b"ping"))),
        ("ipv6_icmp_error", v6(58, &icmp(1, 4, quoted(&v6(17, &udp(b"question")))))),
        ("ipv6_neighbour", v6_with(255, 58, &icmp(135, 0, &V6.1))),
        ("ipv6_sctp", v6(132, &sctp())),
        ("ipv6_extensions", v6(0, &chain)),
        ("ipv6_first_fragment", v6(44, &[v6_place(17, 77, 0, true), first[..16].to_vec()].concat())),
        ("ipv6_later_fragment", v6(44, &[v6_place(17, 77, 16, false), first[16..].to_vec()].concat())),
        ("ipv4_vxlan", v4(17, &udp_to(4789, &vxlan))),
        ("ipv6_geneve", v6(17, &udp_to(6081, &geneve))),
        ("ipv4_gre_bridged", v4(47, &gre)),
        ("ipv6_ipv4", v6(4, quoted(&inside))),
        ("vlan_tcp", tagged(0x8100, 0x6005, &v4(6, &tcp()))),
        ("qinq_udp", tagged(0x88a8, 5, &tagged(0x8100, 7, &v6(17, &udp(b"question"))))),
        ("arp", arp()),
        ("lldp", ethernet(0x88cc, &[2, 7, 4, 2, 0, 0, 0, 0, 1, 0, 0])),
        ("spanning_tree", spanning_tree()),
    ]
}
