//! What the kernel drops before a worker sees it: what is said to a backend that has a kernel before it.
//!
//! A packet is dropped if its source is in the list, unless its destination is spared and one of the patterns of that
//! destination matches it. Promises: data only; whoever puts it together vouches that policy denies what it drops
//! (`docs/adr/0016-drop-in-the-kernel.md`). Read next: `af_xdp/blocklist.rs`.

use ravelin_config::types::{IpNet, PortRange, Protocol};

/// The most prefixes of one version of IP that there may be in the list.
pub const CAPACITY: usize = 1_000_000;

/// The most prefixes of one version of IP that may be spared.
pub const SPARED: usize = 65_536;

/// The most patterns that there may be.
pub const PATTERNS: usize = 64;

/// What has changed. Prefixes that leave are in the list, those that join are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockChange {
    /// Prefixes that leave the list.
    pub leave: Vec<IpNet>,
    /// Prefixes that join it.
    pub join: Vec<IpNet>,
    /// Whether anything of IPv4, then of IPv6, is in the list then.
    pub has: [bool; 2],
    /// What is spared from now on, if that has changed.
    pub spared: Option<Spared>,
}

/// Packets that the kernel leaves to the workers although their source is in the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spared {
    /// Destinations, with the patterns that count there: bit k is pattern k. No prefix occurs twice, and the longest that holds
    /// an address says all about it.
    pub destinations: Vec<(IpNet, u64)>,
    /// The patterns, at most [`PATTERNS`].
    pub patterns: Vec<Pattern>,
}

/// Packets by protocol and ports. The ports of protocols that have none match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The protocol; any, if there is none.
    pub protocol: Option<Protocol>,
    /// The sender's ports.
    pub source_ports: PortRange,
    /// The receiver's ports.
    pub destination_ports: PortRange,
}

impl Pattern {
    /// Everything.
    pub const ANY: Self =
        Self { protocol: None, source_ports: PortRange::ALL, destination_ports: PortRange::ALL };
}
