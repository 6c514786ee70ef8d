use std::{borrow::Cow, fmt};

use serde::Serialize;

/// Something in a feed that was not loaded, or not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// What stands there: at most [`Problem::SHOWN`] characters, none of which a terminal acts upon.
    pub found: String,
    /// What should have stood there.
    pub expected: Cow<'static, str>,
}

/// Where something is in a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A line, from 1.
    Line(u64),
    /// An entry of a list or an object in a JSON document, from 1.
    Entry(u64),
}

impl Problem {
    /// The most characters of a feed that are shown.
    pub const SHOWN: usize = 80;

    pub(super) fn new(place: Place, found: &[u8], expected: Cow<'static, str>) -> Self {
        Self { place, found: shown(found), expected }
    }
}

/// What stands in a feed, in a length that can be read, and without what a terminal would act upon.
pub fn shown(found: impl AsRef<[u8]>) -> String {
    let found = found.as_ref();
    // A character has at most four bytes: no need to look at more.
    let start = found.get(..4 * Problem::SHOWN + 4).unwrap_or(found);
    let text = String::from_utf8_lossy(start);
    let mut shown: String = text.chars().take(Problem::SHOWN).map(visible).collect();
    if text.chars().nth(Problem::SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn visible(character: char) -> char {
    if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}`, expected {}", self.place, self.found, self.expected)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Entry(number) => write!(f, "entry {number}"),
        }
    }
}

/// What was done to many entries alike, and is no mistake of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remark {
    /// A prefix had bits set behind its length; they were cleared, and it was loaded.
    HostBits,
    /// Numbers behind an entry were ignored, and it was loaded. They are no ports.
    Numbers,
    /// Left out: a name of a hosts file that means the machine itself.
    OwnName,
    /// Left out: the feed says that it is not for detection, or gives no reputation.
    NotForDetection,
    /// Left out: it was withdrawn.
    Withdrawn,
    /// Left out: it is not valid any more.
    Expired,
    /// Left out: it is not about the network, such as the hash of a file.
    OtherKind,
}

impl Remark {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::HostBits,
        Self::Numbers,
        Self::OwnName,
        Self::NotForDetection,
        Self::Withdrawn,
        Self::Expired,
        Self::OtherKind,
    ];
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostBits => "prefixes loaded without the bits behind their length",
            Self::Numbers => "entries loaded without the numbers behind them, which are not taken for ports",
            Self::OwnName => "names of the machine itself left out",
            Self::NotForDetection => "left out because the feed does not want them detected",
            Self::Withdrawn => "left out because they were withdrawn",
            Self::Expired => "left out because they are not valid any more",
            Self::OtherKind => "left out because they are not about the network",
        })
    }
}

/// Why a feed cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// There is not one byte.
    #[error("there is nothing in it")]
    Empty,
    /// Somebody's web page came in place of the feed.
    #[error(
        "this is an HTML page, not a feed: the address may have moved, or a proxy or login answered in its place"
    )]
    Html,
    /// XML is no format of feeds that is read.
    #[error("this is XML, which is not a format that can be read")]
    Xml,
    /// The text is UTF-16.
    #[error("this is UTF-16; feeds are UTF-8 or ASCII")]
    Utf16,
    /// It is larger than the limit.
    #[error("it has more than {limit} bytes{}", if *.unpacked { " when it is unpacked" } else { "" })]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
        /// Whether it is only larger when it is unpacked.
        unpacked: bool,
    },
    /// It has more entries than the limit.
    #[error("it has more than {limit} entries")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// It is compressed in a way that cannot be undone.
    #[error("it cannot be unpacked: {0}")]
    Packed(String),
    /// It is not JSON, or nested too deeply.
    #[error("it is not the JSON that was expected: {0}")]
    Json(String),
    /// The options do not fit the feed.
    #[error("{0}")]
    Options(String),
    /// The feed excludes addresses from what it lists, and that cannot be honoured.
    #[error("line {line} excludes addresses (`nomatch`), which cannot be honoured")]
    Exclusion {
        /// The line, from 1.
        line: u64,
    },
    /// Nobody said what format it has, and it is not recognised.
    #[error("its format is not recognised: {0}")]
    Unknown(&'static str),
}
