//! What `ipset save` writes; lists without `add`, as FireHOL publishes them, read as lines.

use std::str;

use super::{
    Collector, FormatError, Place,
    entry::{self, Expected, Read},
    lines,
    text::Lines,
};
use crate::feeds::Details;

pub(super) fn parse(text: &[u8], collector: &mut Collector) -> Result<(), FormatError> {
    let mut lines = Lines::new(text);
    while let Some((place, line)) = lines.next(collector) {
        let line = line.trim_ascii();
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        match words.next() {
            Some(b"add" | b"-A") => {
                let (_set, element) = (words.next(), words.next().unwrap_or_default());
                if excludes(line) {
                    let (Place::Line(line) | Place::Entry(line)) = place;
                    return Err(FormatError::Exclusion { line });
                }
                collector.read(place, line, read(element), &Details::default())?;
            }
            Some(b"create" | b"-N" | b"COMMIT" | b"flush" | b"destroy") => {}
            Some(_) | None => lines::read(place, line, collector)?,
        }
    }
    Ok(())
}

/// Whether `nomatch` stands anywhere but in the comment, which is in quotes.
fn excludes(line: &[u8]) -> bool {
    let quote = |byte: &u8| *byte == b'"';
    let start = line.iter().position(quote).unwrap_or(line.len());
    let end = line.iter().rposition(quote).unwrap_or(line.len());
    let mut words =
        line[..start].split(u8::is_ascii_whitespace).chain(line[end..].split(u8::is_ascii_whitespace));
    words.any(|word| word == b"nomatch")
}

/// An element: addresses, or addresses and a port with or without its protocol.
fn read(element: &[u8]) -> Result<Read, Expected> {
    let Some(comma) = element.iter().position(|byte| *byte == b',') else {
        return entry::addresses(element);
    };
    let port = str::from_utf8(&element[comma + 1..]).map_err(|_| "UTF-8")?;
    let number = match port.split_once(':') {
        Some(("tcp" | "udp", number)) => number,
        Some(_) => return Err("a port of tcp or udp"),
        None => port,
    };
    let mut read = entry::addresses(&element[..comma])?;
    read.addresses.port = Some(entry::port(number)?);
    Ok(read)
}

/// Whether a line is of the kind that only `ipset save` writes.
pub(super) fn is_command(line: &[u8]) -> bool {
    [&b"create "[..], b"add ", b"-N ", b"-A "].iter().any(|command| line.starts_with(command))
}
