//! What an interface is like for AF_XDP, found out without changing anything: for `ravelin doctor`.
//!
//! Promises: every answer is the kernel's; what it does not say is `None` or says why. Refuses: to judge.

use super::{
    AfXdpError, AttachMode, Link, PortState, Settings, genetlink,
    ioctl::{Device, Operation},
    netlink,
    offload::{self, SWITCHED_OFF},
    program,
};

/// `NETDEV_XDP_ACT_*` of `linux/netdev.h`: native programs, redirecting from them, zero-copy sockets.
const NATIVE: u64 = 1;
const REDIRECT: u64 = 1 << 1;
const ZERO_COPY: u64 = 1 << 3;

/// An interface as it is.
#[derive(Clone, Debug)]
pub struct Survey {
    /// What it is.
    pub link: Link,
    /// Whether it works.
    pub state: PortState,
    /// What its driver can do with XDP; `None` if the kernel does not say, as before Linux 6.3.
    pub driver: Option<DriverXdp>,
    /// The XDP program that is attached.
    pub program: Option<Runs>,
    /// The names of tc filters that are not ours.
    pub filters: Vec<String>,
    /// The offloads that are on and change frames before a program sees them; [`super::open`] switches them off.
    pub offloads: Vec<Offload>,
    /// How it spreads flows over its queues.
    pub spread: Spread,
}

/// What a driver can do with XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverXdp {
    /// Run a program before the kernel has made anything of the frame, and have it hand the frame to a socket.
    pub native: bool,
    /// Write into the packet memory.
    pub zero_copy: bool,
}

/// A program that is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    /// Its name; empty if this process may not see it.
    pub name: String,
    /// How it runs.
    pub mode: AttachMode,
    /// Whether its name is one of ours.
    pub is_ours: bool,
}

/// An offload that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offload {
    /// The kernel's name for it.
    pub name: String,
    /// Whether it can be switched off.
    pub changeable: bool,
}

/// How an interface spreads flows over its queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Both directions of a flow come to the same queue.
    Symmetric,
    /// They need not, until [`super::open`] has tried to change that.
    Asymmetric,
    /// The driver does not say, or cannot be told: why.
    Unknown(String),
}

/// What packets are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketMemory {
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes of the largest frame that fits.
    pub max_frame: u32,
}

/// Asks for an interface by name. Without privileges names of programs cannot be seen.
///
/// # Errors
/// If there is no such interface here, or the kernel does not answer.
pub fn survey(name: &str) -> Result<Survey, AfXdpError> {
    let link = Link::find(name)?;
    let failed = |source| AfXdpError::interface(name, source);
    let device = Device::open(name).map_err(failed)?;
    let state = match device.operation().map_err(failed)? {
        Operation::Up => PortState::Up,
        Operation::NoCarrier => PortState::NoCarrier,
        Operation::Down => PortState::Down,
    };
    let features = program::query(&link)?.feature_flags;
    let driver = genetlink::knows_features().then_some(DriverXdp {
        native: features & (NATIVE | REDIRECT) == NATIVE | REDIRECT,
        zero_copy: features & ZERO_COPY != 0,
    });
    let program = program::running(&link)?.map(|(id, mode)| {
        let name = program::program_name(id);
        Runs { is_ours: name.starts_with(program::PREFIX), name, mode }
    });
    let mut filters = netlink::filters(link.index).map_err(failed)?;
    filters.retain(|name| !name.starts_with(program::PREFIX));
    let on = device.features().unwrap_or_default().into_iter().filter(|feature| feature.active);
    let offloads = on
        .filter(|feature| SWITCHED_OFF.contains(&feature.name.as_str()))
        .map(|feature| Offload { name: feature.name, changeable: feature.changeable });
    let spread = match device.rss() {
        Ok(hash) if offload::is_symmetric(&hash) => Spread::Symmetric,
        Ok(_) => Spread::Asymmetric,
        Err(error) => Spread::Unknown(error.to_string()),
    };
    Ok(Survey { state, driver, program, filters, offloads: offloads.collect(), spread, link })
}

/// What [`super::open`] would need to take over `links` with these settings.
///
/// # Errors
/// If there cannot be such frames or rings.
pub fn packet_memory(settings: &Settings, links: &[Link]) -> Result<PacketMemory, AfXdpError> {
    let shape = settings.shape(links);
    let max_frame = shape.umem_config()?.mtu();
    Ok(PacketMemory { bytes: u64::from(shape.frames) * u64::from(shape.frame_size), max_frame })
}
