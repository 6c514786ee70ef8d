use std::net::IpAddr;

use ravelin_config::{
    resources::{
        Entity, IcmpMatch, IpVersion, PolicyRule, PortMatch, RuleAction, ServiceAccounts, ServiceRef,
    },
    selector::{Expression, Selector},
    types::{IpNet, PortRange, Protocol},
};

use crate::manifests::{
    fields::{At, Fault, Fields},
    object::{Importer, name_of},
    rules::{self, Direction, any, port_name},
};

/// Where the rules stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Global,
    Namespace,
}

/// The rules of one direction.
pub(super) fn all(
    spec: &mut Fields<'_>,
    key: &'static str,
    direction: Direction,
    home: Home,
    into: &mut Importer,
) -> Result<Vec<PolicyRule>, Fault> {
    rules::all(&spec.list(key)?, &mut into.remarks, |at, remarks| {
        let action = || {
            let mut rule = at.fields()?;
            let action = rule.need("action")?;
            match action.text()? {
                "Allow" => Ok((rule, RuleAction::Allow)),
                "Deny" => Ok((rule, RuleAction::Deny)),
                "Log" => Ok((rule, RuleAction::Log)),
                "Pass" => Ok((rule, RuleAction::Pass)),
                _ => Err(action.fault("expected Allow, Deny, Log or Pass")),
            }
        };
        match action() {
            Err(fault) => (RuleAction::Deny, Err(fault)),
            Ok((rule, action)) => {
                let made = content(rule, action, direction, home);
                if made.as_ref().is_ok_and(|rule| !rule.destination.domains.is_empty()) {
                    let fault = at.fault("domains are not acted upon yet");
                    remarks.warning(fault, "they are kept, and the rule matches nothing");
                }
                let made = made.and_then(|rule| rules::legal(rule, at));
                if made.as_ref().is_ok_and(Vec::is_empty) {
                    remarks.warning(at.fault("no address is of both families"), "the rule is left out");
                }
                (action, made)
            }
        }
    })
}

fn content(
    mut rule: Fields<'_>,
    action: RuleAction,
    direction: Direction,
    home: Home,
) -> Result<PolicyRule, Fault> {
    rule.ignore(&["metadata"]);
    if let Some(at) = rule.get("http") {
        return Err(at.fault("what it asks of HTTP cannot be matched"));
    }
    let mut made = PolicyRule {
        protocol: rule.get("protocol").map(|at| protocol(&at)).transpose()?,
        not_protocol: rule.get("notProtocol").map(|at| protocol(&at)).transpose()?,
        icmp: rule.get("icmp").map_or(Ok(None), |at| icmp(&at))?,
        ip_version: rule.get("ipVersion").map(|at| ip_version(&at)).transpose()?,
        ..any(action)
    };
    if let Some(at) = rule.get("notICMP") {
        made.not_icmp = Some(icmp(&at)?.ok_or_else(|| at.fault("`type` is missing"))?);
    }
    if let Some(at) = rule.get("source") {
        let mut source = at.fields()?;
        made.source = entity(&mut source, home)?;
        source.finish()?;
    }
    if let Some(at) = rule.get("destination") {
        let mut destination = at.fields()?;
        made.destination = entity(&mut destination, home)?;
        if let Some(at) = destination.get("domains") {
            if direction == Direction::Ingress || action != RuleAction::Allow {
                return Err(at.fault("domains are possible in egress rules that allow"));
            }
            made.destination.domains = domains(&at)?;
        }
        destination.finish()?;
        let Entity { services, ports, not_ports, .. } = &made.destination;
        if services.is_some() && !(ports.is_empty() && not_ports.is_empty()) {
            return Err(at.fault("`services` cannot stand beside ports"));
        }
    }
    coherent(&made, &rule.at)?;
    rule.finish()?;
    Ok(made)
}

/// That the parts of a rule go together.
fn coherent(rule: &PolicyRule, at: &At<'_>) -> Result<(), Fault> {
    let implied = rules::implied_version(rule.protocol);
    if (rule.icmp.is_some() || rule.not_icmp.is_some()) && implied.is_none() {
        return Err(at.fault("`icmp` needs the protocol ICMP or ICMPv6"));
    }
    if rule.ip_version.is_some_and(|version| implied.is_some_and(|implied| implied != version)) {
        return Err(at.fault("`ipVersion` does not go with the protocol"));
    }
    let has_ports = |entity: &Entity| !entity.ports.is_empty() || !entity.not_ports.is_empty();
    if (has_ports(&rule.source) || has_ports(&rule.destination))
        && !rule.protocol.is_some_and(Protocol::has_ports)
    {
        return Err(at.fault("ports need the protocol TCP, UDP or SCTP"));
    }
    Ok(())
}

