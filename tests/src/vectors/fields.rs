//! What each field of a rule asks for, and what the resources behind it are. Every vector has one rule, in a policy for the pod
//! `blue/t`, whose tier denies what the rule does not allow.

use super::{Vector, build::*};
use crate::oracle::{Flow, Verdict};
use ravelin_config::{
    resources::{
        Endpoint, EndpointKind, Entity, IcmpMatch, IpVersion, Labels, Policy, PolicyRule, Profile, Resources,
        RuleAction, Service, ServiceAccounts, ServicePort, ServiceRef, TargetPort,
    },
    selector::Selector,
    types::Protocol,
};
use std::{path::PathBuf, sync::Arc};

/// `blue/t`, whose policy is asked.
const T: &str = "10.1.0.9";
const T6: &str = "2001:db8:1::9";
const BLUE_A: &str = "10.1.0.1";
const BLUE_B: &str = "10.1.0.2";
const RED_A: &str = "10.2.0.1";
const NODE: &str = "10.9.0.1";
/// In `office`, a global network set.
const OFFICE: &str = "198.51.100.7";
/// In its `except`.
const OFFICE_EXCEPT: &str = "198.51.100.200";
/// In `partners`, a network set of `blue`.
const PARTNER: &str = "203.0.113.7";
/// In no set.
const UNKNOWN: &str = "192.0.2.1";

/// Two namespaces, a node, two network sets, and profiles that let everybody but `blue/t` do as they like.
fn cluster() -> Resources {
    let open = |endpoint| with_profile(endpoint, "default-allow");
    let account =
        |account: &str, endpoint| Endpoint { service_account: Some(account.to_owned()), ..endpoint };
    let robots = Profile { labels_to_apply: labels("pcsa.kind=robot"), ..profile("ksa.blue.robot", vec![]) };
    let target = Endpoint { addresses: nets(&[T, T6]), ..pod("blue", "t", T, "app=t") };
    let a = with_profile(account("robot", pod("blue", "a", BLUE_A, "app=a")), "ksa.blue.robot");
    let node = Endpoint { kind: EndpointKind::Host, ..endpoint("node", NODE, "role=node") };
    Resources {
        namespaces: vec![namespace("blue", "team=one"), namespace("red", "team=two")],
        endpoints: vec![
            target,
            open(with_port(a, "http", Protocol::TCP, 8080)),
            open(with_port(account("human", pod("blue", "b", BLUE_B, "app=b")), "http", Protocol::TCP, 9090)),
            open(pod("red", "a", RED_A, "app=a")),
            open(endpoint("wide", "10.2.0.0/16", "app=wide")),
            open(node),
        ],
        profiles: vec![robots],
        network_sets: vec![
            network_set(None, "office", "zone=office", &["198.51.100.0/24"], &["198.51.100.128/25"]),
            network_set(Some("blue"), "partners", "zone=partner", &["203.0.113.0/24"], &[]),
            network_set(None, "pods", "zone=pods", &["10.1.0.0/16"], &[BLUE_B]),
        ],
        ..Resources::default()
    }
}

/// Whether one rule about flows to (or from, if it opens them) `blue/t` matches.
fn asked(name: &'static str, namespace: Option<&str>, rule: PolicyRule, flow: Flow, matches: bool) -> Vector {
    let mut resources = cluster();
    let out = [T, T6].contains(&flow.source.to_string().as_str());
    let policy = if out { egress("default", "p", vec![rule]) } else { ingress("default", "p", vec![rule]) };
    let namespace = namespace.map(str::to_owned);
    let full = if namespace.is_some() { "blue/default.p" } else { "default.p" };
    resources.policies = vec![Policy { selector: selector("app == 't'"), namespace, ..policy }];
    let own = if matches { format!("0|default|{full}|allow|0") } else { format!("0|default|{full}|deny|-1") };
    let other = if out { flow.destination } else { flow.source };
    let known = resources.endpoints.iter().any(|end| end.addresses.iter().any(|net| net.contains(&other)));
    let open: &[&str] = if known { &["0|__PROFILE__|__PROFILE__.default-allow|allow|0"] } else { &[] };
    let wanted = match (matches, out) {
        (true, true) => outcome(Verdict::Allow, &[&own], open),
        (false, true) => outcome(Verdict::Deny, &[&own], &[]),
        (true, false) => outcome(Verdict::Allow, open, &[&own]),
        (false, false) => outcome(Verdict::Deny, open, &[&own]),
    };
    vector(name, resources, flow, wanted)
}

