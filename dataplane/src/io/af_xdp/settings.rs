//! What the caller wants of AF_XDP, and what follows from it for memory.

use std::path::PathBuf;

use super::{
    AfXdpError, AttachChoice, Link,
    memory::Shape,
    pool::{CHUNK, KEPT_CHUNKS},
};
use crate::io::PortId;

/// What to open, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The interfaces; the place in this list is the port's number.
    pub interfaces: Vec<InterfaceSettings>,
    /// How many workers there are.
    pub workers: u8,
    /// The largest batch of a worker in packets.
    pub batch: usize,
    /// Packets that can wait in one worker's handoff ring.
    pub handoff: usize,
    /// Entries in each ring of a socket: a power of two, 2048 is a good value.
    pub ring: u32,
    /// Bytes in a frame: 4096, or 2048 where memory is short and the MTU at most 1778.
    pub frame_size: u32,
    /// Whether the packet memory is to be of huge pages.
    pub huge_pages: bool,
    /// Whether to avoid copies.
    pub zero_copy: ZeroCopy,
    /// Whether the kernel polls the NIC only when a worker asks.
    pub busy_poll: Option<BusyPoll>,
    /// Whether the kernel receives in threads.
    pub napi_threads: NapiThreads,
    /// Where those threads run: cores without a worker.
    pub spare_cores: Vec<usize>,
    /// Where changed settings of interfaces are remembered. Its directory must exist.
    pub state_file: PathBuf,
}

/// One interface.
#[derive(Clone, Debug)]
pub struct InterfaceSettings {
    /// Its name.
    pub name: String,
    /// How the program is attached.
    pub attach: AttachChoice,
    /// What happens to traffic while no process is there to judge it.
    pub without_process: WithoutProcess,
    /// What it is for.
    pub role: Role,
}

/// What an interface is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Every frame is ours.
    #[default]
    Whole,
    /// It is shared with the kernel, which has addresses there and its own conversations; see [`super::Own`].
    Router,
    /// What is sent here the kernel receives at the other end of a pair, called so, as if by the interface that the frame's source
    /// address says.
    Host(String),
}

/// What happens to the traffic of an interface while no process is there to judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithoutProcess {
    /// It is dropped.
    Closed,
    /// The kernel sends it out through another interface, by name; the two interfaces of a bridge name each other.
    OpenTwin(String),
    /// The kernel's own stack takes it.
    OpenKernel,
}

/// Whether to avoid copies. One choice for all interfaces, because they share one memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroCopy {
    /// If the drivers of all interfaces can.
    #[default]
    Auto,
    /// Or fail.
    On,
    /// Never.
    Off,
}

/// Whether the kernel does its receive work in threads, away from the workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NapiThreads {
    /// Where it is known to help, if there is a core for them.
    #[default]
    Auto,
    /// On every interface.
    On,
    /// As it is.
    Off,
}

/// Busy polling: fewer interrupts for more CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyPoll {
    /// How long one call may poll.
    pub microseconds: u32,
    /// Packets that one call may process.
    pub budget: u16,
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), AfXdpError> {
        if self.workers == 0 || self.interfaces.is_empty() {
            return Err(AfXdpError::Settings("there must be a worker and an interface"));
        }
        if self.interfaces.len() > PortId::MAX_PORTS {
            return Err(AfXdpError::Settings("there can be at most 64 interfaces"));
        }
        if !self.ring.is_power_of_two() || !(64..=32_768).contains(&self.ring) {
            return Err(AfXdpError::Settings("a ring has a power of two of entries, from 64 to 32768"));
        }
        if !matches!(self.frame_size, 2048 | 4096) {
            return Err(AfXdpError::Settings("a frame has 2048 or 4096 bytes"));
        }
        if self.napi_threads == NapiThreads::On && self.spare_cores.is_empty() {
            return Err(AfXdpError::Settings("receive threads are on, but every core has a worker"));
        }
        Ok(())
    }

    /// Memory for all that can be under way at once.
    pub(super) fn shape(&self, links: &[Link]) -> Shape {
        let sockets: usize = links.iter().map(|link| link.queues as usize).sum();
        let workers = usize::from(self.workers);
        // A socket has a ring's length of frames in receive, and in transmit one in the ring and one not yet completed.
        let in_sockets = 3 * self.ring as usize * sockets;
        let in_worker = self.handoff + self.batch + (KEPT_CHUNKS + 1) * CHUNK;
        // Each queue of an interface that has not one for each worker has a relay (see `assemble.rs`).
        let relays: usize =
            links.iter().map(|link| link.queues as usize).filter(|&queues| queues < workers).sum();
        let in_relays = self.ring as usize * relays;
        let frames = (in_sockets + in_worker * workers + in_relays).next_multiple_of(CHUNK);
        Shape {
            frame_size: self.frame_size,
            frames: u32::try_from(frames).unwrap_or(u32::MAX),
            ring: self.ring,
            huge_pages: self.huge_pages,
        }
    }
}
