use super::*;
use crate::testing::Directory;

fn spec(name: &str, duration: Option<u64>) -> CaptureSpec {
    let mut spec: CaptureSpec = serde_json::from_str(&format!("{{\"name\": \"{name}\"}}")).unwrap();
    spec.duration = duration;
    spec
}

/// Adds a capture by hand and has it begin, as when somebody starts it.
fn start(registry: &mut Registry, spec: CaptureSpec, now: Timestamp) -> Result<u8, StartError> {
    let name = spec.name.clone();
    registry.add(spec, false, now)?;
    registry.begin(&name, now).map(Option::unwrap)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn captures_have_numbers_while_they_are_under_way() {
    let mut registry = Registry::default();
    assert_eq!(start(&mut registry, spec("a", Some(60)), at(0)), Ok(1));
    assert_eq!(start(&mut registry, spec("b", None), at(0)), Ok(2));
    assert_eq!(start(&mut registry, spec("a", None), at(0)), Err(StartError::Exists("a".to_owned())));
    assert_eq!((registry.due(at(59)), registry.due(at(60))), (vec![], vec!["a".to_owned()]));
    registry.note(1, 7, 700, 0);
    assert_eq!(registry.get("a").unwrap().state, State::Capturing);
    assert_eq!(registry.get("b").unwrap().state, State::WaitingForTraffic);
    assert_eq!(registry.remove("a"), None, "it is under way");
    assert_eq!(registry.end("a", State::Finished, at(60)), Some(1));
    assert_eq!(registry.end("a", State::Finished, at(60)), None);
    assert_eq!(start(&mut registry, spec("c", None), at(61)), Ok(1));
    assert_eq!(registry.remove("a").unwrap().packets, 7);
    for number in 3..=Registry::MOST as u8 {
        assert_eq!(start(&mut registry, spec(&format!("n{number}"), None), at(0)), Ok(number));
    }
    assert_eq!(start(&mut registry, spec("more", None), at(0)), Err(StartError::TooMany));
}

#[test]
fn what_was_under_way_goes_on_after_a_restart() {
    let directory = Directory::new();
    let path = directory.file("");
    assert_eq!(Registry::load(&path, at(0)).unwrap(), Registry::default());
    let mut registry = Registry::default();
    start(&mut registry, spec("short", Some(60)), at(0)).unwrap();
    start(&mut registry, spec("long", Some(600)), at(0)).unwrap();
    start(&mut registry, spec("failed", None), at(0)).unwrap();
    registry.note(registry.get("long").unwrap().number.unwrap(), 7, 700, 0);
    registry.end("failed", State::Error("disk full".to_owned()), at(5)).unwrap();
    registry.save(&path).unwrap();
    let mut loaded = Registry::load(&path, at(100)).unwrap();
    let short = loaded.get("short").unwrap();
    assert_eq!((&short.state, short.number, short.ended), (&State::Finished, None, Some(at(60))));
    assert!(loaded.get("long").unwrap().number.is_some());
    assert_eq!(loaded.get("failed"), registry.get("failed"));
    // What was written before still counts.
    let number = loaded.get("long").unwrap().number.unwrap();
    loaded.note(number, 2, 200, 1);
    let long = loaded.get("long").unwrap();
    assert_eq!((long.packets, long.bytes, long.lost), (9, 900, 1));
    directory.write("captures.json", "[{");
    assert!(Registry::load(&path, at(0)).is_err());
}

/// A job with a cron expression in UTC.
fn job(name: &str, cron: &str, duration: u64) -> CaptureSpec {
    CaptureSpec { cron: Some(cron.parse().unwrap()), ..spec(name, Some(duration)) }
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

#[test]
fn a_capture_begins_when_it_is_due_and_ends_when_it_is_over() {
    let mut registry = Registry::default();
    let later = CaptureSpec { start: Some(at(100)), end: Some(at(200)), ..spec("later", None) };
    registry.add(later.clone(), false, at(0)).unwrap();
    let stands = |registry: &Registry| registry.get("later").unwrap().state.clone();
    assert_eq!((stands(&registry), registry.due_to_begin(at(99))), (State::Scheduled, vec![]));
    assert_eq!(registry.begin("later", at(99)), Ok(None), "it is not time");
    assert_eq!(registry.due_to_begin(at(101)), ["later"]);
    let number = registry.begin("later", at(101)).unwrap().unwrap();
    assert_eq!((stands(&registry), registry.due_to_begin(at(101))), (State::WaitingForTraffic, vec![]));
    registry.note(number, 7, 700, 1);
    assert_eq!(registry.due(at(200)), ["later"]);
    registry.end("later", State::Finished, at(201));
    let capture = registry.get("later").unwrap();
    assert_eq!((&capture.state, capture.packets, capture.is_over()), (&State::Finished, 7, true));
    assert_eq!((capture.started, capture.ended), (Some(at(101)), Some(at(200))));
    // What is over when it is declared never begins.
    registry.add(CaptureSpec { name: "late".to_owned(), ..later.clone() }, true, at(200)).unwrap();
    let late = registry.get("late").unwrap();
    assert_eq!((&late.state, late.started, late.is_over()), (&State::Finished, None, true));
    // What nobody was there for does not begin either.
    registry.add(CaptureSpec { name: "missed".to_owned(), ..later }, true, at(0)).unwrap();
    assert_eq!(registry.begin("missed", at(200)), Ok(None));
    let missed = registry.get("missed").unwrap();
    assert_eq!((&missed.state, missed.skipped, missed.is_over()), (&State::Finished, 1, true));
}

#[test]
fn what_comes_again_and_again_is_scheduled_in_between() {
    let mut registry = Registry::default();
    registry.add(job("often", "*/10 * * * *", 300), true, at(1)).unwrap();
    registry.add(job("twice", "*/10 * * * *", 300), true, at(1)).unwrap();
    assert_eq!(registry.due_to_begin(at(600)), ["often", "twice"]);
    let [number, other] = ["often", "twice"].map(|name| registry.begin(name, at(600)).unwrap().unwrap());
    assert_ne!(number, other);
    registry.note(number, 7, 700, 0);
    registry.end("often", State::Finished, at(901)).unwrap();
    let often = registry.get("often").unwrap();
    assert_eq!((&often.state, often.begins, often.skipped), (&State::Scheduled, Some(at(1200)), 0));
    // What was written the other times still counts.
    let number = registry.begin("often", at(1200)).unwrap().unwrap();
    registry.note(number, 1, 100, 1);
    let often = registry.get("often").unwrap();
    assert_eq!((often.packets, often.bytes, often.lost), (8, 800, 1));
    // An error is told until the next time.
    registry.end("often", State::Error("disk full".to_owned()), at(1201)).unwrap();
    let often = registry.get("often").unwrap();
    assert_eq!((often.state.name(), often.begins, often.is_over()), ("Error", Some(at(1800)), false));
    assert!(registry.begin("often", at(1800)).unwrap().is_some());
    assert_eq!(registry.get("often").unwrap().state, State::WaitingForTraffic);
    // Ended by hand, the next time comes; cancelled, it does not.
    registry.end("often", State::Finished, at(1801)).unwrap();
    assert_eq!(registry.get("often").unwrap().begins, Some(at(2400)));
    registry.cancel("often", at(1802));
    let often = registry.get("often").unwrap();
    assert_eq!((&often.state, often.is_over()), (&State::Finished, true));
}

#[test]
fn while_one_goes_on_no_other_begins_and_that_is_counted() {
    let mut registry = Registry::default();
    // 25 minutes, every ten minutes: those that would begin after 10 and 20 minutes do not.
    registry.add(job("long", "*/10 * * * *", 25 * 60), true, at(0)).unwrap();
    registry.begin("long", at(0)).unwrap().unwrap();
    assert_eq!(registry.due_to_begin(at(20 * MINUTE)), [""; 0]);
    registry.end("long", State::Finished, at(25 * MINUTE)).unwrap();
    let long = registry.get("long").unwrap();
    assert_eq!((long.begins, long.skipped), (Some(at(30 * MINUTE)), 2));
    // One that begins when the last one ends is none of them, also if that is noticed late.
    registry.add(job("whole", "0 * * * *", 3600), true, at(0)).unwrap();
    registry.begin("whole", at(0)).unwrap().unwrap();
    registry.end("whole", State::Finished, at(HOUR + 1)).unwrap();
    let whole = registry.get("whole").unwrap();
    assert_eq!((whole.begins, whole.skipped), (Some(at(HOUR)), 0));
    assert!(registry.begin("whole", at(HOUR + 1)).unwrap().is_some());
    assert_eq!(registry.get("whole").unwrap().ends, Some(at(2 * HOUR)));
}

#[test]
fn schedules_outlive_the_process() {
    let directory = Directory::new();
    let path = directory.file("");
    let mut registry = Registry::default();
    registry.add(job("nightly", "0 2 * * *", 3600), true, at(0)).unwrap();
    registry.save(&path).unwrap();
    // In the middle: it begins late, and ends when it should.
    let mut loaded = Registry::load(&path, at(2 * HOUR + 600)).unwrap();
    assert_eq!(loaded, registry);
    let number = loaded.begin("nightly", at(2 * HOUR + 600)).unwrap().unwrap();
    assert_eq!(
        (loaded.get("nightly").unwrap().ends, loaded.get("nightly").unwrap().skipped),
        (Some(at(3 * HOUR)), 0)
    );
    loaded.note(number, 7, 700, 0);
    loaded.save(&path).unwrap();
    // In the middle once more: it goes on until the same end.
    let mut loaded = Registry::load(&path, at(2 * HOUR + 1200)).unwrap();
    let nightly = loaded.get("nightly").unwrap();
    assert_eq!((nightly.state.name(), nightly.ends, nightly.job), ("Capturing", Some(at(3 * HOUR)), true));
    let number = nightly.number.unwrap();
    loaded.note(number, 1, 100, 0);
    loaded.save(&path).unwrap();
    // Two days later: it has ended, what is missed is counted, and the next time comes.
    let now = at(50 * HOUR + 600);
    let mut loaded = Registry::load(&path, now).unwrap();
    let nightly = loaded.get("nightly").unwrap();
    assert_eq!((nightly.number, nightly.packets, nightly.ended), (None, 8, Some(at(3 * HOUR))));
    assert_eq!((nightly.begins, nightly.skipped), (Some(at(50 * HOUR)), 1));
    assert!(loaded.begin("nightly", now).unwrap().is_some(), "its third night is not over");
    // And when nobody is there for longer than it was scheduled.
    registry.save(&path).unwrap();
    let mut loaded = Registry::load(&path, at(100 * HOUR)).unwrap();
    assert_eq!(loaded.begin("nightly", at(100 * HOUR)), Ok(None));
    let nightly = loaded.get("nightly").unwrap();
    assert_eq!(
        (&nightly.state, nightly.begins, nightly.skipped),
        (&State::Scheduled, Some(at(122 * HOUR)), 5)
    );
}

#[test]
fn what_finds_no_number_waits_for_one() {
    let mut registry = Registry::default();
    for number in 1..=Registry::MOST {
        start(&mut registry, spec(&format!("n{number}"), None), at(0)).unwrap();
    }
    registry.add(spec("more", Some(60)), true, at(0)).unwrap();
    assert_eq!(registry.begin("more", at(0)), Err(StartError::TooMany));
    assert_eq!(registry.begin("more", at(1)), Ok(None), "that was said already");
    assert_eq!(registry.get("more").unwrap().state, State::Error(StartError::TooMany.to_string()));
    registry.end("n7", State::Finished, at(2)).unwrap();
    assert_eq!(registry.due_to_begin(at(2)), ["more"]);
    assert_eq!(registry.begin("more", at(2)), Ok(Some(7)));
    assert_eq!(registry.get("more").unwrap().state, State::WaitingForTraffic);
}

#[test]
fn jobs_that_are_declared_otherwise_are_found() {
    let mut registry = Registry::default();
    for (name, is_job) in
        [("same", true), ("changed", true), ("gone", true), ("by-hand", false), ("taken", false)]
    {
        start(&mut registry, spec(name, None), at(0)).unwrap();
        registry.0.get_mut(name).unwrap().job = is_job;
    }
    let jobs = [spec("same", None), spec("changed", Some(60)), spec("taken", None), spec("new", None)];
    assert_eq!(registry.not_among(&jobs), ["changed", "gone", "taken"]);
    registry.end("gone", State::Finished, at(1)).unwrap();
    registry.release("gone", at(1));
    let gone = registry.get("gone").unwrap();
    assert_eq!((gone.job, &gone.state), (false, &State::Finished));
    // There is nothing to keep of what never began.
    registry.add(job("never", "0 0 1 1 *", 60), true, at(1)).unwrap();
    registry.release("never", at(1));
    assert_eq!(registry.get("never"), None);
}
