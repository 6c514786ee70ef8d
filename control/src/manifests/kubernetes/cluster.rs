use std::net::IpAddr;

use ravelin_config::resources::{Labels, Namespace, Profile, Service, ServicePort, TargetPort};

use super::{labels, network_policy};
use crate::manifests::{
    fields::{At, Fault, Fields},
    object::{Header, Importer},
    rules::{self, port_name, port_number},
};

/// `Namespace`.
pub(super) fn namespace(header: Header, root: &mut Fields<'_>, into: &mut Importer) -> Result<(), Fault> {
    root.ignore(&["spec"]);
    let Header { name, mut labels, .. } = header;
    // A cluster gives each namespace this label, a file need not have it.
    labels.insert("kubernetes.io/metadata.name", name.as_str());
    into.add_namespace(Namespace { name, labels })
}

/// `ServiceAccount`: its labels go to the pods under it, by way of a profile.
pub(super) fn service_account(
    header: Header,
    root: &mut Fields<'_>,
    into: &mut Importer,
) -> Result<(), Fault> {
    root.ignore(&["secrets", "imagePullSecrets", "automountServiceAccountToken"]);
    let Header { name, namespace, labels } = header;
    let mut labels_to_apply: Labels =
        labels.iter().map(|(label, value)| (format!("pcsa.{label}"), value)).collect();
    labels_to_apply.insert("pcsa.projectcalico.org/name", name.as_str());
    into.add_profile(Profile {
        name: service_account_profile(&namespace, &name),
        labels_to_apply,
        ingress: Vec::new(),
        egress: Vec::new(),
    })
}

/// The profile that stands for a service account.
pub(super) fn service_account_profile(namespace: &str, name: &str) -> String {
    format!("ksa.{namespace}.{name}")
}

/// `Service`.
pub(super) fn service(header: Header, root: &mut Fields<'_>, into: &mut Importer) -> Result<(), Fault> {
    let at = root.need("spec")?;
    let mut spec = at.fields()?;
    let external = spec.text("type")? == Some("ExternalName");
    let mut selector = None;
    if let Some(chosen) = spec.get("selector").filter(|_| !external) {
        let terms = labels::equal(&chosen)?;
        // An empty selector chooses nothing; what answers for such a service is told otherwise.
        if !terms.is_empty() {
            selector = Some(rules::conjunction(terms, &chosen)?);
        }
    }
    let mut addresses = Vec::new();
    let given = spec.list("clusterIPs")?;
    for at in given.into_iter().chain(spec.get("clusterIP")) {
        // `None` is the address of a headless service.
        if !matches!(at.text()?, "None") {
            let address: IpAddr = at.parse()?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    let ports = spec.list("ports")?.iter().map(service_port).collect::<Result<_, _>>()?;
    let Header { name, namespace, .. } = header;
    into.add_service(Service { name, namespace: Some(namespace), selector, addresses, ports })
}

fn service_port(at: &At<'_>) -> Result<ServicePort, Fault> {
    let mut fields = at.fields()?;
    let port = port_number(&fields.need("port")?)?;
    let target = match fields.get("targetPort") {
        None => TargetPort::Number(port),
        Some(target) => rules::port(&target, TargetPort::Number, TargetPort::Name)?,
    };
    Ok(ServicePort {
        // Nothing goes by it, so that one that is not a name is left out.
        name: fields.get("name").and_then(|at| port_name(at.text().ok()?, &at).ok()),
        protocol: network_policy::protocol(fields.get("protocol"))?,
        port,
        target,
    })
}
