use std::{
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
};

use ravelin_config::{
    Config,
    nat::{NatAddress, NatDestination, NatSource},
    types::{IfName, IpRange},
};
use ravelin_dataplane::{
    forward::Segment,
    io::PortId,
    nat::{Class, Destination, Endpoint, External, NatPlan, Net, Pool, Source},
};

use super::Ports;

/// Of an address at which nobody inside is to be known.
const NO_PORTS: RangeInclusive<u16> = RangeInclusive::new(1, 0);

/// What is translated, as the interfaces have these addresses now. An entry without an address is in force all the same: what it is about does
/// not leave.
pub fn nat(config: &Config, ports: &Ports, addresses: &[(PortId, IpAddr)]) -> NatPlan {
    let mut builder =
        Builder { ports, addresses, sources: Vec::new(), destinations: Vec::new(), externals: Vec::new() };
    for destination in &config.nat.destinations {
        builder.publish(destination);
    }
    for source in &config.nat.sources {
        builder.hide(source);
    }
    for failsafe in config.enforcement.failsafe_inbound.iter().filter(|failsafe| failsafe.net.is_none()) {
        let only = failsafe.protocol.and_then(Class::of);
        for class in [Class::Tcp, Class::Udp] {
            if failsafe.protocol.is_none() || only == Some(class) {
                builder.take_everywhere(class, failsafe.port);
            }
        }
    }
    if config.nat.is_empty() {
        return NatPlan::default();
    }
    let lowest = ports.iter().map(|(id, ..)| builder.lowest(id).map(Ipv4Addr::to_bits)).collect();
    NatPlan::new(builder.sources, builder.destinations, builder.externals, lowest)
}

struct Builder<'b> {
    ports: &'b Ports,
    addresses: &'b [(PortId, IpAddr)],
    sources: Vec<Source>,
    destinations: Vec<Destination>,
    externals: Vec<External>,
}

impl Builder<'_> {
    fn publish(&mut self, entry: &NatDestination) {
        let address = match &entry.address {
            NatAddress::Address(address) => Some(*address),
            NatAddress::Interface(name) => self.ports.id(name).and_then(|port| self.lowest(port)),
        };
        let Some(address) = address else { return };
        let ports = entry.ports.map(|ports| ports.first()..=ports.last());
        let port = entry.to_port.or(ports.as_ref().map(|ports| *ports.start())).unwrap_or_default();
        // Nobody inside is to be known as what is published.
        let number = self.external(address, &NO_PORTS);
        for class in Class::ALL {
            let is_it = entry.protocol.is_none_or(|only| Class::of(only) == Some(class));
            if is_it && let Some(external) = self.externals.get_mut(usize::from(number)) {
                external.taken.push((class, ports.clone().unwrap_or(0..=u16::MAX)));
            }
        }
        self.destinations.push(Destination {
            entries: self.segment(&entry.entries),
            address: address.to_bits(),
            protocol: entry.protocol,
            ports,
            to: Endpoint { address: entry.to.to_bits(), port },
        });
    }

    fn hide(&mut self, entry: &NatSource) {
        let nets = |nets: &[ipnet::Ipv4Net]| {
            nets.iter().map(|net| Net::new(net.network(), net.prefix_len())).collect()
        };
        let (sources, destinations): (Vec<_>, Vec<_>) = (nets(&entry.sources), nets(&entry.destinations));
        let range = entry.ports.first()..=entry.ports.last();
        if entry.to.is_empty() {
            for name in &entry.out {
                let Some(port) = self.ports.id(name) else { continue };
                let address = self.lowest(port);
                let pool = address.map(|address| self.external(address, &range)).into_iter().collect();
                let exits = Segment::of([port]);
                self.sources.push(Source {
                    exits,
                    sources: sources.clone(),
                    destinations: destinations.clone(),
                    pool: Pool(pool),
                });
            }
        } else {
            let addresses = entry.to.iter().flat_map(addresses);
            let pool = addresses.map(|address| self.external(address, &range)).collect();
            let exits = self.segment(&entry.out);
            self.sources.push(Source { exits, sources, destinations, pool: Pool(pool) });
        }
    }

    /// The number of an address that can be used at these ports, besides those that it had.
    fn external(&mut self, address: Ipv4Addr, ports: &RangeInclusive<u16>) -> u16 {
        let address = address.to_bits();
        let known = self.externals.iter().position(|external| external.address == address);
        let place = known.unwrap_or_else(|| {
            self.externals.push(External { address, ports: ports.clone(), taken: Vec::new() });
            self.externals.len() - 1
        });
        if let Some(external) = self.externals.get_mut(place) {
            external.ports = match (external.ports.is_empty(), ports.is_empty()) {
                (true, _) => ports.clone(),
                (false, true) => external.ports.clone(),
                (false, false) => {
                    *external.ports.start().min(ports.start())..=*external.ports.end().max(ports.end())
                }
            };
        }
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// Has nobody be known at a port that always reaches the host itself.
    fn take_everywhere(&mut self, class: Class, port: u16) {
        for external in &mut self.externals {
            external.taken.push((class, port..=port));
        }
    }

    /// The lowest address of an interface that is good beyond its link.
    fn lowest(&self, port: PortId) -> Option<Ipv4Addr> {
        let of_port = self.addresses.iter().filter(|(other, _)| *other == port);
        let v4 = of_port.filter_map(|(_, address)| match address {
            IpAddr::V4(address) => (!address.is_link_local()).then_some(*address),
            IpAddr::V6(_) => None,
        });
        v4.min()
    }

    fn segment(&self, names: &[IfName]) -> Segment {
        Segment::of(names.iter().filter_map(|name| self.ports.id(name)))
    }
}

fn addresses(range: &IpRange) -> impl Iterator<Item = Ipv4Addr> + use<> {
    let (first, last) = match *range {
        IpRange::V4 { first, last } => (first.to_bits(), last.to_bits()),
        IpRange::V6 { .. } => (1, 0),
    };
    (first..=last).map(Ipv4Addr::from_bits)
}
