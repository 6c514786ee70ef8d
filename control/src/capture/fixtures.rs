//! Packets and chunks for tests.

use std::net::Ipv4Addr;

use ravelin_dataplane::{
    batch::Batch,
    capture::{Chunk, Fate, Label},
    clock::Timestamp,
    io::{
        Frame, PacketIo,
        pcap::{PcapIo, PortMap},
    },
};

/// A packet: when it came, the captures that want it, its addresses, and how many bytes of payload it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) time: u64,
    pub(super) captures: u64,
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) payload: usize,
}

impl Sample {
    /// From 10.0.0.1 to 10.0.0.2.
    pub(super) fn new(time: u64, captures: u64, payload: usize) -> Self {
        let [source, destination] = [1, 2].map(|last| Ipv4Addr::new(10, 0, 0, last));
        Self { time, captures, source, destination, payload }
    }

    /// With another source.
    pub(super) fn from(self, source: impl Into<Ipv4Addr>) -> Self {
        Self { source: source.into(), ..self }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut packet = Vec::new();
        etherparse::PacketBuilder::ethernet2([2; 6], [3; 6])
            .ipv4(self.source.octets(), self.destination.octets(), 64)
            .udp(1024, 53)
            .write(&mut packet, &vec![self.time as u8; self.payload])
            .unwrap();
        packet
    }

    /// Adds it to a chunk as a worker would. Says whether there was room.
    pub(super) fn push(&self, chunk: &mut Chunk) -> bool {
        let bytes = self.bytes();
        let has_room = chunk.has_room(bytes.len());
        if has_room {
            let label = Label {
                interface: 0,
                time: Timestamp::from_nanos(self.time),
                length: bytes.len() as u32,
                fate: Fate::PASSED,
                decision: 0,
                worker: 1,
                captures: self.captures,
            };
            chunk.push(&label, &bytes, bytes.len());
        }
        has_room
    }
}

/// A chunk of these packets.
pub(super) fn chunk<'s>(samples: impl IntoIterator<Item = &'s Sample>) -> Box<Chunk> {
    let mut chunk = Box::<Chunk>::default();
    samples.into_iter().for_each(|sample| assert!(sample.push(&mut chunk)));
    chunk
}

/// Times and bytes of the packets in a file, as the reader of captures for replay finds them, and whether its end is cut.
pub(super) fn read(file: Vec<u8>) -> (Vec<(u64, Vec<u8>)>, bool) {
    let input = Box::new(std::io::Cursor::new(file));
    let mut io = PcapIo::from_reader("test".to_owned(), input, PortMap::default()).unwrap();
    let mut packets = Vec::new();
    let mut batch = Batch::new(64);
    while !io.is_exhausted() {
        let now = io.now();
        io.receive(now, &mut batch);
        for (frame, meta) in batch.drain() {
            packets.push((meta.time.as_nanos(), frame.received().to_vec()));
            io.release(frame);
        }
    }
    let summary = io.finish().unwrap();
    (packets, summary.truncated_at.is_some())
}

/// What [`read`] gives for these packets.
pub(super) fn expected<'s>(samples: impl IntoIterator<Item = &'s Sample>) -> Vec<(u64, Vec<u8>)> {
    samples.into_iter().map(|sample| (sample.time, sample.bytes())).collect()
}
