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

/// At which ports of a published address those inside are known to what is published there.
const HAIRPIN: RangeInclusive<u16> = 1024..=u16::MAX;

/// What is translated, as the interfaces have these addresses now. An entry without an address is in force all the same: what it is about does
/// not leave.
pub fn nat(config: &Config, ports: &Ports, addresses: &[(PortId, IpAddr)]) -> NatPlan {
    let mut builder =
        Builder { ports, addresses, sources: Vec::new(), destinations: Vec::new(), externals: Vec::new() };
    for source in &config.nat.sources {
        builder.hide(source);
    }
    for destination in &config.nat.destinations {
        builder.publish(destination);
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
        let number = self.external(address, None);
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
                let pool = address.map(|address| self.external(address, Some(&range))).into_iter().collect();
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
            let pool = addresses.map(|address| self.external(address, Some(&range))).collect();
            let exits = self.segment(&entry.out);
            self.sources.push(Source { exits, sources, destinations, pool: Pool(pool) });
        }
    }

    /// The number of an address, which can be used at these ports besides those that it had. Without, at those that it had, or else for hairpin.
    fn external(&mut self, address: Ipv4Addr, ports: Option<&RangeInclusive<u16>>) -> u16 {
        let address = address.to_bits();
        let known = self.externals.iter().position(|external| external.address == address);
        if let (Some(ports), Some(external)) = (ports, known.and_then(|place| self.externals.get_mut(place)))
        {
            let had = &external.ports;
            external.ports = *had.start().min(ports.start())..=*had.end().max(ports.end());
        }
        let place = known.unwrap_or_else(|| {
            let ports = ports.cloned().unwrap_or(HAIRPIN);
            self.externals.push(External { address, ports, taken: Vec::new() });
            self.externals.len() - 1
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
[[interface]]
name = 'wan'
mode = 'route'
[[interface]]
name = 'lan'
mode = 'route'
[[nat.source]]
out = ['wan']
sources = ['10.0.0.0/8']
ports = '2000-2999'
[[nat.source]]
out = ['wan']
sources = ['172.16.0.0/12']
to = ['192.0.2.4-192.0.2.5']
[[nat.destination]]
address = 'wan'
protocol = 'tcp'
ports = '2100-2199'
to = '10.0.0.1'
[[nat.destination]]
address = '192.0.2.9'
to = '10.0.0.2'
[[nat.destination]]
address = '192.0.2.10'
protocol = 'udp'
ports = 53
to = '10.0.0.3'
";

    fn plan(addresses: &[(u8, &str)]) -> NatPlan {
        let config =
            ravelin_config::parse(CONFIG, "t.toml").unwrap_or_else(|report| panic!("{report}")).config;
        let ports = Ports::unlimited(&config).unwrap();
        let addresses: Vec<_> =
            addresses.iter().map(|(port, address)| (PortId(*port), address.parse().unwrap())).collect();
        nat(&config, &ports, &addresses)
    }

    fn number(address: &str) -> u32 {
        address.parse::<Ipv4Addr>().unwrap().to_bits()
    }

    #[test]
    fn each_address_has_the_ports_that_are_nobody_elses() {
        let plan = plan(&[
            (0, "192.0.2.3"),
            (0, "169.254.1.1"),
            (0, "192.0.2.200"),
            (0, "fd00::1"),
            (1, "10.0.0.254"),
        ]);
        let usable = |address: &str| {
            let external = plan.externals().iter().find(|external| external.address == number(address));
            Class::ALL.map(|class| external.expect("it is there").usable(class))
        };
        // The failsafe ports 2379 and 2380 and the published ones are TCP's.
        assert_eq!(usable("192.0.2.3"), [1000 - 100 - 2, 1000, 1000]);
        // All failsafe ports above 1023: 2379, 2380, 5473, 6443, 6666, 6667.
        assert_eq!(usable("192.0.2.4"), [64512 - 6, 64512, 64512]);
        assert_eq!(usable("192.0.2.9"), [0; 3], "all of it is somebody's");
        assert_eq!(usable("192.0.2.10"), [64512 - 6, 64512, 64512]);
        assert_eq!(plan.externals().len(), 5);
        assert_eq!(plan.destinations[0].address, number("192.0.2.3"));
        assert_eq!(plan.sources.iter().map(|source| source.pool.0.len()).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn without_an_address_nothing_leaves() {
        let plan = plan(&[(1, "10.0.0.254")]);
        assert!(!plan.is_empty());
        assert_eq!(plan.sources[0].pool, Pool(Vec::new()));
        assert_eq!(plan.destinations.len(), 2, "what has no address is not published");
    }
}
