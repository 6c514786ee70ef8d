//! The numbered acceptance vectors of the policy model. 20 is about parsing alone, 24 about a change while a flow lives.

use super::{Vector, build::*};
use crate::oracle::{Flow, Verdict};
use Verdict::{Allow, Deny};
use ravelin_config::{
    resources::{
        Endpoint, Entity, Policy, PolicyRule, Resources, RuleAction, ServiceAccounts, StagedAction,
        TierDefault,
    },
    types::Protocol,
};

const E: &str = "10.0.0.1";
const PEER: &str = "10.0.0.2";
const UNKNOWN: &str = "203.0.113.9";
const OPEN: &str = "0|__PROFILE__|__PROFILE__.default-allow|allow|0";

/// The endpoint under test, with the profile that allows all.
fn open() -> Endpoint {
    with_profile(closed(), "default-allow")
}

/// The endpoint under test, without a profile.
fn closed() -> Endpoint {
    endpoint("e", E, "app=e")
}

fn inbound() -> Flow {
    tcp(UNKNOWN, E, 80)
}

/// One ingress policy with one rule about the source, in a tier `default` that denies; `peer` is the labels of the source.
fn source_rule(name: &'static str, source: Entity, peer: &str, matches: bool) -> Vector {
    let policies = vec![ingress("default", "p", vec![from(RuleAction::Allow, source)])];
    let peer = with_profile(endpoint("peer", PEER, peer), "default-allow");
    let wanted = if matches {
        outcome(Allow, &[OPEN], &["0|default|default.p|allow|0"])
    } else {
        outcome(Deny, &[OPEN], &["0|default|default.p|deny|-1"])
    };
    vector(name, resources(policies, vec![closed(), peer]), tcp(PEER, E, 80), wanted)
}

/// All of them.
pub fn vectors() -> Vec<Vector> {
    [nothing_there(), tiers(), policies(), unknown_sources(), selectors(), peers()].concat()
}

fn nothing_there() -> Vec<Vector> {
    let none = "0|__PROFILE__|__PROFILE__.__NO_MATCH__|deny|-1";
    vec![
        vector(
            "1: no policy, no profile, in",
            resources(vec![], vec![closed()]),
            inbound(),
            outcome(Deny, &[], &[none]),
        ),
        vector(
            "1: no policy, no profile, out",
            resources(vec![], vec![closed()]),
            tcp(E, UNKNOWN, 80),
            outcome(Deny, &[none], &[]),
        ),
        vector(
            "2: no policy, profile allows",
            resources(vec![], vec![open()]),
            inbound(),
            outcome(Allow, &[], &[OPEN]),
        ),
        vector(
            "2: no policy, profile allows, out",
            resources(vec![], vec![open()]),
            tcp(E, UNKNOWN, 80),
            outcome(Allow, &[OPEN], &[]),
        ),
    ]
}

fn with_tiers(
    tiers: &[(&str, f64, TierDefault)],
    policies: Vec<Policy>,
    endpoints: Vec<Endpoint>,
) -> Resources {
    let tiers = tiers.iter().map(|(name, order, default)| tier(name, Some(*order), *default)).collect();
    Resources { tiers, ..resources(policies, endpoints) }
}

