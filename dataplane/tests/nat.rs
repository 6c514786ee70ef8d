//! Address translation: what leaves, what comes back, and to whom. 10.0.0.0/24 is inside, behind port 0; all else is outside, behind
//! port 1, and knows the inside as 10.1.0.1, where 10.0.0.8 publishes services.

mod support;

use std::{
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
};

use etherparse::{
    IcmpEchoHeader, Icmpv4Header, Icmpv4Type, IpFragOffset, Ipv4Header, NetSlice, PacketBuilder,
    SlicedPacket, TransportSlice, icmpv4::DestUnreachableHeader, icmpv4::TimeExceededCode,
};
use proptest::prelude::*;
use ravelin_config::types::Protocol;
use ravelin_dataplane::{
    forward::Segment,
    io::PortId,
    nat::{Class, Destination, Endpoint, External, NatPlan, Net, Pool, Source},
    verdict::DropReason,
};
use support::router::{CLIENT, CROWD, HOST, NEIGHBOUR, OURS, SERVER, THEIRS, Test};

const INSIDE: u8 = 0;
const OUTSIDE: u8 = 1;
const GATEWAY: &str = "10.1.0.1";

fn number(address: &str) -> u32 {
    address.parse::<Ipv4Addr>().unwrap().to_bits()
}

fn end(address: &str, port: u16) -> Endpoint {
    Endpoint { address: number(address), port }
}

/// Everything inside is known as the gateway's outside address, at these ports. 443 and 8000 to 8009 of it, and 53 over UDP, are the neighbour's.
fn plan(ports: std::ops::RangeInclusive<u16>) -> NatPlan {
    let publish = |protocol, ports: std::ops::RangeInclusive<u16>, port| Destination {
        entries: Segment::of([PortId(INSIDE), PortId(OUTSIDE)]),
        address: number(GATEWAY),
        protocol: Some(protocol),
        ports: Some(ports),
        to: end(NEIGHBOUR, port),
    };
    NatPlan {
        sources: vec![Source {
            exits: Segment::of([PortId(OUTSIDE)]),
            sources: vec![Net::new(Ipv4Addr::new(10, 0, 0, 0), 24)],
            destinations: Vec::new(),
            pool: Pool(vec![0]),
        }],
        destinations: vec![
            publish(Protocol::TCP, 443..=443, 8443),
            publish(Protocol::TCP, 8000..=8009, 9000),
            publish(Protocol::UDP, 53..=53, 53),
        ],
        externals: vec![External {
            address: number(GATEWAY),
            ports,
            taken: vec![(Class::Tcp, 8000..=8009), (Class::Tcp, 1024..=1033)],
        }],
        addresses: vec![Some(number("10.0.0.1")), Some(number(GATEWAY))],
    }
}

fn gateway() -> Test {
    Test::translating(plan(1024..=u16::MAX), 1, 1024)
}

/// A packet as far as these tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    source: Endpoint,
    destination: Endpoint,
}

fn udp(source: Endpoint, destination: Endpoint) -> Vec<u8> {
    build(source, destination, |eth, frame| {
        eth.udp(source.port, destination.port).write(frame, b"hello").unwrap()
    })
}

fn tcp(source: Endpoint, destination: Endpoint, is_first: bool) -> Vec<u8> {
    build(source, destination, |eth, frame| {
        let tcp = eth.tcp(source.port, destination.port, 7, 1000);
        let tcp = if is_first { tcp.syn() } else { tcp.syn().ack(8) };
        tcp.write(frame, b"").unwrap();
    })
}

fn echo(source: &str, destination: &str, id: u16, is_request: bool) -> Vec<u8> {
    build(end(source, 0), end(destination, 0), |eth, frame| {
        let eth = if is_request { eth.icmpv4_echo_request(id, 1) } else { eth.icmpv4_echo_reply(id, 1) };
        eth.write(frame, b"ping").unwrap();
    })
}

type Builder = etherparse::PacketBuilderStep<etherparse::IpHeaders>;

