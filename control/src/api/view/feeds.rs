use serde::{Deserialize, Serialize};

use crate::alerts::Alert;

/// `GET /feeds`: a feed, and how it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Feed {
    /// What it is called.
    pub name: String,
    /// `disabled`, `pending` (nothing is known yet), `fresh`, `stale`, `failing` or `held back`.
    pub state: String,
    /// Where it comes from, without secrets.
    pub source: String,
    /// `block` or `alert`.
    pub action: String,
    /// `both`, `egress` or `ingress`.
    pub direction: String,
    /// How bad a hit is, 1 to 100.
    pub severity: u8,
    /// Entries in force.
    pub entries: usize,
    /// Entries of other kinds than addresses, which nothing acts upon yet.
    pub others: usize,
    /// Entries that could not be read.
    pub problems: u64,
    /// Ranges that are not blocked because they are guarded.
    pub guarded: usize,
    /// Entries whose packets the kernel drops; absent if it is not to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_kernel: Option<usize>,
    /// Ranges that are not acted upon because the configuration allows them.
    pub allowed: usize,
    /// Seconds since its copy was confirmed; absent if there is none.
    pub age_seconds: Option<u64>,
    /// Seconds until it is fetched again; absent if it is a file.
    pub next_seconds: Option<u64>,
    /// What the last attempt said, if it brought nothing.
    pub last_error: Option<String>,
    /// Flows with what it names, as often as they were judged.
    pub hits: u64,
    /// Those of them that were denied.
    pub blocked: u64,
}

/// `GET /alerts`: the last alerts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alerts {
    /// How many there were since the process was started.
    pub total: u64,
    /// The last ones, the newest first.
    pub alerts: Vec<Alert>,
}

/// `POST /feeds/update`: the feeds that are fetched now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FeedsAsked {
    /// Their names.
    pub feeds: Vec<String>,
}
