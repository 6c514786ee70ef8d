//! What the rules of all families have in common.

use ravelin_config::{
    resources::{Entity, IpVersion, PolicyRule, PortMatch, RuleAction, Types},
    selector::{Expression, Selector},
    types::{IpNet, PortRange, Protocol},
};

use super::{
    fields::{At, Fault},
    remark::Remarks,
};

/// The rules of one direction that Calico allows.
const USUAL_RULES: usize = 1024;
/// The rules of one direction that a policy may become.
const MAX_RULES: usize = 1 << 14;
/// The pairs of a peer and a port that a rule may have.
const MAX_PAIRS: usize = 1 << 18;

/// A rule that matches everything.
pub(super) fn any(action: RuleAction) -> PolicyRule {
    PolicyRule {
        action,
        description: None,
        ip_version: None,
        protocol: None,
        not_protocol: None,
        icmp: None,
        not_icmp: None,
        source: Entity::default(),
        destination: Entity::default(),
        rate_limit: None,
    }
}

/// Which way the flows go that a list of rules is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

/// Takes over a rule. One that could not be understood must not let anything pass: it is left out, or denies everything.
pub(super) fn settle(
    rules: &mut Vec<PolicyRule>,
    action: RuleAction,
    rule: Result<Vec<PolicyRule>, Fault>,
    remarks: &mut Remarks,
) {
    match (rule, action) {
        (Ok(more), _) => rules.extend(more),
        (Err(fault), RuleAction::Allow) => remarks.error(fault, "the rule, which allows, is left out"),
        (Err(fault), RuleAction::Log) => remarks.warning(fault, "the rule, which only logs, is left out"),
        (Err(fault), RuleAction::Deny | RuleAction::Pass | RuleAction::Reject) => {
            remarks.error(fault, "the rule denies everything instead");
            rules.push(any(RuleAction::Deny));
        }
    }
}

