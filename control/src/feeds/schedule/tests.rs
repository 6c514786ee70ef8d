use super::*;
use proptest::prelude::*;

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

/// `a` is fetched hourly, `b` is a file, beside `feodo`, which is off.
const FEEDS: &str = "[[feed]]\nname = 'feodo'\nmode = 'disabled'\n\
                     [[feed]]\nname = 'a'\nurl = 'https://a.example'\nperiod = '1h'\n\
                     [[feed]]\nname = 'b'\nfile = 'b'\n";

fn feeds(text: &str) -> Vec<Feed> {
    ravelin_config::parse(text, "t.toml").unwrap_or_else(|report| panic!("{report}")).config.feeds.to_vec()
}

fn schedule(text: &str) -> Schedule {
    let mut schedule = Schedule::new(1);
    schedule.configure(&feeds(text), Duration::ZERO);
    schedule
}

fn status(schedule: &Schedule, name: &str, now: Duration) -> Status {
    schedule.status(now).find(|(found, _)| *found == name).unwrap().1
}

/// An attempt to get a feed as it is in `FEEDS`, whatever its period.
fn done(schedule: &mut Schedule, name: &str, outcome: Outcome, now: Duration) {
    let feed = feeds(FEEDS).into_iter().find(|feed| feed.name == name).unwrap();
    schedule.done(&feed, outcome, now);
}

fn failed() -> Outcome {
    Outcome::Failed { kind: Failure::Timeout, error: "no".to_owned(), retry_after: None }
}

fn loaded(entries: usize) -> Outcome {
    Outcome::Loaded { entries, age: Duration::ZERO }
}

#[test]
fn a_feed_is_fetched_at_once_and_then_by_its_period() {
    let mut schedule = schedule(FEEDS);
    assert_eq!(schedule.next(), Some(Duration::ZERO));
    assert_eq!(schedule.due(Duration::ZERO), ["a", "b"]);
    // Once at a time.
    assert_eq!((schedule.due(HOUR), schedule.next()), (vec![], None));
    assert_eq!(status(&schedule, "a", HOUR).health, Health::Pending);
    done(&mut schedule, "a", loaded(7), MINUTE);
    done(&mut schedule, "b", loaded(1), MINUTE);
    let next = schedule.next().unwrap();
    assert!((MINUTE + HOUR..=MINUTE + HOUR + HOUR / 20).contains(&next), "{next:?}");
    assert!(schedule.due(next - Duration::from_micros(1)).is_empty());
    assert_eq!(schedule.due(next), ["a"]);
    done(&mut schedule, "a", Outcome::Unchanged, next);
    let status = status(&schedule, "a", next + MINUTE);
    let counts = Counts { loaded: 1, unchanged: 1, ..Counts::default() };
    assert_eq!((status.health, status.age, status.entries), (Health::Fresh, Some(MINUTE), 7));
    assert_eq!((status.counts, status.failures, status.last_error), (counts, 0, None));
}

#[test]
fn what_is_lost_is_fetched_at_once() {
    let mut schedule = schedule(FEEDS);
    schedule.due(Duration::ZERO);
    done(&mut schedule, "a", loaded(7), MINUTE);
    schedule.lost("a", 2 * MINUTE);
    let status = status(&schedule, "a", 2 * MINUTE);
    assert_eq!((status.health, status.entries, status.age), (Health::Pending, 0, None));
    assert_eq!(schedule.due(2 * MINUTE), ["a"]);
    // What never was there is waited for as before.
    done(&mut schedule, "a", failed(), 2 * MINUTE);
    let next = schedule.next();
    schedule.lost("a", 2 * MINUTE);
    assert_eq!(schedule.next(), next);
}

#[test]
fn a_file_waits_for_a_change() {
    let mut schedule = schedule(FEEDS);
    schedule.due(Duration::ZERO);
    done(&mut schedule, "b", loaded(1), Duration::ZERO);
    let later = HOUR * 1000;
    assert!(schedule.due(later).is_empty());
    let before = status(&schedule, "b", later);
    assert_eq!((before.health, before.is_stale, before.next), (Health::Fresh, false, None));
    assert!(schedule.ask("b", later) && !schedule.ask("feodo", later));
    assert_eq!(schedule.due(later), ["b"]);
    // It changes while it is read.
    assert!(schedule.ask("b", later));
    assert!(schedule.due(later).is_empty());
    done(&mut schedule, "b", failed(), later);
    assert_eq!(schedule.due(later), ["b"]);
    // A file that could not be read is tried again by itself.
    done(&mut schedule, "b", failed(), later);
    assert_eq!((schedule.due(later).len(), schedule.due(later + HOUR).len()), (0, 1));
}

