//! What a rule asks of a flow (1.6). All that it mentions must hold; an empty rule matches everything.

use super::{Effective, Flow, Oracle, identity::SERVICE_ACCOUNT_LABEL};
use ravelin_config::{
    resources::{
        Endpoint, Entity, IcmpMatch, IpVersion, PolicyRule, PortMatch, Service, ServiceAccounts, ServiceRef,
        TargetPort,
    },
    selector::{Expression, Labelled, NAMESPACE_LABEL, Selector},
    types::{IfName, Protocol},
};
use std::net::IpAddr;

/// Which side of a flow an entity is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
}

impl Oracle<'_> {
    /// Whether a rule matches. `namespace` is that of its policy.
    pub(super) fn rule_matches(&self, rule: &PolicyRule, namespace: Option<&str>, flow: &Flow) -> bool {
        version_matches(rule, flow)
            && rule.protocol.is_none_or(|protocol| flow.protocol == protocol)
            && rule.not_protocol.is_none_or(|protocol| flow.protocol != protocol)
            && rule.icmp.is_none_or(|icmp| icmp_matches(icmp, flow))
            && rule.not_icmp.is_none_or(|icmp| !icmp_matches(icmp, flow))
            && self.entity_matches(&rule.source, Side::Source, namespace, flow)
            && self.entity_matches(&rule.destination, Side::Destination, namespace, flow)
    }

    fn entity_matches(&self, entity: &Entity, side: Side, namespace: Option<&str>, flow: &Flow) -> bool {
        let (address, port) = match side {
            Side::Source => (flow.source, flow.source_port),
            Side::Destination => (flow.destination, flow.destination_port),
        };
        let zone = match side {
            Side::Source => flow.zones[0],
            Side::Destination => flow.zones[1],
        };
        let in_one = |zones: &[IfName]| zones.iter().any(|wanted| Some(wanted.as_str()) == zone);
        let any_port =
            |ports: &[PortMatch]| ports.iter().any(|wanted| self.port_matches(wanted, address, port, flow));
        // Domains are kept, but not acted upon: such a rule matches nothing (1.8).
        entity.domains.is_empty()
            && (entity.nets.is_empty() || entity.nets.iter().any(|net| net.contains(&address)))
            && !entity.not_nets.iter().any(|net| net.contains(&address))
            && self.labels_match(entity, namespace, address)
            && entity
                .services
                .as_ref()
                .is_none_or(|service| self.service_matches(service, side, namespace, flow))
            && (entity.ports.is_empty() || any_port(&entity.ports))
            && !any_port(&entity.not_ports)
            && (entity.zones.is_empty() || in_one(&entity.zones))
            && !in_one(&entity.not_zones)
    }

    /// Selector, namespace selector and service accounts are one question, which a single identity of the address must answer
    /// with yes. That an address is unknown answers it with no, and `not_selector` with yes.
    fn labels_match(&self, entity: &Entity, namespace: Option<&str>, address: IpAddr) -> bool {
        let accounts =
            entity.service_accounts.as_ref().filter(|accounts| **accounts != ServiceAccounts::default());
        let selects = entity.selector.is_some() || entity.not_selector.is_some() || accounts.is_some();
        // A namespaced policy that selects at all selects in its own namespace, unless it says where.
        let own = namespace.filter(|_| selects && entity.namespace_selector.is_none());
        let asked = entity.selector.is_some()
            || accounts.is_some()
            || entity.namespace_selector.is_some()
            || own.is_some();
        let chosen = |labels: &Effective| {
            entity.selector.as_ref().is_none_or(|selector| selector.matches(labels))
                && accounts.is_none_or(|accounts| accounts_match(accounts, labels))
                && entity.namespace_selector.as_ref().is_none_or(|selector| in_namespace(selector, labels))
                && own.is_none_or(|own| labels.label(NAMESPACE_LABEL) == Some(own))
        };
        let identities = self.identities_of(address);
        (!asked || identities.iter().any(|labels| chosen(labels)))
            && !entity
                .not_selector
                .as_ref()
                .is_some_and(|selector| identities.iter().any(|labels| selector.matches(*labels)))
    }

    /// A number, or a name that the endpoint of the address has for this protocol and number.
    fn port_matches(&self, wanted: &PortMatch, address: IpAddr, port: u16, flow: &Flow) -> bool {
        flow.protocol.has_ports()
            && match wanted {
                PortMatch::Range(range) => range.contains(port),
                PortMatch::Named(name) => self
                    .endpoint_of(address)
                    .is_some_and(|(endpoint, _)| declares(endpoint, name, flow.protocol, port)),
            }
    }

    /// As source, an endpoint of the service; as destination, one at a target port of the service.
    fn service_matches(&self, wanted: &ServiceRef, side: Side, namespace: Option<&str>, flow: &Flow) -> bool {
        let namespace = wanted.namespace.as_deref().or(namespace);
        let mut services = self.resources.services.iter();
        let service =
            services.find(|service| service.name == wanted.name && service.namespace.as_deref() == namespace);
        let address = match side {
            Side::Source => flow.source,
            Side::Destination => flow.destination,
        };
        let (Some(service), Some((endpoint, labels))) = (service, self.endpoint_of(address)) else {
            return false;
        };
        let behind = endpoint.namespace == service.namespace
            && service.selector.as_ref().is_some_and(|selector| selector.matches(labels));
        behind
            && match side {
                Side::Source => true,
                Side::Destination => at_target(service, endpoint, flow),
            }
    }
}

