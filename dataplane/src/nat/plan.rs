use std::{net::Ipv4Addr, ops::RangeInclusive};

use ravelin_config::types::Protocol;

use crate::{
    forward::Segment,
    handoff::WorkerId,
    io::PortId,
    parse::{Address, Headers, Network},
};

/// An IPv4 address as a number, and a port; for ICMP, the identifier of an echo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// The address.
    pub address: u32,
    /// The port.
    pub port: u16,
}

impl Endpoint {
    /// The endpoint of an address that is known to be of IPv4.
    pub(crate) const fn new(address: Address, port: u16) -> Self {
        let [.., a, b, c, d] = address.0;
        Self { address: u32::from_be_bytes([a, b, c, d]), port }
    }

    /// The address as headers have it.
    pub(crate) const fn ip(self) -> Address {
        Address::v4(self.address.to_be_bytes())
    }

    /// The address.
    pub const fn v4(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address)
    }
}

/// The protocols whose ports, or identifiers, can be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// RFC 5382.
    Tcp,
    /// RFC 4787.
    Udp,
    /// Echo and its answers, RFC 5508.
    Icmp,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Icmp];

    /// That of a protocol.
    pub const fn of(protocol: Protocol) -> Option<Self> {
        match protocol {
            Protocol::TCP => Some(Self::Tcp),
            Protocol::UDP => Some(Self::Udp),
            Protocol::ICMP => Some(Self::Icmp),
            _ => None,
        }
    }
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    address: u32,
    mask: u32,
}

impl Net {
    /// Those that begin with the first `length` bits of an address.
    pub fn new(address: Ipv4Addr, length: u8) -> Self {
        let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length.into())).unwrap_or(0);
        Self { address: address.to_bits() & mask, mask }
    }

    const fn has(self, address: u32) -> bool {
        address & self.mask == self.address
    }
}

/// What leaves through some interfaces does so under other addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The interfaces.
    pub exits: Segment,
    /// Whose packets.
    pub sources: Vec<Net>,
    /// Only those to these; to any, if there are none.
    pub destinations: Vec<Net>,
    /// Under which addresses.
    pub pool: Pool,
}

/// Outside addresses, as the numbers of [`External`]s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool(pub Vec<u16>);

/// What arrives for an address and port is for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The interfaces that receive it.
    pub entries: Segment,
    /// The address that it is sent to.
    pub address: u32,
    /// Its protocol; any, if there is none.
    pub protocol: Option<Protocol>,
    /// The ports that it is sent to; `None` for any, and for what has none.
    pub ports: Option<RangeInclusive<u16>>,
    /// Where it goes instead. The first of `ports` becomes this port, the others follow.
    pub to: Endpoint,
}

impl Destination {
    fn translate(&self, arrived: Endpoint, protocol: Protocol) -> Option<Endpoint> {
        if self.address != arrived.address || self.protocol.is_some_and(|only| only != protocol) {
            return None;
        }
        let Some(ports) = &self.ports else {
            return Some(Endpoint { address: self.to.address, ..arrived });
        };
        let port = self.to.port.checked_add(arrived.port.checked_sub(*ports.start())?)?;
        ports.contains(&arrived.port).then_some(Endpoint { port, ..self.to })
    }

    /// Whether this is an endpoint to which something may be sent on.
    fn is_target(&self, endpoint: Endpoint, protocol: Protocol) -> bool {
        let has_port = self.ports.as_ref().is_none_or(|ports| {
            endpoint.port.checked_sub(self.to.port).is_some_and(|place| place <= ports.end() - ports.start())
        });
        self.to.address == endpoint.address && self.protocol.is_none_or(|only| only == protocol) && has_port
    }
}

/// An outside address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// The address.
    pub address: u32,
    /// Its ports that may be used.
    pub ports: RangeInclusive<u16>,
    /// Those among them that are somebody else's.
    pub taken: Vec<(Class, RangeInclusive<u16>)>,
}

impl External {
    /// How many ports there are for inside ends.
    pub fn usable(&self, class: Class) -> u32 {
        let is_free = |port: &u16| !self.taken.iter().any(|(of, taken)| *of == class && taken.contains(port));
        u32::try_from(self.ports.clone().filter(is_free).count()).unwrap_or(u32::MAX)
    }
}

/// What is translated, and into what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NatPlan {
    /// In the order of the configuration: the first that matches counts.
    pub sources: Vec<Source>,
    /// In the order of the configuration: the first that matches counts.
    pub destinations: Vec<Destination>,
    /// Each address once, some hundreds at most: each takes memory at every worker. Those of all pools, and those at which services are published, for hairpin.
    externals: Vec<External>,
    /// Their places, by address.
    index: Index,
    /// By port: the address of the interface, in whose name senders of packets are told that these got no further.
    pub addresses: Vec<Option<u32>>,
}

impl NatPlan {
    /// Neighbouring ports that belong to the same worker.
    const BLOCK: u16 = 64;

