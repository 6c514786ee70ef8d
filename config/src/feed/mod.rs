//! Feeds as the configuration declares them: where indicators come from, how they are read, and what happens to their hits.
//!
//! These are checked values. Promises: header values, user names, passwords and queries of URLs are in no form that people or
//! records see ([`Secret`], [`FeedUrl`]); a [`FeedList`] has at most [`FeedList::MAX`] feeds of different names, `feodo` always
//! among them. An [`Allowance`] says for which addresses they are not acted upon. Refuses: to read or fetch anything.

mod allow;
mod secret;
mod signature;
#[cfg(test)]
mod tests;
mod url;

pub use crate::model::{FeedAction, FeedDirection, FeedFormat, FeedMode};
pub use allow::Allowance;
pub use secret::Secret;
pub use signature::{MinisignKey, SignatureError};
pub use url::{FeedUrl, UrlError};

use crate::resources::Labels;
use serde::{Serialize, Serializer};
use std::{fmt, ops::Deref, path::PathBuf, str::FromStr, time::Duration};

/// The feed that is there without being declared.
pub(crate) const BUILT_IN: &str = "feodo";

/// Where the feed that is there without being declared is fetched.
const BUILT_IN_URL: &str = "https://feodotracker.abuse.ch/downloads/ipblocklist.csv";

/// How often a feed is fetched unless it says so.
pub(crate) const PERIOD: Duration = Duration::from_hours(24);

/// A named source of indicators.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Feed {
    /// What alerts and commands call it. Letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Where it comes from.
    #[serde(flatten)]
    pub source: FeedSource,
    /// How it is written.
    pub format: FeedFormat,
    /// Where its values stand; only with the format `csv`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csv: Option<CsvLayout>,
    /// Where its values stand; with the formats `json` and `json-lines`, and always with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<JsonLayout>,
    /// How long its copy may be unconfirmed before it is stale; `None` if it never is.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::duration::serialize_optional")]
    pub stale_after: Option<Duration>,
    /// What selectors see.
    pub labels: Labels,
    /// What happens to packets that it knows an address of.
    pub action: FeedAction,
    /// Which end of a flow is looked up.
    pub direction: FeedDirection,
    /// Whether the kernel drops what comes from there.
    pub drop_in_kernel: bool,
    /// How bad a hit is, from 1 to 100.
    pub severity: u8,
    /// Whether it is used.
    pub mode: FeedMode,
    /// The most bytes that it may have, after decompression too.
    #[serde(serialize_with = "crate::size::serialize")]
    pub max_size: u64,
    /// The most entries that it may have.
    pub max_entries: usize,
    /// What its bytes must add up to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// Whose signature stands beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minisign_key: Option<MinisignKey>,
    /// The share of the entries of the last good copy, from 0 to 1, below which a new copy is held back.
    pub shrink: f64,
}

/// Where a feed comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FeedSource {
    /// It is fetched.
    Url {
        /// From where.
        url: FeedUrl,
        /// How often.
        #[serde(serialize_with = "crate::duration::serialize")]
        period: Duration,
        /// What is said besides what HTTP wants.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        headers: Vec<FeedHeader>,
    },
    /// It is a file, which is watched. Relative to the working directory.
    File {
        /// Which.
        file: PathBuf,
    },
}

/// A header of the requests for a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(flatten)]
    pub value: HeaderValue,
}

/// Where the value of a header comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum HeaderValue {
    /// It stands in the configuration.
    #[serde(rename = "value")]
    Text(Secret),
    /// It is in a variable of the environment.
    #[serde(rename = "env")]
    Env(String),
    /// It is in a file, whitespace around it aside. Relative to the working directory.
    #[serde(rename = "file")]
    File(PathBuf),
}

/// Where values stand in a CSV file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CsvLayout {
    /// The column of indicators.
    pub column: Column,
    /// The column of ports, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Column>,
    /// What stands between two columns: one ASCII character.
    pub delimiter: char,
    /// What a line that says nothing begins with: one ASCII character.
    pub comment: char,
    /// Whether the first line names the columns. It does if a column is given by its name.
    pub header: bool,
}

/// A column of a CSV file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Column {
    /// Its number, from 1.
    Number(usize),
    /// What the header calls it.
    Name(String),
}

/// Where values stand in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JsonLayout {
    /// The path of indicators, as JSONPath: `$.data[*].ip`.
    pub path: String,
    /// The path of their ports, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

/// A SHA-256 checksum, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256(pub [u8; 32]);

impl FromStr for Sha256 {
    type Err = Sha256Error;

    fn from_str(text: &str) -> Result<Self, Sha256Error> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(Sha256Error);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            *byte = digit(*high).ok_or(Sha256Error)? << 4 | digit(*low).ok_or(Sha256Error)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text is not a SHA-256 checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 checksum has 64 hexadecimal digits")]
pub struct Sha256Error;

/// All feeds, in the order of the files; `feodo` first unless it is declared. At most [`FeedList::MAX`] of different names.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct FeedList(Vec<Feed>);

impl FeedList {
    /// The most feeds that there may be: a set of feeds is 64 bits.
    pub const MAX: usize = 64;

    /// The declared feeds, and the one that is always there. `None` if they are too many; their names differ.
    pub(crate) fn new(mut declared: Vec<Feed>) -> Option<Self> {
        if !declared.iter().any(|feed| feed.name == BUILT_IN) {
            declared.splice(..0, Self::default().0);
        }
        (declared.len() <= Self::MAX).then_some(Self(declared))
    }
}

impl Default for FeedList {
    /// That of an empty file: the FEODO Tracker's list of addresses of botnets' servers.
    fn default() -> Self {
        Self(crate::validate::built_in_feed().into_iter().collect())
    }
}

impl Deref for FeedList {
    type Target = [Feed];

    fn deref(&self) -> &[Feed] {
        &self.0
    }
}

/// The source of the feed that is always there.
pub(crate) fn built_in_url() -> Option<FeedUrl> {
    BUILT_IN_URL.parse().ok()
}
