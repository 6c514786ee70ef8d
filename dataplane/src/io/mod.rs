//! Where packets come from and go to.
//!
//! A backend implements [`PacketIo`]: `memory` (tests and benches), `pcap` (a file in, an optional file out) and
//! `af_xdp` (sockets). Middleware wraps any backend: `fault` injects faults. The worker is generic over its backend, so
//! nothing is dispatched per packet.
//!
//! A [`Frame`] is a buffer and moves: it is neither `Copy` nor `Clone`, and the only ways to get rid of it are
//! [`PacketIo::transmit`], [`PacketIo::release`] and a handoff ring. Read next: `memory.rs`, then `../worker.rs`.

#[cfg(feature = "af-xdp")]
pub mod af_xdp;
pub mod blocklist;
pub mod fault;
pub mod memory;
pub mod pcap;

use std::{fmt, time::Duration};

use crate::{batch::Batch, clock::Timestamp, wake::Waker};

/// A network interface as the packet path knows it: its place in the configuration's list of interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u8);

impl PortId {
    /// How many ports there can be. One number less than fits in six bits: a flow keeps that for no port.
    pub const MAX_PORTS: usize = 63;

    /// The port's place in arrays.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A buffer that holds one packet as seen on the link, from the Ethernet header to the end, without the checksum.
#[must_use = "a frame that is not transmitted or released is lost to its pool"]
pub trait Frame: Send {
    /// The packet.
    fn bytes(&self) -> &[u8];

    /// The packet, to be changed in place.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Makes the packet longer or shorter, at its end; what is added is not cleared. `false`, and nothing has changed, if the buffer has
    /// no room for that.
    fn set_len(&mut self, length: usize) -> bool;

    /// The packet as it was received: of a capture, only what that holds of it, and as it does.
    fn received(&self) -> &[u8] {
        self.bytes()
    }
}

/// Why a frame could not be transmitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitError {
    /// The port's ring has no room.
    Full,
    /// The interface is down or gone, or there is no such port.
    Down,
}

/// A backend's own counters. All count from the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoCounters {
    /// System calls made to get received packets going.
    pub receive_wakeups: u64,
    /// System calls made to get transmitted packets going.
    pub transmit_wakeups: u64,
    /// System calls that failed because an interface is down or gone, or whose frame the kernel refused to send.
    pub errors: u64,
    /// Times that the frame pool of this worker gave frames to the shared pool.
    pub pool_spills: u64,
    /// Times that the frame pool of this worker took frames from the shared pool.
    pub pool_refills: u64,
    /// Times that no frame was left to receive into.
    pub pool_empty: u64,
    /// Frames that another worker left to be sent here, dropped because the interface went down meanwhile. They count as
    /// forwarded.
    pub relay_dropped: u64,
}

/// Where packets come from and go to. One instance per worker.
pub trait PacketIo {
    /// The buffers of this backend.
    type Frame: Frame;

    /// The time of the batch that is about to be received: the clock for live backends, the next packet's time for
    /// files. Read once per batch.
    fn now(&mut self) -> Timestamp;

    /// Appends received packets to `batch` while it has room, and says how many. Sets each packet's port and time.
    fn receive(&mut self, now: Timestamp, batch: &mut Batch<Self::Frame>) -> usize;

    /// Queues a frame to leave through `port`. It leaves at the next [`PacketIo::flush`].
    ///
    /// # Errors
    /// Why not, and the frame.
    fn transmit(&mut self, port: PortId, frame: Self::Frame) -> Result<(), (TransmitError, Self::Frame)>;

    /// A new frame that holds `bytes`, from the backend's pool; `None` if there is none, or none so large.
    fn compose(&mut self, bytes: &[u8]) -> Option<Self::Frame>;

    /// Gives a frame back to the backend's pool.
    fn release(&mut self, frame: Self::Frame);

    /// Ends a batch: starts transmission, takes back what was sent, refills what receives. Bounded work.
    fn flush(&mut self);

    /// Sleeps until packets arrive, `waker` is signalled or `timeout` has passed.
    fn wait(&mut self, waker: &Waker, timeout: Duration);

    /// Whether no packet will ever come again (a file that has been read to its end).
    fn is_exhausted(&self) -> bool;

    /// The backend's own counters.
    fn counters(&self) -> IoCounters;
}
