//! Every drop reason of decode, and the fragments that decode refuses.

use super::{samples::*, *};

#[track_caller]
fn assert_every_cut(frame: &[u8], range: std::ops::Range<usize>, expected: DropReason) {
    for length in range {
        assert_eq!(reason(&frame[..length]), expected, "cut to {length} bytes");
    }
}

/// A frame with the IP payload cut to `length` bytes, and the lengths in the headers with it.
fn v4_cut(protocol: u8, payload: &[u8], length: usize) -> Vec<u8> {
    v4(protocol, &payload[..length])
}

#[test]
fn link_layer() {
    let frame = tagged(0x88a8, 5, &tagged(0x8100, 7, &v4(6, &tcp())));
    assert_every_cut(&frame, 0..14, DropReason::EthernetTruncated);
    assert_every_cut(&frame, 14..22, DropReason::VlanTruncated);
    assert_eq!(reason(&tagged(0x9100, 1, &frame)), DropReason::VlanDepth);
    assert_eq!(reason(&tagged(0x8100, 1, &frame)[..24]), DropReason::VlanDepth);
}

#[test]
fn arp_packets() {
    assert_every_cut(&arp(), 14..42, DropReason::ArpMalformed);
    for place in [16, 18, 19] {
        let mut frame = arp();
        frame[place] ^= 1;
        assert_eq!(reason(&frame), DropReason::ArpMalformed);
    }
}

#[test]
fn ipv4_headers() {
    let frame = v4_with(&[1, 1, 1, 0], 0, 0, 6, &tcp());
    assert_every_cut(&frame, 14..34, DropReason::Ipv4Truncated);
    assert_every_cut(&frame, 34..38, DropReason::Ipv4HeaderLength);
    assert_every_cut(&frame, 38..frame.len(), DropReason::Ipv4TotalLength);
    let with = |place: usize, value: u8| {
        let mut frame = frame.clone();
        frame[place] = value;
        repair_checksum(&mut frame);
        frame
    };
    assert_eq!(reason(&with(14, 0x56)), DropReason::Ipv4Version);
    assert_eq!(reason(&with(14, 0x44)), DropReason::Ipv4HeaderLength);
    assert_eq!(reason(&with(17, 23)), DropReason::Ipv4TotalLength);
    assert_eq!(reason(&with(17, 0)), DropReason::Ipv4TotalLength);
    for bit in 0..24 * 8 {
        let mut frame = frame.clone();
        frame[14 + bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(decode(&frame).verdict, Verdict::Drop(_)), "bit {bit} of the header is protected");
    }
    let mut frame = frame;
    frame[22] ^= 1;
    assert_eq!(reason(&frame), DropReason::Ipv4Checksum);
}

#[test]
fn ipv6_headers() {
    let frame = v6(17, &udp(b"x"));
    assert_every_cut(&frame, 14..54, DropReason::Ipv6Truncated);
    assert_every_cut(&frame, 54..frame.len(), DropReason::Ipv6PayloadLength);
    let mut version = frame.clone();
    version[14] = 0x40;
    assert_eq!(reason(&version), DropReason::Ipv6Version);
    for place in [22, 38] {
        let mut mapped = frame.clone();
        mapped[place..place + 16].copy_from_slice(&Address::v4([10, 0, 0, 1]).0);
        assert_eq!(reason(&mapped), DropReason::Ipv6Mapped);
    }

    let jumbo = [&v6(0, &[])[..], &[17, 0, 0xc2, 4, 0, 1, 0, 0]].concat();
    assert_eq!(reason(&jumbo), DropReason::Ipv6PayloadLength);
    assert_eq!(headers(&v6(59, &[])).payload_offset, 54, "nothing at all is allowed");
}

