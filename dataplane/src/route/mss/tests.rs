use proptest::prelude::*;

use super::clamp;
use crate::{
    batch::{Batch, Meta},
    io::memory::MemoryFrame,
    parse::{DecodeStage, Headers},
};

/// A SYN with these options, padded with zeros to whole words, and the checksum that a whole stack gives it.
fn syn(options: &[u8], version: u8) -> Vec<u8> {
    let mut options = options.to_vec();
    options.resize(options.len().next_multiple_of(4), 0);
    let mut tcp = etherparse::TcpHeader::new(40_000, 80, 7, 1024);
    tcp.syn = true;
    tcp.set_options_raw(&options).unwrap();
    let builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6]);
    let mut frame = Vec::new();
    if version == 4 {
        builder
            .ipv4([192, 0, 2, 1], [198, 51, 100, 1], 64)
            .tcp_header(tcp)
            .write(&mut frame, b"data")
            .unwrap();
    } else {
        builder.ipv6([0x20; 16], [0x21; 16], 64).tcp_header(tcp).write(&mut frame, b"data").unwrap();
    }
    frame
}

fn headers(frame: &[u8]) -> Headers {
    let mut batch = Batch::new(1);
    batch.push(MemoryFrame::new(frame), Meta::default()).unwrap();
    DecodeStage.run(&mut batch);
    assert!(batch.metas()[0].verdict.is_undecided(), "{frame:02x?}");
    batch.metas()[0].headers
}

/// The frame clamped, and whether that is said to have changed it.
fn clamped(frame: &[u8], most: u16) -> (bool, Vec<u8>) {
    let mut bytes = frame.to_vec();
    let is_lowered = clamp(&mut bytes, &headers(frame), most);
    assert_eq!(is_lowered, bytes != frame, "what is said is what was done");
    (is_lowered, bytes)
}

/// Its options, as a receiver takes them.
fn options(frame: &[u8]) -> Vec<u8> {
    let headers = headers(frame);
    frame[usize::from(headers.transport_offset) + 20..usize::from(headers.payload_offset)].to_vec()
}

/// Whether its TCP checksum is right, computed by another hand.
fn is_right(frame: &[u8]) -> bool {
    let sliced = etherparse::SlicedPacket::from_ethernet(frame).unwrap();
    let Some(etherparse::TransportSlice::Tcp(tcp)) = &sliced.transport else { panic!("no TCP") };
    let computed = match sliced.net.as_ref().unwrap() {
        etherparse::NetSlice::Ipv4(ip) => {
            tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination())
        }
        etherparse::NetSlice::Ipv6(ip) => {
            tcp.calc_checksum_ipv6(ip.header().source(), ip.header().destination())
        }
        etherparse::NetSlice::Arp(_) => panic!("no IP"),
    };
    computed.unwrap() == tcp.checksum()
}

const MSS_1460: [u8; 4] = [2, 4, 5, 180];

#[test]
fn more_is_lowered_and_less_is_not_raised() {
    for version in [4, 6] {
        let frame =
            syn(&[&MSS_1460[..], &[4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7]].concat(), version);
        assert!(is_right(&frame));
        let (is_lowered, lowered) = clamped(&frame, 1240);
        assert!(is_lowered && is_right(&lowered));
        assert_eq!(options(&lowered)[..4], [2, 4, 4, 216]);
        assert_eq!(options(&lowered)[4..], options(&frame)[4..]);
        for enough in [1460, 1461, u16::MAX] {
            assert!(!clamped(&frame, enough).0);
        }
        assert!(!clamped(&lowered, 1240).0, "once is enough");
    }
}

#[test]
fn who_says_nothing_is_not_spoken_for() {
    for options in [&[][..], &[1, 1, 1, 1], &[4, 2, 1, 0], &[0, 2, 4, 5, 180]] {
        assert!(!clamped(&syn(options, 4), 1240).0, "{options:?}");
    }
}

#[test]
fn the_sum_is_right_wherever_the_option_lies() {
    for before in 0..8 {
        let options = [&vec![1; before][..], &MSS_1460].concat();
        let (is_lowered, lowered) = clamped(&syn(&options, 4), 1240);
        assert!(is_lowered && is_right(&lowered), "behind {before} bytes");
    }
}

#[test]
fn all_of_several_are_lowered() {
    let frame = syn(&[&MSS_1460[..], &[1], &[2, 4, 0xff, 0xff], &[1], &[2, 4, 2, 0]].concat(), 4);
    let (is_lowered, lowered) = clamped(&frame, 1240);
    assert!(is_lowered && is_right(&lowered));
    assert_eq!(options(&lowered)[..14], [2, 4, 4, 216, 1, 2, 4, 4, 216, 1, 2, 4, 2, 0]);
}

