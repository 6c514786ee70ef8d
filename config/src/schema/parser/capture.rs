//! What only captures have: expressions.

use super::{Parser, Value, network::parser, quoted, text};
use crate::report::{Code, Findings};

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
