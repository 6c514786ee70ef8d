//! Lists with one entry on each line: FEODO's plain list, ipsum, FireHOL, Spamhaus DROP and most others.

use super::{
    Collector, FormatError, Place, Remark,
    entry::{self, Expected},
    text::Lines,
};
use crate::feeds::Details;

pub(super) fn parse(text: &[u8], collector: &mut Collector) -> Result<(), FormatError> {
    let mut lines = Lines::new(text);
    while let Some((place, line)) = lines.next(collector) {
        read(place, line.trim_ascii(), collector)?;
    }
    Ok(())
}

/// Reads one line.
pub(super) fn read(place: Place, line: &[u8], collector: &mut Collector) -> Result<(), FormatError> {
    let line = without_comment(line);
    if line.is_empty() {
        return Ok(());
    }
    match one(line) {
        Ok((text, numbers)) => {
            if numbers {
                collector.remark(Remark::Numbers);
            }
            collector.entry(place, line, entry::entry(text), &Details::default())
        }
        Err(expected) => {
            collector.problem(place, line, expected);
            Ok(())
        }
    }
}

/// A line up to its comment. In a URL `#` and `;` are part of it unless white space stands before them.
pub(super) fn without_comment(line: &[u8]) -> &[u8] {
    let Some(mark) = line.iter().position(|byte| matches!(byte, b'#' | b';')) else { return line };
    let url = memchr::memmem::find(line.get(..mark).unwrap_or_default(), b"://").is_some();
    let end = if url {
        line.windows(2).position(|two| two[0].is_ascii_whitespace() && matches!(two[1], b'#' | b';'))
    } else {
        Some(mark)
    };
    end.and_then(|end| line.get(..end)).unwrap_or(line).trim_ascii_end()
}

/// The entry of a line, and whether numbers stand behind it, as lists have them that count where they found it.
fn one(line: &[u8]) -> Result<(&[u8], bool), Expected> {
    let Some(end) = line.iter().position(u8::is_ascii_whitespace) else { return Ok((line, false)) };
    let (first, rest) = (&line[..end], line[end..].trim_ascii_start());
    if rest.starts_with(b"-") || first.ends_with(b"-") {
        return Ok((line, false));
    }
    let number = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_whitespace();
    if rest.iter().all(number) { Ok((first, true)) } else { Err("one entry on a line") }
}

/// Whether a line is an entry of a list.
pub(super) fn is_entry(line: &[u8]) -> bool {
    one(without_comment(line)).is_ok_and(|(text, _)| entry::entry(text).is_ok())
}
