//! Policies of cluster administrators: `ClusterNetworkPolicy`, and `AdminNetworkPolicy` and `BaselineAdminNetworkPolicy`
//! which came before it.

use ravelin_config::{
    resources::{Entity, OnChange, Order, Policy, PolicyRule, PortMatch, RuleAction, Types},
    selector::Selector,
    types::{IpNet, PortRange, Protocol},
};

use super::{is_pod, labels, network_policy};
use crate::manifests::{
    fields::{At, Fault, Fields},
    object::{Header, Importer},
    rules::{self, Direction, Ports, port_name, port_number},
};

/// In what the kinds differ.
struct Dialect {
    prefix: &'static str,
    /// The word for allowing.
    allow: &'static str,
    /// Where ports are told, and how.
    ports: &'static str,
    port: fn(&At<'_>, &mut Ports) -> Result<(), Fault>,
}

const CLUSTER: Dialect = Dialect { prefix: "kcnp.", allow: "Accept", ports: "protocols", port: protocol };
const ADMIN: Dialect = Dialect { prefix: "kanp.", allow: "Allow", ports: "ports", port };
const BASELINE: Dialect = Dialect { prefix: "kbanp.", ..ADMIN };

/// `ClusterNetworkPolicy`.
pub(super) fn cluster(header: Header, root: &mut Fields<'_>, into: &mut Importer) -> Result<(), Fault> {
    let at = root.need("spec")?;
    let mut spec = at.fields()?;
    let tier = spec.need("tier")?;
    let name = match tier.text()? {
        "Admin" => "kube-admin",
        "Baseline" => "kube-baseline",
        _ => return Err(tier.fault("expected Admin or Baseline")),
    };
    let order = priority(&spec.need("priority")?)?;
    policy(&CLUSTER, (header.name, name, order), spec, into)
}

/// `AdminNetworkPolicy`.
pub(super) fn admin(header: Header, root: &mut Fields<'_>, into: &mut Importer) -> Result<(), Fault> {
    let at = root.need("spec")?;
    let mut spec = at.fields()?;
    let order = priority(&spec.need("priority")?)?;
    policy(&ADMIN, (header.name, "kube-admin", order), spec, into)
}

/// `BaselineAdminNetworkPolicy`, of which a cluster has one.
pub(super) fn baseline(header: Header, root: &mut Fields<'_>, into: &mut Importer) -> Result<(), Fault> {
    /// Its place, as Calico has it.
    const ORDER: f64 = 1000.0;
    let at = root.need("spec")?;
    let order = Order::new(ORDER).unwrap_or_default();
    policy(&BASELINE, (header.name, "kube-baseline", order), at.fields()?, into)
}

fn priority(at: &At<'_>) -> Result<Order, Fault> {
    let priority: u16 = at.number()?;
    match Order::new(priority.into()).filter(|_| priority <= 1000) {
        Some(order) => Ok(order),
        None => Err(at.fault("expected a number from 0 to 1000")),
    }
}

fn policy(
    dialect: &Dialect,
    (name, tier, order): (String, &str, Order),
    mut spec: Fields<'_>,
    into: &mut Importer,
) -> Result<(), Fault> {
    let subject = spec.need("subject")?;
    let mut chosen = subject.fields()?;
    let (selector, namespace_selector) =
        pods(&mut chosen)?.ok_or_else(|| subject.fault("expected `namespaces` or `pods`"))?;
    chosen.finish()?;
    let mut direction = |key, direction| {
        rules::all(&spec.list(key)?, &mut into.remarks, |at, _| rule(dialect, at, direction))
    };
    let ingress = direction("ingress", Direction::Ingress)?;
    let egress = direction("egress", Direction::Egress)?;
    into.ignored(&spec);
    // Their tiers pass at the end, so that a direction without rules is as good as not governed.
    let types = Types { ingress: !ingress.is_empty(), egress: !egress.is_empty() };
    if !types.ingress && !types.egress {
        let fault = spec.at.fault("the policy has no rules");
        into.remarks.warning(fault, "the policy, which would decide nothing, is left out");
        return Ok(());
    }
    into.add_policy(Policy {
        name: format!("{}{name}", dialect.prefix),
        namespace: None,
        tier: tier.to_owned(),
        order,
        staged: None,
        selector,
        namespace_selector: Some(namespace_selector),
        service_account_selector: None,
        types,
        on_change: OnChange::default(),
        ingress,
        egress,
    })
}

/// The selectors of pods and namespaces that `namespaces` or `pods` stands for. `None` if neither does.
fn pods(fields: &mut Fields<'_>) -> Result<Option<(Selector, Selector)>, Fault> {
    let conjunction = |at: &At<'_>| rules::conjunction(labels::terms(at)?, at);
    match (fields.get("namespaces"), fields.get("pods")) {
        (None, None) => Ok(None),
        (Some(namespaces), None) => {
            Ok(Some((rules::conjunction(vec![is_pod()], &namespaces)?, conjunction(&namespaces)?)))
        }
        (None, Some(pods)) => {
            let mut both = pods.fields()?;
            let namespaces =
                both.get("namespaceSelector").map_or(Ok(Selector::all()), |at| conjunction(&at))?;
            let mut selected = vec![is_pod()];
            if let Some(at) = both.get("podSelector") {
                selected.extend(labels::terms(&at)?);
            }
            both.finish()?;
            Ok(Some((rules::conjunction(selected, &pods)?, namespaces)))
        }
        (Some(_), Some(pods)) => Err(pods.fault("`namespaces` and `pods` cannot stand together")),
    }
}

/// A rule and its action. A rule without a legible action is as bad as one that denies.
fn rule(
    dialect: &Dialect,
    at: &At<'_>,
    direction: Direction,
) -> (RuleAction, Result<Vec<PolicyRule>, Fault>) {
    let action = || {
        let mut rule = at.fields()?;
        let action = rule.need("action")?;
        match action.text()? {
            word if word == dialect.allow => Ok((rule, RuleAction::Allow)),
            "Deny" => Ok((rule, RuleAction::Deny)),
            "Pass" => Ok((rule, RuleAction::Pass)),
            _ => Err(action.fault(format_args!("expected {}, Deny or Pass", dialect.allow))),
        }
    };
    match action() {
        Ok((rule, action)) => (action, content(dialect, at, rule, action, direction)),
        Err(fault) => (RuleAction::Deny, Err(fault)),
    }
}

fn content(
    dialect: &Dialect,
    at: &At<'_>,
    mut rule: Fields<'_>,
    action: RuleAction,
    direction: Direction,
) -> Result<Vec<PolicyRule>, Fault> {
    let name = rule.text("name")?.filter(|name| !name.contains(char::is_control)).map(str::to_owned);
    let peers = match direction {
        Direction::Ingress => rule.list("from")?,
        Direction::Egress => rule.list("to")?,
    };
    if peers.is_empty() {
        return Err(at.fault("it names no peer"));
    }
    let peers = peers.iter().map(|at| peer(at, direction)).collect::<Result<_, _>>()?;
    let mut ports = Ports::default();
    for at in rule.list(dialect.ports)? {
        (dialect.port)(&at, &mut ports)?;
    }
    rule.finish()?;
    let mut made = rules::product(action, direction, peers, &ports.merged(), at)?;
    made.iter_mut().for_each(|rule| rule.description = name.clone());
    Ok(made)
}

fn peer(at: &At<'_>, direction: Direction) -> Result<Entity, Fault> {
    let mut peer = at.fields()?;
    let pods = pods(&mut peer)?;
    let networks = match direction {
        Direction::Ingress => Vec::new(),
        Direction::Egress => peer.list("networks")?,
    };
    for key in ["nodes", "domainNames"] {
        if let Some(at) = peer.get(key) {
            return Err(at.fault("such peers are not supported"));
        }
    }
    peer.finish()?;
    match (pods, networks.is_empty()) {
        (Some((selector, namespaces)), true) => {
            Ok(Entity { selector: Some(selector), namespace_selector: Some(namespaces), ..Entity::default() })
        }
        (None, false) => {
            let nets = networks.iter().map(|at| at.parse::<IpNet>().map(|net| net.trunc()));
            Ok(Entity { nets: nets.collect::<Result<_, _>>()?, ..Entity::default() })
        }
        (None, true) => Err(at.fault("it names no peer")),
        (Some(_), false) => Err(at.fault("`networks` cannot stand beside other peers")),
    }
}

/// An item of `protocols`: `tcp`, `udp`, `sctp` or `destinationNamedPort`.
fn protocol(at: &At<'_>, ports: &mut Ports) -> Result<(), Fault> {
    let mut fields = at.fields()?;
    let mut found = 0;
    for (key, protocol) in [("tcp", Protocol::TCP), ("udp", Protocol::UDP), ("sctp", Protocol::SCTP)] {
        let Some(at) = fields.get(key) else { continue };
        found += 1;
        let mut of_protocol = at.fields()?;
        let port = of_protocol.get("destinationPort").map(|at| destination_port(&at)).transpose()?;
        of_protocol.finish()?;
        ports.add(protocol, port);
    }
    if let Some(at) = fields.get("destinationNamedPort") {
        found += 1;
        named_port(&at, ports)?;
    }
    fields.finish()?;
    if found == 1 { Ok(()) } else { Err(at.fault("expected one protocol")) }
}

fn destination_port(at: &At<'_>) -> Result<PortMatch, Fault> {
    let mut fields = at.fields()?;
    let (number, range) = (fields.get("number"), fields.get("range"));
    fields.finish()?;
    match (number, range) {
        (Some(number), None) => Ok(PortMatch::Range(PortRange::single(port_number(&number)?))),
        (None, Some(at)) => {
            let mut fields = at.fields()?;
            let found = range_of(&mut fields)?;
            fields.finish()?;
            Ok(found)
        }
        (None, None) | (Some(_), Some(_)) => Err(at.fault("expected `number` or `range`")),
    }
}

/// An item of `ports`: `portNumber`, `portRange` or `namedPort`.
fn port(at: &At<'_>, ports: &mut Ports) -> Result<(), Fault> {
    let mut fields = at.fields()?;
    let (number, range, name) = (fields.get("portNumber"), fields.get("portRange"), fields.get("namedPort"));
    fields.finish()?;
    match (number, range, name) {
        (Some(number), None, None) => {
            let mut fields = number.fields()?;
            let protocol = network_policy::protocol(fields.get("protocol"))?;
            let port = PortRange::single(port_number(&fields.need("port")?)?);
            ports.add(protocol, Some(PortMatch::Range(port)));
            fields.finish()
        }
        (None, Some(range), None) => {
            let mut fields = range.fields()?;
            let protocol = network_policy::protocol(fields.get("protocol"))?;
            ports.add(protocol, Some(range_of(&mut fields)?));
            fields.finish()
        }
        (None, None, Some(name)) => named_port(&name, ports),
        _ => Err(at.fault("expected one of `portNumber`, `portRange` and `namedPort`")),
    }
}

fn range_of(fields: &mut Fields<'_>) -> Result<PortMatch, Fault> {
    let (start, end) = (port_number(&fields.need("start")?)?, port_number(&fields.need("end")?)?);
    PortRange::new(start, end).map(PortMatch::Range).map_err(|error| fields.at.fault(error))
}

/// A name stands for the ports of every protocol that endpoints call so.
fn named_port(at: &At<'_>, ports: &mut Ports) -> Result<(), Fault> {
    let name = port_name(at.text()?, at)?;
    for protocol in [Protocol::TCP, Protocol::UDP, Protocol::SCTP] {
        ports.add(protocol, Some(PortMatch::Named(name.clone())));
    }
    Ok(())
}