/// ICMP is of IPv4, ICMPv6 of IPv6.
fn version_matches(rule: &PolicyRule, flow: &Flow) -> bool {
    let implied = match rule.protocol {
        Some(Protocol::ICMP) => Some(IpVersion::V4),
        Some(Protocol::ICMPV6) => Some(IpVersion::V6),
        Some(_) | None => None,
    };
    [rule.ip_version, implied].into_iter().flatten().all(|version| version == flow.version())
}

fn icmp_matches(wanted: IcmpMatch, flow: &Flow) -> bool {
    let (icmp_type, code) = flow.icmp;
    [Protocol::ICMP, Protocol::ICMPV6].contains(&flow.protocol)
        && wanted.icmp_type == icmp_type
        && wanted.code.is_none_or(|wanted| wanted == code)
}

/// Names and selector must both hold; the selector is about labels of the account.
fn accounts_match(accounts: &ServiceAccounts, labels: &Effective) -> bool {
    let named = |name: &str| accounts.names.iter().any(|wanted| wanted == name);
    (accounts.names.is_empty() || labels.label(SERVICE_ACCOUNT_LABEL).is_some_and(named))
        && accounts.selector.as_ref().is_none_or(|selector| in_account(selector, labels))
}

/// Whether something has a service account like this.
pub(super) fn in_account(selector: &Selector, labels: &Effective) -> bool {
    Selector::new(selector.expression().prefixed("pcsa.")).matches(labels)
}

/// Whether something is in a namespace like this: `all()` is any namespace, `global()` none.
pub(super) fn in_namespace(selector: &Selector, labels: &Effective) -> bool {
    fn any_namespace(expression: Expression) -> Expression {
        let each = |parts: Vec<Expression>| parts.into_iter().map(any_namespace).collect();
        match expression {
            Expression::All => Expression::Has(NAMESPACE_LABEL.to_owned()),
            Expression::Not(inner) => Expression::Not(Box::new(any_namespace(*inner))),
            Expression::And(parts) => Expression::And(each(parts)),
            Expression::Or(parts) => Expression::Or(each(parts)),
            Expression::Global
            | Expression::Has(_)
            | Expression::Compare { .. }
            | Expression::In(..)
            | Expression::NotIn(..) => expression,
        }
    }
    Selector::new(any_namespace(selector.expression().prefixed("pcns."))).matches(labels)
}

fn declares(endpoint: &Endpoint, name: &str, protocol: Protocol, number: u16) -> bool {
    endpoint
        .ports
        .iter()
        .any(|port| (port.name.as_str(), port.protocol, port.port) == (name, protocol, number))
}

fn at_target(service: &Service, endpoint: &Endpoint, flow: &Flow) -> bool {
    service.ports.iter().any(|port| {
        port.protocol == flow.protocol
            && match &port.target {
                TargetPort::Number(number) => *number == flow.destination_port,
                TargetPort::Name(name) => declares(endpoint, name, flow.protocol, flow.destination_port),
            }
    })
}
