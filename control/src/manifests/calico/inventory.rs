//! What policies speak of: tiers, profiles, network sets and endpoints.

use ravelin_config::{
    resources::{Endpoint, EndpointKind, Labels, NamedPort, NetworkSet, Order, Profile, Tier, TierDefault},
    types::IpNet,
};

use super::rule::{self, Home};
use crate::manifests::{
    fields::{Fault, Fields},
    object::{Header, Importer, labels, name_of},
    rules::{Direction, port_name, port_number, protocol_with_ports},
};

/// `Tier`.
pub(super) fn tier(header: Header, root: &mut Fields<'_>, into: &mut Importer) -> Result<(), Fault> {
    let Some(at) = root.get("spec") else {
        return into.add_tier(Tier { name: header.name, order: Order::LAST, default: TierDefault::Deny });
    };
    let mut spec = at.fields()?;
    let order = order(&mut spec)?;
    let default = match spec.get("defaultAction") {
        None => TierDefault::Deny,
        Some(at) => match at.text()? {
            "Deny" => TierDefault::Deny,
            "Pass" => TierDefault::Pass,
            _ => return Err(at.fault("expected Deny or Pass")),
        },
    };
    into.ignored(&spec);
    into.add_tier(Tier { name: header.name, order, default })
}

/// The place in an order; without one it is the last.
pub(super) fn order(spec: &mut Fields<'_>) -> Result<Order, Fault> {
    let Some(at) = spec.get("order") else { return Ok(Order::LAST) };
    Order::new(at.number()?).ok_or_else(|| at.fault("expected a finite number"))
}

/// `Profile`.
pub(super) fn profile(header: Header, root: &mut Fields<'_>, into: &mut Importer) -> Result<(), Fault> {
    let mut made = Profile {
        name: header.name,
        labels_to_apply: Labels::default(),
        ingress: Vec::new(),
        egress: Vec::new(),
    };
    if let Some(at) = root.get("spec") {
        let mut spec = at.fields()?;
        made.labels_to_apply = spec.get("labelsToApply").map_or(Ok(Labels::default()), |at| labels(&at))?;
        made.ingress = rule::all(&mut spec, "ingress", Direction::Ingress, Home::Global, into)?;
        made.egress = rule::all(&mut spec, "egress", Direction::Egress, Home::Global, into)?;
        into.ignored(&spec);
    }
    into.add_profile(made)
}

/// `NetworkSet`.
pub(super) fn network_set(header: Header, root: &mut Fields<'_>, into: &mut Importer) -> Result<(), Fault> {
    let namespace = Some(header.namespace);
    set(header.name, namespace, header.labels, root, into)
}

/// `GlobalNetworkSet`.
pub(super) fn global_network_set(
    header: Header,
    root: &mut Fields<'_>,
    into: &mut Importer,
) -> Result<(), Fault> {
    set(header.name, None, header.labels, root, into)
}

fn set(
    name: String,
    namespace: Option<String>,
    labels: Labels,
    root: &mut Fields<'_>,
    into: &mut Importer,
) -> Result<(), Fault> {
    let mut set = NetworkSet {
        name,
        namespace,
        labels,
        nets: Vec::new(),
        nets_file: None,
        except: Vec::new(),
        domains: Vec::new(),
    };
    if let Some(at) = root.get("spec") {
        let mut spec = at.fields()?;
        set.nets = spec.list("nets")?.iter().map(rule::net).collect::<Result<_, _>>()?;
        if let Some(at) = spec.get("allowedEgressDomains") {
            set.domains = rule::domains(&at)?;
            into.remarks.warning(at.fault("domains are not acted upon yet"), "they are kept");
        }
        into.ignored(&spec);
    }
    if set.nets.is_empty() && set.domains.is_empty() {
        into.remarks.note(root.at.fault("it has no networks"), "the set, which matches nothing, is left out");
        return Ok(());
    }
    into.add_network_set(set)
}

/// `HostEndpoint`. Without addresses it would stand for an interface, which policy here does not know.
pub(super) fn host_endpoint(header: Header, root: &mut Fields<'_>, into: &mut Importer) -> Result<(), Fault> {
    let at = root.need("spec")?;
    let mut spec = at.fields()?;
    let addresses = spec.list("expectedIPs")?.iter().map(rule::net).collect::<Result<Vec<_>, _>>()?;
    if addresses.is_empty() {
        return Err(at.fault("it has no `expectedIPs`, and policy here goes by addresses"));
    }
    let ports = ports(&mut spec)?;
    let profiles = names(&mut spec, "profiles")?;
    spec.ignore(&["node", "interfaceName"]);
    into.ignored(&spec);
    into.add_endpoint(Endpoint {
        name: header.name,
        namespace: None,
        kind: EndpointKind::Host,
        addresses,
        labels: header.labels,
        service_account: None,
        ports,
        profiles,
    })
}

/// `WorkloadEndpoint`. That of a pod has the pod's name, so that it is not there twice if the pod is imported as well.
pub(super) fn workload_endpoint(
    header: Header,
    root: &mut Fields<'_>,
    into: &mut Importer,
) -> Result<(), Fault> {
    const ORCHESTRATOR: &str = "projectcalico.org/orchestrator";
    let at = root.need("spec")?;
    let mut spec = at.fields()?;
    let addresses: Vec<IpNet> = spec.list("ipNetworks")?.iter().map(rule::net).collect::<Result<_, _>>()?;
    if addresses.is_empty() {
        into.remarks.warning(at.fault("it has no `ipNetworks`"), "the endpoint is left out");
        return Ok(());
    }
    let Header { name, namespace, mut labels } = header;
    let pod = spec.get("pod").map(|at| name_of(&at)).transpose()?;
    if let Some(at) = spec.get("orchestrator") {
        labels.insert(ORCHESTRATOR, name_of(&at)?);
    }
    let service_account = spec.get("serviceAccountName").map(|at| name_of(&at)).transpose()?;
    let ports = ports(&mut spec)?;
    let profiles = names(&mut spec, "profiles")?;
    spec.ignore(&[
        "workload",
        "node",
        "containerID",
        "endpoint",
        "ipNATs",
        "ipv4Gateway",
        "ipv6Gateway",
        "interfaceName",
        "mac",
        "allowSpoofedSourcePrefixes",
    ]);
    into.ignored(&spec);
    into.add_endpoint(Endpoint {
        name: pod.unwrap_or(name),
        namespace: Some(namespace),
        kind: EndpointKind::Workload,
        addresses,
        labels,
        service_account,
        ports,
        profiles,
    })
}

fn names(spec: &mut Fields<'_>, key: &'static str) -> Result<Vec<String>, Fault> {
    spec.list(key)?.iter().map(name_of).collect()
}

fn ports(spec: &mut Fields<'_>) -> Result<Vec<NamedPort>, Fault> {
    let mut ports = Vec::new();
    for at in spec.list("ports")? {
        let mut port = at.fields()?;
        let name = port.need("name")?;
        let named = NamedPort {
            name: port_name(name.text()?, &name)?,
            protocol: protocol_with_ports(&port.need("protocol")?)?,
            port: port_number(&port.need("port")?)?,
        };
        if !ports.contains(&named) {
            ports.push(named);
        }
    }
    Ok(ports)
}
