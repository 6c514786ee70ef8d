//! Who is there: namespaces, endpoints, services, network sets, profiles' names and labels.

use super::{
    Choices,
    addresses::{Family, nets},
    policies::{PORTS, selector},
};
use ravelin_config::{
    resources::{
        Endpoint, EndpointKind, Labels, NamedPort, Namespace, NetworkSet, Profile, Resources, Service,
        ServicePort, TargetPort,
    },
    types::{IpNet, Protocol},
};

const NAMESPACES: [&str; 4] = ["blue", "red", "green", "grey"];
pub(super) const LABELS: [&str; 2] = ["app", "role"];
pub(super) const VALUES: [&str; 3] = ["a", "b", "ab"];
pub(super) const TEAMS: [&str; 2] = ["one", "two"];
pub(super) const ACCOUNTS: [&str; 2] = ["robot", "human"];
pub(super) const PORT_NAMES: [&str; 2] = ["http", "dns"];
pub(super) const SERVICES: [&str; 2] = ["front", "back"];
pub(super) const PROFILES: [&str; 2] = ["first", "second"];
pub(super) const WITH_PORTS: [Protocol; 3] = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];

pub(super) fn draw(choices: &mut Choices) -> Resources {
    let mut resources = Resources::default();
    for name in &NAMESPACES[..choices.between(2, 4)] {
        let team = choices.maybe(2, |choices| ("team", choices.one(&TEAMS)));
        let own = choices.maybe(4, |choices| ("app", choices.one(&VALUES)));
        resources
            .namespaces
            .push(Namespace { name: (*name).to_owned(), labels: team.into_iter().chain(own).collect() });
    }
    let mut taken = Vec::new();
    for index in 0..choices.between(1, 12) {
        let endpoint = endpoint(choices, &resources, index, &mut taken);
        // All of its addresses may be taken.
        if !endpoint.addresses.is_empty() {
            resources.endpoints.push(endpoint);
        }
    }
    for index in 0..choices.below(5) {
        let set = network_set(choices, &resources, index);
        resources.network_sets.push(set);
    }
    for name in SERVICES {
        if choices.chance(2) {
            let service = service(choices, &resources, name);
            resources.services.push(service);
        }
    }
    for name in PROFILES {
        let inherited = choices.some(&["pcsa.kind", "app", "role"]);
        let labels_to_apply = inherited.into_iter().map(|label| (label, choices.one(&VALUES))).collect();
        resources.profiles.push(Profile {
            name: name.to_owned(),
            labels_to_apply,
            ingress: Vec::new(),
            egress: Vec::new(),
        });
    }
    resources
}

/// One of the namespaces, or none.
pub(super) fn namespace(choices: &mut Choices, resources: &Resources) -> Option<String> {
    let names: Vec<_> = resources.namespaces.iter().map(|namespace| namespace.name.clone()).collect();
    if choices.chance(3) { None } else { Some(choices.one(&names)) }
}

fn labels(choices: &mut Choices) -> Labels {
    LABELS.iter().filter_map(|label| choices.maybe(2, |choices| (*label, choices.one(&VALUES)))).collect()
}

fn endpoint(choices: &mut Choices, resources: &Resources, index: usize, taken: &mut Vec<IpNet>) -> Endpoint {
    let kind = if choices.chance(4) { EndpointKind::Host } else { EndpointKind::Workload };
    let namespace = match kind {
        EndpointKind::Host => None,
        EndpointKind::Workload => namespace(choices, resources),
    };
    let mut addresses = Vec::new();
    for _ in 0..choices.between(1, 2) {
        let family = Family::draw(choices);
        // Whom an address belongs to is defined by the longest prefix only.
        for net in nets(choices, family) {
            if !taken.contains(&net) {
                taken.push(net);
                addresses.push(net);
            }
        }
    }
    let mut profiles = choices.some(&["first", "second", "default-allow"].map(str::to_owned));
    profiles.extend(namespace.as_ref().filter(|_| choices.chance(2)).map(|name| format!("kns.{name}")));
    let mut ports: Vec<NamedPort> = Vec::new();
    for _ in 0..choices.below(4) {
        let port = NamedPort {
            name: choices.one(&PORT_NAMES).to_owned(),
            protocol: choices.one(&WITH_PORTS),
            port: choices.one(&PORTS).max(1),
        };
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    Endpoint {
        name: format!("e{index}"),
        namespace,
        kind,
        addresses,
        labels: labels(choices),
        service_account: choices.maybe(2, |choices| choices.one(&ACCOUNTS).to_owned()),
        ports,
        profiles,
    }
}

fn network_set(choices: &mut Choices, resources: &Resources, index: usize) -> NetworkSet {
    let (family, other) = (Family::draw(choices), Family::draw(choices));
    NetworkSet {
        name: format!("s{index}"),
        namespace: namespace(choices, resources),
        labels: labels(choices),
        nets: nets(choices, family),
        nets_file: None,
        except: choices.maybe(3, |choices| nets(choices, other)).unwrap_or_default(),
        domains: Vec::new(),
    }
}

fn service(choices: &mut Choices, resources: &Resources, name: &str) -> Service {
    let mut ports: Vec<ServicePort> = Vec::new();
    for index in 0..choices.below(4) {
        let target = if choices.chance(2) {
            TargetPort::Name(choices.one(&PORT_NAMES).to_owned())
        } else {
            TargetPort::Number(choices.one(&PORTS).max(1))
        };
        ports.push(ServicePort {
            name: Some(format!("p{index}")),
            protocol: choices.one(&WITH_PORTS),
            port: choices.one(&PORTS).max(1),
            target,
        });
    }
    Service {
        name: name.to_owned(),
        namespace: namespace(choices, resources),
        selector: choices.maybe(8, |_| ()).is_none().then(|| selector(choices)),
        addresses: Vec::new(),
        ports,
    }
}
