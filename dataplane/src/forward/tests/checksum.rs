//! Partial checksums of packets without a tunnel.

use proptest::prelude::*;
use ravelin_config::types::Protocol;

use super::{
    bridge,
    packets::{self, Packet, Transport, any_packet},
    snapshot,
};
use crate::{
    batch::{Batch, Meta},
    clock::Timestamp,
    counters::WorkerCounters,
    flow::FlowTable,
    forward::{ForwardStage, NonIp, checksum},
    handoff::WorkerId,
    io::{Frame, memory::MemoryFrame},
    parse::{DecodeStage, Headers, Network},
    pipeline::Context,
    snapshot::Snapshot,
    verdict::Verdict,
};

/// What decode finds in a frame, unless it drops it.
fn decode(frame: &[u8]) -> Option<Headers> {
    let mut batch = Batch::new(1);
    batch.push(MemoryFrame::new(frame), Meta::default()).unwrap();
    DecodeStage.run(&mut batch);
    let meta = batch.metas()[0];
    meta.verdict.is_undecided().then_some(meta.headers)
}

/// The frame as it leaves, and whether anything was completed.
pub(super) fn completed(frame: &[u8]) -> (bool, Vec<u8>) {
    let mut bytes = frame.to_vec();
    let is_completed = decode(frame).is_some_and(|headers| checksum::complete(&mut bytes, &headers));
    assert_eq!(is_completed, bytes != frame, "what is said is what was done");
    (is_completed, bytes)
}

/// Checks what must hold for any bytes: only a few of them change, and only once.
pub(super) fn assert_harmless(frame: &[u8]) {
    let (_, once) = completed(frame);
    let changed = once.iter().zip(frame).filter(|(now, before)| now != before).count();
    // An SCTP checksum and that of the tunnel around it.
    assert!(once.len() == frame.len() && changed <= 6, "{frame:02x?} became {once:02x?}");
    assert_eq!(completed(&once), (false, once.clone()), "{frame:02x?}");
}

/// Checks the frame cut off at `cut`, and with its byte at `place` changed.
pub(super) fn assert_robust(frame: &[u8], cut: usize, place: usize, flip: u8) {
    assert_harmless(&frame[..cut % frame.len()]);
    let mut changed = frame.to_vec();
    // Mostly in the headers.
    let place = if place.is_multiple_of(2) { place % frame.len() } else { place % frame.len().min(120) };
    changed[place] ^= flip;
    assert_harmless(&changed);
}

/// What the forward stage sends for frames received at port 0, and its counter of completed checksums.
pub(super) fn forwarded(snapshot: &Snapshot, frames: &[&[u8]]) -> (Vec<Vec<u8>>, u64) {
    let cx = Context { now: Timestamp::ZERO, snapshot, worker: WorkerId(0), workers: 1 };
    let mut counters = WorkerCounters::new(3);
    let mut batch = Batch::new(frames.len());
    for frame in frames {
        let meta = Meta { length: frame.len() as u32, ..Meta::default() };
        batch.push(MemoryFrame::new(frame), meta).unwrap();
    }
    DecodeStage.run(&mut batch);
    batch.metas_mut().iter_mut().for_each(|meta| meta.verdict = Verdict::Allow);
    let mut stage = ForwardStage::default();
    stage.decide(&cx, batch.metas_mut(), &mut FlowTable::new(1, WorkerId(0)), &mut counters);
    stage.complete(&cx, &mut batch, &mut counters);
    let sent = batch.drain().map(|(frame, meta)| {
        assert_eq!(meta.verdict, Verdict::Forward(crate::io::PortId(1)));
        frame.bytes().to_vec()
    });
    (sent.collect(), counters.checksums_completed)
}

proptest! {
    #[test]
    fn partial_checksums_are_completed_and_whole_ones_left(packet in any_packet(), padding in 0_usize..10) {
        let mut sample = packet.frame();
        sample.partial.resize(sample.partial.len() + padding, 0xaa);
        sample.whole.resize(sample.whole.len() + padding, 0xaa);
        prop_assert_eq!(&completed(&sample.partial).1, &sample.whole);
        prop_assert_eq!(completed(&sample.whole), (false, sample.whole.clone()));
    }

    #[test]
    fn wrong_checksums_stay_wrong(packet in any_packet(), wrong: u16) {
        let frame = packet.frame().whole;
        let (field, width) = field(&packet);
        let mut spoilt = frame.clone();
        spoilt[field..field + 2].copy_from_slice(&wrong.to_be_bytes());
        let pseudo = packets::pseudo_header(packet.v6, packet.protocol(), frame.len() - transport(packet.v6));
        prop_assume!(spoilt != frame && wrong != packets::sum(&pseudo) && spoilt[field..field + width] != [0; 4]);
        prop_assert_eq!(completed(&spoilt), (false, spoilt.clone()));
    }

    #[test]
    fn any_bytes_are_harmless(packet in any_packet(), cut: usize, place: usize, flip: u8) {
        assert_robust(&packet.frame().partial, cut, place, flip);
    }

    #[test]
    fn the_sum_agrees_with_the_definition(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert_eq!(checksum::fold(checksum::sum(&bytes)), packets::sum(&bytes));
    }

    #[test]
    fn any_sum_folds_as_its_words_add_up(sum in prop_oneof![any::<u64>(), 0..1_u64 << 20, u64::MAX - (1 << 20)..=u64::MAX]) {
        prop_assert_eq!(checksum::fold(sum), packets::sum(&sum.to_be_bytes()));
    }

    #[test]
    fn hostile_offsets_do_not_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        transport_offset: u16,
        payload_offset: u16,
        end: u16,
        protocol in prop_oneof![Just(4), Just(6), Just(17), Just(41), Just(47), Just(132)],
        destination_port in prop_oneof![Just(53), Just(4789), Just(6081)],
    ) {
        let headers = Headers {
            network: Network::Ipv4,
            transport_offset,
            payload_offset,
            end,
            protocol: Protocol(protocol),
            destination_port,
            ..Headers::default()
        };
        checksum::complete(&mut bytes.clone(), &headers);
    }
}