#[test]
fn failures_are_tried_again_less_and_less_often() {
    let mut schedule = schedule(FEEDS);
    let mut now = Duration::ZERO;
    schedule.due(now);
    for longest in [1, 2, 4, 8, 16, 32, 60, 60, 60].map(|minutes| MINUTE * minutes) {
        done(&mut schedule, "a", failed(), now);
        let status = status(&schedule, "a", now);
        assert_eq!((status.health, status.last_error.as_deref()), (Health::Failing, Some("no")));
        let wait = status.next.unwrap();
        assert!((longest / 2..=longest).contains(&wait), "{wait:?} of {longest:?}");
        now += wait;
        assert_eq!(schedule.due(now), ["a"]);
    }
    done(&mut schedule, "a", Outcome::Unchanged, now);
    let after = status(&schedule, "a", now);
    assert_eq!(
        (after.failures, after.counts.failed, after.health),
        (0, BTreeMap::from([(Failure::Timeout, 9)]), Health::Fresh)
    );
    assert!(after.next.unwrap() >= HOUR && after.last_error.is_none());
    // From the start again.
    assert!(schedule.ask("a", now));
    schedule.due(now);
    done(&mut schedule, "a", failed(), now);
    assert!(status(&schedule, "a", now).next.unwrap() <= MINUTE);
}

#[test]
fn a_server_may_want_to_be_left_alone() {
    for (wanted, expected) in [(2, 2), (1000, 24)] {
        let mut schedule = schedule(FEEDS);
        schedule.due(Duration::ZERO);
        let retry_after = Some(HOUR * wanted);
        let busy = Outcome::Failed { kind: Failure::Status, error: "503".to_owned(), retry_after };
        done(&mut schedule, "a", busy, Duration::ZERO);
        assert_eq!(status(&schedule, "a", Duration::ZERO).next, Some(HOUR * expected));
    }
}

#[test]
fn what_is_held_back_is_looked_at_again() {
    let mut schedule = schedule(&FEEDS.replace("1h", "1d"));
    schedule.due(Duration::ZERO);
    done(&mut schedule, "a", loaded(100), Duration::ZERO);
    schedule.ask("a", HOUR);
    schedule.due(HOUR);
    done(&mut schedule, "a", Outcome::HeldBack { reason: "3 entries, not 100".to_owned() }, HOUR);
    let status = status(&schedule, "a", HOUR);
    assert_eq!((status.health, status.entries, status.age), (Health::HeldBack, 100, Some(HOUR)));
    assert_eq!((status.counts.held_back, status.failures), (1, 1));
    assert_eq!(status.last_error.as_deref(), Some("3 entries, not 100"));
    assert!(status.next.unwrap() <= HOUR);
}

#[test]
fn a_copy_grows_stale() {
    let mut schedule = schedule(FEEDS);
    schedule.due(Duration::ZERO);
    done(&mut schedule, "a", loaded(1), Duration::ZERO);
    let second = Duration::from_secs(1);
    assert_eq!(status(&schedule, "a", HOUR * 2).health, Health::Fresh);
    assert_eq!(status(&schedule, "a", HOUR * 2 + second).health, Health::Stale);
    schedule.ask("a", HOUR);
    schedule.due(HOUR);
    done(&mut schedule, "a", failed(), HOUR);
    let failing = status(&schedule, "a", HOUR * 3);
    assert_eq!((failing.health, failing.is_stale), (Health::Failing, true));
}

