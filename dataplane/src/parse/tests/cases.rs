//! What comes out of valid packets.

use ravelin_config::types::Protocol;

use super::{samples::*, *};
use crate::flow::{FlowKey, Side};

#[test]
fn tcp_over_ipv4_has_every_field() {
    let mut frame = v4(6, &tcp());
    frame.resize(80, 0);
    let headers = headers(&frame);
    assert_eq!(headers.network, Network::Ipv4);
    assert_eq!(headers.ethertype, 0x0800);
    assert_eq!(headers.vlans, Vlans::default());
    assert_eq!(
        [headers.network_offset, headers.transport_offset, headers.payload_offset, headers.end],
        [14, 34, 58, 62],
        "padding is not part of the packet"
    );
    assert_eq!((headers.source, headers.destination), (Address::v4(V4.0), Address::v4(V4.1)));
    assert_eq!(headers.protocol, Protocol::TCP);
    assert_eq!((headers.source_port, headers.destination_port), (1000, 80));
    assert_eq!(headers.ttl, 64);
    assert_eq!(headers.fragment, Fragment::default());
    assert_eq!(
        headers.tcp,
        TcpFields { flags: tcp_flags::SYN, sequence: 7, acknowledgement: 9, window: 0x2000 }
    );
}

#[test]
fn tags_give_identifiers_outermost_first() {
    let plain = v6(17, &udp(b"x"));
    let one = headers(&tagged(0x9100, 0xf005, &plain));
    assert_eq!(one.vlans, Vlans { count: 1, ids: [5, 0] });
    let two = headers(&tagged(0x88a8, 5, &tagged(0x8100, 4095, &plain)));
    assert_eq!(two.vlans, Vlans { count: 2, ids: [5, 4095] });
    assert_eq!((two.network_offset, two.transport_offset, two.ethertype), (22, 62, 0x86dd));
    assert_eq!((two.source_port, two.destination_port), (1000, 53));
}

#[test]
fn spanning_tree_is_told_by_its_group_address() {
    let frame = spanning_tree();
    let h = headers(&frame);
    assert_eq!((h.network, h.network_offset, h.end), (Network::Stp, 14, 52));
    let per_vlan = [&[0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd], &frame[6..]].concat();
    assert_eq!(headers(&tagged(0x8100, 5, &per_vlan)).network, Network::Stp);
    let elsewhere = [&[0x01, 0x80, 0xc2, 0, 0, 0x10], &frame[6..]].concat();
    assert_eq!(headers(&elsewhere).network, Network::Other);
    let mut ethernet_two = frame.clone();
    ethernet_two[12..14].copy_from_slice(&0x9999_u16.to_be_bytes());
    assert_eq!(headers(&ethernet_two).network, Network::Other);
    // A length beyond the frame says nothing about padding.
    let mut long = frame;
    long[12..14].copy_from_slice(&1500_u16.to_be_bytes());
    assert_eq!(headers(&long).end, 60);
}

#[test]
fn arp_and_lldp_are_told_apart() {
    let mut frame = arp();
    frame.resize(60, 0);
    let h = headers(&frame);
    assert_eq!((h.network, h.end), (Network::Arp, 42));
    assert_eq!(headers(&ethernet(0x88cc, &[0, 0])).network, Network::Lldp);
    assert_eq!(headers(&ethernet(0x86de, &[])).network, Network::Other);
}

#[test]
fn echo_has_its_identifier_in_both_ports() {
    for frame in [
        v4(1, &icmp(8, 0, b"")),
        v4(1, &icmp(0, 0, b"")),
        v6(58, &icmp(128, 0, b"")),
        v6(58, &icmp(129, 0, b"")),
    ] {
        let headers = headers(&frame);
        assert_eq!((headers.source_port, headers.destination_port), (0x1234, 0x1234));
        assert_eq!(headers.payload_offset, headers.transport_offset + 8);
    }
    let redirect = headers(&v4(1, &icmp(9, 1, b"")));
    assert_eq!((redirect.source_port, redirect.destination_port, redirect.icmp), (0, 0, [9, 1]));
}

#[test]
fn neighbour_discovery_needs_hop_limit_255() {
    for kind in 133..=137 {
        assert!(headers(&v6_with(255, 58, &icmp(kind, 0, &[]))).neighbour_discovery);
        assert!(!headers(&v6_with(254, 58, &icmp(kind, 0, &[]))).neighbour_discovery);
    }
    assert!(!headers(&v6_with(255, 58, &icmp(132, 0, &[]))).neighbour_discovery);
    assert!(!headers(&v6_with(255, 58, &icmp(138, 0, &[]))).neighbour_discovery);
    let fragment = [v6_place(58, 1, 0, true), icmp(135, 0, &[])].concat();
    assert!(!headers(&v6_with(255, 44, &fragment)).neighbour_discovery, "RFC 6980");
}

