use std::{borrow::Cow, net::IpAddr, str};

use super::{
    Collector, Format, FormatError, Options, entry, iprep, ipset, json, lines, misp, stix,
    text::{Lines, fields},
    time::time,
};

/// What is not text that any format could be.
pub(super) fn refuse(text: &[u8]) -> Result<(), FormatError> {
    if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) {
        return Err(FormatError::Utf16);
    }
    let text = text.trim_ascii_start();
    if text.is_empty() {
        return Err(FormatError::Empty);
    }
    if !text.starts_with(b"<") {
        return Ok(());
    }
    let start = text.get(..2048).unwrap_or(text).to_ascii_lowercase();
    let html = [&b"<html"[..], b"<!doctype html", b"<head", b"<body", b"<title", b"<script"];
    let is_html = html.iter().any(|tag| memchr::memmem::find(&start, tag).is_some());
    Err(if is_html { FormatError::Html } else { FormatError::Xml })
}

/// What format a text has.
pub(super) fn detect(text: &[u8], options: &Options) -> Result<Format, FormatError> {
    let first = first_line(text);
    match first {
        [b'{', ..] => detect_json(text, first, options),
        // It may be an IPv6 address with a port.
        [b'[', ..] if entry::addresses(first).is_err() => detect_json(text, first, options),
        // It may be a table.
        [b'"', ..] if json::is_document(first) => Ok(Format::JsonLines),
        _ => detect_lines(text, options),
    }
}

fn first_line(text: &[u8]) -> &[u8] {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}

fn detect_json(text: &[u8], first: &[u8], options: &Options) -> Result<Format, FormatError> {
    const PATH: FormatError = FormatError::Unknown(
        "it is JSON of no kind that is known: name the format json or json-lines, and the path of the indicators in it",
    );
    let many = first.len() < text.trim_ascii().len() && json::is_document(first);
    if many {
        let path = !options.json.path.0.is_empty() || !first.starts_with(b"{");
        return if path { Ok(Format::JsonLines) } else { Err(PATH) };
    }
    if !options.json.path.0.is_empty() {
        return Ok(Format::Json);
    }
    let of_object = |record: &[Option<Cow<'_, str>>]| match record {
        [Some(_), Some(id), ..] if id.contains("--") => Some(Format::Stix),
        [_, _, Some(_), Some(_)] => Some(Format::FeodoJson),
        _ => None,
    };
    if let Some(format) = first_of(text, &stix::OBJECTS, &["type", "id", "ip_address", "port"], of_object)? {
        return Ok(format);
    }
    let bases = [&misp::EVENTS[..], &[&["response", "Attribute"], &["Attribute"]]].concat();
    if let Some(format) = first_of(text, &bases, &["id", "uuid"], |_| Some(Format::Misp))? {
        return Ok(format);
    }
    let texts = first.starts_with(b"[") && json::all_texts(text);
    if texts { Ok(Format::Json) } else { Err(PATH) }
}

