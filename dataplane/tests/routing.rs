//! Routed packets: where they go, what they look like when they leave, and what only the kernel can do with them.

mod support;

use std::{net::IpAddr, sync::Arc};

use etherparse::{Ethernet2Slice, IpHeaders, Ipv4Header, PacketBuilder};
use ravelin_dataplane::{
    counters::WorkerCounters,
    forward::{Plan, Port},
    io::PortId,
    parse::Address,
    route::{Change, Hop, Link, Mac, Neighbours, NextHopId, ReversePath, Rib, Routes, Target},
    snapshot::Snapshot,
    verdict::DropReason,
};
use support::{Appliance, Plant};

/// The MACs of our interfaces, and of a host behind each.
const OURS: [Mac; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
const THEIRS: [Mac; 2] = [[4, 0, 0, 0, 0, 1], [4, 0, 0, 0, 0, 2]];
const INDEXES: [u32; 2] = [0x0102_0304, 7];

const HOST: PortId = PortId(2);
const CLIENT: &str = "10.0.0.9";
const SERVER: &str = "10.1.0.9";

fn hop(port: u8, gateway: Option<&str>, mtu: u32, weight: u16) -> Hop {
    let gateway = gateway.map(|gateway| Address::from(gateway.parse::<IpAddr>().unwrap()));
    Hop { port: PortId(port), gateway, mtu, weight }
}

/// 10.0.0.0/24 and fd00::/64 behind port 0, 10.1.0.0/24 and fd01::/64 behind port 1, and some other routes.
fn routes() -> Routes {
    let targets = vec![
        Target::Local,
        Target::Kernel,
        Target::Blackhole,
        Target::Hops([hop(0, None, 1500, 1)].into()),
        Target::Hops([hop(1, None, 1400, 1)].into()),
        Target::Hops([hop(1, Some("10.1.0.9"), 1500, 1)].into()),
        Target::Hops([hop(0, Some(CLIENT), 1500, 1), hop(1, Some(SERVER), 1500, 3)].into()),
    ];
    let prefixes = [
        ("10.0.0.1/32", 0),
        ("10.1.0.1/32", 0),
        ("10.9.0.0/16", 1),
        ("10.8.0.0/16", 2),
        ("10.0.0.0/24", 3),
        ("fd00::/64", 3),
        ("10.1.0.0/24", 4),
        ("fd01::/64", 4),
        ("192.0.2.0/24", 5),
        ("198.51.100.0/24", 6),
    ];
    let changes: Vec<_> = prefixes
        .into_iter()
        .map(|(prefix, target)| Change { prefix: prefix.parse().unwrap(), next: NextHopId::new(target) })
        .collect();
    let link = |place: usize| Link { index: INDEXES[place], mac: OURS[place], table: 0, forwards: [true; 2] };
    let neighbours = [
        (0, CLIENT, THEIRS[0]),
        (1, SERVER, THEIRS[1]),
        (0, "fd00::9", THEIRS[0]),
        (1, "fd01::9", THEIRS[1]),
    ];
    let neighbours =
        neighbours.map(|(port, address, mac)| (PortId(port), address.parse::<IpAddr>().unwrap(), mac));
    Routes {
        fibs: Arc::new([Rib::new().apply(&changes)]),
        targets: targets.into(),
        links: Arc::new([Some(link(0)), Some(link(1))]),
        neighbours: Arc::new(Neighbours::new(neighbours)),
    }
}

struct Test(Appliance);

impl Test {
    fn new(reverse_path: ReversePath, routes: Routes) -> Self {
        let route = Port::Route { complete_checksums: true, reverse_path };
        let forward = Plan::new(vec![route, route, Port::Host]);
        Self(Appliance::new(Plant {
            snapshot: Snapshot { forward, routes, ..Snapshot::default() },
            ..Plant::default()
        }))
    }

    /// What is sent when a port receives a packet.
    fn receive(&mut self, port: u8, packet: &[u8]) -> Vec<(PortId, Vec<u8>)> {
        self.0.push(0, port, 1, packet);
        self.0.settle();
        self.0.sent()
    }

    fn counters(&self) -> WorkerCounters {
        self.0.counters()
    }
}

fn loose() -> Test {
    Test::new(ReversePath::Loose, routes())
}

/// A UDP packet that port 0 receives.
fn packet(source: &str, destination: &str, ttl: u8, port: u16, length: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    let ethernet = PacketBuilder::ethernet2(THEIRS[0], OURS[0]);
    match (source.parse().unwrap(), destination.parse().unwrap()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let packet = ethernet.ipv4(source.octets(), destination.octets(), ttl).udp(port, 53);
            packet.write(&mut frame, &vec![1; length]).unwrap();
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let packet = ethernet.ipv6(source.octets(), destination.octets(), ttl).udp(port, 53);
            packet.write(&mut frame, &vec![1; length]).unwrap();
        }
        _ => panic!("{source} and {destination} are of one version"),
    }
    frame
}

fn macs(frame: &[u8]) -> (Mac, Mac) {
    let ethernet = Ethernet2Slice::from_slice_without_fcs(frame).unwrap();
    (ethernet.destination(), ethernet.source())
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
fn neighbours_are_known_to_be_used_until_that_is_asked() {
    let routes = routes();
    let used = |routes: &Routes| routes.neighbours.take_used().collect::<Vec<_>>();
    let mut test = Test::new(ReversePath::Loose, routes.clone());
    assert_eq!(used(&routes), []);
    test.receive(0, &packet(CLIENT, SERVER, 64, 1, 10));
    assert_eq!(used(&routes), [(PortId(1), SERVER.parse().unwrap())]);
    assert_eq!(used(&routes), []);
}

#[test]
fn without_any_route_packets_are_judged_and_end() {
    let mut test = Test::new(ReversePath::Strict, Routes::default());
    assert_eq!(test.receive(0, &packet(CLIENT, SERVER, 64, 1, 10)), []);
    assert_eq!((test.counters().consumed, test.counters().flows_created), (1, 1));
}
