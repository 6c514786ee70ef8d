//! Cron expressions: when something happens again and again, by the clock on the wall of a time zone.
//!
//! Five fields as Vixie cron has them: minute, hour, day of the month, month, day of the week; each `*`, a number, a range, a step
//! (`*/5`, `10-20/2`), or a list of those; months and days of the week by name as well. If both days are restricted, either will do;
//! a field that begins with `*` restricts nothing by this rule.
//!
//! Where clocks are changed, it does what Vixie cron does. If minute or hour begins with `*`, the expression is about the clock: what
//! the clock does not show does not happen, and what it shows twice happens twice. Otherwise it is about the day: a time that does
//! not exist on it is made up for when clocks have been put forward, and one that comes twice counts the first time.
//!
//! Promises: an expression that is accepted matches some day. Refuses: seconds, years and nicknames such as `@daily`.

mod parse;
#[cfg(test)]
mod tests;
mod zone;

pub use parse::CronError;
pub use zone::{Zone, ZoneError};

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::{AmbiguousOffset, Offset},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// A cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    /// Bits by minute, hour, day of the month, month, and day of the week from Sunday.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether days of both kinds are restricted, so that either will do.
    either_day: bool,
    /// Whether it is about the day rather than the clock.
    is_fixed: bool,
}

impl Cron {
    /// Days that are looked at: a 29 February falls on a certain day of the week within 40 years.
    const HORIZON: usize = 41 * 366;

    /// The first time after `after`, in a zone; `None` if there is none within 40 years.
    pub fn next(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let today = zone.tz().to_datetime(after).date();
        let first = |day: Date| self.on(day, zone).filter(|time| *time > after).min();
        // Clocks that are put back may show the end of a day once more when the next one has begun.
        let mut day = today.yesterday().unwrap_or(today);
        for _ in 0..Self::HORIZON {
            let next = day.tomorrow().ok()?;
            if let Some(found) = first(day) {
                return first(next).into_iter().chain([found]).min();
            }
            day = next;
        }
        None
    }

    /// Every time on a day, in no order.
    fn on<'c>(&'c self, day: Date, zone: &'c Zone) -> impl Iterator<Item = Timestamp> + 'c {
        let hours = self.matches_day(day).then(|| set(self.hours)).into_iter().flatten();
        let times = hours.flat_map(|hour| set(self.minutes).map(move |minute| (hour, minute)));
        times.flat_map(move |(hour, minute)| self.moments(day.at(hour, minute, 0, 0), zone)).flatten()
    }

    /// When the clock shows a time, or what counts for it.
    fn moments(&self, time: DateTime, zone: &Zone) -> [Option<Timestamp>; 2] {
        let at = |offset: Offset| offset.to_timestamp(time).ok();
        match zone.tz().to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => [at(offset), None],
            AmbiguousOffset::Fold { before, after } => [at(before), at(after).filter(|_| !self.is_fixed)],
            // With the later offset, the time is before the change of clocks.
            AmbiguousOffset::Gap { after, .. } if self.is_fixed => {
                let change = at(after).and_then(|before| zone.tz().following(before).next());
                [change.map(|change| change.timestamp()), None]
            }
            AmbiguousOffset::Gap { .. } => [None, None],
        }
    }

    fn matches_day(&self, day: Date) -> bool {
        let has = |bits: u64, number: i8| u32::try_from(number).is_ok_and(|number| bits >> number & 1 == 1);
        let by_month = has(self.days, day.day());
        let by_week = has(self.weekdays, day.weekday().to_sunday_zero_offset());
        let matches = if self.either_day { by_month || by_week } else { by_month && by_week };
        matches && has(self.months, day.month())
    }
}

/// The numbers whose bits are set.
fn set(bits: u64) -> impl Iterator<Item = i8> {
    (0..64_i8).filter(move |number| bits >> number & 1 == 1)
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Cron {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cron {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

/// Reads what is written as a text.
fn from_text<'de, T: FromStr<Err: fmt::Display>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}
