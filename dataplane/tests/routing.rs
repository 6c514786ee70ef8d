//! Routed packets: where they go, what they look like when they leave, and what only the kernel can do with them.

mod support;

use std::{cell::Cell, net::IpAddr, sync::Arc};

use etherparse::{
    Icmpv4Type, IpHeaders, IpNumber, Ipv4Header, PacketBuilder, VlanId, icmpv4::TimeExceededCode,
};
use proptest::{prelude::*, test_runner::TestRunner};
use ravelin_config::types::MssClamp;
use ravelin_dataplane::{
    counters::WorkerCounters,
    io::PortId,
    policy::AddressSet,
    route::{Link, Neighbours, ReversePath, Routes, Target},
    snapshot::Snapshot,
    verdict::DropReason,
};
use support::router::{CLIENT, HOST, OURS, SERVER, THEIRS, Test, hop, macs, packet, routes};

fn loose() -> Test {
    Test::new(ReversePath::Loose, routes())
}

#[test]
fn a_packet_leaves_for_its_next_hop_with_one_hop_less() {
    let mut test = loose();
    let connected = packet(CLIENT, SERVER, 64, 1, 100);
    let through_gateway = packet(CLIENT, "192.0.2.77", 64, 2, 100);
    let v6 = packet("fd00::9", "fd01::9", 64, 3, 100);
    for sent in [connected, through_gateway, v6] {
        let left = test.receive(0, &sent);
        let [(PortId(1), frame)] = left.as_slice() else { panic!("{left:?}") };
        assert_eq!(macs(frame), (THEIRS[1], OURS[1]));
        let (ip, payload) = IpHeaders::from_slice(&frame[14..]).unwrap();
        match ip {
            IpHeaders::Ipv4(header, _) => {
                assert_eq!(header.time_to_live, 63);
                assert_eq!(header.header_checksum, header.calc_header_checksum());
            }
            IpHeaders::Ipv6(header, _) => assert_eq!(header.hop_limit, 63),
        }
        assert_eq!(payload.payload, &sent[sent.len() - payload.payload.len()..], "nothing else changes");
    }
    let counters = test.counters();
    assert_eq!((counters.forwarded, counters.local, counters.drops.total()), (3, 0, 0));
}

/// Every checksum is right after one hop less, also where it wraps around.
#[test]
fn checksums_follow_the_hop_limit() {
    let mut test = loose();
    for id in 0..=u16::MAX {
        let mut frame = packet(CLIENT, SERVER, 2 + (id % 250) as u8, 1, 10);
        let mut header = Ipv4Header::from_slice(&frame[14..]).unwrap().0;
        header.identification = id;
        header.header_checksum = header.calc_header_checksum();
        frame[14..34].copy_from_slice(&header.to_bytes());
        let left = test.receive(0, &frame);
        let header = Ipv4Header::from_slice(&left[0].1[14..]).unwrap().0;
        assert_eq!(header.header_checksum, header.calc_header_checksum(), "{id}");
    }
}

