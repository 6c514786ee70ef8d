//! What feeds look like: bytes in, indicators and problems out.
//!
//! ```text
//! bytes > unpack (gzip, zip) > refuse (HTML, XML, UTF-16) > detect > lines, hosts, csv, … > Collector > Parsed
//! ```
//!
//! One file for each format. Those of lines share `text.rs`, those of JSON `walk.rs`, and all of them `entry.rs`, which knows what
//! an address, a domain and a URL is.
//!
//! Promises: no panic and no answer other than [`Parsed`] or [`FormatError`], whatever the bytes; memory within a small multiple of
//! [`Limits::bytes`]; a line that is not understood costs only itself, and is named. An address with a port is never loaded without
//! it, a condition never in part. Refuses: to guess which column or path holds the indicators, and to judge them: `0.0.0.0/0` is an
//! entry here ([ADR 13](../../../docs/adr/0013-feed-formats.md)). Read next: `entry.rs`, `lines.rs`, `stix.rs`.

mod collect;
mod csv;
mod detect;
mod entry;
mod feodo;
mod hosts;
mod iprep;
mod ipset;
mod json;
mod lines;
mod misp;
mod path;
mod pattern;
mod problem;
mod sslbl;
mod stix;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod unpack;
mod walk;

pub use csv::{Column, Csv};
pub use json::Json;
pub use path::{Path, PathError};
pub use problem::{FormatError, Place, Problem, Remark, shown};
pub use unpack::Packing;

use collect::Collector;

use std::{collections::BTreeMap, fmt, str::FromStr};

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;

use super::Indicators;

/// What a feed looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum Format {
    /// Whichever of the others it is.
    #[default]
    Auto,
    /// FEODO Tracker as CSV.
    FeodoCsv,
    /// FEODO Tracker as JSON.
    FeodoJson,
    /// An address, prefix, range, domain or URL on each line; `#` and `;` begin comments.
    Lines,
    /// A hosts file that sends domains nowhere.
    Hosts,
    /// A table; needs the column.
    Csv,
    /// A JSON document.
    Json,
    /// A JSON document on each line.
    JsonLines,
    /// What `ipset save` writes.
    Ipset,
    /// MISP events or attributes.
    Misp,
    /// A STIX 2.1 bundle.
    Stix,
    /// A list of Suricata's IP reputation.
    SuricataIprep,
    /// SSLBL: addresses, JA3 fingerprints or certificates.
    Sslbl,
}

impl Format {
    /// Its name in configuration and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::FeodoCsv => "feodo-csv",
            Self::FeodoJson => "feodo-json",
            Self::Lines => "lines",
            Self::Hosts => "hosts",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::JsonLines => "json-lines",
            Self::Ipset => "ipset",
            Self::Misp => "misp",
            Self::Stix => "stix",
            Self::SuricataIprep => "suricata-iprep",
            Self::Sslbl => "sslbl",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(text, false)
    }
}

impl Serialize for Format {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// How much of a feed is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes, as they come and when they are unpacked.
    pub bytes: usize,
    /// The most entries.
    pub entries: usize,
    /// The most bytes of a line; longer ones are problems.
    pub line: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, entries: 10_000_000, line: 64 << 10 }
    }
}

/// How a feed is to be read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What it looks like.
    pub format: Format,
    /// Where the indicators are in a table.
    pub csv: Csv,
    /// Where they are in JSON.
    pub json: Json,
    /// How much is read.
    pub limits: Limits,
    /// The time, for entries that are valid up to some time; without it they are all valid.
    pub now: Option<Timestamp>,
}

/// What a feed says.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// What it looks like; never [`Format::Auto`].
    pub format: Format,
    /// How it was compressed.
    pub packing: Option<Packing>,
    /// What was loaded.
    pub indicators: Indicators,
    /// What was not, in the order of the feed.
    pub problems: Vec<Problem>,
    /// How many problems came behind those.
    pub problems_omitted: u64,
    /// What was done to many entries alike, and how often.
    pub remarks: BTreeMap<Remark, u64>,
}

/// Reads a feed.
///
/// # Errors
/// If it is no feed of the format, or beyond a limit. Single entries that are wrong are [`Parsed::problems`].
pub fn parse(bytes: &[u8], options: &Options) -> Result<Parsed, FormatError> {
    let (unpacked, packing) = unpack::unpack(bytes, &options.limits)?;
    let text = unpacked.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&unpacked);
    detect::refuse(text)?;
    let mut format = options.format;
    if format == Format::Auto {
        format = detect::detect(text, options)?;
    }
    let mut collector = Collector::new(options.limits);
    let into = &mut collector;
    match format {
        // What is detected is never `auto`; lists are what is left.
        Format::Auto | Format::Lines => lines::parse(text, into)?,
        Format::FeodoCsv => feodo::parse_csv(text, into)?,
        Format::FeodoJson => feodo::parse_json(text, into)?,
        Format::Hosts => hosts::parse(text, into)?,
        Format::Csv => csv::parse(text, &options.csv, into)?,
        Format::Json => json::parse(text, &options.json, into)?,
        Format::JsonLines => json::parse_lines(text, &options.json, into)?,
        Format::Ipset => ipset::parse(text, into)?,
        Format::Misp => misp::parse(text, into)?,
        Format::Stix => stix::parse(text, options.now, into)?,
        Format::SuricataIprep => iprep::parse(text, into)?,
        Format::Sslbl => sslbl::parse(text, into)?,
    }
    let Collector { limits: _, mut indicators, problems, problems_omitted, remarks } = collector;
    indicators.finish();
    Ok(Parsed { format, packing, indicators, problems, problems_omitted, remarks })
}
