use super::*;

#[test]
fn classic_in_either_byte_order_and_unit_of_time() {
    for build in Build::BOTH {
        for (magic, nanos) in [(MICROS, 250_000_000), (NANOS, 250_000)] {
            let frame = udp([192, 0, 2, 1], 10);
            let mut capture = build.classic(magic, 1);
            capture.extend(build.record(1_700_000_000, 250_000, length(&frame), &frame));
            capture.extend(build.record(1_700_000_001, 0, 60, &frame[..14]));
            let (seen, summary) = read(&capture);
            let time = Timestamp::from_nanos(1_700_000_000_000_000_000 + nanos);
            assert_eq!(
                seen[0],
                Seen { time, port: PortId(0), length: length(&frame), bytes: frame.clone() },
                "{build:?} {magic:x}"
            );
            assert_eq!((seen.len(), seen[1].length, seen[1].bytes.len()), (2, 60, 14));
            assert_eq!(
                summary.unwrap(),
                PcapSummary {
                    packets: 2,
                    bytes: u64::from(length(&frame)) + 60,
                    first: Some(time),
                    last: Some(Timestamp::from_nanos(1_700_000_001_000_000_000)),
                    cut: 1,
                    ..PcapSummary::default()
                }
            );
        }
    }
}

#[test]
fn link_checksums_are_left_out() {
    let build = Build { big: true };
    let frame = udp([192, 0, 2, 1], 10);
    let with_checksum = [&frame[..], &[1, 2, 3, 4]].concat();
    let expected = |seen: &[Seen]| {
        assert_eq!((seen[0].length, &seen[0].bytes), (length(&frame), &frame));
    };
    let mut capture = build.classic(MICROS, 0x2400_0001);
    capture.extend(build.record(1, 0, length(&with_checksum), &with_checksum));
    expected(&read(&capture).0);
    for bytes_or_bits in [4, 32] {
        let mut capture = build.section();
        capture.extend(build.interface(1, 0, &[build.option(13, &[bytes_or_bits])]));
        capture.extend(build.enhanced(0, 0, length(&with_checksum), &with_checksum));
        expected(&read(&capture).0);
    }
}

#[test]
fn ng_in_either_byte_order_with_every_packet_block() {
    for build in Build::BOTH {
        let frame = udp([192, 0, 2, 1], 11);
        let mut capture = build.section();
        capture.extend(build.interface(1, 0, &[]));
        // Name resolution, statistics and a custom block are not for us.
        for kind in [4, 5, 0xbad] {
            capture.extend(build.block(kind, &[0xee; 40]));
        }
        capture.extend(build.enhanced(0, 0x0005_0000_0000_0007, length(&frame), &frame));
        let simple = [&build.u32(length(&frame))[..], &frame].concat();
        capture.extend(build.block(3, &simple));
        let obsolete = [
            &build.u16(0)[..],
            &build.u16(3),
            &build.u32(0x0005_0000),
            &build.u32(8),
            &build.u32(length(&frame)),
            &build.u32(length(&frame)),
            &frame,
        ]
        .concat();
        capture.extend(build.block(2, &obsolete));

        let (seen, summary) = read(&capture);
        let micros = [0x0005_0000_0000_0007, 0x0005_0000_0000_0007, 0x0005_0000_0000_0008];
        assert_eq!(seen.iter().map(|seen| seen.time.as_micros()).collect::<Vec<_>>(), micros);
        assert!(seen.iter().all(|seen| seen.bytes == frame && seen.length == length(&frame)));
        let summary = summary.unwrap();
        assert_eq!((summary.packets, summary.cut, summary.truncated_at), (3, 0, None));
    }
}

#[test]
fn simple_packets_are_cut_at_the_first_interfaces_snap_length() {
    let build = Build { big: false };
    let frame = udp([192, 0, 2, 1], 100);
    let mut capture = build.section();
    capture.extend(build.interface(1, 64, &[]));
    capture.extend(build.block(3, &[&build.u32(length(&frame))[..], &frame[..64]].concat()));
    let (seen, summary) = read(&capture);
    assert_eq!(seen[0].bytes[..64], frame[..64]);
    assert_eq!((seen[0].bytes.len(), seen[0].length), (frame.len(), length(&frame)));
    assert_eq!((summary.unwrap().cut, seen[0].time), (1, Timestamp::ZERO));
}

#[test]
fn ng_times_in_every_resolution() {
    let second = 1_700_000_000_u64;
    let cases: [(u8, u64, i64, u64); 8] = [
        (6, second * 1_000_000 + 5, 0, second * 1_000_000_000 + 5_000),
        (9, second * 1_000_000_000 + 5, 0, second * 1_000_000_000 + 5),
        (0, second, 0, second * 1_000_000_000),
        (3, second * 1_000 + 5, -second.cast_signed(), 5_000_000),
        (10, second * 1_000_000_000 + 19, 0, second * 100_000_000 + 1),
        (0x80 | 10, second * 1_024 + 512, 0, second * 1_000_000_000 + 500_000_000),
        (0x80 | 63, u64::MAX, 10, 11_999_999_999),
        // Too small a unit to be told from what 64 bits hold: one nanosecond, and the offset.
        (127, u64::MAX, 1, 1_000_000_001),
    ];
    for build in Build::BOTH {
        for (resolution, ticks, offset, nanos) in cases {
            let frame = udp([192, 0, 2, 1], 0);
            let options = [
                build.option(2, b"eth7"),
                build.option(9, &[resolution]),
                build.option(14, &build.u64(offset.cast_unsigned())),
            ];
            let mut capture = build.section();
            capture.extend(build.interface(1, 0, &options));
            capture.extend(build.enhanced(0, ticks, length(&frame), &frame));
            assert_eq!(read(&capture).0[0].time.as_nanos(), nanos, "{resolution:#x} {offset}");
        }
    }
}

