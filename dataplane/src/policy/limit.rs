//! Rate limits of rules: how many new flows a rule lets through in a time.
//!
//! The generic cell rate algorithm: one number says when the next flow would be due if they came evenly; a flow may come early
//! by a second's worth. All workers share the number, so the limit holds for the appliance as a whole. Touched only by a
//! flow's first packet.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::clock::Timestamp;

/// A limit's place in the list of the policy in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitId(pub u32);

/// One rule's limit. A clone shares its state, so that it survives a change of other rules.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Nanoseconds from one flow to the next if they come evenly.
    interval: u64,
    /// How much earlier than that one may come.
    tolerance: u64,
    due: Arc<AtomicU64>,
}

impl Limit {
    /// The most that may come at once is what is due in this time, but at least one flow.
    const BURST: Duration = Duration::from_secs(1);

    /// At most `flows` new flows (at least one) `per` time.
    pub fn new(flows: u32, per: Duration) -> Self {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let interval = (nanos(per) / u64::from(flows.max(1))).max(1);
        Self { interval, tolerance: nanos(Self::BURST).saturating_sub(interval), due: Arc::default() }
    }

    /// Whether one more flow may pass now, and counts it if so.
    pub fn take(&self, now: Timestamp) -> bool {
        self.due.try_update(Ordering::Relaxed, Ordering::Relaxed, |due| self.next(due, now)).is_ok()
    }

    /// Whether one more flow may pass now.
    pub(super) fn allows(&self, now: Timestamp) -> bool {
        self.next(self.due.load(Ordering::Relaxed), now).is_some()
    }

    /// When the flow after one that comes now is due; `None` if one that comes now is too early.
    fn next(&self, due: u64, now: Timestamp) -> Option<u64> {
        let now = now.as_nanos();
        (due <= now.saturating_add(self.tolerance)).then(|| due.max(now).saturating_add(self.interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let limit = Limit::new(10, Duration::from_secs(1));
        let at = |millis: u64| Timestamp::from_micros(1_000_000_000 + millis * 1000);
        assert_eq!((0..100).filter(|_| limit.take(at(0))).count(), 10, "one second's worth");
        assert!(!limit.take(at(50)));
        assert!(limit.take(at(100)), "the next is due after a tenth of a second");
        assert!(!limit.take(at(100)));
        let passed = (0..10_000).filter(|tick| limit.take(at(200 + tick))).count();
        assert!((100..=110).contains(&passed), "{passed} in ten seconds");
    }

    #[test]
    fn a_limit_of_few_a_day_lets_the_first_pass() {
        let limit = Limit::new(1, Duration::from_secs(86_400));
        let now = Timestamp::from_micros(1_000_000_000_000);
        assert!(limit.take(now) && !limit.take(now));
        assert!(limit.take(Timestamp::from_micros(1_000_000_000_000 + 86_400_000_000)));
    }
}