    /// What is translated. `externals` are the addresses that pools name by their places.
    pub fn new(
        sources: Vec<Source>,
        destinations: Vec<Destination>,
        externals: Vec<External>,
        addresses: Vec<Option<u32>>,
    ) -> Self {
        let index = Index::new(externals.iter().map(|external| external.address));
        Self { sources, destinations, externals, index, addresses }
    }

    /// The outside addresses.
    pub fn externals(&self) -> &[External] {
        &self.externals
    }

    /// Whether nothing is translated.
    pub const fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.destinations.is_empty()
    }

    /// The worker that a port belongs to, inside as outside: so a mapping can keep its port.
    pub(crate) fn worker_of(port: u16, workers: u8) -> WorkerId {
        if workers <= 1 {
            return WorkerId(0);
        }
        let worker = (port / Self::BLOCK) % u16::from(workers);
        WorkerId(u8::try_from(worker).unwrap_or_default())
    }

    /// The address of an interface.
    pub(crate) fn address(&self, port: PortId) -> Option<Address> {
        let address = (*self.addresses.get(port.index())?)?;
        Some(Address::v4(address.to_be_bytes()))
    }

    /// The number of an outside address.
    #[inline]
    pub(crate) fn external(&self, address: u32) -> Option<u16> {
        self.index.place(address)
    }

    /// Where something is sent on that a port received for an outside address.
    pub(crate) fn published(&self, port: PortId, arrived: Endpoint, protocol: Protocol) -> Option<Endpoint> {
        let rules = self.destinations.iter().filter(|rule| rule.entries.has(port));
        rules.into_iter().find_map(|rule| rule.translate(arrived, protocol))
    }

    /// Whether something may be sent on to this endpoint.
    pub(crate) fn is_target(&self, endpoint: Endpoint, protocol: Protocol) -> bool {
        self.destinations.iter().any(|rule| rule.is_target(endpoint, protocol))
    }

    /// Whether packets of this address leave under others.
    pub(crate) fn is_inside(&self, address: u32) -> bool {
        self.sources.iter().any(|rule| rule.sources.iter().any(|net| net.has(address)))
    }

    /// Under which addresses a packet of this address, received at a port, leaves elsewhere. Where it would leave so is outside.
    pub(crate) fn pool_elsewhere(&self, port: PortId, address: u32) -> Option<&Pool> {
        let mut rules = self.sources.iter().filter(|rule| !rule.exits.has(port));
        rules.find(|rule| rule.sources.iter().any(|net| net.has(address))).map(|rule| &rule.pool)
    }

    /// Whether an outside address has ports for others: one that is given to somebody as a whole has none.
    pub(crate) fn has_ports(&self, external: u16) -> bool {
        let external = self.externals.get(usize::from(external));
        external.is_some_and(|external| {
            let is_taken = |(_, taken): &(Class, RangeInclusive<u16>)| {
                [external.ports.start(), external.ports.end()].into_iter().all(|port| taken.contains(port))
            };
            !external.taken.iter().any(is_taken)
        })
    }

    /// Under which addresses a packet leaves.
    pub(crate) fn pool(&self, exit: PortId, source: u32, destination: u32) -> Option<&Pool> {
        let has = |nets: &[Net], address| nets.iter().any(|net| net.has(address));
        let rule = self.sources.iter().find(|rule| {
            rule.exits.has(exit)
                && has(&rule.sources, source)
                && (rule.destinations.is_empty() || has(&rule.destinations, destination))
        });
        rule.map(|rule| &rule.pool)
    }
}

/// Some addresses and their places in a list: a hash table, asked for every packet. It is the operator who chooses what is in it, so that its hash
/// needs no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Index {
    /// A power of two of them, three quarters of which at least are vacant.
    slots: Vec<Option<(u32, u16)>>,
}

impl Index {
    fn new(addresses: impl ExactSizeIterator<Item = u32>) -> Self {
        let mut index = Self { slots: vec![None; (addresses.len() * 4).next_power_of_two()] };
        for (address, place) in addresses.zip(0..) {
            let mut at = index.home(address);
            while let Some(taken) = index.slots.get(at).copied().flatten() {
                if taken.0 == address {
                    break;
                }
                at = index.behind(at);
            }
            if let Some(slot) = index.slots.get_mut(at) {
                *slot = Some((address, place));
            }
        }
        index
    }

    #[inline]
    fn place(&self, address: u32) -> Option<u16> {
        let mut at = self.home(address);
        while let Some((taken, place)) = self.slots.get(at).copied().flatten() {
            if taken == address {
                return Some(place);
            }
            at = self.behind(at);
        }
        None
    }

    /// Where an address is looked for first.
    #[inline]
    fn home(&self, address: u32) -> usize {
        let mixed = u64::from(address).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        mixed as usize & self.slots.len().wrapping_sub(1)
    }

    #[inline]
    fn behind(&self, at: usize) -> usize {
        (at + 1) & self.slots.len().wrapping_sub(1)
    }
}

/// Whether a packet is one that can be translated at all.
pub(crate) const fn is_v4(headers: &Headers) -> bool {
    matches!(headers.network, Network::Ipv4)
}
