//! What only captures have: names, expressions, drop reasons, and when they are.

use super::{Parser, Value, network::parser, quoted, text, threat::moment};
use crate::cron::Zone;
use crate::is_capture_name;
use crate::report::{Code, Findings};
use jiff::Timestamp;

parser! {
    /// An expression of pcap-filter(7). What it means is for libpcap to say, when it is used.
    expression, ExpressionParser -> String, "filter expression", parse_expression, |text| quoted(text)
}

fn parse_expression(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<String> {
    let text = text(value, kind, findings)?;
    if text.trim().is_empty() || text.contains(|character: char| character.is_control()) {
        let problem = "a filter expression is a line of text, and not empty";
        findings.add(Code::Malformed, value.span(), problem).help("leave it out to select everything");
        return None;
    }
    Some(text.to_owned())
}

parser! {
    /// What a capture is called, and its directory.
    capture_name, CaptureNameParser -> String, "name of a capture", parse_capture_name, |name| quoted(name)
}

fn parse_capture_name(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<String> {
    let text = text(value, kind, findings)?;
    if !is_capture_name(text) {
        let message = format!("expected {kind}, found {text:?}");
        let finding = findings.add(Code::Malformed, value.span(), message);
        finding.help(
            "it has 1 to 128 letters, digits, `-`, `_` and `.`, does not begin with a dot, and is not `ring`",
        );
        return None;
    }
    Some(text.to_owned())
}

parser! {
    /// Why packets are dropped. Which reasons there are is for the packet path to say.
    drop_reason, DropReasonParser -> String, "drop reason", parse_drop_reason, |reason| quoted(reason)
}

fn parse_drop_reason(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<String> {
    text(value, kind, findings).map(str::to_owned)
}

parser! {
    /// A moment: a date with time and offset.
    date_time, DateTimeParser -> Timestamp, "date-time with offset", parse_date_time, |time| time.to_string()
}

fn parse_date_time(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<Timestamp> {
    let written = value.get_ref().as_datetime();
    if written.is_some_and(|written| written.time.is_none() || written.offset.is_none()) {
        let message = format!("expected {kind}, found {}", findings.sources().text(value.span()));
        findings.add(Code::WrongType, value.span(), message).help("example: 2030-12-31T12:00:00+02:00");
        return None;
    }
    moment().parse(value, findings)
}

parser! {
    /// A time zone by its name.
    time_zone, TimeZoneParser -> Zone, "time zone", parse_time_zone, |zone| quoted(&zone.to_string())
}

fn parse_time_zone(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<Zone> {
    match text(value, kind, findings)?.parse::<Zone>() {
        Ok(zone) => Some(zone),
        Err(error) => {
            let finding = findings.add(Code::Malformed, value.span(), error.to_string());
            if let Some(nearest) = error.nearest {
                finding.label(format!("did you mean {}?", quoted(&nearest)));
            }
            None
        }
    }
}
