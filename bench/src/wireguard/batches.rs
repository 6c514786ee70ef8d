//! A backend whose packets are laid out before a turn and looked at after it, so that neither is in the time of the turn. It allocates
//! nothing in a turn.

use std::time::Duration;

use ravelin_dataplane::{
    batch::Batch,
    clock::Timestamp,
    io::{Frame, IoCounters, PacketIo, PortId, TransmitError},
    wake::Waker,
};

/// A frame in a buffer as large as those of AF_XDP.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8; Self::ROOM]>,
    length: usize,
}

impl Buffer {
    const ROOM: usize = 2048;

    /// Everything that there is room for, and how much of that is the frame.
    pub(super) fn room(&mut self) -> (&mut [u8], &mut usize) {
        (&mut self.bytes[..], &mut self.length)
    }
}

impl Frame for Buffer {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.length).unwrap_or_default()
    }

    fn set_len(&mut self, length: usize) -> bool {
        let fits = length <= Self::ROOM;
        if fits {
            self.length = length;
        }
        fits
    }
}

/// The backend. Time stands still unless it is set.
#[derive(Debug)]
pub(super) struct Batches {
    ready: Vec<(PortId, Buffer)>,
    pool: Vec<Buffer>,
    sent: Vec<(PortId, Buffer)>,
    now: Timestamp,
}

impl Batches {
    /// Frames, of which a batch and a few more are in use.
    const BUFFERS: usize = 160;

    pub(super) fn new() -> Self {
        let buffer = || Buffer { bytes: Box::new([0; Buffer::ROOM]), length: 0 };
        Self {
            ready: Vec::with_capacity(Self::BUFFERS),
            pool: (0..Self::BUFFERS).map(|_| buffer()).collect(),
            sent: Vec::with_capacity(Self::BUFFERS),
            now: Timestamp::from_nanos(1_700_000_000_000_000_000),
        }
    }

    /// Has the next turn receive a frame, which `write` writes and says the length of.
    pub(super) fn push(&mut self, port: PortId, write: impl FnOnce(&mut [u8]) -> usize) {
        let mut buffer = self.pool.pop().expect("more frames than a batch has");
        let (room, length) = buffer.room();
        *length = write(room);
        self.ready.push((port, buffer));
    }

    /// Shows what was sent since it was asked last.
    pub(super) fn look(&mut self, mut at: impl FnMut(PortId, &[u8])) -> usize {
        let count = self.sent.len();
        for (port, frame) in self.sent.drain(..) {
            at(port, frame.bytes());
            self.pool.push(frame);
        }
        count
    }

    /// Has time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }
}

impl PacketIo for Batches {
    type Frame = Buffer;

    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn receive(&mut self, now: Timestamp, batch: &mut Batch<Buffer>) -> usize {
        let mut received = 0;
        for (port, frame) in self.ready.drain(..) {
            let length = frame.length as u32;
            match batch.receive(frame, port, now, length) {
                Ok(()) => received += 1,
                Err(_) => unreachable!("no more is laid out than a batch holds"),
            }
        }
        received
    }

    fn transmit(&mut self, port: PortId, frame: Buffer) -> Result<(), (TransmitError, Buffer)> {
        self.sent.push((port, frame));
        Ok(())
    }

    fn compose(&mut self, bytes: &[u8]) -> Option<Buffer> {
        let mut buffer = self.pool.pop()?;
        buffer.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        buffer.length = bytes.len();
        Some(buffer)
    }

    fn release(&mut self, frame: Buffer) {
        self.pool.push(frame);
    }

    fn flush(&mut self) {}

    fn wait(&mut self, _waker: &Waker, _timeout: Duration) {}

    fn is_exhausted(&self) -> bool {
        self.ready.is_empty()
    }

    fn counters(&self) -> IoCounters {
        IoCounters::default()
    }
}
