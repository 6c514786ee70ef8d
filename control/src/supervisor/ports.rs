//! The seam between the supervisor and AF_XDP: everything that depends on the `af-xdp` feature is here.

use ravelin_config::Config;

#[cfg(feature = "af-xdp")]
mod af_xdp;
#[cfg(feature = "af-xdp")]
mod tunnels;
#[cfg(not(feature = "af-xdp"))]
mod without;

#[cfg(feature = "af-xdp")]
pub use af_xdp::{check, detach, open, packet_memory, survey};
#[cfg(not(feature = "af-xdp"))]
pub use without::{check, detach, open, packet_memory, survey};

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{api::view::LinkState, appliance::Interfaces};

/// Interfaces that have been taken over.
pub struct Opened<I> {
    /// Each worker's part, in the order of workers.
    pub backends: Vec<I>,
    /// The control side's part.
    pub interfaces: Box<dyn Interfaces>,
}

/// Why interfaces cannot be taken over or given back.
#[derive(Debug, thiserror::Error)]
pub enum PortsError {
    /// The feature was left out.
    #[error("this ravelin was built without AF_XDP (feature `af-xdp`), so it cannot use network interfaces")]
    NotBuilt,
    /// The process may not.
    #[error("this process may not use network interfaces: it lacks {}", .0.join(", "))]
    Privileges(Vec<String>),
    /// A running process has an interface.
    #[error("{message}")]
    InUse {
        /// Which interface and which process.
        message: String,
        /// The process, unless it cannot be seen from here.
        pid: Option<u32>,
    },
    /// AF_XDP cannot be used: what the kernel said.
    #[error("{0}")]
    Refused(String),
}

/// What [`detach`] did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Interfaces on which something was done.
    pub detached: Vec<Detached>,
    /// What could not be restored.
    pub problems: Vec<String>,
    /// Interfaces that were left as they are, with the reason.
    pub refused: Vec<PortsError>,
}

/// What was done to one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detached {
    /// Its name.
    pub interface: String,
    /// The XDP program that was removed: `native` or `generic`.
    pub xdp: Option<&'static str>,
    /// Whether a program was removed from tc.
    pub tc: bool,
    /// Settings that were put back, by the kernel's names.
    pub settings: Vec<String>,
}

/// An interface as it is, whether it is taken over or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Its number in this network namespace.
    pub index: u32,
    /// The driver's name, empty if it does not say.
    pub driver: String,
    /// Whether it works.
    pub state: LinkState,
    /// Receive queues in use.
    pub queues: u32,
    /// Largest IP packet in bytes.
    pub mtu: u32,
    /// Whether the driver runs XDP programs itself, and can do without copies; `None` if the kernel does not say.
    pub abilities: Option<Abilities>,
    /// The XDP program that is attached.
    pub program: Option<Runs>,
    /// The names of tc filters that are not ours.
    pub filters: Vec<String>,
    /// Offloads that are on and have to be switched off, with whether they can be.
    pub offloads: Vec<(String, bool)>,
    /// Whether both directions of a flow come to the same queue; or why that cannot be known.
    pub symmetric: Result<bool, String>,
}

/// What a driver can do with XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Run a program before the kernel has made anything of the frame.
    pub native: bool,
    /// Write into the packet memory.
    pub zero_copy: bool,
}

/// An XDP program that is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    /// Its name; empty if this process may not see it.
    pub name: String,
    /// `native` or `generic`.
    pub mode: &'static str,
    /// Whether its name is one of ours.
    pub is_ours: bool,
}

/// What packets are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketMemory {
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes of the largest frame that fits, with its Ethernet header.
    pub max_frame: u32,
}

/// Where the settings of interfaces are remembered until they are restored: beside the control socket, which is on a file
/// system that, like the settings, does not outlive a reboot.
pub fn state_file(config: &Config) -> PathBuf {
    beside(&config.control.socket)
}

fn beside(socket: &Path) -> PathBuf {
    socket.with_extension("interfaces")
}
