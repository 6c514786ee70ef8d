//! Partial checksums inside tunnels, and those of tunnels.

use proptest::prelude::*;

use super::{
    NonIp,
    checksum::{assert_robust, completed, forwarded},
    packets::{self, Content, Kind, Outer, Packet, Transport, Tunnel, any_packet, any_tunnel},
    snapshot,
};

proptest! {
    #[test]
    fn checksums_in_tunnels_are_completed_and_whole_ones_left(tunnel in any_tunnel(), packet in any_packet()) {
        let sample = tunnel.frame(&packet);
        let has_crc_in_sum = packet.transport == Transport::Sctp && tunnel.outer == Outer::Right;
        if has_crc_in_sum && !matches!(tunnel.kind, Kind::Ip) {
            // No stack sends this, and nobody can say for which packet the outer checksum is right.
            prop_assert_eq!(completed(&sample.partial), (false, sample.partial.clone()));
        } else {
            prop_assert_eq!(&completed(&sample.partial).1, &sample.whole);
        }
        prop_assert_eq!(completed(&sample.whole), (false, sample.whole.clone()));
    }

    #[test]
    fn any_bytes_in_tunnels_are_harmless(
        tunnel in any_tunnel(),
        packet in any_packet(),
        cut: usize,
        place: usize,
        flip: u8,
    ) {
        assert_robust(&tunnel.frame(&packet).partial, cut, place, flip);
    }
}

fn tcp() -> Packet {
    Packet { v6: false, transport: Transport::Tcp, port: 443, payload: b"hello".to_vec() }
}

const VXLAN: Kind = Kind::Vxlan { port: 4789, policy: false };

/// A frame of a tunnel without a checksum over IPv4, with one byte behind its UDP or IP header changed.
fn spoilt(kind: Kind, place: usize, flip: u8) -> Vec<u8> {
    let mut frame = Tunnel { v6: false, kind, outer: Outer::None }.frame(&tcp()).partial;
    let start = if matches!(kind, Kind::Gre { .. } | Kind::Ip) { 34 } else { 42 };
    frame[start + place] ^= flip;
    frame
}

/// Makes the checksum of an IPv4 header right.
fn seal(header: &mut [u8]) {
    header[10..12].fill(0);
    let checksum = packets::checksum(&[], header);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

#[test]
fn tunnels_of_other_formats_are_left() {
    let geneve = Kind::Geneve { options: 2, content: Content::Ip };
    let gre = Kind::Gre { key: true, sequence: false, content: Content::Ip };
    // Nothing is wrong with these as they are.
    for kind in [VXLAN, geneve, gre, Kind::Ip] {
        assert!(completed(&spoilt(kind, 0, 0)).0, "{kind:?}");
    }
    let cases = [
        ("VXLAN without an identifier", VXLAN, 0, 0x08),
        ("VXLAN-GPE", VXLAN, 0, 0x04),
        ("remote checksum offload", VXLAN, 1, 0x20),
        ("an EtherType inside that is not IP", VXLAN, 8 + 12, 0x80),
        ("Geneve version 1", geneve, 0, 0x40),
        ("Geneve options beyond the packet", geneve, 0, 0x3d),
        ("Geneve with another protocol", geneve, 2, 0x80),
        ("GRE version 1", gre, 1, 0x01),
        ("GRE with source routes", gre, 0, 0x40),
        ("GRE with another protocol", gre, 2, 0x80),
        ("an IPv4 header inside whose checksum is wrong", Kind::Ip, 8, 0x01),
    ];
    for (name, kind, place, flip) in cases {
        let frame = spoilt(kind, place, flip);
        assert_eq!(completed(&frame), (false, frame.clone()), "{name}");
    }
}

#[test]
fn tunnels_at_other_ports_are_left() {
    let kind = Kind::Vxlan { port: 4790, policy: false };
    let frame = spoilt(kind, 0, 0);
    assert_eq!(completed(&frame), (false, frame.clone()));
}

#[test]
fn a_fragment_in_a_tunnel_is_left() {
    let mut packet = tcp();
    // The length of a fragment is a multiple of 8.
    packet.payload.truncate(4);
    let mut frame = Tunnel { v6: false, kind: Kind::Ip, outer: Outer::None }.frame(&packet).partial;
    assert!(completed(&frame).0);
    frame[40] = 0x20; // more fragments
    seal(&mut frame[34..54]);
    assert_eq!(completed(&frame), (false, frame.clone()));
}

#[test]
fn a_packet_that_is_longer_than_its_tunnel_is_left() {
    let mut frame = spoilt(Kind::Ip, 0, 0);
    // What was the packet's end becomes padding.
    frame[17] -= 2;
    seal(&mut frame[14..34]);
    assert_eq!(completed(&frame), (false, frame.clone()));
}

#[test]
fn only_one_level_is_looked_into() {
    let tunnel = Tunnel { v6: false, kind: VXLAN, outer: Outer::None };
    let innermost = tunnel.frame(&tcp()).partial;
    for kind in [VXLAN, Kind::Geneve { options: 0, content: Content::Ip }] {
        let around = Tunnel { v6: true, kind, outer: Outer::None };
        let frame = around.wrap(&innermost[14..], false);
        assert_eq!(completed(&frame), (false, frame.clone()), "{kind:?}");
    }
}

#[test]
fn an_outer_checksum_that_is_right_as_it_is_stays_right() {
    // Made by a program that knows nothing of the partial checksum inside.
    let gre = Kind::Gre { key: false, sequence: true, content: Content::Ip };
    for (kind, is_udp) in [(VXLAN, true), (gre, false)] {
        let mut frame = Tunnel { v6: false, kind, outer: Outer::Both }.frame(&tcp()).partial;
        let (field, pseudo) =
            if is_udp { (40, packets::pseudo_header(false, 17, frame.len() - 34)) } else { (38, Vec::new()) };
        frame[field..field + 2].fill(0);
        let right = packets::checksum(&pseudo, &frame[34..]);
        frame[field..field + 2].copy_from_slice(&right.to_be_bytes());
        assert_eq!(completed(&frame), (false, frame.clone()), "{kind:?}");
    }
}

#[test]
fn packets_completed_in_tunnels_are_counted_once() {
    let content = Content::Ethernet { tags: 1 };
    let tunnels = [
        (VXLAN, Outer::None),
        (VXLAN, Outer::Right),
        (VXLAN, Outer::Partial),
        (Kind::Geneve { options: 3, content }, Outer::Right),
        (Kind::Gre { key: true, sequence: true, content }, Outer::Both),
        (Kind::Ip, Outer::None),
    ];
    let samples = tunnels.map(|(kind, outer)| Tunnel { v6: false, kind, outer }.frame(&tcp()));
    let partial = samples.each_ref().map(|sample| &sample.partial[..]);
    let whole = samples.each_ref().map(|sample| &sample.whole[..]);
    let snapshot = snapshot(NonIp::default(), 1500);
    assert_eq!(forwarded(&snapshot, &partial), (whole.map(<[u8]>::to_vec).to_vec(), 6));
    assert_eq!(forwarded(&snapshot, &whole), (whole.map(<[u8]>::to_vec).to_vec(), 0));
}