fn allow() -> PolicyRule {
    rule(RuleAction::Allow)
}

/// A rule of a global policy about the source.
fn source(name: &'static str, entity: Entity, address: &str, matches: bool) -> Vector {
    asked(name, None, from(RuleAction::Allow, entity), tcp(address, T, 80), matches)
}

/// The same in a policy of the namespace `blue`.
fn blue(name: &'static str, entity: Entity, address: &str, matches: bool) -> Vector {
    asked(name, Some("blue"), from(RuleAction::Allow, entity), tcp(address, T, 80), matches)
}

/// All of them.
pub fn vectors() -> Vec<Vector> {
    [
        networks(),
        whose_namespace(),
        own_namespace(),
        accounts(),
        identities(),
        services(),
        ports_of(),
        zones_of(),
        icmps(),
        rest(),
    ]
    .concat()
}

fn networks() -> Vec<Vector> {
    let within = |texts: &[&str]| Entity { nets: nets(texts), ..Entity::default() };
    let outside = |texts: &[&str]| Entity { not_nets: nets(texts), ..Entity::default() };
    let both = || Entity { nets: nets(&["192.0.2.0/24"]), ..outside(&["192.0.2.128/25"]) };
    let also_selected = || Entity { nets: nets(&["10.1.0.0/30"]), ..selected("app == 'a'") };
    let six = |entity: Entity| from(RuleAction::Allow, entity);
    let from_six = || tcp("2001:db8:9::1", T6, 80);
    vec![
        source("nets: first address", within(&["192.0.2.0/24"]), "192.0.2.0", true),
        source("nets: last address", within(&["192.0.2.0/24"]), "192.0.2.255", true),
        source("nets: behind", within(&["192.0.2.0/24"]), "192.0.3.0", false),
        source("nets: one of several", within(&["198.18.0.0/15", "192.0.2.1"]), UNKNOWN, true),
        source("not_nets: inside", outside(&["192.0.2.0/24"]), UNKNOWN, false),
        source("not_nets: outside", outside(&["192.0.2.0/24"]), RED_A, true),
        source("nets and not_nets: in both", both(), "192.0.2.129", false),
        source("nets and not_nets: only in nets", both(), UNKNOWN, true),
        source("nets and selector: both", also_selected(), BLUE_A, true),
        source("nets and selector: only nets", also_selected(), BLUE_B, false),
        source("nets and selector: only selector", also_selected(), RED_A, false),
        asked("nets: IPv4 is no IPv6", None, six(within(&["0.0.0.0/0"])), from_six(), false),
        asked("nets: IPv6", None, six(within(&["2001:db8::/32"])), from_six(), true),
        asked(
            "not_nets: IPv6 is not in a network of IPv4",
            None,
            six(outside(&["10.0.0.0/8"])),
            from_six(),
            true,
        ),
    ]
}

fn in_namespace(text: &str) -> Entity {
    Entity { namespace_selector: Some(selector(text)), ..Entity::default() }
}

/// Global policies: `namespace_selector` and what it does to `selector`.
fn whose_namespace() -> Vec<Vector> {
    let with =
        |namespaces: &str, text: &str| Entity { selector: Some(selector(text)), ..in_namespace(namespaces) };
    let team_one = || in_namespace("team == 'one'");
    let without_b = || Entity { not_selector: Some(selector("app == 'b'")), ..team_one() };
    vec![
        source("global: a selector looks into every namespace", selected("app == 'a'"), RED_A, true),
        source("global: a namespace by its label", team_one(), BLUE_A, true),
        source("global: another namespace", team_one(), RED_A, false),
        source(
            "global: a namespace by its name",
            in_namespace("projectcalico.org/name == 'red'"),
            RED_A,
            true,
        ),
        source("global: a network set of the namespace", team_one(), PARTNER, true),
        source("global: all() is any namespace", in_namespace("all()"), RED_A, true),
        source("global: all() is not a host", in_namespace("all()"), NODE, false),
        source("global: all() is not a global set", in_namespace("all()"), OFFICE, false),
        source("global: global() is a host", in_namespace("global()"), NODE, true),
        source("global: global() is a global set", in_namespace("global()"), OFFICE, true),
        source("global: global() is no pod", in_namespace("global()"), RED_A, false),
        source("global: global() is not the unknown", in_namespace("global()"), UNKNOWN, false),
        source("global: not in a namespace is true of a host", in_namespace("team != 'one'"), NODE, true),
        source("global: within an expression", in_namespace("global() || team == 'two'"), RED_A, true),
        source("global: namespace and selector", with("team == 'one'", "app == 'a'"), BLUE_A, true),
        source("global: namespace without selector", with("team == 'one'", "app == 'a'"), BLUE_B, false),
        source("global: selector without namespace", with("team == 'one'", "app == 'a'"), RED_A, false),
        source("global: namespace and not_selector", without_b(), BLUE_A, true),
        source("global: namespace, but not_selector", without_b(), BLUE_B, false),
        source("global: not_selector alone is not enough", without_b(), UNKNOWN, false),
    ]
}

