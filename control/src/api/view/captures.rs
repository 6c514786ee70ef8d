use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::capture::CaptureSpec;

/// `GET /captures`: a capture, and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capture {
    /// What it is called.
    pub name: String,
    /// `Scheduled`, `WaitingForTraffic`, `Capturing`, `Finished` or `Error`.
    pub state: String,
    /// What went wrong, if something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it wants.
    pub spec: CaptureSpec,
    /// Whether the configuration declares it.
    #[serde(default)]
    pub job: bool,
    /// When it begins the next time, unless it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<String>,
    /// When it began the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// When it ends by itself: what is under way, or the next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
    /// When it ended the last time, unless it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Times that it should have begun at and did not: it was under way, or nobody was there.
    #[serde(default)]
    pub skipped: u64,
    /// Packets written.
    pub packets: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Packets that were for it and could not be written.
    pub lost: u64,
    /// Its complete files, the oldest first.
    pub files: Vec<CaptureFile>,
    /// What has triggered it, by cause; empty if it is not by triggers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerCounts>,
}

/// What became of what has triggered captures for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerCounts {
    /// `alert`, `rule`, `drop` or `verdict`.
    pub cause: String,
    /// How often, without what happened to a flow of which a file was being made.
    pub fired: u64,
    /// Files that were written.
    pub written: u64,
    /// Files that could not be written.
    pub failed: u64,
    /// What was beyond `at_once` and `per_minute`.
    pub suppressed: u64,
}

/// A file of a capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureFile {
    /// What it is called.
    pub name: String,
    /// Its bytes.
    pub size: u64,
}

/// `POST /captures/NAME/remove` and `POST /captures/clean`: what was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturesRemoved {
    /// The captures.
    pub removed: Vec<String>,
}

/// `POST /captures/save`: what of the ring is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaveQuery {
    /// How far back, in seconds; everything if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// An address that packets have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<IpAddr>,
    /// What IP carries, by name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// A port that packets have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The flow that they are of, as `10.0.0.1:1234-10.0.0.2:443/tcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<String>,
    /// The Community ID of their flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub community_id: Option<String>,
    /// What they have to be, as tcpdump selects it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}