#[test]
fn several_sections_and_interfaces_of_different_kinds() {
    let (little, big) = (Build { big: false }, Build { big: true });
    let frame = udp([192, 0, 2, 1], 20);
    let mut capture = little.section();
    capture.extend(little.interface(1, 0, &[little.option(2, b"wan0")]));
    // USB: not understood, but only its own packets are left out.
    capture.extend(little.interface(220, 0, &[]));
    capture.extend(little.interface(101, 0, &[little.option(2, b"lan0"), little.option(9, &[9])]));
    capture.extend(little.enhanced(2, 3_000, length(&frame) - 14, &frame[14..]));
    capture.extend(little.enhanced(1, 0, 3, &[1, 2, 3]));
    capture.extend(little.enhanced(0, 4, length(&frame), &frame));
    // In the next section the numbers start anew, in the other byte order.
    capture.extend(big.section());
    capture.extend(big.interface(101, 0, &[big.option(2, b"lan0")]));
    capture.extend(big.enhanced(0, 5, length(&frame) - 14, &frame[14..]));

    let ports = PortMap {
        names: vec![("lan0".into(), PortId(3)), ("other".into(), PortId(4))],
        inside: Vec::new(),
        inside_port: PortId(1),
        outside_port: PortId(2),
    };
    let mut io = open_with(&capture, ports).unwrap();
    let seen = packets(&mut io);
    let found: Vec<_> = seen.iter().map(|seen| (seen.time.as_nanos(), seen.port.0, seen.length)).collect();
    let whole = length(&frame);
    assert_eq!(found, [(3_000, 3, whole - 14), (4_000, 2, whole), (5_000, 3, whole - 14)]);
    assert!(seen.iter().all(|seen| seen.bytes[14..] == frame[14..]));
    let summary = io.finish().unwrap();
    assert_eq!((summary.packets, summary.unsupported), (3, 1));
}

#[test]
fn a_file_cut_off_anywhere_yields_what_is_complete() {
    let build = Build { big: false };
    let frame = udp([192, 0, 2, 1], 9);
    let mut classic = build.classic(MICROS, 1);
    let mut ng = [build.section(), build.interface(1, 0, &[])].concat();
    let mut ends = [vec![classic.len()], vec![ng.len()]];
    for number in 0..3_u32 {
        classic.extend(build.record(number, 0, length(&frame), &frame));
        ng.extend(build.enhanced(0, u64::from(number), length(&frame), &frame));
        ends[0].push(classic.len());
        ends[1].push(ng.len());
    }
    for (capture, ends) in [(classic, &ends[0]), (ng, &ends[1])] {
        for cut in ends[0]..=capture.len() {
            let (seen, summary) = read(&capture[..cut]);
            let complete = ends.iter().rposition(|end| *end <= cut).unwrap();
            assert_eq!(seen.len(), complete, "cut at {cut}");
            let expected = (ends[complete] != cut).then_some(ends[complete] as u64);
            assert_eq!(summary.unwrap().truncated_at, expected, "cut at {cut}");
        }
    }
}

#[test]
fn large_blocks_that_are_not_packets_are_skipped() {
    let build = Build { big: false };
    let frame = udp([192, 0, 2, 1], 9);
    let mut capture = [build.section(), build.interface(1, 0, &[])].concat();
    capture.extend(build.block(10, &vec![7; 5 << 20]));
    let behind = capture.len();
    capture.extend(build.enhanced(0, 9, length(&frame), &frame));
    assert_eq!(read(&capture).0.len(), 1);
    let (seen, summary) = read(&capture[..behind - 1]);
    assert!(seen.is_empty() && summary.unwrap().truncated_at.is_some());
    assert_eq!(read(&capture[..behind]).1.unwrap().truncated_at, None);
}

#[test]
fn agrees_with_the_crate_pcap_file() {
    use pcap_file::{DataLink, Endianness, TsResolution, pcap};
    let frames: Vec<_> = (0..200).map(|size| udp([192, 0, 2, 1], size * 7)).collect();
    for endianness in [Endianness::Little, Endianness::Big] {
        let header = pcap::PcapHeader {
            ts_resolution: TsResolution::NanoSecond,
            datalink: DataLink::ETHERNET,
            endianness,
            ..Default::default()
        };
        let mut writer = pcap::PcapWriter::with_header(Vec::new(), header).unwrap();
        for (number, frame) in (0..).zip(&frames) {
            let time = std::time::Duration::new(77, number);
            writer.write_packet(&pcap::PcapPacket::new(time, length(frame), frame)).unwrap();
        }
        let (seen, summary) = read(&writer.into_writer());
        assert_eq!(summary.unwrap().packets, 200);
        for ((number, frame), seen) in (0..).zip(&frames).zip(&seen) {
            assert_eq!(seen.time.as_nanos(), 77_000_000_000 + number);
            assert_eq!(&seen.bytes, frame);
        }
    }
}