/// Policies of a namespace: what selects, selects there.
fn own_namespace() -> Vec<Vector> {
    let not_a = || Entity { not_selector: Some(selector("app == 'a'")), ..Entity::default() };
    let office = || Entity { selector: Some(selector("zone == 'office'")), ..in_namespace("global()") };
    let nothing = || Entity { nets: nets(&["0.0.0.0/0"]), ..Entity::default() };
    let no_account = || Entity { service_accounts: Some(ServiceAccounts::default()), ..Entity::default() };
    vec![
        blue("own: a selector stays in the namespace", selected("app == 'a'"), BLUE_A, true),
        blue("own: another namespace", selected("app == 'a'"), RED_A, false),
        blue("own: all() is the namespace", selected("all()"), BLUE_B, true),
        blue("own: all() is not another namespace", selected("all()"), RED_A, false),
        blue("own: a set of the namespace", selected("zone == 'partner'"), PARTNER, true),
        blue("own: a global set is not of the namespace", selected("zone == 'office'"), OFFICE, false),
        blue("own: a global set by global()", office(), OFFICE, true),
        blue("own: not_selector alone is the namespace without", not_a(), BLUE_B, true),
        blue("own: not_selector", not_a(), BLUE_A, false),
        blue("own: not_selector does not reach other namespaces", not_a(), "10.2.0.77", false),
        blue("own: not_selector does not reach the unknown", not_a(), UNKNOWN, false),
        blue("own: nets alone restrict to no namespace", nothing(), UNKNOWN, true),
        blue("own: nothing restricts to no namespace", Entity::default(), RED_A, true),
        blue("own: no service account asked for", no_account(), RED_A, true),
        blue("own: all namespaces", in_namespace("all()"), RED_A, true),
        blue("own: another namespace by its label", in_namespace("team == 'two'"), RED_A, true),
        blue("own: a namespace selector lifts the restriction", in_namespace("team == 'two'"), BLUE_A, false),
    ]
}

fn accounts() -> Vec<Vector> {
    let accounts = |names: &[&str], text: Option<&str>| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let selector = text.map(selector);
        Entity { service_accounts: Some(ServiceAccounts { names, selector }), ..Entity::default() }
    };
    vec![
        source("accounts: one of the names", accounts(&["x", "robot"], None), BLUE_A, true),
        source("accounts: none of the names", accounts(&["x"], None), BLUE_A, false),
        source("accounts: without account", accounts(&["x"], None), RED_A, false),
        source("accounts: by label", accounts(&[], Some("kind == 'robot'")), BLUE_A, true),
        source("accounts: without the label", accounts(&[], Some("kind == 'robot'")), BLUE_B, false),
        source("accounts: name and label", accounts(&["robot"], Some("kind == 'robot'")), BLUE_A, true),
        source("accounts: name, but not label", accounts(&["human"], Some("kind == 'robot'")), BLUE_B, false),
        source("accounts: label, but not name", accounts(&["human"], Some("kind == 'robot'")), BLUE_A, false),
        source("accounts: the unknown has none", accounts(&[], Some("!has(kind)")), UNKNOWN, false),
    ]
}

