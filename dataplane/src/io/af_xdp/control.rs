//! What the control thread keeps of AF_XDP: reports for people, and the way back.

use std::{os::fd::OwnedFd, sync::Arc};

use rustix::net::sockopt::xdp_statistics;

use super::{
    AfXdpError, AttachMode, Blocklist, CopyMode, KernelCounters, Link, Note, Own,
    ioctl::Operation,
    napi::{self, ReceiveThreads},
    offload::Saved,
    outlet::Outlet,
    program::Program,
};

pub(super) struct Port {
    pub link: Link,
    pub program: Program,
    pub threads: Option<ReceiveThreads>,
    /// Duplicates of the sockets' descriptors. They keep the sockets open.
    pub sockets: Vec<OwnedFd>,
    /// Shared with the workers.
    pub outlet: Arc<Outlet>,
    pub mode: CopyMode,
}

/// The control thread's side of the interfaces that [`super::open`] took over.
///
/// Dropping it leaves everything attached, as a crash does. [`AfXdpControl::close`] takes the interfaces back.
pub struct AfXdpControl {
    pub(super) ports: Vec<Port>,
    pub(super) notes: Vec<Note>,
    pub(super) saved: Saved,
}

/// How an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortState {
    /// It can send, and what it receives comes to us.
    Up,
    /// The other end is not there.
    NoCarrier,
    /// It was switched off.
    Down,
    /// Somebody has removed or replaced the program: nothing that it receives comes to us.
    Detached,
    /// It does not exist any more, or not under its name.
    Gone,
}

/// What is to be said of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortReport {
    /// The interface as it was at start.
    pub link: Link,
    /// How it is now.
    pub state: PortState,
    /// How the program runs.
    pub attach: AttachMode,
    /// Why not natively, if it was tried.
    pub why_generic: Option<String>,
    /// Whether packets are copied.
    pub copy: CopyMode,
    /// Whether VLAN tags that travel beside the frame are put back.
    pub restores_tags: bool,
    /// Whether the program took the place of one that an earlier process left.
    pub replaced: bool,
    /// The kernel's receive threads, if there are any now.
    pub threads: Option<ReceiveThreads>,
    /// What the program counted.
    pub kernel: KernelCounters,
    /// What the sockets counted, over all queues.
    pub sockets: SocketStatistics,
}

/// What the kernel counts for a socket (`struct xdp_statistics` of `linux/if_xdp.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketStatistics {
    /// Packets dropped for a reason that has no counter of its own.
    pub rx_dropped: u64,
    /// Buffers that the fill ring named wrongly.
    pub rx_invalid_descs: u64,
    /// Packets dropped because the receive ring was full.
    pub rx_ring_full: u64,
    /// Packets that found no buffer to be received into.
    pub rx_fill_ring_empty: u64,
    /// Buffers that the transmit ring named wrongly.
    pub tx_invalid_descs: u64,
    /// Times that the kernel found nothing to send.
    pub tx_ring_empty: u64,
}

impl AfXdpControl {
    /// How each port is run and what the kernel counted, in the order of ports. Needs no capability.
    pub fn report(&self) -> Vec<PortReport> {
        let report = |port: &Port| PortReport {
            link: port.link.clone(),
            state: state(port),
            attach: port.program.mode(),
            why_generic: port.program.why_generic.clone(),
            copy: port.mode,
            restores_tags: port.program.restores_tags,
            replaced: port.program.replaced,
            threads: port.threads.clone().filter(|threads| !threads.pids.is_empty()),
            kernel: port.program.counters(),
            sockets: statistics(&port.sockets),
        };
        self.ports.iter().map(report).collect()
    }

    /// The list of sources that the programs drop, which is empty at first. It may be changed on any thread.
    ///
    /// # Errors
    /// If there are too many open files.
    pub fn blocklist(&self) -> Result<Option<Blocklist>, AfXdpError> {
        self.ports.first().map(|port| Blocklist::new(&port.program.list)).transpose()
    }

    /// What the programs leave to the kernel on interfaces that route, which is little at first. It may be changed on any thread.
    ///
    /// # Errors
    /// If there are too many open files.
    pub fn own(&self) -> Result<Option<Own>, AfXdpError> {
        self.ports.first().map(|port| Own::new(&port.program.own)).transpose()
    }