#[test]
fn ipv6_extension_headers() {
    let option = |next: u8| vec![next, 0, 1, 4, 0, 0, 0, 0];
    for kind in [0, 43, 60, 135] {
        for length in 0..8 {
            if (kind, length) == (0, 0) {
                continue; // announces a jumbogram
            }
            assert_eq!(reason(&v6(kind, &option(17)[..length])), DropReason::Ipv6Extension);
        }
        assert_eq!(reason(&v6(kind, &[17, 1, 1, 4, 0, 0, 0, 0])), DropReason::Ipv6Extension);
    }
    for length in 0..8 {
        let place = v6_place(17, 1, 0, false);
        assert_eq!(reason(&v6(44, &place[..length])), DropReason::Ipv6Extension);
    }
    let authentication = [17, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
    for length in 0..12 {
        assert_eq!(reason(&v6(51, &authentication[..length])), DropReason::Ipv6Extension);
    }
    assert_eq!(reason(&v6(51, &[17, 0, 0, 0, 0, 0, 0, 1])), DropReason::Ipv6Extension);

    let late_options = [option(0), option(17), udp(b"")].concat();
    assert_eq!(reason(&v6(60, &late_options)), DropReason::Ipv6Extension, "hop-by-hop options come first");
    let twice = [v6_place(44, 1, 0, false), v6_place(17, 1, 0, false), udp(b"")].concat();
    assert_eq!(reason(&v6(44, &twice)), DropReason::Ipv6Extension, "one fragment header is enough");
}

#[test]
fn transport_headers() {
    for (protocol, payload, header, expected) in [
        (6, tcp(), 20, DropReason::TcpTruncated),
        (17, udp(b""), 8, DropReason::UdpTruncated),
        (1, icmp(8, 0, b""), 8, DropReason::IcmpTruncated),
        (132, sctp(), 12, DropReason::SctpTruncated),
    ] {
        for length in 0..header {
            let mut frame = v4_cut(protocol, &payload, length);
            assert_eq!(reason(&frame), expected);
            frame.resize(100, 0);
            assert_eq!(reason(&frame), expected, "padding is no header");
        }
    }
    for length in 0..8 {
        assert_eq!(reason(&v6(58, &icmp(128, 0, b"")[..length])), DropReason::Icmpv6Truncated);
    }
    for length in 20..24 {
        assert_eq!(reason(&v4_cut(6, &tcp(), length)), DropReason::TcpDataOffset);
    }
    let mut short_offset = tcp();
    short_offset[12] = 0x40;
    assert_eq!(reason(&v4(6, &short_offset)), DropReason::TcpDataOffset);
    for (length, is_right) in [(0, false), (7, false), (8, true), (12, true), (13, false)] {
        let mut datagram = udp(b"four");
        datagram[5] = length;
        for frame in [v4(17, &datagram), v6(17, &datagram)] {
            match is_right {
                true => assert_eq!(headers(&frame).destination_port, 53),
                false => assert_eq!(reason(&frame), DropReason::UdpLength),
            }
        }
    }
}

#[test]
fn fragments_that_hide_the_transport_header() {
    // First fragments that do not hold it, RFC 1858 section 3.1 and RFC 7112.
    for (protocol, payload) in [(6, tcp()), (17, udp(b"")), (1, icmp(8, 0, b"")), (132, sctp())] {
        let header = usize::from(match protocol {
            6 => 24_u8,
            132 => 12,
            _ => 8,
        });
        for length in (8..header).step_by(8) {
            assert_eq!(
                reason(&v4_with(&[], 1, 0x2000, protocol, &payload[..length])),
                DropReason::FragmentTiny
            );
        }
    }
    let chain = [v6_place(60, 1, 0, true), vec![17, 1, 1, 4, 0, 0, 0, 0]].concat();
    assert_eq!(reason(&v6(44, &chain)), DropReason::FragmentTiny);
    // Later fragments that start inside it, RFC 3128.
    for (protocol, offset, is_tiny) in
        [(6, 8, true), (6, 16, true), (6, 24, false), (132, 8, true), (132, 16, false), (17, 8, false)]
    {
        let four = v4_with(&[], 1, offset / 8, protocol, &[0; 8]);
        let six = v6(44, &[v6_place(protocol, 1, offset, false), vec![0; 8]].concat());
        for frame in [four, six] {
            match is_tiny {
                true => assert_eq!(reason(&frame), DropReason::FragmentTiny),
                false => assert_eq!(headers(&frame).fragment.kind, FragmentKind::Later),
            }
        }
    }
}

#[test]
fn fragments_of_impossible_length() {
    let at = |offset: u16, more: u16, length: usize| {
        v4_with(&[], 1, (offset / 8) | (more << 13), 17, &vec![0; length])
    };
    assert_eq!(reason(&at(1480, 1, 12)), DropReason::FragmentLength, "no multiple of 8");
    assert_eq!(headers(&at(1480, 0, 12)).fragment.length, 12);
    assert_eq!(reason(&at(1480, 1, 0)), DropReason::FragmentLength, "empty");
    // 20 bytes of header, 65512 before, so 3 fit.
    assert_eq!(headers(&at(65_512, 0, 3)).fragment.offset, 65_512);
    assert_eq!(reason(&at(65_512, 0, 4)), DropReason::FragmentLength, "beyond 65535");

    let six = |length: usize| v6(44, &[v6_place(17, 1, 65_528, false), vec![0; length]].concat());
    assert_eq!(headers(&six(7)).fragment.offset, 65_528);
    assert_eq!(reason(&six(8)), DropReason::FragmentLength);
    // Headers before the fragment header count, RFC 8200 section 4.5.
    let behind_options = [vec![44, 0, 1, 4, 0, 0, 0, 0], v6_place(17, 1, 65_528, false), vec![0; 7]].concat();
    assert_eq!(reason(&v6(60, &behind_options)), DropReason::FragmentLength);
}

#[test]
fn a_first_fragment_leaves_most_of_its_datagram_to_the_others() {
    let datagram = udp(&[0; 2000]);
    assert_eq!(headers(&v4_with(&[], 1, 0x2000, 17, &datagram[..1480])).destination_port, 53);
    let mut short = datagram;
    short[4..6].copy_from_slice(&[0, 7]);
    assert_eq!(reason(&v4_with(&[], 1, 0x2000, 17, &short[..1480])), DropReason::UdpLength);
}

#[test]
fn what_was_read_before_the_error_stays() {
    let meta = decode(&tagged(0x8100, 5, &v4_cut(17, &udp(b""), 4)));
    assert_eq!(meta.verdict, Verdict::Drop(DropReason::UdpTruncated));
    assert_eq!((meta.headers.vlans.ids[0], meta.headers.source), (5, Address::v4(V4.0)));
}
