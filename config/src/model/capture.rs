use crate::schema::{
    parser::{absolute_path, boolean, duration, expression, integer, list, name, optional, size},
    section,
};
use std::{path::PathBuf, time::Duration};

section! {
    /// Where captures go, and how much room they have.
    pub struct Capture in "capture" {
        /// The directory of captures: a directory for each, and one for the ring.
        directory: PathBuf = PathBuf::from("/var/lib/ravelin/captures") => absolute_path(), Restart;
        /// How many bytes all captures and the ring may have on disk. The oldest files go first.
        #[serde(serialize_with = "crate::size::serialize")]
        budget: u64 = 10 << 30 => size(1 << 20..=1 << 50), Restart;
        /// How many bytes of the file system are left to others. Where there are less, the oldest files go, and nothing is written if
        /// there are none.
        #[serde(serialize_with = "crate::size::serialize")]
        min_free: u64 = 1 << 30 => size(0..=1 << 50), Restart;
        /// Memory of each worker for packets that wait to be written. What finds no room there is counted, and not captured.
        #[serde(serialize_with = "crate::size::serialize")]
        buffer: u64 = 32 << 20 => size(2 << 20..=16 << 30), Restart;
    }
    with {
        /// What is captured at all times.
        ring: Ring;
        /// What has packets saved by itself.
        trigger: Trigger;
    }
}

section! {
    /// The ring: the last packets, for `ravelin capture save`, which writes what happened before anyone asked. There is none unless `memory`
    /// or `disk` says how much it may hold.
    pub struct Ring in "capture.ring" {
        /// Bytes of packets that are kept in memory.
        #[serde(serialize_with = "crate::size::serialize")]
        memory: u64 = 0 => size(0..=1 << 40), Restart;
        /// Bytes of packets that are kept on disk, over restarts too.
        #[serde(serialize_with = "crate::size::serialize")]
        disk: u64 = 0 => size(0..=1 << 50), Restart;
        /// How old packets may become.
        #[serde(serialize_with = "crate::duration::serialize_optional")]
        keep: Option<Duration> = None => optional(duration(Duration::from_secs(1)..=Duration::from_hours(24 * 365))), Restart;
        /// Bytes of each packet that are kept.
        snaplen: usize = 65_535 => integer(64..=262_144), Restart;
        /// What is kept, as tcpdump selects it: `not port 22`.
        filter: Option<String> = None => optional(expression()), Restart;
    }
}

impl Trigger {
    /// Whether anything but rules triggers a capture.
    pub fn is_on(&self) -> bool {
        self.alerts || self.verdict_changes || !self.drop_reasons.is_empty()
    }
}

impl Ring {
    /// Whether there is one.
    pub const fn is_there(&self) -> bool {
        self.memory > 0 || self.disk > 0
    }
}

section! {
    /// Captures that something triggers: the packets of the flow that it happened to, from before and after, are saved out of the ring to a
    /// file of the capture `triggers`. A rule asks for it with `capture = true`; the rest is asked for here. What happens to a flow while
    /// a file is made of it already is no other file. Needs a `[capture.ring]`.
    pub struct Trigger in "capture.trigger" {
        /// Whether an alert about a flow does; the alert names the file.
        alerts: bool = false => boolean(), Live;
        /// The least severity of such an alert.
        alert_severity: u8 = 1 => integer(1..=100), Live;
        /// Drop reasons that do, if the ring keeps the packet that is dropped; docs/counters.md has their names. Of a packet that
        /// cannot be parsed it is all between the same two addresses.
        drop_reasons: Vec<String> = Vec::new() => list("names of drop reasons", name("name of a drop reason")).or_empty().plain(), Live;
        /// Whether it does that a change of policy or feeds changes the verdict on a flow.
        verdict_changes: bool = false => boolean(), Live;
        /// How far back packets are saved, as far as the ring has them.
        #[serde(serialize_with = "crate::duration::serialize")]
        before: Duration = Duration::from_secs(30) => duration(Duration::ZERO..=Duration::from_hours(1)), Live;
        /// For how long packets are saved that come afterwards.
        #[serde(serialize_with = "crate::duration::serialize")]
        after: Duration = Duration::from_secs(10) => duration(Duration::ZERO..=Duration::from_hours(1)), Live;
        /// Files that are made at once. What is triggered beyond that is counted, and not saved.
        at_once: usize = 16 => integer(1..=256), Live;
        /// Files that are begun in a minute. What is triggered beyond that is counted, and not saved.
        per_minute: usize = 60 => integer(1..=10_000), Live;
        /// Bytes of a file, which ends there.
        #[serde(serialize_with = "crate::size::serialize")]
        max_size: u64 = 100 << 20 => size(1 << 20..=1 << 40), Live;
    }
}