#[test]
fn the_kernel_is_given_what_is_its_own_and_what_is_rare() {
    let tagged = [
        &packet(CLIENT, SERVER, 64, 1, 10)[..12],
        &[0x81, 0, 0, 7],
        &packet(CLIENT, SERVER, 64, 1, 10)[12..],
    ]
    .concat();
    let options = {
        let mut frame = packet(CLIENT, SERVER, 64, 1, 10);
        let (mut header, _) = Ipv4Header::from_slice(&frame[14..]).unwrap();
        header.options = [1, 1, 1, 0].into();
        header.total_len += 4;
        header.header_checksum = header.calc_header_checksum();
        frame.splice(14..34, header.to_bytes());
        frame
    };
    type Counted = fn(&WorkerCounters) -> u64;
    let cases: [(Vec<u8>, Counted); 10] = [
        (packet(CLIENT, "10.0.0.1", 64, 1, 10), |_| 1),
        (packet(CLIENT, "10.1.0.1", 1, 1, 10), |_| 1),
        (packet(CLIENT, SERVER, 1, 1, 10), |counters| counters.exceptions_expired),
        (packet("fd00::9", "fd01::9", 1, 1, 10), |counters| counters.exceptions_expired),
        // The next hop takes 1400 bytes.
        (packet(CLIENT, SERVER, 64, 1, 1373), |counters| counters.exceptions_too_long),
        (packet(CLIENT, "10.1.0.10", 64, 1, 10), |counters| counters.exceptions_neighbour),
        (packet(CLIENT, "10.9.0.1", 64, 1, 10), |counters| counters.exceptions_route),
        (packet(CLIENT, "203.0.113.1", 64, 1, 10), |counters| counters.exceptions_route),
        (tagged, |counters| counters.exceptions_other),
        (options, |counters| counters.exceptions_other),
    ];
    for (sent, counted) in cases {
        let mut test = loose();
        let left = test.receive(0, &sent);
        let [(HOST, frame)] = left.as_slice() else { panic!("{left:?}") };
        // As it came, but for who sent it on the link: that says where.
        assert_eq!(macs(frame), (OURS[0], [0x52, 0x56, 1, 2, 3, 4]));
        assert_eq!(frame[12..], sent[12..]);
        let counters = test.counters();
        assert_eq!((counters.local, counters.forwarded, counted(&counters)), (1, 0, 1));
    }
    let mut test = loose();
    assert_eq!(test.receive(0, &packet(CLIENT, SERVER, 64, 1, 1372))[0].0, PortId(1), "as long as may be");
}

#[test]
fn what_must_not_pass_is_dropped_for_its_reason() {
    let cases = [
        (packet(CLIENT, "10.8.1.1", 64, 1, 10), DropReason::RouteBlackhole),
        (packet("127.0.0.1", SERVER, 64, 1, 10), DropReason::Martian),
        (packet("0.1.2.3", SERVER, 64, 1, 10), DropReason::Martian),
        (packet("224.0.0.1", SERVER, 64, 1, 10), DropReason::Martian),
        (packet("255.255.255.255", SERVER, 64, 1, 10), DropReason::Martian),
        (packet("::1", "fd01::9", 64, 1, 10), DropReason::Martian),
        (packet("ff02::1", "fd01::9", 64, 1, 10), DropReason::Martian),
        (packet("203.0.113.1", SERVER, 64, 1, 10), DropReason::ReversePath),
        // Its own address.
        (packet("10.0.0.1", SERVER, 64, 1, 10), DropReason::ReversePath),
    ];
    for (sent, reason) in cases {
        let mut test = loose();
        assert_eq!(test.receive(0, &sent), [], "{reason:?}");
        assert_eq!(test.counters().drops.count(reason), 1, "{reason:?}");
    }
}

#[test]
fn sources_are_checked_as_far_as_is_asked() {
    // From a network that is behind the other interface, and from nowhere.
    let (elsewhere, nowhere) =
        (packet("192.0.2.7", "10.0.0.9", 64, 1, 10), packet("203.0.113.1", SERVER, 64, 1, 10));
    let cases = [
        (ReversePath::Strict, [false, false]),
        (ReversePath::Loose, [true, false]),
        (ReversePath::Off, [true, true]),
    ];
    for (reverse_path, passes) in cases {
        for (sent, passes) in [&elsewhere, &nowhere].into_iter().zip(passes) {
            let mut test = Test::new(reverse_path, routes());
            assert_eq!(test.receive(0, sent).len(), usize::from(passes), "{reverse_path:?}");
            assert_eq!(test.counters().drops.count(DropReason::ReversePath), u64::from(!passes));
        }
        let mut test = Test::new(reverse_path, routes());
        assert_eq!(test.receive(0, &packet(CLIENT, SERVER, 64, 1, 10)).len(), 1);
    }
}