    /// Packets and bytes that the program of each port dropped by that list, in the order of ports. Needs no capability.
    pub fn blocked(&self) -> Vec<[u64; 2]> {
        let blocked = |counters: KernelCounters| [counters.blocked, counters.blocked_bytes];
        self.ports.iter().map(|port| blocked(port.program.counters())).collect()
    }

    /// How each port is now, in the order of ports; workers are told as well. Needs no capability. A few system calls for
    /// each port.
    pub fn look(&self) -> Vec<PortState> {
        let look = |port: &Port| {
            let state = state(port);
            port.outlet.set_down(match state {
                PortState::Up | PortState::Detached => !port.outlet.works(),
                PortState::NoCarrier | PortState::Down | PortState::Gone => true,
            });
            state
        };
        self.ports.iter().map(look).collect()
    }

    /// Places receive threads that the kernel has made anew. Goes on without threads where that fails, which is told. Needs
    /// `CAP_SYS_NICE`, and `CAP_NET_ADMIN` to go on without. A few system calls for each port that has threads.
    pub fn tend(&mut self) -> Vec<Note> {
        let here = self.ports.iter_mut().filter(|port| port.outlet.operation().is_some());
        here.filter_map(|port| napi::tend(&mut port.threads, &port.link)).collect()
    }

    /// What should have been done at start and could not.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Gives the interfaces back: programs detached, settings restored. The workers must have ended. Needs
    /// `CAP_NET_ADMIN`, and the right to remove the state file.
    ///
    /// # Errors
    /// The first thing that could not be undone; the others are undone all the same.
    pub fn close(self) -> Result<Vec<Note>, AfXdpError> {
        let first_error = self.detach();
        let notes = self.saved.restore();
        match first_error {
            Some(error) => Err(error),
            None => notes,
        }
    }

    /// Gives up after a start that failed: what was taken from nobody is given back, and a program in the place of one that
    /// an earlier process left stays attached, so that traffic goes on as it did. Once the last socket is closed it does what
    /// the operator chose for that case.
    ///
    /// # Errors
    /// The first thing that could not be undone; the others are undone all the same.
    pub fn abandon(mut self) -> Result<Vec<Note>, AfXdpError> {
        let inherited = self.ports.iter().any(|port| port.program.replaced);
        self.ports.retain(|port| !port.program.replaced);
        if !inherited {
            return self.close();
        }
        // The settings stay as they are too: some drivers refuse XDP with other ones.
        self.detach().map_or(Ok(Vec::new()), Err)
    }

    /// Detaches the programs of all ports; returns the first error.
    fn detach(&self) -> Option<AfXdpError> {
        let mut first_error = None;
        for port in &self.ports {
            // An interface that is gone took its program with it.
            if Link::find(&port.link.name).is_ok() {
                self.saved.stop_threads(&port.link);
                first_error = first_error.or(port.program.detach(&port.link).err());
            }
        }
        first_error
    }
}

fn state(port: &Port) -> PortState {
    match port.outlet.operation() {
        None => PortState::Gone,
        Some(_) if !port.program.is_in_place(&port.link) => PortState::Detached,
        Some(Operation::Down) => PortState::Down,
        Some(Operation::NoCarrier) => PortState::NoCarrier,
        Some(Operation::Up) => PortState::Up,
    }
}

fn statistics(sockets: &[OwnedFd]) -> SocketStatistics {
    let mut sum = SocketStatistics::default();
    for statistics in sockets.iter().filter_map(|socket| xdp_statistics(socket).ok()) {
        sum.rx_dropped += statistics.rx_dropped;
        sum.rx_invalid_descs += statistics.rx_invalid_descs;
        sum.rx_ring_full += statistics.rx_ring_full.unwrap_or_default();
        sum.rx_fill_ring_empty += statistics.rx_fill_ring_empty_descs.unwrap_or_default();
        sum.tx_invalid_descs += statistics.tx_invalid_descs;
        sum.tx_ring_empty += statistics.tx_ring_empty_descs.unwrap_or_default();
    }
    sum
}

impl std::fmt::Debug for AfXdpControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ports: Vec<&str> = self.ports.iter().map(|port| port.link.name.as_str()).collect();
        f.debug_struct("AfXdpControl").field("ports", &ports).finish_non_exhaustive()
    }
}
