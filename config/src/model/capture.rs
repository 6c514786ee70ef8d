use crate::cron::{Cron, Zone};
use crate::schema::{
    entry,
    parser::{
        absolute_path, boolean, capture_name, date_time, drop_reason, duration, expression, integer, list,
        name, optional, selector, size, time_zone, word,
    },
    reader::At,
    section,
    word::words,
};
use crate::selector::Selector;
use jiff::Timestamp;
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
        buffer: u64 = 64 << 20 => size(2 << 20..=16 << 30), Restart;
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

words! {
    /// Which way packets go, seen from endpoints.
    pub enum CaptureDirection {
        /// Both.
        Both = "both",
        /// To them.
        In = "in",
        /// From them.
        Out = "out",
    }
}

words! {
    /// What becomes of packets.
    pub enum CaptureVerdict {
        /// They pass, or the appliance takes them.
        Allow = "allow",
        /// They are dropped, for whatever reason.
        Drop = "drop",
    }
}

words! {
    /// Where on their way packets are captured.
    pub enum CapturePoint {
        /// As they were received, with what became of them.
        Received = "received",
        /// As they leave, if they do.
        Forwarded = "forwarded",
    }
}

words! {
    /// How files of captures are written.
    pub enum CaptureFormat {
        /// pcapng: with interfaces, what became of each packet, and what was lost.
        Pcapng = "pcapng",
        /// The format of tcpdump, in nanoseconds.
        Pcap = "pcap",
    }
}

words! {
    /// How files of captures are compressed.
    pub enum CaptureCompression {
        /// Not at all.
        None = "none",
        /// gzip.
        Gzip = "gzip",
        /// Zstandard.
        Zstd = "zstd",
    }
}

/// The longest that a capture may last, and a file of it.
const LONGEST: Duration = Duration::from_hours(24 * 365);

entry! {
    /// A capture that begins by itself: at once, at `start`, or again and again by `cron`. It goes on over restarts, and is shown and
    /// fetched like one that was started by hand, whose place it takes if there is one of that name. A reload ends a job that is not there
    /// any more, whose files stay, and ends one that is another now and begins it again. One that has ended begins again only if it is
    /// changed.
    struct JobModel in "capture.job" {
        /// What commands and its directory are called: letters, digits, `-`, `_` and `.`. Unique; not `ring`.
        name: String = Required => capture_name(), Live;
        /// Endpoints of which one has to be an end of the packet.
        endpoint: Selector = Means("any packet") => selector(), Live;
        /// What the packet has to be, as tcpdump selects it: `tcp port 443`.
        filter: String = Means("any packet") => expression(), Live;
        /// Which way the packet has to go, seen from the endpoints. Only with `endpoint`.
        direction: CaptureDirection = Or(CaptureDirection::Both) => word(), Live;
        /// What has to become of the packet.
        verdict: CaptureVerdict = Means("anything") => word(), Live;
        /// For what it has to be dropped: any of these, as docs/counters.md has them.
        drop_reasons: Vec<At<String>> = Means("anything") => list("drop reasons", drop_reason()), Live;
        /// Where on its way it is captured: as it was received, or as it leaves, if it does.
        point: CapturePoint = Or(CapturePoint::Received) => word(), Live;
        /// The tier of the rule that has to have decided about its flow. The state of the capture says so if there is no such tier, policy
        /// or rule when it begins.
        tier: String = Means("any") => name("name of a tier"), Live;
        /// The policy of that rule, with its tier, as `default.web`, or without.
        policy: String = Means("any") => name("name of a policy"), Live;
        /// The place of that rule in its policy, from 0.
        rule: i64 = Means("any") => integer(0..=1_000_000), Live;
        /// One flow in so many, with all of its packets.
        sample: u32 = Or(1) => integer(1..=u64::from(u32::MAX)), Live;
        /// Bytes that are kept of a packet.
        snaplen: u32 = Or(262_144) => integer(14..=262_144), Live;
        /// When it begins. What is over already means at once; with `cron`, nothing begins before.
        start: Timestamp = Means("at once") => date_time(), Live;
        /// When it ends. What is over already means that it never begins; with `cron`, nothing goes on behind it.
        end: Timestamp = Means("never") => date_time(), Live;
        /// How long it lasts; with `cron`, each time.
        duration: Duration = Means("until `end`") => duration(Duration::from_secs(1)..=LONGEST), Live;
        /// When it begins, again and again: minute, hour, day of the month, month and day of the week, as in a crontab. Each time needs a
        /// `duration`. While one goes on, no other begins: those are counted as skipped, and so are those that nobody was there for; one that is
        /// not over when the process starts begins late, and ends when it should. When clocks are put forward, a time that does not exist is made
        /// up for by the first that does, unless minute or hour begins with `*`; when they are put back, a time that comes twice counts once, with
        /// the same exception.
        cron: Cron = Means("once") => name("cron expression of five fields"), Live;
        /// The time zone of `cron`.
        time_zone: Zone = Means("`UTC`") => time_zone(), Live;
        /// Bytes after which it ends; with `cron`, each time.
        max_size: u64 = Means("no limit") => size(1024..=1 << 50), Live;
        /// Packets after which it ends; with `cron`, each time.
        max_packets: u64 = Means("no limit") => integer(1..=1 << 53), Live;
        /// Bytes after which it goes on in another file.
        rotate_size: u64 = Means("no limit") => size(1024..=1 << 50), Live;
        /// How long a file may become.
        rotate_time: Duration = Means("no limit") => duration(Duration::from_secs(1)..=LONGEST), Live;
        /// Files that are kept, of all times together; older ones are removed.
        files: usize = Means("no limit") => integer(1..=65_535), Live;
        /// How files are written.
        format: CaptureFormat = Or(CaptureFormat::Pcapng) => word(), Live;
        /// How files are compressed.
        compression: CaptureCompression = Or(CaptureCompression::None) => word(), Live;
    }
}
