use std::{net::IpAddr, sync::Arc, time::Duration};

use ravelin_config::types::{Action, Protocol};
use ravelin_dataplane::{
    clock::Timestamp,
    flow::{EndReason, FlowKey, FlowRecord, FlowState},
    handoff::WorkerId,
    io::PortId,
    parse::Vlans,
    policy::DecisionId,
};

use super::{Alert, Hit, Ledger};
use crate::{
    feeds::{Library, schedule::Turn, tests::contents},
    policy::{Direction, Told},
};

const WINDOW: Duration = Duration::from_mins(10);
const CLIENT: &str = "192.0.2.1";

fn library() -> Library {
    let text = "[[feed]]\nname = \"c2\"\nfile = \"x\"\nseverity = 90\n[[feed]]\nname = \"noise\"\nfile = \"y\"\naction = \"alert\"\n";
    let config = ravelin_config::parse(text, "t.toml").unwrap_or_else(|report| panic!("{report}")).config;
    let mut library = Library::new(&config);
    library.put("c2", Arc::new(contents("203.0.113.7:443\n203.0.113.8\n")));
    library.put("noise", Arc::new(contents("203.0.113.0/28\n")));
    library
}

/// A TCP connection at so many seconds.
fn flow(source: &str, destination: &str, port: u16, seconds: u64) -> FlowRecord {
    let end = |address: &str, port: u16| (address.parse::<IpAddr>().unwrap().into(), port);
    let (key, initiator) =
        FlowKey::new(end(source, 40_000), end(destination, port), Protocol::TCP, Vlans::default());
    let time = Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000);
    FlowRecord {
        key,
        initiator,
        first: time,
        last: time,
        ended: time,
        packets: [1, 0],
        bytes: [60, 0],
        state: FlowState::New,
        reason: EndReason::Active,
        tcp: None,
        tcp_flags: [2, 0],
        smoothed_rtt_us: 0,
        handshake_rtt_us: 0,
        retransmissions: [0, 0],
        zero_windows: [0, 0],
        verdict: Action::Deny,
        decision: DecisionId::NONE,
        generation: 1,
        worker: WorkerId(0),
        port_in: PortId(0),
        port_out: PortId(1),
        nat: ravelin_dataplane::nat::NatFlow::default(),
    }
}

/// What policy said, when it met rules of these feeds.
fn told(verdict: Action, feeds: &[(Direction, &str)]) -> Told {
    Told {
        verdict,
        reason: None,
        decider: None,
        enforced: Vec::new(),
        pending_decider: None,
        pending_verdict: verdict,
        pending: Vec::new(),
        feeds: feeds.iter().map(|(direction, feed)| (*direction, (*feed).to_owned())).collect(),
    }
}

fn told_both() -> Told {
    told(Action::Deny, &[(Direction::Egress, "noise"), (Direction::Egress, "c2")])
}

fn hit(alert: &Alert) -> &Hit {
    alert.hit().unwrap()
}

#[test]
fn every_feed_that_acts_upon_a_flow_raises_an_alert() {
    let (mut ledger, library) = (Ledger::default(), library());
    let new = ledger.note(&flow(CLIENT, "203.0.113.7", 443, 0), &told_both(), &library, WINDOW, |_| None);
    let said: Vec<_> =
        new.iter().map(|alert| (&*hit(alert).feed, &*hit(alert).indicator, alert.severity)).collect();
    assert_eq!(said, [("c2", "203.0.113.7:443", 90), ("noise", "203.0.113.0/28", 80)]);
    let Hit { direction, verdict, endpoint, address, port, .. } = hit(&new[0]);
    assert_eq!((&**direction, &**verdict, *port, new[0].count), ("egress", "deny", 443, 1));
    assert_eq!((endpoint.to_string(), address.to_string()), (CLIENT.to_owned(), "203.0.113.7".to_owned()));
    // The other port is not meant by one of them, whatever is said.
    let new = ledger.note(&flow(CLIENT, "203.0.113.7", 80, 0), &told_both(), &library, WINDOW, |_| None);
    assert!(new.is_empty(), "the same entry of `noise` is no news: {new:?}");
    assert_eq!((ledger.hits("c2"), ledger.hits("noise"), ledger.hits("other")), ((1, 1), (2, 2), (0, 0)));
}

#[test]
fn a_feed_that_did_nothing_raises_none() {
    let (mut ledger, library) = (Ledger::default(), library());
    for told in [told(Action::Allow, &[]), told(Action::Allow, &[(Direction::Ingress, "c2")])] {
        assert_eq!(ledger.note(&flow(CLIENT, "203.0.113.8", 22, 0), &told, &library, WINDOW, |_| None), []);
    }
    let from = told(Action::Allow, &[(Direction::Ingress, "noise")]);
    let new = ledger.note(&flow("203.0.113.8", CLIENT, 22, 0), &from, &library, WINDOW, |_| None);
    assert_eq!(
        (new.len(), &*hit(&new[0]).direction, hit(&new[0]).endpoint.to_string()),
        (1, "ingress", CLIENT.to_owned())
    );
    assert_eq!(ledger.hits("noise"), (1, 0), "it was allowed");
}

