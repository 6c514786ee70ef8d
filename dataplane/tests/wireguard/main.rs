//! Tunnels that end at the workers: what comes out of them, what goes into them, and what does neither.

mod corpus;
mod lab;
mod models;
mod noise;
mod rotation;
mod sessions;
#[path = "../support/mod.rs"]
mod support;

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use lab::{
    Answer, GATEWAY, Gateway, HOST, HOST6, INSIDE, LISTEN, OUTSIDE, Remote, TUNNEL, frame, packet, udp,
};
use ravelin_dataplane::{
    clock::Timestamp,
    io::PortId,
    policy::{Effect, OnChange},
    verdict::DropReason,
    wireguard::Counter,
};

const PEER: &str = "10.1.0.9:51000";
const PEER6: &str = "[fd01::9]:51000";

fn connected(endpoint: &str) -> (Gateway, Remote) {
    let (mut gateway, mut remote) = Gateway::with_peer(endpoint, &["10.9.0.2/32", "fd09::2/128"]);
    gateway.shake_hands(&mut remote);
    (gateway, remote)
}

/// The packet with one hop less, as a router sends it on.
fn routed(mut packet: Vec<u8>) -> Vec<u8> {
    if packet[0] >> 4 == 6 {
        packet[7] -= 1;
    } else {
        packet[8] -= 1;
        let sum = u16::from_be_bytes([packet[10], packet[11]]);
        packet[10..12].copy_from_slice(&(sum + 0x100).to_be_bytes());
    }
    packet
}

#[test]
fn packets_of_all_lengths_pass_both_ways_over_both_versions() {
    for endpoint in [PEER, PEER6] {
        let (mut gateway, mut remote) = connected(endpoint);
        for (inside, peer) in [(HOST, "10.9.0.2"), (HOST6, "fd09::2")] {
            for length in [0, 1, 5, 100, 1000, 1370, 1372] {
                let sent = packet(peer, inside, length);
                let out = gateway.receive(OUTSIDE, &remote.send(&sent));
                assert_eq!(out.len(), 1, "{endpoint} {inside} {length}");
                assert_eq!((out[0].0, &out[0].1[14..]), (INSIDE, &*routed(sent)));

                let answer = frame(inside, peer, length);
                let out = gateway.receive(INSIDE, &answer);
                assert_eq!(out.len(), 1, "{endpoint} {inside} {length}");
                assert_eq!(out[0].0, OUTSIDE);
                assert_eq!(remote.open(&out[0].1), Answer::Packet(routed(answer[14..].to_vec())));
                // Padded to a multiple of 16, as far as the MTU goes.
                let inner = answer.len() - 14;
                let padded = inner.next_multiple_of(16).min(1420).max(inner);
                let headers = if endpoint == PEER { 42 } else { 62 };
                assert_eq!(out[0].1.len(), headers + padded + 32);
            }
        }
        let counters = gateway.counters();
        assert_eq!((counters.wireguard_opened, counters.wireguard_sealed), (14, 14));
        assert_eq!(counters.drops.total(), 0);
        assert_eq!(gateway.count(0, Counter::ReceivedPackets), 14);
        assert_eq!(gateway.count(0, Counter::SentPackets), 14);
        assert_eq!(
            (gateway.count(0, Counter::Handshakes), gateway.count(0, Counter::KeepalivesReceived)),
            (1, 1)
        );
        let sight = gateway.peers[0].sight();
        assert_eq!((sight.endpoint, sight.is_up), (Some(remote.endpoint), true));
    }
}

#[test]
fn flows_of_a_tunnel_are_between_its_port_and_another() {
    let (mut gateway, mut remote) = connected(PEER);
    gateway.receive(OUTSIDE, &remote.send(&packet("10.9.0.2", HOST, 10)));
    gateway.receive(INSIDE, &frame(HOST, "10.9.0.2", 10));
    let counters = gateway.counters();
    assert_eq!((counters.flows_active, counters.flows_created), (1, 1), "both directions are in one");
    gateway.appliance.workers[0].run_to_end();
    let records = gateway.appliance.records.0.lock().unwrap();
    let [record] = &**records else { panic!("one record") };
    assert_eq!([record.port_in, record.port_out], [TUNNEL, INSIDE].map(PortId));
    assert_eq!(record.packets, [1, 1]);
}

