use super::{Parser, Value, quoted, text, wrong_type};
use crate::duration::{self, DurationError};
use crate::report::{Code, Findings};
use crate::schema::{reader::nearest, word::Word};
use std::{fmt, marker::PhantomData, ops::RangeInclusive, str::FromStr, time::Duration};

/// A whole number, with a condition.
pub(crate) struct Integer<T> {
    range: RangeInclusive<u64>,
    condition: Condition,
    output: PhantomData<T>,
}

enum Condition {
    None,
    PowerOfTwo,
    OneOf(&'static [u64]),
}

/// A whole number in `range`.
pub(crate) const fn integer<T>(range: RangeInclusive<u64>) -> Integer<T> {
    Integer { range, condition: Condition::None, output: PhantomData }
}

/// A power of two in `range`.
pub(crate) const fn power_of_two<T>(range: RangeInclusive<u64>) -> Integer<T> {
    Integer { range, condition: Condition::PowerOfTwo, output: PhantomData }
}

/// One of a few numbers.
pub(crate) const fn choice<T>(numbers: &'static [u64]) -> Integer<T> {
    Integer { range: 0..=u64::MAX, condition: Condition::OneOf(numbers), output: PhantomData }
}

impl<T: TryFrom<u64> + fmt::Display> Parser for Integer<T> {
    type Output = T;

    fn kind(&self) -> String {
        let (first, last) = (self.range.start(), self.range.end());
        match self.condition {
            Condition::None => format!("integer from {first} to {last}"),
            Condition::PowerOfTwo => format!("integer, a power of two from {first} to {last}"),
            Condition::OneOf(numbers) => {
                let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
                format!("integer, one of {}", numbers.join(", "))
            }
        }
    }

    fn parse(&self, value: &Value<'_>, findings: &mut Findings) -> Option<T> {
        let kind = self.kind();
        let Some(written) = value.get_ref().as_integer() else {
            let finding = wrong_type(value, &kind, findings);
            if let Some(text) = value.get_ref().as_str().filter(|text| text.parse::<u64>().is_ok()) {
                finding.help(format!("write it without quotes: {text}"));
            }
            return None;
        };
        let number = u64::from_str_radix(written.as_str(), written.radix()).ok();
        let legal = |number: &u64| {
            self.range.contains(number)
                && match self.condition {
                    Condition::None => true,
                    Condition::PowerOfTwo => number.is_power_of_two(),
                    Condition::OneOf(numbers) => numbers.contains(number),
                }
        };
        let parsed = number.filter(legal).and_then(|number| T::try_from(number).ok());
        if parsed.is_none() {
            findings.add(Code::OutOfRange, value.span(), format!("expected {kind}, found {written}"));
        }
        parsed
    }

    fn show(&self, value: &T) -> Option<String> {
        Some(value.to_string())
    }
}

/// Yes or no.
pub(crate) struct Boolean;

/// Yes or no.
pub(crate) const fn boolean() -> Boolean {
    Boolean
}

impl Parser for Boolean {
    type Output = bool;

    fn kind(&self) -> String {
        "true or false".to_owned()
    }

    fn parse(&self, value: &Value<'_>, findings: &mut Findings) -> Option<bool> {
        let written = value.get_ref().as_bool();
        if written.is_none() {
            let finding = wrong_type(value, &self.kind(), findings);
            if let Some(text) = value.get_ref().as_str().filter(|text| text.parse::<bool>().is_ok()) {
                finding.help(format!("write it without quotes: {text}"));
            }
        }
        written
    }

    fn show(&self, value: &bool) -> Option<String> {
        Some(value.to_string())
    }
}

/// A duration in `range`.
pub(crate) struct DurationParser(RangeInclusive<Duration>);

/// A duration in `range`, written as number and unit.
pub(crate) const fn duration(range: RangeInclusive<Duration>) -> DurationParser {
    DurationParser(range)
}

impl Parser for DurationParser {
    type Output = Duration;

    fn kind(&self) -> String {
        format!("duration from {} to {}", duration::show(*self.0.start()), duration::show(*self.0.end()))
    }

    fn parse(&self, value: &Value<'_>, findings: &mut Findings) -> Option<Duration> {
        if let Some(number) = value.get_ref().as_integer() {
            let message = format!("expected {}, found an integer", self.kind());
            let finding = findings.add(Code::WrongType, value.span(), message);
            finding.help(format!("a duration has a unit, such as \"{number}s\" or \"{number}ms\""));
            return None;
        }
        let text = text(value, &self.kind(), findings)?;
        match duration::parse(text) {
            Ok(duration) if self.0.contains(&duration) => return Some(duration),
            Ok(_) | Err(DurationError::TooLong) => {
                findings.add(
                    Code::OutOfRange,
                    value.span(),
                    format!("expected {}, found {text}", self.kind()),
                );
            }
            Err(error @ DurationError::Form) => {
                findings.add(Code::Malformed, value.span(), format!("`{text}` is not a duration: {error}"));
            }
        }
        None
    }

    fn show(&self, value: &Duration) -> Option<String> {
        Some(quoted(&duration::show(*value)))
    }
}

/// One of the words of `T`.
pub(crate) struct WordParser<T>(PhantomData<T>);

/// One of the words of `T`.
pub(crate) const fn word<T: Word>() -> WordParser<T> {
    WordParser(PhantomData)
}

impl<T: Word> Parser for WordParser<T> {
    type Output = T;

    fn kind(&self) -> String {
        let words: Vec<_> = T::WORDS.iter().map(|(_, word)| quoted(word)).collect();
        match words.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        }
    }

    fn parse(&self, value: &Value<'_>, findings: &mut Findings) -> Option<T> {
        let text = text(value, &self.kind(), findings)?;
        let found = T::WORDS.iter().find(|(_, word)| *word == text).map(|(value, _)| *value);
        if found.is_none() {
            let message = format!("expected {}, found {}", self.kind(), quoted(text));
            let finding = findings.add(Code::UnknownWord, value.span(), message);
            if let Some(nearest) = nearest(text, T::WORDS.iter().map(|(_, word)| *word)) {
                finding.label(format!("did you mean {}?", quoted(nearest)));
            }
        }
        found
    }

    fn show(&self, value: &T) -> Option<String> {
        T::WORDS.iter().find(|(word, _)| word == value).map(|(_, word)| quoted(word))
    }
}

/// A name, by its `FromStr`.
pub(crate) struct Name<T> {
    kind: &'static str,
    output: PhantomData<T>,
}

/// A name, called `kind` in messages.
pub(crate) const fn name<T>(kind: &'static str) -> Name<T> {
    Name { kind, output: PhantomData }
}

impl<T: FromStr<Err: fmt::Display> + fmt::Display> Parser for Name<T> {
    type Output = T;

    fn kind(&self) -> String {
        self.kind.to_owned()
    }

    fn parse(&self, value: &Value<'_>, findings: &mut Findings) -> Option<T> {
        match text(value, self.kind, findings)?.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                findings.add(Code::Malformed, value.span(), format!("{error}"));
                None
            }
        }
    }

    fn show(&self, value: &T) -> Option<String> {
        Some(quoted(&value.to_string()))
    }
}