fn build(source: Endpoint, destination: Endpoint, write: impl FnOnce(Builder, &mut Vec<u8>)) -> Vec<u8> {
    let mut frame = Vec::new();
    let [source, destination] = [source, destination].map(|end| end.address.to_be_bytes());
    write(PacketBuilder::ethernet2(THEIRS[0], OURS[0]).ipv4(source, destination, 64), &mut frame);
    frame
}

/// Reads a packet all of whose checksums are right. For an echo, its identifier is the port of both.
#[track_caller]
fn read(frame: &[u8]) -> Seen {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { panic!("{packet:?}") };
    let ip = ip.header().to_header();
    assert_eq!(ip.header_checksum, ip.calc_header_checksum());
    let (source, destination) = match packet.transport.unwrap() {
        TransportSlice::Udp(udp) => {
            let header = udp.to_header();
            assert_eq!(header.calc_checksum_ipv4(&ip, udp.payload()).unwrap(), header.checksum);
            (udp.source_port(), udp.destination_port())
        }
        TransportSlice::Tcp(tcp) => {
            let header = tcp.to_header();
            assert_eq!(header.calc_checksum_ipv4(&ip, tcp.payload()).unwrap(), header.checksum);
            (tcp.source_port(), tcp.destination_port())
        }
        TransportSlice::Icmpv4(icmp) => {
            assert_eq!(icmp.icmp_type().calc_checksum(icmp.payload()), icmp.checksum());
            match icmp.icmp_type() {
                Icmpv4Type::EchoRequest(IcmpEchoHeader { id, .. })
                | Icmpv4Type::EchoReply(IcmpEchoHeader { id, .. }) => (id, id),
                _ => (0, 0),
            }
        }
        other => panic!("{other:?}"),
    };
    let endpoint = |address: [u8; 4], port| Endpoint { address: u32::from_be_bytes(address), port };
    Seen { source: endpoint(ip.source, source), destination: endpoint(ip.destination, destination) }
}

/// What leaves when a port receives a packet: one packet, through this port.
#[track_caller]
fn passes(test: &mut Test, port: u8, packet: &[u8], exit: u8) -> Seen {
    let left = test.receive(port, packet);
    let [(out, frame)] = left.as_slice() else { panic!("{left:02x?}") };
    assert_eq!(*out, PortId(exit));
    read(frame)
}

#[test]
fn what_leaves_is_known_as_the_gateway_and_answers_come_back() {
    let mut test = gateway();
    let out = passes(&mut test, INSIDE, &udp(end(CLIENT, 5000), end(SERVER, 53)), OUTSIDE);
    assert_eq!(out, Seen { source: end(GATEWAY, 5000), destination: end(SERVER, 53) }, "the port is free");
    let back = passes(&mut test, OUTSIDE, &udp(end(SERVER, 53), end(GATEWAY, 5000)), INSIDE);
    assert_eq!(back, Seen { source: end(SERVER, 53), destination: end(CLIENT, 5000) });

    let out = passes(&mut test, INSIDE, &tcp(end(CLIENT, 5000), end(SERVER, 80), true), OUTSIDE);
    assert_eq!(out, Seen { source: end(GATEWAY, 5000), destination: end(SERVER, 80) });
    let back = passes(&mut test, OUTSIDE, &tcp(end(SERVER, 80), end(GATEWAY, 5000), false), INSIDE);
    assert_eq!(back, Seen { source: end(SERVER, 80), destination: end(CLIENT, 5000) });

    let out = passes(&mut test, INSIDE, &echo(CLIENT, SERVER, 5000, true), OUTSIDE);
    assert_eq!(out, Seen { source: end(GATEWAY, 5000), destination: end(SERVER, 5000) });
    let back = passes(&mut test, OUTSIDE, &echo(SERVER, GATEWAY, 5000, false), INSIDE);
    assert_eq!(back, Seen { source: end(SERVER, 5000), destination: end(CLIENT, 5000) });

    let counters = test.counters();
    assert_eq!((counters.nat_translated, counters.nat_mappings, counters.nat_mappings_created), (6, 3, 3));
    assert_eq!((counters.flows_created, counters.local, counters.drops.total()), (3, 0, 0));
}