/// One side, but for its domains.
fn entity(fields: &mut Fields<'_>, home: Home) -> Result<Entity, Fault> {
    let made = Entity {
        zones: Vec::new(),
        not_zones: Vec::new(),
        nets: nets(fields, "nets")?,
        not_nets: nets(fields, "notNets")?,
        selector: local(fields, "selector")?,
        not_selector: local(fields, "notSelector")?,
        namespace_selector: selector(fields, "namespaceSelector")?,
        service_accounts: fields.get("serviceAccounts").map(|at| service_accounts(&at)).transpose()?,
        services: fields.get("services").map(|at| service(&at, home)).transpose()?,
        ports: ports(fields, "ports")?,
        not_ports: ports(fields, "notPorts")?,
        domains: Vec::new(),
    };
    if made.not_nets.iter().any(|net| net.prefix_len() == 0) {
        return Err(fields.at.fault("`notNets` leaves no address"));
    }
    let alone = Entity {
        services: made.services.clone(),
        ports: made.ports.clone(),
        not_ports: made.not_ports.clone(),
        ..Entity::default()
    };
    if made.services.is_some() && made != alone {
        return Err(fields.at.fault("`services` cannot stand beside selectors or networks"));
    }
    Ok(made)
}

/// A selector; `None` if it is absent or empty.
fn selector(fields: &mut Fields<'_>, key: &'static str) -> Result<Option<Selector>, Fault> {
    let at = fields.get(key).filter(|at| !matches!(at.text(), Ok("")));
    at.map(|at| at.parse()).transpose()
}

/// A selector of things, where `global()` has no meaning.
pub(super) fn local(fields: &mut Fields<'_>, key: &'static str) -> Result<Option<Selector>, Fault> {
    let Some(selector) = selector(fields, key)? else { return Ok(None) };
    if has_global(selector.expression()) {
        return Err(fields.at.fault(format_args!("`global()` has no meaning in `{key}`")));
    }
    Ok(Some(selector))
}

fn has_global(expression: &Expression) -> bool {
    match expression {
        Expression::Global => true,
        Expression::Not(inner) => has_global(inner),
        Expression::And(parts) | Expression::Or(parts) => parts.iter().any(has_global),
        Expression::All
        | Expression::Has(_)
        | Expression::Compare { .. }
        | Expression::In(..)
        | Expression::NotIn(..) => false,
    }
}

fn service_accounts(at: &At<'_>) -> Result<ServiceAccounts, Fault> {
    let mut fields = at.fields()?;
    let names = fields.list("names")?.iter().map(name_of).collect::<Result<_, _>>()?;
    let selector = local(&mut fields, "selector")?;
    fields.finish()?;
    Ok(ServiceAccounts { names, selector })
}

fn service(at: &At<'_>, home: Home) -> Result<ServiceRef, Fault> {
    let mut fields = at.fields()?;
    let service = ServiceRef {
        name: name_of(&fields.need("name")?)?,
        namespace: fields.get("namespace").map(|at| name_of(&at)).transpose()?,
    };
    fields.finish()?;
    if home == Home::Global && service.namespace.is_none() {
        return Err(at.fault("the service of a global policy needs a `namespace`"));
    }
    Ok(service)
}

fn nets(fields: &mut Fields<'_>, key: &'static str) -> Result<Vec<IpNet>, Fault> {
    fields.list(key)?.iter().map(net).collect()
}

/// A network, or an address that stands for itself.
pub(super) fn net(at: &At<'_>) -> Result<IpNet, Fault> {
    let text = at.text()?;
    let net = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse::<IpNet>());
    net.map(|net| net.trunc()).map_err(|_| at.fault("expected an address or network"))
}

/// Names of domains, of which one label may be a star.
pub(super) fn domains(at: &At<'_>) -> Result<Vec<String>, Fault> {
    let label = |label: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        label == "*" || (1..=63).contains(&label.len()) && label.bytes().all(legal)
    };
    let domain = |at: At<'_>| {
        let text = at.text()?;
        let stars = text.matches('*').count();
        if text.len() > 253 || stars > 1 || text.ends_with('*') || !text.split('.').all(label) {
            return Err(at.fault("expected the name of a domain, of which one label may be a star"));
        }
        Ok(text.to_owned())
    };
    at.list()?.map(domain).collect()
}

/// A protocol by name or number.
fn protocol(at: &At<'_>) -> Result<Protocol, Fault> {
    let protocol: Protocol = at.parse()?;
    if protocol.0 == 0 { Err(at.fault("expected a name or a number from 1 to 255")) } else { Ok(protocol) }
}

fn ip_version(at: &At<'_>) -> Result<IpVersion, Fault> {
    match at.text()? {
        "4" => Ok(IpVersion::V4),
        "6" => Ok(IpVersion::V6),
        _ => Err(at.fault("expected 4 or 6")),
    }
}

/// ICMP messages; `None` if it does not say which.
fn icmp(at: &At<'_>) -> Result<Option<IcmpMatch>, Fault> {
    let mut fields = at.fields()?;
    let (icmp_type, code) = (fields.get("type"), fields.get("code"));
    fields.finish()?;
    let code = code.map(|at| at.number()).transpose()?;
    match (icmp_type, code) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(at.fault("`code` needs a `type`")),
        (Some(icmp_type), code) => match icmp_type.number()? {
            u8::MAX => Err(icmp_type.fault("expected a number from 0 to 254")),
            icmp_type => Ok(Some(IcmpMatch { icmp_type, code })),
        },
    }
}

/// Ports by number, range (`1000:2000`) or name.
fn ports(fields: &mut Fields<'_>, key: &'static str) -> Result<Vec<PortMatch>, Fault> {
    let port = |at: &At<'_>| {
        let text = at.text()?;
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') {
            let range: PortRange = at.parse()?;
            return Ok(PortMatch::Range(range));
        }
        port_name(text, at).map(PortMatch::Named)
    };
    fields.list(key)?.iter().map(port).collect()
}
