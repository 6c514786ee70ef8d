use std::fmt;

use serde::Serialize;

/// To what routed TCP connections are held when they say how long segments they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MssClamp {
    /// To nothing.
    #[default]
    Off,
    /// To what the way takes, in both directions.
    Path,
    /// To so many bytes, and to what the way takes.
    Most(u16),
}

impl MssClamp {
    /// The numbers that make sense: what every host takes (RFC 9293 section 3.7.1), and what fits into the longest packet.
    pub const RANGE: std::ops::RangeInclusive<u64> = 536..=65_495;
}

/// As a configuration says it.
impl fmt::Display for MssClamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("false"),
            Self::Path => f.write_str("true"),
            Self::Most(bytes) => bytes.fmt(f),
        }
    }
}
