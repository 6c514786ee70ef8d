//! What holds: tiers, policies, profiles' rules, and selectors over the few labels that there are.

use super::{
    Choices,
    addresses::{Family, any_net, nets},
    population::{ACCOUNTS, LABELS, PORT_NAMES, SERVICES, TEAMS, VALUES, namespace},
};
use ravelin_config::{
    resources::{
        Entity, IcmpMatch, IpVersion, OnChange, Order, Policy, PolicyRule, PortMatch, RateLimit, Resources,
        RuleAction, ServiceAccounts, ServiceRef, StagedAction, Tier, TierDefault, Types,
    },
    selector::{Comparison, Expression, Selector},
    types::{IfName, PortRange, Protocol},
};
use std::time::Duration;

/// Ports that things have and rules ask for.
pub(super) const PORTS: [u16; 8] = [80, 81, 53, 443, 22, 8080, 0, 65535];
/// Zones of interfaces.
pub const ZONES: [&str; 3] = ["inside", "outside", "dmz"];
/// Types and codes of ICMP that rules ask for.
pub(super) const ICMP: [(u8, u8); 5] = [(8, 0), (0, 0), (3, 1), (3, 4), (128, 0)];

/// Adds tiers and policies, and rules to the profiles.
pub(super) fn draw(choices: &mut Choices, resources: &mut Resources) {
    let names = ["default", "kube-admin", "alpha", "beta", "gamma"];
    for name in choices.some(&names) {
        let order = choices.one(&[Order::LAST, number(1.0), number(1.0), number(2.5), number(1_000_000.0)]);
        let default = choices.one(&[TierDefault::Deny, TierDefault::Pass, TierDefault::Pass]);
        resources.tiers.push(Tier { name: name.to_owned(), order, default });
    }
    for _ in 0..choices.below(12) {
        let policy = policy(choices, resources);
        // Unique by tier, namespace and name; staged ones for themselves.
        let key = |policy: &Policy| {
            (policy.tier.clone(), policy.namespace.clone(), policy.name.clone(), policy.staged.is_some())
        };
        if !resources.policies.iter().any(|other| key(other) == key(&policy)) {
            resources.policies.push(policy);
        }
    }
    for profile in &mut resources.profiles {
        profile.ingress = rules(choices, false);
        profile.egress = rules(choices, true);
    }
}

fn number(order: f64) -> Order {
    Order::new(order).expect("it is finite")
}

fn policy(choices: &mut Choices, resources: &Resources) -> Policy {
    let tiers = ["default", "default", "alpha", "beta", "kube-admin", "kube-baseline", "nowhere"];
    let namespace = if choices.chance(2) { namespace(choices, resources) } else { None };
    let types = choices.one(&[(true, false), (true, true), (false, true)]);
    let mut policy = Policy {
        name: choices.one(&["p", "q", "knp.default.p", "r"]).to_owned(),
        tier: choices.one(&tiers).to_owned(),
        order: choices.one(&[Order::LAST, number(1.0), number(1.0), number(-2.0), number(1.5)]),
        staged: choices
            .maybe(3, |choices| choices.one(&[StagedAction::Set, StagedAction::Set, StagedAction::Delete])),
        selector: if choices.chance(3) { selector(choices) } else { Selector::all() },
        namespace_selector: if namespace.is_none() {
            choices.maybe(5, |choices| namespaces(choices, false))
        } else {
            None
        },
        service_account_selector: choices.maybe(8, accounts),
        types: Types { ingress: types.0, egress: types.1 },
        on_change: choices.one(&[OnChange::Drop, OnChange::Keep, OnChange::Reset]),
        ingress: rules(choices, false),
        egress: rules(choices, true),
        namespace,
    };
    if policy.staged == Some(StagedAction::Delete) {
        (policy.ingress, policy.egress) = (Vec::new(), Vec::new());
    }
    policy
}

