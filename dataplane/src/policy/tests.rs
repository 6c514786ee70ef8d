use ravelin_config::types::{Action, Protocol};

use super::{
    Key,
    testing::{Line, list},
};

fn key() -> Key {
    Key {
        source: "192.0.2.1".parse().unwrap(),
        destination: "198.51.100.7".parse().unwrap(),
        protocol: Protocol::TCP,
        source_port: 40_000,
        destination_port: 23,
    }
}

#[test]
fn the_first_match_decides_and_the_default_stands_behind() {
    let policy = list([Line::deny(7).port(23), Line::allow(8)]);
    let telnet = policy.judge(&key()).decision;
    assert_eq!((telnet.action, telnet.decider()), (Action::Deny, Some(7)));
    let https = Key { destination_port: 443, ..key() };
    let decision = policy.judge(&https).decision;
    assert_eq!((decision.action, decision.decider()), (Action::Allow, Some(8)));
    let decision = list([Line::end(9)]).judge(&https).decision;
    assert_eq!((decision.action, decision.decider()), (Action::Deny, Some(9)));
}
