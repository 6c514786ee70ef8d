use super::{Rule, cover::Cover, unique};
use crate::model::RuleModel;
use crate::report::{Code, Findings, Place};
use crate::schema::reader::{At, Field};
use crate::types::{IpNet, Protocol};
use std::fmt;

/// Checks the rules, each for itself and each against those before it.
pub(super) fn validate(models: &[RuleModel], findings: &mut Findings) -> Option<Vec<Rule>> {
    unique("rules", models.iter().filter_map(|model| model.name.given()), findings);
    for model in models {
        ports_need_protocol(model, findings);
        families(model, findings);
    }
    let rules: Vec<_> = models.iter().map(rule).collect();
    shadowed(models, &rules, findings);
    rules.into_iter().collect()
}

fn rule(model: &RuleModel) -> Option<Rule> {
    Some(Rule {
        name: model.name.value()?.clone(),
        action: *model.action.value()?,
        direction: *model.direction.value()?,
        protocol: optional(&model.protocol)?.copied(),
        source: elements(&model.source)?,
        destination: elements(&model.destination)?,
        source_ports: elements(&model.source_ports)?,
        destination_ports: elements(&model.destination_ports)?,
    })
}

/// The value of a key that may be absent; `None` if it is unusable.
fn optional<T>(field: &Field<T>) -> Option<Option<&T>> {
    (!field.is_unusable()).then(|| field.value())
}

/// The elements of a list that may be absent; `None` if it is unusable.
fn elements<T: Clone>(field: &Field<Vec<At<T>>>) -> Option<Vec<T>> {
    let elements = optional(field)?.into_iter().flatten();
    Some(elements.map(|at| at.value.clone()).collect())
}

fn ports_need_protocol(model: &RuleModel, findings: &mut Findings) {
    let Some(protocol) = optional(&model.protocol) else { return };
    if protocol.is_some_and(|protocol| protocol.has_ports()) {
        return;
    }
    for (key, field) in
        [("source_ports", &model.source_ports), ("destination_ports", &model.destination_ports)]
    {
        let Some(ports) = field.given() else { continue };
        let message = match protocol {
            Some(protocol) => format!("`{key}` cannot match: the protocol {protocol} has no ports"),
            None => format!("`{key}` needs a protocol that has ports"),
        };
        let finding = findings.add(Code::PortsWithoutProtocol, ports.range.clone(), message);
        finding.help("set protocol to \"tcp\", \"udp\" or \"sctp\"; a rule for two protocols is two rules");
    }
}

/// Which address families packets of a rule may have.
#[derive(Clone, Copy)]
struct Families {
    v4: bool,
    v6: bool,
}

impl Families {
    fn of(field: &Field<Vec<At<IpNet>>>) -> Self {
        field.given().map_or(Self { v4: true, v6: true }, |prefixes| Self {
            v4: prefixes.value.iter().any(|prefix| matches!(prefix.value, IpNet::V4(_))),
            v6: prefixes.value.iter().any(|prefix| matches!(prefix.value, IpNet::V6(_))),
        })
    }
}

impl fmt::Display for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.v4 { "IPv4" } else { "IPv6" })
    }
}

fn families(model: &RuleModel, findings: &mut Findings) {
    let (source, destination) = (Families::of(&model.source), Families::of(&model.destination));
    let both = Families { v4: source.v4 && destination.v4, v6: source.v6 && destination.v6 };
    if let (false, false, Some(range)) = (both.v4, both.v6, range(&model.destination)) {
        let message =
            format!("this rule can never match: its source is {source}, its destination {destination}");
        let finding = findings.add(Code::MixedFamilies, range, message);
        finding.help("a packet has addresses of one family: write one rule for IPv4 and one for IPv6");
        return;
    }
    let Some(protocol) = model.protocol.given() else { return };
    let (other, right) = match protocol.value {
        Protocol::ICMP if !both.v4 => ("IPv6", "icmpv6"),
        Protocol::ICMPV6 if !both.v6 => ("IPv4", "icmp"),
        _ => return,
    };
    let message = format!("the protocol {} does not go with {other} prefixes only", protocol.value);
    let finding = findings.add(Code::IcmpFamily, protocol.range.clone(), message);
    finding.label(format!("did you mean \"{right}\"?"));
}

fn range<T>(field: &Field<T>) -> Option<Place> {
    field.given().map(|at| at.range.clone())
}

/// Warns of rules that an earlier rule leaves nothing to decide.
fn shadowed(models: &[RuleModel], rules: &[Option<Rule>], findings: &mut Findings) {
    let mut earlier: Vec<(Place, &Rule, Cover)> = Vec::new();
    for (model, rule) in models.iter().zip(rules) {
        let (Some(place), Some(rule)) = (range(&model.name), rule) else { continue };
        let cover = Cover::of(rule);
        if let Some((first, by, _)) = earlier.iter().find(|(_, _, other)| other.covers(&cover)) {
            let message =
                format!("rule `{}` never decides: `{}` matches all that it matches", rule.name, by.name);
            let first = findings.position(first);
            let help = if by.action == rule.action {
                format!("`{}` at {first} does the same: one of the two can go", by.name)
            } else {
                format!("`{}` is at {first}: put the narrower rule first", by.name)
            };
            findings.add(Code::Shadowed, place.clone(), message).help(help);
        }
        earlier.push((place, rule, cover));
    }
}
