use crate::types::IpRange;
use jiff::Timestamp;
use serde::Serialize;
use std::fmt;

/// Addresses that feeds may not be acted upon for, because they name them wrongly: an entry of the allow-list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Allowance {
    /// The addresses.
    pub address: IpRange,
    /// The feeds that this is about; all if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub feeds: Vec<String>,
    /// Why.
    pub reason: String,
    /// When it ends; `None` if it does not end by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Allowance {
    /// Whether this is about the feed called `name`.
    pub fn is_about(&self, name: &str) -> bool {
        self.feeds.is_empty() || self.feeds.iter().any(|feed| feed == name)
    }

    /// Whether it has ended.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// `192.0.2.10 is allowed until 2026-12-31T00:00:00Z because "shared host"`
impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is allowed", self.address)?;
        if let Some(end) = self.expires {
            write!(f, " until {end}")?;
        }
        write!(f, " because \"{}\"", self.reason)
    }
}
