use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Something that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is about.
    #[serde(flatten)]
    pub about: About,
    /// How bad that is, 1 to 100.
    pub severity: u8,
    /// When it was seen first.
    pub first: String,
    /// When it was seen last.
    pub last: String,
    /// How often it was seen.
    pub count: u64,
    /// The file that will have the packets of the flow that raised it, from before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_file: Option<String>,
}

/// What an alert is about: its `kind`, and what there is to say of that kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum About {
    /// A feed names what somebody talks to.
    Indicator(Hit),
    /// A feed is not up to date.
    Feed(Standing),
    /// Inside ends find no port of an outside address.
    Nat(Exhaustion),
}

impl Alert {
    /// The hit that it is about, if it is about one.
    pub fn hit(&self) -> Option<&Hit> {
        match &self.about {
            About::Indicator(hit) => Some(hit),
            About::Feed(_) | About::Nat(_) => None,
        }
    }
}

/// A feed names what somebody talks to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The feed.
    pub feed: String,
    /// The entry that names the address.
    pub indicator: String,
    /// What the feed says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malware: Option<String>,
    /// When the feed's makers saw it first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<String>,
    /// Whether the flow goes to the address (`egress`) or comes from there (`ingress`).
    pub direction: String,
    /// What became of the flow: `allow`, `deny` or `reject`.
    pub verdict: String,
    /// The end that the feed does not name.
    pub endpoint: IpAddr,
    /// The end that it names.
    pub address: IpAddr,
    /// The port of the flow's destination; 0 if it has none.
    pub port: u16,
}

/// A feed is not up to date, or is again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The feed.
    pub feed: String,
    /// How it stands.
    pub state: Freshness,
    /// Seconds since its copy was confirmed when it became stale; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// What the last attempt to get a copy said then, if it brought nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// Inside ends find no port of an outside address, or there are too many mappings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhaustion {
    /// Packets that were dropped for it since the process started.
    pub dropped_packets: u64,
}

/// Whether a feed is up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// It was not confirmed for too long.
    Stale,
    /// It is again.
    Fresh,
}

impl Freshness {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Fresh => "fresh",
        }
    }
}
