//! Notices workers that make no progress. A worker publishes with every turn, also when there is nothing to do.

use std::time::{Duration, Instant};

use ravelin_dataplane::handoff::WorkerId;

/// Watches the pulses of all workers.
#[derive(Debug)]
pub struct Watchdog {
    limit: Duration,
    seen: Vec<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    pulse: u64,
    since: Instant,
    stalled: bool,
}

/// What changed since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The worker has made no progress for as long as is allowed.
    Stalled(WorkerId),
    /// It had stalled, and goes on.
    Recovered(WorkerId),
}

impl Watchdog {
    /// A watchdog that reports a worker which makes no progress for `limit`.
    pub fn new(limit: Duration, workers: usize, now: Instant) -> Self {
        Self { limit, seen: vec![Seen { pulse: 0, since: now, stalled: false }; workers] }
    }

    /// How often to look.
    pub fn interval(&self) -> Duration {
        (self.limit / 4).clamp(Duration::from_millis(25), Duration::from_secs(1))
    }

    /// Looks at the pulses, given in the order of the workers.
    pub fn look(&mut self, now: Instant, pulses: impl IntoIterator<Item = u64>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for ((worker, seen), pulse) in (0..).map(WorkerId).zip(&mut self.seen).zip(pulses) {
            if pulse != seen.pulse {
                if seen.stalled {
                    findings.push(Finding::Recovered(worker));
                }
                *seen = Seen { pulse, since: now, stalled: false };
            } else if !seen.stalled && now.duration_since(seen.since) >= self.limit {
                seen.stalled = true;
                findings.push(Finding::Stalled(worker));
            }
        }
        findings
    }

    /// Whether every worker makes progress.
    pub fn all_well(&self) -> bool {
        self.seen.iter().all(|seen| !seen.stalled)
    }
}
