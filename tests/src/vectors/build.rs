//! Resources and flows in few words. What is not said has the default of the configuration file.

use super::{Expected, Outcome, Vector};
use crate::oracle::{Flow, Settings, Verdict};
use ravelin_config::{
    resources::{
        Endpoint, EndpointKind, Entity, Labels, NamedPort, Namespace, NetworkSet, OnChange, Order, Policy,
        PolicyRule, PortMatch, Profile, Resources, RuleAction, Tier, TierDefault, Types,
    },
    selector::Selector,
    types::{IpNet, Protocol},
};
use std::net::IpAddr;

/// A selector.
pub fn selector(text: &str) -> Selector {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Labels, written `a=1 b=2`.
pub fn labels(text: &str) -> Labels {
    text.split_whitespace().map(|label| label.split_once('=').expect("written label=value")).collect()
}

/// A prefix or an address.
pub fn net(text: &str) -> IpNet {
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).unwrap_or_else(|_| panic!("{text}"))
}

/// Prefixes or addresses.
pub fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| net(text)).collect()
}

/// Ports: numbers, ranges, or names.
pub fn ports(texts: &[&str]) -> Vec<PortMatch> {
    let port = |text: &&str| match text.parse() {
        Ok(range) => PortMatch::Range(range),
        Err(_) => PortMatch::Named((*text).to_owned()),
    };
    texts.iter().map(port).collect()
}

/// A tier; no order is the last place.
pub fn tier(name: &str, order: Option<f64>, default: TierDefault) -> Tier {
    let order = order.map_or(Order::LAST, |order| Order::new(order).expect("it is finite"));
    Tier { name: name.to_owned(), order, default }
}

/// A workload without namespace, profiles and ports.
pub fn endpoint(name: &str, address: &str, own: &str) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        namespace: None,
        kind: EndpointKind::Workload,
        addresses: vec![net(address)],
        labels: labels(own),
        service_account: None,
        ports: Vec::new(),
        profiles: Vec::new(),
    }
}

/// A workload in a namespace.
pub fn pod(namespace: &str, name: &str, address: &str, own: &str) -> Endpoint {
    Endpoint { namespace: Some(namespace.to_owned()), ..endpoint(name, address, own) }
}

/// The same endpoint with a profile more.
pub fn with_profile(mut endpoint: Endpoint, profile: &str) -> Endpoint {
    endpoint.profiles.push(profile.to_owned());
    endpoint
}

/// The same endpoint with a named port more.
pub fn with_port(mut endpoint: Endpoint, name: &str, protocol: Protocol, port: u16) -> Endpoint {
    endpoint.ports.push(NamedPort { name: name.to_owned(), protocol, port });
    endpoint
}

/// A namespace.
pub fn namespace(name: &str, own: &str) -> Namespace {
    Namespace { name: name.to_owned(), labels: labels(own) }
}

/// A network set.
pub fn network_set(
    namespace: Option<&str>,
    name: &str,
    own: &str,
    members: &[&str],
    except: &[&str],
) -> NetworkSet {
    NetworkSet {
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
        labels: labels(own),
        nets: nets(members),
        nets_file: None,
        except: nets(except),
        domains: Vec::new(),
    }
}

/// A rule that matches everything.
pub fn rule(action: RuleAction) -> PolicyRule {
    PolicyRule {
        action,
        description: None,
        ip_version: None,
        protocol: None,
        not_protocol: None,
        icmp: None,
        not_icmp: None,
        source: Entity::default(),
        destination: Entity::default(),
        rate_limit: None,
        capture: false,
    }
}

/// A rule about a source.
pub fn from(action: RuleAction, source: Entity) -> PolicyRule {
    PolicyRule { source, ..rule(action) }
}

/// A rule about a destination of a protocol.
pub fn to(action: RuleAction, protocol: Protocol, destination: Entity) -> PolicyRule {
    PolicyRule { protocol: Some(protocol), destination, ..rule(action) }
}

/// An entity with a selector.
pub fn selected(text: &str) -> Entity {
    Entity { selector: Some(selector(text)), ..Entity::default() }
}

/// A global policy for everything, without rules and types.
pub fn policy(tier: &str, name: &str) -> Policy {
    Policy {
        name: name.to_owned(),
        namespace: None,
        tier: tier.to_owned(),
        order: Order::LAST,
        staged: None,
        selector: Selector::all(),
        namespace_selector: None,
        service_account_selector: None,
        types: Types { ingress: false, egress: false },
        on_change: OnChange::default(),
        ingress: Vec::new(),
        egress: Vec::new(),
    }
}

/// A global policy for everything that comes in.
pub fn ingress(tier: &str, name: &str, rules: Vec<PolicyRule>) -> Policy {
    Policy { types: Types { ingress: true, egress: false }, ingress: rules, ..policy(tier, name) }
}

/// A global policy for everything that goes out.
pub fn egress(tier: &str, name: &str, rules: Vec<PolicyRule>) -> Policy {
    Policy { types: Types { ingress: false, egress: true }, egress: rules, ..policy(tier, name) }
}

/// The same policy at a place.
pub fn at(order: f64, policy: Policy) -> Policy {
    Policy { order: Order::new(order).expect("it is finite"), ..policy }
}

/// A profile with the same rules both ways.
pub fn profile(name: &str, rules: Vec<PolicyRule>) -> Profile {
    Profile {
        name: name.to_owned(),
        labels_to_apply: Labels::default(),
        ingress: rules.clone(),
        egress: rules,
    }
}

/// Resources of policies and endpoints.
pub fn resources(policies: Vec<Policy>, endpoints: Vec<Endpoint>) -> Resources {
    Resources { policies, endpoints, ..Resources::default() }
}

/// A flow of TCP or UDP, from port 40000.
pub fn flow(protocol: Protocol, source: &str, destination: &str, port: u16) -> Flow {
    let address = |text: &str| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    Flow {
        source: address(source),
        destination: address(destination),
        protocol,
        source_port: if protocol.has_ports() { 40_000 } else { 0 },
        destination_port: port,
        icmp: (0, 0),
        zones: [None; 2],
    }
}

/// A flow of TCP.
pub fn tcp(source: &str, destination: &str, port: u16) -> Flow {
    flow(Protocol::TCP, source, destination, port)
}

/// A message of ICMP or ICMPv6.
pub fn icmp(protocol: Protocol, source: &str, destination: &str, message: (u8, u8)) -> Flow {
    Flow { icmp: message, ..flow(protocol, source, destination, 0) }
}

/// A verdict with its steps.
pub fn outcome(verdict: Verdict, egress: &[&str], ingress: &[&str]) -> Outcome {
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    Outcome { verdict, egress: lines(egress), ingress: lines(ingress) }
}

/// A vector without staged policies, under default settings.
pub fn vector(name: &'static str, resources: Resources, flow: Flow, enforced: Outcome) -> Vector {
    staged(name, resources, flow, enforced.clone(), enforced)
}

/// A vector with another outcome if staged policies were active.
pub fn staged(
    name: &'static str,
    resources: Resources,
    flow: Flow,
    enforced: Outcome,
    pending: Outcome,
) -> Vector {
    Vector { name, resources, settings: Settings::default(), flow, expected: Expected { enforced, pending } }
}
