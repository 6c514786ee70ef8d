use crate::schema::{
    parser::{absolute_path, duration, expression, integer, optional, size},
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
