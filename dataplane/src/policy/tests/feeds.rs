//! What follows for flows with what feeds name.

use std::{net::IpAddr, sync::Arc};

use ravelin_config::types::{Action, Protocol};

use crate::{
    policy::{
        Decision, Effect, Key, OnChange, Outcome, PolicySet, Position, RuleId, ZoneSet,
        testing::{Line, Lists, list, policy},
    },
    threat::{FeedRule, Indicator, IndicatorSet},
};

const CLIENT: &str = "192.0.2.1";
const LISTED: &str = "203.0.113.66";

/// A feed that blocks, one that only notes, and one that blocks a port.
const BLOCKS: u8 = 0;
const NOTES: u8 = 1;
const PORT: u8 = 2;

fn key(source: &str, destination: &str, port: u16) -> Key {
    let [source, destination] = [source, destination].map(|address| address.parse().unwrap());
    Key {
        source,
        destination,
        protocol: Protocol::TCP,
        source_port: 443,
        destination_port: port,
        zones: Key::NO_ZONES,
    }
}

/// The policy with feeds whose rules are 100 and up in egress, 200 and up in ingress, and stand at `at`.
fn with_feeds(mut policy: PolicySet, at: u32) -> PolicySet {
    let named = |feed, first: &str, last: &str, port| {
        let [first, last]: [IpAddr; 2] = [first, last].map(|address| address.parse().unwrap());
        Indicator { first, last, port, feed }
    };
    let indicators = [
        named(BLOCKS, LISTED, LISTED, None),
        named(NOTES, "203.0.113.64", "203.0.113.70", None),
        named(PORT, "2001:db8::66", "2001:db8::66", Some(443)),
    ];
    policy.threat.indicators = Arc::new(IndicatorSet::new(indicators));
    for (side, first) in [100, 200].into_iter().enumerate() {
        // What notes comes first.
        for (feed, effect) in [(NOTES, Effect::Log), (BLOCKS, Effect::Deny), (PORT, Effect::Deny)] {
            let rule = RuleId(first + u32::from(feed));
            let on_change = OnChange::Drop;
            let outcome = Outcome {
                rule,
                effect,
                is_default: false,
                on_change,
                limit: None,
                captures: false,
                zones: [ZoneSet::ANY; 2],
            };
            let outcome = policy.outcomes.push(outcome);
            policy.threat.rules[side].push(FeedRule { feed, outcome });
        }
    }
    policy.enforced.feeds = [Position(at); 2];
    if let Some(pending) = &mut policy.pending {
        pending.feeds = [Position(at); 2];
    }
    policy
}

/// Verdict and both traces, asked alone and together with another.
fn ask(policy: &PolicySet, key: &Key) -> (Action, Vec<u32>, Vec<u32>) {
    let alone = policy.judge(key).decision();
    let mut together = None;
    policy.judge_all(&[self::key("198.51.100.1", "198.51.100.2", 1), *key], |place, judgement| {
        together = (place == 1).then(|| judgement.decision());
    });
    assert_eq!(together, Some(alone));
    let Decision { action, reason, egress, ingress, .. } = alone;
    assert_eq!(reason.is_some(), action == Action::Deny);
    let [egress, ingress] = [egress, ingress].map(|trace| trace.rules().iter().map(|rule| rule.0).collect());
    (action, egress, ingress)
}

#[test]
fn flows_with_what_a_feed_names_are_denied_whoever_they_are_from() {
    let policy = with_feeds(PolicySet::default(), 0);
    assert_eq!(ask(&policy, &key(CLIENT, LISTED, 22)), (Action::Deny, vec![101, 100], vec![]));
    assert_eq!(ask(&policy, &key(LISTED, CLIENT, 22)), (Action::Deny, vec![], vec![201, 200]));
    assert_eq!(ask(&policy, &key(CLIENT, "203.0.113.67", 22)), (Action::Allow, vec![101], vec![]));
    assert_eq!(ask(&policy, &key("203.0.113.67", CLIENT, 22)), (Action::Allow, vec![], vec![201]));
    assert_eq!(ask(&policy, &key(CLIENT, "203.0.113.71", 22)), (Action::Allow, vec![], vec![]));
}

#[test]
fn an_indicator_with_a_port_is_of_that_port() {
    let policy = with_feeds(PolicySet::default(), 0);
    let [client, server] = ["2001:db8::1", "2001:db8::66"];
    assert_eq!(ask(&policy, &key(client, server, 443)), (Action::Deny, vec![102], vec![]));
    assert_eq!(ask(&policy, &key(client, server, 444)), (Action::Allow, vec![], vec![]));
    // Port 443 is the source's in all flows here.
    assert_eq!(ask(&policy, &key(server, client, 1)), (Action::Deny, vec![], vec![202]));
    // Type and code of ICMP are no port.
    let ping = Key { protocol: Protocol::ICMPV6, ..key(client, server, 443) };
    assert_eq!(ask(&policy, &ping), (Action::Allow, vec![], vec![]));
}

#[test]
fn feeds_have_their_place_among_the_tiers() {
    let lines = |first: Line| [first, Line::allow(2), Line::end(3)];
    let listed = key(LISTED, CLIENT, 22);
    // An earlier tier allows.
    let policy = with_feeds(list(lines(Line::allow(1))), 1);
    assert_eq!(ask(&policy, &listed), (Action::Allow, vec![], vec![1]));
    // An earlier tier passes to that of feeds.
    let pass = |to| Line::new(1, Effect::Pass(Position(to)));
    let policy = with_feeds(list(lines(pass(1))), 1);
    assert_eq!(ask(&policy, &listed), (Action::Deny, vec![], vec![1, 201, 200]));
    // A rule of the tier of feeds passes to the one behind.
    let policy = with_feeds(list(lines(pass(2))), 1);
    assert_eq!(ask(&policy, &listed), (Action::Deny, vec![], vec![1, 3]), "not by a feed");
    // Feeds stand before what would allow.
    let policy = with_feeds(list(lines(Line::allow(1).port(1))), 1);
    assert_eq!(ask(&policy, &listed), (Action::Deny, vec![], vec![201, 200]));
    // What only notes a flow leaves it to the rules behind.
    let noted = key("203.0.113.67", CLIENT, 22);
    assert_eq!(ask(&policy, &noted), (Action::Allow, vec![], vec![201, 2]));
}

#[test]
fn what_would_be_under_staged_policies_knows_feeds_too() {
    let staged = Lists { ingress: vec![Line::allow(1)], ..Lists::default() };
    let policy = with_feeds(policy(&Lists::default(), Some(&staged)), 1);
    let decision = policy.judge(&key(LISTED, CLIENT, 22)).decision();
    assert_eq!(decision.action, Action::Deny);
    let pending = decision.pending.unwrap();
    assert_eq!((pending.action, pending.ingress.rules()), (Action::Allow, &[RuleId(1)][..]));
}
