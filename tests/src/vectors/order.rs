//! Who is asked, in which order, under which name: tiers, both ends of a flow, hosts, staged policies.

use super::{Vector, build::*};
use crate::oracle::{Flow, Settings, Verdict};
use Verdict::{Allow, Deny, Reject};
use ravelin_config::{
    resources::{
        Endpoint, EndpointKind, Entity, Failsafe, Policy, PolicyRule, Profile, Resources, RuleAction,
        StagedAction, TierDefault, Types,
    },
    types::Protocol,
};

const A: &str = "10.0.0.1";
const B: &str = "10.0.0.2";
const UNKNOWN: &str = "203.0.113.9";
const OPEN: &str = "0|__PROFILE__|__PROFILE__.default-allow|allow|0";

fn act(action: RuleAction) -> Vec<PolicyRule> {
    vec![rule(action)]
}

/// `a` and `b`, which may do everything unless a policy says otherwise.
fn pair() -> Vec<Endpoint> {
    [("a", A), ("b", B)]
        .map(|(name, address)| with_profile(endpoint(name, address, &format!("app={name}")), "default-allow"))
        .into()
}

fn only(text: &str, policy: Policy) -> Policy {
    Policy { selector: selector(text), ..policy }
}

/// All of them.
pub fn vectors() -> Vec<Vector> {
    [tiers(), policies(), both_ends(), hosts(), profiles(), names(), staging(), chosen()].concat()
}

fn tiers() -> Vec<Vector> {
    let ask = |name, tiers, policies, wanted: &[&str], verdict| {
        let resources = Resources { tiers, ..resources(policies, pair()) };
        vector(name, resources, tcp(UNKNOWN, B, 80), outcome(verdict, &[], wanted))
    };
    let allow = |tier: &str| ingress(tier, "p", act(RuleAction::Allow));
    let silent = |tier: &str| ingress(tier, "p", vec![]);
    let pass = |name: &str, order| tier(name, order, TierDefault::Pass);
    vec![
        ask(
            "tiers: by order, not by name or place",
            vec![pass("a", Some(3.0)), pass("c", Some(1.0)), pass("b", Some(-2.5))],
            vec![silent("a"), silent("b"), silent("c")],
            &[
                "0|b|b.p|pass|-1",
                "1|c|c.p|pass|-1",
                "2|a|a.p|pass|-1",
                "3|__PROFILE__|__PROFILE__.default-allow|allow|0",
            ],
            Allow,
        ),
        ask(
            "tiers: equal order by name",
            vec![pass("b", Some(1.0)), pass("a", Some(1.0))],
            vec![allow("b"), silent("a")],
            &["0|a|a.p|pass|-1", "1|b|b.p|allow|0"],
            Allow,
        ),
        ask(
            "tiers: without order behind every order",
            vec![pass("a", None), pass("z", Some(1e300))],
            vec![allow("a"), silent("z")],
            &["0|z|z.p|pass|-1", "1|a|a.p|allow|0"],
            Allow,
        ),
        ask(
            "tiers: undeclared behind all, denying",
            vec![pass("z", None)],
            vec![silent("a"), silent("z")],
            &["0|z|z.p|pass|-1", "1|a|a.p|deny|-1"],
            Deny,
        ),
        ask(
            "tiers: built in",
            vec![],
            vec![allow("kube-baseline"), silent("kube-admin")],
            &["0|kube-admin|kube-admin.p|pass|-1", "1|kube-baseline|kube-baseline.p|allow|0"],
            Allow,
        ),
        ask(
            "tiers: default is between, and denies",
            vec![],
            vec![allow("kube-baseline"), silent("default"), silent("kube-admin")],
            &["0|kube-admin|kube-admin.p|pass|-1", "1|default|default.p|deny|-1"],
            Deny,
        ),
        ask(
            "tiers: a declaration replaces what is built in",
            vec![pass("default", Some(1.0))],
            vec![silent("default"), silent("kube-admin")],
            &[
                "0|default|default.p|pass|-1",
                "1|kube-admin|kube-admin.p|pass|-1",
                "2|__PROFILE__|__PROFILE__.default-allow|allow|0",
            ],
            Allow,
        ),
    ]
}