#[test]
fn each_message_that_is_not_right_is_dropped_for_its_own_reason() {
    let (mut gateway, mut remote) = connected(PEER);
    let good = remote.send(&packet("10.9.0.2", HOST, 10));
    assert_eq!(gateway.receive(OUTSIDE, &good).len(), 1);
    gateway.drops(OUTSIDE, &good, DropReason::WireguardReplay);

    let mut changed = remote.send(&packet("10.9.0.2", HOST, 10));
    *changed.last_mut().unwrap() ^= 1;
    gateway.drops(OUTSIDE, &changed, DropReason::WireguardBadTag);

    let mut message = remote.seal(&packet("10.9.0.2", HOST, 10));
    message[6] ^= 1;
    let unknown = remote.wrap(&message);
    gateway.drops(OUTSIDE, &unknown, DropReason::WireguardUnknownIndex);
    message[6] ^= 1;
    message[4] ^= 7;
    let gone = remote.wrap(&message);
    gateway.drops(OUTSIDE, &gone, DropReason::WireguardNoSession);

    let lie = remote.send(&packet("10.9.0.3", HOST, 10));
    gateway.drops(OUTSIDE, &lie, DropReason::WireguardSource);
    let nonsense = remote.send(&[0x77; 40]);
    gateway.drops(OUTSIDE, &nonsense, DropReason::WireguardInside);

    for message in [&b""[..], b"\x04", &[4; 31], &[9; 148], &[1; 147], &[1, 0, 0, 1]] {
        let malformed = remote.wrap(message);
        gateway.drops(OUTSIDE, &malformed, DropReason::WireguardMalformed);
    }

    let mut initiation = remote.begin();
    initiation[20] ^= 1;
    let changed = remote.wrap(&initiation);
    gateway.drops(OUTSIDE, &changed, DropReason::WireguardBadMac);

    let mut stranger = Remote::new([9; 32].into(), gateway.identity.public_key(), "10.1.0.8:1");
    let initiation = stranger.begin();
    let unknown = stranger.wrap(&initiation);
    gateway.drops(OUTSIDE, &unknown, DropReason::WireguardUnknownPeer);

    let initiation = remote.begin();
    let first = remote.wrap(&initiation);
    assert_eq!(gateway.receive(OUTSIDE, &first).len(), 1);
    gateway.drops(OUTSIDE, &first, DropReason::WireguardHandshakeFailed);

    gateway.drops(INSIDE, &frame(HOST, "10.9.0.77", 10), DropReason::WireguardNoPeer);
    for (counter, count) in [
        (Counter::Replay, 1),
        (Counter::BadTag, 1),
        (Counter::NoSession, 1),
        (Counter::SourceNotAllowed, 1),
        (Counter::Malformed, 1),
        (Counter::HandshakeFailed, 1),
    ] {
        assert_eq!(gateway.count(0, counter), count, "{counter:?}");
    }
    // The session has lived through all of it.
    let good = remote.send(&packet("10.9.0.2", HOST, 10));
    assert_eq!(gateway.receive(OUTSIDE, &good).len(), 1);
}

#[test]
fn what_is_for_another_address_or_port_is_no_message() {
    let (mut gateway, mut remote) = connected(PEER);
    let message = remote.seal(&packet("10.9.0.2", HOST, 10));
    let elsewhere = udp((remote.endpoint.ip(), 1), (HOST.parse().unwrap(), LISTEN), &message);
    assert_eq!(gateway.receive(OUTSIDE, &elsewhere)[0].0, INSIDE, "it is only routed");
    let other = udp((remote.endpoint.ip(), 1), (GATEWAY.parse().unwrap(), LISTEN + 1), &message);
    assert_eq!(gateway.receive(OUTSIDE, &other)[0].0, 2, "it is the host's");
    assert_eq!(gateway.counters().wireguard_opened, 0);
}

