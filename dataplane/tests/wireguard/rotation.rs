//! Another key of the interface: who knows the old one and who knows the new one find it, until the old one is over.

use std::{mem, sync::Arc};

use ravelin_dataplane::{
    verdict::DropReason,
    wireguard::{Counter, Identity},
};

use super::{PEER, connected, routed};
use crate::lab::{Answer, Gateway, HOST, INSIDE, OUTSIDE, Remote, frame, packet};

const ADDRESS: &str = "10.9.0.2";

/// Gives the gateway another key; the one that it had is served beside it.
fn rotate(gateway: &mut Gateway, key: u8) {
    let next = Arc::new(Identity::beside([key; 32], &gateway.identity));
    gateway.peers.iter().for_each(|peer| peer.serve(&next));
    gateway.previous = Some(mem::replace(&mut gateway.identity, next));
    gateway.publish();
}

/// Has the key before no longer be served.
fn end(gateway: &mut Gateway) {
    gateway.previous = None;
    gateway.publish();
}

/// The peer of a slot, once it has been told the key that the gateway has now.
fn told(gateway: &Gateway, slot: u8, endpoint: &str) -> Remote {
    Remote::new([slot + 100; 32].into(), gateway.identity.public_key(), endpoint)
}

/// A packet each way, which neither end loses.
#[track_caller]
fn exchange(gateway: &mut Gateway, remote: &mut Remote) {
    let sent = packet(ADDRESS, HOST, 100);
    let out = gateway.receive(OUTSIDE, &remote.send(&sent));
    assert_eq!(out.len(), 1, "from the peer");
    assert_eq!((out[0].0, &out[0].1[14..]), (INSIDE, &*routed(sent)));
    answered(gateway, remote);
}

/// A packet to a peer, which that can open.
#[track_caller]
fn answered(gateway: &mut Gateway, remote: &mut Remote) {
    let answer = frame(HOST, ADDRESS, 100);
    let out = gateway.receive(INSIDE, &answer);
    assert_eq!(out.len(), 1, "to the peer");
    assert_eq!(remote.open(&out[0].1), Answer::Packet(routed(answer[14..].to_vec())));
}

#[test]
fn sessions_go_on_and_who_is_told_the_new_key_has_one_at_once() {
    let (mut gateway, mut remote) = connected(PEER);
    exchange(&mut gateway, &mut remote);
    rotate(&mut gateway, 8);
    exchange(&mut gateway, &mut remote);
    let sight = gateway.peers[0].sight();
    assert!(sight.is_up && sight.parity != gateway.identity.parity(), "under the key before");
    // Under the old key another session can begin.
    gateway.shake_hands(&mut remote);
    exchange(&mut gateway, &mut remote);

    let mut knowing = told(&gateway, 0, PEER);
    gateway.shake_hands(&mut knowing);
    assert_eq!(gateway.peers[0].sight().parity, gateway.identity.parity());
    let late = remote.send(&packet(ADDRESS, HOST, 10));
    assert_eq!(gateway.receive(OUTSIDE, &late)[0].0, INSIDE, "what was on its way under the old one");
    exchange(&mut gateway, &mut knowing);

    end(&mut gateway);
    exchange(&mut gateway, &mut knowing);
    assert_eq!(gateway.counters().drops.total(), 0);
    assert_eq!(gateway.count(0, Counter::Handshakes), 3);
}

#[test]
fn when_the_key_is_over_nobody_is_served_under_it() {
    let (mut gateway, mut remote) = connected(PEER);
    rotate(&mut gateway, 8);
    exchange(&mut gateway, &mut remote);
    end(&mut gateway);
    let sight = gateway.peers[0].sight();
    assert!(!sight.is_up, "{sight:?}");
    let late = remote.send(&packet(ADDRESS, HOST, 10));
    gateway.drops(OUTSIDE, &late, DropReason::WireguardNoSession);
    let initiation = remote.begin();
    let initiation = remote.wrap(&initiation);
    gateway.drops(OUTSIDE, &initiation, DropReason::WireguardBadMac);
    assert_eq!(gateway.count(0, Counter::NoSession), 1);

    // The gateway asks for a session under the key that it has, and nothing else.
    let out = gateway.receive(INSIDE, &frame(HOST, ADDRESS, 10));
    let [(OUTSIDE, initiation)] = &*out else { panic!("one handshake: {} messages", out.len()) };
    assert_eq!(remote.open(initiation), Answer::Failed);
    let mut knowing = told(&gateway, 0, PEER);
    let Answer::Send(response) = knowing.open(initiation) else { panic!("a response") };
    assert_eq!(gateway.receive(OUTSIDE, &knowing.wrap(&response)).len(), 2, "what waited, and a keepalive");
}

