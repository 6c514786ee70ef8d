//! The patterns of STIX that name addresses, domains, URLs and certificates and mean nothing else: comparisons joined by `OR`, and an
//! address joined to its port by `AND`. Of any other pattern nothing is taken: half of a condition would be another one.

use super::{
    Collector, FormatError, Place,
    collect::with_port,
    entry::{self, Entry, Expected},
};
use crate::feeds::{Details, What};
use ravelin_config::types::IpRange;

const ALONE: Expected =
    "a pattern of addresses, domains or URLs joined by OR alone, or an address AND its port";
const SYNTAX: Expected = "a pattern in the language of STIX";

/// Something that a pattern names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Entry(Entry<'static>),
    Certificate([u8; 20]),
}

impl Found {
    pub(super) fn push(
        &self,
        place: Place,
        pattern: &str,
        details: &Details<'_>,
        collector: &mut Collector,
    ) -> Result<(), FormatError> {
        match self {
            Self::Entry(entry) => collector.entry(place, pattern.as_bytes(), Ok(entry.clone()), details),
            Self::Certificate(hash) => collector.push(What::Certificate(*hash), details),
        }
    }
}

/// All that a pattern names, any of which fulfils it.
pub(super) fn read(text: &str) -> Result<Vec<Found>, Expected> {
    let mut reader = Reader { rest: text, found: Vec::new(), depth: 0 };
    reader.observations()?;
    if reader.rest.trim_start().is_empty() { Ok(reader.found) } else { Err(ALONE) }
}

struct Reader<'p> {
    rest: &'p str,
    found: Vec<Found>,
    depth: u32,
}

/// A comparison for equality: a path of an object, and the values that it may have.
struct Comparison<'p> {
    path: &'p str,
    values: Vec<String>,
}

impl<'p> Reader<'p> {
    /// `[…] OR [….]`, in parentheses or not.
    fn observations(&mut self) -> Result<(), Expected> {
        loop {
            if self.take("(") {
                self.nested(Self::observations)?;
            } else if self.take("[") {
                self.alternatives()?;
                self.need("]")?;
            } else {
                return Err(SYNTAX);
            }
            if !self.take_word("OR") {
                return Ok(());
            }
        }
    }

    /// What stands in brackets: comparisons joined by `OR`.
    fn alternatives(&mut self) -> Result<(), Expected> {
        loop {
            if self.take("(") {
                self.nested(Self::alternatives)?;
            } else {
                let mut joined = vec![self.comparison()?];
                while self.take_word("AND") {
                    joined.push(self.comparison()?);
                }
                self.found.extend(meaning(&joined)?);
            }
            if !self.take_word("OR") {
                return Ok(());
            }
        }
    }

    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Result<(), Expected>) -> Result<(), Expected> {
        /// Deeper than anybody writes.
        const DEEPEST: u32 = 32;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("a pattern that is not nested so deeply");
        }
        inner(self)?;
        self.depth -= 1;
        self.need(")")
    }

    fn comparison(&mut self) -> Result<Comparison<'p>, Expected> {
        let path = self.path()?;
        if self.take("=") {
            // `==` is another way to write it.
            self.take("=");
            return Ok(Comparison { path, values: vec![self.value()?] });
        }
        if self.take_word("ISSUBSET") {
            return Ok(Comparison { path, values: vec![self.value()?] });
        }
        if !self.take_word("IN") {
            return Err(ALONE);
        }
        self.need("(")?;
        let mut values = vec![self.value()?];
        while self.take(",") {
            values.push(self.value()?);
        }
        self.need(")")?;
        Ok(Comparison { path, values })
    }

    /// A path up to the white space or operator behind it; names in it may be quoted.
    fn path(&mut self) -> Result<&'p str, Expected> {
        let rest = self.rest.trim_start();
        let mut quoted = false;
        let end = rest.find(|character: char| {
            quoted ^= character == '\'';
            !(quoted || character.is_ascii_alphanumeric() || "-_:.*[]'".contains(character))
        });
        let (path, behind) = rest.split_at(end.unwrap_or(rest.len()));
        self.rest = behind;
        if path.contains(':') { Ok(path) } else { Err(SYNTAX) }
    }

    /// A text in quotes, or a number.
    fn value(&mut self) -> Result<String, Expected> {
        let rest = self.rest.trim_start();
        let Some(quoted) = rest.strip_prefix('\'') else {
            let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
            let (number, behind) = rest.split_at(end);
            self.rest = behind;
            return if number.is_empty() { Err(SYNTAX) } else { Ok(number.to_owned()) };
        };
        let mut text = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => text.push(characters.next().ok_or(SYNTAX)?.1),
                '\'' => {
                    self.rest = &quoted[at + 1..];
                    return Ok(text);
                }
                _ => text.push(character),
            }
        }
        Err(SYNTAX)
    }

    fn take(&mut self, mark: &str) -> bool {
        let behind = self.rest.trim_start().strip_prefix(mark);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    /// Takes a word, if it ends there.
    fn take_word(&mut self, word: &str) -> bool {
        let behind = self.rest.trim_start().strip_prefix(word);
        let behind = behind.filter(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()));
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn need(&mut self, mark: &str) -> Result<(), Expected> {
        // Anything else that may stand here changes what the pattern means: AND, FOLLOWEDBY, WITHIN …
        if self.take(mark) { Ok(()) } else { Err(ALONE) }
    }
}

