//! Packets from memory, to memory: for tests and benches.
//!
//! Promises: packets come in the order in which they were pushed; a looping backend allocates nothing once it has been
//! filled, and holds as many frames at the end as at the start. Refuses to wait: time passes only by packets, by
//! [`MemoryIo::set_time`] and by sleeping. Read next: `../worker.rs`.

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Duration};

use super::{Frame, IoCounters, PacketIo, PortId, TransmitError};
use crate::{
    batch::{Batch, Meta},
    clock::Timestamp,
    wake::Waker,
};

/// A frame that owns its bytes.
#[derive(Debug)]
pub struct MemoryFrame {
    buffer: Vec<u8>,
    /// In loop mode, the port that it comes in at again; none for a composed frame.
    home: Option<PortId>,
}

impl MemoryFrame {
    /// A frame that holds `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Self { buffer: bytes.to_vec(), home: None }
    }
}

impl Frame for MemoryFrame {
    fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    fn set_len(&mut self, length: usize) -> bool {
        self.buffer.resize(length, 0);
        true
    }
}

/// What becomes of a frame that was transmitted or released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Transmitted frames are kept for [`MemoryIo::sent`]; released ones are freed.
    Keep,
    /// Every frame goes back to the end of the input, at the port where it came from: traffic without end and without allocation.
    Loop,
}

/// A backend over queues in memory.
#[derive(Debug)]
pub struct MemoryIo {
    input: VecDeque<(Timestamp, PortId, MemoryFrame)>,
    output: Vec<(PortId, MemoryFrame)>,
    /// In loop mode, buffers for composed frames.
    spare: Vec<MemoryFrame>,
    now: Timestamp,
    mode: Mode,
    /// Frames that a port takes per batch before it says that it is full.
    ring: usize,
    /// Frames that each port has taken in this batch.
    queued: [usize; PortId::MAX_PORTS],
    /// Ports that are down, as bits.
    down: u64,
}

impl Default for MemoryIo {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryIo {
    /// How many composed frames can be under way in loop mode, and how long they can be.
    const SPARE: usize = 8;
    const SPARE_LENGTH: usize = 1514;

    /// A backend that keeps what is transmitted.
    pub fn new() -> Self {
        Self {
            input: VecDeque::new(),
            output: Vec::new(),
            spare: Vec::new(),
            now: Timestamp::ZERO,
            mode: Mode::Keep,
            ring: usize::MAX,
            queued: [0; PortId::MAX_PORTS],
            down: 0,
        }
    }

    /// A backend whose packets come again and again. What is composed does not.
    pub fn looping() -> Self {
        let spare = || MemoryFrame { buffer: Vec::with_capacity(Self::SPARE_LENGTH), home: None };
        let spare = (0..Self::SPARE).map(|_| spare()).collect();
        Self { mode: Mode::Loop, spare, ..Self::new() }
    }

    /// Limits what each port takes per batch, to provoke `transmit_full`.
    pub fn limit_transmit(&mut self, frames: usize) {
        self.ring = frames;
    }

    /// Takes a port down, to provoke `transmit_down`.
    pub fn take_down(&mut self, port: PortId) {
        self.down |= bit(port);
    }

    /// Brings a port up again.
    pub fn bring_up(&mut self, port: PortId) {
        self.down &= !bit(port);
    }

    /// Queues a packet to be received at `port` at `time`.
    pub fn push(&mut self, time: Timestamp, port: PortId, bytes: &[u8]) {
        let frame = MemoryFrame { home: Some(port), ..MemoryFrame::new(bytes) };
        self.input.push_back((time, port, frame));
    }

    /// Sets the time of batches that hold no packet. Packets bring their own time.
    pub fn set_time(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// How many packets wait to be received.
    pub fn waiting(&self) -> usize {
        self.input.len()
    }

    /// What was transmitted, in order; takes it. A looping backend keeps nothing.
    pub fn sent(&mut self) -> Vec<(PortId, Vec<u8>)> {
        self.output.drain(..).map(|(port, frame)| (port, frame.buffer)).collect()
    }
}

impl PacketIo for MemoryIo {
    type Frame = MemoryFrame;

    fn now(&mut self) -> Timestamp {
        match (self.mode, self.input.front()) {
            (Mode::Keep, Some((time, ..))) => self.now = self.now.max(*time),
            (Mode::Keep | Mode::Loop, _) => {}
        }
        self.now
    }

    fn receive(&mut self, now: Timestamp, batch: &mut Batch<MemoryFrame>) -> usize {
        let mut received = 0;
        while batch.room() > 0 {
            let Some((time, port, frame)) = self.input.pop_front() else { break };
            let length = u32::try_from(frame.buffer.len()).unwrap_or(u32::MAX);
            let meta = Meta { time: time.max(now), length, port, ..Meta::default() };
            match batch.push(frame, meta) {
                Ok(()) => received += 1,
                Err(frame) => {
                    self.input.push_front((time, port, frame));
                    break;
                }
            }
        }
        received
    }

    fn transmit(&mut self, port: PortId, frame: MemoryFrame) -> Result<(), (TransmitError, MemoryFrame)> {
        // A port that cannot exist is one that is not there.
        let Some(queued) = self.queued.get_mut(port.index()) else {
            return Err((TransmitError::Down, frame));
        };
        if self.down & bit(port) != 0 {
            return Err((TransmitError::Down, frame));
        }
        if *queued >= self.ring {
            return Err((TransmitError::Full, frame));
        }
        *queued += 1;
        match self.mode {
            Mode::Keep => self.output.push((port, frame)),
            Mode::Loop => self.release(frame),
        }
        Ok(())
    }

    fn compose(&mut self, bytes: &[u8]) -> Option<MemoryFrame> {
        match self.mode {
            Mode::Keep => Some(MemoryFrame::new(bytes)),
            Mode::Loop => {
                let mut frame = self.spare.pop_if(|frame| bytes.len() <= frame.buffer.capacity())?;
                frame.buffer.clear();
                frame.buffer.extend_from_slice(bytes);
                Some(frame)
            }
        }
    }

    fn release(&mut self, frame: MemoryFrame) {
        match (self.mode, frame.home) {
            (Mode::Keep, _) => drop(frame),
            (Mode::Loop, Some(port)) => self.input.push_back((self.now, port, frame)),
            (Mode::Loop, None) => self.spare.push(frame),
        }
    }

    fn flush(&mut self) {
        self.queued = [0; PortId::MAX_PORTS];
    }

    fn wait(&mut self, _waker: &Waker, timeout: Duration) {
        self.now = self.now + timeout;
    }

    fn is_exhausted(&self) -> bool {
        self.input.is_empty()
    }

    fn counters(&self) -> IoCounters {
        IoCounters::default()
    }
}

/// A port's place in a set of ports; none for a port that cannot exist.
fn bit(port: PortId) -> u64 {
    1_u64.checked_shl(u32::from(port.0)).unwrap_or(0)
}
