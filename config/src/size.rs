//! Amounts of bytes as configuration writes them: `512B`, `64KiB`, `64MiB`, `2GiB`.
//!
//! Promises that [`parse`] reads back what [`show`] writes. Refuses fractions, spaces and decimal units: one number, one unit,
//! nothing to misread.

use serde::Serializer;

/// Units from the largest to the smallest, each with its number of bytes.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Why a text is not an amount of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// It is not one number with a unit.
    #[error("expected a whole number and a unit, such as \"512B\", \"64KiB\", \"64MiB\" or \"2GiB\"")]
    Form,
    /// There are not so many bytes.
    #[error("there are not so many bytes")]
    TooLarge,
}

/// Reads an amount of bytes.
///
/// # Errors
/// [`SizeError`] if it is none.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(SizeError::Form)?;
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(SizeError::Form)?;
    if number.is_empty() {
        return Err(SizeError::Form);
    }
    let number: u64 = number.parse().map_err(|_| SizeError::TooLarge)?;
    number.checked_mul(*scale).ok_or(SizeError::TooLarge)
}

/// Writes an amount of bytes in the largest unit that keeps it whole.
pub(crate) fn show(bytes: u64) -> String {
    let whole = UNITS.iter().find(|(_, scale)| bytes != 0 && bytes.is_multiple_of(*scale));
    whole.map_or_else(|| "0B".to_owned(), |(unit, scale)| format!("{}{unit}", bytes / scale))
}

/// Serializes an amount of bytes as its text, for `#[serde(serialize_with)]`.
pub(crate) fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*bytes))
}
