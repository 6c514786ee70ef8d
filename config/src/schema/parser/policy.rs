//! The types of values that describe who lives on the network, and policies about them.

use super::{Parser, Value, choice, integer, network::parser, quoted, text, word, wrong_type};
use crate::report::{Code, Findings, Range};
use crate::resources::{Failsafe, IpVersion, Labels, Order, PortMatch, TargetPort, Types};
use crate::schema::word::Word;
use crate::selector::Selector;
use crate::types::PortRange;

/// The most characters of the name of a policy, endpoint and so on: those of a DNS name, as in Kubernetes.
const NAME_MAX: usize = 253;

/// The most characters of the name of a port, as in Calico.
const PORT_NAME_MAX: usize = 128;

/// The most characters of a label's name and of its value.
const LABEL_MAX: usize = 512;

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-')
}

parser! {
    /// The name of a policy, an endpoint and so on, as traces and commands show it.
    resource_name, ResourceNameParser -> String, "name", parse_name, |name| quoted(name)
}

fn parse_name(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<String> {
    let text = text(value, kind, findings)?;
    let problem = if text.is_empty() {
        "a name must not be empty".to_owned()
    } else if let Some(character) = text.chars().find(|character| !is_plain(*character)) {
        format!("a name must not contain {character:?}")
    } else if text.len() > NAME_MAX {
        format!("a name has at most {NAME_MAX} characters, this one has {}", text.len())
    } else {
        return Some(text.to_owned());
    };
    let finding = findings.add(Code::Malformed, value.span(), problem);
    finding.help("a name has letters, digits, `-`, `_` and `.`");
    None
}

parser! {
    /// What somebody wants to say. No control characters.
    description, DescriptionParser -> String, "text", parse_description, |text| quoted(text)
}

fn parse_description(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<String> {
    let text = text(value, kind, findings)?;
    if let Some(character) = text.chars().find(|character| character.is_control()) {
        findings.add(Code::Malformed, value.span(), format!("this text must not contain {character:?}"));
        return None;
    }
    Some(text.to_owned())
}

parser! {
    /// An expression over labels.
    selector, SelectorParser -> Selector, "selector", parse_selector, |selector| quoted(&selector.to_string())
}

fn parse_selector(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<Selector> {
    let text = text(value, kind, findings)?;
    match text.parse::<Selector>() {
        Ok(selector) => Some(selector),
        Err(error) => {
            let range = within(value.span(), text, error.at, findings);
            findings.add(Code::Selector, range, error.to_string());
            None
        }
    }
}

/// The character `at` bytes into `text`, where the file has it; behind the end that is the closing quote. The whole string if
/// it is written with escapes.
fn within(string: Range, text: &str, at: usize, findings: &Findings) -> Range {
    let written = findings.sources().text(string.clone());
    let quotes = ["\"\"\"\r\n", "\"\"\"\n", "\"\"\"", "'''\r\n", "'''\n", "'''", "\"", "'"];
    let opening = quotes.iter().find(|quote| written.starts_with(**quote)).map_or(0, |quote| quote.len());
    if !written.get(opening..).is_some_and(|inner| inner.starts_with(text)) {
        return string;
    }
    let start = string.start + opening + at;
    let length = text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
    start..start + length
}

parser! {
    /// Names with values.
    labels, LabelsParser -> Labels, "table of labels", parse_labels, |_| "{}".to_owned()
}

fn parse_labels(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<Labels> {
    let Some(table) = value.get_ref().as_table() else {
        wrong_type(value, kind, findings).help("write { role = \"web\", \"example.org/team\" = \"shop\" }");
        return None;
    };
    let label = |(name, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &Value<'_>)| {
        let legal = |character: char| is_plain(character) || character == '/';
        let text = name.get_ref();
        if text.is_empty() || text.len() > LABEL_MAX || !text.chars().all(legal) {
            let message = format!("`{text}` cannot be the name of a label");
            let finding = findings.add(Code::Malformed, name.span(), message);
            finding.help("a label has 1 to 512 letters, digits, `-`, `_`, `.` and `/`");
            return None;
        }
        let Some(written) = value.get_ref().as_str() else {
            let finding = wrong_type(value, "the value of a label as a string", findings);
            if value.get_ref().is_table() {
                finding.help("a label with dots in its name is written in quotes: \"example.org/team\"");
            }
            return None;
        };
        if written.len() > LABEL_MAX || written.chars().any(char::is_control) {
            let message = "the value of a label has at most 512 printable characters";
            findings.add(Code::Malformed, value.span(), message);
            return None;
        }
        Some((text.to_string(), written.to_owned()))
    };
    let labels: Vec<_> = table.iter().map(label).collect();
    labels.into_iter().collect()
}

parser! {
    /// A place in an order.
    order, OrderParser -> Order, "number", parse_order, |order| order.number().unwrap_or_default().to_string()
}

fn parse_order(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<Order> {
    let number = match (value.get_ref().as_float(), value.get_ref().as_integer()) {
        (Some(float), _) => float.as_str().parse::<f64>().ok(),
        (None, Some(integer)) => {
            i128::from_str_radix(integer.as_str(), integer.radix()).ok().map(|number| number as f64)
        }
        (None, None) => {
            wrong_type(value, kind, findings);
            return None;
        }
    };
    let order = number.and_then(Order::new);
    if order.is_none() {
        let finding = findings.add(Code::OutOfRange, value.span(), "an order is a finite number");
        finding.help("leave the key out to be last");
    }
    order
}

parser! {
    /// 4 or 6.
    ip_version, IpVersionParser -> IpVersion, "4 or 6", parse_ip_version, |version| match version {
        IpVersion::V4 => "4".to_owned(),
        IpVersion::V6 => "6".to_owned(),
    }
}

fn parse_ip_version(value: &Value<'_>, _: &str, findings: &mut Findings) -> Option<IpVersion> {
    let version: u8 = choice(&[4, 6]).parse(value, findings)?;
    Some(if version == 4 { IpVersion::V4 } else { IpVersion::V6 })
}

/// A direction that a policy governs.
#[derive(Clone, Copy, PartialEq)]
enum Governed {
    Ingress,
    Egress,
}

impl Word for Governed {
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Ingress, "ingress"), (Self::Egress, "egress")];
}

parser! {
    /// The directions that a policy governs.
    types, TypesParser -> Types, "list of \"ingress\" and \"egress\"", parse_types, |_| "[]".to_owned()
}

fn parse_types(value: &Value<'_>, kind: &'static str, findings: &mut Findings) -> Option<Types> {
    let words = super::list("directions", word::<Governed>()).parse(value, findings)?;
    let mut types = Types { ingress: false, egress: false };
    for at in words {
        let governs = match at.value {
            Governed::Ingress => &mut types.ingress,
            Governed::Egress => &mut types.egress,
        };
        if std::mem::replace(governs, true) {
            findings.add(Code::Malformed, at.range, format!("expected a {kind}, each once"));
        }
    }
    Some(types)
}

/// Whether a text is a name for ports: it has a letter, and characters that cannot be misread.
fn is_port_name(text: &str) -> bool {
    text.len() <= PORT_NAME_MAX
        && text.chars().all(is_plain)
        && text.chars().any(|character| character.is_ascii_alphabetic())
}

parser! {
    /// The name of a port.
    port_name, PortNameParser -> String, "name of a port", parse_port_name, |name| quoted(name)
}

fn parse_port_name(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<String> {
    let text = text(value, kind, findings)?;
    if !is_port_name(text) {
        let finding = findings.add(Code::Malformed, value.span(), format!("`{text}` is not the {kind}"));
        finding.help("it has up to 128 letters, digits, `-`, `_` and `.`, and at least one letter");
        return None;
    }
    Some(text.to_owned())
}

/// A port by name, or by what `number` reads.
fn named<T>(
    value: &Value<'_>,
    findings: &mut Findings,
    number: impl FnOnce(&mut Findings) -> Option<T>,
    name: impl FnOnce(String) -> T,
) -> Option<T> {
    match value.get_ref().as_str() {
        Some(text) if is_port_name(text) => Some(name(text.to_owned())),
        Some(_) | None => number(findings),
    }
}

parser! {
    /// Ports by number or by name.
    port_match, PortMatchParser -> PortMatch, "port, range of ports, or name of a port", parse_port_match, |ports| match ports {
        PortMatch::Range(range) => quoted(&range.to_string()),
        PortMatch::Named(name) => quoted(name),
    }
}

fn parse_port_match(value: &Value<'_>, _: &str, findings: &mut Findings) -> Option<PortMatch> {
    let range = |findings: &mut Findings| super::ports().parse(value, findings).map(PortMatch::Range);
    named(value, findings, range, PortMatch::Named)
}

parser! {
    /// The port of an endpoint behind a service.
    target_port, TargetPortParser -> TargetPort, "port, or name of a port", parse_target_port, |target| match target {
        TargetPort::Number(port) => port.to_string(),
        TargetPort::Name(name) => quoted(name),
    }
}

fn parse_target_port(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<TargetPort> {
    let number = |findings: &mut Findings| {
        let range: PortRange = super::ports().parse(value, findings)?;
        if range.first() != range.last() || range.first() == 0 {
            findings.add(Code::OutOfRange, value.span(), format!("expected a {kind}, found {range}"));
            return None;
        }
        Some(TargetPort::Number(range.first()))
    };
    named(value, findings, number, TargetPort::Name)
}

parser! {
    /// A domain name, or a pattern with one label that is a star.
    domain, DomainParser -> String, "domain name", parse_domain, |domain| quoted(domain)
}

fn parse_domain(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<String> {
    let text = text(value, kind, findings)?;
    let label = |label: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        label == "*" || (1..=63).contains(&label.len()) && label.bytes().all(legal)
    };
    let stars = text.matches('*').count();
    if text.len() > NAME_MAX || !text.split('.').all(label) || stars > 1 || text.ends_with('*') {
        let finding = findings.add(Code::Malformed, value.span(), format!("`{text}` is not a {kind}"));
        finding.help("examples: \"example.org\", \"*.example.org\", \"api.*.example.org\"");
        return None;
    }
    Some(text.to_owned())
}

parser! {
    /// A port that no policy can shut.
    failsafe, FailsafeParser -> Failsafe, "port, with or without protocol", parse_failsafe, |failsafe| quoted(&failsafe.to_string())
}

fn parse_failsafe(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<Failsafe> {
    if value.get_ref().is_integer() {
        let port = integer(1..=65535).parse(value, findings)?;
        return Some(Failsafe { protocol: None, net: None, port });
    }
    match text(value, kind, findings)?.parse() {
        Ok(failsafe) => Some(failsafe),
        Err(error) => {
            findings.add(Code::Malformed, value.span(), format!("{error}"));
            None
        }
    }
}
