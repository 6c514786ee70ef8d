//! Durations as a configuration writes them: a whole number and a unit, `500us`, `10ms`, `30s`, `5m`, `1h`,
//! `1d`.
//!
//! Promises that [`parse`] reads back what [`show`] writes. Refuses fractions, spaces and sums such as
//! `1h30m`: one number, one unit, nothing to misread.

use serde::Serializer;
use std::time::Duration;

/// Units from the largest to the smallest, each with its length in microseconds.
const UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It is not one number with a unit.
    #[error(
        "expected a whole number and a unit, such as \"500us\", \"10ms\", \"30s\", \"5m\", \"1h\" or \"1d\""
    )]
    Form,
    /// There are not so many microseconds.
    #[error("this duration is too long to be represented")]
    TooLong,
}

/// Reads a duration.
///
/// # Errors
/// [`DurationError`].
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(DurationError::Form)?;
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(DurationError::Form)?;
    if number.is_empty() {
        return Err(DurationError::Form);
    }
    let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
    number.checked_mul(*scale).map(Duration::from_micros).ok_or(DurationError::TooLong)
}

/// Writes a duration in the largest unit that keeps it whole. Nanoseconds are cut off: no configuration has
/// any.
pub(crate) fn show(duration: Duration) -> String {
    let micros = duration.as_micros();
    let whole = UNITS.iter().find(|(_, scale)| micros != 0 && micros.is_multiple_of(u128::from(*scale)));
    whole.map_or_else(|| "0us".to_owned(), |(unit, scale)| format!("{}{unit}", micros / u128::from(*scale)))
}

/// The same for a duration that may be absent.
#[expect(clippy::ref_option, reason = "what serde wants")]
pub(crate) fn serialize_optional<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&duration.map(show).unwrap_or_default())
}

/// Serializes a duration as its text, for `#[serde(serialize_with)]`.
pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*duration))
}
