use super::{
    Choices,
    addresses::{Family, address, edges},
    policies::{ICMP, PORTS, ZONES},
};
use crate::oracle::{Flow, Settings};
use ravelin_config::{
    resources::{PortMatch, Resources, TargetPort},
    types::Protocol,
};
use std::net::IpAddr;

/// Bytes that one flow is drawn from.
pub(super) const BYTES: usize = 18;

/// What flows aim at: addresses and ports that resources mention, and those next to them.
pub(super) struct Aims {
    addresses: Vec<IpAddr>,
    ports: Vec<u16>,
}

impl Aims {
    pub(super) fn at(resources: &Resources, settings: &Settings) -> Self {
        let rules = || {
            let policies =
                resources.policies.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress));
            policies.chain(
                resources.profiles.iter().flat_map(|profile| profile.ingress.iter().chain(&profile.egress)),
            )
        };
        let entities = || rules().flat_map(|rule| [&rule.source, &rule.destination]);
        let ends = resources.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
        let sets = resources.network_sets.iter().flat_map(|set| set.nets.iter().chain(&set.except));
        let asked = entities().flat_map(|entity| entity.nets.iter().chain(&entity.not_nets));
        // Endpoints twice: most flows should be between them.
        let nets = ends.clone().chain(ends).chain(sets).chain(asked);
        let failsafes = settings.inbound.iter().chain(&settings.outbound);
        let mut ports = PORTS.to_vec();
        ports.extend(resources.endpoints.iter().flat_map(|endpoint| &endpoint.ports).map(|port| port.port));
        for port in resources.services.iter().flat_map(|service| &service.ports) {
            match port.target {
                TargetPort::Number(number) => ports.push(number),
                TargetPort::Name(_) => {}
            }
        }
        for port in entities().flat_map(|entity| entity.ports.iter().chain(&entity.not_ports)) {
            match port {
                PortMatch::Range(range) => {
                    ports.extend([range.first(), range.last()]);
                    ports.extend(
                        [range.first().checked_sub(1), range.last().checked_add(1)].into_iter().flatten(),
                    );
                }
                PortMatch::Named(_) => {}
            }
        }
        ports.extend(failsafes.map(|failsafe| failsafe.port));
        Self { addresses: nets.flat_map(|net| edges(*net)).collect(), ports }
    }

    fn address(&self, choices: &mut Choices, family: Option<Family>) -> IpAddr {
        let fitting = |address: &&IpAddr| family.is_none_or(|family| Family::of(**address) == family);
        let aimed: Vec<IpAddr> = self.addresses.iter().filter(fitting).copied().collect();
        if aimed.is_empty() || choices.chance(8) {
            let family = family.unwrap_or_else(|| Family::draw(choices));
            return address(choices, family);
        }
        // Two bytes: there may be more than 256.
        let index = choices.below(256) * 256 + choices.below(256);
        aimed[index * aimed.len() / 65536]
    }

    fn port(&self, choices: &mut Choices) -> u16 {
        let index = choices.below(256) * 256 + choices.below(256);
        self.ports[index * self.ports.len() / 65536]
    }

    pub(super) fn draw(&self, choices: &mut Choices) -> Flow {
        let source = self.address(choices, None);
        let family = Family::of(source);
        let destination = self.address(choices, Some(family));
        let (own, other) = match family {
            Family::V4 => (Protocol::ICMP, Protocol::ICMPV6),
            Family::V6 => (Protocol::ICMPV6, Protocol::ICMP),
        };
        let (tcp, udp) = (Protocol::TCP, Protocol::UDP);
        let protocols =
            [tcp, tcp, tcp, tcp, tcp, udp, udp, Protocol::SCTP, own, own, own, other, Protocol(47)];
        let protocol = choices.one(&protocols);
        let (source_port, destination_port) =
            if protocol.has_ports() { (self.port(choices), self.port(choices)) } else { (0, 0) };
        let icmp = if protocol == own || protocol == other {
            let (icmp_type, code) = choices.one(&ICMP);
            (icmp_type, if choices.chance(4) { code + 1 } else { code })
        } else {
            (0, 0)
        };
        let mut zone = || choices.maybe(2, |choices| choices.one(&ZONES));
        let zones = [zone(), zone()];
        Flow { source, destination, protocol, source_port, destination_port, icmp, zones }
    }
}