#[test]
fn hits_within_the_window_are_one_alert() {
    let (mut ledger, library) = (Ledger::default(), library());
    let c2 = told(Action::Deny, &[(Direction::Egress, "c2")]);
    let mut note = |source: &str, seconds| {
        ledger.note(&flow(source, "203.0.113.8", 443, seconds), &c2, &library, WINDOW, |_| None).len()
    };
    assert_eq!([note(CLIENT, 0), note(CLIENT, 1), note(CLIENT, 599), note(CLIENT, 600)], [1, 0, 0, 1]);
    assert_eq!([note("192.0.2.2", 601), note(CLIENT, 602)], [1, 0]);
    let (alerts, forgotten) = ledger.all();
    let counts: Vec<_> = alerts.iter().map(|alert| (hit(alert).endpoint.to_string(), alert.count)).collect();
    let expected = [(CLIENT, 3), (CLIENT, 2), ("192.0.2.2", 1)].map(|(end, count)| (end.to_owned(), count));
    assert_eq!((counts, forgotten), (expected.to_vec(), 0));
    assert_eq!((&*alerts[0].first, &*alerts[0].last), ("2023-11-14T22:13:20Z", "2023-11-14T22:23:19Z"));
}

#[test]
fn the_ledger_is_bounded_and_counts_what_it_forgets() {
    let (mut ledger, library) = (Ledger::default(), library());
    let c2 = told(Action::Deny, &[(Direction::Egress, "c2")]);
    let source = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes()).to_string();
    for n in 0..25_000 {
        assert_eq!(
            ledger.note(&flow(&source(n), "203.0.113.8", 443, 0), &c2, &library, WINDOW, |_| None).len(),
            1
        );
    }
    let (alerts, forgotten) = ledger.all();
    assert_eq!((alerts.len(), forgotten), (10_000, 15_000));
    assert!(ledger.open.len() <= 20_001, "{}", ledger.open.len());
    // One that is still known is counted, one that was forgotten is new.
    assert_eq!(
        ledger.note(&flow(&source(24_999), "203.0.113.8", 443, 1), &c2, &library, WINDOW, |_| None),
        []
    );
    assert_eq!(
        ledger.note(&flow(&source(0), "203.0.113.8", 443, 1), &c2, &library, WINDOW, |_| None).len(),
        1
    );
    assert_eq!(ledger.hits("c2"), (25_002, 25_002));
}

#[test]
fn a_feed_is_one_alert_until_it_is_fresh_again() {
    let mut ledger = Ledger::default();
    let turn = |feed: &str, is_stale: bool, age: Option<u64>| Turn {
        feed: feed.to_owned(),
        is_stale,
        age: age.map(Duration::from_secs),
        last_error: is_stale.then(|| "no answer".to_owned()),
    };
    let at = |second| jiff::Timestamp::from_second(second).unwrap();
    let json = |alert: &Alert| serde_json::to_value(alert).unwrap();
    let stale = ledger.turn(turn("c2", true, Some(200)), at(0));
    let expected = serde_json::json!({
        "kind": "feed", "feed": "c2", "state": "stale", "age_seconds": 200, "last_error": "no answer", "severity": 50,
        "first": "1970-01-01T00:00:00Z", "last": "1970-01-01T00:00:00Z", "count": 1,
    });
    assert_eq!(json(&stale), expected);
    ledger.turn(turn("noise", true, None), at(1));
    let fresh = ledger.turn(turn("c2", false, Some(0)), at(60));
    assert_eq!((json(&fresh)["state"].as_str(), &*fresh.last), (Some("fresh"), "1970-01-01T00:01:00Z"));
    // In place of the one that it closes; what the copy was like then is still said.
    let (alerts, forgotten) = ledger.all();
    let said: Vec<_> =
        alerts.iter().map(|it| (json(it)["feed"].clone(), json(it)["state"].clone())).collect();
    assert_eq!(said, [("c2".into(), "fresh".into()), ("noise".into(), "stale".into())]);
    assert_eq!((json(&alerts[0])["age_seconds"].as_u64(), forgotten), (Some(200), 0));
    // Stale once more: another alert. What was never stale, or is forgotten, is none.
    ledger.turn(turn("c2", true, Some(300)), at(90));
    assert_eq!(json(&ledger.turn(turn("other", false, Some(0)), at(91)))["state"], "fresh");
    assert_eq!(ledger.all().0.len(), 3);
    for alert in ledger.all().0 {
        let read: Alert = serde_json::from_value(json(&alert)).unwrap();
        assert_eq!(read, alert);
    }
    let (mut ledger, library) = (ledger, library());
    let new = ledger.note(&flow(CLIENT, "203.0.113.7", 443, 0), &told_both(), &library, WINDOW, |_| None);
    assert_eq!(json(&new[0])["kind"], "indicator");
    assert_eq!(serde_json::from_value::<Alert>(json(&new[0])).unwrap(), new[0]);
}
