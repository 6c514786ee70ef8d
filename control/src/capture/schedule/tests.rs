use jiff::{Timestamp, ToSpan};
use proptest::{prelude::*, sample::Index};

use super::Occurrence;
use crate::capture::CaptureSpec;

fn spec(keys: &str) -> CaptureSpec {
    serde_json::from_str(&format!("{{\"name\": \"a\", {keys}}}")).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What is to come of it for somebody who comes at `now`, as beginning and end.
fn comes(keys: &str, now: &str) -> Option<(String, String)> {
    let Occurrence { begins, ends } = spec(keys).occurrence(at(now), at(now))?;
    Some((begins.to_string(), ends.map_or_else(|| "never".to_owned(), |ends| ends.to_string())))
}

fn times(begins: &str, ends: &str) -> Option<(String, String)> {
    Some((begins.to_owned(), ends.to_owned()))
}

#[test]
fn what_has_no_schedule_begins_now() {
    let now = "2026-08-01T12:00:00Z";
    assert_eq!(comes("\"sample\": 1", now), times(now, "never"));
    assert_eq!(comes("\"duration\": 60", now), times(now, "2026-08-01T12:01:00Z"));
    // A start that is over means now, and the whole duration from then on.
    let over = "\"start\": \"2026-07-01T00:00:00Z\", \"duration\": 60";
    assert_eq!(comes(over, now), times(now, "2026-08-01T12:01:00Z"));
    let later =
        "\"start\": \"2026-08-02T00:00:00+02:00\", \"duration\": 60, \"end\": \"2026-08-01T22:00:30Z\"";
    assert_eq!(comes(later, now), times("2026-08-01T22:00:00Z", "2026-08-01T22:00:30Z"));
    // What is over never begins.
    assert_eq!(comes("\"end\": \"2026-08-01T12:00:00Z\"", now), None);
    assert_eq!(comes("\"end\": \"2026-08-01T12:00:01Z\"", now), times(now, "2026-08-01T12:00:01Z"));
}

#[test]
fn what_has_a_cron_expression_begins_when_it_says_so() {
    let nightly = "\"cron\": \"0 2 * * *\", \"duration\": 3600";
    assert_eq!(
        comes(nightly, "2026-08-01T02:30:00Z"),
        times("2026-08-02T02:00:00Z", "2026-08-02T03:00:00Z"),
        "one that has begun before anybody asked is not joined"
    );
    assert_eq!(comes(nightly, "2026-08-01T02:00:00Z"), times("2026-08-01T02:00:00Z", "2026-08-01T03:00:00Z"));
    let berlin = format!("{nightly}, \"time_zone\": \"Europe/Berlin\"");
    // Clocks are put forward: from 2 to 3, so that it begins at 3, and lasts an hour all the same.
    assert_eq!(comes(&berlin, "2026-03-28T12:00:00Z"), times("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"));
    // They are put back: 2 comes twice.
    assert_eq!(comes(&berlin, "2026-10-24T12:00:00Z"), times("2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"));
    assert_eq!(comes(&berlin, "2026-10-25T00:30:00Z"), times("2026-10-26T01:00:00Z", "2026-10-26T02:00:00Z"));
    // A whole day in wall time is 23 and 25 hours, a duration is not.
    let day = "\"cron\": \"0 0 * * *\", \"duration\": 86400, \"time_zone\": \"America/New_York\"";
    let short = spec(day).occurrence(at("2026-03-08T05:00:00Z"), at("2026-03-08T05:00:00Z")).unwrap();
    assert_eq!(short.ends, Some(at("2026-03-09T05:00:00Z")));
    assert_eq!(spec(day).between(short.begins, short.ends.unwrap()), 1, "the next begins an hour earlier");
}

#[test]
fn occurrences_are_between_start_and_end() {
    let keys = "\"cron\": \"0 * * * *\", \"duration\": 1800, \"start\": \"2026-08-01T10:30:00Z\", \"end\": \"2026-08-01T12:15:00Z\"";
    assert_eq!(comes(keys, "2026-07-01T00:00:00Z"), times("2026-08-01T11:00:00Z", "2026-08-01T11:30:00Z"));
    // The last one is cut off.
    assert_eq!(comes(keys, "2026-08-01T11:40:00Z"), times("2026-08-01T12:00:00Z", "2026-08-01T12:15:00Z"));
    assert_eq!(comes(keys, "2026-08-01T12:10:00Z"), None);
    assert_eq!(comes(keys, "2026-08-01T12:15:00Z"), None);
    // One that would begin at the end does not.
    let keys = "\"cron\": \"0 * * * *\", \"duration\": 1800, \"end\": \"2026-08-01T12:00:00Z\"";
    assert_eq!(comes(keys, "2026-08-01T11:30:00Z"), None);
}

#[test]
fn whoever_comes_late_finds_what_is_not_over() {
    let nightly = spec("\"cron\": \"0 2 * * *\", \"duration\": 3600");
    let due = at("2026-08-01T02:00:00Z");
    let found = |now: &str| nightly.occurrence(due, at(now)).unwrap().begins.to_string();
    assert_eq!(found("2026-08-01T02:59:59Z"), "2026-08-01T02:00:00Z");
    assert_eq!(found("2026-08-01T03:00:00Z"), "2026-08-02T02:00:00Z");
    assert_eq!(found("2026-08-09T02:30:00Z"), "2026-08-09T02:00:00Z");
    assert_eq!(nightly.between(due, at("2026-08-09T02:00:00Z")), 7);
    assert_eq!(spec("\"sample\": 1").between(due, at("2027-08-09T02:00:00Z")), 0);
    let often = spec("\"cron\": \"* * * * *\", \"duration\": 1");
    assert_eq!(often.between(due, at("2026-08-09T02:00:00Z")), CaptureSpec::COUNTED as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One after the other, each as soon as the one before is over: they never overlap, and none is forgotten.
    #[test]
    fn occurrences_follow_one_another(
        cron in any::<Index>(),
        zone in any::<Index>(),
        duration in 1..200_000_i64,
        start in 0..400_000_i64,
    ) {
        let crons = ["* * * * *", "*/7 * * * *", "30 2 * * *", "0 1-3 * * *", "15 0 1,15 * *", "0 0 29 2 *", "59 23 * * sun"];
        let zones = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];
        let spec = spec(&format!(
            "\"cron\": \"{}\", \"time_zone\": \"{}\", \"duration\": {duration}", cron.get(&crons), zone.get(&zones)
        ));
        let mut now = at("2026-03-27T00:00:00Z") + start.seconds();
        for _ in 0..10 {
            let next = spec.occurrence(now, now).unwrap();
            prop_assert!(next.begins >= now);
            prop_assert_eq!(next.ends, Some(next.begins + duration.seconds()));
            // None that would have been possible was left out.
            prop_assert_eq!(spec.next(now - 1.nanosecond()), Some(next.begins));
            now = next.ends.unwrap();
        }
    }
}