fn rules(choices: &mut Choices, egress: bool) -> Vec<PolicyRule> {
    (0..choices.below(5)).map(|_| rule(choices, egress)).collect()
}

fn rule(choices: &mut Choices, egress: bool) -> PolicyRule {
    use RuleAction::{Allow, Deny, Log, Pass, Reject};
    let family = Family::draw(choices);
    let protocol = choices.maybe(2, |choices| {
        let (icmp, plain) = match family {
            Family::V4 => (Protocol::ICMP, Protocol(47)),
            Family::V6 => (Protocol::ICMPV6, Protocol(47)),
        };
        choices.one(&[
            Protocol::TCP,
            Protocol::TCP,
            Protocol::TCP,
            Protocol::UDP,
            Protocol::SCTP,
            icmp,
            icmp,
            plain,
        ])
    });
    let is_icmp = protocol.is_some_and(|protocol| [Protocol::ICMP, Protocol::ICMPV6].contains(&protocol));
    let has_ports = protocol.is_some_and(Protocol::has_ports);
    let mut rule = PolicyRule {
        action: choices.one(&[Allow, Deny, Allow, Pass, Log, Reject]),
        description: None,
        ip_version: None,
        protocol,
        not_protocol: None,
        icmp: None,
        not_icmp: None,
        source: entity(choices, family, has_ports),
        destination: entity(choices, family, has_ports),
        rate_limit: choices.maybe(16, |_| RateLimit { flows: 5, per: Duration::from_secs(60) }),
        capture: false,
    };
    if [Log, Pass].contains(&rule.action) {
        rule.rate_limit = None;
    }
    if is_icmp {
        rule.icmp = choices.maybe(2, icmp);
        rule.not_icmp = choices.maybe(3, icmp);
    } else {
        rule.ip_version = choices.maybe(6, |_| match family {
            Family::V4 => IpVersion::V4,
            Family::V6 => IpVersion::V6,
        });
    }
    if rule.protocol.is_none() {
        rule.not_protocol = choices.maybe(4, |choices| {
            choices.one(&[Protocol::TCP, Protocol::UDP, Protocol::ICMP, Protocol::ICMPV6, Protocol(47)])
        });
    }
    // A service in the destination brings its own ports.
    if choices.chance(8) {
        rule.source = served(choices, rule.source);
    }
    if choices.chance(8) {
        let ports = Entity { ports: Vec::new(), not_ports: Vec::new(), ..rule.destination };
        rule.destination = served(choices, ports);
    }
    if egress && choices.chance(32) {
        rule.destination.domains = vec!["example.com".to_owned()];
    }
    rule
}

fn icmp(choices: &mut Choices) -> IcmpMatch {
    let (icmp_type, code) = choices.one(&ICMP);
    IcmpMatch { icmp_type, code: choices.maybe(2, |_| code) }
}

fn entity(choices: &mut Choices, family: Family, has_ports: bool) -> Entity {
    let ports_if = |choices: &mut Choices, times| {
        if has_ports { choices.maybe(times, ports).unwrap_or_default() } else { Vec::new() }
    };
    Entity {
        nets: choices
            .maybe(5, |choices| {
                let mut all = nets(choices, family);
                all.push(any_net(choices, family));
                all.dedup();
                all
            })
            .unwrap_or_default(),
        not_nets: choices.maybe(6, |choices| nets(choices, family)).unwrap_or_default(),
        selector: choices.maybe(3, selector),
        not_selector: choices.maybe(6, selector),
        namespace_selector: choices.maybe(6, |choices| namespaces(choices, true)),
        service_accounts: choices.maybe(8, service_accounts),
        services: None,
        ports: ports_if(choices, 2),
        not_ports: ports_if(choices, 4),
        zones: choices.maybe(8, zones).unwrap_or_default(),
        not_zones: choices.maybe(8, zones).unwrap_or_default(),
        domains: Vec::new(),
    }
}

