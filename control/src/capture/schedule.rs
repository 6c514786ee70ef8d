//! When a capture runs: once, or again and again.
//!
//! Pure: time is an argument. Promises: what is over never begins; what began while nobody was there begins late and ends when it should;
//! while one occurrence goes on there is no other. What cron expressions mean is said in `ravelin_config::Cron`. Refuses: to know how
//! captures stand. Read next: `registry.rs`.

#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};

use super::CaptureSpec;

/// A time at which a capture runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// From then on.
    pub begins: Timestamp,
    /// Until then; `None` if it does not end by itself.
    pub ends: Option<Timestamp>,
}

/// The shortest time there is.
const INSTANT: SignedDuration = SignedDuration::from_nanos(1);

impl CaptureSpec {
    /// The first occurrence that begins at `from` or later and is not over at `now`. One without a cron expression begins at `from`, or
    /// at its start.
    pub fn occurrence(&self, from: Timestamp, now: Timestamp) -> Option<Occurrence> {
        let from = self.start.map_or(from, |start| start.max(from));
        let begins = match &self.cron {
            None => from,
            Some(_) => {
                // What began this long ago is over now.
                let over = self.lasts().map_or(now, |lasts| now.saturating_sub(lasts).unwrap_or(now));
                self.next(over.max(from.saturating_sub(INSTANT).unwrap_or(from)))?
            }
        };
        let ends = self.lasts().and_then(|lasts| begins.checked_add(lasts).ok());
        let ends = ends.into_iter().chain(self.end).min();
        Some(Occurrence { begins, ends }).filter(|_| ends.is_none_or(|ends| ends > now && ends > begins))
    }

    /// How many begin behind `after` and before `until`. Nobody counts more than [`CaptureSpec::COUNTED`].
    pub fn between(&self, after: Timestamp, until: Timestamp) -> u64 {
        let times = std::iter::successors(self.next(after), |time| self.next(*time));
        times.take_while(|time| *time < until).take(Self::COUNTED).count() as u64
    }

    /// The most occurrences that are counted at once.
    pub const COUNTED: usize = 100;

    /// When the cron expression says so for the first time behind `after`.
    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.cron.as_ref()?.next(after, &self.time_zone.clone().unwrap_or_default())
    }

    fn lasts(&self) -> Option<SignedDuration> {
        self.duration.map(|seconds| SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)))
    }
}