fn tiers() -> Vec<Vector> {
    let egress_only = || {
        let unmatched = to(RuleAction::Allow, Protocol::UDP, Entity::default());
        with_tiers(&[("A", 1.0, TierDefault::Deny)], vec![egress("A", "out", vec![unmatched])], vec![open()])
    };
    let two_tiers = with_tiers(
        &[("A", 1.0, TierDefault::Pass), ("B", 2.0, TierDefault::Deny)],
        vec![
            ingress("A", "none", vec![to(RuleAction::Deny, Protocol::UDP, Entity::default())]),
            ingress("B", "all", vec![rule(RuleAction::Allow)]),
        ],
        vec![closed()],
    );
    let pass = with_tiers(
        &[("A", 1.0, TierDefault::Deny)],
        vec![ingress("A", "pass", vec![rule(RuleAction::Pass)])],
        vec![open()],
    );
    let passing_profile = Resources {
        profiles: vec![profile("passing", vec![rule(RuleAction::Pass)])],
        ..resources(vec![], vec![with_profile(open_last(), "default-allow")])
    };
    let log = with_tiers(
        &[("A", 1.0, TierDefault::Deny)],
        vec![ingress("A", "log", vec![rule(RuleAction::Log)])],
        vec![open()],
    );
    vec![
        vector(
            "3: an egress-only policy does not arm ingress",
            egress_only(),
            inbound(),
            outcome(Allow, &[], &[OPEN]),
        ),
        vector(
            "4: an egress-only policy arms egress",
            egress_only(),
            tcp(E, UNKNOWN, 80),
            outcome(Deny, &["0|A|A.out|deny|-1"], &[]),
        ),
        vector(
            "5: a tier that passes by default",
            two_tiers,
            inbound(),
            outcome(Allow, &[], &["0|A|A.none|pass|-1", "1|B|B.all|allow|0"]),
        ),
        vector(
            "6: pass in the last tier goes to the profiles",
            pass,
            inbound(),
            outcome(Allow, &[], &["0|A|A.pass|pass|0", "1|__PROFILE__|__PROFILE__.default-allow|allow|0"]),
        ),
        vector(
            "7: pass in a profile is a denial",
            passing_profile,
            inbound(),
            outcome(Deny, &[], &["0|__PROFILE__|__PROFILE__.passing|deny|0"]),
        ),
        vector(
            "8: log goes on",
            log,
            inbound(),
            outcome(Deny, &[], &["0|A|A.log|log|0", "1|A|A.log|deny|-1"]),
        ),
    ]
}

/// The endpoint under test with a profile that passes.
fn open_last() -> Endpoint {
    with_profile(closed(), "passing")
}

fn policies() -> Vec<Vector> {
    let staged_only = |rules: Vec<PolicyRule>| {
        let trial = Policy { staged: Some(StagedAction::Set), ..ingress("A", "trial", rules) };
        with_tiers(&[("A", 1.0, TierDefault::Deny)], vec![trial], vec![open()])
    };
    let (deny, allow) = (|| vec![rule(RuleAction::Deny)], || vec![rule(RuleAction::Allow)]);
    vec![
        staged(
            "9: a staged policy does not arm its tier",
            staged_only(vec![]),
            inbound(),
            outcome(Allow, &[], &[OPEN]),
            outcome(Deny, &[], &["0|A|A.staged:trial|deny|-1"]),
        ),
        staged(
            "9: a staged policy decides nothing",
            staged_only(vec![rule(RuleAction::Reject)]),
            inbound(),
            outcome(Allow, &[], &[OPEN]),
            outcome(Verdict::Reject, &[], &["0|A|A.staged:trial|reject|0"]),
        ),
        vector(
            "10: equal order, by name",
            resources(vec![ingress("default", "b", allow()), ingress("default", "a", deny())], vec![open()]),
            inbound(),
            outcome(Deny, &[], &["0|default|default.a|deny|0"]),
        ),
        vector(
            "10: equal orders that are given, by name",
            resources(
                vec![at(7.0, ingress("default", "b", allow())), at(7.0, ingress("default", "a", deny()))],
                vec![open()],
            ),
            inbound(),
            outcome(Deny, &[], &["0|default|default.a|deny|0"]),
        ),
        vector(
            "11: an order before none",
            resources(
                vec![ingress("default", "a", deny()), at(1.5, ingress("default", "b", allow()))],
                vec![open()],
            ),
            inbound(),
            outcome(Allow, &[], &["0|default|default.b|allow|0"]),
        ),
        vector(
            "23: types inferred as egress do not govern ingress",
            resources(vec![egress("default", "out", deny())], vec![open()]),
            inbound(),
            outcome(Allow, &[], &[OPEN]),
        ),
        vector(
            "23: types inferred as egress govern egress",
            resources(vec![egress("default", "out", deny())], vec![open()]),
            tcp(E, UNKNOWN, 80),
            outcome(Deny, &["0|default|default.out|deny|0"], &[]),
        ),
    ]
}