/// A service is asked for instead of who the address is.
fn served(choices: &mut Choices, entity: Entity) -> Entity {
    let name = choices.one(&SERVICES).to_owned();
    let namespace = choices.maybe(2, |choices| choices.one(&["blue", "red"]).to_owned());
    let (ports, not_ports) = (entity.ports, entity.not_ports);
    Entity { services: Some(ServiceRef { name, namespace }), ports, not_ports, ..Entity::default() }
}

fn ports(choices: &mut Choices) -> Vec<PortMatch> {
    let port = |choices: &mut Choices| match choices.below(4) {
        0 => PortMatch::Range(PortRange::single(choices.one(&PORTS))),
        1 => PortMatch::Named(choices.one(&PORT_NAMES).to_owned()),
        _ => {
            let (one, other) = (choices.one(&PORTS), choices.one(&PORTS));
            PortMatch::Range(PortRange::new(one.min(other), one.max(other)).expect("they are in order"))
        }
    };
    (0..choices.between(1, 3)).map(|_| port(choices)).collect()
}

/// At least one, each once: the list is not empty where it is written.
fn zones(choices: &mut Choices) -> Vec<IfName> {
    let (first, second) = (choices.one(&ZONES), choices.one(&ZONES));
    let names = [Some(first), Some(second).filter(|second| *second != first)];
    names.into_iter().flatten().map(|name| name.parse().expect("it is a name")).collect()
}

fn service_accounts(choices: &mut Choices) -> ServiceAccounts {
    let names = choices.some(&ACCOUNTS.map(str::to_owned));
    ServiceAccounts { names, selector: choices.maybe(2, accounts) }
}

/// A selector over endpoints and network sets.
pub(super) fn selector(choices: &mut Choices) -> Selector {
    let mut labels = LABELS.to_vec();
    labels.extend([
        "app",
        "role",
        "app",
        "role",
        "projectcalico.org/namespace",
        "pcns.team",
        "projectcalico.org/kind",
    ]);
    Selector::new(expression(choices, &labels, false, 2))
}

/// A selector over namespaces; only those in rules may mean what is in none.
fn namespaces(choices: &mut Choices, global: bool) -> Selector {
    Selector::new(expression(choices, &["team", "team", "app", "projectcalico.org/name"], global, 1))
}

/// A selector over service accounts.
fn accounts(choices: &mut Choices) -> Selector {
    Selector::new(expression(choices, &["kind"], false, 1))
}

fn expression(choices: &mut Choices, labels: &[&str], global: bool, depth: usize) -> Expression {
    let label = choices.one(labels).to_owned();
    let mut values = VALUES.to_vec();
    values.extend(if label.ends_with("team") { &TEAMS[..] } else { &["blue", "red"] });
    let value = |choices: &mut Choices| choices.one(&values).to_owned();
    let inner = |choices: &mut Choices| expression(choices, labels, global, depth - 1);
    let forms = if depth > 0 { 10 } else { 7 };
    match choices.below(forms) {
        0 => {
            let comparisons = [
                Comparison::Equal,
                Comparison::Equal,
                Comparison::NotEqual,
                Comparison::Contains,
                Comparison::StartsWith,
                Comparison::EndsWith,
            ];
            Expression::Compare { label, comparison: choices.one(&comparisons), value: value(choices) }
        }
        1 => Expression::Compare { label, comparison: Comparison::Equal, value: value(choices) },
        2 => Expression::Has(label),
        3 => Expression::In(label, (0..choices.below(3)).map(|_| value(choices)).collect()),
        4 => Expression::NotIn(label, (0..choices.below(3)).map(|_| value(choices)).collect()),
        5 if global => Expression::Global,
        5 | 6 => Expression::All,
        7 => Expression::Not(Box::new(inner(choices))),
        8 => Expression::And(vec![inner(choices), inner(choices)]),
        _ => Expression::Or(vec![inner(choices), inner(choices)]),
    }
}
