//! What is translated: read from the flows that are.

use std::{cmp::Reverse, collections::HashMap, net::IpAddr};

use ravelin_config::types::Protocol;
use ravelin_dataplane::{
    flow::FlowRecord,
    nat::{Class, Destination, Endpoint, NatPlan},
};

use super::{
    flows,
    query::LimitQuery,
    view::{Nat, NatAddress, NatMapping, NatPublished},
};
use crate::appliance::Appliance;

/// Collects what is translated.
pub(super) async fn collect(appliance: &Appliance, query: LimitQuery) -> Nat {
    let plan = appliance.nat().await;
    let mut used = Used::default();
    let missing = flows::walk(appliance, |record| used.add(&record)).await;
    used.into_view(&plan, query.limit, missing)
}

/// What flows use.
#[derive(Debug, Default)]
struct Used {
    /// By what it is known as: who it is, and for how many flows.
    mappings: HashMap<(Protocol, Endpoint), (Endpoint, u64)>,
    published: HashMap<(Protocol, Endpoint), u64>,
}

impl Used {
    fn add(&mut self, record: &FlowRecord) {
        let protocol = record.key.protocol();
        if let (Some(outside), (IpAddr::V4(address), port)) =
            (record.nat.initiator, record.key.end(record.initiator))
        {
            let inside = Endpoint { address: address.to_bits(), port };
            self.mappings.entry((protocol, outside)).or_insert((inside, 0)).1 += 1;
        }
        if let Some(at) = record.nat.responder {
            *self.published.entry((protocol, at)).or_default() += 1;
        }
    }

    fn into_view(self, plan: &NatPlan, limit: usize, missing: Vec<u8>) -> Nat {
        let Self { mappings, published } = self;
        let mut counts: HashMap<(Class, u32), u32> = HashMap::new();
        for (protocol, outside) in mappings.keys() {
            if let Some(class) = Class::of(*protocol) {
                *counts.entry((class, outside.address)).or_default() += 1;
            }
        }
        let addresses = plan.externals().iter().map(|external| {
            let count = |class| counts.get(&(class, external.address)).copied().unwrap_or_default();
            NatAddress {
                address: std::net::Ipv4Addr::from_bits(external.address).to_string(),
                ports: Class::ALL.map(|class| external.usable(class)),
                used: Class::ALL.map(count),
            }
        });
        let addresses = addresses.filter(|address| address.ports != [0; 3]).collect();
        let flows_to = |rule: &Destination| {
            let is_it = |(protocol, at): &(Protocol, Endpoint)| {
                rule.address == at.address
                    && rule.protocol.is_none_or(|only| only == *protocol)
                    && rule.ports.as_ref().is_none_or(|ports| ports.contains(&at.port))
            };
            published.iter().filter(|(key, _)| is_it(key)).map(|(_, flows)| flows).sum()
        };
        let published = plan.destinations.iter().map(|rule| {
            let at = std::net::Ipv4Addr::from_bits(rule.address);
            let (at, to) = match &rule.ports {
                None => (at.to_string(), rule.to.v4().to_string()),
                Some(ports) if ports.start() == ports.end() => {
                    (format!("{at}:{}", ports.start()), end(rule.to))
                }
                Some(ports) => (format!("{at}:{}-{}", ports.start(), ports.end()), end(rule.to)),
            };
            let proto = rule.protocol.map_or_else(|| "any".to_owned(), |protocol| protocol.to_string());
            NatPublished { proto, at, to, flows: flows_to(rule) }
        });
        let published = published.collect();
        let seen = mappings.len() as u64;
        let mut sorted: Vec<_> = mappings.into_iter().collect();
        sorted.sort_unstable_by_key(|((protocol, outside), (_, flows))| {
            (Reverse(*flows), protocol.0, *outside)
        });
        sorted.truncate(limit);
        let mapping = |((protocol, outside), (inside, flows)): ((Protocol, Endpoint), (Endpoint, u64))| {
            NatMapping { proto: protocol.to_string(), inside: end(inside), outside: end(outside), flows }
        };
        Nat { addresses, published, seen, mappings: sorted.into_iter().map(mapping).collect(), missing }
    }
}

/// Address and port.
pub(super) fn end(endpoint: Endpoint) -> String {
    format!("{}:{}", endpoint.v4(), endpoint.port)
}
