use std::{
    collections::{HashMap, VecDeque},
    fmt::{self, Write},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use ravelin_config::Trigger;
use ravelin_dataplane::{clock::Timestamp, verdict::DropReason};

use super::Subject;

/// What triggers a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An alert about the flow.
    Alert,
    /// The flow has met a rule that captures.
    Rule,
    /// A packet was dropped.
    Drop(DropReason),
    /// The verdict on the flow has changed.
    Verdict,
}

impl Cause {
    /// The kinds of causes.
    pub const KINDS: [&str; 4] = ["alert", "rule", "drop", "verdict"];

    const fn kind(self) -> usize {
        match self {
            Self::Alert => 0,
            Self::Rule => 1,
            Self::Drop(_) => 2,
            Self::Verdict => 3,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::KINDS[self.kind()])?;
        match self {
            Self::Drop(reason) => write!(f, "-{}", reason.name()),
            Self::Alert | Self::Rule | Self::Verdict => Ok(()),
        }
    }
}

/// Something that happened to a flow.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// What kind of thing.
    pub cause: Cause,
    /// Whose packets are wanted.
    pub subject: Subject,
    /// The address that the file is named after.
    pub address: Option<IpAddr>,
    /// When.
    pub time: Timestamp,
}

/// A file to be made.
#[derive(Clone, Debug)]
pub(in crate::capture) struct Shot {
    pub(super) event: Event,
    pub(super) file: Arc<str>,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) max_size: u64,
}

/// What became of one kind of trigger: fired = written + failed + suppressed + what is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Triggers, without those of flows of which a file was being made.
    pub fired: u64,
    /// Files that were written.
    pub written: u64,
    /// Files that could not be written, or not to their end.
    pub failed: u64,
    /// Those beyond the limits.
    pub suppressed: u64,
}

/// How triggers stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What became of them, by [`Cause::KINDS`].
    pub counts: [Counts; Cause::KINDS.len()],
    /// Files that are being made.
    pub under_way: usize,
    /// Packets in files.
    pub packets: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// Packets, wanted or not, that left the ring before they could be looked at.
    pub gone: u64,
    /// Why the last file could not be written.
    pub error: Option<String>,
}

/// What comes of a trigger.
#[derive(Debug)]
pub(super) enum Answer {
    /// A file is begun.
    Begun(Shot),
    /// A file of that flow is being made already.
    UnderWay(Arc<str>),
    /// It is beyond a limit, which is news if that was not so a moment ago.
    TooMany { is_news: bool },
}

/// Says whether a file is made, and what it is called. Pure: time is an argument.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) settings: Trigger,
    under_way: HashMap<Subject, Arc<str>>,
    /// When files were begun within the last minute.
    begun: VecDeque<Timestamp>,
    number: u64,
    standing: Standing,
    /// When it was said last that there is too much.
    said: Option<Timestamp>,
}

impl Gate {
    const MINUTE: Duration = Duration::from_mins(1);

    pub(super) fn new(settings: Trigger) -> Self {
        Self {
            settings,
            under_way: HashMap::new(),
            begun: VecDeque::new(),
            number: 0,
            standing: Standing::default(),
            said: None,
        }
    }

    /// Something has happened.
    pub(super) fn fire(&mut self, event: Event) -> Answer {
        if let Some(file) = self.under_way.get(&event.subject) {
            return Answer::UnderWay(Arc::clone(file));
        }
        self.count(event.cause).fired += 1;
        while self.begun.pop_front_if(|begun| event.time.since(*begun) >= Self::MINUTE).is_some() {}
        if self.under_way.len() >= self.settings.at_once || self.begun.len() >= self.settings.per_minute {
            self.count(event.cause).suppressed += 1;
            let is_news = self.said.is_none_or(|said| event.time.since(said) >= Self::MINUTE);
            if is_news {
                self.said = Some(event.time);
            }
            return Answer::TooMany { is_news };
        }
        self.number += 1;
        let file: Arc<str> = name(&event, self.number).into();
        self.begun.push_back(event.time);
        self.under_way.insert(event.subject, Arc::clone(&file));
        let Trigger { before, after, max_size, .. } = self.settings;
        Answer::Begun(Shot { event, file, from: event.time - before, until: event.time + after, max_size })
    }

    /// A file is complete, or could not be written.
    pub(super) fn end(&mut self, shot: &Shot, result: Result<Written, String>) {
        self.under_way.remove(&shot.event.subject);
        match result {
            Ok(Written { packets, bytes, gone }) => {
                self.count(shot.event.cause).written += 1;
                let standing = &mut self.standing;
                standing.error = None;
                standing.packets += packets;
                standing.bytes += bytes;
                standing.gone += gone;
            }
            Err(error) => {
                self.count(shot.event.cause).failed += 1;
                self.standing.error = Some(error);
            }
        }
    }

    pub(super) fn standing(&self) -> Standing {
        Standing { under_way: self.under_way.len(), ..self.standing.clone() }
    }

    fn count(&mut self, cause: Cause) -> &mut Counts {
        &mut self.standing.counts[cause.kind()]
    }
}

/// What a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) gone: u64,
}

/// `20261122T205709.123Z-alert-203.0.113.7-1.pcapng`: time, cause, address and a number that no other file of this process has.
fn name(event: &Event, number: u64) -> String {
    let millis = i64::try_from(event.time.as_nanos() / 1_000_000).unwrap_or_default();
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    let mut name = format!("{}-{}", time.strftime("%Y%m%dT%H%M%S.%3fZ"), event.cause);
    // Writing to a string cannot fail. To other programs a colon ends the name of a host.
    let _infallible = match event.address {
        Some(address) => write!(name, "-{}", address.to_string().replace(':', "-")),
        None => Ok(()),
    };
    format!("{name}-{number}.pcapng")
}
