//! Two bridges that encrypt what those behind them say to each other: what is on the wire between them, and what comes out.

mod support;

use std::{net::IpAddr, sync::Arc};

use etherparse::{
    Ethernet2Header, Ipv4Header, NetHeaders, PacketBuilder, PacketBuilderStep, PacketHeaders,
    TransportHeader, VlanId,
};
use ravelin_config::types::{IpNet, MssClamp};
use ravelin_dataplane::{
    policy::{Effect, OnChange},
    snapshot::Snapshot,
    verdict::DropReason,
    wireguard::{AllowedIps, Counter, Identity, Inbox, Interface, Peer, PeerKeys, PeerSlot, Plan, Wire},
};
use support::{Appliance, Plant, bridge, policy};

const OUTSIDE: u8 = 0;
const INSIDE: u8 = 1;
const LISTEN: u16 = 51_871;
const MTU: u16 = 1420;

/// Hosts behind the two bridges, and a third that is behind none.
const HOSTS: [[&str; 2]; 3] = [["10.0.1.5", "fd01::5"], ["10.0.2.6", "fd02::6"], ["10.0.3.7", "fd03::7"]];
const MACS: [[u8; 6]; 3] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 3]];
const BEHIND: [[&str; 2]; 2] = [["10.0.1.0/24", "fd01::/64"], ["10.0.2.0/24", "fd02::/64"]];

fn nets(texts: [&str; 2]) -> [IpNet; 2] {
    texts.map(|text| text.parse().unwrap())
}

/// One of the two bridges.
struct Side {
    appliance: Appliance,
    peer: Arc<Peer>,
    number: usize,
    /// Packets on its wire, in the order in which they left.
    wire: Vec<Vec<u8>>,
}

/// How the two are made.
#[derive(Clone, Copy, Default)]
struct Like {
    is_strict: bool,
    /// The number of the peer, which says whose it is of the two workers.
    slot: u32,
    rejects: bool,
}

fn side(number: usize, like: Like) -> Side {
    let secret = |number: usize| [number as u8 + 40; 32];
    let identity = Arc::new(Identity::new(secret(number)));
    let public_key = Identity::new(secret(1 - number)).public_key();
    let keys = PeerKeys { public_key, preshared_key: Some([9; 32]), keepalive: None };
    let slot = PeerSlot(like.slot);
    let port = ravelin_dataplane::io::PortId(OUTSIDE);
    let peer = Arc::new(Peer::new(slot, (port, &identity), keys, None));
    let local = AllowedIps::new([(PeerSlot(0), &nets(BEHIND[number])[..])]).unwrap();
    let interface = Interface {
        port,
        wire: Some(Wire { local, mss_clamp: MssClamp::Path }),
        listen_port: LISTEN,
        mtu: MTU,
        requires_encryption: like.is_strict,
        identity: Arc::clone(&identity),
        previous: None,
        allowed: AllowedIps::new([(slot, &nets(BEHIND[1 - number])[..])]).unwrap(),
        keys: [(public_key, slot)].into_iter().collect(),
        sockets: [None, None],
        inbox: Arc::new(Inbox::default()),
    };
    let mut peers = vec![None; like.slot as usize];
    peers.push(Some(Arc::clone(&peer)));
    let mut snapshot = Snapshot { wireguard: Arc::new(Plan::new(vec![interface], peers)), ..bridge() };
    if like.rejects {
        snapshot.policy = policy(&[(0..=u16::MAX, Effect::Reject, OnChange::Keep)]);
    }
    let appliance = Appliance::new(Plant { workers: 2, snapshot, ..Plant::default() });
    Side { appliance, peer, number, wire: Vec::new() }
}

fn sides(like: Like) -> [Side; 2] {
    [side(0, like), side(1, like)]
}

impl Side {
    /// Has a worker receive a packet; what leaves through the outside is kept, what leaves through the inside is returned.
    fn receive(&mut self, worker: usize, port: u8, frame: &[u8]) -> Vec<Vec<u8>> {
        self.appliance.push(worker, port, 1, frame);
        self.appliance.settle();
        let (wire, inside): (Vec<_>, Vec<_>) =
            self.appliance.sent().into_iter().partition(|(port, _)| port.0 == OUTSIDE);
        self.wire.extend(wire.into_iter().map(|(_, frame)| frame));
        inside.into_iter().map(|(_, frame)| frame).collect()
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.appliance.counters().drops.count(reason)
    }
}

