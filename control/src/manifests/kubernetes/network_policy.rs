use ravelin_config::{
    resources::{Entity, OnChange, Order, Policy, PolicyRule, PortMatch, RuleAction, Types},
    types::{IpNet, PortRange, Protocol},
};

use super::{is_pod, labels};
use crate::manifests::{
    fields::{At, Fault, Fields},
    object::{Header, Importer},
    rules::{self, Direction, Ports, port_number, protocol_with_ports},
};

/// `NetworkPolicy` of `networking.k8s.io/v1`.
pub(super) fn network_policy(
    header: Header,
    root: &mut Fields<'_>,
    into: &mut Importer,
) -> Result<(), Fault> {
    let policy = read(header, root.need("spec")?.fields()?, into)?;
    into.add_policy(policy)
}

/// The policy that the rest of a specification stands for.
pub(in crate::manifests) fn read(
    header: Header,
    mut spec: Fields<'_>,
    into: &mut Importer,
) -> Result<Policy, Fault> {
    /// The place of all policies of Kubernetes in the tier `default`.
    const ORDER: f64 = 1000.0;
    const PREFIX: &str = "knp.default.";
    let mut selected = vec![is_pod()];
    if let Some(at) = spec.get("podSelector") {
        selected.extend(labels::terms(&at)?);
    }
    let (ingress, egress) = (spec.list("ingress")?, spec.list("egress")?);
    let types = types(&spec.list("policyTypes")?, !egress.is_empty())?;
    let mut rules_of = |list: &[At<'_>], direction| {
        rules::all(list, &mut into.remarks, |at, _| (RuleAction::Allow, rule(at, direction)))
    };
    let (mut ingress, mut egress) =
        (rules_of(&ingress, Direction::Ingress)?, rules_of(&egress, Direction::Egress)?);
    rules::only_governed(types, &mut ingress, &mut egress, &mut into.remarks);
    into.ignored(&spec);
    Ok(Policy {
        // One that is tried out may have the name that it would get.
        name: format!("{PREFIX}{}", header.name.strip_prefix(PREFIX).unwrap_or(&header.name)),
        namespace: Some(header.namespace),
        tier: "default".to_owned(),
        order: Order::new(ORDER).unwrap_or_default(),
        staged: None,
        selector: rules::conjunction(selected, &spec.at)?,
        namespace_selector: None,
        service_account_selector: None,
        types,
        on_change: OnChange::default(),
        ingress,
        egress,
    })
}

/// A policy that does not say what it governs governs ingress, and egress if it has rules for that.
fn types(given: &[At<'_>], has_egress: bool) -> Result<Types, Fault> {
    if given.is_empty() {
        return Ok(Types { ingress: true, egress: has_egress });
    }
    let mut types = Types { ingress: false, egress: false };
    for at in given {
        match at.text()? {
            "Ingress" => types.ingress = true,
            "Egress" => types.egress = true,
            _ => return Err(at.fault("expected Ingress or Egress")),
        }
    }
    Ok(types)
}

fn rule(at: &At<'_>, direction: Direction) -> Result<Vec<PolicyRule>, Fault> {
    let mut rule = at.fields()?;
    let peers = rule.list(match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    })?;
    let peers = peers.iter().map(peer).collect::<Result<_, _>>()?;
    let mut ports = Ports::default();
    for at in rule.list("ports")? {
        port(&at, &mut ports)?;
    }
    rule.finish()?;
    rules::product(RuleAction::Allow, direction, peers, &ports.merged(), at)
}

fn peer(at: &At<'_>) -> Result<Entity, Fault> {
    let mut peer = at.fields()?;
    let (block, namespaces, pods) =
        (peer.get("ipBlock"), peer.get("namespaceSelector"), peer.get("podSelector"));
    peer.finish()?;
    match (block, namespaces, pods) {
        (Some(block), None, None) => ip_block(&block),
        (None, None, None) => Err(at.fault("it names no peer")),
        (Some(_), _, _) => Err(at.fault("`ipBlock` cannot stand beside other selectors")),
        (None, namespaces, pods) => {
            let mut selected = vec![is_pod()];
            if let Some(pods) = pods {
                selected.extend(labels::terms(&pods)?);
            }
            let namespaces = namespaces.map(|at| rules::conjunction(labels::terms(&at)?, &at)).transpose()?;
            Ok(Entity {
                selector: Some(rules::conjunction(selected, at)?),
                // Without this, only pods of the policy's own namespace.
                namespace_selector: namespaces,
                ..Entity::default()
            })
        }
    }
}

fn ip_block(at: &At<'_>) -> Result<Entity, Fault> {
    let mut block = at.fields()?;
    let net: IpNet = block.need("cidr")?.parse()?;
    let mut not_nets = Vec::new();
    for at in block.list("except")? {
        let except: IpNet = at.parse()?;
        if !net.contains(&except) || net.trunc() == except.trunc() {
            return Err(at.fault(format_args!("{except} is no part of {net}")));
        }
        not_nets.push(except.trunc());
    }
    block.finish()?;
    Ok(Entity { nets: vec![net.trunc()], not_nets, ..Entity::default() })
}

fn port(at: &At<'_>, ports: &mut Ports) -> Result<(), Fault> {
    let mut port = at.fields()?;
    let protocol = protocol(port.get("protocol"))?;
    let (first, last) = (port.get("port"), port.get("endPort"));
    port.finish()?;
    let single = |number| PortMatch::Range(PortRange::single(number));
    let matched = match (first, last) {
        (None, None) => None,
        (None, Some(last)) => return Err(last.fault("`endPort` needs a `port`")),
        (Some(first), None) => Some(rules::port(&first, single, PortMatch::Named)?),
        (Some(first), Some(last)) => {
            let range = PortRange::new(port_number(&first)?, port_number(&last)?);
            Some(PortMatch::Range(range.map_err(|error| last.fault(error))?))
        }
    };
    ports.add(protocol, matched);
    Ok(())
}

/// TCP, UDP or SCTP; TCP if nothing is said.
pub(super) fn protocol(at: Option<At<'_>>) -> Result<Protocol, Fault> {
    at.map_or(Ok(Protocol::TCP), |at| protocol_with_ports(&at))
}