#[test]
fn somebody_inside_is_known_as_the_same_to_everybody_outside() {
    let mut test = gateway();
    let first = passes(&mut test, INSIDE, &udp(end(CLIENT, 7000), end(SERVER, 1)), OUTSIDE).source;
    let same = passes(&mut test, INSIDE, &udp(end(CLIENT, 7000), end("192.0.2.7", 2)), OUTSIDE).source;
    let other = passes(&mut test, INSIDE, &udp(end(NEIGHBOUR, 7000), end(SERVER, 1)), OUTSIDE).source;
    let odd = passes(&mut test, INSIDE, &udp(end("10.0.0.77", 7001), end(SERVER, 1)), OUTSIDE).source;
    assert_eq!((first, same, odd.port), (end(GATEWAY, 7000), end(GATEWAY, 7000), 7001));
    assert!(other.address == number(GATEWAY) && other.port != 7000 && other.port % 2 == 0, "{other:?}");
    let back = passes(&mut test, OUTSIDE, &udp(end(SERVER, 1), other), INSIDE);
    assert_eq!(back.destination, end(NEIGHBOUR, 7000));
    assert_eq!(test.counters().nat_mappings, 3);
}

#[test]
fn ports_of_others_are_not_taken() {
    let mut test = gateway();
    for port in [8003, 1030] {
        let source = passes(&mut test, INSIDE, &tcp(end(CLIENT, port), end(SERVER, 1), true), OUTSIDE).source;
        assert!(!(8000..=8009).contains(&source.port) && !(1024..=1033).contains(&source.port), "{source:?}");
        let source = passes(&mut test, INSIDE, &udp(end(CLIENT, port), end(SERVER, 1)), OUTSIDE).source;
        assert_eq!(source.port, port, "they are only taken for TCP");
    }
    let source = passes(&mut test, INSIDE, &udp(end(CLIENT, 53), end(SERVER, 53)), OUTSIDE).source;
    assert!(source.port >= 1024);
}

#[test]
fn nobody_reaches_a_mapping_but_whom_the_inside_has_spoken_to() {
    let mut test = gateway();
    passes(&mut test, INSIDE, &udp(end(CLIENT, 7000), end(SERVER, 1)), OUTSIDE);
    for stranger in [end("192.0.2.7", 1), end(SERVER, 2)] {
        let sent = udp(stranger, end(GATEWAY, 7000));
        let left = test.receive(OUTSIDE, &sent);
        let [(HOST, frame)] = left.as_slice() else { panic!("{left:02x?}") };
        assert_eq!(frame[12..], sent[12..], "it is for the gateway itself");
    }
    // An echo request is nobody's answer, whatever its identifier.
    passes(&mut test, INSIDE, &echo(CLIENT, SERVER, 9, true), OUTSIDE);
    assert_eq!(test.receive(OUTSIDE, &echo(SERVER, GATEWAY, 9, true))[0].0, HOST);
    assert_eq!((test.counters().local, test.counters().nat_translated), (3, 2));
}

#[test]
fn services_are_published() {
    let mut test = gateway();
    for (port, real) in [(443, 8443), (8000, 9000), (8009, 9009)] {
        let stranger = end("192.0.2.7", 40000 + port);
        let to = passes(&mut test, OUTSIDE, &tcp(stranger, end(GATEWAY, port), true), INSIDE);
        assert_eq!(to, Seen { source: stranger, destination: end(NEIGHBOUR, real) });
        let back = passes(&mut test, INSIDE, &tcp(end(NEIGHBOUR, real), stranger, false), OUTSIDE);
        assert_eq!(back, Seen { source: end(GATEWAY, port), destination: stranger });
    }
    for port in [444, 7999, 8010] {
        let left = test.receive(OUTSIDE, &tcp(end("192.0.2.7", 1), end(GATEWAY, port), true));
        assert_eq!(left[0].0, HOST, "{port} is not published");
    }
    let left = test.receive(OUTSIDE, &udp(end("192.0.2.7", 1), end(GATEWAY, 443)));
    assert_eq!(left[0].0, HOST, "only over TCP");
    assert_eq!(test.counters().nat_mappings, 0);
}