const fn transport(v6: bool) -> usize {
    if v6 { 54 } else { 34 }
}

/// Where in the frame the checksum stands, and its length.
const fn field(packet: &Packet) -> (usize, usize) {
    let (place, width) = match packet.transport {
        Transport::Tcp => (16, 2),
        Transport::Udp => (6, 2),
        Transport::Sctp => (8, 4),
    };
    (transport(packet.v6) + place, width)
}

#[test]
fn crc32c_agrees_with_known_answers() {
    // RFC 3720 appendix B.4, and the check value of the catalogues.
    assert_eq!(packets::crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(packets::crc32c(b"123456789"), 0xe306_9283);
}

/// A TCP packet whose last two bytes of payload are such that the sum over it is `wanted`.
fn summing_up_to(wanted: u16) -> Packet {
    let mut packet = Packet { v6: false, transport: Transport::Tcp, port: 443, payload: vec![0; 2] };
    let frame = packet.frame().whole;
    let checksum = u16::from_be_bytes([frame[50], frame[51]]);
    // What is missing from the sum without these two bytes, which is the inverse of its checksum.
    packet.payload =
        packets::sum(&[checksum.to_be_bytes(), wanted.to_be_bytes()].concat()).to_be_bytes().to_vec();
    packet
}

#[test]
fn a_checksum_that_looks_partial_by_chance_is_left() {
    let pseudo = packets::sum(&packets::pseudo_header(false, 6, 22));
    let sample = summing_up_to(!pseudo).frame();
    assert_eq!(sample.whole[50..52], pseudo.to_be_bytes(), "the right checksum equals the partial one");
    assert_eq!(sample.partial, sample.whole);
    assert_eq!(completed(&sample.whole), (false, sample.whole.clone()));
}

#[test]
fn a_checksum_of_zero_is_sent_as_all_ones() {
    let sample = summing_up_to(0xffff).frame();
    assert_eq!(sample.whole[50..52], [0xff, 0xff]);
    assert_eq!(completed(&sample.partial), (true, sample.whole));
}

#[test]
fn a_crc_that_is_zero_is_right() {
    let packet = Packet {
        v6: false,
        transport: Transport::Sctp,
        port: 443,
        payload: vec![0x48, 0x48, 0xeb, 0x2d], // chosen for it
    };
    let sample = packet.frame();
    assert_eq!(sample.whole[42..46], [0; 4]);
    assert_eq!(completed(&sample.whole), (false, sample.whole.clone()));
}

#[test]
fn a_udp_datagram_without_a_checksum_stays_without() {
    let packet = Packet { v6: true, transport: Transport::Udp, port: 53, payload: vec![1; 9] };
    let mut frame = packet.frame().whole;
    frame[60..62].fill(0);
    assert_eq!(completed(&frame), (false, frame.clone()));
}

#[test]
fn completed_packets_are_counted() {
    let packet = |transport| Packet { v6: false, transport, port: 443, payload: b"hello".to_vec() }.frame();
    let samples = [Transport::Tcp, Transport::Udp, Transport::Sctp].map(packet);
    let [tcp, udp, sctp] = &samples;
    let frames = [&tcp.partial[..], &udp.partial, &sctp.partial, &tcp.whole, &udp.whole, &sctp.whole];
    let snapshot = snapshot(NonIp::default(), 1500);
    let (sent, completed) = forwarded(&snapshot, &frames);
    let whole = samples.each_ref().map(|sample| sample.whole.clone());
    assert_eq!(sent, [&whole[..], &whole[..]].concat());
    assert_eq!(completed, 3);

    let keep = bridge(NonIp::default(), 1500, false);
    assert_eq!(forwarded(&keep, &frames), (frames.map(<[u8]>::to_vec).to_vec(), 0));
}