#[test]
fn flows_are_spread_by_weight_and_each_stays_where_it_is() {
    let mut test = loose();
    let mut counts = [0_u32; 2];
    for port in 1..=800 {
        let frame = packet(CLIENT, "198.51.100.7", 64, port, 10);
        let left: Vec<_> = (0..2).flat_map(|_| test.receive(0, &frame)).map(|(port, _)| port).collect();
        assert_eq!(left[0], left[1], "one flow");
        counts[left[0].index()] += 1;
    }
    assert!((150..=250).contains(&counts[0]), "a quarter of 800: {counts:?}");
}

#[test]
fn both_directions_are_one_flow_and_records_say_where_it_leaves() {
    let mut test = loose();
    test.receive(0, &packet(CLIENT, SERVER, 64, 4000, 10));
    let mut answer = Vec::new();
    let packet =
        PacketBuilder::ethernet2(THEIRS[1], OURS[1]).ipv4([10, 1, 0, 9], [10, 0, 0, 9], 64).udp(53, 4000);
    packet.write(&mut answer, &[1; 10]).unwrap();
    let left = test.receive(1, &answer);
    assert_eq!((left[0].0, macs(&left[0].1)), (PortId(0), (THEIRS[0], OURS[0])));
    assert_eq!(test.counters().flows_created, 1);
}

#[test]
fn an_interface_on_which_the_kernel_does_not_forward_is_not_forwarded_from() {
    let mut routes = routes();
    let mut links = routes.links.to_vec();
    links[0].as_mut().unwrap().forwards = [false, true];
    routes.links = links.into();
    let mut test = Test::new(ReversePath::Loose, routes);
    assert_eq!(test.receive(0, &packet(CLIENT, SERVER, 64, 1, 10))[0].0, HOST);
    assert_eq!(test.receive(0, &packet("fd00::9", "fd01::9", 64, 1, 10))[0].0, PortId(1));
    assert_eq!(test.counters().exceptions_route, 1);
}

#[test]
fn into_a_tunnel_packets_go_although_nobody_is_next() {
    let mut routes = routes();
    routes.links = [routes.links[0], Some(Link { is_tunnel: true, ..routes.links[1].unwrap() })].into();
    routes.neighbours = Arc::new(Neighbours::new([(PortId(0), CLIENT.parse().unwrap(), THEIRS[0])]));
    let mut test = Test::new(ReversePath::Strict, routes.clone());
    // Twice: as a way is found, and as it is remembered. A gateway is nobody either.
    for to in [SERVER, SERVER, "10.1.0.77", "192.0.2.77", "192.0.2.77"] {
        let left = test.receive(0, &packet(CLIENT, to, 64, 1, 100));
        let [(PortId(1), frame)] = left.as_slice() else { panic!("{left:?}") };
        assert_eq!(macs(frame), (OURS[1], OURS[1]));
        assert_eq!(Ipv4Header::from_slice(&frame[14..]).unwrap().0.time_to_live, 63);
    }
    // What comes out of it goes on as ever.
    let left = test.receive(1, &packet(SERVER, CLIENT, 64, 1, 100));
    assert_eq!((left[0].0, macs(&left[0].1)), (PortId(0), (THEIRS[0], OURS[0])));
    // What is too long for it is still the kernel's, which says so.
    assert_eq!(test.receive(0, &packet(CLIENT, SERVER, 64, 1, 1400))[0].0, HOST);
    let counters = test.counters();
    assert_eq!((counters.forwarded, counters.exceptions_neighbour, counters.exceptions_too_long), (6, 0, 1));
    assert_eq!(routes.neighbours.take_used().collect::<Vec<_>>(), [(PortId(0), CLIENT.parse().unwrap())]);
}

#[test]
fn neighbours_are_known_to_be_used_until_that_is_asked() {
    let routes = routes();
    let used = |routes: &Routes| routes.neighbours.take_used().collect::<Vec<_>>();
    let mut test = Test::new(ReversePath::Loose, routes.clone());
    assert_eq!(used(&routes), []);
    test.receive(0, &packet(CLIENT, SERVER, 64, 1, 10));
    let server = SERVER.parse().unwrap();
    assert!(routes.neighbours.is_used(PortId(1), server));
    // Others that take their place know it, as far as they know the neighbour.
    let others = Neighbours::new([(PortId(1), server, THEIRS[1]), (PortId(0), server, THEIRS[0])]);
    others.remember(&routes.neighbours);
    assert_eq!(others.take_used().collect::<Vec<_>>(), [(PortId(1), server)]);
    assert_eq!(used(&routes), [(PortId(1), server)]);
    assert_eq!(used(&routes), []);
}

