use ravelin_config::types::{Action, Direction, PortRange, Protocol};

use super::{Judgement, Query, Rule, RuleId, RuleSet};

fn rule(id: u16, action: Action) -> Rule {
    Rule {
        id: RuleId(id),
        action,
        direction: None,
        protocol: None,
        source: Vec::new(),
        destination: Vec::new(),
        source_ports: Vec::new(),
        destination_ports: Vec::new(),
    }
}

fn query() -> Query {
    Query {
        direction: Some(Direction::Ingress),
        protocol: Protocol::TCP,
        source: "192.0.2.1".parse().unwrap(),
        destination: "198.51.100.7".parse().unwrap(),
        source_port: 40_000,
        destination_port: 23,
    }
}

#[test]
fn an_empty_rule_matches_everything() {
    assert!(rule(1, Action::Deny).matches(&query()));
    assert!(rule(1, Action::Deny).matches(&Query { direction: None, protocol: Protocol(0), ..query() }));
}

#[test]
fn every_criterion_can_refuse() {
    let matching = Rule {
        direction: Some(Direction::Ingress),
        protocol: Some(Protocol::TCP),
        source: vec!["192.0.2.0/24".parse().unwrap()],
        destination: vec!["203.0.113.0/24".parse().unwrap(), "198.51.100.7/32".parse().unwrap()],
        source_ports: vec![PortRange::new(1024, 65_535).unwrap()],
        destination_ports: vec![PortRange::single(22), PortRange::single(23)],
        ..rule(1, Action::Deny)
    };
    assert!(matching.matches(&query()));
    let others = [
        Query { direction: Some(Direction::Egress), ..query() },
        Query { direction: None, ..query() },
        Query { protocol: Protocol::UDP, ..query() },
        Query { source: "192.0.3.1".parse().unwrap(), ..query() },
        Query { source: "2001:db8::1".parse().unwrap(), ..query() },
        Query { destination: "198.51.100.8".parse().unwrap(), ..query() },
        Query { source_port: 1023, ..query() },
        Query { destination_port: 24, ..query() },
    ];
    for other in others {
        assert!(!matching.matches(&other), "{other:?}");
    }
}

#[test]
fn the_first_match_decides_and_the_default_stands_behind() {
    let telnet = Rule { destination_ports: vec![PortRange::single(23)], ..rule(7, Action::Deny) };
    let set = RuleSet { rules: vec![telnet, rule(8, Action::Allow)], default: Action::Deny };
    assert_eq!(set.judge(&query()), Judgement { action: Action::Deny, rule: RuleId(7) });
    let https = Query { destination_port: 443, ..query() };
    assert_eq!(set.judge(&https), Judgement { action: Action::Allow, rule: RuleId(8) });
    let bare = RuleSet { rules: Vec::new(), default: Action::Deny };
    assert_eq!(bare.judge(&https), Judgement { action: Action::Deny, rule: RuleId::NONE });
}