#[test]
fn what_is_published_is_reached_from_inside() {
    let mut test = gateway();
    // On the same link, so that the answer would otherwise not come back through here.
    let to = passes(&mut test, INSIDE, &tcp(end(CLIENT, 6000), end(GATEWAY, 443), true), INSIDE);
    assert_eq!(to, Seen { source: end(GATEWAY, 6000), destination: end(NEIGHBOUR, 8443) });
    let back = passes(&mut test, INSIDE, &tcp(end(NEIGHBOUR, 8443), end(GATEWAY, 6000), false), INSIDE);
    assert_eq!(back, Seen { source: end(GATEWAY, 443), destination: end(CLIENT, 6000) });
    assert_eq!(test.counters().flows_created, 1);
}

#[test]
fn two_inside_reach_each_other_as_what_they_are_known_as_outside() {
    let mut test = gateway();
    let a = passes(&mut test, INSIDE, &udp(end(CLIENT, 6000), end(SERVER, 1)), OUTSIDE).source;
    let b = passes(&mut test, INSIDE, &udp(end(NEIGHBOUR, 6000), end(SERVER, 1)), OUTSIDE).source;
    let to = passes(&mut test, INSIDE, &udp(end(CLIENT, 6000), b), INSIDE);
    assert_eq!(to, Seen { source: a, destination: end(NEIGHBOUR, 6000) });
    let back = passes(&mut test, INSIDE, &udp(end(NEIGHBOUR, 6000), a), INSIDE);
    assert_eq!(back, Seen { source: b, destination: end(CLIENT, 6000) });
    assert_eq!((test.counters().flows_created, test.counters().nat_mappings), (3, 2));
}

/// An ICMP error from `router` to the source of a packet.
fn error(router: &str, packet: &[u8], kind: Icmpv4Type) -> Vec<u8> {
    let (ip, _) = Ipv4Header::from_slice(&packet[14..]).unwrap();
    let quote = &packet[14..(14 + 28).min(packet.len())];
    let mut frame = Vec::new();
    let router = router.parse::<Ipv4Addr>().unwrap().octets();
    let builder = PacketBuilder::ethernet2(THEIRS[1], OURS[1]).ipv4(router, ip.source, 64);
    builder.icmpv4(kind).write(&mut frame, quote).unwrap();
    frame
}

/// What an ICMP error says: from whom, to whom, and what it quotes.
#[track_caller]
fn read_error(frame: &[u8]) -> (Seen, Seen) {
    let (outer, rest) = Ipv4Header::from_slice(&frame[14..]).unwrap();
    let (icmp, quote) = Icmpv4Header::from_slice(rest).unwrap();
    assert_eq!(icmp.icmp_type.calc_checksum(quote), icmp.checksum);
    let (inner, rest) = Ipv4Header::from_slice(quote).unwrap();
    assert_eq!(inner.header_checksum, inner.calc_header_checksum());
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    let ports = if inner.protocol.0 == 1 { [port(4), port(4)] } else { [port(0), port(2)] };
    let endpoint = |address: [u8; 4], port| Endpoint { address: u32::from_be_bytes(address), port };
    (
        Seen { source: endpoint(outer.source, 0), destination: endpoint(outer.destination, 0) },
        Seen { source: endpoint(inner.source, ports[0]), destination: endpoint(inner.destination, ports[1]) },
    )
}

#[test]
fn errors_say_what_their_receiver_sent() {
    let unreachable = || Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port);
    let expired = || Icmpv4Type::TimeExceeded(TimeExceededCode::TtlExceededInTransit);
    for sent in [
        udp(end(CLIENT, 7000), end(SERVER, 9)),
        tcp(end(CLIENT, 7000), end(SERVER, 9), true),
        echo(CLIENT, SERVER, 7000, true),
    ] {
        let mut test = gateway();
        // Somebody else has the port already, so that it has to be another.
        test.receive(INSIDE, &udp(end(NEIGHBOUR, 7000), end(SERVER, 9)));
        test.receive(INSIDE, &tcp(end(NEIGHBOUR, 7000), end(SERVER, 9), true));
        test.receive(INSIDE, &echo(NEIGHBOUR, SERVER, 7000, true));
        let left = test.receive(INSIDE, &sent);
        let as_known = read(&left[0].1);
        assert_ne!(as_known.source.port, 7000);
        for (router, kind) in [(SERVER, unreachable()), ("192.0.2.1", expired())] {
            let left = test.receive(OUTSIDE, &error(router, &left[0].1, kind));
            let [(PortId(INSIDE), frame)] = left.as_slice() else { panic!("{left:02x?}") };
            let (outer, inner) = read_error(frame);
            assert_eq!(outer, Seen { source: end(router, 0), destination: end(CLIENT, 0) });
            assert_eq!(inner, read(&sent));
        }
        assert_eq!(test.counters().drops.total(), 0);
    }
}