#[test]
fn neighbours_that_nobody_knows_are_noted_until_that_is_asked() {
    let mut routes = routes();
    let wanted = |routes: &Routes| routes.neighbours.take_wanted().collect::<Vec<_>>();
    let at = |address: &str| (PortId(1), address.parse().unwrap());
    routes.neighbours = Arc::new(Neighbours::new([(PortId(0), CLIENT.parse().unwrap(), THEIRS[0])]));
    let mut test = Test::new(ReversePath::Loose, routes.clone());
    assert_eq!(wanted(&routes), []);
    // The last is behind a gateway.
    for to in ["10.1.0.77", "10.1.0.77", "192.0.2.77"] {
        assert_eq!(test.receive(0, &packet(CLIENT, to, 64, 1, 10))[0].0, HOST);
    }
    assert_eq!(wanted(&routes), [at("10.1.0.77"), at("10.1.0.77"), at(SERVER)]);
    assert_eq!(wanted(&routes), []);
    // Whoever asks for all of a network takes no memory.
    for host in 2..250 {
        test.receive(0, &packet(CLIENT, &format!("10.1.0.{host}"), 64, 1, 10));
    }
    let noted = wanted(&routes);
    assert_eq!((noted.len(), noted[0]), (64, at("10.1.0.2")));
    assert_eq!(test.counters().exceptions_neighbour, 3 + 248);
}

#[test]
fn without_any_route_packets_are_judged_and_end() {
    let mut test = Test::new(ReversePath::Strict, Routes::default());
    assert_eq!(test.receive(0, &packet(CLIENT, SERVER, 64, 1, 10)), []);
    assert_eq!((test.counters().consumed, test.counters().flows_created), (1, 1));
}

/// A TCP packet with a maximum segment size of 1460, and what it leaves with from here.
fn sized(test: &mut Test, port: u8, from: &str, to: &str, syn: bool) -> (PortId, u16) {
    let ethernet = PacketBuilder::ethernet2(THEIRS[usize::from(port)], OURS[usize::from(port)]);
    let step = match (from.parse().unwrap(), to.parse().unwrap()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
        _ => panic!("{from} and {to} are of one version"),
    };
    let mut tcp = etherparse::TcpHeader::new(1, 2, 3, 4);
    (tcp.syn, tcp.ack) = (syn, !syn);
    tcp.set_options_raw(&[2, 4, 5, 180]).unwrap();
    let mut frame = Vec::new();
    step.tcp_header(tcp).write(&mut frame, &[]).unwrap();
    let left = test.receive(port, &frame);
    let [(out, frame)] = left.as_slice() else { panic!("{left:?}") };
    let [.., high, low] = frame.as_slice() else { panic!("{frame:?}") };
    let (ip, payload) = IpHeaders::from_slice(&frame[14..]).unwrap();
    let (tcp, _) = etherparse::TcpHeader::from_slice(payload.payload).unwrap();
    let right = match &ip {
        IpHeaders::Ipv4(ip, _) => tcp.calc_checksum_ipv4(ip, &[]),
        IpHeaders::Ipv6(ip, _) => tcp.calc_checksum_ipv6(ip, &[]),
    };
    assert_eq!(tcp.checksum, right.unwrap());
    (*out, u16::from_be_bytes([*high, *low]))
}

