//! Captures are built byte by byte by the tests, so that nothing but the formats' specifications stands behind them.

mod batches;
mod formats;
mod hostile;
mod links;
mod output;

use std::io::Cursor;

use super::{PcapError, PcapIo, PcapSummary, PortMap};
use crate::{
    batch::Batch,
    clock::Timestamp,
    io::{Frame, PacketIo, PortId},
};

/// What was received of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    time: Timestamp,
    port: PortId,
    length: u32,
    bytes: Vec<u8>,
}

fn open(capture: &[u8]) -> Result<PcapIo, PcapError> {
    open_with(capture, PortMap::default())
}

fn open_with(capture: &[u8], ports: PortMap) -> Result<PcapIo, PcapError> {
    PcapIo::from_reader("test".to_owned(), Box::new(Cursor::new(capture.to_vec())), ports)
}

/// Receives everything, batch by batch.
fn batches(io: &mut PcapIo, size: usize) -> Vec<(Timestamp, Vec<Seen>)> {
    let mut batch = Batch::new(size);
    let mut all = Vec::new();
    while !io.is_exhausted() {
        let now = io.now();
        let received = io.receive(now, &mut batch);
        assert_eq!(received, batch.len());
        assert!(received > 0 || io.is_exhausted(), "a batch is empty only at the end");
        let mut seen = Vec::new();
        for (frame, meta) in batch.drain() {
            seen.push(Seen {
                time: meta.time,
                port: meta.port,
                length: meta.length,
                bytes: frame.bytes().to_vec(),
            });
            io.release(frame);
        }
        if received > 0 {
            all.push((now, seen));
        }
    }
    all
}

fn packets(io: &mut PcapIo) -> Vec<Seen> {
    batches(io, 64).into_iter().flat_map(|(_, seen)| seen).collect()
}

fn read(capture: &[u8]) -> (Vec<Seen>, Result<PcapSummary, PcapError>) {
    match open(capture) {
        Ok(mut io) => (packets(&mut io), io.finish()),
        Err(error) => (Vec::new(), Err(error)),
    }
}

/// Builds captures in one byte order.
#[derive(Clone, Copy, Debug)]
struct Build {
    big: bool,
}

impl Build {
    const BOTH: [Self; 2] = [Self { big: false }, Self { big: true }];

    fn u16(self, value: u16) -> [u8; 2] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u64(self, value: u64) -> [u8; 8] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    /// The header of a pcap file.
    fn classic(self, magic: u32, link: u32) -> Vec<u8> {
        [
            &self.u32(magic)[..],
            &self.u16(2),
            &self.u16(4),
            &self.u32(0),
            &self.u32(0),
            &self.u32(65_535),
            &self.u32(link),
        ]
        .concat()
    }

    fn record(self, seconds: u32, fraction: u32, length: u32, captured: &[u8]) -> Vec<u8> {
        let count = u32::try_from(captured.len()).unwrap();
        [&self.u32(seconds)[..], &self.u32(fraction), &self.u32(count), &self.u32(length), captured].concat()
    }

    /// A block of pcapng.
    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padding = body.len().next_multiple_of(4) - body.len();
        let length = self.u32(u32::try_from(12 + body.len() + padding).unwrap());
        [&self.u32(kind)[..], &length, body, &vec![0; padding], &length].concat()
    }

    fn section(self) -> Vec<u8> {
        let body = [&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &self.u64(u64::MAX)].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let padding = value.len().next_multiple_of(4) - value.len();
        let length = self.u16(u16::try_from(value.len()).unwrap());
        [&self.u16(code)[..], &length, value, &vec![0; padding]].concat()
    }

    fn interface(self, link: u16, snap: u32, options: &[Vec<u8>]) -> Vec<u8> {
        let mut body = [&self.u16(link)[..], &[0, 0], &self.u32(snap)].concat();
        if !options.is_empty() {
            body.extend(options.concat());
            body.extend(self.option(0, &[]));
        }
        self.block(1, &body)
    }

    fn enhanced(self, interface: u32, ticks: u64, length: u32, captured: &[u8]) -> Vec<u8> {
        let count = u32::try_from(captured.len()).unwrap();
        let mut body = [
            &self.u32(interface)[..],
            &self.u32(u32::try_from(ticks >> 32).unwrap()),
            &self.u32(u32::try_from(ticks & 0xffff_ffff).unwrap()),
            &self.u32(count),
            &self.u32(length),
            captured,
        ]
        .concat();
        body.resize(body.len().next_multiple_of(4), 0);
        // A comment, which must not be taken for the packet's.
        body.extend(self.option(1, b"a comment"));
        body.extend(self.option(0, &[]));
        self.block(6, &body)
    }
}

const MICROS: u32 = 0xa1b2_c3d4;
const NANOS: u32 = 0xa1b2_3c4d;

/// An Ethernet frame from `source` with a UDP packet of `payload` bytes.
fn udp(source: [u8; 4], payload: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(source, [198, 51, 100, 7], 64)
        .udp(4000, 53)
        .write(&mut frame, &vec![0x55; payload])
        .unwrap();
    frame
}

fn udp6(source: [u8; 16], payload: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv6(source, [9; 16], 64)
        .udp(4000, 53)
        .write(&mut frame, &vec![0x66; payload])
        .unwrap();
    frame
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}