/// Who an address is.
fn identities() -> Vec<Vector> {
    let both = || selected("app == 'a' && zone == 'pods'");
    vec![
        source("identity: a host", selected("role == 'node'"), NODE, true),
        source("identity: a global set", selected("zone == 'office'"), OFFICE, true),
        source("identity: an exception of a set", selected("zone == 'office'"), OFFICE_EXCEPT, false),
        source("identity: an exception is unknown", selected("all()"), OFFICE_EXCEPT, false),
        source("identity: a set by its name", selected("projectcalico.org/name == 'office'"), OFFICE, true),
        source(
            "identity: a set by its kind",
            selected("projectcalico.org/kind == 'NetworkSet'"),
            OFFICE,
            true,
        ),
        source("identity: an endpoint has no kind", selected("has(projectcalico.org/kind)"), NODE, false),
        source("identity: a prefix stands for its network", selected("app == 'wide'"), "10.2.7.7", true),
        source("identity: the longer prefix is the endpoint", selected("app == 'wide'"), RED_A, false),
        source("identity: an endpoint within a set, as endpoint", selected("app == 'a'"), BLUE_A, true),
        source("identity: an endpoint within a set, as set", selected("zone == 'pods'"), BLUE_A, true),
        source("identity: no mixture of endpoint and set", both(), BLUE_A, false),
        source("identity: has no zone, but its set has", selected("!has(zone)"), BLUE_A, true),
        source("identity: inherited from the namespace", selected("pcns.team == 'two'"), RED_A, true),
        source(
            "identity: the namespace's label",
            selected("projectcalico.org/namespace == 'red'"),
            RED_A,
            true,
        ),
        own_labels_win(),
        from_a_file("identity: a set from a file", OFFICE, true),
        from_a_file("identity: an exception of a set from a file", OFFICE_EXCEPT, false),
    ]
}

/// The networks of `office` stand in a file.
fn from_a_file(name: &'static str, from: &str, matches: bool) -> Vector {
    let mut vector = source(name, selected("zone == 'office'"), from, matches);
    let office = &mut vector.resources.network_sets[0];
    let file = PathBuf::from("office.txt");
    vector.resources.nets_files.insert(file.clone(), Arc::new(std::mem::take(&mut office.nets)));
    office.nets_file = Some(file);
    vector
}

fn own_labels_win() -> Vector {
    let mut vector = source("identity: own labels win", selected("pcns.team == 'own'"), BLUE_A, true);
    vector.resources.endpoints[1].labels = [("pcns.team", "own")].into_iter().collect::<Labels>();
    vector
}

/// A service of `blue` in front of `a` and `b`: 80 is 8080, `web` is the port called http, over UDP 53 is 53.
fn served(mut vector: Vector) -> Vector {
    let port = |protocol, port, target| ServicePort { name: None, protocol, port, target };
    let service = |name: &str, selector: Option<Selector>| Service {
        name: name.to_owned(),
        namespace: Some("blue".to_owned()),
        selector,
        addresses: vec!["10.96.0.1".parse().expect("an address")],
        ports: vec![
            port(Protocol::TCP, 80, TargetPort::Number(8081)),
            port(Protocol::TCP, 81, TargetPort::Name("http".to_owned())),
            port(Protocol::UDP, 53, TargetPort::Number(53)),
        ],
    };
    vector.resources.services =
        vec![service("web", Some(selector("app in {'a', 'b'}"))), service("headless", None)];
    vector
}

fn services() -> Vec<Vector> {
    let entity = |name: &str, namespace: Option<&str>| {
        let service = ServiceRef { name: name.to_owned(), namespace: namespace.map(str::to_owned) };
        Entity { services: Some(service), ..Entity::default() }
    };
    let to = |name, flow, matches| {
        let rule = PolicyRule { destination: entity("web", Some("blue")), ..allow() };
        served(asked(name, None, rule, flow, matches))
    };
    let udp = |address, port| flow(Protocol::UDP, T, address, port);
    vec![
        served(source("service: an endpoint behind it", entity("web", Some("blue")), BLUE_B, true)),
        served(source("service: of its namespace only", entity("web", Some("blue")), RED_A, false)),
        served(source(
            "service: its own address is not behind it",
            entity("web", Some("blue")),
            "10.96.0.1",
            false,
        )),
        served(source("service: without selector", entity("headless", Some("blue")), BLUE_A, false)),
        served(source("service: of no such name", entity("wab", Some("blue")), BLUE_A, false)),
        served(source("service: of no namespace", entity("web", None), BLUE_A, false)),
        served(blue("service: of the policy's namespace", entity("web", None), BLUE_A, true)),
        to("service: a target by number", tcp(T, BLUE_A, 8081), true),
        to("service: the service's number is not the target", tcp(T, BLUE_A, 80), false),
        to("service: a target by name", tcp(T, BLUE_A, 8080), true),
        to("service: a name means another number elsewhere", tcp(T, BLUE_B, 9090), true),
        to("service: the number of another endpoint", tcp(T, BLUE_B, 8080), false),
        to("service: over UDP", udp(BLUE_B, 53), true),
        to("service: not over UDP", udp(BLUE_B, 8081), false),
        to("service: not over TCP", tcp(T, BLUE_B, 53), false),
        to("service: an endpoint that is not behind it", tcp(T, RED_A, 8081), false),
    ]
}

