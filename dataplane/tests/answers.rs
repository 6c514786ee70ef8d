//! What the ends of a flow are told when policy rejects it or a change cuts it, and that all of it is accounted for.

mod support;

use std::time::Duration;

use etherparse::{
    NetSlice, PacketBuilder, PacketBuilderStep, SlicedPacket, TcpSlice, TransportSlice, VlanId,
};
use ravelin_dataplane::{
    io::PortId,
    policy::{Effect, Limit, OnChange, PolicySet},
    snapshot::Snapshot,
    verdict::DropReason,
};
use support::{Appliance, Plant, bridge, policy};

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 80];
const CLIENT6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const SERVER6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 80];
const REJECTED: u16 = 667;

fn reject() -> PolicySet {
    policy(&[(REJECTED..=REJECTED, Effect::Reject, OnChange::Drop)])
}

fn appliance(policy: PolicySet) -> Appliance {
    Appliance::new(Plant { snapshot: Snapshot { policy, ..bridge() }, ..Plant::default() })
}

fn ethernet() -> PacketBuilderStep<etherparse::Ethernet2Header> {
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
}

fn built<E: std::fmt::Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes).unwrap();
    bytes
}

/// A SYN to the rejected port.
fn syn(client_port: u16) -> Vec<u8> {
    let packet = ethernet().ipv4(CLIENT, SERVER, 64).tcp(client_port, REJECTED, 77, 1000).syn();
    built(|bytes| packet.write(bytes, &[]))
}

fn udp6() -> Vec<u8> {
    built(|bytes| ethernet().ipv6(CLIENT6, SERVER6, 64).udp(5000, REJECTED).write(bytes, &[7; 60]))
}

/// The TCP segment of an answer between these ends; its checksums are right.
fn tcp<'a>(packet: &SlicedPacket<'a>, source: [u8; 4], destination: [u8; 4]) -> TcpSlice<'a> {
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) = (&packet.net, &packet.transport) else {
        panic!("not TCP over IPv4: {packet:?}")
    };
    let ip = ip.header().to_header();
    assert_eq!((ip.source, ip.destination), (source, destination));
    assert_eq!(ip.calc_header_checksum(), ip.header_checksum);
    assert_eq!(tcp.calc_checksum_ipv4(source, destination).unwrap(), tcp.checksum());
    tcp.clone()
}

#[test]
fn a_rejected_connection_is_reset() {
    let mut appliance = appliance(reject());
    appliance.push(0, 0, 1, &syn(4000));
    appliance.settle();
    let sent = appliance.sent();
    let [(PortId(0), answer)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(answer[..12], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], "to who sent it");
    let packet = SlicedPacket::from_ethernet(answer).unwrap();
    let tcp = tcp(&packet, SERVER, CLIENT);
    assert_eq!((tcp.source_port(), tcp.destination_port()), (REJECTED, 4000));
    assert_eq!((tcp.rst(), tcp.ack(), tcp.acknowledgment_number()), (true, true, 78));

    let counters = appliance.counters();
    assert_eq!((counters.received, counters.injected, counters.forwarded), (1, 1, 1));
    assert_eq!((counters.drops.count(DropReason::RuleReject), counters.drops.total()), (1, 1));
    assert_eq!((counters.forwarded_bytes, counters.rejects_silent), (54, 0));
    assert_eq!((counters.ports[0].dropped, counters.ports[0].sent, counters.ports[0].sent_bytes), (1, 1, 54));
    assert_eq!(counters.ports[1].sent, 0, "nothing has passed");
}

