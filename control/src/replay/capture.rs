use std::{
    io::{self, Write},
    sync::Arc,
};

use ravelin_dataplane::{
    capture::{CapturePlan, CaptureRing, Direction, Fates, Point, Program, Selection},
    clock::Timestamp,
};

use crate::capture::{Commentator, blocks};

/// Bytes that are kept of a packet: all.
const SNAP: u32 = 262_144;

/// Writes the packets that a filter selects, as they were captured, with what became of them.
pub(super) struct Capturing {
    ring: Arc<CaptureRing>,
    out: Box<dyn Write + Send>,
    commentator: Commentator,
    buffer: Vec<u8>,
    written: u64,
    last: Timestamp,
}

impl Capturing {
    /// Chunks of the ring: more than a batch of the largest packets takes.
    const CHUNKS: usize = 32;

    /// Writes the head of the file, for these interfaces.
    pub(super) fn new<'n>(
        mut out: Box<dyn Write + Send>,
        commentator: Commentator,
        interfaces: impl IntoIterator<Item = &'n str>,
    ) -> io::Result<Self> {
        out.write_all(&blocks::header(interfaces, SNAP))?;
        let (buffer, last) = (Vec::new(), Timestamp::ZERO);
        Ok(Self { ring: CaptureRing::new(Self::CHUNKS), out, commentator, buffer, written: 0, last })
    }

    pub(super) fn ring(&self) -> Arc<CaptureRing> {
        Arc::clone(&self.ring)
    }

    /// Writes what the worker has captured since.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        while let Some(chunk) = self.ring.take() {
            self.buffer.clear();
            for packet in blocks::Packets::new(chunk.bytes()) {
                packet.write(self.commentator.comment(&packet).as_bytes(), &mut self.buffer);
                self.written += 1;
                self.last = self.last.max(packet.time);
            }
            self.ring.give_back(chunk);
            self.out.write_all(&self.buffer)?;
        }
        Ok(())
    }

    /// Writes the rest, and says how many packets there are.
    pub(super) fn finish(mut self, lost: u64) -> io::Result<u64> {
        self.drain()?;
        self.out.write_all(&blocks::statistics(self.last, self.written, lost))?;
        self.out.flush()?;
        Ok(self.written)
    }
}

/// What a filter selects; everything without one.
pub(super) fn plan(filter: Option<Program>) -> CapturePlan {
    CapturePlan::new(vec![Selection {
        capture: 1,
        point: Point::Received,
        decided_by: None,
        filter: filter.map(Arc::new),
        addresses: None,
        direction: Direction::Both,
        fates: Fates::ANY,
        sample: 1,
        snap: SNAP as usize,
    }])
}
