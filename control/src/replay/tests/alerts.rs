use std::sync::Arc;

use super::{
    super::Replay,
    capture::{Capture, tcp, udp},
    lines, load, replay,
};
use crate::feeds::{Library, tests::contents};

/// One feed that blocks and one that only tells.
const CONFIG: &str = "[threat]\nalert_window = '1m'\n\
                      [[feed]]\nname = 'bad'\nfile = 'bad'\nseverity = 90\n\
                      [[feed]]\nname = 'odd'\nfile = 'odd'\naction = 'alert'\n";

fn library() -> Library {
    let mut library = Library::new(&load(CONFIG));
    library.put("bad", Arc::new(contents("203.0.113.7\n")));
    library.put("odd", Arc::new(contents("203.0.113.8/29\n")));
    library
}

const SECOND: u64 = 1_000_000;

fn capture() -> Capture {
    let mut capture = Capture::new();
    // Endpoints talk to what a feed names: again within the minute, again after it, and somebody else.
    for (second, endpoint, port, server) in [
        (0, "10.0.0.1", 1, "203.0.113.7"),
        (1, "10.0.0.1", 2, "203.0.113.7"),
        (2, "10.0.0.1", 3, "203.0.113.9"),
        (3, "10.0.0.1", 3, "203.0.113.99"),
        (100, "10.0.0.2", 4, "203.0.113.7"),
        (101, "10.0.0.1", 5, "203.0.113.7"),
    ] {
        capture.add(second * SECOND, &udp(&[], (endpoint, port), (server, 443), 30));
    }
    // And what a feed names talks to an endpoint.
    capture.add(102 * SECOND, &tcp(("203.0.113.7", 6), ("10.0.0.3", 22), "S", (1, 0), 0));
    capture
}

#[test]
fn alerts_stand_among_the_records_and_in_the_summary() {
    let run = |batch| {
        let with = |replay: &mut Replay| {
            replay.library = library();
            replay.batch = Some(batch);
        };
        replay(capture().bytes(), CONFIG, with)
    };
    let (summary, records) = run(64);
    let found: Vec<_> = summary
        .alerts
        .iter()
        .map(|alert| {
            let hit = alert.hit().unwrap();
            let ends = format!("{} {} {}", hit.endpoint, hit.direction, hit.address);
            (ends, hit.feed.as_str(), hit.verdict.as_str(), alert.count)
        })
        .collect();
    let expected = [
        ("10.0.0.1 egress 203.0.113.7", "bad", "deny", 2),
        ("10.0.0.1 egress 203.0.113.9", "odd", "allow", 1),
        ("10.0.0.2 egress 203.0.113.7", "bad", "deny", 1),
        ("10.0.0.1 egress 203.0.113.7", "bad", "deny", 1),
        ("10.0.0.3 ingress 203.0.113.7", "bad", "deny", 1),
    ];
    assert_eq!(found, expected.map(|(ends, feed, verdict, count)| (ends.to_owned(), feed, verdict, count)));
    assert_eq!((summary.alerts_forgotten, summary.flows.allow, summary.flows.deny), (0, 2, 5));

    let records = lines(&records);
    let alerts: Vec<_> = records.iter().filter(|record| record["event_type"] == "alert").collect();
    let feeds: Vec<_> = alerts.iter().map(|alert| alert["threat"]["feed"].as_str().unwrap()).collect();
    assert_eq!(feeds, ["bad", "odd", "bad", "bad", "bad"]);
    assert_eq!((records.len() - alerts.len(), summary.records), (7, Some(7)));
    assert!(records.is_sorted_by_key(|record| record["timestamp"].as_str().unwrap().to_owned()));

    for batch in [1, 3] {
        let (other, other_records) = run(batch);
        assert_eq!((other.alerts, lines(&other_records)), (summary.alerts.clone(), records.clone()));
    }
}

#[test]
fn alerts_need_no_records() {
    let (summary, _) = replay(capture().bytes(), CONFIG, |replay| {
        replay.library = library();
        replay.records = None;
    });
    assert_eq!((summary.alerts.len(), summary.records), (5, None));
}