#[test]
fn errors_from_inside_say_nothing_of_it() {
    let unreachable = Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port);
    let mut test = gateway();
    let stranger = end("192.0.2.7", 4000);
    // About what was sent to a published service, by the server and by a router before it.
    let arrived = tcp(stranger, end(GATEWAY, 443), true);
    let left = test.receive(OUTSIDE, &arrived);
    for router in [NEIGHBOUR, "10.0.0.77"] {
        let left = test.receive(INSIDE, &error(router, &left[0].1, unreachable.clone()));
        let [(PortId(OUTSIDE), frame)] = left.as_slice() else { panic!("{left:02x?}") };
        let (outer, inner) = read_error(frame);
        assert_eq!(outer, Seen { source: end(GATEWAY, 0), destination: end("192.0.2.7", 0) });
        assert_eq!(inner, read(&arrived));
    }
    // About an answer that nobody waits for any more.
    passes(&mut test, INSIDE, &udp(end(CLIENT, 7000), end(SERVER, 9)), OUTSIDE);
    let answer = udp(end(SERVER, 9), end(GATEWAY, 7000));
    let left = test.receive(OUTSIDE, &answer);
    let left = test.receive(INSIDE, &error(CLIENT, &left[0].1, unreachable));
    let (outer, inner) = read_error(&left[0].1);
    assert_eq!(outer, Seen { source: end(GATEWAY, 0), destination: end(SERVER, 0) });
    assert_eq!(inner, read(&answer));
}

/// The fragments of a datagram, each of 8 bytes.
fn fragments(packet: &[u8]) -> Vec<Vec<u8>> {
    let (ip, payload) = Ipv4Header::from_slice(&packet[14..]).unwrap();
    let last = payload.len().div_ceil(8) - 1;
    let piece = |(place, payload): (usize, &[u8])| {
        let mut ip = ip.clone();
        ip.dont_fragment = false;
        ip.identification = 77;
        ip.more_fragments = place < last;
        ip.fragment_offset = IpFragOffset::try_new(place as u16).unwrap();
        ip.set_payload_len(payload.len()).unwrap();
        ip.header_checksum = ip.calc_header_checksum();
        [&packet[..14], &ip.to_bytes()[..], payload].concat()
    };
    payload.chunks(8).enumerate().map(piece).collect()
}

/// The datagram of these fragments.
fn whole(fragments: &[Vec<u8>]) -> Vec<u8> {
    let (mut ip, _) = Ipv4Header::from_slice(&fragments[0][14..]).unwrap();
    let payload: Vec<u8> = fragments.iter().flat_map(|frame| frame[34..].to_vec()).collect();
    ip.more_fragments = false;
    ip.set_payload_len(payload.len()).unwrap();
    ip.header_checksum = ip.calc_header_checksum();
    [&fragments[0][..14], &ip.to_bytes()[..], &payload].concat()
}

#[test]
fn fragments_are_translated_and_make_up_what_the_whole_would_be() {
    let mut test = gateway();
    let sent = udp(end(CLIENT, 7000), end(SERVER, 9));
    let left: Vec<_> =
        fragments(&sent).iter().flat_map(|it| test.receive(INSIDE, it)).map(|it| it.1).collect();
    assert_eq!(left.len(), 2);
    assert_eq!(read(&whole(&left)), Seen { source: end(GATEWAY, 7000), destination: end(SERVER, 9) });
    let answer = udp(end(SERVER, 9), end(GATEWAY, 7000));
    let left: Vec<_> =
        fragments(&answer).iter().flat_map(|it| test.receive(OUTSIDE, it)).map(|it| it.1).collect();
    assert_eq!(read(&whole(&left)), Seen { source: end(SERVER, 9), destination: end(CLIENT, 7000) });
}

