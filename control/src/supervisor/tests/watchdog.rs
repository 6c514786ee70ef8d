use std::time::{Duration, Instant};

use ravelin_dataplane::handoff::WorkerId;

use crate::supervisor::watchdog::{Finding, Watchdog};

#[test]
fn a_worker_without_a_pulse_is_reported_once_and_again_when_it_goes_on() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut watchdog = Watchdog::new(Duration::from_secs(10), 2, start);
    assert_eq!(watchdog.look(at(1), [5, 5]), []);
    assert_eq!(watchdog.look(at(6), [6, 5]), []);
    assert_eq!(watchdog.look(at(10), [7, 5]), [], "nine seconds are not ten");
    assert_eq!(watchdog.look(at(11), [8, 5]), [Finding::Stalled(WorkerId(1))]);
    assert!(!watchdog.all_well());
    assert_eq!(watchdog.look(at(12), [9, 5]), [], "it is known already");
    assert_eq!(watchdog.look(at(13), [9, 6]), [Finding::Recovered(WorkerId(1))]);
    assert!(watchdog.all_well());
    assert_eq!(watchdog.look(at(22), [9, 7]), [Finding::Stalled(WorkerId(0))]);
}

#[test]
fn a_watchdog_looks_often_enough_but_not_too_often() {
    let interval = |limit| Watchdog::new(limit, 1, Instant::now()).interval();
    assert_eq!(interval(Duration::from_secs(3600)), Duration::from_secs(1));
    assert_eq!(interval(Duration::from_secs(2)), Duration::from_millis(500));
    assert_eq!(interval(Duration::from_millis(1)), Duration::from_millis(25));
}
