use proptest::{collection::vec, prelude::*};
use ravelin_config::types::{Action, Protocol};

use crate::{
    policy::{
        Decision, Effect, Judgement, Key, Pending, PolicySet, Position, RuleId, Trace, Zone,
        testing::{Line, Lists, list, policy},
    },
    verdict::DropReason,
};

const INSIDE: Zone = Zone::new(0).unwrap();
const OUTSIDE: Zone = Zone::new(1).unwrap();

/// From 192.0.2.1 to port 23 of 198.51.100.7.
fn telnet() -> Key {
    Key {
        source: "192.0.2.1".parse().unwrap(),
        destination: "198.51.100.7".parse().unwrap(),
        protocol: Protocol::TCP,
        source_port: 40_000,
        destination_port: 23,
        zones: Key::NO_ZONES,
    }
}

fn to_port(destination_port: u16) -> Key {
    Key { destination_port, ..telnet() }
}

fn pass(rule: u32, to: u32) -> Line {
    Line::new(rule, Effect::Pass(Position(to)))
}

fn log(rule: u32) -> Line {
    Line::new(rule, Effect::Log)
}

fn rules(trace: &Trace) -> Vec<u32> {
    trace.rules().iter().map(|rule| rule.0).collect()
}

/// Verdict, why packets are dropped, and both traces.
type Said = (Action, Option<DropReason>, Vec<u32>, Vec<u32>);

fn said(decision: &Decision) -> Said {
    (decision.action, decision.reason, rules(&decision.egress), rules(&decision.ingress))
}

fn ask(policy: &PolicySet, key: &Key) -> Said {
    said(&policy.judge(key).decision())
}

#[test]
fn the_first_match_decides_and_the_default_stands_behind() {
    let policy = list([Line::deny(7).port(23), Line::allow(8).ports(0, 999), Line::end(9)]);
    assert_eq!(ask(&policy, &telnet()), (Action::Deny, Some(DropReason::RuleDeny), vec![], vec![7]));
    assert_eq!(ask(&policy, &to_port(443)), (Action::Allow, None, vec![], vec![8]));
    assert_eq!(ask(&policy, &to_port(1000)), (Action::Deny, Some(DropReason::DefaultDeny), vec![], vec![9]));
}

#[test]
fn passing_skips_the_rest_of_the_tier_and_a_tier_may_pass_at_its_end() {
    let policy = list([
        // The first tier, which denies at its end.
        pass(1, 3).port(80),
        Line::deny(2).port(23),
        Line::end(3).ports(0, 99),
        // The second, which passes at its end.
        Line::allow(4).port(81),
        pass(5, 5),
        // Profiles.
        Line::allow(6).ports(0, 200),
        Line::end(7),
    ]);
    assert_eq!(ask(&policy, &to_port(80)), (Action::Allow, None, vec![], vec![1, 5, 6]));
    assert_eq!(ask(&policy, &telnet()), (Action::Deny, Some(DropReason::RuleDeny), vec![], vec![2]));
    assert_eq!(ask(&policy, &to_port(81)), (Action::Deny, Some(DropReason::DefaultDeny), vec![], vec![3]));
    assert_eq!(ask(&policy, &to_port(100)), (Action::Allow, None, vec![], vec![5, 6]));
    assert_eq!(
        ask(&policy, &to_port(201)),
        (Action::Deny, Some(DropReason::DefaultDeny), vec![], vec![5, 7])
    );
}

#[test]
fn logging_is_noted_and_decides_nothing() {
    let policy = list([log(1), log(2).port(24), Line::deny(3).port(23), log(4), Line::allow(5)]);
    assert_eq!(ask(&policy, &telnet()), (Action::Deny, Some(DropReason::RuleDeny), vec![], vec![1, 3]));
    assert_eq!(ask(&policy, &to_port(24)), (Action::Allow, None, vec![], vec![1, 2, 4, 5]));
    // Whatever is logged and behind however many tiers, the rule that decides has its place.
    let logs = (0..100).map(log);
    let tiers = (100..).take(Trace::MAX_TIERS).map(|rule| pass(rule, rule + 1));
    let policy = list(logs.chain(tiers).chain([Line::reject(999)]));
    let (action, reason, _, trace) = ask(&policy, &telnet());
    assert_eq!((action, reason), (Action::Reject, Some(DropReason::RuleReject)));
    assert_eq!(trace[..7], [0, 1, 2, 3, 4, 5, 100]);
    assert_eq!((trace.len(), trace[30]), (Trace::MAX, 999));
}

