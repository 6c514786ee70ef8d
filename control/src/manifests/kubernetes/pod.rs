use std::net::IpAddr;

use ravelin_config::{
    resources::{Endpoint, EndpointKind, NamedPort},
    types::IpNet,
};

use super::{ORCHESTRATOR, cluster::service_account_profile, network_policy};
use crate::manifests::{
    fields::{At, Fault, Fields},
    object::{Header, Importer, name_of},
    rules::{port_name, port_number},
};

/// `Pod`: an endpoint with the addresses that its status tells. One without addresses of its own is none.
pub(super) fn pod(header: Header, root: &mut Fields<'_>, into: &mut Importer) -> Result<(), Fault> {
    let at = root.need("spec")?;
    let mut spec = at.fields()?;
    let mut status = root.get("status").map(|at| at.fields()).transpose()?;
    let phase = status.as_mut().map_or(Ok(None), |status| status.text("phase"))?;
    let addresses = status.map_or(Ok(Vec::new()), |mut status| addresses(&mut status))?;
    let missing = if spec.get("hostNetwork").map_or(Ok(false), |at| at.truth())? {
        Some("it uses the network of its host")
    } else if matches!(phase, Some("Succeeded" | "Failed")) {
        Some("it has ended")
    } else if addresses.is_empty() {
        Some("its status tells no address")
    } else {
        None
    };
    if let Some(missing) = missing {
        into.remarks.warning(at.fault(missing), "the pod is left out");
        return Ok(());
    }

    let Header { name, namespace, mut labels } = header;
    let (orchestrator, kubernetes) = ORCHESTRATOR;
    labels.insert(orchestrator, kubernetes);
    let account = spec.get("serviceAccountName").or_else(|| spec.get("serviceAccount"));
    let account = account.map_or(Ok("default".to_owned()), |at| name_of(&at))?;
    let mut ports = Vec::new();
    for container in spec.list("containers")? {
        named_ports(&mut container.fields()?, &mut ports)?;
    }
    for container in spec.list("initContainers")? {
        // One that is always restarted runs beside the others.
        let mut container = container.fields()?;
        if container.text("restartPolicy")? == Some("Always") {
            named_ports(&mut container, &mut ports)?;
        }
    }
    into.add_endpoint(Endpoint {
        name,
        kind: EndpointKind::Workload,
        addresses,
        labels,
        profiles: vec![format!("kns.{namespace}"), service_account_profile(&namespace, &account)],
        service_account: Some(account),
        ports,
        namespace: Some(namespace),
    })
}

fn addresses(status: &mut Fields<'_>) -> Result<Vec<IpNet>, Fault> {
    let mut given: Vec<At<'_>> = Vec::new();
    for at in status.list("podIPs")? {
        given.extend(at.fields()?.get("ip"));
    }
    given.extend(status.get("podIP"));
    let mut addresses = Vec::new();
    for at in given {
        let address = IpNet::from(at.parse::<IpAddr>()?);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn named_ports(container: &mut Fields<'_>, ports: &mut Vec<NamedPort>) -> Result<(), Fault> {
    for at in container.list("ports")? {
        let mut port = at.fields()?;
        let Some(name) = port.get("name") else { continue };
        let named = NamedPort {
            name: port_name(name.text()?, &name)?,
            protocol: network_policy::protocol(port.get("protocol"))?,
            port: port_number(&port.need("containerPort")?)?,
        };
        if !ports.contains(&named) {
            ports.push(named);
        }
    }
    Ok(())
}
