use ravelin_config::types::{Direction, MssClamp};

use crate::{io::PortId, policy::Zone, route::ReversePath};

/// What a bridge does with frames that the rules do not judge. `true` forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonIp {
    /// ARP.
    pub arp: bool,
    /// IPv6 neighbour discovery without asking the rules.
    pub neighbour_discovery: bool,
    /// Link Layer Discovery Protocol.
    pub lldp: bool,
    /// Spanning tree.
    pub stp: bool,
    /// EtherTypes that the appliance does not know, and LLC frames.
    pub unknown: bool,
}

impl Default for NonIp {
    fn default() -> Self {
        Self { arp: true, neighbour_discovery: true, lldp: true, stp: true, unknown: true }
    }
}

/// A port as the packet path knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// One end of a bridge.
    Bridge {
        /// The other end.
        twin: PortId,
        /// Which way a packet received here crosses the bridge.
        direction: Direction,
        /// What happens to frames that the rules do not judge.
        non_ip: NonIp,
        /// Whether partial checksums of packets received here are completed.
        complete_checksums: bool,
        /// Largest network packet that may leave here, in bytes, without Ethernet header and VLAN tags.
        mtu: u32,
    },
    /// One of the interfaces between which packets are routed.
    Route {
        /// Whether partial checksums of packets received here are completed.
        complete_checksums: bool,
        /// How the sources of packets received here are checked.
        reverse_path: ReversePath,
        /// To what TCP connections are held that are opened through here.
        mss_clamp: MssClamp,
    },
    /// Our end of the pair of interfaces whose other end is the kernel's: what is sent here, the kernel receives.
    Host,
    /// Receives only.
    Monitor,
}

impl Port {
    /// Whether packets are routed that are received here.
    pub const fn routes(&self) -> bool {
        match self {
            Self::Route { .. } => true,
            Self::Bridge { .. } | Self::Host | Self::Monitor => false,
        }
    }

    /// To what TCP connections are held that are opened through here.
    pub(crate) const fn mss_clamp(&self) -> MssClamp {
        match self {
            Self::Route { mss_clamp, .. } => *mss_clamp,
            Self::Bridge { .. } | Self::Host | Self::Monitor => MssClamp::Off,
        }
    }

    /// Whether partial checksums of packets received here are completed.
    pub(super) const fn completes_checksums(&self) -> bool {
        match self {
            Self::Bridge { complete_checksums, .. } | Self::Route { complete_checksums, .. } => {
                *complete_checksums
            }
            Self::Host | Self::Monitor => false,
        }
    }
}

/// Ports between which packets pass: bit k is port k. A connection that crosses two bridges of the appliance is on two segments,
/// and a flow of its own on each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment(u64);

// Each port has a bit of its own.
const _: () = assert!(PortId::MAX_PORTS <= 64);

impl Segment {
    /// That of a packet of which none is known.
    pub(crate) const NONE: Self = Self(0);

    /// The segment of these ports.
    pub fn of(ports: impl IntoIterator<Item = PortId>) -> Self {
        Self(ports.into_iter().fold(0, |bits, port| bits | 1_u64.wrapping_shl(port.0.into())))
    }

    /// Whether a port is on it.
    pub const fn has(self, port: PortId) -> bool {
        self.0.wrapping_shr(port.0 as u32) & 1 == 1
    }

    /// A number that no other segment has: that of its first port.
    pub(crate) const fn number(self) -> u32 {
        self.0.trailing_zeros()
    }
}

/// Where packets go, by the port that received them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// By [`PortId`].
    ports: Vec<Port>,
    /// The segment of each port: looked up for every packet.
    segments: Vec<Segment>,
    /// The zone of each port that is in one.
    zones: Vec<Zone>,
    /// The port to the kernel.
    host: Option<PortId>,
}

impl Plan {
    /// The plan for these ports, which are numbered from 0.
    pub fn new(ports: Vec<Port>) -> Self {
        let numbered = || ports.iter().zip((0..=u8::MAX).map(PortId));
        let host = numbered().find_map(|(port, id)| (*port == Port::Host).then_some(id));
        let router = Segment::of(numbered().filter_map(|(port, id)| port.routes().then_some(id)));
        let segment = |(port, id): (&Port, PortId)| match port {
            Port::Bridge { twin, .. } => Segment::of([id, *twin]),
            Port::Route { .. } => router,
            Port::Host | Port::Monitor => Segment::of([id]),
        };
        let segments = numbered().map(segment).collect();
        Self { ports, segments, zones: Vec::new(), host }
    }

    /// The same plan with these zones, by the numbers of the ports.
    #[must_use]
    pub fn with_zones(self, zones: Vec<Zone>) -> Self {
        Self { zones, ..self }
    }

    /// The zone of what comes in or leaves at `port`; of what does at none, which is the appliance's own, there is none.
    pub fn zone(&self, port: Option<PortId>) -> Zone {
        port.and_then(|port| self.zones.get(port.index()).copied()).unwrap_or_default()
    }

    /// The port with this number.
    pub fn port(&self, port: PortId) -> Option<&Port> {
        self.ports.get(port.index())
    }

    /// Which way packets received at `port` cross their bridge; `None` for a monitor interface.
    pub fn direction(&self, port: PortId) -> Option<Direction> {
        match self.port(port)? {
            Port::Bridge { direction, .. } => Some(*direction),
            Port::Route { .. } | Port::Host | Port::Monitor => None,
        }
    }

    /// The other end of the bridge that `port` is one end of.
    pub fn twin(&self, port: PortId) -> Option<PortId> {
        match self.port(port)? {
            Port::Bridge { twin, .. } => Some(*twin),
            Port::Route { .. } | Port::Host | Port::Monitor => None,
        }
    }

    /// The port to the kernel.
    pub const fn host(&self) -> Option<PortId> {
        self.host
    }

    /// The segment of packets received at `port`: both ends of a bridge, all interfaces that route, or a monitor interface alone.
    pub fn segment(&self, port: PortId) -> Segment {
        self.segments.get(port.index()).copied().unwrap_or_else(|| Segment::of([port]))
    }

    /// Whether neighbour discovery received at `port` passes without asking the rules.
    pub fn passes_neighbour_discovery(&self, port: PortId) -> bool {
        match self.port(port) {
            Some(Port::Bridge { non_ip, .. }) => non_ip.neighbour_discovery,
            Some(Port::Route { .. } | Port::Host | Port::Monitor) | None => false,
        }
    }
}