#[test]
fn ingress_is_asked_if_egress_lets_the_flow_pass() {
    let sides = Lists {
        egress: vec![Line::deny(1).port(23), Line::reject(2).port(24), Line::allow(3).ports(25, 27)],
        ingress: vec![Line::reject(4).port(25), Line::deny(5).port(26), Line::allow(6)],
    };
    let policy = policy(&sides, None);
    let said = [23, 24, 25, 26, 27, 28].map(|port| ask(&policy, &to_port(port)));
    let deny = |action, reason, egress, ingress| (action, Some(reason), egress, ingress);
    assert_eq!(
        said,
        [
            deny(Action::Deny, DropReason::RuleDeny, vec![1], vec![]),
            deny(Action::Reject, DropReason::RuleReject, vec![2], vec![]),
            deny(Action::Reject, DropReason::RuleReject, vec![3], vec![4]),
            deny(Action::Deny, DropReason::RuleDeny, vec![3], vec![5]),
            (Action::Allow, None, vec![3], vec![6]),
            // The source is no endpoint.
            (Action::Allow, None, vec![], vec![6]),
        ]
    );
}

#[test]
fn what_no_side_knows_is_decided_by_one_switch() {
    let sides = Lists {
        egress: vec![Line::allow(1).from(&["192.0.2.0/25"])],
        ingress: vec![Line::allow(2).to(&["198.51.100.0/25"])],
    };
    let mut policy = policy(&sides, None);
    let [known, stranger] = [telnet().source, "203.0.113.9".parse().unwrap()];
    let [server, elsewhere] = [telnet().destination, "203.0.113.10".parse().unwrap()];
    let ask_all = |policy: &PolicySet| {
        [(known, server), (known, elsewhere), (stranger, server), (stranger, elsewhere)]
            .map(|(source, destination)| ask(policy, &Key { source, destination, ..telnet() }))
    };
    let allowed = |egress, ingress| (Action::Allow, None, egress, ingress);
    let known = [allowed(vec![1], vec![2]), allowed(vec![1], vec![]), allowed(vec![], vec![2])];
    assert_eq!(ask_all(&policy)[..3], known);
    assert_eq!(ask_all(&policy)[3], allowed(vec![], vec![]));
    policy.unknown = Action::Deny;
    assert_eq!(ask_all(&policy)[..3], known);
    assert_eq!(ask_all(&policy)[3], (Action::Deny, Some(DropReason::UnknownDeny), vec![], vec![]));
}

#[test]
fn what_is_staged_is_told_and_decides_nothing() {
    let of = |egress: Line, ingress: Line| Lists { egress: vec![egress], ingress: vec![ingress] };
    let enforced = of(Line::allow(1), Line::allow(2));
    for (staged, action, egress, ingress) in [
        (of(Line::allow(1), Line::deny(12)), Action::Deny, vec![1], vec![12]),
        (of(Line::reject(11), Line::allow(2)), Action::Reject, vec![11], vec![]),
        (of(Line::allow(1), Line::allow(2)), Action::Allow, vec![1], vec![2]),
    ] {
        let decision = policy(&enforced, Some(&staged)).judge(&telnet()).decision();
        assert_eq!(said(&decision), (Action::Allow, None, vec![1], vec![2]));
        let Pending { action: then, egress: out, ingress: into } = decision.pending.unwrap();
        assert_eq!((then, rules(&out), rules(&into)), (action, egress, ingress));
    }
    // The other way round: it would be allowed, and is not.
    let decision = policy(&of(Line::deny(3), Line::allow(2)), Some(&enforced)).judge(&telnet()).decision();
    assert_eq!(said(&decision), (Action::Deny, Some(DropReason::RuleDeny), vec![3], vec![]));
    assert_eq!(decision.pending.unwrap().action, Action::Allow);
    // What is staged may leave a flow without an endpoint.
    let mut policy = policy(&enforced, Some(&Lists::default()));
    policy.unknown = Action::Deny;
    let decision = policy.judge(&telnet()).decision();
    assert_eq!((decision.action, decision.pending.unwrap().action), (Action::Allow, Action::Deny));
    assert_eq!(list([Line::allow(1)]).judge(&telnet()).decision().pending, None);
}

