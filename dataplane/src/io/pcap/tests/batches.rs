use std::io::{self, Read};

use super::*;

/// Packets a tenth of a second apart, some out of order.
fn capture() -> Vec<u8> {
    let build = Build { big: false };
    let mut capture = build.classic(MICROS, 1);
    for number in 0..500_u32 {
        let tenths = if number % 17 == 3 { number.saturating_sub(25) } else { number };
        let frame = udp([192, 0, 2, 1], number as usize);
        capture.extend(build.record(tenths / 10, tenths % 10 * 100_000, length(&frame), &frame));
    }
    capture
}

#[test]
fn packets_and_seconds_are_the_same_whatever_the_size_of_batches() {
    let capture = capture();
    let with = |size: usize| -> Vec<(u64, Seen)> {
        let mut io = open(&capture).unwrap();
        let found = batches(&mut io, size)
            .into_iter()
            .flat_map(|(now, seen)| seen.into_iter().map(move |seen| (now.as_secs(), seen)))
            .collect();
        assert!(io.finish().unwrap().out_of_order > 20);
        found
    };
    let one_by_one = with(1);
    assert_eq!(one_by_one.len(), 500);
    for size in [2, 3, 7, 10, 64, 256] {
        assert_eq!(with(size), one_by_one, "batches of {size}");
    }
}

#[test]
fn time_waits_for_late_packets_and_a_batch_spans_one_second() {
    let mut io = open(&capture()).unwrap();
    let mut last = Timestamp::ZERO;
    for (now, seen) in batches(&mut io, 256) {
        assert!(now >= last);
        last = now;
        for seen in &seen {
            assert!(seen.time.as_secs() <= now.as_secs());
        }
        assert!(seen[0].time <= now);
    }
    assert_eq!(io.now(), Timestamp::from_micros(49_900_000), "the end is the last packet's time");
}

/// The capture's time at each packet, given the packets' own, in seconds.
fn times(packets: &[u32]) -> Vec<u64> {
    let build = Build { big: false };
    let mut capture = build.classic(MICROS, 1);
    for seconds in packets {
        capture.extend(build.record(*seconds, 0, 60, &[]));
    }
    let with = |size: usize| -> Vec<u64> {
        batches(&mut open(&capture).unwrap(), size)
            .into_iter()
            .flat_map(|(now, seen)| vec![now.as_secs(); seen.len()])
            .collect()
    };
    assert_eq!(with(1), with(256));
    with(64)
}

#[test]
fn one_packet_far_off_does_not_move_the_time_but_two_do() {
    assert_eq!(times(&[1000, 1003, 1001, 1060, 1000]), [1000, 1003, 1003, 1060, 1060]);
    // Far ahead, then back.
    assert_eq!(times(&[1000, 9000, 1001, 1002]), [1000, 1000, 1001, 1002]);
    assert_eq!(times(&[1000, 9000, 1001, 9001, 1002, 9002]), [1000, 1000, 1001, 1001, 1002, 1002]);
    // Far behind, then ahead again.
    assert_eq!(times(&[9000, 1000, 9001, 1001]), [9000, 9000, 9001, 9001]);
    // A night without traffic; two captures in one.
    assert_eq!(times(&[1000, 9001, 9000, 9002]), [1000, 1000, 9000, 9002]);
    assert_eq!(times(&[9000, 1000, 1001, 1002]), [9000, 9000, 1001, 1002]);
    // A clock that was set only after the first packet.
    assert_eq!(times(&[0, 1_700_000_000, 1_700_000_001]), [0, 0, 1_700_000_000]);
    assert_eq!(times(&[1000, 1061, 1000]), [1000, 1000, 1000]);
}

/// Gives one byte per call and fails if asked again for what it has not.
struct Drip {
    bytes: Vec<u8>,
    at: usize,
    /// Where reading fails, to show that nothing beyond is asked for.
    wall: usize,
}

impl Read for Drip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.wall {
            return Err(io::Error::other("the wall"));
        }
        buffer[0] = self.bytes[self.at];
        self.at += 1;
        Ok(1)
    }
}

#[test]
fn a_pipe_is_not_waited_for_once_a_packet_is_there() {
    let build = Build { big: false };
    let frame = udp([192, 0, 2, 1], 1);
    let mut bytes = build.classic(MICROS, 1);
    for _ in 0..3 {
        bytes.extend(build.record(1, 0, length(&frame), &frame));
    }
    let wall = bytes.len();
    let input = Drip { bytes, at: 0, wall };
    let mut io = PcapIo::from_reader("drip".into(), Box::new(input), PortMap::default()).unwrap();
    let found = batches(&mut io, 64);
    assert_eq!(found.iter().map(|(_, seen)| seen.len()).collect::<Vec<_>>(), [1, 1, 1]);
    match io.finish() {
        Err(PcapError::Read { file, offset, .. }) => {
            assert_eq!((file.as_str(), offset), ("drip", wall as u64));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(io.summary().packets, 3);
}

#[test]
fn records_across_the_edges_of_chunks_are_whole() {
    let build = Build { big: false };
    let mut capture = build.classic(MICROS, 1);
    let sizes = [1_400, 9_000, 60_000, 333, 0, 64_000];
    for number in 0..200_u32 {
        let mut frame = udp([192, 0, 2, 1], sizes[number as usize % sizes.len()]);
        let last = frame.len() - 1;
        frame[last] = u8::try_from(number).unwrap();
        capture.extend(build.record(1, number, length(&frame), &frame));
    }
    assert!(capture.len() > 4 << 20);
    let (seen, summary) = read(&capture);
    assert_eq!((seen.len(), summary.unwrap().cut), (200, 0));
    for (number, seen) in (0..).zip(&seen) {
        assert_eq!(seen.bytes.last(), Some(&number));
        assert_eq!(seen.bytes.len(), seen.length as usize);
    }
}

#[test]
fn progress_is_that_of_the_file() {
    let path = std::env::temp_dir().join(format!("ravelin-progress-{}.pcap", std::process::id()));
    let capture = capture();
    std::fs::write(&path, &capture).unwrap();
    let mut io = PcapIo::open(&path, PortMap::default()).unwrap();
    let total = capture.len() as u64;
    assert_eq!(io.progress(), (24, Some(total)));
    packets(&mut io);
    assert_eq!(io.progress(), (total, Some(total)));
    std::fs::remove_file(&path).unwrap();
}
