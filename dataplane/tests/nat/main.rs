//! Address translation: what leaves, what comes back, and to whom. 10.0.0.0/24 is inside, behind port 0; all else is outside, behind
//! port 1, and knows the inside as 10.1.0.1, where 10.0.0.8 publishes services.

mod crowd;
mod errors;
#[path = "../support/mod.rs"]
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
    plan_for(Ipv4Addr::new(10, 0, 0, 0), 24, ports)
}

/// The same for whoever has such an address.
fn plan_for(inside: Ipv4Addr, length: u8, ports: std::ops::RangeInclusive<u16>) -> NatPlan {
    let publish = |protocol, ports: std::ops::RangeInclusive<u16>, port| Destination {
        entries: Segment::of([PortId(INSIDE), PortId(OUTSIDE)]),
        address: number(GATEWAY),
        protocol: Some(protocol),
        ports: Some(ports),
        to: end(NEIGHBOUR, port),
    };
    NatPlan::new(
        vec![Source {
            exits: Segment::of([PortId(OUTSIDE)]),
            sources: vec![Net::new(inside, length)],
            destinations: Vec::new(),
            pool: Pool(vec![0]),
        }],
        vec![
            publish(Protocol::TCP, 443..=443, 8443),
            publish(Protocol::TCP, 8000..=8009, 9000),
            publish(Protocol::UDP, 53..=53, 53),
        ],
        vec![External {
            address: number(GATEWAY),
            ports,
            taken: vec![(Class::Tcp, 8000..=8009), (Class::Tcp, 1024..=1033)],
        }],
        vec![Some(number("10.0.0.1")), Some(number(GATEWAY))],
    )
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
        eth.udp(source.port, destination.port).write(frame, b"hello").unwrap();
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
            let kind = icmp.icmp_type();
            if let Icmpv4Type::EchoRequest(IcmpEchoHeader { id, .. })
            | Icmpv4Type::EchoReply(IcmpEchoHeader { id, .. }) = kind
            {
                (id, id)
            } else {
                (0, 0)
            }
        }
        TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => panic!("no packet of these tests"),
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
    assert!(
        other.address == number(GATEWAY) && other.port != 7000 && other.port.is_multiple_of(2),
        "{other:?}"
    );
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
fn whoever_is_outside_is_not_taken_for_inside_by_a_rule_about_everybody() {
    let plan = plan_for(Ipv4Addr::UNSPECIFIED, 0, 1024..=u16::MAX);
    for workers in [1, 2] {
        let mut test = Test::translating(plan.clone(), workers, 1024);
        let known = passes(&mut test, INSIDE, &udp(end(CLIENT, 7000), end(SERVER, 1)), OUTSIDE).source;
        assert_eq!(test.receive(OUTSIDE, &udp(end("192.0.2.7", 1), known))[0].0, HOST);
        passes(&mut test, OUTSIDE, &udp(end(SERVER, 1), known), INSIDE);
        let other = passes(&mut test, INSIDE, &udp(end(NEIGHBOUR, 6000), end(SERVER, 1)), OUTSIDE).source;
        passes(&mut test, INSIDE, &udp(end(CLIENT, 7000), other), INSIDE);
    }
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
fn segments_are_clamped_in_what_is_translated() {
    let mut test = gateway();
    let syn = |source: Endpoint, destination: Endpoint| {
        build(source, destination, |eth, frame| {
            let option = etherparse::TcpOptionElement::MaximumSegmentSize(1460);
            let tcp = eth.tcp(source.port, destination.port, 7, 1000).syn().options(&[option]).unwrap();
            tcp.write(frame, b"").unwrap();
        })
    };
    for (port, sent) in [
        (INSIDE, syn(end(CLIENT, 5000), end(SERVER, 80))),
        (OUTSIDE, syn(end(SERVER, 5000), end(GATEWAY, 443))),
        (INSIDE, syn(end(CLIENT, 5000), end(GATEWAY, 443))),
    ] {
        let left = test.receive(port, &sent);
        // Checksums are looked at.
        read(&left[0].1);
        assert_eq!(left[0].1[56..58], 1300_u16.to_be_bytes());
    }
    assert_eq!((test.counters().mss_clamped, test.counters().nat_translated), (3, 3));
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
