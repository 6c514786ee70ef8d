//! Which keys of a rule go with which, as in Calico.

use crate::model::{EntityModel, PolicyRuleModel};
use crate::report::{Code, Findings, Place};
use crate::resources::{IpVersion, RuleAction};
use crate::schema::reader::{At, Field};
use crate::selector::{Expression, Selector};
use crate::types::{IpNet, Protocol};

/// The most networks of one key.
const NETS_MAX: usize = 256;

/// The most ports of one key.
const PORTS_MAX: usize = 50;

/// Reports what does not go together in one rule.
pub(super) fn check(rule: &PolicyRuleModel, findings: &mut Findings) {
    if let (Some(action @ (RuleAction::Log | RuleAction::Pass)), Some(limit)) =
        (rule.action.value(), rule.rate_limit.given())
    {
        let word = if *action == RuleAction::Log { "log" } else { "pass" };
        let message = format!("a rule that says `{word}` has no `rate_limit`");
        let finding = findings.add(Code::Combination, &limit.range, message);
        finding.help("flows beyond the limit are dropped, and such a rule decides nothing");
    }
    icmp_needs_protocol(rule, findings);
    families(rule, findings);
    let entities = [("source", rule.source.as_deref()), ("destination", rule.destination.as_deref())];
    for (side, entity) in entities {
        let Some(entity) = entity else { continue };
        ports_need_protocol(rule, side, entity, findings);
        services_stand_alone(side, entity, findings);
        limits(entity, findings);
        not_everything(entity, findings);
        for selector in [&entity.selector, &entity.not_selector] {
            no_global(selector, findings);
        }
        if let Some(accounts) = &entity.service_accounts {
            no_global(&accounts.selector, findings);
        }
        no_domains(&entity.domains, findings);
    }
}

/// Reports `global()` where it means nothing.
pub(super) fn no_global(selector: &Field<Selector>, findings: &mut Findings) {
    fn mentions(expression: &Expression) -> bool {
        match expression {
            Expression::Global => true,
            Expression::Not(inner) => mentions(inner),
            Expression::And(parts) | Expression::Or(parts) => parts.iter().any(mentions),
            Expression::All
            | Expression::Has(_)
            | Expression::Compare { .. }
            | Expression::In(..)
            | Expression::NotIn(..) => false,
        }
    }
    if let Some(at) = selector.given().filter(|at| mentions(at.value.expression())) {
        let message = "`global()` has no meaning here";
        let finding = findings.add(Code::Combination, &at.range, message);
        finding.help("it may stand in the `namespace_selector` of `source` and `destination` only");
    }
}

/// Warns of domains, about which nothing is known.
pub(super) fn no_domains(domains: &Field<Vec<At<String>>>, findings: &mut Findings) {
    if let Some(domains) = domains.given() {
        let message = "domains are kept, but not acted upon yet";
        let finding = findings.add(Code::NotActedUpon, &domains.range, message);
        finding.help("no address is known to belong to them: a rule that asks for them matches nothing");
    }
}

fn icmp_needs_protocol(rule: &PolicyRuleModel, findings: &mut Findings) {
    let Some(protocol) = rule.protocol.given() else { return };
    if matches!(protocol.value, Protocol::ICMP | Protocol::ICMPV6) {
        return;
    }
    for (key, icmp) in [("icmp", &rule.icmp), ("not_icmp", &rule.not_icmp)] {
        if let Some(kind) = icmp.as_ref().and_then(|icmp| icmp.r#type.given()) {
            let message = format!("`{key}` cannot match: the protocol is {}", protocol.value);
            let finding = findings.add(Code::Combination, &kind.range, message);
            finding.help("set protocol to \"icmp\" or \"icmpv6\"");
        }
    }
}

fn ports_need_protocol(rule: &PolicyRuleModel, side: &str, entity: &EntityModel, findings: &mut Findings) {
    if rule.protocol.is_unusable() || rule.protocol.value().is_some_and(|protocol| protocol.has_ports()) {
        return;
    }
    for (key, ports) in [("ports", &entity.ports), ("not_ports", &entity.not_ports)] {
        let Some(ports) = ports.given() else { continue };
        let message = match rule.protocol.value() {
            Some(protocol) => format!("`{side}.{key}` cannot match: the protocol {protocol} has no ports"),
            None => format!("`{side}.{key}` needs a protocol that has ports"),
        };
        let finding = findings.add(Code::PortsWithoutProtocol, &ports.range, message);
        finding.help("set protocol to \"tcp\", \"udp\" or \"sctp\"; a rule for two protocols is two rules");
    }
}

