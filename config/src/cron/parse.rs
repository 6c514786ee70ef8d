use super::Cron;
use std::str::FromStr;

/// Why a text is not a cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// It has not five fields.
    #[error("expected five fields, minute, hour, day of the month, month and day of the week; found {0}")]
    Fields(usize),
    /// Part of a field is not what it may be.
    #[error("expected {expected}, found `{found}`")]
    Field {
        /// What it may be.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// No month has such a day.
    #[error("there is no such day in any of its months")]
    NoDay,
}

/// What may stand in a field.
struct Field {
    name: &'static str,
    first: u8,
    last: u8,
    /// Names of numbers, from the first.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", first: 0, last: 59, names: &[] };
const HOUR: Field = Field { name: "hour", first: 0, last: 23, names: &[] };
const DAY: Field = Field { name: "day of the month", first: 1, last: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    first: 1,
    last: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// Sunday is 0 and 7.
const WEEKDAY: Field = Field {
    name: "day of the week",
    first: 0,
    last: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// The most days that months have, from January.
const LENGTHS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let fields: Vec<_> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(CronError::Fields(fields.len()));
        };
        let weekdays = WEEKDAY.bits(weekday)?;
        let is_free = |field: &&str| field.starts_with('*');
        let cron = Self {
            text: fields.join(" "),
            minutes: MINUTE.bits(minute)?,
            hours: HOUR.bits(hour)?,
            days: DAY.bits(day)?,
            months: MONTH.bits(month)?,
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !is_free(day) && !is_free(weekday),
            is_fixed: !is_free(minute) && !is_free(hour),
        };
        let first = cron.days.trailing_zeros();
        let mut lengths = (1..).zip(LENGTHS).filter(|(month, _)| cron.months >> month & 1 == 1);
        if cron.either_day || lengths.any(|(_, length)| u32::from(length) >= first) {
            Ok(cron)
        } else {
            Err(CronError::NoDay)
        }
    }
}

impl Field {
    fn bits(&self, text: &str) -> Result<u64, CronError> {
        text.split(',').try_fold(0, |bits, part| Ok(bits | self.part(part)?))
    }

    /// A number, a range, or one of those with a step.
    fn part(&self, part: &str) -> Result<u64, CronError> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            None if step.is_some() => return Err(self.wrong("a range or `*` before the step", part)),
            None => self.number(range).map(|number| (number, number))?,
        };
        if first > last {
            return Err(self.wrong("the lower number of a range first", part));
        }
        let step = match step {
            None => 1,
            Some(step) => step
                .parse()
                .ok()
                .filter(|step| *step > 0)
                .ok_or_else(|| self.wrong("a step of 1 or more", part))?,
        };
        Ok((first..=last).step_by(step).fold(0, |bits, number| bits | 1 << number))
    }

    fn number(&self, text: &str) -> Result<u8, CronError> {
        let by_name = (self.first..).zip(self.names).find(|(_, name)| name.eq_ignore_ascii_case(text));
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = by_name.map(|(number, _)| number).or_else(|| text.parse().ok().filter(|_| is_number));
        number.filter(|number| (self.first..=self.last).contains(number)).ok_or_else(|| {
            let names = match (self.names.first(), self.names.last()) {
                (Some(first), Some(last)) => format!(", or {first} to {last}"),
                (Some(_) | None, _) => String::new(),
            };
            self.wrong(&format!("a number from {} to {}{names}", self.first, self.last), text)
        })
    }

    fn wrong(&self, expected: &str, found: &str) -> CronError {
        CronError::Field { expected: format!("{expected} as {}", self.name), found: found.to_owned() }
    }
}
