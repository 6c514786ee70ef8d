//! The sections about the process rather than the packets.

use crate::report::Findings;
use crate::schema::{
    parser::{Parser, Value, boolean, duration, integer, optional, path, socket_address, socket_path, word},
    section,
    word::words,
};
use serde::{Serialize, Serializer};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Where flow records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordsTarget {
    /// Standard output, written as `-`.
    StandardOutput,
    /// A file, which is appended to.
    File(PathBuf),
}

impl Serialize for RecordsTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::StandardOutput => serializer.serialize_str("-"),
            Self::File(path) => path.serialize(serializer),
        }
    }
}

/// A path, or `-`.
struct TargetParser;

impl Parser for TargetParser {
    type Output = RecordsTarget;

    fn kind(&self) -> String {
        "path, or \"-\" for standard output".to_owned()
    }

    fn parse(&self, value: &Value<'_>, findings: &mut Findings) -> Option<RecordsTarget> {
        if value.get_ref().as_str() == Some("-") {
            return Some(RecordsTarget::StandardOutput);
        }
        path().parse(value, findings).map(RecordsTarget::File)
    }

    fn show(&self, value: &RecordsTarget) -> Option<String> {
        match value {
            RecordsTarget::StandardOutput => Some("\"-\"".to_owned()),
            RecordsTarget::File(file) => path().show(file),
        }
    }
}

section! {
    /// Flow records: one JSON object for each flow that ended.
    pub struct Records in "records" {
        /// Where records are written. Without it there are none. A file that was renamed or removed is made anew within a second,
        /// or at once with `ravelin reload` or SIGHUP, and no line is torn or lost.
        file: Option<RecordsTarget> = None => optional(TargetParser), Restart;
        /// Records that may wait for the writer, for each worker. What does not fit is lost and counted.
        ring: usize = 16384 => integer(64..=1_048_576), Restart;
    }
}

section! {
    /// Prometheus metrics over HTTP, at `/metrics`.
    pub struct Metrics in "metrics" {
        /// Where the HTTP server listens. Without it there is none.
        listen: Option<SocketAddr> = None => optional(socket_address()), Restart;
        /// Whether there are metrics for each rule of each policy, under its name. As many as there are rules.
        policies: bool = false => boolean(), Restart;
    }
}

section! {
    /// The process itself.
    pub struct Control in "control" {
        /// The Unix socket through which the commands of `ravelin` reach the running process.
        socket: PathBuf = PathBuf::from("/run/ravelin/control.sock") => socket_path(), Restart;
        /// How long a clean stop may take.
        #[serde(serialize_with = "crate::duration::serialize")]
        shutdown: Duration = Duration::from_secs(5) => duration(Duration::from_millis(100)..=Duration::from_mins(10)), Restart;
        /// A worker that makes no progress for so long is reported.
        #[serde(serialize_with = "crate::duration::serialize")]
        watchdog: Duration = Duration::from_secs(10) => duration(Duration::from_millis(100)..=Duration::from_hours(1)), Restart;
    }
}

words! {
    /// The least important messages that are logged.
    pub enum LogLevel {
        /// Something does not work.
        Error = "error",
        /// Something is not as it should be.
        Warn = "warn",
        /// What the process does.
        Info = "info",
        /// What helps to find a mistake.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

words! {
    /// The form of messages.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object for each message.
        Json = "json",
    }
}

section! {
    /// Messages of the process, on standard error.
    pub struct Log in "log" {
        /// The least important messages that are logged.
        level: LogLevel = LogLevel::Info => word(), Live;
        /// The form of messages: for people (`text`), or one JSON object each (`json`).
        format: LogFormat = LogFormat::Text => word(), Restart;
    }
}
