//! Resources of every shape that the language can write.

use proptest::{collection::vec, option, prelude::*, sample::select};
use ravelin_config::resources::{
    Endpoint, EndpointKind, Entity, IcmpMatch, IpVersion, Labels, NamedPort, Namespace, NetworkSet, OnChange,
    Order, Policy, PolicyRule, PortMatch, Profile, RateLimit, Resources, RuleAction, Service,
    ServiceAccounts, ServicePort, ServiceRef, StagedAction, TargetPort, Tier, TierDefault, Types,
};
use ravelin_config::selector::Selector;
use ravelin_config::types::{IpNet, PortRange, Protocol};
use std::{net::IpAddr, time::Duration};

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_.-]{1,12}"
}

fn labels() -> impl Strategy<Value = Labels> {
    let pair = ("[a-z0-9_./-]{1,20}", "[a-zA-Z0-9 '\"\\\\=é日-]{0,20}");
    vec(pair, 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn selector() -> impl Strategy<Value = Selector> {
    let text = prop_oneof![
        Just("all()".to_owned()),
        "[a-z]{1,5} == '[a-z\" ]{0,5}'",
        "[a-z/.]{1,5} != \"[a-z' \\\\]{0,5}\"",
        "!has\\([a-z]{1,4}\\) && \\([a-z]{1,3} in \\{'[a-c]', '[a-c]'\\} \\|\\| [a-z]{1,3} starts with 'é'\\)",
        "[a-z]{1,3} not in \\{\\}",
    ];
    text.prop_map(|text| text.parse().unwrap())
}

fn order() -> impl Strategy<Value = Order> {
    let number = prop_oneof![
        (-1000_i32..1000).prop_map(f64::from),
        any::<f64>(),
        Just(0.0),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE)
    ];
    option::of(number).prop_map(|number| number.and_then(Order::new).unwrap_or(Order::LAST))
}

fn net(v6: bool) -> BoxedStrategy<IpNet> {
    if v6 {
        (any::<[u8; 16]>(), 1_u8..=128)
            .prop_map(|(address, length)| IpNet::new(IpAddr::from(address), length).unwrap().trunc())
            .boxed()
    } else {
        (any::<[u8; 4]>(), 1_u8..=32)
            .prop_map(|(address, length)| IpNet::new(IpAddr::from(address), length).unwrap().trunc())
            .boxed()
    }
}

fn domain() -> impl Strategy<Value = String> {
    "(\\*\\.)?[a-z0-9-]{1,10}(\\.[a-z]{1,5}){0,2}"
}

fn ports() -> impl Strategy<Value = Vec<PortMatch>> {
    let port = prop_oneof![
        any::<u16>().prop_map(|port| PortMatch::Range(PortRange::single(port))),
        (any::<u16>(), any::<u16>())
            .prop_map(|(a, b)| PortMatch::Range(PortRange::new(a.min(b), a.max(b)).unwrap())),
        "[a-z0-9.-]{0,5}[a-z]".prop_map(PortMatch::Named),
    ];
    vec(port, 0..3)
}

fn entity(v6: bool, with_ports: bool, destination: bool) -> impl Strategy<Value = Entity> {
    let accounts = (vec(word(), 0..3), option::of(selector()))
        .prop_map(|(names, selector)| ServiceAccounts { names, selector });
    let service = (word(), option::of(word())).prop_map(|(name, namespace)| ServiceRef { name, namespace });
    let who = (
        vec(net(v6), 0..3),
        vec(net(v6), 0..3),
        option::of(selector()),
        option::of(selector()),
        option::of(prop_oneof![selector(), Just("global()".parse().unwrap())]),
        option::of(accounts),
        option::weighted(0.2, service),
    );
    let what = (ports(), ports(), vec(domain(), 0..2));
    (who, what).prop_map(move |(who, what)| {
        let (nets, not_nets, selector, not_selector, namespace_selector, service_accounts, services) = who;
        let (mut ports, mut not_ports, domains) = what;
        let mut entity = match services {
            Some(services) => Entity { services: Some(services), ..Entity::default() },
            None => Entity {
                nets,
                not_nets,
                selector,
                not_selector,
                namespace_selector,
                service_accounts,
                ..Entity::default()
            },
        };
        if !with_ports || destination && entity.services.is_some() {
            ports.clear();
            not_ports.clear();
        }
        Entity { ports, not_ports, domains, ..std::mem::take(&mut entity) }
    })
}

fn rule() -> impl Strategy<Value = PolicyRule> {
    let protocol = prop_oneof![
        Just(None),
        select(vec![1, 6, 17, 58, 132, 136, 0, 2, 200, 255]).prop_map(|number| Some(Protocol(number)))
    ];
    (protocol, any::<bool>()).prop_flat_map(|(protocol, v6)| {
        let v6 = match protocol {
            Some(Protocol::ICMP) => false,
            Some(Protocol::ICMPV6) => true,
            _ => v6,
        };
        let with_ports = protocol.is_some_and(Protocol::has_ports);
        let is_icmp = matches!(protocol, Some(Protocol::ICMP | Protocol::ICMPV6));
        let icmp = move || {
            let icmp = (0_u8..255, option::of(any::<u8>()))
                .prop_map(|(icmp_type, code)| IcmpMatch { icmp_type, code });
            option::of(icmp).prop_map(move |icmp| icmp.filter(|_| is_icmp))
        };
        let actions =
            [RuleAction::Allow, RuleAction::Deny, RuleAction::Reject, RuleAction::Log, RuleAction::Pass];
        let rate = (1..=u32::MAX, select(vec![1_u64, 60, 3600, 86400]))
            .prop_map(|(flows, seconds)| RateLimit { flows, per: Duration::from_secs(seconds) });
        let version = if v6 { IpVersion::V6 } else { IpVersion::V4 };
        (
            select(actions.to_vec()),
            option::of("[a-z\"'\\\\é日 ]{0,20}"),
            any::<bool>().prop_map(move |given| given.then_some(version)),
            option::of(select(vec![Protocol(7), Protocol(250)])),
            icmp(),
            icmp(),
            entity(v6, with_ports, false),
            entity(v6, with_ports, true),
            option::of(rate),
        )
            .prop_map(
                move |(action, description, ip_version, not, icmp, not_icmp, source, to, rate)| PolicyRule {
                    action,
                    description,
                    ip_version,
                    protocol,
                    not_protocol: not,
                    icmp,
                    not_icmp,
                    source,
                    destination: to,
                    rate_limit: rate.filter(|_| !matches!(action, RuleAction::Log | RuleAction::Pass)),
                    capture: false,
                },
            )
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let types = select(vec![(true, false), (false, true), (true, true)])
        .prop_map(|(ingress, egress)| Types { ingress, egress });
    (
        option::of(word()),
        word(),
        order(),
        option::of(select(vec![StagedAction::Set, StagedAction::Delete])),
        (selector(), option::of(selector()), option::of(selector())),
        types,
        select(vec![OnChange::Keep, OnChange::Drop, OnChange::Reset]),
        vec(rule(), 0..4),
        vec(rule(), 0..4),
    )
        .prop_map(|(namespace, tier, order, staged, selectors, types, on_change, ingress, egress)| {
            let rules = staged != Some(StagedAction::Delete);
            Policy {
                name: String::new(),
                namespace_selector: selectors.1.filter(|_| namespace.is_none()),
                namespace,
                tier,
                order,
                staged,
                selector: selectors.0,
                service_account_selector: selectors.2,
                types,
                on_change,
                ingress: if rules { ingress } else { Vec::new() },
                egress: if rules { egress } else { Vec::new() },
            }
        })
}

fn profile() -> impl Strategy<Value = Profile> {
    (labels(), vec(rule(), 0..3), vec(rule(), 0..3)).prop_map(|(labels_to_apply, ingress, egress)| Profile {
        name: String::new(),
        labels_to_apply,
        ingress,
        egress,
    })
}

fn with_ports() -> impl Strategy<Value = Protocol> {
    select(vec![Protocol::TCP, Protocol::UDP, Protocol::SCTP])
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let port = ("[a-z]{1,8}", with_ports(), 1_u16..).prop_map(|(name, protocol, port)| NamedPort {
        name,
        protocol,
        port,
    });
    (
        option::of(word()),
        any::<bool>(),
        labels(),
        option::of(word()),
        vec(port, 0..3),
        vec(select(vec!["profile-0", "default-allow", "kns.shop"]), 0..3),
    )
        .prop_map(|(namespace, host, labels, service_account, ports, profiles)| Endpoint {
            name: String::new(),
            namespace: namespace.filter(|_| !host),
            kind: if host { EndpointKind::Host } else { EndpointKind::Workload },
            addresses: Vec::new(),
            labels,
            service_account,
            ports,
            profiles: profiles.into_iter().map(str::to_owned).collect(),
        })
}

fn service() -> impl Strategy<Value = Service> {
    let target =
        prop_oneof![(1_u16..).prop_map(TargetPort::Number), "[a-z0-9]{0,5}[a-z]".prop_map(TargetPort::Name)];
    let port = (option::of("[a-z]{1,8}"), with_ports(), 1_u16.., target)
        .prop_map(|(name, protocol, port, target)| ServicePort { name, protocol, port, target });
    (option::of(word()), option::of(selector()), vec(any::<IpAddr>(), 0..3), vec(port, 0..3)).prop_map(
        |(namespace, selector, addresses, ports)| Service {
            name: String::new(),
            namespace,
            selector,
            addresses,
            ports,
        },
    )
}

fn network_set() -> impl Strategy<Value = NetworkSet> {
    let nets = (vec(net(false), 1..4), vec(net(true), 0..3)).prop_map(|(a, b)| [a, b].concat());
    (option::of(word()), labels(), nets, vec(net(true), 0..2), vec(domain(), 0..2)).prop_map(
        |(namespace, labels, nets, except, domains)| NetworkSet {
            name: String::new(),
            namespace,
            labels,
            nets,
            nets_file: None,
            except,
            domains,
        },
    )
}

/// Gives each a name of its own.
fn named<T>(things: &mut [T], kind: &str, name: impl Fn(&mut T) -> &mut String) {
    for (index, thing) in things.iter_mut().enumerate() {
        *name(thing) = format!("{kind}-{index}");
    }
}

/// Resources that the language accepts.
pub(crate) fn resources() -> impl Strategy<Value = Resources> {
    let tier = (order(), select(vec![TierDefault::Deny, TierDefault::Pass]))
        .prop_map(|(order, default)| Tier { name: String::new(), order, default });
    let namespace = labels().prop_map(|labels| Namespace { name: String::new(), labels });
    (
        vec(tier, 0..3),
        vec(policy(), 0..4),
        vec(profile(), 1..3),
        vec(namespace, 0..3),
        vec(endpoint(), 0..4),
        vec(service(), 0..3),
        vec(network_set(), 0..3),
    )
        .prop_map(|(tiers, policies, profiles, namespaces, endpoints, services, network_sets)| {
            let mut all = Resources {
                tiers,
                policies,
                profiles,
                namespaces,
                endpoints,
                services,
                network_sets,
                nets_files: Default::default(),
            };
            named(&mut all.tiers, "tier", |it| &mut it.name);
            named(&mut all.policies, "policy", |it| &mut it.name);
            named(&mut all.profiles, "profile", |it| &mut it.name);
            named(&mut all.namespaces, "namespace", |it| &mut it.name);
            named(&mut all.endpoints, "endpoint", |it| &mut it.name);
            named(&mut all.services, "service", |it| &mut it.name);
            named(&mut all.network_sets, "set", |it| &mut it.name);
            all.namespaces.push(Namespace { name: "shop".to_owned(), labels: Labels::default() });
            for (index, endpoint) in (0_u8..).zip(&mut all.endpoints) {
                endpoint.addresses = vec![
                    IpNet::from(IpAddr::from([10, 0, 0, index])),
                    format!("2001:db8:{index}::/48").parse().unwrap(),
                ];
            }
            all
        })
}