fn policies() -> Vec<Vector> {
    let ask = |name, policies, wanted: &[&str], verdict| {
        vector(name, resources(policies, pair()), tcp(UNKNOWN, B, 80), outcome(verdict, &[], wanted))
    };
    let udp = |action| vec![to(action, Protocol::UDP, Entity::default())];
    vec![
        ask(
            "policies: pass skips the rest of the tier, allow the rest of all",
            vec![
                ingress("kube-admin", "1", act(RuleAction::Pass)),
                ingress("kube-admin", "2", act(RuleAction::Deny)),
                ingress("default", "3", act(RuleAction::Allow)),
                ingress("kube-baseline", "4", act(RuleAction::Deny)),
            ],
            &["0|kube-admin|kube-admin.1|pass|0", "1|default|default.3|allow|0"],
            Allow,
        ),
        ask(
            "policies: the default is called after the last that governs",
            vec![
                ingress("default", "1", udp(RuleAction::Allow)),
                ingress("default", "2", udp(RuleAction::Allow)),
                only("app == 'a'", ingress("default", "3", act(RuleAction::Allow))),
                egress("default", "4", act(RuleAction::Allow)),
            ],
            &["0|default|default.2|deny|-1"],
            Deny,
        ),
        ask(
            "policies: rules in their order, log among them",
            vec![ingress(
                "default",
                "p",
                [
                    udp(RuleAction::Deny),
                    act(RuleAction::Log),
                    act(RuleAction::Reject),
                    act(RuleAction::Allow),
                ]
                .concat(),
            )],
            &["0|default|default.p|log|1", "1|default|default.p|reject|2"],
            Reject,
        ),
        ask(
            "policies: a negative order",
            vec![
                at(0.0, ingress("default", "a", act(RuleAction::Allow))),
                at(-1.0, ingress("default", "b", act(RuleAction::Deny))),
            ],
            &["0|default|default.b|deny|0"],
            Deny,
        ),
        ask(
            "policies: rules of a direction that is not governed are not asked",
            vec![Policy {
                types: Types { ingress: false, egress: true },
                ..ingress("default", "p", act(RuleAction::Deny))
            }],
            &[OPEN],
            Allow,
        ),
    ]
}

fn both_ends() -> Vec<Vector> {
    let out = |action| only("app == 'a'", egress("default", "out", act(action)));
    let into = |action| only("app == 'b'", ingress("default", "in", act(action)));
    let ask = |name, policies, flow, wanted| vector(name, resources(policies, pair()), flow, wanted);
    let (allow, deny, reject) = (RuleAction::Allow, RuleAction::Deny, RuleAction::Reject);
    let mut unknown = ask(
        "ends: neither is known, as set",
        vec![ingress("default", "p", act(RuleAction::Allow))],
        tcp(UNKNOWN, "203.0.113.10", 80),
        outcome(Deny, &[], &[]),
    );
    unknown.settings.unknown = Deny;
    vec![
        ask(
            "ends: both allow",
            vec![out(allow), into(allow)],
            tcp(A, B, 80),
            outcome(Allow, &["0|default|default.out|allow|0"], &["0|default|default.in|allow|0"]),
        ),
        ask(
            "ends: the source denies, the destination is not asked",
            vec![out(deny), into(reject)],
            tcp(A, B, 80),
            outcome(Deny, &["0|default|default.out|deny|0"], &[]),
        ),
        ask(
            "ends: the source rejects",
            vec![out(reject), into(allow)],
            tcp(A, B, 80),
            outcome(Reject, &["0|default|default.out|reject|0"], &[]),
        ),
        ask(
            "ends: the destination rejects",
            vec![out(allow), into(reject)],
            tcp(A, B, 80),
            outcome(Reject, &["0|default|default.out|allow|0"], &["0|default|default.in|reject|0"]),
        ),
        ask(
            "ends: an endpoint and itself",
            vec![only("app == 'b'", ingress("default", "in", vec![from(allow, selected("app == 'a'"))]))],
            tcp(B, B, 80),
            outcome(Deny, &[OPEN], &["0|default|default.in|deny|-1"]),
        ),
        ask(
            "ends: neither is known",
            vec![ingress("default", "p", act(deny))],
            tcp(UNKNOWN, "203.0.113.10", 80),
            outcome(Allow, &[], &[]),
        ),
        unknown,
    ]
}

