//! A router in memory: port 0 leads to 10.0.0.0/24, port 1 to 10.1.0.0/24, port 2 to the kernel.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use etherparse::{Ethernet2Slice, PacketBuilder};
use ravelin_config::types::MssClamp;
use ravelin_dataplane::{
    counters::WorkerCounters,
    forward::{Plan, Port},
    io::PortId,
    nat::NatPlan,
    parse::Address,
    route::{Change, Hop, Link, Mac, Neighbours, NextHopId, ReversePath, Rib, Routes, Target},
    snapshot::Snapshot,
};

use super::{Appliance, Plant};

/// The MACs of our interfaces, and of a host behind each.
pub const OURS: [Mac; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
pub const THEIRS: [Mac; 2] = [[4, 0, 0, 0, 0, 1], [4, 0, 0, 0, 0, 2]];
pub const INDEXES: [u32; 2] = [0x0102_0304, 7];

pub const HOST: PortId = PortId(2);
pub const CLIENT: &str = "10.0.0.9";
pub const SERVER: &str = "10.1.0.9";
/// Another host where the client is.
pub const NEIGHBOUR: &str = "10.0.0.8";
/// The first of eight more.
pub const CROWD: &str = "10.0.0.20";

pub fn hop(port: u8, gateway: Option<&str>, mtu: u32, weight: u16) -> Hop {
    let gateway = gateway.map(|gateway| Address::from(gateway.parse::<IpAddr>().unwrap()));
    Hop { port: PortId(port), gateway, mtu, weight }
}

/// 10.0.0.0/24 and fd00::/64 behind port 0, 10.1.0.0/24 and fd01::/64 behind port 1, and some other routes.
pub fn routes() -> Routes {
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
    let link = |place: usize| Link {
        index: INDEXES[place],
        mac: OURS[place],
        table: 0,
        forwards: [true; 2],
        is_tunnel: false,
    };
    let neighbours = [
        (0, CLIENT, THEIRS[0]),
        (0, NEIGHBOUR, THEIRS[0]),
        (1, SERVER, THEIRS[1]),
        (0, "fd00::9", THEIRS[0]),
        (1, "fd01::9", THEIRS[1]),
    ];
    let neighbours =
        neighbours.map(|(port, address, mac)| (PortId(port), address.parse::<IpAddr>().unwrap(), mac));
    let crowd = CROWD.parse::<Ipv4Addr>().unwrap().to_bits();
    let crowd = (0..8).map(|place| (PortId(0), Ipv4Addr::from_bits(crowd + place).into(), THEIRS[0]));
    let neighbours = neighbours.into_iter().chain(crowd);
    Routes {
        fibs: Arc::new([Rib::new().apply(&changes)]),
        targets: targets.into(),
        links: Arc::new([Some(link(0)), Some(link(1))]),
        neighbours: Arc::new(Neighbours::new(neighbours)),
    }
}

pub struct Test(pub Appliance);

impl Test {
    /// What a router does that translates addresses.
    pub fn translated(nat: NatPlan) -> Snapshot {
        let route = Port::Route {
            complete_checksums: true,
            reverse_path: ReversePath::Loose,
            mss_clamp: MssClamp::Most(1300),
        };
        let forward = Plan::new(vec![route, route, Port::Host]);
        Snapshot { forward, routes: routes(), nat: Arc::new(nat), ..Snapshot::default() }
    }

    /// One that translates addresses.
    pub fn translating(nat: NatPlan, workers: u8, flows: usize) -> Self {
        let snapshot = Self::translated(nat);
        Self(Appliance::new(Plant { snapshot, workers, flows, ..Plant::default() }))
    }

    pub fn new(reverse_path: ReversePath, routes: Routes) -> Self {
        Self::with(reverse_path, [MssClamp::Off; 2], routes)
    }

    pub fn with(reverse_path: ReversePath, clamps: [MssClamp; 2], routes: Routes) -> Self {
        let route = |mss_clamp| Port::Route { complete_checksums: true, reverse_path, mss_clamp };
        let [first, second] = clamps.map(route);
        let forward = Plan::new(vec![first, second, Port::Host]);
        Self(Appliance::new(Plant {
            snapshot: Snapshot { forward, routes, ..Snapshot::default() },
            ..Plant::default()
        }))
    }

    /// What is sent when a port receives a packet.
    pub fn receive(&mut self, port: u8, packet: &[u8]) -> Vec<(PortId, Vec<u8>)> {
        self.0.push(0, port, 1, packet);
        self.0.settle();
        self.0.sent()
    }

    pub fn counters(&self) -> WorkerCounters {
        self.0.counters()
    }
}

/// A UDP packet that port 0 receives.
pub fn packet(source: &str, destination: &str, ttl: u8, port: u16, length: usize) -> Vec<u8> {
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

pub fn macs(frame: &[u8]) -> (Mac, Mac) {
    let ethernet = Ethernet2Slice::from_slice_without_fcs(frame).unwrap();
    (ethernet.destination(), ethernet.source())
}
