use proptest::prelude::*;

use super::*;

fn text(capture: &[u8]) -> String {
    read(capture).1.unwrap_err().to_string()
}

#[test]
fn what_is_no_capture_is_named() {
    for (file, says) in [
        (&b""[..], "the file is empty"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b"\x28\xb5\x2f\xfd....", "compressed"),
        (b"hello, world", "[68, 65, 6c, 6c]"),
        (b"\xa1\xb2", "[a1, b2]"),
        (&[0x34, 0xcd, 0xb2, 0xa1, 0, 0], "modified pcap"),
    ] {
        let text = text(file);
        assert!(text.starts_with("test: not a capture") && text.contains(says), "{text}");
    }
    let build = Build { big: false };
    assert_eq!(
        text(&build.classic(MICROS, 1)[..20]),
        "test: ends after 20 bytes, expected a file header of at least 24 bytes"
    );
    assert!(text(&build.section()[..27]).contains("ends after 27 bytes"));
    assert!(text(&build.classic(MICROS, 105)).contains("link type 105 is not supported"));
    let missing = PcapIo::open("/nonexistent/x.pcap".as_ref(), PortMap::default());
    assert!(missing.unwrap_err().to_string().starts_with("/nonexistent/x.pcap: cannot be opened"));
}

#[test]
fn damage_is_reported_with_its_place_and_keeps_what_came_before() {
    for build in Build::BOTH {
        let frame = udp([192, 0, 2, 1], 9);
        let mut classic = build.classic(MICROS, 1);
        classic.extend(build.record(1, 0, length(&frame), &frame));
        let mut ng = [build.section(), build.interface(1, 0, &[])].concat();
        ng.extend(build.enhanced(0, 9, length(&frame), &frame));

        let after = |start: &[u8], damage: Vec<u8>| {
            let (seen, summary) = read(&[start, &damage].concat());
            assert_eq!(seen.len(), 1);
            let at = start.len() as u64;
            match summary {
                Err(PcapError::Malformed { file, offset, field, found, .. }) => {
                    assert_eq!((file.as_str(), offset), ("test", at));
                    (field, found)
                }
                other => panic!("{other:?}"),
            }
        };
        let words = |words: &[u32]| words.iter().flat_map(|word| build.u32(*word)).collect::<Vec<u8>>();
        let captured = "captured length";
        let length = "block length";

        assert_eq!(after(&classic, words(&[1, 0, 262_145, 60])), (captured, 262_145));
        assert_eq!(after(&classic, words(&[1, 0, u32::MAX, 60])), (captured, u64::from(u32::MAX)));
        assert_eq!(after(&ng, words(&[6, 8, 8])), (length, 8));
        assert_eq!(after(&ng, words(&[6, 0, 0])), (length, 0));
        assert_eq!(after(&ng, words(&[99, 13, 0, 0])), (length, 13));
        assert_eq!(after(&ng, words(&[6, u32::MAX - 3, 0])), (length, u64::from(u32::MAX - 3)));
        assert_eq!(after(&ng, words(&[6, 12, 16])), ("block length at the end of a block", 16));
        assert_eq!(after(&ng, words(&[6, 12, 12])), (length, 12));
        assert_eq!(after(&ng, words(&[3, 12, 12])), (length, 12));
        assert_eq!(after(&ng, words(&[2, 12, 12])), (length, 12));
        assert_eq!(after(&ng, words(&[1, 12, 12])), (length, 12));
        assert_eq!(after(&ng, build.block(6, &words(&[1, 0, 0, 0, 0]))), ("interface", 1));
        assert_eq!(after(&ng, build.block(6, &words(&[0, 0, 0, 8, 8, 1]))), (captured, 8));
        assert_eq!(after(&ng, build.block(6, &words(&[0, 0, 0, 300_000, 8]))), (captured, 300_000));
        assert_eq!(after(&ng, build.block(3, &words(&[100]))), (captured, 100));
        assert_eq!(after(&ng, words(&[0x0a0d_0d0a, 28, 0x1122_3344])).0, "byte-order magic");
        let version = build.block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 0x0005_0005, 0, 0]));
        assert_eq!(after(&ng, version), ("major version", 5));
        let option = [build.u16(2), build.u16(50), build.u16(0), build.u16(0)].concat();
        let interface = [&build.u32(0)[..], &build.u32(0), &option].concat();
        assert_eq!(after(&ng, build.block(1, &interface)), ("option length", 50));
        let mut other_version = build.classic(MICROS, 1);
        other_version.splice(4..6, build.u16(3));
        assert!(text(&other_version).contains("major version at offset 0 is 3, expected 2"));
    }
}

#[test]
fn interfaces_are_bounded() {
    let build = Build { big: false };
    let mut capture = build.section();
    let interface = build.interface(1, 0, &[]);
    for _ in 0..65_536 {
        capture.extend_from_slice(&interface);
    }
    assert!(read(&capture).1.is_ok());
    capture.extend_from_slice(&interface);
    assert!(text(&capture).contains("number of interfaces"));
}

/// A capture of every format, to be damaged.
fn seeds() -> Vec<Vec<u8>> {
    let frame = udp([192, 0, 2, 1], 25);
    let mut seeds = Vec::new();
    for build in Build::BOTH {
        for link in [0, 1, 101, 113, 276] {
            let mut classic = build.classic(MICROS, link);
            let options = [build.option(2, b"eth0"), build.option(9, &[9]), build.option(14, &[1; 8])];
            let link = u16::try_from(link).unwrap();
            let mut ng = [build.section(), build.interface(link, 0, &options)].concat();
            for number in 0..4 {
                classic.extend(build.record(number, number, length(&frame), &frame[..frame.len() - 5]));
                ng.extend(build.enhanced(0, u64::from(number), length(&frame), &frame));
                ng.extend(build.block(3, &[&build.u32(30)[..], &frame[..30]].concat()));
            }
            seeds.extend([classic, ng]);
        }
    }
    seeds
}

/// Reads it all; whatever it is, it must end without a panic, and within its own size.
fn survive(capture: &[u8]) {
    let (seen, summary) = read(capture);
    // The smallest record, that of an empty packet, has 16 bytes.
    assert!(seen.len() <= capture.len() / 16);
    if let Ok(summary) = summary {
        assert_eq!(summary.packets, seen.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_do_no_harm(seed in 0..20_usize, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survive(&bytes);
        let seeds = seeds();
        survive(&[&seeds[seed][..28.min(seeds[seed].len())], &bytes].concat());
    }

    #[test]
    fn damaged_captures_do_no_harm(
        seed in 0..20_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec![0_u8, 1, 4, 0x7f, 0x80, 0xff])), 1..6),
        cut: prop::sample::Index,
    ) {
        let mut capture = seeds().swap_remove(seed);
        for (place, value) in changes {
            let place = place.index(capture.len());
            capture[place] = value;
        }
        survive(&capture);
        capture.truncate(cut.index(capture.len()));
        survive(&capture);
    }
}
