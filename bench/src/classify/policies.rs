//! Sets of policies as large clusters have them: many policies on an endpoint, many sets, many members.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use ravelin_config::types::{IpNet, PortRange, Protocol};
use ravelin_dataplane::policy::{
    AddressSet,
    classifier::{Key, Position, ProtocolMatch, Rule, SetId},
};

use super::filters::Random;

/// A cluster.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cluster {
    pub(super) name: &'static str,
    policies: u32,
    rules: u32,
    /// Whether every policy selects the first endpoint, too.
    on_one: bool,
    headers: u64,
}

/// Endpoints of the cluster.
const ENDPOINTS: u64 = 10_000;
/// Sets that rules name as the other end, and what they hold together.
const SETS: u32 = 3_700;
const MEMBERS: u64 = 256_000;
/// Addresses that these members are from; endpoints are the first of them.
const ADDRESSES: u64 = 40_000;

pub(super) const CLUSTERS: [Cluster; 2] = [
    Cluster {
        name: "294 policies of 68 rules on one endpoint",
        policies: 294,
        rules: 68,
        on_one: true,
        headers: 20_000,
    },
    Cluster {
        name: "10,000 policies over 10,000 endpoints",
        policies: 10_000,
        rules: 8,
        on_one: false,
        headers: 20_000,
    },
];

fn address(number: u64) -> Ipv4Addr {
    // Nodes have a net of 64 addresses each.
    Ipv4Addr::from_bits(0x0a00_0000 + (number / 48 * 64 + number % 48) as u32)
}

fn set(numbers: impl Iterator<Item = u64>) -> Arc<AddressSet> {
    let nets: Vec<IpNet> =
        numbers.map(|number| format!("{}/32", address(number)).parse().expect("a net")).collect();
    Arc::new(AddressSet::of_nets(&nets))
}

impl Cluster {
    /// Sets, rules, and flows to judge.
    pub(super) fn generate(&self) -> (Vec<Arc<AddressSet>>, Vec<Rule>, Vec<Key>) {
        let mut random = Random::new(u64::from(self.policies));
        let mut sets: Vec<_> = (0..SETS)
            .map(|n| {
                // Some are large, most are small.
                let members = MEMBERS / 2 / u64::from(SETS) + MEMBERS / 2 / 9 / (u64::from(n) + 1);
                set((0..members).map(|_| random.below(ADDRESSES)))
            })
            .collect();
        let mut rules = Vec::new();
        for policy in 0..self.policies {
            // An application: some endpoints, one of which may be the one that all policies are on.
            let first = random.below(ENDPOINTS - 40);
            let one = self.on_one.then_some(0);
            let size = 1 + random.below(40);
            let members: Vec<u64> = (0..size).map(|_| first + random.below(40)).chain(one).collect();
            sets.push(set(members.into_iter()));
            let subject = SetId(sets.len() as u32 - 1);
            for rule in 0..self.rules {
                let anywhere = random.below(20) == 0;
                let port = [443, 80, 53, 8080, 9090, 5432, 6379, 9092][random.below(8) as usize];
                rules.push(Rule {
                    position: Position(policy * self.rules + rule),
                    source: subject,
                    destination: if anywhere { SetId::ANY } else { SetId(random.below(SETS.into()) as u32) },
                    protocol: ProtocolMatch::Is(if port == 53 { Protocol::UDP } else { Protocol::TCP }),
                    source_ports: PortRange::new(0, u16::MAX).expect("a range"),
                    destination_ports: PortRange::single(if anywhere { 10_000 + port } else { port }),
                    outcome: policy,
                });
            }
        }
        let keys = (0..self.headers)
            .map(|_| Key {
                source: IpAddr::V4(address(if self.on_one { 0 } else { random.below(ENDPOINTS) })),
                destination: IpAddr::V4(address(random.below(ADDRESSES))),
                protocol: Protocol::TCP,
                source_port: 40_000,
                destination_port: *random.pick(&[443, 80, 8080, 22, 9092]),
                zones: Key::NO_ZONES,
            })
            .collect();
        (sets, rules, keys)
    }
}