#[test]
fn connections_are_held_to_what_the_way_takes() {
    // Port 0 has an MTU of 1500, port 1 one of 1400.
    let (off, path) = (MssClamp::Off, MssClamp::Path);
    for (clamps, v4, v6) in [
        ([off, off], 1460, 1460),
        ([path, off], 1360, 1340),
        ([off, path], 1360, 1340),
        ([path, MssClamp::Most(1000)], 1000, 1000),
        ([MssClamp::Most(1350), off], 1350, 1340),
        ([MssClamp::Most(1459), off], 1360, 1340),
    ] {
        // Opening, answering, either way.
        for (port, from, to, size) in [
            (0, CLIENT, SERVER, v4),
            (1, SERVER, CLIENT, v4),
            (0, "fd00::9", "fd01::9", v6),
            (1, "fd01::9", "fd00::9", v6),
        ] {
            let mut test = Test::with(ReversePath::Loose, clamps, routes());
            assert_eq!(sized(&mut test, port, from, to, true), (PortId(1 - port), size), "{clamps:?} {from}");
            // Whoever does not open a connection says nothing.
            assert_eq!(sized(&mut test, port, from, to, false), (PortId(1 - port), 1460));
            assert_eq!(test.counters().mss_clamped, u64::from(size < 1460));
        }
    }
}

#[test]
fn who_waits_for_a_neighbour_in_the_kernel_is_held_as_well_and_the_host_is_not() {
    let mut test = Test::with(ReversePath::Loose, [MssClamp::Path; 2], routes());
    assert_eq!(sized(&mut test, 0, CLIENT, "10.1.0.77", true), (HOST, 1360));
    assert_eq!(sized(&mut test, 0, CLIENT, "10.0.0.1", true), (HOST, 1460));
    let counters = test.counters();
    assert_eq!((counters.mss_clamped, counters.exceptions_neighbour, counters.local), (1, 1, 2));
}

/// What is to be told from what else a flow sends.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Udp,
    Syn,
    /// IPv4 options.
    Options,
    /// A VLAN tag.
    Tagged,
    /// A router says that a packet of the flow got no further.
    Error,
}

impl Kind {
    fn frame(self, (from, to): (&str, &str), (port, to_port): (u16, u16), ttl: u8, length: usize) -> Vec<u8> {
        let mut frame = Vec::new();
        let payload = vec![1; length];
        let ethernet = PacketBuilder::ethernet2(THEIRS[0], OURS[0]);
        match (self, from.parse().unwrap(), to.parse().unwrap()) {
            (Self::Udp, IpAddr::V4(from), IpAddr::V4(to)) => {
                let packet = ethernet.ipv4(from.octets(), to.octets(), ttl).udp(port, to_port);
                packet.write(&mut frame, &payload).unwrap();
            }
            (Self::Syn, IpAddr::V4(from), IpAddr::V4(to)) => {
                let packet = ethernet.ipv4(from.octets(), to.octets(), ttl).tcp(port, to_port, 1, 100).syn();
                packet.write(&mut frame, &payload).unwrap();
            }
            (Self::Options, IpAddr::V4(from), IpAddr::V4(to)) => {
                let mut header = Ipv4Header::new(0, ttl, IpNumber::UDP, from.octets(), to.octets()).unwrap();
                header.options = [1, 1, 1, 1].into();
                let packet = ethernet.ip(IpHeaders::Ipv4(header, Default::default())).udp(port, to_port);
                packet.write(&mut frame, &payload).unwrap();
            }
            (Self::Tagged, IpAddr::V4(from), IpAddr::V4(to)) => {
                let tagged = ethernet.single_vlan(VlanId::try_new(5).unwrap());
                let packet = tagged.ipv4(from.octets(), to.octets(), ttl).udp(port, to_port);
                packet.write(&mut frame, &payload).unwrap();
            }
            (Self::Error, IpAddr::V4(sender), IpAddr::V4(receiver)) => {
                let quoted = Self::Udp.frame((to, from), (to_port, port), 1, 8);
                let router = [sender.octets()[0], sender.octets()[1], 0, 77];
                let error = Icmpv4Type::TimeExceeded(TimeExceededCode::TtlExceededInTransit);
                let packet = ethernet.ipv4(router, receiver.octets(), ttl).icmpv4(error);
                packet.write(&mut frame, &quoted[14..]).unwrap();
            }
            (_, IpAddr::V6(from), IpAddr::V6(to)) => {
                let packet = ethernet.ipv6(from.octets(), to.octets(), ttl).udp(port, to_port);
                packet.write(&mut frame, &payload).unwrap();
            }
            _ => panic!("{from} and {to} are of one version"),
        }
        frame
    }
}