#[test]
fn icmp_of_the_other_version_is_an_unknown_protocol() {
    let headers_v4 = headers(&v4(58, &[128]));
    let headers_v6 = headers(&v6(1, &[8]));
    for headers in [headers_v4, headers_v6] {
        assert_eq!((headers.icmp, headers.source_port), ([0, 0], 0));
        assert_eq!(headers.payload_offset, headers.transport_offset);
    }
}

#[test]
fn extension_headers_are_followed() {
    let frame = all().into_iter().find(|(name, _)| *name == "ipv6_extensions").expect("is there").1;
    let h = headers(&frame);
    assert_eq!((h.protocol, h.transport_offset, h.destination_port), (Protocol::TCP, 14 + 40 + 36, 80));

    let mobility = headers(&v6(135, &[59, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!((mobility.protocol, mobility.transport_offset), (Protocol(59), 62));
    let encrypted = headers(&v6(60, &[50, 0, 1, 4, 0, 0, 0, 0, 1, 2, 3, 4]));
    assert_eq!((encrypted.protocol, encrypted.transport_offset, encrypted.end), (Protocol(50), 62, 66));
}

#[test]
fn eight_extension_headers_are_followed_and_no_more() {
    let options = |count: usize| {
        let mut chain = [60, 0, 1, 4, 0, 0, 0, 0].repeat(count - 1);
        chain.extend([17, 0, 1, 4, 0, 0, 0, 0]);
        chain.extend(udp(b""));
        v6(60, &chain)
    };
    assert_eq!(headers(&options(8)).destination_port, 53);
    assert_eq!(reason(&options(9)), DropReason::Ipv6ExtensionDepth);
}

#[test]
fn an_atomic_fragment_is_whole() {
    let atomic = v6(44, &[v6_place(17, 9, 0, false), udp(b"x")].concat());
    let headers = headers(&atomic);
    assert_eq!(headers.fragment, Fragment::default());
    assert_eq!((headers.protocol, headers.destination_port), (Protocol::UDP, 53));
}

#[test]
fn fragments_have_their_place() {
    let datagram = udp(&[0; 32]);
    let first = headers(&v4_with(&[], 77, 0x2000, 17, &datagram[..16]));
    let place = Fragment { kind: FragmentKind::First, id: 77, offset: 0, length: 16, more: true };
    assert_eq!((first.fragment, first.destination_port), (place, 53));
    let later = headers(&v4_with(&[], 77, 2, 17, &datagram[16..]));
    let place = Fragment { kind: FragmentKind::Later, id: 77, offset: 16, length: 24, more: false };
    assert_eq!((later.fragment, later.destination_port), (place, 0));
    assert_eq!((later.transport_offset, later.payload_offset), (34, 34));

    let first = headers(&v6(44, &[v6_place(17, 0xdead_beef, 0, true), datagram[..16].to_vec()].concat()));
    let place = Fragment { kind: FragmentKind::First, id: 0xdead_beef, offset: 0, length: 16, more: true };
    assert_eq!((first.fragment, first.destination_port), (place, 53));
    // What stands behind a later fragment's header is payload, whatever it looks like.
    let later = headers(&v6(44, &[v6_place(60, 5, 1480, true), vec![60; 8]].concat()));
    let place = Fragment { kind: FragmentKind::Later, id: 5, offset: 1480, length: 8, more: true };
    assert_eq!((later.fragment, later.protocol, later.transport_offset), (place, Protocol(60), 62));
}

#[test]
fn an_icmp_error_belongs_to_the_flow_that_it_quotes() {
    let source = Address::v4(V4.0);
    let destination = Address::v4(V4.1);
    for kind in [3, 4, 5, 11, 12] {
        // RFC 792 promises 8 bytes of the quoted payload.
        let quote = &quoted(&v4(17, &udp(b"question")))[..28].to_vec();
        let meta = decode(&tagged(0x8100, 5, &v4(1, &icmp(kind, 0, quote))));
        assert!(meta.headers.icmp_error);
        let vlans = Vlans { count: 1, ids: [5, 0] };
        let (key, sender) = FlowKey::new((source, 1000), (destination, 53), Protocol::UDP, vlans);
        assert_eq!((meta.key, meta.side), (key, sender.other()));
        assert_eq!((sender, meta.keyed), (Side::Low, false), "steering still has to hash the key");
    }
    let meta = decode(&v4(1, &icmp(3, 1, quoted(&v4(1, &icmp(8, 0, b""))))));
    let id = 0x1234;
    let (key, sender) = FlowKey::new((source, id), (destination, id), Protocol::ICMP, Vlans::default());
    assert_eq!((meta.headers.icmp_error, meta.key, meta.side), (true, key, sender.other()));
    // About the answer to a ping: on its way to the end that sent the answer.
    let meta = decode(&v4(1, &icmp(3, 1, quoted(&v4(1, &icmp(0, 0, b""))))));
    let (key, sender) = FlowKey::new((destination, id), (source, id), Protocol::ICMP, Vlans::default());
    assert_eq!((meta.headers.icmp_error, meta.key, meta.side), (true, key, sender));
}

#[test]
fn an_icmpv6_error_belongs_to_the_flow_that_it_quotes() {
    let ends = ((Address(V6.0), 1000), (Address(V6.1), 80));
    let (key, sender) = FlowKey::new(ends.0, ends.1, Protocol::TCP, Vlans::default());
    let chain = all().into_iter().find(|(name, _)| *name == "ipv6_extensions").expect("is there").1;
    for quote in [v6(6, &tcp()), chain] {
        for kind in 1..=4 {
            let meta = decode(&v6(58, &icmp(kind, 0, quoted(&quote))));
            assert_eq!((meta.headers.icmp_error, meta.key, meta.side), (true, key, sender.other()));
        }
    }
}

#[test]
fn an_icmp_error_that_quotes_too_little_is_plain_icmp() {
    let whole = v4(17, &udp(b""));
    let whole = quoted(&whole);
    let later = v4_with(&[], 1, 5, 17, &udp(b""));
    let mut options_cut = whole.to_vec();
    options_cut[0] = 0x4f;
    let six = v6(17, &udp(b""));
    let quotes = [&[], &whole[..19], &whole[..23], quoted(&later), &options_cut, quoted(&six)];
    for quote in quotes {
        let meta = decode(&v4(1, &icmp(3, 0, quote)));
        assert_eq!(meta.verdict, Verdict::Undecided);
        assert!(!meta.headers.icmp_error, "{quote:02x?}");
        assert_eq!((meta.headers.icmp, meta.headers.source_port), ([3, 0], 0));
    }
    let cut = v6(58, &icmp(3, 0, &quoted(&six)[..43]));
    assert!(!decode(&cut).headers.icmp_error);
    // Nor is a flow of IPv4 what a packet of IPv6 is quoted from.
    assert!(decode(&v6(58, &icmp(3, 0, quoted(&six)))).headers.icmp_error);
    for place in [8, 24] {
        let mut mapped = quoted(&six).to_vec();
        mapped[place..place + 16].copy_from_slice(&Address::v4([10, 0, 0, 1]).0);
        assert!(!decode(&v6(58, &icmp(3, 0, &mapped))).headers.icmp_error);
    }
    // Protocols without ports need no more than addresses.
    assert!(decode(&v4(1, &icmp(3, 2, quoted(&v4(47, b""))))).headers.icmp_error);
}

#[test]
fn a_fragmented_icmp_error_is_plain_icmp() {
    let quote = v4(17, &udp(&[0; 8]));
    let meta = decode(&v4_with(&[], 1, 0x2000, 1, &icmp(3, 3, &quoted(&quote)[..32])));
    assert_eq!(meta.verdict, Verdict::Undecided);
    assert!(!meta.headers.icmp_error);
}

#[test]
fn handed_in_and_decided_packets_are_left_alone() {
    let frame = v4(6, &tcp());
    for meta in [
        Meta { handed_in: true, ..Meta::default() },
        Meta { verdict: Verdict::Drop(DropReason::FaultInjected), ..Meta::default() },
    ] {
        let mut batch = Batch::new(1);
        batch.push(MemoryFrame::new(&frame), meta).expect("the batch has room");
        DecodeStage.run(&mut batch);
        assert_eq!(batch.metas()[0].headers.protocol, Protocol(0));
        assert_eq!(batch.metas()[0].verdict, meta.verdict);
    }
}

#[test]
fn a_frame_longer_than_64_kib_ends_at_the_last_offset() {
    let mut payload = tcp();
    payload.resize(65_535 - 20, 0);
    assert_eq!(headers(&v4(6, &payload)).end, u16::MAX);
}