/// The rules of one direction, each of which stands at its place.
pub(super) fn all<'n>(
    rules: &[At<'n>],
    remarks: &mut Remarks,
    mut read: impl FnMut(&At<'n>, &mut Remarks) -> (RuleAction, Result<Vec<PolicyRule>, Fault>),
) -> Result<Vec<PolicyRule>, Fault> {
    let mut made = Vec::new();
    for at in rules {
        let (action, rule) = read(at, remarks);
        settle(&mut made, action, rule, remarks);
        if made.len() > MAX_RULES {
            return Err(at.fault(format_args!("the policy has more than {MAX_RULES} rules up to here")));
        }
    }
    if let Some(at) = rules.get(USUAL_RULES) {
        remarks
            .warning(at.fault("Calico allows no more than 1024 rules"), "they are carried over all the same");
    }
    Ok(made)
}

/// One rule for each pair of a peer and a protocol. Without peers or ports it asks for none.
pub(super) fn product(
    action: RuleAction,
    direction: Direction,
    peers: Vec<Entity>,
    ports: &[(Protocol, Vec<PortMatch>)],
    at: &At<'_>,
) -> Result<Vec<PolicyRule>, Fault> {
    let count: usize = ports.iter().map(|(_, ports)| ports.len().max(1)).sum();
    if peers.len().saturating_mul(count) > MAX_PAIRS {
        return Err(at.fault("the rule has too many pairs of a peer and a port"));
    }
    let peers = if peers.is_empty() { vec![Entity::default()] } else { peers };
    let mut rules = Vec::new();
    for peer in peers {
        let mut add = |protocol: Option<Protocol>, ports: &[PortMatch]| {
            let mut rule = PolicyRule { protocol, ..any(action) };
            match direction {
                Direction::Ingress => rule.source = peer.clone(),
                Direction::Egress => rule.destination = peer.clone(),
            }
            rule.destination.ports = ports.to_vec();
            rules.extend(of_one_family(rule));
        };
        if ports.is_empty() {
            add(None, &[]);
        }
        ports.iter().for_each(|(protocol, ports)| add(Some(*protocol), ports));
    }
    Ok(rules)
}

/// The rule, or one for each family of addresses if its networks are of both.
pub(super) fn of_one_family(rule: PolicyRule) -> Vec<PolicyRule> {
    let sides = [&rule.source, &rule.destination];
    let nets = || sides.iter().flat_map(|side| side.nets.iter().chain(&side.not_nets));
    if nets().all(|net| matches!(net, IpNet::V4(_))) || nets().all(|net| matches!(net, IpNet::V6(_))) {
        return vec![rule];
    }
    let of = |version: IpVersion| {
        let same = |net: &IpNet| match net {
            IpNet::V4(_) => version == IpVersion::V4,
            IpNet::V6(_) => version == IpVersion::V6,
        };
        // A side in networks of the other family only matches nothing of this one.
        let impossible = |side: &&Entity| !side.nets.is_empty() && !side.nets.iter().any(same);
        if sides.iter().any(impossible) || rule.ip_version.is_some_and(|wanted| wanted != version) {
            return None;
        }
        let mut rule = PolicyRule { ip_version: Some(version), ..rule.clone() };
        for side in [&mut rule.source, &mut rule.destination] {
            side.nets.retain(same);
            side.not_nets.retain(same);
        }
        Some(rule)
    };
    [IpVersion::V4, IpVersion::V6].into_iter().filter_map(of).collect()
}

/// Ports of one rule, by protocol.
#[derive(Debug, Default)]
pub(super) struct Ports(Vec<(Protocol, Option<Vec<PortMatch>>)>);

impl Ports {
    /// Adds a port, or all ports of the protocol.
    pub(super) fn add(&mut self, protocol: Protocol, port: Option<PortMatch>) {
        let index = self.0.iter().position(|(known, _)| *known == protocol).unwrap_or_else(|| {
            self.0.push((protocol, Some(Vec::new())));
            self.0.len() - 1
        });
        match (port, &mut self.0[index].1) {
            (None, all) => *all = None,
            (Some(_), None) => {}
            (Some(port), Some(ports)) => ports.push(port),
        }
    }

    /// The ports of each protocol, none for all, in ranges that do not touch.
    pub(super) fn merged(self) -> Vec<(Protocol, Vec<PortMatch>)> {
        let merged = |ports: Option<Vec<PortMatch>>| ports.map_or(Vec::new(), merge);
        self.0.into_iter().map(|(protocol, ports)| (protocol, merged(ports))).collect()
    }
}

/// The same ports in ranges that do not touch, then those with names.
fn merge(ports: Vec<PortMatch>) -> Vec<PortMatch> {
    let mut ranges: Vec<PortRange> = Vec::new();
    let mut names = Vec::new();
    for port in ports {
        match port {
            PortMatch::Range(range) => ranges.push(range),
            PortMatch::Named(name) => names.push(name),
        }
    }
    ranges.sort_unstable();
    ranges.dedup_by(|next, before| {
        let touches = next.first() <= before.last().saturating_add(1);
        if let (true, Ok(both)) = (touches, PortRange::new(before.first(), before.last().max(next.last()))) {
            *before = both;
        }
        touches
    });
    names.sort_unstable();
    names.dedup();
    let named = names.into_iter().map(PortMatch::Named);
    ranges.into_iter().map(PortMatch::Range).chain(named).collect()
}

/// The conjunction of some expressions as a selector that can be written and read again.
pub(super) fn conjunction(parts: Vec<Expression>, at: &At<'_>) -> Result<Selector, Fault> {
    let selector = if parts.is_empty() { Selector::all() } else { Selector::new(Expression::And(parts)) };
    match selector.to_string().parse::<Selector>() {
        Ok(again) if again == selector => Ok(selector),
        Ok(_) => Err(at.fault("these labels cannot be written as a selector")),
        Err(error) => Err(at.fault(format_args!("as a selector: {error}"))),
    }
}

/// The rules of directions that are not governed, which nobody would ask, are left out.
pub(super) fn only_governed(
    types: Types,
    ingress: &mut Vec<PolicyRule>,
    egress: &mut Vec<PolicyRule>,
    remarks: &mut Remarks,
) {
    for (governed, rules, field) in
        [(types.ingress, ingress, "spec.ingress"), (types.egress, egress, "spec.egress")]
    {
        if !governed && !rules.is_empty() {
            rules.clear();
            let what = "the types of the policy do not name this direction".to_owned();
            remarks.warning(
                Fault { field: field.to_owned(), line: None, what },
                "its rules, which were never asked, are left out",
            );
        }
    }
}

/// TCP, UDP or SCTP.
pub(super) fn protocol_with_ports(at: &At<'_>) -> Result<Protocol, Fault> {
    let protocol: Protocol = at.parse()?;
    if protocol.has_ports() { Ok(protocol) } else { Err(at.fault("expected TCP, UDP or SCTP")) }
}

/// The name of a port, which has a letter, so that it is no number.
pub(super) fn port_name(name: &str, at: &At<'_>) -> Result<String, Fault> {
    /// As in Calico; Kubernetes allows fewer.
    const MAX: usize = 128;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() <= MAX && name.chars().all(legal) && name.contains(|c: char| c.is_ascii_alphabetic()) {
        Ok(name.to_owned())
    } else {
        Err(at.fault("expected a number or the name of a port"))
    }
}
