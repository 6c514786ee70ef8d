use crate::resources::{EndpointKind, Labels, TargetPort};
use crate::schema::{
    entry,
    parser::{
        address, domain, integer, labels, list, path, port_name, prefix, protocol, resource_name, selector,
        target_port, word,
    },
    reader::At,
};
use crate::selector::Selector;
use crate::types::{IpNet, Protocol};
use std::{net::IpAddr, path::PathBuf};

entry! {
    /// A part of a cluster with labels of its own.
    struct NamespaceModel in "namespace" {
        /// What endpoints and policies call it. Unique.
        name: String = Required => resource_name(), Live;
        /// What namespace selectors see.
        labels: Labels = Means("none") => labels(), Live;
    }
}

entry! {
    /// Something that has addresses and that policy protects.
    struct EndpointModel in "endpoint" {
        /// What traces and commands call it. Unique in its namespace.
        name: String = Required => resource_name(), Live;
        /// Where it lives. Hosts live in none.
        namespace: String = Means("none") => resource_name(), Live;
        /// A pod, a container, a virtual machine (`workload`), or a machine whose failsafe ports no policy can shut (`host`).
        kind: EndpointKind = Or(EndpointKind::Workload) => word(), Live;
        /// Its addresses. A prefix stands for a whole network; where endpoints overlap, the longer prefix counts.
        addresses: Vec<At<IpNet>> = Required => list("addresses or prefixes", prefix()).required(), Live;
        /// What selectors see, beside what is inherited from namespace and profiles.
        labels: Labels = Means("none") => labels(), Live;
        /// The identity under which it runs.
        service_account: String = Means("none") => resource_name(), Live;
        /// Profiles that decide, in this order, when no tier has.
        profiles: Vec<At<String>> = Means("none") => list("names of profiles", resource_name()), Live;
    }
    entries {
        /// Ports that rules may name.
        ports: NamedPortModel;
    }
}

entry! {
    /// A port with a name.
    struct NamedPortModel in "endpoint.ports" {
        /// What rules and services call it.
        name: String = Required => port_name(), Live;
        /// `tcp`, `udp` or `sctp`.
        protocol: Protocol = Or(Protocol::TCP) => protocol(), Live;
        /// Its number.
        port: u16 = Required => integer(1..=65535), Live;
    }
}

entry! {
    /// Endpoints that are reached together.
    struct ServiceModel in "service" {
        /// What rules call it. Unique in its namespace.
        name: String = Required => resource_name(), Live;
        /// Where it lives.
        namespace: String = Means("none") => resource_name(), Live;
        /// The endpoints of its namespace that answer for it.
        selector: Selector = Means("no endpoints") => selector(), Live;
        /// Its own addresses.
        addresses: Vec<At<IpAddr>> = Means("none") => list("addresses", address()), Live;
    }
    entries {
        /// Its ports.
        ports: ServicePortModel;
    }
}

entry! {
    /// A port of a service.
    struct ServicePortModel in "service.ports" {
        /// What it is called.
        name: String = Means("none") => port_name(), Live;
        /// `tcp`, `udp` or `sctp`.
        protocol: Protocol = Or(Protocol::TCP) => protocol(), Live;
        /// The number at the service's own addresses.
        port: u16 = Required => integer(1..=65535), Live;
        /// The port of the endpoints behind it, by number or by the name that they give it.
        target: TargetPort = Means("`port`") => target_port(), Live;
    }
}

entry! {
    /// Addresses under common labels. Has at least one of `nets`, `nets_file` and `domains`.
    struct NetworkSetModel in "network_set" {
        /// What flow records call it. Unique in its namespace.
        name: String = Required => resource_name(), Live;
        /// Where it lives.
        namespace: String = Means("global") => resource_name(), Live;
        /// What selectors see.
        labels: Labels = Means("none") => labels(), Live;
        /// The networks.
        nets: Vec<At<IpNet>> = Means("none") => list("addresses or prefixes", prefix()), Live;
        /// A file with one address or prefix in each line, beside `nets`. `#` starts a comment.
        nets_file: PathBuf = Means("none") => path(), Live;
        /// What is not part of the set although `nets` or `nets_file` cover it.
        except: Vec<At<IpNet>> = Means("none") => list("addresses or prefixes", prefix()), Live;
        /// Names whose addresses belong to the set. Kept, but not acted upon yet.
        domains: Vec<At<String>> = Means("none") => list("domain names", domain()), Live;
    }
}