#[test]
fn the_gateway_begins_and_packets_wait_until_there_is_a_session() {
    let mut gateway = Gateway::new(1);
    let there = UdpSocket::bind("127.0.0.1:0").unwrap();
    there.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    gateway.sockets = [Some(Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap())), None];
    let said = there.local_addr().unwrap();
    let mut remote = gateway.add(PEER, Some(said), &["10.9.0.2/32"]);
    gateway.publish();
    let frames: Vec<_> = (0..70).map(|length| frame(HOST, "10.9.0.2", length)).collect();
    for frame in &frames {
        assert_eq!(gateway.receive(INSIDE, frame), []);
    }
    let counters = gateway.counters();
    assert_eq!(counters.wireguard_waiting, 64);
    assert_eq!(counters.drops.count(DropReason::WireguardQueueFull), 6);
    assert_eq!(gateway.count(0, Counter::QueueFull), 6);
    assert_eq!(gateway.count(0, Counter::HandshakesSent), 1, "one is enough");

    // Nobody knows our address there: the kernel has sent it.
    let mut buffer = [0; 256];
    let (length, _) = there.recv_from(&mut buffer).unwrap();
    let Answer::Send(response) = remote.open_message(&buffer[..length]) else { panic!("a response") };
    let out = gateway.receive(OUTSIDE, &remote.wrap(&response));
    assert_eq!(out.len(), 65, "a keepalive, and what waited, in order");
    let mut packets = Vec::new();
    let mut keepalives = 0;
    for (port, sent) in out {
        assert_eq!(port, OUTSIDE);
        match remote.open(&sent) {
            Answer::Packet(packet) => packets.push(packet),
            Answer::Nothing => keepalives += 1,
            Answer::Send(_) | Answer::Failed => panic!("neither"),
        }
    }
    let expected: Vec<_> = frames[..64].iter().map(|frame| routed(frame[14..].to_vec())).collect();
    assert_eq!((keepalives, packets), (1, expected));
    assert_eq!(gateway.counters().wireguard_waiting, 0);
    assert_eq!(gateway.counters().wireguard_through_kernel, 1);
    assert_eq!(gateway.count(0, Counter::Roams), 1, "it was not where it was said to be");
}

#[test]
fn a_peer_that_moves_is_followed_and_one_that_is_nowhere_gets_nothing() {
    let (mut gateway, mut remote) = connected(PEER);
    remote.endpoint = "10.1.0.8:7".parse().unwrap();
    let moved = remote.send(&packet("10.9.0.2", HOST, 10));
    assert_eq!(gateway.receive(OUTSIDE, &moved).len(), 1);
    let out = gateway.receive(INSIDE, &frame(HOST, "10.9.0.2", 10));
    assert!(matches!(remote.open(&out[0].1), Answer::Packet(_)));
    assert_eq!(gateway.count(0, Counter::Roams), 1);

    // What is not authentic moves nobody.
    let mut forged = remote.seal(&packet("10.9.0.2", HOST, 10));
    *forged.last_mut().unwrap() ^= 1;
    let from: SocketAddr = "10.1.0.9:9".parse().unwrap();
    let forged = udp((from.ip(), from.port()), (GATEWAY.parse().unwrap(), LISTEN), &forged);
    gateway.drops(OUTSIDE, &forged, DropReason::WireguardBadTag);
    assert_eq!(gateway.peers[0].sight().endpoint, Some(remote.endpoint));

    let mut nowhere = Gateway::new(1);
    nowhere.add(PEER, None, &["10.9.0.2/32"]);
    nowhere.publish();
    nowhere.drops(INSIDE, &frame(HOST, "10.9.0.2", 10), DropReason::WireguardNoEndpoint);
    assert_eq!(nowhere.count(0, Counter::NoEndpoint), 1);
}

