//! What only the allow-list has: ranges of addresses, reasons and moments.

use super::{Parser, Value, network::parser, network::prefix, policy::description, quoted, text, wrong_type};
use crate::report::{Code, Findings};
use crate::types::IpRange;
use jiff::{Timestamp, ToSpan, civil::Date, tz::Offset};

parser! {
    /// An address, a prefix, or a range: `192.0.2.7-192.0.2.9`.
    addresses, AddressesParser -> IpRange, "address, prefix or range", parse_addresses, |range| quoted(&range.to_string())
}

/// The widest prefixes that may be allowed. Whoever wants to allow more does not want the feed.
const WIDEST: (u32, u32) = (8, 16);

fn parse_addresses(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<IpRange> {
    let written = text(value, kind, findings)?;
    let range = match written.split_once('-') {
        None => prefix().parse(value, findings)?.into(),
        Some((first, last)) => {
            let range = match (first.trim().parse(), last.trim().parse()) {
                (Ok(first), Ok(last)) => IpRange::new(first, last),
                (Ok(_) | Err(_), _) => None,
            };
            let Some(range) = range else {
                let message = format!("`{written}` is not a range of IP addresses");
                let finding = findings.add(Code::Malformed, value.span(), message);
                finding
                    .help("a range is two addresses of one family, the lower first: \"192.0.2.7-192.0.2.9\"");
                return None;
            };
            range
        }
    };
    let widest = match range {
        IpRange::V4 { .. } => WIDEST.0,
        IpRange::V6 { .. } => WIDEST.1,
    };
    if range.width() < widest {
        let message = format!("`{written}` is wider than a /{widest}, the widest that may be allowed");
        let finding = findings.add(Code::OutOfRange, value.span(), message);
        finding.help("a feed that should block nothing has `action = \"alert\"` or `mode = \"disabled\"`");
        return None;
    }
    Some(range)
}

parser! {
    /// Why somebody does something. Not empty, and no control characters.
    reason, ReasonParser -> String, "text", parse_reason, |reason| quoted(reason)
}

fn parse_reason(value: &Value<'_>, _: &str, findings: &mut Findings) -> Option<String> {
    let text = description().parse(value, findings)?;
    if text.trim().is_empty() {
        findings.add(Code::Malformed, value.span(), "a reason must not be empty");
        return None;
    }
    Some(text)
}

parser! {
    /// A moment: a date with time and offset, or a date, which stands for its end in UTC.
    moment, MomentParser -> Timestamp, "date-time with offset, or date", parse_moment, |moment| moment.to_string()
}

fn parse_moment(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<Timestamp> {
    let Some(written) = value.get_ref().as_datetime() else {
        let finding = wrong_type(value, kind, findings);
        if let Some(text) =
            value.get_ref().as_str().filter(|text| text.starts_with(|it: char| it.is_ascii_digit()))
        {
            finding.help(format!("write it without quotes: {text}"));
        }
        return None;
    };
    let text = written.to_string();
    let (moment, problem) = match (written.date, written.time, written.offset) {
        (Some(_), Some(_), Some(_)) => (text.parse().ok(), "there is no such moment"),
        (Some(_), None, _) => (end_of(&text), "there is no such day"),
        (Some(_), Some(_), None) => (None, "this time may be anywhere: it has no offset"),
        (None, ..) => (None, "this is a time of any day"),
    };
    if moment.is_none() {
        let finding = findings.add(Code::Malformed, value.span(), problem);
        finding.help("examples: 2030-12-31T12:00:00Z, 2030-12-31T12:00:00+02:00; 2030-12-31 is the end of that day in UTC");
    }
    moment
}

/// When a day is over, in UTC.
fn end_of(date: &str) -> Option<Timestamp> {
    let next = date.parse::<Date>().ok()?.checked_add(1.day()).ok()?;
    Offset::UTC.to_timestamp(next.at(0, 0, 0, 0)).ok()
}