#[test]
fn a_partial_checksum_is_completed_for_what_leaves() {
    let mut test = gateway();
    let mut sent = udp(end(CLIENT, 7000), end(SERVER, 9));
    let length = sent.len() - 34;
    // What a local stack leaves: the sum of the pseudo-header.
    let mut sum: u32 = [&sent[26..28], &sent[28..30], &sent[30..32], &sent[32..34]]
        .iter()
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum::<u32>()
        + 17
        + length as u32;
    sum = (sum & 0xffff) + (sum >> 16);
    sent[40..42].copy_from_slice(&(sum as u16).to_be_bytes());
    assert_eq!(passes(&mut test, INSIDE, &sent, OUTSIDE).source, end(GATEWAY, 7000));
    assert_eq!(test.counters().checksums_completed, 1);
}

#[test]
fn a_udp_packet_without_checksum_stays_without() {
    let mut test = gateway();
    let mut sent = udp(end(CLIENT, 7000), end(SERVER, 9));
    sent[40..42].fill(0);
    let left = test.receive(INSIDE, &sent);
    assert_eq!(left[0].1[40..42], [0, 0]);
    assert_eq!(left[0].1[26..30], [10, 1, 0, 1]);
}

#[test]
fn when_all_ports_are_taken_new_connections_wait_for_one() {
    let mut test = Test::translating(plan(2000..=2003), 1, 1024);
    for port in 0..4 {
        passes(&mut test, INSIDE, &tcp(end(CLIENT, 100 + port), end(SERVER, 1), true), OUTSIDE);
    }
    assert_eq!(test.receive(INSIDE, &tcp(end(CLIENT, 104), end(SERVER, 1), true)), []);
    assert_eq!(test.counters().drops.count(DropReason::NatExhausted), 1);
    passes(&mut test, INSIDE, &tcp(end(CLIENT, 103), end("192.0.2.7", 1), true), OUTSIDE);
    passes(&mut test, INSIDE, &udp(end(CLIENT, 104), end(SERVER, 1)), OUTSIDE);
    // Connections that nobody answers end by themselves.
    test.0.push(0, INSIDE, 130_000_000, &tcp(end(CLIENT, 105), end(SERVER, 1), true));
    test.0.settle();
    assert_eq!(test.0.sent().len(), 1);
    assert_eq!(test.counters().nat_mappings, 2, "that one, and one of UDP, which is kept for two minutes");
}

#[test]
fn what_has_no_ports_does_not_leave_under_a_shared_address() {
    let mut test = gateway();
    let mut gre = udp(end(CLIENT, 0), end(SERVER, 0));
    let (mut ip, _) = Ipv4Header::from_slice(&gre[14..]).unwrap();
    ip.protocol = etherparse::IpNumber::GRE;
    ip.header_checksum = ip.calc_header_checksum();
    gre[14..34].copy_from_slice(&ip.to_bytes());
    assert_eq!(test.receive(INSIDE, &gre), []);
    assert_eq!(test.counters().drops.count(DropReason::NatProtocol), 1);
}

#[test]
fn nothing_leaves_untranslated_for_want_of_a_flow() {
    let mut test = Test::translating(plan(1024..=u16::MAX), 1, 1);
    passes(&mut test, INSIDE, &udp(end(CLIENT, 1), end(SERVER, 1)), OUTSIDE);
    let left = test.receive(INSIDE, &udp(end(CLIENT, 2), end(SERVER, 1)));
    assert_eq!(left, []);
}