#[test]
fn what_the_host_sends_through_the_tunnel_keeps_its_hops() {
    let (mut gateway, mut remote) = connected(PEER);
    let from_host = frame("10.9.0.1", "10.9.0.2", 10);
    let out = gateway.receive(TUNNEL, &from_host);
    assert_eq!(remote.open(&out[0].1), Answer::Packet(from_host[14..].to_vec()));
    let for_host = remote.send(&packet("10.9.0.2", "10.9.0.1", 10));
    let out = gateway.receive(OUTSIDE, &for_host);
    assert_eq!((out[0].0, &out[0].1[14..]), (2, &*packet("10.9.0.2", "10.9.0.1", 10)));
}

#[test]
fn a_change_of_other_peers_touches_no_session() {
    let mut gateway = Gateway::new(1);
    let mut stays = gateway.add(PEER, None, &["10.9.0.2/32"]);
    let mut goes = gateway.add("10.1.0.8:2", None, &["10.9.0.3/32"]);
    gateway.publish();
    gateway.shake_hands(&mut stays);
    gateway.shake_hands(&mut goes);
    gateway.remove(1);
    let mut comes = gateway.add("10.1.0.8:3", None, &["10.9.0.4/32"]);
    gateway.publish();
    let late = goes.send(&packet("10.9.0.3", HOST, 10));
    assert_eq!(gateway.receive(OUTSIDE, &late), [], "who has the place now has no such session");
    assert_eq!(gateway.receive(OUTSIDE, &stays.send(&packet("10.9.0.2", HOST, 10))).len(), 1);
    let out = gateway.receive(INSIDE, &frame(HOST, "10.9.0.2", 10));
    assert!(matches!(stays.open(&out[0].1), Answer::Packet(_)));
    gateway.shake_hands(&mut comes);
    assert_eq!(gateway.receive(OUTSIDE, &comes.send(&packet("10.9.0.4", HOST, 10))).len(), 1);
    assert_eq!(gateway.count(0, Counter::Handshakes), 1);
}

#[test]
fn workers_hand_over_what_is_for_the_peers_of_others() {
    let mut gateway = Gateway::new(2);
    let mut remotes: Vec<_> = (0..4)
        .map(|number| {
            gateway.add(&format!("10.1.0.9:{}", 1000 + number), None, &[&format!("10.9.0.{}/32", number + 2)])
        })
        .collect();
    gateway.publish();
    for (number, remote) in remotes.iter_mut().enumerate() {
        let initiation = remote.begin();
        let answers = gateway.receive_at(number % 2, OUTSIDE, &remote.wrap(&initiation));
        assert_eq!(answers.len(), 1);
        let Answer::Send(keepalive) = remote.open(&answers[0].1) else { panic!("a response") };
        assert_eq!(gateway.receive_at((number + 1) % 2, OUTSIDE, &remote.wrap(&keepalive)), []);
        for worker in [0, 1] {
            let address = format!("10.9.0.{}", number + 2);
            let sent = remote.send(&packet(&address, HOST, 10));
            assert_eq!(gateway.receive_at(worker, OUTSIDE, &sent)[0].0, INSIDE);
            let out = gateway.receive_at(worker, INSIDE, &frame(HOST, &address, 10));
            assert!(matches!(remote.open(&out[0].1), Answer::Packet(_)), "{number} {worker}");
        }
    }
    let counters = gateway.counters();
    assert!(counters.handed_off > 0 && counters.handed_off == counters.handed_in);
    assert_eq!((counters.flows_created, counters.drops.total()), (4, 0));
}