/// What comparisons mean that must hold together.
fn meaning(joined: &[Comparison<'_>]) -> Result<Vec<Found>, Expected> {
    match joined {
        [one] => one.values.iter().map(|value| alone(one.path, value)).collect(),
        several => at_port(several).map(|found| vec![found]),
    }
}

fn alone(path: &str, value: &str) -> Result<Found, Expected> {
    let addresses = || entry::addresses(value.as_bytes());
    let entry = match path {
        "ipv4-addr:value" => addresses().and_then(|read| match read.addresses.range {
            IpRange::V4 { .. } => Ok(Entry::Addresses(read)),
            IpRange::V6 { .. } => Err("an IPv4 address"),
        })?,
        "ipv6-addr:value" => Entry::Addresses(addresses()?),
        "network-traffic:dst_ref.value" | "network-traffic:src_ref.value" => {
            match entry::entry(value.as_bytes())? {
                Entry::Url(_) => return Err("an address or a domain"),
                entry @ (Entry::Addresses(_) | Entry::Domain(_)) => owned(entry),
            }
        }
        "domain-name:value" => owned(Entry::Domain(entry::domain(value)?)),
        "url:value" => owned(Entry::Url(entry::url(value)?)),
        "x509-certificate:hashes.'SHA-1'" | "x509-certificate:hashes.SHA-1" => {
            return entry::fingerprint(value).map(Found::Certificate).ok_or("a SHA-1 in hexadecimal digits");
        }
        _ => return Err("a pattern of addresses, domains, URLs or certificates"),
    };
    Ok(Found::Entry(entry))
}

fn owned(entry: Entry<'_>) -> Entry<'static> {
    match entry {
        Entry::Addresses(read) => Entry::Addresses(read),
        Entry::Domain(name) => Entry::Domain(name.into_owned().into()),
        Entry::Url(url) => Entry::Url(url.into_owned().into()),
    }
}

/// A destination and its port, with nothing else but its type.
fn at_port(joined: &[Comparison<'_>]) -> Result<Found, Expected> {
    let (mut address, mut port) = (None, None);
    for Comparison { path, values } in joined {
        let [value] = values.as_slice() else { return Err(ALONE) };
        let before = match *path {
            "network-traffic:dst_ref.value" => address.replace(value),
            "network-traffic:dst_port" => port.replace(value),
            "network-traffic:dst_ref.type" if matches!(value.as_str(), "ipv4-addr" | "ipv6-addr") => None,
            _ => return Err(ALONE),
        };
        if before.is_some() {
            return Err(ALONE);
        }
    }
    let (Some(address), Some(port)) = (address, port) else { return Err(ALONE) };
    with_port(address, port).map(|read| Found::Entry(Entry::Addresses(read)))
}