fn hosts() -> Vec<Vector> {
    let ask = |name, kind, flow: Flow, settings: Settings, wanted| {
        let ends = vec![Endpoint { kind, ..endpoint("node", A, "") }];
        let types = Types { ingress: true, egress: true };
        let lock = Policy { types, ..policy("kube-admin", "lock") };
        let lock = Policy { ingress: act(RuleAction::Deny), egress: act(RuleAction::Deny), ..lock };
        Vector { settings, ..vector(name, resources(vec![lock], ends), flow, wanted) }
    };
    let (locked, host) = ("0|kube-admin|kube-admin.lock|deny|0", EndpointKind::Host);
    let inbound = |rule| outcome(Allow, &[], &[&format!("0|__FAILSAFE__|__FAILSAFE__.inbound|allow|{rule}")]);
    let outbound =
        |rule| outcome(Allow, &[&format!("0|__FAILSAFE__|__FAILSAFE__.outbound|allow|{rule}")], &[]);
    let shut_in = || outcome(Deny, &[], &[locked]);
    let shut_out = || outcome(Deny, &[locked], &[]);
    let usual = Settings::default;
    let none = || Settings { inbound: vec![], outbound: vec![], ..usual() };
    let near = || {
        let failsafe = Failsafe { protocol: Some(Protocol::TCP), net: Some(net("203.0.113.0/28")), port: 22 };
        Settings { inbound: vec![failsafe], outbound: vec![failsafe], ..usual() }
    };
    let any = || Settings { inbound: vec!["22".parse().expect("a failsafe")], ..usual() };
    let udp = |from, to, port| flow(Protocol::UDP, from, to, port);
    let odd = icmp(Protocol::ICMP, UNKNOWN, A, (0, 22));
    vec![
        ask("hosts: any protocol with ports", host, udp(UNKNOWN, A, 22), any(), inbound(0)),
        ask("hosts: an ICMP code is no port", host, odd, any(), shut_in()),
        ask("hosts: SSH cannot be shut", host, tcp(UNKNOWN, A, 22), usual(), inbound(0)),
        ask("hosts: DHCP cannot be shut", host, udp(UNKNOWN, A, 68), usual(), inbound(1)),
        ask("hosts: the last of the list", host, tcp(UNKNOWN, A, 6667), usual(), inbound(8)),
        ask("hosts: DNS goes out", host, udp(A, UNKNOWN, 53), usual(), outbound(0)),
        ask("hosts: SSH does not go out", host, tcp(A, UNKNOWN, 22), usual(), shut_out()),
        ask("hosts: the number under another protocol", host, udp(UNKNOWN, A, 22), usual(), shut_in()),
        ask("hosts: other ports", host, tcp(UNKNOWN, A, 23), usual(), shut_in()),
        ask("hosts: no failsafes", host, tcp(UNKNOWN, A, 22), none(), shut_in()),
        ask("hosts: for some partners, in", host, tcp(UNKNOWN, A, 22), near(), inbound(0)),
        ask("hosts: for some partners, out", host, tcp(A, UNKNOWN, 22), near(), outbound(0)),
        ask("hosts: not for others, in", host, tcp("203.0.113.16", A, 22), near(), shut_in()),
        ask("hosts: not for others, out", host, tcp(A, "203.0.113.16", 22), near(), shut_out()),
        ask(
            "hosts: workloads have no failsafes",
            EndpointKind::Workload,
            tcp(UNKNOWN, A, 22),
            usual(),
            shut_in(),
        ),
    ]
}

fn profiles() -> Vec<Vector> {
    let ask = |name, own: &[&str], profiles: Vec<Profile>, wanted: &[&str], verdict| {
        let owner = own.iter().fold(pod("blue", "a", A, ""), |pod, profile| with_profile(pod, profile));
        let resources =
            Resources { profiles, namespaces: vec![namespace("blue", "")], ..resources(vec![], vec![owner]) };
        vector(name, resources, tcp(UNKNOWN, A, 80), outcome(verdict, &[], wanted))
    };
    let silent = || profile("silent", vec![]);
    let logging = || profile("logging", [act(RuleAction::Log), act(RuleAction::Reject)].concat());
    vec![
        ask(
            "profiles: of the namespace",
            &["kns.blue"],
            vec![],
            &["0|__PROFILE__|__PROFILE__.kns.blue|allow|0"],
            Allow,
        ),
        ask(
            "profiles: of hosts",
            &["projectcalico-default-allow"],
            vec![],
            &["0|__PROFILE__|__PROFILE__.projectcalico-default-allow|allow|0"],
            Allow,
        ),
        ask(
            "profiles: a declaration replaces what is built in",
            &["kns.blue"],
            vec![profile("kns.blue", act(RuleAction::Deny))],
            &["0|__PROFILE__|__PROFILE__.kns.blue|deny|0"],
            Deny,
        ),
        ask(
            "profiles: the next if none matches",
            &["silent", "default-allow"],
            vec![silent()],
            &[OPEN],
            Allow,
        ),
        ask(
            "profiles: log, then reject",
            &["logging", "default-allow"],
            vec![logging()],
            &["0|__PROFILE__|__PROFILE__.logging|log|0", "1|__PROFILE__|__PROFILE__.logging|reject|1"],
            Reject,
        ),
        ask(
            "profiles: none matches",
            &["silent"],
            vec![silent()],
            &["0|__PROFILE__|__PROFILE__.__NO_MATCH__|deny|-1"],
            Deny,
        ),
    ]
}

