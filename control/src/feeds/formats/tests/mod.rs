mod detect;
mod exchange;
mod hostile;
mod json;
mod lists;
mod published;

use super::{Format, FormatError, Options, Parsed, Remark, parse};
use crate::feeds::Indicator;

fn read(text: impl AsRef<[u8]>, format: Format) -> Result<Parsed, FormatError> {
    parse(text.as_ref(), &Options { format, ..Options::default() })
}

/// What a feed names, as text.
fn names(parsed: &Parsed) -> Vec<String> {
    parsed.indicators.iter().map(|indicator| indicator.what.to_string()).collect()
}

/// What a feed names and says of it, as text.
fn told(parsed: &Parsed) -> Vec<String> {
    let tell = |Indicator { what, details }: Indicator<'_>| {
        let time = |time: Option<jiff::Timestamp>| time.map_or("-".to_owned(), |time| time.to_string());
        let status = details.status.map_or("-".to_owned(), |status| status.to_string());
        let (first, last) = (time(details.first_seen), time(details.last_seen));
        format!("{} {what} {} {first} {last} {status}", what.kind(), details.malware.unwrap_or("-"))
    };
    parsed.indicators.iter().map(tell).collect()
}

/// The problems of a feed, as they are shown.
fn problems(parsed: &Parsed) -> Vec<String> {
    parsed.problems.iter().map(ToString::to_string).collect()
}

/// The names in a feed of which nothing is lost.
#[track_caller]
fn clean(text: impl AsRef<[u8]>, format: Format) -> Vec<String> {
    let parsed = read(text, format).unwrap();
    assert_eq!(problems(&parsed), [""; 0]);
    assert_eq!(parsed.problems_omitted, 0);
    assert_eq!(parsed.format, format);
    names(&parsed)
}

/// How often a remark was made.
fn count(parsed: &Parsed, remark: Remark) -> u64 {
    parsed.remarks.get(&remark).copied().unwrap_or_default()
}