fn unknown_sources() -> Vec<Vector> {
    let from_unknown = |name, source: Entity, wanted| {
        let policies = vec![ingress("default", "p", vec![from(RuleAction::Allow, source)])];
        vector(name, resources(policies, vec![closed()]), inbound(), wanted)
    };
    let not_selected = |text: &str| Entity { not_selector: Some(selector(text)), ..Entity::default() };
    let matched = || outcome(Allow, &[], &["0|default|default.p|allow|0"]);
    let unmatched = || outcome(Deny, &[], &["0|default|default.p|deny|-1"]);
    vec![
        from_unknown("12: !has() does not match an unknown address", selected("!has(role)"), unmatched()),
        from_unknown("12: all() does not match an unknown address", selected("all()"), unmatched()),
        from_unknown("13: not_selector matches an unknown address", not_selected("has(role)"), matched()),
        from_unknown("13: even not_selector all()", not_selected("all()"), matched()),
        source_rule("12: !has() matches an endpoint without", selected("!has(role)"), "", true),
        source_rule("12: !has() does not match an endpoint with", selected("!has(role)"), "role=x", false),
        source_rule(
            "13: not_selector does not match what it selects",
            not_selected("has(role)"),
            "role=x",
            false,
        ),
        source_rule("13: not_selector matches an endpoint without", not_selected("has(role)"), "", true),
    ]
}

fn selectors() -> Vec<Vector> {
    let (precedence, negated) = ("a == '1' || b == '2' && c == '3'", "!a == '1'");
    let case = |name, text: &str, peer, matches| source_rule(name, selected(text), peer, matches);
    vec![
        case("14: != is true without the label", "role != 'x'", "", true),
        case("14: != is false for the value", "role != 'x'", "role=x", false),
        case("15: && binds before ||, left side", precedence, "a=1", true),
        case("15: && binds before ||, half of the right side", precedence, "b=2", false),
        case("15: && binds before ||, right side", precedence, "b=2 c=3", true),
        case("16: ! applies to the comparison", negated, "a=2", true),
        case("16: ! applies to the comparison, equal", negated, "a=1", false),
        case("17: notin without a blank", "k notin {'v'}", "k=w", true),
        case("17: notin without a blank, the value", "k notin {'v'}", "k=v", false),
        case("17: startswith without a blank", "k startswith \"v\"", "k=vw", true),
        case("17: startswith without a blank, another value", "k startswith \"v\"", "k=wv", false),
        case("18: a comma at the end of a list", "k in {'v',}", "k=v", true),
        case("18: nothing is in an empty list", "k in {}", "k=v", false),
        case("18: not even no label", "k in {}", "", false),
        case("19: a label may be called all", "all == 'x'", "all=x", true),
        case("19: a label may be called all, another value", "all == 'x'", "all=y", false),
    ]
}

fn peers() -> Vec<Vector> {
    let account = |service_account: Option<&str>, own: &str, matches: bool, name: &'static str| {
        let accounts = ServiceAccounts { names: vec!["robot".to_owned()], selector: None };
        let source = Entity { service_accounts: Some(accounts), ..selected("role == 'x'") };
        let mut vector = source_rule(name, source, own, matches);
        vector.resources.endpoints[1].service_account = service_account.map(str::to_owned);
        vector
    };
    let named = |flow: Flow, matches: bool, name: &'static str| {
        let entity = Entity { ports: ports(&["http"]), ..Entity::default() };
        let policies = vec![Policy {
            selector: selector("app == 'e'"),
            ..egress("default", "p", vec![to(RuleAction::Allow, Protocol::TCP, entity)])
        }];
        let peer = with_port(endpoint("peer", PEER, ""), "http", Protocol::TCP, 8080);
        let wanted = if matches {
            outcome(Allow, &["0|default|default.p|allow|0"], &[OPEN])
        } else {
            outcome(Deny, &["0|default|default.p|deny|-1"], &[])
        };
        vector(name, resources(policies, vec![open(), with_profile(peer, "default-allow")]), flow, wanted)
    };
    let udp = flow(Protocol::UDP, E, PEER, 8080);
    vec![
        account(Some("robot"), "role=x", true, "21: service account and selector"),
        account(Some("robot"), "", false, "21: only the service account"),
        account(None, "role=x", false, "21: only the selector"),
        account(Some("human"), "role=x", false, "21: another service account"),
        named(tcp(E, PEER, 8080), true, "22: a named port of the peer"),
        named(tcp(E, PEER, 8081), false, "22: another port of the peer"),
        named(udp, false, "22: the number under another protocol"),
        named(tcp(E, UNKNOWN, 8080), false, "22: the number at an unknown address"),
    ]
}

#[cfg(test)]
mod tests {
    use ravelin_config::selector::Selector;

    #[test]
    fn vector_20_a_blank_before_the_parenthesis_is_an_error() {
        assert_eq!("has (x)".parse::<Selector>().expect_err("it is an error").at, 4);
    }
}
