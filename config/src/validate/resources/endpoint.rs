//! What does not go together in endpoints, services and network sets.

use super::rule::{no_domains, no_global};
use crate::model::{EndpointModel, Lists, NetworkSetModel};
use crate::report::{Code, Findings};
use crate::resources::EndpointKind;
use crate::schema::reader::Field;
use crate::types::{IpNet, Protocol};
use std::collections::HashMap;

/// Checks endpoints, services and network sets.
pub(super) fn check(lists: &Lists, findings: &mut Findings) {
    let mut taken = HashMap::new();
    for endpoint in &lists.endpoints {
        if let (Some(EndpointKind::Host), Some(namespace)) =
            (endpoint.kind.value(), endpoint.namespace.given())
        {
            let message = "a host has no namespace";
            findings.add(Code::Combination, &namespace.range, message);
        }
        endpoint.ports.iter().for_each(|port| has_ports(&port.protocol, findings));
        addresses(endpoint, &mut taken, findings);
    }
    for service in &lists.services {
        no_global(&service.selector, findings);
        service.ports.iter().for_each(|port| has_ports(&port.protocol, findings));
    }
    for set in &lists.network_sets {
        no_domains(&set.domains, findings);
        not_empty(set, findings);
    }
}

/// The endpoint that has an address.
type Taken<'m> = HashMap<IpNet, &'m EndpointModel>;

/// Reports addresses that another endpoint has. A prefix within that of another endpoint is another matter.
fn addresses<'m>(endpoint: &'m EndpointModel, taken: &mut Taken<'m>, findings: &mut Findings) {
    for address in endpoint.addresses.given().iter().flat_map(|at| &at.value) {
        let other = *taken.entry(address.value).or_insert(endpoint);
        if std::ptr::eq(other, endpoint) {
            continue;
        }
        let message =
            format!("{} and {} both have the address {}", called(other), called(endpoint), address.value);
        let other =
            other.name.given().map(|name| format!("the first is at {}", findings.position(&name.range)));
        let finding = findings.add(Code::AddressTaken, &address.range, message);
        if let Some(help) = other {
            finding.help(help);
        }
    }
}

fn called(endpoint: &EndpointModel) -> String {
    match (endpoint.namespace.value(), endpoint.name.value()) {
        (Some(namespace), Some(name)) => format!("`{namespace}/{name}`"),
        (None, Some(name)) => format!("`{name}`"),
        (_, None) => "an endpoint without a name".to_owned(),
    }
}

fn has_ports(protocol: &Field<Protocol>, findings: &mut Findings) {
    if let Some(protocol) = protocol.given().filter(|protocol| !protocol.value.has_ports()) {
        let message = format!("the protocol {} has no ports", protocol.value);
        let finding = findings.add(Code::PortsWithoutProtocol, &protocol.range, message);
        finding.help("set protocol to \"tcp\", \"udp\" or \"sctp\"");
    }
}

fn not_empty(set: &NetworkSetModel, findings: &mut Findings) {
    let absent = |written: bool, unusable: bool| !written && !unusable;
    let empty = absent(set.nets.given().is_some(), set.nets.is_unusable())
        && absent(set.nets_file.given().is_some(), set.nets_file.is_unusable())
        && absent(set.domains.given().is_some(), set.domains.is_unusable());
    if let Some(name) = set.name.given().filter(|_| empty) {
        let message = format!("the network set `{}` has no networks", name.value);
        findings.add(Code::MissingKey, &name.range, message).help("add `nets`, `nets_file` or `domains`");
    }
}