fn ports_of() -> Vec<Vector> {
    let to = |name, texts: &[&str], not: &[&str], flow, matches| {
        let entity = Entity { ports: ports(texts), not_ports: ports(not), ..Entity::default() };
        asked(name, None, to(RuleAction::Allow, Protocol::TCP, entity), flow, matches)
    };
    let from_port = |name, wanted: &str, matches| {
        let entity = Entity { ports: ports(&[wanted]), ..Entity::default() };
        let rule = PolicyRule { protocol: Some(Protocol::TCP), ..from(RuleAction::Allow, entity) };
        asked(name, None, rule, Flow { source_port: 8080, ..tcp(BLUE_A, T, 80) }, matches)
    };
    let selected_name = Entity { ports: ports(&["http"]), ..selected("app == 'b'") };
    let selected_name = PolicyRule { protocol: Some(Protocol::TCP), destination: selected_name, ..allow() };
    vec![
        to("ports: first of a range", &["80:90"], &[], tcp(T, UNKNOWN, 80), true),
        to("ports: last of a range", &["80:90"], &[], tcp(T, UNKNOWN, 90), true),
        to("ports: before a range", &["80:90"], &[], tcp(T, UNKNOWN, 79), false),
        to("ports: behind a range", &["80:90"], &[], tcp(T, UNKNOWN, 91), false),
        to("ports: 0", &["0"], &[], tcp(T, UNKNOWN, 0), true),
        to("ports: 65535", &["1:65535"], &[], tcp(T, UNKNOWN, 65535), true),
        to("ports: a number or a name, by number", &["443", "http"], &[], tcp(T, UNKNOWN, 443), true),
        to("ports: a number or a name, by name", &["443", "http"], &[], tcp(T, BLUE_B, 9090), true),
        to("ports: a name that means another number", &["http"], &[], tcp(T, BLUE_B, 8080), false),
        to("not_ports: in it", &[], &["80:90"], tcp(T, UNKNOWN, 85), false),
        to("not_ports: beside it", &[], &["80:90"], tcp(T, UNKNOWN, 91), true),
        to("not_ports: a name", &[], &["http"], tcp(T, BLUE_A, 8080), false),
        to("not_ports: a name that means another number", &[], &["http"], tcp(T, BLUE_B, 8080), true),
        to("not_ports: a name at an unknown address", &[], &["http"], tcp(T, UNKNOWN, 8080), true),
        to("ports and not_ports", &["80:90"], &["85"], tcp(T, UNKNOWN, 85), false),
        asked("ports: a name and a selector, both", None, selected_name.clone(), tcp(T, BLUE_B, 9090), true),
        asked("ports: a name and a selector, another", None, selected_name, tcp(T, BLUE_A, 8080), false),
        from_port("ports: of the source", "8080", true),
        from_port("ports: of the source, not the destination's", "80", false),
        from_port("ports: of the source, by name", "http", true),
    ]
}

fn icmps() -> Vec<Vector> {
    let echo = IcmpMatch { icmp_type: 8, code: None };
    let unreachable = IcmpMatch { icmp_type: 3, code: Some(4) };
    let four = PolicyRule { protocol: Some(Protocol::ICMP), ..allow() };
    let six = PolicyRule { protocol: Some(Protocol::ICMPV6), ..allow() };
    let ask = |name, icmp: Option<IcmpMatch>, not_icmp: Option<IcmpMatch>, message, matches| {
        let rule = PolicyRule { icmp, not_icmp, ..four.clone() };
        asked(name, None, rule, icmp_flow(message), matches)
    };
    let ping6 = icmp(Protocol::ICMPV6, "2001:db8:9::1", T6, (128, 0));
    let echo6 = IcmpMatch { icmp_type: 128, code: Some(0) };
    let bogus = icmp(Protocol::ICMP, "2001:db8:9::1", T6, (8, 0));
    vec![
        ask("icmp: a type with any code", Some(echo), None, (8, 3), true),
        ask("icmp: another type", Some(echo), None, (0, 0), false),
        ask("icmp: type and code", Some(unreachable), None, (3, 4), true),
        ask("icmp: another code", Some(unreachable), None, (3, 3), false),
        ask("not_icmp: the type", None, Some(echo), (8, 0), false),
        ask("not_icmp: another type", None, Some(echo), (0, 0), true),
        ask("not_icmp: type and code", None, Some(unreachable), (3, 4), false),
        ask("not_icmp: another code", None, Some(unreachable), (3, 3), true),
        asked("icmp: version 6", None, PolicyRule { icmp: Some(echo6), ..six.clone() }, ping6, true),
        asked("icmp: version 6 is another protocol", None, four.clone(), ping6, false),
        asked("icmp: implies IPv4", None, four.clone(), bogus, false),
        asked("icmp: is not TCP", None, four.clone(), tcp(UNKNOWN, T, 80), false),
        asked("icmp: version 6 is not version 4", None, six, icmp_flow((128, 0)), false),
    ]
}

