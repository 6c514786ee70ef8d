use super::Labels;
use crate::selector::Selector;
use crate::types::{IpNet, Protocol};
use serde::Serialize;
use std::{net::IpAddr, path::PathBuf};

/// What an endpoint is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointKind {
    /// A pod, a container, a virtual machine: it has a namespace, or none.
    #[default]
    Workload,
    /// A machine whose failsafe ports no policy can shut. It has no namespace.
    Host,
}

/// Something that has addresses and that policy protects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Unique among the endpoints of its namespace.
    pub name: String,
    /// Where it lives; `None` for hosts and for workloads outside of any namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Workload or host.
    pub kind: EndpointKind,
    /// Its addresses. A prefix stands for a whole network; where endpoints overlap, the longer prefix counts.
    pub addresses: Vec<IpNet>,
    /// What selectors see, beside what is inherited from namespace and profiles.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The identity under which it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Ports that rules may name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<NamedPort>,
    /// Profiles that decide, in this order, when no tier has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
}

/// A port with a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct NamedPort {
    /// Its name.
    pub name: String,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
}

/// A part of a cluster with labels of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Namespace {
    /// Unique among namespaces.
    pub name: String,
    /// What namespace selectors see.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// Endpoints that are reached together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Unique among the services of its namespace.
    pub name: String,
    /// Where it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The endpoints of its namespace that answer for it; `None` for a service without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// Its own addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Its ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
}

/// One port of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServicePort {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The number at the service's own addresses.
    pub port: u16,
    /// The port of the endpoints behind it.
    pub target: TargetPort,
}

/// The port of an endpoint behind a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum TargetPort {
    /// The same for all endpoints.
    Number(u16),
    /// The port that each endpoint calls so.
    Name(String),
}

/// Addresses under common labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetworkSet {
    /// Unique among the network sets of its namespace.
    pub name: String,
    /// Where it lives; `None` for a global one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What selectors see.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The networks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nets: Vec<IpNet>,
    /// A file with one address or prefix in each line, relative to the working directory; [`super::Resources::nets`] has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nets_file: Option<PathBuf>,
    /// What is not part of the set although `nets` cover it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<IpNet>,
    /// Names whose addresses belong to the set. Kept, but not acted upon yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
}