/// What a service says of itself nothing else may say.
fn services_stand_alone(side: &str, entity: &EntityModel, findings: &mut Findings) {
    if entity.services.is_none() {
        return;
    }
    let accounts = entity.service_accounts.as_ref();
    let accounts = accounts
        .and_then(|it| place(&it.names).or_else(|| place(&it.selector)))
        .map(|place| ("service_accounts", place));
    let others = [
        ("nets", place(&entity.nets)),
        ("not_nets", place(&entity.not_nets)),
        ("selector", place(&entity.selector)),
        ("not_selector", place(&entity.not_selector)),
        ("namespace_selector", place(&entity.namespace_selector)),
    ];
    let ports = [("ports", place(&entity.ports)), ("not_ports", place(&entity.not_ports))];
    let ports = ports.into_iter().filter(|_| side == "destination");
    let others = others.into_iter().chain(ports).filter_map(|(key, place)| Some((key, place?)));
    for (key, place) in others.chain(accounts) {
        let message = format!("`{side}.{key}` does not go with `{side}.services`");
        let finding = findings.add(Code::Combination, place, message);
        finding.help(match key {
            "ports" | "not_ports" => "a service has ports of its own",
            _ => "a service says which endpoints are meant",
        });
    }
}

fn place<T>(field: &Field<T>) -> Option<&Place> {
    field.given().map(|at| &at.range)
}

fn limits(entity: &EntityModel, findings: &mut Findings) {
    let nets = [&entity.nets, &entity.not_nets].map(|nets| (NETS_MAX, "networks", count(nets)));
    let ports = [&entity.ports, &entity.not_ports].map(|ports| (PORTS_MAX, "ports", count(ports)));
    for (max, things, counted) in nets.into_iter().chain(ports) {
        let Some((count, place)) = counted.filter(|(count, _)| *count > max) else { continue };
        let message = format!("a rule has at most {max} {things} in one list, this one has {count}");
        findings.add(Code::Limit, place, message).help(match things {
            "networks" => "put them into a [[network_set]], and choose it with a selector",
            _ => "use ranges such as \"8000-8099\", or several rules",
        });
    }
}

fn count<T>(field: &Field<Vec<At<T>>>) -> Option<(usize, &Place)> {
    field.given().map(|at| (at.value.len(), &at.range))
}

fn not_everything(entity: &EntityModel, findings: &mut Findings) {
    for net in entity.not_nets.given().iter().flat_map(|at| &at.value) {
        if net.value.prefix_len() == 0 {
            let message = format!("`not_nets` with {} leaves nothing to match", net.value);
            let finding = findings.add(Code::Combination, &net.range, message);
            finding.help("for the other version of IP only, write `ip_version`");
        }
    }
}

/// Reports a rule that asks for both versions of IP.
fn families(rule: &PolicyRuleModel, findings: &mut Findings) {
    let version_of = |net: &IpNet| match net {
        IpNet::V4(_) => IpVersion::V4,
        IpNet::V6(_) => IpVersion::V6,
    };
    // What was said first of the version, in words.
    let mut known = rule.ip_version.value().map(|version| (*version, "`ip_version` says so".to_owned()));
    if let Some(protocol) = rule.protocol.given() {
        let implied = match protocol.value {
            Protocol::ICMP => Some(IpVersion::V4),
            Protocol::ICMPV6 => Some(IpVersion::V6),
            _ => None,
        };
        match (implied, &known) {
            (Some(implied), Some((version, _))) if implied != *version => {
                let message = format!("the protocol {} is not one of {version}", protocol.value);
                findings.add(Code::Combination, &protocol.range, message);
                return;
            }
            (Some(implied), None) => known = Some((implied, format!("the protocol is {}", protocol.value))),
            (Some(_), Some(_)) | (None, _) => {}
        }
    }
    let entities = [&rule.source, &rule.destination].into_iter().flatten();
    let lists = entities.flat_map(|entity| [&entity.nets, &entity.not_nets]).filter_map(Field::given);
    for net in lists.flat_map(|list| &list.value) {
        let version = version_of(&net.value);
        match &known {
            None => {
                let said = format!("{} is at {}", net.value, findings.position(&net.range));
                known = Some((version, said));
            }
            Some((expected, said)) if *expected != version => {
                let message = format!("{} does not belong into a rule about {expected}: {said}", net.value);
                let finding = findings.add(Code::MixedFamilies, &net.range, message);
                finding
                    .help("a packet has addresses of one family: write one rule for IPv4 and one for IPv6");
                // One is enough to see what is mixed.
                return;
            }
            Some(_) => {}
        }
    }
}