fn icmp_flow(message: (u8, u8)) -> Flow {
    icmp(Protocol::ICMP, UNKNOWN, T, message)
}

fn rest() -> Vec<Vector> {
    let version = |version| PolicyRule { ip_version: Some(version), ..allow() };
    let not_tcp = || PolicyRule { not_protocol: Some(Protocol::TCP), ..allow() };
    let gre = || PolicyRule { protocol: Some(Protocol(47)), ..allow() };
    let named = Entity { domains: vec!["example.com".to_owned()], ..Entity::default() };
    let named = PolicyRule { destination: named, ..allow() };
    let (four, six) = (|| tcp(UNKNOWN, T, 80), || tcp("2001:db8:9::1", T6, 80));
    vec![
        asked("ip_version: 4", None, version(IpVersion::V4), four(), true),
        asked("ip_version: 4, but 6", None, version(IpVersion::V4), six(), false),
        asked("ip_version: 6", None, version(IpVersion::V6), six(), true),
        asked("ip_version: 6, but 4", None, version(IpVersion::V6), four(), false),
        asked("not_protocol: it", None, not_tcp(), four(), false),
        asked("not_protocol: another", None, not_tcp(), flow(Protocol::UDP, UNKNOWN, T, 80), true),
        asked("not_protocol: one without ports", None, not_tcp(), flow(Protocol(47), UNKNOWN, T, 0), true),
        asked("protocol: by number", None, gre(), flow(Protocol(47), UNKNOWN, T, 0), true),
        asked("protocol: another number", None, gre(), flow(Protocol(50), UNKNOWN, T, 0), false),
        asked("domains: match nothing yet", None, named, tcp(T, UNKNOWN, 443), false),
    ]
}

fn zones_of() -> Vec<Vector> {
    let list = |names: &[&str]| names.iter().map(|name| name.parse().expect("a name")).collect();
    type Zones = [Option<&'static str>; 2];
    let ask = |names: [&'static str; 2], zones: &[&str], not: &[&str], found: Zones, matches| {
        let entity = || Entity { zones: list(zones), not_zones: list(not), ..Entity::default() };
        let rule = PolicyRule { source: entity(), ..allow() };
        let twin = PolicyRule { destination: entity(), ..allow() };
        let flow = |zones| Flow { zones, ..tcp(UNKNOWN, T, 80) };
        let ([own, other], [name, twin_name]) = (found, names);
        [
            asked(name, None, rule, flow([own, other]), matches),
            asked(twin_name, None, twin, flow([other, own]), matches),
        ]
    };
    let (inside, outside) = (Some("inside"), Some("outside"));
    let (both, all) = (&["inside", "outside"], &["inside", "outside", "dmz"]);
    let vectors = [
        ask(["from zones: it", "to zones: it"], &["inside"], &[], [inside, None], true),
        ask(["from zones: one", "to zones: one"], both, &[], [inside, outside], true),
        ask(["from zones: another", "to zones: another"], &["inside"], &[], [outside, inside], false),
        ask(["from zones: none", "to zones: none"], &["inside"], &[], [None, inside], false),
        ask(["from not_zones: it", "to not_zones: it"], &[], both, [inside, outside], false),
        ask(["from not_zones: another", "to not_zones: another"], &[], &["dmz"], [outside, inside], true),
        ask(["from not_zones: none", "to not_zones: none"], &[], all, [None, inside], true),
        ask(["from zones, not it", "to zones, not it"], both, &["outside"], [outside, None], false),
        ask(["from zones, left", "to zones, left"], both, &["outside"], [inside, None], true),
        ask(["from zones, nothing", "to zones, nothing"], &["inside"], both, [inside, None], false),
    ];
    vectors.concat()
}