/// A pod in a namespace, and one policy which allows all to it.
fn named(vector_name: &'static str, policy: Policy, line: &str) -> Vector {
    let resources = Resources {
        namespaces: vec![namespace("blue", "team=one")],
        ..resources(vec![policy], vec![pod("blue", "a", A, "")])
    };
    vector(vector_name, resources, tcp(UNKNOWN, A, 80), outcome(Allow, &[], &[line]))
}

fn names() -> Vec<Vector> {
    let allow = |tier: &str, name: &str| ingress(tier, name, act(RuleAction::Allow));
    let of_blue = |policy| Policy { namespace: Some("blue".to_owned()), ..policy };
    vec![
        named("names: of a namespace", of_blue(allow("default", "p")), "0|default|blue/default.p|allow|0"),
        named(
            "names: NetworkPolicy",
            of_blue(allow("default", "knp.default.p")),
            "0|default|blue/knp.default.p|allow|0",
        ),
        named("names: ClusterNetworkPolicy", allow("kube-admin", "kcnp.p"), "0|kube-admin|kcnp.p|allow|0"),
        named("names: AdminNetworkPolicy", allow("kube-admin", "kanp.p"), "0|kube-admin|kanp.p|allow|0"),
        named("names: baseline", allow("kube-baseline", "kbanp.p"), "0|kube-baseline|kbanp.p|allow|0"),
    ]
}

fn staging() -> Vec<Vector> {
    let ask = |name, policies, enforced: Vec<String>, pending: Vec<String>| {
        let judged = |lines: &[String]| {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let verdict =
                if lines.last().is_some_and(|line| line.contains("|allow|")) { Allow } else { Deny };
            outcome(verdict, &[], &lines)
        };
        staged(name, resources(policies, pair()), tcp(UNKNOWN, B, 80), judged(&enforced), judged(&pending))
    };
    let stage = |action, policy| Policy { staged: Some(action), ..policy };
    let own = |name: &str, rules: RuleAction| ingress("default", name, act(rules));
    let gone = |name: &str| ingress("default", name, vec![]);
    let line = |text: &str| vec![format!("0|default|default.{text}")];
    let open = || vec![OPEN.to_owned()];
    let (allow, deny, set, delete) =
        (RuleAction::Allow, RuleAction::Deny, StagedAction::Set, StagedAction::Delete);
    let of_blue = |policy| Policy { namespace: Some("blue".to_owned()), ..policy };
    let elsewhere = stage(delete, ingress("kube-admin", "p", vec![]));
    let both_ways = |action: RuleAction| Policy {
        types: Types { ingress: true, egress: true },
        egress: act(action),
        ..own("p", action)
    };
    vec![
        ask(
            "staged: in the place of the enforced one",
            vec![own("p", allow), stage(set, own("p", deny))],
            line("p|allow|0"),
            line("staged:p|deny|0"),
        ),
        ask(
            "staged: at its own order",
            vec![at(1.0, own("p", allow)), at(2.0, own("q", deny)), stage(set, at(3.0, own("p", allow)))],
            line("p|allow|0"),
            line("q|deny|0"),
        ),
        ask(
            "staged: beside enforced ones, by name",
            vec![own("b", allow), stage(set, own("a", deny))],
            line("b|allow|0"),
            line("staged:a|deny|0"),
        ),
        ask(
            "staged: the enforced one would go",
            vec![own("p", deny), stage(delete, gone("p"))],
            line("p|deny|0"),
            open(),
        ),
        ask(
            "staged: what would go is gone only in its own tier",
            vec![own("p", deny), elsewhere],
            line("p|deny|0"),
            line("p|deny|0"),
        ),
        ask(
            "staged: what would go is gone only in its own namespace",
            vec![own("p", deny), of_blue(stage(delete, gone("p")))],
            line("p|deny|0"),
            line("p|deny|0"),
        ),
        ask(
            "staged: a deletion of nothing does nothing",
            vec![own("p", allow), stage(delete, gone("q"))],
            line("p|allow|0"),
            line("p|allow|0"),
        ),
        ask(
            "staged: without rules it arms the tier of the pending ones",
            vec![stage(set, ingress("default", "p", vec![]))],
            open(),
            line("staged:p|deny|-1"),
        ),
        staged(
            "staged: each verdict goes its own way at both ends",
            resources(vec![stage(set, both_ways(deny))], pair()),
            tcp(A, B, 80),
            outcome(Allow, &[OPEN], &[OPEN]),
            outcome(Deny, &["0|default|default.staged:p|deny|0"], &[]),
        ),
        staged(
            "staged: a name in a namespace",
            Resources {
                namespaces: vec![namespace("blue", "")],
                ..resources(
                    vec![of_blue(stage(set, ingress("default", "knp.default.p", act(allow))))],
                    vec![with_profile(pod("blue", "a", A, ""), "kns.blue")],
                )
            },
            tcp(UNKNOWN, A, 80),
            outcome(Allow, &[], &["0|__PROFILE__|__PROFILE__.kns.blue|allow|0"]),
            outcome(Allow, &[], &["0|default|blue/staged:knp.default.p|allow|0"]),
        ),
    ]
}