/// What is found but is elsewhere might as well not be there: it is no decision, is not noted and captures nothing.
#[test]
fn a_rule_about_other_zones_is_passed_over() {
    let lists = |zone: &[Zone]| Lists {
        ingress: vec![
            log(1).zones([Some(zone), None]),
            pass(2, 9).zones([Some(zone), None]).captures(),
            Line::allow(3).zones([None, Some(zone)]),
            Line::deny(4),
        ],
        ..Lists::default()
    };
    let policy = policy(&lists(&[INSIDE]), Some(&lists(&[Zone::NONE])));
    let asked = |zones| policy.judge(&Key { zones, ..telnet() });
    let met = |judgement: &Judgement| {
        let decision = judgement.decision();
        (rules(&decision.ingress), rules(&decision.pending.unwrap().ingress), judgement.words.captures)
    };
    assert_eq!(met(&asked([INSIDE, OUTSIDE])), (vec![1, 2], vec![4], true));
    assert_eq!(met(&asked([OUTSIDE, INSIDE])), (vec![3], vec![4], false));
    assert_eq!(met(&asked([OUTSIDE; 2])), (vec![4], vec![4], false));
    assert_eq!(met(&asked(Key::NO_ZONES)), (vec![4], vec![1, 2], false), "what is staged captures nothing");
    assert!(policy.uses_zones() && !list([Line::allow(1)]).uses_zones());
}

const NETS: [&[&str]; 5] = [
    &["192.0.2.0/30"],
    &["192.0.2.2/31", "198.51.100.0/24"],
    &["198.51.100.0/31"],
    &["0.0.0.0/0"],
    &["2001:db8::/127", "192.0.2.0/31"],
];

/// Lines of which those that pass skip up to three others.
fn lines() -> impl Strategy<Value = Vec<Line>> {
    let ports = (0_u16..6, 0_u16..8);
    let line = (0_u32..30, 0_u32..12, 0..4, 0..NETS.len() + 2, 0..NETS.len() + 2, ports, (zones(), zones()));
    vec(line, 0..14).prop_map(|lines| {
        let lines = lines.into_iter().zip(0_u32..);
        let lines = lines.map(|((rule, effect, protocol, source, destination, ports, zones), place)| {
            let line = match effect {
                0..3 => Line::deny(rule),
                3..6 => Line::allow(rule),
                6 => Line::reject(rule),
                7 => Line::end(rule),
                8..10 => log(rule),
                skipped => pass(rule, place + skipped - 8),
            };
            let line = match protocol {
                0 => line.of(Protocol::TCP),
                1 => line.of(Protocol::ICMP),
                _ => line,
            };
            let line = NETS.get(source).map_or(line.clone(), |nets| line.from(nets));
            let line = NETS.get(destination).map_or(line.clone(), |nets| line.to(nets));
            let (first, more) = ports;
            let (from, to) = &zones;
            line.ports(first, first + more).zones([from.as_deref(), to.as_deref()])
        });
        lines.collect()
    })
}

/// Some zones, or none; mostly any.
fn zones() -> impl Strategy<Value = Option<Vec<Zone>>> {
    proptest::option::weighted(0.3, vec(zone(), 0..3))
}

fn zone() -> impl Strategy<Value = Zone> {
    prop_oneof![Just(INSIDE), Just(OUTSIDE), Just(Zone::NONE)]
}