/// Carries what is on the wire to the other side until nothing is; returns what came out behind either, and what was on the wire.
fn carry(sides: &mut [Side; 2]) -> ([Vec<Vec<u8>>; 2], Vec<Vec<u8>>) {
    let (mut out, mut wire) = ([Vec::new(), Vec::new()], Vec::new());
    for round in 0.. {
        let mut is_quiet = true;
        for from in [0, 1] {
            for frame in std::mem::take(&mut sides[from].wire) {
                is_quiet = false;
                // Whichever worker's queue it comes to.
                out[1 - from].extend(sides[1 - from].receive(round % 2, OUTSIDE, &frame));
                wire.push(frame);
            }
        }
        if is_quiet {
            break;
        }
    }
    (out, wire)
}

/// Sends a packet from behind one side; returns what came out behind both.
fn send(sides: &mut [Side; 2], from: usize, frame: &[u8]) -> ([Vec<Vec<u8>>; 2], Vec<Vec<u8>>) {
    let inside = sides[from].receive(0, INSIDE, frame);
    let (mut out, wire) = carry(sides);
    out[from].splice(..0, inside);
    (out, wire)
}

fn ethernet(from: usize, to: usize) -> PacketBuilderStep<Ethernet2Header> {
    PacketBuilder::ethernet2(MACS[from], MACS[to])
}

fn udp(from: usize, to: usize, version: usize, length: usize) -> Vec<u8> {
    let ip = |host: usize| HOSTS[host][version].parse::<IpAddr>().unwrap();
    let builder = ethernet(from, to);
    let payload = vec![0x5a; length];
    let mut frame = Vec::new();
    match (ip(from), ip(to)) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            builder.ipv4(from.octets(), to.octets(), 9).udp(4000, 5000).write(&mut frame, &payload).unwrap();
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            builder.ipv6(from.octets(), to.octets(), 9).udp(4000, 5000).write(&mut frame, &payload).unwrap();
        }
        _ => unreachable!("one version"),
    }
    frame
}

/// Writes the checksum of a header of IPv4.
fn seal_header(frame: &mut [u8]) {
    let checksum = Ipv4Header::from_slice(&frame[14..]).unwrap().0.calc_header_checksum();
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}

fn v4(host: usize) -> [u8; 4] {
    HOSTS[host][0].parse::<std::net::Ipv4Addr>().unwrap().octets()
}

/// The payload of a datagram with the port of tunnels that has these ends, if it is one.
#[track_caller]
fn message(frame: &[u8], like: &[u8]) -> Vec<u8> {
    let (outer, inner) = (
        PacketHeaders::from_ethernet_slice(frame).unwrap(),
        PacketHeaders::from_ethernet_slice(like).unwrap(),
    );
    assert_eq!((outer.link, outer.link_exts), (inner.link, inner.link_exts), "hardware addresses and tags");
    match (outer.net.unwrap(), inner.net.unwrap()) {
        (NetHeaders::Ipv4(outer, _), NetHeaders::Ipv4(inner, _)) => {
            assert_eq!((outer.source, outer.destination), (inner.source, inner.destination));
            assert!(outer.dont_fragment);
            assert_eq!(outer.header_checksum, outer.calc_header_checksum());
        }
        (NetHeaders::Ipv6(outer, _), NetHeaders::Ipv6(inner, _)) => {
            assert_eq!((outer.source, outer.destination), (inner.source, inner.destination));
        }
        other => panic!("{other:?}"),
    }
    let Some(TransportHeader::Udp(udp)) = outer.transport else { panic!("no UDP") };
    assert_eq!((udp.source_port, udp.destination_port), (LISTEN, LISTEN));
    outer.payload.slice().to_vec()
}