/// Which endpoints a policy is about.
fn chosen() -> Vec<Vector> {
    let ask = |name, policy: Policy, address: &str, governs: bool| {
        let robots =
            Profile { labels_to_apply: labels("pcsa.kind=robot"), ..profile("ksa.blue.robot", vec![]) };
        let ends = vec![
            with_profile(pod("blue", "a", A, "app=a"), "ksa.blue.robot"),
            pod("red", "b", B, "app=b"),
            Endpoint { kind: EndpointKind::Host, ..endpoint("node", "10.0.0.3", "app=node") },
        ];
        let ends = ends.into_iter().map(|end| with_profile(end, "default-allow")).collect();
        let namespaces = vec![namespace("blue", "team=one"), namespace("red", "team=two")];
        let set = network_set(None, "set", "app=set", &[address], &[]);
        let full = policy.namespace.as_ref().map_or("default.p".to_owned(), |own| format!("{own}/default.p"));
        let resources = Resources {
            namespaces,
            profiles: vec![robots],
            network_sets: vec![set],
            ..resources(vec![policy], ends)
        };
        let line = if governs { format!("0|default|{full}|deny|-1") } else { OPEN.to_owned() };
        let verdict = if governs { Deny } else { Allow };
        vector(name, resources, tcp(UNKNOWN, address, 80), outcome(verdict, &[], &[&line]))
    };
    let lock = || ingress("default", "p", vec![]);
    let of = |own: &str| Policy { namespace: Some(own.to_owned()), ..lock() };
    let namespaces = |text: &str| Policy { namespace_selector: Some(selector(text)), ..lock() };
    let accounts = |text: &str| Policy { service_account_selector: Some(selector(text)), ..lock() };
    vec![
        ask("chosen: by selector", only("app == 'a'", lock()), A, true),
        ask("chosen: not by selector", only("app == 'a'", lock()), B, false),
        ask("chosen: a set around an endpoint is not the endpoint", only("app == 'set'", lock()), A, false),
        ask("chosen: in the policy's namespace", of("blue"), A, true),
        ask("chosen: not in another namespace", of("blue"), B, false),
        ask("chosen: hosts are in no namespace", of("blue"), "10.0.0.3", false),
        ask("chosen: by namespace", namespaces("team == 'one'"), A, true),
        ask("chosen: not by namespace", namespaces("team == 'one'"), B, false),
        ask("chosen: any namespace", namespaces("all()"), B, true),
        ask("chosen: any namespace is not a host", namespaces("all()"), "10.0.0.3", false),
        ask("chosen: by service account", accounts("kind == 'robot'"), A, true),
        ask("chosen: not by service account", accounts("kind == 'robot'"), B, false),
        ask("chosen: namespace and selector", only("app == 'b'", namespaces("team == 'one'")), A, false),
    ]
}