#[test]
fn that_a_feed_is_stale_is_said_once_and_so_is_that_it_is_fresh_again() {
    let mut schedule = schedule(FEEDS);
    let second = Duration::from_secs(1);
    let turn = |is_stale, age, error: Option<&str>| {
        vec![Turn { feed: "a".to_owned(), is_stale, age, last_error: error.map(str::to_owned) }]
    };
    // There has never been a copy; and a file may be away for as long as it wants.
    assert_eq!(schedule.due(Duration::ZERO), ["a", "b"]);
    for name in ["a", "b"] {
        done(&mut schedule, name, failed(), MINUTE);
    }
    assert_eq!(schedule.turned(HOUR * 2), []);
    assert_eq!(schedule.turned(HOUR * 2 + second), turn(true, None, Some("no")));
    assert_eq!(schedule.turned(HOUR * 3), []);
    // Another failure is no news, whatever it is; another period is: two of these have not passed.
    schedule.ask("a", HOUR * 3);
    schedule.due(HOUR * 3);
    done(&mut schedule, "a", Outcome::HeldBack { reason: "empty".to_owned() }, HOUR * 3);
    assert_eq!(schedule.turned(HOUR * 4), []);
    schedule.configure(&feeds(&FEEDS.replace("1h", "4h")), HOUR * 4);
    assert_eq!(schedule.turned(HOUR * 4), turn(false, None, Some("empty")));
    schedule.configure(&feeds(FEEDS), HOUR * 4);
    assert_eq!(schedule.turned(HOUR * 4), turn(true, None, Some("empty")));
    schedule.due(HOUR * 4);
    done(&mut schedule, "a", loaded(1), HOUR * 5);
    assert_eq!(schedule.turned(HOUR * 5), turn(false, Some(Duration::ZERO), None));
    assert_eq!(schedule.turned(HOUR * 7), []);
    assert_eq!(schedule.turned(HOUR * 7 + second), turn(true, Some(HOUR * 2 + second), None));
    // A copy of an earlier run is as old as it is.
    let mut schedule = super::Schedule::new(1);
    schedule.configure(&feeds(FEEDS), MINUTE);
    schedule.restored("a", 9, HOUR * 50, MINUTE);
    assert_eq!(schedule.turned(MINUTE), turn(true, Some(HOUR * 50), None));
}

#[test]
fn a_file_is_stale_only_if_somebody_says_when() {
    let mut schedule = schedule(&FEEDS.replace("file = 'b'", "file = 'b'\nstale_after = '10m'"));
    schedule.restored("b", 3, Duration::ZERO, Duration::ZERO);
    assert_eq!(schedule.turned(MINUTE * 10), []);
    let later = MINUTE * 10 + Duration::from_secs(1);
    let turned = schedule.turned(later);
    assert_eq!(
        turned.iter().map(|turn| (turn.feed.as_str(), turn.is_stale)).collect::<Vec<_>>(),
        [("b", true)]
    );
    assert_eq!(status(&schedule, "b", later).health, Health::Stale);
    // Read once more, it is as old as it was.
    done(&mut schedule, "b", Outcome::Loaded { entries: 1, age: later }, later);
    assert_eq!(schedule.turned(later), []);
    done(&mut schedule, "b", loaded(1), later);
    assert!(schedule.turned(later).iter().any(|turn| turn.feed == "b" && !turn.is_stale));
    assert_eq!(status(&schedule, "b", later).health, Health::Fresh);
}

#[test]
fn a_copy_of_an_earlier_run_is_used_until_its_period_has_passed() {
    let mut schedule = schedule(FEEDS);
    let start = MINUTE;
    schedule.restored("a", 9, MINUTE * 50, start);
    schedule.restored("feodo", 9, HOUR, start);
    let restored = status(&schedule, "a", start);
    assert_eq!((restored.health, restored.age, restored.entries), (Health::Fresh, Some(MINUTE * 50), 9));
    let next = restored.next.unwrap();
    assert!((MINUTE * 10..=MINUTE * 10 + Duration::from_secs(30)).contains(&next), "{next:?}");
    // One that is older than its period is fetched at once, all but.
    schedule.restored("a", 9, HOUR * 9, start);
    let old = status(&schedule, "a", start);
    assert!(old.is_stale && old.next.unwrap() <= Duration::from_secs(30), "{old:?}");
}

