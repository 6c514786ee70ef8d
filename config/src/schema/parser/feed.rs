//! What only feeds have: URLs, secrets, sizes, shares, columns and paths.

use super::{Parser, Value, network::parser, quoted, text, wrong_type};
use crate::feed::{Column, FeedUrl, Secret};
use crate::report::{Code, Findings};
use crate::size::{self, SizeError};
use std::ops::RangeInclusive;

parser! {
    /// Where something is fetched.
    url, UrlParser -> FeedUrl, "URL", parse_url, |url| quoted(&url.to_string())
}

fn parse_url(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<FeedUrl> {
    let text = text(value, kind, findings)?;
    // A password in it shows up in no finding, whatever else is wrong.
    if text.contains('@') {
        findings.hide(value.span());
    }
    match text.parse::<FeedUrl>() {
        Ok(url) => Some(url),
        Err(error) => {
            findings.add(Code::Malformed, value.span(), format!("{error}"));
            None
        }
    }
}

parser! {
    /// A text that is shown nowhere.
    secret, SecretParser -> Secret, "text", parse_secret, |_| "\"…\"".to_owned()
}

fn parse_secret(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<Secret> {
    findings.hide(value.span());
    let text = text(value, kind, findings)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        let message = "the value of a header has printable ASCII characters, one at least";
        findings.add(Code::Malformed, value.span(), message);
        return None;
    }
    Some(Secret::new(text))
}

parser! {
    /// What a header of HTTP is called.
    header_name, HeaderNameParser -> String, "name of a header", parse_header_name, |name| quoted(name)
}

/// Headers that say what the connection and the answer are like, which is not for the configuration to say.
const OWN_HEADERS: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "if-modified-since",
    "if-none-match",
    "proxy-authorization",
    "range",
    "te",
    "transfer-encoding",
];

fn parse_header_name(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<String> {
    let text = text(value, kind, findings)?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let problem = if text.is_empty() || !text.bytes().all(is_token) {
        format!("{} cannot be the name of a header", quoted(text))
    } else if OWN_HEADERS.contains(&text.to_ascii_lowercase().as_str()) {
        format!("the header `{text}` is for Ravelin to say")
    } else {
        return Some(text.to_owned());
    };
    findings.add(Code::Malformed, value.span(), problem);
    None
}

parser! {
    /// The name of a variable of the environment.
    environment_variable, VariableParser -> String, "name of an environment variable", parse_variable, |name| quoted(name)
}

fn parse_variable(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<String> {
    let text = text(value, kind, findings)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if text.is_empty() || !text.bytes().all(legal) || text.starts_with(|it: char| it.is_ascii_digit()) {
        let message = "this cannot be the name of an environment variable";
        let finding = findings.add(Code::Malformed, value.span(), message);
        finding.help("it has letters, digits and `_`; the value itself is written value = \"…\"");
        return None;
    }
    Some(text.to_owned())
}

parser! {
    /// A column of a table, by number or name.
    column, ColumnParser -> Column, "number from 1, or name of a column", parse_column, |column| match column {
        Column::Number(number) => number.to_string(),
        Column::Name(name) => quoted(name),
    }
}

/// The most columns that a table may have.
const COLUMNS_MAX: usize = 1024;

fn parse_column(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<Column> {
    if let Some(number) = value.get_ref().as_integer() {
        let column = usize::from_str_radix(number.as_str(), number.radix()).ok();
        let column = column.filter(|column| (1..=COLUMNS_MAX).contains(column));
        if column.is_none() {
            let message = format!("expected a column from 1 to {COLUMNS_MAX}, found {number}");
            findings.add(Code::OutOfRange, value.span(), message);
        }
        return column.map(Column::Number);
    }
    let text = text(value, kind, findings)?;
    if text.is_empty() {
        findings.add(Code::Malformed, value.span(), "the name of a column must not be empty");
        return None;
    }
    Some(Column::Name(text.to_owned()))
}

parser! {
    /// One printable ASCII character, or a tab, that is not a letter, digit or quote.
    symbol, SymbolParser -> char, "one character", parse_symbol, |symbol| quoted(&symbol.to_string())
}

fn parse_symbol(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<char> {
    let text = text(value, kind, findings)?;
    let mut characters = text.chars();
    let legal =
        |symbol: &char| (symbol.is_ascii_punctuation() && *symbol != '"') || matches!(symbol, ' ' | '\t');
    match (characters.next().filter(legal), characters.next()) {
        (Some(symbol), None) => Some(symbol),
        (Some(_) | None, _) => {
            let message =
                format!("expected one character such as \",\", \";\" or \"#\", found {}", quoted(text));
            findings.add(Code::Malformed, value.span(), message);
            None
        }
    }
}

parser! {
    /// Where values stand in JSON.
    json_path, JsonPathParser -> String, "path, as JSONPath", parse_json_path, |path| quoted(path)
}

fn parse_json_path(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<String> {
    let text = text(value, kind, findings)?;
    if !text.starts_with('$') || text.chars().any(char::is_control) {
        let finding = findings.add(Code::Malformed, value.span(), "a path begins with `$`");
        finding.help("examples: \"$[*]\", \"$.data[*].ip\"");
        return None;
    }
    Some(text.to_owned())
}

parser! {
    /// A share, from 0 to 1.
    ratio, RatioParser -> f64, "number from 0 to 1", parse_ratio, |ratio| format!("{ratio:?}")
}

fn parse_ratio(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<f64> {
    let written = match (value.get_ref().as_float(), value.get_ref().as_integer()) {
        (Some(float), _) => float.as_str(),
        (None, Some(integer)) => integer.as_str(),
        (None, None) => {
            wrong_type(value, kind, findings);
            return None;
        }
    };
    let ratio = written.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    if ratio.is_none() {
        findings.add(Code::OutOfRange, value.span(), format!("expected a {kind}, found {written}"));
    }
    ratio
}

/// An amount of bytes in a range.
pub(crate) struct Size(RangeInclusive<u64>);

/// An amount of bytes in `range`, written as number and unit.
pub(crate) const fn size(range: RangeInclusive<u64>) -> Size {
    Size(range)
}

impl Parser for Size {
    type Output = u64;

    fn kind(&self) -> String {
        format!("size from {} to {}", size::show(*self.0.start()), size::show(*self.0.end()))
    }

    fn parse(&self, value: &Value<'_>, findings: &mut Findings) -> Option<u64> {
        let kind = self.kind();
        if let Some(number) = value.get_ref().as_integer() {
            let message = format!("expected {kind}, found an integer");
            let finding = findings.add(Code::WrongType, value.span(), message);
            finding.help(format!("a size has a unit, such as \"{number}MiB\" or \"{number}B\""));
            return None;
        }
        let text = text(value, &kind, findings)?;
        match size::parse(text) {
            Ok(bytes) if self.0.contains(&bytes) => return Some(bytes),
            Ok(_) | Err(SizeError::TooLarge) => {
                findings.add(Code::OutOfRange, value.span(), format!("expected {kind}, found {text}"));
            }
            Err(error @ SizeError::Form) => {
                findings.add(Code::Malformed, value.span(), format!("`{text}` is not a size: {error}"));
            }
        }
        None
    }

    fn show(&self, value: &u64) -> Option<String> {
        Some(quoted(&size::show(*value)))
    }
}