#[test]
fn the_gateway_begins_under_both_keys_and_is_answered_under_either() {
    for knows_new in [false, true] {
        let (mut gateway, _) = connected(PEER);
        rotate(&mut gateway, 8);
        end(&mut gateway);
        let before = told(&gateway, 0, PEER);
        rotate(&mut gateway, 9);
        let mut remote = if knows_new { told(&gateway, 0, PEER) } else { before };
        let out = gateway.receive(INSIDE, &frame(HOST, ADDRESS, 10));
        assert_eq!(out.len(), 2, "a handshake under each");
        let answers: Vec<_> = out.iter().map(|(_, message)| remote.open(message)).collect();
        let responses: Vec<_> =
            answers.iter().filter_map(|it| if let Answer::Send(it) = it { Some(it) } else { None }).collect();
        let [response] = &*responses else { panic!("one is answered: {answers:?}") };
        let out = gateway.receive(OUTSIDE, &remote.wrap(response));
        let opened: Vec<_> = out.iter().map(|(_, message)| remote.open(message)).collect();
        assert!(matches!(opened[..], [Answer::Packet(_), Answer::Nothing]), "what waited, and a keepalive");
        exchange(&mut gateway, &mut remote);
        let sight = gateway.peers[0].sight();
        assert_eq!(sight.parity == gateway.identity.parity(), knows_new);
        let counters = gateway.counters();
        assert_eq!((counters.drops.total(), counters.wireguard_waiting), (0, 0), "nobody complains");
    }
}

#[test]
fn both_keys_are_served_from_the_start_by_any_number_of_workers() {
    for workers in [1, 2] {
        let mut gateway = Gateway::new(workers);
        gateway.previous = Some(Arc::new(Identity::beside([8; 32], &gateway.identity)));
        let previous = gateway.previous.clone().unwrap();
        let ends = ["10.1.0.9:1000", "10.1.0.9:1001", "10.1.0.9:1002", "10.1.0.9:1003"];
        let address = |number: usize| format!("10.9.0.{}", number + 2);
        for (number, endpoint) in ends.iter().enumerate() {
            drop(gateway.add(endpoint, None, &[&format!("{}/32", address(number))]));
        }
        gateway.peers.iter().for_each(|peer| peer.serve(&previous));
        gateway.publish();
        let arriving = |number: usize| number % usize::from(workers);
        for (key, shift) in [(&previous, 0), (&gateway.identity.clone(), 1)] {
            for (number, endpoint) in ends.iter().enumerate() {
                let mut remote = Remote::new([number as u8 + 100; 32].into(), key.public_key(), endpoint);
                let initiation = remote.begin();
                let answers =
                    gateway.receive_at(arriving(number + shift), OUTSIDE, &remote.wrap(&initiation));
                let [(OUTSIDE, response)] = &*answers else { panic!("one answer: {answers:?}") };
                let Answer::Send(keepalive) = remote.open(response) else { panic!("a response") };
                assert_eq!(gateway.receive_at(arriving(number), OUTSIDE, &remote.wrap(&keepalive)), []);
                let sent = remote.send(&packet(&address(number), HOST, 10));
                assert_eq!(gateway.receive_at(arriving(number + 1), OUTSIDE, &sent)[0].0, INSIDE);
                let out = gateway.receive_at(arriving(number), INSIDE, &frame(HOST, &address(number), 10));
                assert!(matches!(remote.open(&out[0].1), Answer::Packet(_)), "{workers} {number} {shift}");
            }
        }
        assert_eq!(gateway.counters().drops.total(), 0);
    }
}

#[test]
fn with_a_third_key_the_first_is_over() {
    let (mut gateway, mut first) = connected(PEER);
    rotate(&mut gateway, 8);
    let mut second = told(&gateway, 0, PEER);
    gateway.shake_hands(&mut second);
    exchange(&mut gateway, &mut second);
    rotate(&mut gateway, 9);
    exchange(&mut gateway, &mut second);
    let late = first.send(&packet(ADDRESS, HOST, 10));
    gateway.drops(OUTSIDE, &late, DropReason::WireguardNoSession);
    let initiation = first.begin();
    let initiation = first.wrap(&initiation);
    gateway.drops(OUTSIDE, &initiation, DropReason::WireguardBadMac);
    let mut third = told(&gateway, 0, PEER);
    gateway.shake_hands(&mut third);
    exchange(&mut gateway, &mut third);
}

#[test]
fn a_peer_that_goes_back_to_the_old_key_is_followed_once_it_uses_it() {
    let (mut gateway, mut remote) = connected(PEER);
    rotate(&mut gateway, 8);
    let mut knowing = told(&gateway, 0, PEER);
    gateway.shake_hands(&mut knowing);
    let later = |gateway: &mut Gateway, frame: &[u8]| {
        gateway.appliance.push(0, OUTSIDE, 1_000_000, frame);
        gateway.appliance.settle();
        gateway.appliance.sent()
    };
    let initiation = remote.begin();
    let answers = later(&mut gateway, &remote.wrap(&initiation));
    let Answer::Send(keepalive) = remote.open(&answers[0].1) else { panic!("a response") };
    assert!(later(&mut gateway, &remote.wrap(&keepalive)).is_empty());
    // It may only keep that one alive.
    answered(&mut gateway, &mut knowing);
    let sent = remote.send(&packet(ADDRESS, HOST, 10));
    assert_eq!(later(&mut gateway, &sent).len(), 1);
    answered(&mut gateway, &mut remote);
}

#[test]
fn with_a_cookie_a_peer_that_knows_the_old_key_gets_through_a_flood() {
    let (mut gateway, mut remote) = connected(PEER);
    rotate(&mut gateway, 8);
    let old = gateway.previous.as_ref().unwrap().public_key();
    gateway.get_through_a_flood(&mut remote, old);
    // Under the other key nobody is asked for more.
    let mut knowing = told(&gateway, 0, PEER);
    gateway.shake_hands(&mut knowing);
}
