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

/// The most rules of one direction, as in Calico.
const RULES_MAX: usize = 1024;
/// The most networks in one list.
const NETS_MAX: usize = 256;
/// The most ports in one list.
const PORTS_MAX: usize = 50;
/// The pairs of a peer and a port that a rule may have.
const PAIRS_MAX: usize = 1 << 18;

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
        capture: false,
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
        if made.len() > RULES_MAX {
            return Err(at.fault(format_args!("the policy has more than {RULES_MAX} rules up to here")));
        }
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
    if peers.len().saturating_mul(count) > PAIRS_MAX {
        return Err(at.fault("the rule has too many pairs of a peer and a port"));
    }
    let mut peers = if peers.is_empty() { vec![Entity::default()] } else { peers };
    if peers.len() * ports.len().max(1) > RULES_MAX {
        peers = joined(peers);
    }
    let mut rules = Vec::new();
    for peer in peers {
        let mut add = |protocol: Option<Protocol>, ports: &[PortMatch]| {
            let mut rule = PolicyRule { protocol, ..any(action) };
            match direction {
                Direction::Ingress => rule.source = peer.clone(),
                Direction::Egress => rule.destination = peer.clone(),
            }
            rule.destination.ports = ports.to_vec();
            rules.extend(legal(rule, at)?);
            Ok(())
        };
        if ports.is_empty() {
            add(None, &[])?;
        }
        ports.iter().try_for_each(|(protocol, ports)| add(Some(*protocol), ports))?;
    }
    Ok(rules)
}

/// The same peers, those that are networks and nothing else as one.
fn joined(peers: Vec<Entity>) -> Vec<Entity> {
    let is_net = |peer: &Entity| *peer == Entity { nets: peer.nets.clone(), ..Entity::default() };
    let (nets, mut others): (Vec<_>, Vec<_>) = peers.into_iter().partition(is_net);
    let nets: Vec<_> = nets.into_iter().flat_map(|peer| peer.nets).collect();
    if !nets.is_empty() {
        others.push(Entity { nets, ..Entity::default() });
    }
    others
}

/// The rule as such rules that are legal: of one family of addresses, and with lists that are not too long. None if it cannot
/// match anything.
pub(super) fn legal(rule: PolicyRule, at: &At<'_>) -> Result<Vec<PolicyRule>, Fault> {
    let sides = [&rule.source, &rule.destination];
    if sides.iter().any(|side| side.not_nets.len() > NETS_MAX || side.not_ports.len() > PORTS_MAX) {
        return Err(
            at.fault(format_args!("more than {NETS_MAX} networks or {PORTS_MAX} ports that must not match"))
        );
    }
    let parts = |length: usize, max: usize| length.div_ceil(max).max(1);
    let count = sides.iter().fold(1_usize, |count, side| {
        count
            .saturating_mul(parts(side.nets.len(), NETS_MAX))
            .saturating_mul(parts(side.ports.len(), PORTS_MAX))
    });
    if count > RULES_MAX {
        return Err(at.fault("the rule has too many networks and ports"));
    }
    let mut rules = of_one_family(rule);
    rules = divided(rules, NETS_MAX, |rule| &mut rule.source.nets);
    rules = divided(rules, NETS_MAX, |rule| &mut rule.destination.nets);
    rules = divided(rules, PORTS_MAX, |rule| &mut rule.source.ports);
    Ok(divided(rules, PORTS_MAX, |rule| &mut rule.destination.ports))
}

/// The same rules, as many as it takes for a list to have no more than `max` members in each.
fn divided<T: Clone>(
    rules: Vec<PolicyRule>,
    max: usize,
    list: fn(&mut PolicyRule) -> &mut Vec<T>,
) -> Vec<PolicyRule> {
    let divide = |mut rule: PolicyRule| {
        let all = std::mem::take(list(&mut rule));
        if all.len() <= max {
            *list(&mut rule) = all;
            return vec![rule];
        }
        let part = |part: &[T]| {
            let mut rule = rule.clone();
            *list(&mut rule) = part.to_vec();
            rule
        };
        all.chunks(max).map(part).collect()
    };
    rules.into_iter().flat_map(divide).collect()
}

/// The version of IP that goes with a protocol.
pub(super) fn implied_version(protocol: Option<Protocol>) -> Option<IpVersion> {
    match protocol {
        Some(Protocol::ICMP) => Some(IpVersion::V4),
        Some(Protocol::ICMPV6) => Some(IpVersion::V6),
        Some(_) | None => None,
    }
}

/// The rule, or one for each family of addresses if it mentions networks of both.
fn of_one_family(rule: PolicyRule) -> Vec<PolicyRule> {
    let version_of = |net: &IpNet| match net {
        IpNet::V4(_) => IpVersion::V4,
        IpNet::V6(_) => IpVersion::V6,
    };
    let wanted = rule.ip_version.or(implied_version(rule.protocol));
    let sides = [&rule.source, &rule.destination];
    let versions = sides.iter().flat_map(|side| side.nets.iter().chain(&side.not_nets)).map(version_of);
    let mut versions = versions.chain(wanted);
    let first = versions.next();
    if versions.all(|version| Some(version) == first) {
        return vec![rule];
    }
    let of = |version: IpVersion| {
        let same = |net: &IpNet| version_of(net) == version;
        // A side in networks of the other family only matches nothing of this one.
        let impossible = |side: &&Entity| !side.nets.is_empty() && !side.nets.iter().any(same);
        if sides.iter().any(impossible) || wanted.is_some_and(|wanted| wanted != version) {
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

/// A port by number, or else by name.
pub(super) fn port<T>(
    at: &At<'_>,
    number: impl FnOnce(u16) -> T,
    name: impl FnOnce(String) -> T,
) -> Result<T, Fault> {
    match at.number_or_text::<u16>()? {
        Ok(_) => port_number(at).map(number),
        Err(text) => port_name(text, at).map(name),
    }
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

/// The number of a port.
pub(super) fn port_number(at: &At<'_>) -> Result<u16, Fault> {
    match at.number()? {
        0 => Err(at.fault("0 is not possible here")),
        number => Ok(number),
    }
}