#[test]
fn packets_are_encrypted_between_their_own_addresses_and_come_out_as_they_went_in() {
    for slot in [0, 1] {
        let mut sides = sides(Like { slot, is_strict: true, ..Like::default() });
        for from in [0, 1] {
            let to = 1 - from;
            let mut frames = vec![udp(from, to, 0, 0), udp(from, to, 0, 700), udp(from, to, 1, 1300)];
            // Nothing in the Ethernet header is changed, and tags are no matter.
            let [a, b] = [7, 8].map(|tag| VlanId::try_new(tag).unwrap());
            for builder in [ethernet(from, to).single_vlan(a), ethernet(from, to).double_vlan(a, b)] {
                let mut frame = Vec::new();
                builder.ipv4(v4(from), v4(to), 9).udp(1, 2).write(&mut frame, &[0x5a; 64]).unwrap();
                frames.push(frame);
            }
            for frame in frames {
                let (out, wire) = send(&mut sides, from, &frame);
                assert_eq!(out[to], std::slice::from_ref(&frame), "from {from}");
                assert_eq!(out[from].len(), 0);
                let last = wire.last().unwrap();
                assert_eq!(message(last, &frame)[..4], [4, 0, 0, 0], "a message with a packet");
                assert!(!wire.iter().any(|frame| frame.windows(8).any(|bytes| bytes == [0x5a; 8])));
            }
        }
        for side in &sides {
            assert_eq!(side.peer.count(Counter::Handshakes), 1);
            assert_eq!(
                [Counter::SentPackets, Counter::ReceivedPackets].map(|it| side.peer.count(it)),
                [5, 5]
            );
            assert_eq!(side.peer.count(Counter::Roams), 0);
            let sight = side.peer.sight();
            let at = |side: usize| HOSTS[side][0].parse::<IpAddr>().unwrap();
            assert_eq!(
                (sight.local, sight.endpoint),
                (Some(at(side.number)), Some((at(1 - side.number), LISTEN).into()))
            );
            assert_eq!(side.appliance.counters().drops.total(), 0);
        }
    }
}

#[test]
fn what_others_say_and_how_neighbours_find_each_other_stays_as_it_is() {
    let mut sides = sides(Like { is_strict: true, ..Like::default() });
    let mut arp = [MACS[1], MACS[0]].concat();
    arp.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    arp.extend([&MACS[0][..], &v4(0), &[0; 6], &v4(1)].concat());
    let mut solicitation = Vec::new();
    let ip = |host: usize| HOSTS[host][1].parse::<std::net::Ipv6Addr>().unwrap().octets();
    let body = [&[0; 4][..], &ip(1)].concat();
    ethernet(0, 1)
        .ipv6(ip(0), ip(1), 255)
        .icmpv6_raw(135, 0, [0; 4])
        .write(&mut solicitation, &body[4..])
        .unwrap();
    for frame in [udp(0, 2, 0, 50), udp(0, 2, 1, 50), arp, solicitation] {
        let inside = sides[0].receive(0, INSIDE, &frame);
        assert_eq!((inside.len(), std::mem::take(&mut sides[0].wire)), (0, vec![frame.clone()]));
        assert_eq!(sides[1].receive(0, OUTSIDE, &frame), [frame]);
    }
    // Whoever is no peer comes in as ever; it is a peer's packets that have to be encrypted.
    let strange = udp(2, 1, 0, 50);
    assert_eq!(sides[1].receive(0, OUTSIDE, &strange), [strange]);
    assert_eq!(sides[1].receive(0, OUTSIDE, &udp(0, 1, 0, 50)), [] as [Vec<u8>; 0]);
    assert_eq!(sides[1].dropped(DropReason::WireguardRequired), 1);
    let mut lenient = side(1, Like::default());
    assert_eq!(lenient.receive(0, OUTSIDE, &udp(0, 1, 0, 50)), [udp(0, 1, 0, 50)]);
}

#[test]
fn without_a_session_nothing_leaves_but_the_wish_for_one() {
    let [mut here, _] = sides(Like::default());
    for length in 0..100 {
        assert_eq!(here.receive(0, INSIDE, &udp(0, 1, 0, length)), [] as [Vec<u8>; 0]);
    }
    let [initiation] = &*here.wire else { panic!("one message: {}", here.wire.len()) };
    assert_eq!(message(initiation, &udp(0, 1, 0, 0))[..4], [1, 0, 0, 0]);
    assert_eq!(here.dropped(DropReason::WireguardQueueFull), 100 - 64, "the others wait");
    // It is answered once, for it is good once.
    let replayed = initiation.clone();
    let mut there = side(1, Like::default());
    assert_eq!(there.receive(0, OUTSIDE, &replayed), [] as [Vec<u8>; 0]);
    assert_eq!(there.wire.len(), 1);
    assert_eq!(there.receive(0, OUTSIDE, &replayed), [] as [Vec<u8>; 0]);
    assert_eq!((there.wire.len(), there.dropped(DropReason::WireguardHandshakeFailed)), (1, 1));
}