#[test]
fn what_is_no_option_ends_them() {
    for hostile in [
        // Without its length, or with one that leads nowhere, too far, or elsewhere.
        &[1, 1, 1, 2][..],
        &[2, 0, 5, 180],
        &[2, 1, 5, 180],
        &[3, 0, 0, 0, 2, 4, 5, 180],
        &[2, 5, 5, 180],
        &[1, 2, 4, 5],
        &[254, 255, 2, 4, 5, 180, 1, 1],
        // Of another length than it has.
        &[2, 3, 5, 1],
        &[2, 6, 5, 180, 5, 180, 1, 1],
    ] {
        assert!(!clamped(&syn(hostile, 4), 88).0, "{hostile:?}");
    }
}

#[test]
fn a_partial_checksum_stays_what_it_is() {
    let whole = syn(&MSS_1460, 4);
    let tcp = usize::from(headers(&whole).transport_offset);
    // The sum of the pseudo-header: addresses, protocol and length.
    let length = u64::try_from(whole.len() - tcp).unwrap();
    let pseudo = crate::forward::sum(&whole[26..34]) + 6 + length;
    let partial =
        [&whole[..tcp + 16], &crate::forward::fold(pseudo).to_be_bytes(), &whole[tcp + 18..]].concat();
    let (is_lowered, mut lowered) = clamped(&partial, 1240);
    assert!(is_lowered);
    assert_eq!(lowered[tcp + 16..tcp + 18], partial[tcp + 16..tcp + 18]);
    let headers = headers(&lowered);
    assert!(crate::forward::checksum::complete(&mut lowered, &headers) && is_right(&lowered));
}

#[test]
fn a_whole_checksum_that_looks_partial_is_kept_right() {
    let frame = syn(&MSS_1460, 4);
    let tcp = usize::from(headers(&frame).transport_offset);
    let length = u64::try_from(frame.len() - tcp).unwrap();
    let pseudo = crate::forward::fold(crate::forward::sum(&frame[26..34]) + 6 + length);
    // The window makes up for the difference between the checksum that it has and the one that looks partial.
    let looks_partial = (0..=u16::MAX).find_map(|window| {
        let mut frame = frame.clone();
        frame[tcp + 14..tcp + 16].copy_from_slice(&window.to_be_bytes());
        frame[tcp + 16..tcp + 18].copy_from_slice(&pseudo.to_be_bytes());
        is_right(&frame).then_some(frame)
    });
    let (is_lowered, lowered) = clamped(&looks_partial.unwrap(), 1240);
    assert!(is_lowered && is_right(&lowered));
}

proptest! {
    #[test]
    fn whatever_the_options_are_only_sizes_are_lowered_and_the_sum_stays_right(
        options in prop::collection::vec(prop_oneof![3 => 0_u8..6, 1 => any::<u8>()], 0..40),
        most in 0_u16..2000,
        version in prop_oneof![Just(4_u8), Just(6)],
    ) {
        let frame = syn(&options, version);
        let (is_lowered, lowered) = clamped(&frame, most);
        prop_assert!(is_right(&lowered));
        prop_assert!(!clamped(&lowered, most).0);
        // Another reader: what it takes for sizes is lowered, the rest is the same.
        let read = |frame: &[u8]| {
            let tcp = etherparse::SlicedPacket::from_ethernet(frame).unwrap().transport.unwrap();
            let etherparse::TransportSlice::Tcp(tcp) = tcp else { panic!("no TCP") };
            tcp.options_iterator().map_while(Result::ok).collect::<Vec<_>>()
        };
        let sizes = |option: etherparse::TcpOptionElement| {
            if let etherparse::TcpOptionElement::MaximumSegmentSize(size) = option {
                etherparse::TcpOptionElement::MaximumSegmentSize(size.min(most))
            } else {
                option
            }
        };
        let expected: Vec<_> = read(&frame).into_iter().map(sizes).collect();
        prop_assert_eq!(read(&lowered), expected.clone());
        if expected != read(&frame) {
            prop_assert!(is_lowered);
        }
    }

    #[test]
    fn what_is_cut_off_is_no_harm(cut in 0_usize..200, most in any::<u16>(), options in prop::collection::vec(any::<u8>(), 0..40)) {
        let frame = syn(&options, 4);
        let headers = headers(&frame);
        let mut bytes = frame[..cut.min(frame.len())].to_vec();
        clamp(&mut bytes, &headers, most);
        prop_assert_eq!(bytes.len(), cut.min(frame.len()));
    }
}