fn lists() -> impl Strategy<Value = Lists> {
    (lines(), lines()).prop_map(|(egress, ingress)| Lists { egress, ingress })
}

fn key() -> impl Strategy<Value = Key> {
    (any::<bool>(), 0_u8..4, 0_u8..4, 0_usize..3, 0_u16..12, [zone(), zone()]).prop_map(
        |(v6, source, destination, protocol, port, zones)| {
            let [source, destination] = if v6 {
                [format!("2001:db8::{source}"), format!("2001:db8::{destination}")]
            } else {
                [format!("192.0.2.{source}"), format!("198.51.100.{destination}")]
            };
            let [source, destination] = [source, destination].map(|address| address.parse().unwrap());
            let protocol = [Protocol::TCP, Protocol::UDP, Protocol::ICMP][protocol];
            Key { source, destination, protocol, source_port: 0, destination_port: port, zones }
        },
    )
}

/// The meaning of a list, step by step: what was met, and the effect of the line that decided.
fn walk<'a>(lines: &'a [Line], key: &Key) -> (Vec<u32>, Option<&'a Line>) {
    let (mut met, mut place) = (Vec::new(), 0);
    while let Some(line) = lines.get(place) {
        place += 1;
        if !line.matches(key) {
            continue;
        }
        let RuleId(rule) = line.outcome.rule;
        match line.outcome.effect {
            Effect::Log if met.len() >= Trace::MAX - 1 - Trace::MAX_TIERS => {}
            Effect::Log => met.push(rule),
            Effect::Pass(Position(to)) => {
                met.push(rule);
                place = to as usize;
            }
            Effect::Allow | Effect::Deny | Effect::Reject => {
                met.push(rule);
                return (met, Some(line));
            }
        }
    }
    (met, None)
}

fn expected(sides: &Lists, unknown: Action, key: &Key) -> Said {
    let verdict = |line: &Line| match line.outcome.effect {
        Effect::Deny if line.outcome.is_default => (Action::Deny, Some(DropReason::DefaultDeny)),
        Effect::Deny => (Action::Deny, Some(DropReason::RuleDeny)),
        Effect::Reject => (Action::Reject, Some(DropReason::RuleReject)),
        Effect::Allow | Effect::Pass(_) | Effect::Log => (Action::Allow, None),
    };
    let (egress, source) = walk(&sides.egress, key);
    let source = source.map(verdict);
    if let Some((action @ (Action::Deny | Action::Reject), reason)) = source {
        return (action, reason, egress, vec![]);
    }
    let (ingress, destination) = walk(&sides.ingress, key);
    let (action, reason) = destination
        .map(verdict)
        .or(source)
        .unwrap_or((unknown, (unknown != Action::Allow).then_some(DropReason::UnknownDeny)));
    (action, reason, egress, ingress)
}

proptest! {
    #[test]
    fn judging_is_walking_the_lists_one_by_one_or_all_at_once(
        enforced in lists(),
        staged in proptest::option::of(lists()),
        unknown in prop_oneof![Just(Action::Allow), Just(Action::Deny)],
        keys in vec(key(), 1..=PolicySet::CHUNK),
    ) {
        let set = PolicySet { unknown, ..policy(&enforced, staged.as_ref()) };
        let mut judged = 0;
        set.judge_all(&keys, |place, together| {
            assert_eq!(place, judged, "in order");
            judged += 1;
            let key = &keys[place];
            let alone = set.judge(key);
            assert_eq!(together.decision(), alone.decision());
            assert_eq!(together.on_change, alone.on_change);
            assert_eq!(said(&alone.decision()), expected(&enforced, unknown, key));
            let pending = alone.decision().pending;
            let pending = pending.map(|then| (then.action, rules(&then.egress), rules(&then.ingress)));
            let expected = staged.as_ref().map(|staged| expected(staged, unknown, key));
            assert_eq!(pending, expected.map(|(action, _, egress, ingress)| (action, egress, ingress)));
        });
        prop_assert_eq!(judged, keys.len());
    }
}