#[test]
fn other_protocols_are_told_by_icmp() {
    let mut appliance = appliance(reject());
    let v4 = built(|bytes| ethernet().ipv4(CLIENT, SERVER, 64).udp(5000, REJECTED).write(bytes, &[7; 60]));
    // One from each side of the bridge.
    appliance.push(0, 0, 1, &v4);
    appliance.push(0, 1, 1, &udp6());
    appliance.settle();
    let sent = appliance.sent();
    let [(PortId(0), first), (PortId(1), second)] = &sent[..] else { panic!("{sent:?}") };
    let Some(TransportSlice::Icmpv4(icmp)) = SlicedPacket::from_ethernet(first).unwrap().transport else {
        panic!("not ICMP: {first:02x?}")
    };
    assert_eq!((icmp.type_u8(), icmp.code_u8(), icmp.payload()), (3, 13, &v4[14..]));
    let Some(TransportSlice::Icmpv6(icmp)) = SlicedPacket::from_ethernet(second).unwrap().transport else {
        panic!("not ICMPv6: {second:02x?}")
    };
    assert_eq!((icmp.type_u8(), icmp.code_u8(), icmp.payload()), (1, 1, &udp6()[14..]));
    assert!(icmp.is_checksum_valid(SERVER6, CLIENT6));
    let counters = appliance.counters();
    assert_eq!((counters.injected, counters.forwarded, counters.rejects_silent), (2, 2, 0));
    assert_eq!(counters.drops.count(DropReason::RuleReject), 2);
}

#[test]
fn answers_carry_the_tags_of_what_they_answer() {
    let mut appliance = appliance(reject());
    let [outer, inner] = [7, 8].map(|id| VlanId::try_new(id).unwrap());
    let packet = ethernet().double_vlan(outer, inner).ipv4(CLIENT, SERVER, 64).tcp(1, REJECTED, 5, 9).syn();
    appliance.push(0, 0, 1, &built(|bytes| packet.write(bytes, &[])));
    let packet = ethernet().single_vlan(inner).ipv4(CLIENT, SERVER, 64).udp(1, REJECTED);
    appliance.push(0, 0, 2, &built(|bytes| packet.write(bytes, &[1; 40])));
    appliance.settle();
    let sent = appliance.sent();
    let tags = |(_, frame): &(PortId, Vec<u8>)| -> Vec<VlanId> {
        SlicedPacket::from_ethernet(frame).unwrap().vlan_ids().into_iter().collect()
    };
    assert_eq!(sent.iter().map(tags).collect::<Vec<_>>(), [vec![outer, inner], vec![inner]]);
    assert_eq!(appliance.counters().injected, 2);
}

#[test]
fn no_more_is_answered_than_the_limit_allows() {
    let answers = Limit::new(2, Duration::from_secs(1));
    let mut appliance = appliance(PolicySet { answers, ..reject() });
    for port in 0..5 {
        appliance.push(0, 0, 1, &syn(port));
    }
    appliance.push(0, 0, 1_000_001, &syn(0));
    appliance.settle();
    let counters = appliance.counters();
    assert_eq!((counters.injected, counters.rejects_silent), (3, 3));
    assert_eq!((counters.drops.count(DropReason::RuleReject), appliance.sent().len()), (6, 3));
}

#[test]
fn a_monitor_port_answers_nothing() {
    let mut appliance = appliance(reject());
    appliance.push(0, 2, 1, &syn(1));
    appliance.push(0, 2, 1, &udp6());
    appliance.settle();
    let counters = appliance.counters();
    assert_eq!((counters.injected, counters.forwarded, counters.rejects_silent), (0, 0, 2));
    assert_eq!(counters.drops.count(DropReason::RuleReject), 2);
    assert!(appliance.sent().is_empty());
}

#[test]
fn what_must_not_be_answered_is_silent() {
    let mut appliance = appliance(policy(&[(0..=u16::MAX, Effect::Reject, OnChange::Drop)]));
    let to_all = ethernet().ipv4(CLIENT, [255; 4], 64).udp(1, REJECTED);
    appliance.push(0, 0, 1, &built(|bytes| to_all.write(bytes, &[])));
    // An error about a packet of no flow.
    let quoted = syn(9);
    let error = ethernet().ipv4(SERVER, CLIENT, 64).icmpv4_raw(3, 3, [0; 4]);
    appliance.push(0, 1, 1, &built(|bytes| error.write(bytes, &quoted[14..])));
    appliance.settle();
    let counters = appliance.counters();
    assert_eq!((counters.received, counters.injected, counters.rejects_silent), (2, 0, 2));
    assert_eq!(counters.drops.count(DropReason::RuleReject), 2);
}