#[test]
fn a_flood_of_handshakes_is_held_off_and_sessions_live() {
    let (mut gateway, mut remote) = connected(PEER);
    let mut flooders: Vec<_> = (0..40_u8)
        .map(|number| Remote::new([number + 200; 32].into(), gateway.identity.public_key(), "10.1.0.8:1"))
        .collect();
    for round in 0..20_u16 {
        for (number, flooder) in (0..).zip(&mut flooders) {
            let initiation = flooder.begin();
            flooder.endpoint = SocketAddr::new([10, 1, 0, 8].into(), 1 + round * 100 + number);
            let wrapped = flooder.wrap(&initiation);
            gateway.appliance.push(0, OUTSIDE, 1, &wrapped);
        }
        let good = remote.send(&packet("10.9.0.2", HOST, 10));
        gateway.appliance.push(0, OUTSIDE, 1, &good);
        gateway.appliance.settle();
    }
    let counters = gateway.counters();
    assert_eq!(counters.wireguard_opened, 20);
    let count = |reason| counters.drops.count(reason);
    let held_off = count(DropReason::WireguardBusy) + count(DropReason::WireguardCookieRequired);
    assert_eq!(held_off + count(DropReason::WireguardUnknownPeer), 800);
    assert!(count(DropReason::WireguardCookieRequired) > 300 && count(DropReason::WireguardBusy) > 100);
    assert_eq!(counters.wireguard_cookies_sent, count(DropReason::WireguardCookieRequired));
    // When the flood is over nobody is asked for more than to shake hands.
    std::thread::sleep(Duration::from_secs(1));
    let now = Timestamp::from_micros(10_000_000);
    gateway.appliance.workers[0].io_mut().set_time(now);
    gateway.appliance.settle();
    drop(gateway.appliance.sent());
    gateway.shake_hands(&mut remote);
}

#[test]
fn with_a_cookie_a_peer_gets_through_a_flood() {
    let (mut gateway, mut remote) = connected(PEER);
    let key = gateway.identity.public_key();
    gateway.get_through_a_flood(&mut remote, key);
}

#[test]
fn congestion_outside_is_told_inside() {
    let (mut gateway, mut remote) = connected(PEER);
    for (outer, inner, expected) in
        [(0, 2, Some(2)), (3, 2, Some(3)), (3, 1, Some(3)), (1, 2, Some(1)), (3, 0, None)]
    {
        let mut sent = packet("10.9.0.2", HOST, 10);
        sent[1] = inner;
        set_checksum(&mut sent);
        let mut wrapped = remote.send(&sent);
        wrapped[15] = outer;
        set_checksum(&mut wrapped[14..]);
        match expected {
            Some(expected) => {
                let out = gateway.receive(OUTSIDE, &wrapped);
                assert_eq!(out[0].1[15], expected);
                etherparse::Ipv4HeaderSlice::from_slice(&out[0].1[14..]).unwrap();
                let header = etherparse::Ipv4Header::from_slice(&out[0].1[14..]).unwrap().0;
                assert_eq!(header.calc_header_checksum(), header.header_checksum);
            }
            None => gateway.drops(OUTSIDE, &wrapped, DropReason::WireguardCongestion),
        }
    }
    let mut marked = frame(HOST, "10.9.0.2", 10);
    marked[15] = 0xb9;
    set_checksum(&mut marked[14..]);
    let out = gateway.receive(INSIDE, &marked);
    assert_eq!(out[0].1[15], 1, "congestion is told outside, and the class of the packet to nobody");
}

fn set_checksum(packet: &mut [u8]) {
    let header = etherparse::Ipv4Header::from_slice(packet).unwrap().0;
    packet[10..12].copy_from_slice(&header.calc_header_checksum().to_be_bytes());
}

