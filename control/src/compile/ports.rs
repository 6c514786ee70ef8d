use ravelin_config::{Config, Interface, InterfaceMode, types::IfName};
use ravelin_dataplane::io::PortId;

use super::CompileError;

/// What only the system knows of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortFacts {
    /// Largest network packet that may leave, in bytes, without Ethernet header and VLAN tags.
    pub mtu: u32,
    /// Whether packets received here may carry partial checksums: what `checksum = "auto"` goes by.
    pub partial_checksums: bool,
}

impl PortFacts {
    /// The facts of a port that is not an interface: nothing is too long for it and every checksum is as the capture has it.
    pub const UNLIMITED: Self = Self { mtu: 1 << 30, partial_checksums: false };
}

/// Our end of the pair of interfaces over which the kernel is given packets, and the kernel's end.
pub const HOST_PAIR: [&str; 2] = ["rvln-port", "rvln-host"];

/// The name of the port to the kernel, if there is one: where packets are routed.
pub fn host_port(config: &Config) -> Option<IfName> {
    let routes = config.interfaces.iter().any(|interface| interface.mode == InterfaceMode::Route);
    let [ours, _] = HOST_PAIR;
    routes.then(|| ours.parse().ok()).flatten()
}

/// The interfaces of a process, by their numbers in the packet path, and behind them those of WireGuard that the host has, and the port to
/// the kernel if there is one. They do not change while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports(Vec<(IfName, PortFacts)>);

impl Ports {
    /// Numbers the interfaces of `config` in its order; `facts` tells what the system knows of each.
    ///
    /// # Errors
    /// [`CompileError::TooManyInterfaces`] if there are more than [`PortId::MAX_PORTS`].
    pub fn new(
        config: &Config,
        mut facts: impl FnMut(&Interface) -> PortFacts,
    ) -> Result<Self, CompileError> {
        let port = |interface: &Interface| (interface.name.clone(), facts(interface));
        let mut ports: Vec<_> = config.interfaces.iter().map(port).collect();
        // What the host sends into a tunnel comes as its stack leaves it.
        let tunnel = PortFacts { partial_checksums: true, ..PortFacts::UNLIMITED };
        ports.extend(config.wireguard_devices().map(|wireguard| (wireguard.name.clone(), tunnel)));
        ports.extend(host_port(config).map(|name| (name, PortFacts::UNLIMITED)));
        if ports.len() > PortId::MAX_PORTS {
            return Err(CompileError::TooManyInterfaces { interfaces: ports.len() });
        }
        Ok(Self(ports))
    }

    /// Numbers the interfaces of `config` for a replay, where nothing is asked of the system.
    ///
    /// # Errors
    /// [`CompileError::TooManyInterfaces`] if there are more than [`PortId::MAX_PORTS`].
    pub fn unlimited(config: &Config) -> Result<Self, CompileError> {
        Self::new(config, |_| PortFacts::UNLIMITED)
    }

    /// How many ports there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no port.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of the interface called `name`.
    pub fn id(&self, name: &IfName) -> Option<PortId> {
        let index = self.0.iter().position(|(port, _)| port == name)?;
        u8::try_from(index).ok().map(PortId)
    }

    /// The name of a port.
    pub fn name(&self, port: PortId) -> Option<&IfName> {
        self.0.get(port.index()).map(|(name, _)| name)
    }

    /// What the system knows of a port.
    pub fn facts(&self, port: PortId) -> Option<PortFacts> {
        self.0.get(port.index()).map(|(_, facts)| *facts)
    }

    /// Every port, in the order of the numbers.
    pub fn iter(&self) -> impl Iterator<Item = (PortId, &IfName, PortFacts)> {
        (0..).map(PortId).zip(&self.0).map(|(id, (name, facts))| (id, name, *facts))
    }
}
