//! The types that values of the language have. Each can name itself, read a value and write one.

mod capture;
mod feed;
mod list;
mod network;
mod policy;
mod scalar;
mod threat;
mod wireguard;

pub(crate) use capture::{capture_name, date_time, drop_reason, expression, time_zone};
pub(crate) use feed::{
    column, environment_variable, header_name, json_path, ratio, secret, size, symbol, url,
};
pub(crate) use list::{cores, list};
pub(crate) use network::{
    absolute_path, address, mss_clamp, nat_address, path, path_pattern, ports, prefix, protocol,
    socket_address, socket_path,
};
pub(crate) use policy::{
    description, domain, failsafe, ip_version, labels, order, port_match, port_name, resource_name, selector,
    target_port, types,
};
pub(crate) use scalar::{DurationParser, boolean, choice, duration, integer, name, power_of_two, word};
pub(crate) use threat::{addresses, moment, reason};
pub(crate) use wireguard::{
    address_or_net, credential, interface_address, peer_endpoint, public_key, wireguard_routes,
};

use crate::report::{Code, Finding, Findings};
use crate::schema::reader::article;
use toml::{Spanned, de::DeValue};

/// A value of the file, with its place.
pub(crate) type Value<'d> = Spanned<DeValue<'d>>;

/// A type of value.
pub(crate) trait Parser {
    /// What the value means.
    type Output;

    /// The type in words: "integer from 1 to 256".
    fn kind(&self) -> String;

    /// Reads the value, or reports why it cannot be used.
    fn parse(&self, value: &Value<'_>, findings: &mut Findings) -> Option<Self::Output>;

    /// Writes the value as TOML, if there is a way.
    fn show(&self, value: &Self::Output) -> Option<String>;
}

/// A key that may have no value at all: `optional(parser)`.
pub(crate) struct Optional<P>(P);

/// Makes the absence of a key a value of its own.
pub(crate) const fn optional<P: Parser>(parser: P) -> Optional<P> {
    Optional(parser)
}

impl<P: Parser> Parser for Optional<P> {
    type Output = Option<P::Output>;

    fn kind(&self) -> String {
        self.0.kind()
    }

    fn parse(&self, value: &Value<'_>, findings: &mut Findings) -> Option<Self::Output> {
        self.0.parse(value, findings).map(Some)
    }

    fn show(&self, value: &Self::Output) -> Option<String> {
        value.as_ref().and_then(|value| self.0.show(value))
    }
}

/// Reports that `value` is not `expected`.
fn wrong_type<'f>(value: &Value<'_>, expected: &str, findings: &'f mut Findings) -> &'f mut Finding {
    let message = format!("expected {expected}, found {}", article(value.get_ref()));
    findings.add(Code::WrongType, value.span(), message)
}

/// The text of a string, or a report that there is none.
fn text<'v>(value: &'v Value<'_>, expected: &str, findings: &mut Findings) -> Option<&'v str> {
    let text = value.get_ref().as_str();
    if text.is_none() {
        wrong_type(value, expected, findings);
    }
    text
}

/// A string as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
