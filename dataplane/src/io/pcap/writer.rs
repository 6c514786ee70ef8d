use std::{
    fmt,
    io::{self, Write},
};

use super::{PcapError, PcapFrame};

/// Writes frames to a capture: pcap, little-endian, nanoseconds, Ethernet.
pub(super) struct Writer {
    file: String,
    output: Box<dyn Write + Send>,
    buffer: Vec<u8>,
    /// Packets in the buffer.
    waiting: u64,
    /// Packets in the file.
    written: u64,
    failure: Option<io::Error>,
}

/// A frame that could not be written.
#[derive(Debug)]
pub(super) struct Failed(pub(super) PcapFrame);

impl Writer {
    const CHUNK: usize = 256 << 10;
    /// Snap length: what readers must be ready for.
    const SNAP: u32 = 256 << 10;

    pub(super) fn new(file: String, output: Box<dyn Write + Send>) -> Self {
        // Room for the frame that makes the buffer reach a whole chunk.
        let mut buffer = Vec::with_capacity(Self::CHUNK + PcapFrame::MAX + 16);
        for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, Self::SNAP, 1_u32] {
            buffer.extend_from_slice(&word.to_le_bytes());
        }
        Self { file, output, buffer, waiting: 0, written: 0, failure: None }
    }

    /// Adds a frame; gives it back once writing has failed.
    pub(super) fn write(&mut self, frame: PcapFrame) -> Result<PcapFrame, Failed> {
        if self.failure.is_some() {
            return Err(Failed(frame));
        }
        let nanos = frame.time().as_nanos();
        let seconds = u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX);
        let fraction = u32::try_from(nanos % 1_000_000_000).unwrap_or_default();
        let captured = u32::try_from(frame.captured().len()).unwrap_or(u32::MAX);
        for word in [seconds, fraction, captured, frame.length()] {
            self.buffer.extend_from_slice(&word.to_le_bytes());
        }
        self.buffer.extend_from_slice(frame.captured());
        self.waiting += 1;
        if self.buffer.len() >= Self::CHUNK {
            self.drain();
        }
        Ok(frame)
    }

    /// Packets that are in the file.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Writes what is left; returns what went wrong, then or earlier.
    pub(super) fn finish(&mut self) -> Result<(), PcapError> {
        self.drain();
        if self.failure.is_none() {
            self.failure = self.output.flush().err();
        }
        match self.failure.take() {
            None => Ok(()),
            Some(source) => Err(PcapError::Write { file: self.file.clone(), lost: self.waiting, source }),
        }
    }

    fn drain(&mut self) {
        if self.failure.is_some() || self.buffer.is_empty() {
            return;
        }
        match self.output.write_all(&self.buffer) {
            Ok(()) => {
                self.written += self.waiting;
                self.waiting = 0;
            }
            Err(error) => self.failure = Some(error),
        }
        self.buffer.clear();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("file", &self.file)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}
