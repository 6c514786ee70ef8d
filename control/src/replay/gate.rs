//! A gate in front of a backend: closed, a worker has time to end flows that are due, before the next packet comes.

use std::time::Duration;

use ravelin_dataplane::{
    batch::Batch,
    clock::Timestamp,
    io::{IoCounters, PacketIo, PortId, TransmitError},
    wake::Waker,
};

/// What passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Packets.
    Open,
    /// Nothing for now.
    Closed,
    /// Nothing ever again.
    Ended,
}

/// A backend that receives only while its gate is open.
#[derive(Debug)]
pub(super) struct Gate<I> {
    inner: I,
    state: State,
}

impl<I> Gate<I> {
    /// An open gate in front of `inner`.
    pub(super) const fn new(inner: I) -> Self {
        Self { inner, state: State::Open }
    }

    pub(super) const fn open(&mut self) {
        self.state = State::Open;
    }

    pub(super) const fn close(&mut self) {
        self.state = State::Closed;
    }

    /// Closes the gate for good, even if packets are left.
    pub(super) const fn end(&mut self) {
        self.state = State::Ended;
    }

    pub(super) const fn inner(&self) -> &I {
        &self.inner
    }

    pub(super) const fn inner_mut(&mut self) -> &mut I {
        &mut self.inner
    }
}

impl<I: PacketIo> PacketIo for Gate<I> {
    type Frame = I::Frame;

    fn now(&mut self) -> Timestamp {
        self.inner.now()
    }

    fn receive(&mut self, now: Timestamp, batch: &mut Batch<I::Frame>) -> usize {
        match self.state {
            State::Open => self.inner.receive(now, batch),
            State::Closed | State::Ended => 0,
        }
    }

    fn transmit(&mut self, port: PortId, frame: I::Frame) -> Result<(), (TransmitError, I::Frame)> {
        self.inner.transmit(port, frame)
    }

    fn compose(&mut self, bytes: &[u8]) -> Option<I::Frame> {
        self.inner.compose(bytes)
    }

    fn release(&mut self, frame: I::Frame) {
        self.inner.release(frame);
    }

    fn flush(&mut self) {
        self.inner.flush();
    }

    fn wait(&mut self, waker: &Waker, timeout: Duration) {
        self.inner.wait(waker, timeout);
    }

    fn is_exhausted(&self) -> bool {
        match self.state {
            State::Open | State::Closed => self.inner.is_exhausted(),
            State::Ended => true,
        }
    }

    fn counters(&self) -> IoCounters {
        self.inner.counters()
    }
}
