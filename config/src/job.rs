//! Captures as the configuration declares them.
//!
//! These are checked values, but for what only others can judge: filters and drop reasons, which say where they stand ([`Placed`]).
//! Refuses: to know what a filter selects.

use crate::cron::{Cron, Zone};
use crate::model::{CaptureCompression, CaptureDirection, CaptureFormat, CapturePoint, CaptureVerdict};
use crate::report::Span;
use crate::selector::Selector;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::time::Duration;

/// A capture that begins by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Job {
    /// What it is called: see [`is_capture_name`].
    pub name: String,
    /// Endpoints of which one has to be an end of the packet.
    pub endpoint: Option<Selector>,
    /// What the packet has to be, as libpcap selects it.
    pub filter: Option<Placed>,
    /// Which way the packet has to go, seen from the endpoints; both unless there is a selector of them.
    pub direction: CaptureDirection,
    /// What has to become of the packet.
    pub verdict: Option<CaptureVerdict>,
    /// For what it has to be dropped; only if it is to be dropped, or that is not said.
    pub drop_reasons: Vec<Placed>,
    /// Where on its way it is captured.
    pub point: CapturePoint,
    /// The tier of the rule that has to have decided about its flow.
    pub tier: Option<String>,
    /// The policy of that rule.
    pub policy: Option<String>,
    /// The place of that rule in its policy.
    pub rule: Option<i64>,
    /// One flow in so many.
    pub sample: u32,
    /// Bytes that are kept of a packet.
    pub snaplen: u32,
    /// When it begins; at once if absent.
    pub start: Option<Timestamp>,
    /// When it ends; later than it begins.
    pub end: Option<Timestamp>,
    /// How long it lasts each time; always there if there is a cron expression.
    pub duration: Option<Duration>,
    /// When it begins again and again.
    pub cron: Option<Cron>,
    /// Where the clocks are that the cron expression speaks of.
    pub time_zone: Zone,
    /// Bytes after which it ends.
    pub max_size: Option<u64>,
    /// Packets after which it ends.
    pub max_packets: Option<u64>,
    /// Bytes after which it goes on in another file.
    pub rotate_size: Option<u64>,
    /// How long a file may become.
    pub rotate_time: Option<Duration>,
    /// Files that are kept.
    pub files: Option<usize>,
    /// How they are written.
    pub format: CaptureFormat,
    /// How they are compressed.
    pub compression: CaptureCompression,
}

/// A text that somebody else has to judge, and where it stands. Equal to one that stands elsewhere.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The text.
    pub text: String,
    pub(crate) span: Option<Span>,
}

impl PartialEq for Placed {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Serialize for Placed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// The directory of the ring, and that of what is triggered.
const RING: &str = "ring";
const TRIGGERS: &str = "triggers";

/// Whether a name is that of a directory of a capture and of nothing else: letters, digits, `-`, `_` and `.`, not hidden, and not that
/// of the ring or of what is triggered.
pub fn is_capture_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=128).contains(&name.len())
        && name.bytes().all(is_plain)
        && !name.starts_with('.')
        && ![RING, TRIGGERS].contains(&name)
}