#[test]
fn an_answer_that_cannot_leave_is_a_drop_of_its_own() {
    for down in [false, true] {
        let mut appliance = appliance(reject());
        let io = appliance.workers[0].io_mut();
        let reason = if down {
            io.take_down(PortId(0));
            DropReason::TransmitDown
        } else {
            io.limit_transmit(0);
            DropReason::TransmitFull
        };
        appliance.push(0, 0, 1, &syn(1));
        appliance.settle();
        let counters = appliance.counters();
        assert_eq!((counters.received, counters.injected, counters.forwarded), (1, 1, 0));
        assert_eq!((counters.drops.count(reason), counters.drops.count(DropReason::RuleReject)), (1, 1));
        assert_eq!(counters.rejects_silent, 1);
        assert_eq!(counters.ports[0].dropped, 1, "of those that were received there");
    }
}

#[test]
fn a_connection_that_a_change_cuts_is_reset_at_both_ends() {
    let mut appliance = appliance(PolicySet::default());
    let out = |sequence| ethernet().ipv4(CLIENT, SERVER, 64).tcp(4000, 443, sequence, 1000);
    let back = |sequence| ethernet().ipv4(SERVER, CLIENT, 64).tcp(443, 4000, sequence, 1000);
    appliance.push(0, 0, 1, &built(|bytes| out(100).syn().write(bytes, &[])));
    appliance.push(0, 1, 2, &built(|bytes| back(500).syn().ack(101).write(bytes, &[])));
    appliance.push(0, 0, 3, &built(|bytes| out(101).ack(501).write(bytes, &[])));
    appliance.settle();
    assert_eq!(appliance.sent().len(), 3);

    let policy = policy(&[(443..=443, Effect::Deny, OnChange::Reset)]);
    appliance.publisher.publish(Snapshot { policy, ..bridge() });
    appliance.push(0, 1, 4, &built(|bytes| back(501).ack(101).psh().write(bytes, b"hello")));
    appliance.settle();
    let sent = appliance.sent();
    let [(PortId(1), sender), (PortId(0), receiver)] = &sent[..] else { panic!("{sent:?}") };
    let packet = SlicedPacket::from_ethernet(sender).unwrap();
    let sender = tcp(&packet, CLIENT, SERVER);
    assert_eq!((sender.rst(), sender.sequence_number(), sender.destination_port()), (true, 101, 443));
    let packet = SlicedPacket::from_ethernet(receiver).unwrap();
    let receiver = tcp(&packet, SERVER, CLIENT);
    assert_eq!((receiver.rst(), receiver.sequence_number(), receiver.destination_port()), (true, 501, 4000));

    let counters = appliance.counters();
    assert_eq!((counters.received, counters.injected, counters.forwarded), (4, 2, 5));
    assert_eq!((counters.drops.count(DropReason::FlowReset), counters.flows_cut), (1, 1));
    assert_eq!(appliance.records.0.lock().unwrap().len(), 1, "what was before the change");

    // The end that goes on is reset again; the reset that the other sends back is not answered.
    appliance.push(0, 0, 5, &built(|bytes| out(101).ack(501).write(bytes, &[])));
    appliance.push(0, 1, 6, &built(|bytes| back(501).rst().write(bytes, &[])));
    appliance.settle();
    let counters = appliance.counters();
    assert_eq!((counters.injected, counters.rejects_silent, counters.flows_cut), (4, 1, 1));
    assert_eq!(counters.drops.count(DropReason::FlowReset), 3);
}

#[test]
fn a_rejected_packet_is_answered_by_the_worker_that_owns_its_flow() {
    let snapshot = Snapshot { policy: reject(), ..bridge() };
    let mut appliance = Appliance::new(Plant { workers: 2, snapshot, ..Plant::default() });
    for port in 0..40 {
        appliance.push(usize::from(port % 2), 0, 1, &syn(port));
    }
    appliance.settle();
    let counters = appliance.counters();
    assert!(counters.handed_off > 0);
    assert_eq!((counters.injected, counters.drops.count(DropReason::RuleReject)), (40, 40));
    let sent = appliance.sent();
    assert!(sent.len() == 40 && sent.iter().all(|(port, _)| *port == PortId(0)));
}