#[test]
fn a_file_that_was_read_with_the_configuration_is_read_again_when_it_changes() {
    let mut schedule = schedule(FEEDS);
    schedule.restored("b", 3, Duration::ZERO, Duration::ZERO);
    assert_eq!(schedule.due(Duration::ZERO), ["a"]);
    let known = status(&schedule, "b", Duration::ZERO);
    assert_eq!((known.health, known.entries, known.next), (Health::Fresh, 3, None));
    assert!(schedule.due(HOUR * 1000).is_empty());
    assert!(schedule.ask("b", HOUR));
    assert_eq!(schedule.due(HOUR), ["b"]);
    // It could not be read then, but with the next configuration.
    done(&mut schedule, "b", failed(), HOUR);
    schedule.restored("b", 4, Duration::ZERO, HOUR);
    let known = status(&schedule, "b", HOUR);
    assert_eq!((known.health, known.last_error, known.next), (Health::Fresh, None, None));
}

#[test]
fn another_configuration_keeps_what_is_the_same() {
    let mut schedule = schedule(FEEDS);
    schedule.due(Duration::ZERO);
    for name in ["a", "b"] {
        done(&mut schedule, name, loaded(5), Duration::ZERO);
    }
    schedule.configure(&feeds(FEEDS), MINUTE);
    assert!(schedule.due(MINUTE).is_empty());
    // Another period: the same copy, but let us see.
    schedule.configure(&feeds(&FEEDS.replace("1h", "2h")), MINUTE);
    assert_eq!((status(&schedule, "a", MINUTE).entries, schedule.due(MINUTE)), (5, vec!["a".to_owned()]));
    schedule.configure(
        &feeds(&FEEDS.replace("a.example", "b.example").replace("file = 'b'", "file = 'c'")),
        MINUTE,
    );
    for name in ["a", "b"] {
        let status = status(&schedule, name, MINUTE);
        assert_eq!((status.health, status.entries, status.counts), (Health::Pending, 0, Counts::default()));
    }
    schedule.configure(&feeds(""), MINUTE);
    assert_eq!(schedule.status(MINUTE).map(|(name, _)| name).collect::<Vec<_>>(), ["feodo"]);
    // What was underway when it went away.
    done(&mut schedule, "a", failed(), MINUTE);
    assert_eq!(schedule.next(), Some(MINUTE));
    schedule.configure(&feeds(&FEEDS.replace("a.example", "b.example")), MINUTE);
    done(&mut schedule, "a", failed(), MINUTE);
    assert_eq!(status(&schedule, "a", MINUTE).counts, Counts::default());
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Ask,
    Done(Outcome),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens, a feed is either underway or has a time within its period (or what the server wants), and every outcome
    /// is counted once.
    #[test]
    fn no_feed_is_forgotten(
        seed in any::<u64>(),
        steps in proptest::collection::vec(prop_oneof![
            (0_u64..200_000).prop_map(Step::Wait),
            Just(Step::Ask),
            Just(Step::Done(failed())),
            Just(Step::Done(Outcome::Unchanged)),
            Just(Step::Done(loaded(1))),
            Just(Step::Done(Outcome::HeldBack { reason: String::new() })),
        ], 0..60),
    ) {
        let mut schedule = Schedule::new(seed);
        let mut now = Duration::ZERO;
        schedule.configure(&feeds(FEEDS), now);
        let (mut underway, mut outcomes) = (false, 0);
        for step in steps {
            match step {
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
                Step::Ask => prop_assert!(schedule.ask("a", now)),
                Step::Done(outcome) if underway => {
                    done(&mut schedule, "a", outcome, now);
                    (underway, outcomes) = (false, outcomes + 1);
                }
                Step::Done(_) => {}
            }
            let due = schedule.due(now).contains(&"a".to_owned());
            prop_assert!(!(due && underway));
            underway |= due;
            let status = status(&schedule, "a", now);
            prop_assert_eq!(status.next.is_none(), underway);
            prop_assert!(status.next.is_none_or(|next| next <= HOUR + HOUR / 20), "{:?}", status);
            let Counts { loaded, unchanged, held_back, failed } = status.counts;
            prop_assert_eq!(loaded + unchanged + held_back + failed.values().sum::<u64>(), outcomes);
            prop_assert_eq!(status.failures == 0, status.last_error.is_none());
        }
    }
}