#[test]
fn what_is_too_long_is_told_or_comes_in_pieces() {
    let mut sides = sides(Like::default());
    // It fits just so.
    let (out, _) = send(&mut sides, 0, &udp(0, 1, 0, usize::from(MTU) - 28));
    assert_eq!(out[1].len(), 1);

    // Fragments allowed: as a router would.
    let strict = udp(0, 1, 0, 1472);
    let mut long = strict.clone();
    long[20] = 0;
    seal_header(&mut long);
    let (out, wire) = send(&mut sides, 0, &long);
    assert_eq!((out[1].len(), wire.len()), (2, 2));
    let mut put_together = vec![0; 1480];
    for frame in &out[1] {
        let (header, rest) = Ipv4Header::from_slice(&frame[14..]).unwrap();
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        assert!(
            usize::from(header.total_len) <= usize::from(MTU)
                && rest.len() + 20 == usize::from(header.total_len)
        );
        let at = usize::from(header.fragment_offset.value()) * 8;
        assert_eq!(header.more_fragments, at == 0);
        put_together[at..at + rest.len()].copy_from_slice(rest);
    }
    assert_eq!(put_together, long[34..]);

    // Forbidden: its sender is told, in the name of the receiver.
    let long6 = udp(0, 1, 1, 1452);
    for frame in [strict, long6] {
        let (out, wire) = send(&mut sides, 0, &frame);
        assert_eq!((out[1].len(), wire.len()), (0, 0));
        let [told] = &*out[0] else { panic!("one answer") };
        let headers = PacketHeaders::from_ethernet_slice(told).unwrap();
        // Too big, and for what it is not.
        let said = match headers.transport {
            Some(TransportHeader::Icmpv4(it)) => (it.to_bytes()[..2].to_vec(), it.to_bytes()[6..8].to_vec()),
            Some(TransportHeader::Icmpv6(it)) => (it.to_bytes()[..2].to_vec(), it.to_bytes()[6..8].to_vec()),
            transport => panic!("{transport:?}"),
        };
        let kind = if frame[14] >> 4 == 4 { vec![3, 4] } else { vec![2, 0] };
        assert_eq!(said, (kind, MTU.to_be_bytes().to_vec()));
    }
    assert_eq!(sides[0].dropped(DropReason::MtuExceeded), 2);
}

#[test]
fn connections_are_opened_with_segments_that_fit() {
    let mut sides = sides(Like::default());
    let mut syn = Vec::new();
    let options = [etherparse::TcpOptionElement::MaximumSegmentSize(1460)];
    let builder = ethernet(0, 1).ipv4(v4(0), v4(1), 9).tcp(1, 2, 3, 4).syn();
    builder.options(&options).unwrap().write(&mut syn, &[]).unwrap();
    let (out, _) = send(&mut sides, 0, &syn);
    let headers = PacketHeaders::from_ethernet_slice(&out[1][0]).unwrap();
    let (Some(NetHeaders::Ipv4(ip, _)), Some(TransportHeader::Tcp(tcp))) = (headers.net, headers.transport)
    else {
        panic!("TCP")
    };
    let said = tcp.options_iterator().next().unwrap().unwrap();
    assert_eq!(said, etherparse::TcpOptionElement::MaximumSegmentSize(MTU - 40));
    assert_eq!(tcp.checksum, tcp.calc_checksum_ipv4(&ip, &[]).unwrap());
}

#[test]
fn who_is_rejected_through_the_wire_is_told_through_it_in_secret() {
    let there = side(1, Like { rejects: true, ..Like::default() });
    let here = side(0, Like::default());
    let mut sides = [here, there];
    let (out, wire) = send(&mut sides, 0, &udp(0, 1, 0, 40));
    assert_eq!(out[1], [] as [Vec<u8>; 0]);
    let [told] = &*out[0] else { panic!("an answer: {out:?}") };
    let Some(TransportHeader::Icmpv4(icmp)) = PacketHeaders::from_ethernet_slice(told).unwrap().transport
    else {
        panic!("ICMP")
    };
    assert_eq!(icmp.to_bytes()[0], 3, "unreachable");
    for frame in wire {
        let headers = PacketHeaders::from_ethernet_slice(&frame).unwrap();
        assert!(
            matches!(headers.transport, Some(TransportHeader::Udp(udp)) if udp.destination_port == LISTEN)
        );
    }
}

#[test]
fn a_message_on_its_way_to_another_bridge_passes() {
    let [mut here, _] = sides(Like::default());
    here.receive(0, INSIDE, &udp(0, 1, 0, 1));
    let message = here.wire.pop().unwrap();
    // Neither end is behind this one.
    let mut between = side(1, Like::default());
    let elsewhere = {
        let mut frame = message.clone();
        // To 10.0.3.6.
        frame[32] = 3;
        seal_header(&mut frame);
        frame
    };
    let passed = between.receive(0, OUTSIDE, &elsewhere);
    assert_eq!(passed, [elsewhere]);
}
