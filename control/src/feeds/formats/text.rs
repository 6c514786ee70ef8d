use std::borrow::Cow;

use super::{Collector, Place};

/// The lines of a file, numbered, without line ends. Lines that are too long are a problem of the
/// collector, and skipped.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    number: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text, number: 0 }
    }

    /// The next line that is not empty.
    pub(super) fn next(&mut self, collector: &mut Collector) -> Option<(Place, &'a [u8])> {
        while !self.rest.is_empty() {
            let (line, rest) = match memchr::memchr(b'\n', self.rest) {
                Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
                None => (self.rest, &[][..]),
            };
            self.rest = rest;
            self.number += 1;
            let place = Place::Line(self.number);
            if line.len() > collector.limits.line {
                let expected = format!("a line of at most {} bytes", collector.limits.line);
                collector.problem(place, line, expected);
                continue;
            }
            if !line.trim_ascii_start().is_empty() {
                return Some((place, line.strip_suffix(b"\r").unwrap_or(line)));
            }
        }
        None
    }
}

/// The fields of a line of a table, appended to `fields`. They may be in double quotes, of which two inside are one.
///
/// # Errors
/// If a quote is not closed on the line, or something other than a delimiter follows it.
pub(super) fn fields<'a>(
    line: &'a [u8],
    delimiter: u8,
    fields: &mut Vec<Cow<'a, [u8]>>,
) -> Result<(), &'static str> {
    let mut rest = line;
    loop {
        let (field, behind) = match trim_start(rest, delimiter) {
            [b'"', quoted @ ..] => {
                let (field, behind) = unquote(quoted)?;
                (field, next_field(trim_start(behind, delimiter), delimiter)?)
            }
            _ => {
                let end = memchr::memchr(delimiter, rest);
                let (field, behind) = match end {
                    Some(end) => (&rest[..end], Some(&rest[end + 1..])),
                    None => (rest, None),
                };
                (Cow::Borrowed(field.trim_ascii()), behind)
            }
        };
        fields.push(field);
        match behind {
            Some(behind) => rest = behind,
            None => return Ok(()),
        }
    }
}

/// A quoted field without its opening quote: what it says, and what stands behind it.
fn unquote(quoted: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), &'static str> {
    const CLOSED: &str = "a quote that is closed on its line";
    let mut from = 0;
    let mut escaped = false;
    loop {
        let end = from + memchr::memchr(b'"', &quoted[from..]).ok_or(CLOSED)?;
        if quoted.get(end + 1) == Some(&b'"') {
            escaped = true;
            from = end + 2;
            continue;
        }
        let (field, behind) = (&quoted[..end], &quoted[end + 1..]);
        let field: Cow<'_, [u8]> = if escaped {
            let mut text = Vec::with_capacity(field.len());
            let mut quote = false;
            for &byte in field {
                quote = byte == b'"' && !quote;
                if !quote {
                    text.push(byte);
                }
            }
            text.into()
        } else {
            field.into()
        };
        return Ok((field, behind));
    }
}

/// What stands behind the delimiter, if the line goes on.
fn next_field(behind: &[u8], delimiter: u8) -> Result<Option<&[u8]>, &'static str> {
    match behind {
        [] => Ok(None),
        [first, rest @ ..] if *first == delimiter => Ok(Some(rest)),
        _ => Err("a delimiter behind a quoted field"),
    }
}

/// Without white space at its start, up to the delimiter if that is white space itself.
fn trim_start(text: &[u8], delimiter: u8) -> &[u8] {
    let end = text.iter().position(|byte| *byte == delimiter || !byte.is_ascii_whitespace());
    &text[end.unwrap_or(text.len())..]
}