#[test]
fn senders_are_told_what_happens_to_packets_that_are_translated() {
    let mut test = gateway();
    let with = |ttl: u8, dont_fragment: bool, length: usize| {
        let mut frame = Vec::new();
        let [source, destination] = [CLIENT, SERVER].map(|it| it.parse::<Ipv4Addr>().unwrap().octets());
        let builder = PacketBuilder::ethernet2(THEIRS[0], OURS[0]).ipv4(source, destination, ttl);
        builder.udp(7000, 9).write(&mut frame, &vec![0; length]).unwrap();
        let (mut ip, _) = Ipv4Header::from_slice(&frame[14..]).unwrap();
        ip.dont_fragment = dont_fragment;
        ip.header_checksum = ip.calc_header_checksum();
        frame[14..34].copy_from_slice(&ip.to_bytes());
        frame
    };
    // The next hop takes 1400 bytes.
    for (sent, reason, kind) in [
        (with(1, true, 10), DropReason::TtlExpired, [11, 0]),
        (with(64, true, 1400), DropReason::MtuExceeded, [3, 4]),
    ] {
        let left = test.receive(INSIDE, &sent);
        let [(PortId(INSIDE), frame)] = left.as_slice() else { panic!("{left:02x?}") };
        let (outer, inner) = read_error(frame);
        assert_eq!(outer, Seen { source: end("10.0.0.1", 0), destination: end(CLIENT, 0) });
        assert_eq!(inner, Seen { source: end(CLIENT, 7000), destination: end(SERVER, 9) });
        assert_eq!(frame[34..36], kind);
        if kind == [3, 4] {
            assert_eq!(frame[40..42], 1400_u16.to_be_bytes());
        }
        assert_eq!(test.counters().drops.count(reason), 1);
    }
    // The kernel makes fragments of what it takes for its own.
    let left = test.receive(INSIDE, &with(64, false, 1400));
    let [(HOST, frame)] = left.as_slice() else { panic!("{left:02x?}") };
    assert_eq!(frame[6..8], [0x52, 0x57]);
    assert_eq!(read(frame).source, end(GATEWAY, 7000));
    assert_eq!(test.counters().exceptions_too_long, 2);
}

#[test]
fn sixty_thousand_have_a_port_of_one_address() {
    let mut test = Test::translating(plan(1024..=u16::MAX), 1, 1 << 17);
    let mut seen = HashSet::new();
    for number in 0..60_000_u32 {
        let source = Endpoint {
            address: self::number("10.0.0.0") + 2 + number % 200,
            port: 1000 + (number / 200) as u16,
        };
        let left = test.receive(INSIDE, &udp(source, end(SERVER, 9)));
        let known = read(&left[0].1).source;
        assert!(known.port >= 1024 && seen.insert(known.port), "{known:?} is somebody else");
    }
    assert_eq!(test.counters().nat_mappings, 60_000);
}

