//! ICMP errors: those that are translated with what they quote, and those that workers write themselves.

use super::*;

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