/// A packet of few flows, as any of them might follow another: from either end, of any length and lifetime, with what makes a packet rare.
fn some_packet() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let ends = prop_oneof![
        4 => Just((CLIENT, SERVER)),
        2 => Just((CLIENT, "198.51.100.7")),
        1 => Just((CLIENT, "192.0.2.77")),
        1 => Just((CLIENT, "10.9.0.1")),
        1 => Just((CLIENT, "10.1.0.77")),
        2 => Just(("fd00::9", "fd01::9")),
    ];
    let kind = prop_oneof![6 => Just(Kind::Udp), 1 => Just(Kind::Syn), 1 => Just(Kind::Options), 1 => Just(Kind::Tagged), 1 => Just(Kind::Error)];
    let lengths = prop_oneof![6 => Just(10_usize), 1 => Just(1420), 1 => Just(1480)];
    let hops = prop_oneof![6 => Just(64_u8), 1 => Just(1)];
    (ends, kind, lengths, hops, any::<bool>(), prop_oneof![5 => Just(false), 1 => Just(true)], 1u16..4)
        .prop_map(|((client, server), kind, length, ttl, is_answer, is_elsewhere, port)| {
            let (from, to) = if is_answer { (server, client) } else { (client, server) };
            let frame = kind.frame(
                (from, to),
                (if is_answer { 53 } else { port }, if is_answer { port } else { 53 }),
                ttl,
                length,
            );
            (u8::from(is_answer != is_elsewhere), frame)
        })
}

/// What is remembered of a flow's way has no packet go elsewhere than it would alone, whatever becomes of routes and neighbours.
#[test]
fn a_way_that_is_remembered_is_the_one_that_would_be_found() {
    let other = |number: usize| {
        let mut routes = routes();
        let targets = Arc::make_mut(&mut routes.targets);
        match number {
            0 => {}
            1 => targets[4] = Target::Hops([hop(1, Some(SERVER), 1300, 1)].into()),
            2 => targets[4] = Target::Blackhole,
            3 => routes.neighbours = Arc::default(),
            4 => {
                routes.links =
                    [routes.links[0], Some(Link { is_tunnel: true, ..routes.links[1].unwrap() })].into();
            }
            5 => targets[6] = Target::Hops([hop(0, Some(CLIENT), 1500, 1)].into()),
            _ => routes.links = [routes.links[0], None].into(),
        }
        routes
    };
    let steps = prop_oneof![12 => some_packet().prop_map(Ok), 1 => (0..7_usize).prop_map(Err)];
    let checks = [ReversePath::Off, ReversePath::Loose, ReversePath::Strict];
    let cases = (proptest::sample::select(checks.to_vec()), proptest::collection::vec(steps, 1..60));
    let remembered = Cell::new(0);
    TestRunner::default()
        .run(&cases, |(reverse_path, steps)| {
            let mut latest = other(0);
            let mut test = Test::new(reverse_path, latest.clone());
            for step in steps {
                match step {
                    Ok((port, frame)) => {
                        let alone = Test::new(reverse_path, latest.clone()).receive(port, &frame);
                        remembered.set(remembered.get() + alone.len());
                        prop_assert_eq!(test.receive(port, &frame), alone);
                    }
                    Err(number) => {
                        latest = other(number);
                        let snapshot =
                            Snapshot { routes: latest.clone(), ..(*test.0.publisher.current()).clone() };
                        test.0.publisher.publish_change(snapshot, &AddressSet::empty());
                    }
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(remembered.get() > 1_000, "{} packets went on", remembered.get());
}