/// What a test of many packets does.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody inside sends to somebody outside.
    Out { host: u8, port: u16, to: u8 },
    /// Somebody outside answers the packet that left before as many others.
    Back { ago: usize },
    /// Somebody outside sends to the published service, which answers.
    Ask { from: u16 },
    /// Somebody outside sends to a port for no reason.
    Stray { port: u16 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..6_u8, 3000..3020_u16, 0..4_u8).prop_map(|(host, port, to)| Step::Out { host, port, to }),
        4 => (0..20_usize).prop_map(|ago| Step::Back { ago }),
        1 => (4000..4100_u16).prop_map(|from| Step::Ask { from }),
        1 => (3000..3020_u16).prop_map(|port| Step::Stray { port }),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    /// Whichever worker receives a packet, and whoever sends: an inside end has one name outside and nobody else has it, answers find back, no
    /// packet is lost, and no flow is opened twice.
    #[test]
    fn names_are_one_to_one_whichever_worker_receives(workers in 1..4_u8, steps in steps(), arrivals in any::<u64>()) {
        let mut test = Test::translating(plan(1024..=u16::MAX), workers, 4096);
        let mut names: HashMap<Endpoint, Endpoint> = HashMap::new();
        let mut left: Vec<(Endpoint, Seen)> = Vec::new();
        let mut flows = HashSet::new();
        let mut strays = 0;
        for (at, step) in steps.iter().enumerate() {
            let worker = (arrivals.rotate_left(at as u32) % u64::from(workers)) as usize;
            let mut send = |port: u8, packet: &[u8]| {
                test.0.push(worker, port, at as u64, packet);
                test.0.settle();
                let sent = test.0.sent();
                assert_eq!(sent.len(), 1, "{step:?}");
                (sent[0].0, read(&sent[0].1))
            };
            match *step {
                Step::Out { host, port, to } => {
                    let source = Endpoint { address: number(CROWD) + u32::from(host), port };
                    let target = Endpoint { address: number("192.0.2.1") + u32::from(to), port: 53 };
                    let (exit, seen) = send(INSIDE, &udp(source, target));
                    prop_assert_eq!((exit, seen.destination), (PortId(OUTSIDE), target));
                    let known = *names.entry(source).or_insert(seen.source);
                    prop_assert_eq!(known, seen.source, "{:?} has another name", source);
                    flows.insert((source, target));
                    left.push((source, seen));
                }
                Step::Back { ago } => {
                    let Some((source, seen)) = left.iter().rev().nth(ago).cloned() else { continue };
                    let (exit, back) = send(OUTSIDE, &udp(seen.destination, seen.source));
                    prop_assert_eq!((exit, back.destination, back.source), (PortId(INSIDE), source, seen.destination));
                }
                Step::Ask { from } => {
                    let stranger = end("192.0.2.99", from);
                    let (exit, seen) = send(OUTSIDE, &udp(stranger, end(GATEWAY, 53)));
                    prop_assert_eq!((exit, seen.destination), (PortId(INSIDE), end(NEIGHBOUR, 53)));
                    let (exit, seen) = send(INSIDE, &udp(end(NEIGHBOUR, 53), stranger));
                    prop_assert_eq!((exit, seen.source), (PortId(OUTSIDE), end(GATEWAY, 53)));
                    flows.insert((stranger, end(NEIGHBOUR, 53)));
                }
                Step::Stray { port } => {
                    let (exit, seen) = send(OUTSIDE, &udp(end("192.0.2.200", 1), end(GATEWAY, port)));
                    prop_assert_eq!((exit, seen.destination), (HOST, end(GATEWAY, port)));
                    flows.insert((end("192.0.2.200", 1), end(GATEWAY, port)));
                    strays += 1;
                }
            }
        }
        let distinct: HashSet<_> = names.values().collect();
        prop_assert_eq!(distinct.len(), names.len());
        let counters = test.counters();
        prop_assert_eq!(counters.flows_created as usize, flows.len());
        prop_assert_eq!(counters.nat_mappings as usize, names.len());
        prop_assert_eq!((counters.local, counters.drops.total()), (strays, 0));
    }
}

#[test]
fn hairpin_finds_both_mappings_on_two_workers() {
    for worker in 0..2 {
        // Inside ports of different workers.
        for (a, b) in [(6000, 6064), (6064, 6000), (6000, 6000)] {
            let mut test = Test::translating(plan(1024..=u16::MAX), 2, 1024);
            let mut send = |packet: &[u8]| {
                test.0.push(worker, INSIDE, 1, packet);
                test.0.settle();
                let sent = test.0.sent();
                assert_eq!(sent.len(), 1);
                read(&sent[0].1)
            };
            let known_a = send(&udp(end(CLIENT, a), end(SERVER, 1))).source;
            let known_b = send(&udp(end(NEIGHBOUR, b), end(SERVER, 1))).source;
            for _ in 0..2 {
                let to = send(&udp(end(CLIENT, a), known_b));
                assert_eq!(to, Seen { source: known_a, destination: end(NEIGHBOUR, b) });
                let back = send(&udp(end(NEIGHBOUR, b), known_a));
                assert_eq!(back, Seen { source: known_b, destination: end(CLIENT, a) });
            }
            let to = send(&tcp(end(CLIENT, a), end(GATEWAY, 443), true));
            assert_eq!(to.destination, end(NEIGHBOUR, 8443));
            let back = send(&tcp(end(NEIGHBOUR, 8443), to.source, false));
            assert_eq!(back, Seen { source: end(GATEWAY, 443), destination: end(CLIENT, a) });
            assert_eq!(test.counters().flows_created, 4);
        }
    }
}