#[test]
fn what_has_to_be_encrypted_leaves_in_no_other_way() {
    let mut gateway = Gateway::new(1);
    let mut remote = gateway.add(PEER, None, &["10.9.0.2/32", "0.0.0.0/0"]);
    let around: [&[(&str, usize)]; 4] = [
        &[("10.9.0.0/16", 4), ("203.0.113.0/24", 4)],
        &[("10.9.0.0/16", 2), ("203.0.113.0/24", 4)],
        &[("10.9.0.0/16", 5), ("203.0.113.0/24", 5)],
        &[("10.9.0.2/32", 4), ("203.0.113.0/24", 4)],
    ];
    for elsewhere in around {
        gateway.is_strict = false;
        gateway.publish_with(lab::routes_with(elsewhere));
        assert_eq!(
            gateway.receive(INSIDE, &frame(HOST, "10.9.0.2", 10)).len(),
            1,
            "nobody has asked for more"
        );
        gateway.is_strict = true;
        gateway.publish_with(lab::routes_with(elsewhere));
        for destination in ["10.9.0.2", "203.0.113.1"] {
            gateway.drops(INSIDE, &frame(HOST, destination, 10), DropReason::WireguardRequired);
        }
        // What is on the networks around is nobody's behind the tunnel.
        assert_eq!(gateway.receive(INSIDE, &frame(HOST, "10.1.0.8", 10))[0].0, OUTSIDE);
    }
    gateway.publish_with(lab::routes_with(&[("203.0.113.0/24", 3)]));
    gateway.shake_hands(&mut remote);
    for destination in ["10.9.0.2", "203.0.113.1"] {
        let out = gateway.receive(INSIDE, &frame(HOST, destination, 10));
        assert!(matches!(remote.open(&out[0].1), Answer::Packet(_)));
    }
}

#[test]
fn who_is_rejected_in_a_tunnel_is_told_through_it() {
    let (mut gateway, mut remote) = connected(PEER);
    gateway.publish_policy(support::policy(&[(5000..=5000, Effect::Reject, OnChange::Drop)]));
    let asked = packet("10.9.0.2", HOST, 10);
    let out = gateway.receive(OUTSIDE, &remote.send(&asked));
    let [(OUTSIDE, told)] = &*out else { panic!("one answer: {} of them", out.len()) };
    let Answer::Packet(told) = remote.open(told) else { panic!("a packet") };
    // ICMP: destination unreachable, administratively prohibited, with what was sent.
    assert_eq!((told[9], &told[20..22]), (1, &[3, 13][..]));
    assert_eq!(told[28..28 + 20], asked[..20]);
    assert_eq!(gateway.counters().drops.count(DropReason::RuleReject), 1);
}

#[test]
fn what_came_by_way_of_the_kernel_is_as_good() {
    for workers in [1, 2] {
        let mut gateway = Gateway::new(workers);
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        there.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        gateway.sockets = [Some(Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap())), None];
        let _first = gateway.add("10.1.0.8:1", None, &["10.9.0.3/32"]);
        let mut remote = gateway.add(PEER, None, &["10.9.0.2/32"]);
        gateway.publish();
        let from = there.local_addr().unwrap();
        let exchange = |gateway: &mut Gateway, message: &[u8]| {
            assert!(gateway.inbox.push(message, from));
            gateway.appliance.settle();
        };
        let receive = || {
            let mut buffer = [0; 2048];
            let (length, _) = there.recv_from(&mut buffer).unwrap();
            buffer[..length].to_vec()
        };
        exchange(&mut gateway, &remote.begin());
        let Answer::Send(keepalive) = remote.open_message(&receive()) else { panic!("a response") };
        exchange(&mut gateway, &keepalive);
        exchange(&mut gateway, &remote.seal(&packet("10.9.0.2", HOST, 1300)));
        assert_eq!(gateway.appliance.sent()[0].0, PortId(INSIDE));
        // Our address is the kernel's business, so it sends the answers.
        assert_eq!(gateway.receive(INSIDE, &frame(HOST, "10.9.0.2", 1300)), []);
        assert!(matches!(remote.open_message(&receive()), Answer::Packet(_)));
        // Until the peer is heard without it.
        let out = gateway.receive(OUTSIDE, &remote.send(&packet("10.9.0.2", HOST, 10)));
        assert_eq!(out[0].0, INSIDE);
        let out = gateway.receive(INSIDE, &frame(HOST, "10.9.0.2", 10));
        assert!(matches!(remote.open(&out[0].1), Answer::Packet(_)));
        // Too long to be in a frame, or no message at all.
        exchange(&mut gateway, b"nonsense");
        let counters = gateway.counters();
        assert_eq!(counters.drops.count(DropReason::WireguardMalformed), 1);
        assert_eq!(counters.wireguard_through_kernel, 2);
    }
}