/// What the first record of a document says that says anything.
fn first_of(
    text: &[u8],
    bases: &[&[&str]],
    fields: &[&'static str],
    judge: impl Fn(&[Option<Cow<'_, str>>]) -> Option<Format>,
) -> Result<Option<Format>, FormatError> {
    let bases: Vec<_> = bases.iter().map(|names| json::steps(names)).collect();
    let bases: Vec<_> = bases.iter().map(Vec::as_slice).collect();
    let mut found = None;
    let result = json::records(text, &bases, fields, |_, _, record| {
        found = judge(record);
        // One is enough: an error ends the walk.
        if found.is_some() { Err(FormatError::Empty) } else { Ok(()) }
    });
    if found.is_some() { Ok(found) } else { result.map(|()| None) }
}

/// What lines look like, by the most frequent kind among the first of them.
fn detect_lines(text: &[u8], options: &Options) -> Result<Format, FormatError> {
    /// Lines that are looked at.
    const LOOKED_AT: usize = 200;
    let kinds =
        [Format::FeodoCsv, Format::Sslbl, Format::Ipset, Format::SuricataIprep, Format::Hosts, Format::Lines];
    let mut votes = [0_u32; 6];
    let mut collector = Collector::new(options.limits);
    let mut lines = Lines::new(text);
    let mut comments_say = None;
    let mut looked_at = 0;
    while let Some((_, line)) = lines.next(&mut collector) {
        let line = line.trim_ascii();
        if line.starts_with(b"#") || line.starts_with(b";") {
            comments_say = comments_say.or_else(|| of_header(&cells(line[1..].trim_ascii())));
            continue;
        }
        let vote = of_line(line).and_then(|format| kinds.iter().position(|kind| *kind == format));
        if let Some(vote) = vote {
            votes[vote] += 1;
        }
        looked_at += 1;
        if looked_at == LOOKED_AT {
            break;
        }
    }
    if options.csv.column.is_some() {
        return Ok(Format::Csv);
    }
    // The first of those with the most votes.
    let best =
        votes.iter().zip(kinds).rev().max_by_key(|(votes, _)| **votes).filter(|(votes, _)| **votes > 0);
    match best.map(|(_, format)| format).or(comments_say) {
        Some(format) => Ok(format),
        // Nothing but comments is a list without entries.
        None if looked_at == 0 => Ok(Format::Lines),
        None => Err(FormatError::Unknown(
            "none of its first lines is an entry of a known kind: if it is a table, name its column",
        )),
    }
}

/// The fields of a line if it is one of a table with commas.
fn cells(line: &[u8]) -> Vec<&str> {
    let mut cells = Vec::new();
    let whole = fields(line, b',', &mut cells).is_ok();
    let texts = cells.into_iter().map_while(|cell| match cell {
        Cow::Borrowed(bytes) => str::from_utf8(bytes).ok(),
        Cow::Owned(_) => None,
    });
    if whole { texts.collect() } else { Vec::new() }
}

/// What the names of columns say.
fn of_header(cells: &[&str]) -> Option<Format> {
    match cells {
        ["ja3_md5", ..] | ["Listingdate", "SHA1", ..] | ["Firstseen", "DstIP", "DstPort"] => {
            Some(Format::Sslbl)
        }
        _ if cells.contains(&"dst_ip") && cells.contains(&"dst_port") => Some(Format::FeodoCsv),
        ["Firstseen", "DstIP", "DstPort", ..] => Some(Format::FeodoCsv),
        _ => None,
    }
}

/// What a line that is no comment says.
fn of_line(line: &[u8]) -> Option<Format> {
    if ipset::is_command(line) {
        return Some(Format::Ipset);
    }
    let cells = cells(line);
    let address = |text: &&str| entry::addresses(text.as_bytes()).is_ok();
    match cells.as_slice() {
        [] | [_] => {}
        [first, second, _] if time(first).is_some() && address(second) => return Some(Format::Sslbl),
        [_, hash, _] if entry::fingerprint::<20>(hash).is_some() => return Some(Format::Sslbl),
        [hash, _, _, _] if entry::fingerprint::<16>(hash).is_some() => return Some(Format::Sslbl),
        [first, second, _, _, _] | [first, second, _, _, _, _]
            if time(first).is_some() && address(second) =>
        {
            return Some(Format::FeodoCsv);
        }
        [first, _, _] if address(first) && iprep::split(line).is_ok() => return Some(Format::SuricataIprep),
        cells => return of_header(cells),
    }
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    if let (Some(first), Some(second)) = (words.next(), words.next())
        && str::from_utf8(first).is_ok_and(|text| text.parse::<IpAddr>().is_ok())
        && second.first().is_some_and(u8::is_ascii_alphanumeric)
        && second.iter().any(u8::is_ascii_alphabetic)
        && entry::addresses(second).is_err()
    {
        return Some(Format::Hosts);
    }
    lines::is_entry(line).then_some(Format::Lines)
}
