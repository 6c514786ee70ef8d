use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use proptest::prelude::*;

use super::*;
use crate::io::TransmitError;

/// A file in memory that holds no more than `room` bytes.
#[derive(Clone)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: usize,
}

impl Disk {
    fn new(room: usize) -> Self {
        Self { bytes: Arc::default(), room }
    }
}

impl Write for Disk {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let mut bytes = self.bytes.lock().unwrap();
        let taken = buffer.len().min(self.room - bytes.len());
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        bytes.extend_from_slice(&buffer[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Transmits everything; returns how many frames were refused.
fn forward(io: &mut PcapIo) -> u64 {
    let mut batch = Batch::new(64);
    let mut refused = 0;
    while !io.is_exhausted() {
        let now = io.now();
        io.receive(now, &mut batch);
        for (frame, _) in batch.drain() {
            if let Err((error, frame)) = io.transmit(PortId(1), frame) {
                assert_eq!(error, TransmitError::Down);
                refused += 1;
                io.release(frame);
            }
        }
        io.flush();
    }
    refused
}

fn through(capture: &[u8]) -> Vec<u8> {
    let disk = Disk::new(usize::MAX);
    let mut io = open(capture).unwrap().write_into("out".into(), Box::new(disk.clone()));
    assert_eq!(forward(&mut io), 0);
    let summary = io.finish().unwrap();
    assert_eq!(summary.written, summary.packets);
    disk.bytes.lock().unwrap().clone()
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        packets in prop::collection::vec((0..4_000_000_000_u32, 0..1_000_000_000_u32, 0..3000_usize, 0..3000_usize), 0..50)
    ) {
        let build = Build { big: true };
        let mut capture = build.classic(NANOS, 1);
        for (seconds, nanos, payload, snap) in packets {
            let frame = udp([192, 0, 2, 1], payload);
            capture.extend(build.record(seconds, nanos, length(&frame), &frame[..snap.min(frame.len())]));
        }
        let written = through(&capture);
        let same = [Build { big: false }.classic(NANOS, 1), written[24..].to_vec()].concat();
        prop_assert_eq!(read(&same).0, read(&capture).0);
        prop_assert_eq!(read(&written).0, read(&capture).0);
        prop_assert_eq!(&through(&written), &written);
    }
}

#[test]
fn packets_of_other_links_are_written_with_their_ethernet_header() {
    let build = Build { big: false };
    let frame = udp([192, 0, 2, 1], 100);
    let mut capture = build.classic(MICROS, 101);
    capture.extend(build.record(1, 0, length(&frame) - 14, &frame[14..60]));
    let (seen, _) = read(&through(&capture));
    assert_eq!(seen[0].length, length(&frame));
    assert_eq!(seen[0].bytes[14..60], frame[14..60]);
    let written = through(&capture);
    assert_eq!(written.len(), 24 + 16 + 60, "what was not captured is not written");
}

#[test]
fn a_full_disk_refuses_packets_and_is_reported() {
    let build = Build { big: false };
    let frame = udp([192, 0, 2, 1], 1_000);
    let record = 16 + u64::from(length(&frame));
    let mut capture = build.classic(MICROS, 1);
    for _ in 0..2_000 {
        capture.extend(build.record(1, 0, length(&frame), &frame));
    }
    let disk = Disk::new(600_000);
    let mut io = open(&capture).unwrap().write_into("out".into(), Box::new(disk));
    let refused = forward(&mut io);
    let accepted = 2_000 - refused;
    assert_eq!(io.counters().errors, 1);
    let error = io.finish().unwrap_err();
    let text = error.to_string();
    let PcapError::Write { lost, .. } = error else { panic!("{error:?}") };
    assert!(text.starts_with("out: writing failed"), "{text}");
    assert_eq!(io.summary().written + lost, accepted);
    assert!(io.summary().written * record <= 600_000);
    assert!(refused > 1_000 && io.summary().packets == 2_000);
}

#[test]
fn the_capture_is_not_written_over() {
    let path = std::env::temp_dir().join(format!("ravelin-same-{}.pcap", std::process::id()));
    let link = path.with_extension("link");
    let capture = Build { big: false }.classic(MICROS, 1);
    std::fs::write(&path, &capture).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for output in [&path, &link] {
        let io = PcapIo::open(&path, PortMap::default()).unwrap();
        assert!(matches!(io.write_to(output), Err(PcapError::SameFile { .. })));
    }
    assert_eq!(std::fs::read(&path).unwrap(), capture);
    let io = PcapIo::open(&path, PortMap::default()).unwrap();
    let nowhere = std::env::temp_dir().join("ravelin-no-such-directory/out.pcap");
    assert!(matches!(io.write_to(&nowhere), Err(PcapError::Create { .. })));
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&link).unwrap();
}
