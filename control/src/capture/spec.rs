use std::{collections::HashSet, sync::Arc, time::Duration};

use clap::ValueEnum;
use jiff::Timestamp;
use ravelin_config::{Cron, Zone, selector::Selector};
use ravelin_dataplane::{
    capture::{self, Direction, Fate, Fates, Selection},
    policy::PolicySet,
    verdict::DropReason,
};
use serde::{Deserialize, Serialize};

use super::{Compression, ExpressionError, Format, Spec, Unknown, compile, decided::DecidedBy, is_safe_name};
use crate::{
    identity::{Identities, Kind},
    policy::BookReader,
};

/// What a capture wants, how it is written, and when it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureSpec {
    /// What it is called: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// A selector of endpoints of which one has to be an end of the packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// What the packet has to be, as tcpdump selects it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Which way the packet has to go, seen from the endpoints.
    #[serde(default)]
    pub direction: Way,
    /// What has to become of the packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Where on its way it is captured.
    #[serde(default)]
    pub point: Point,
    /// The tier of the rule that has to have decided about its flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The policy of that rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The place of that rule in its policy, from 0; -1 for what holds where no rule of the policy matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<i64>,
    /// For what it has to be dropped, by the reasons' names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop_reasons: Vec<String>,
    /// One flow in so many.
    #[serde(default = "one")]
    pub sample: u32,
    /// Bytes that are kept of a packet.
    #[serde(default = "whole")]
    pub snaplen: u32,
    /// How long it lasts, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
    /// When it begins; at once if that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// When it ends; it never begins if that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// When it begins, again and again. Needs a duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<Cron>,
    /// Where the clocks are that `cron` speaks of; UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Zone>,
    /// Bytes after which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    /// Packets after which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_packets: Option<u64>,
    /// Bytes after which it goes on in another file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_size: Option<u64>,
    /// Seconds after which it goes on in another file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_time: Option<u64>,
    /// Files that are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<usize>,
    /// How files are written.
    #[serde(default)]
    pub format: Format,
    /// How they are compressed.
    #[serde(default)]
    pub compression: Compression,
}

const fn one() -> u32 {
    1
}

const fn whole() -> u32 {
    CaptureSpec::WHOLE
}

/// Which way packets go, seen from endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Both.
    #[default]
    Both,
    /// To them.
    In,
    /// From them.
    Out,
}

/// What becomes of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// They pass, or the appliance takes them.
    Allow,
    /// They are dropped, for whatever reason.
    Drop,
}

/// Where on their way packets are captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Point {
    /// As they were received, with what became of them.
    #[default]
    Received,
    /// As they leave, if they do: also those that the appliance makes itself.
    Forwarded,
}

/// Who bears the names that captures mention.
#[derive(Clone, Copy, Debug)]
pub struct Names<'e> {
    /// Endpoints, with what they are at this moment.
    pub identities: &'e Identities,
    /// Rules.
    pub book: &'e BookReader,
    /// Rules in force.
    pub policy: &'e PolicySet,
}

/// What is wrong with a capture that somebody wants.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Its name cannot be that of a directory everywhere.
    #[error(
        "`{0}` is no name of a capture: it has 1 to 128 letters, digits, `-`, `_` and `.`, does not begin with a dot, and is not `ring` or `triggers`"
    )]
    Name(String),
    /// Its selector is wrong.
    #[error("the selector of endpoints: {0}")]
    Selector(String),
    /// Its filter is wrong.
    #[error("the filter: {0}")]
    Filter(#[from] ExpressionError),
    /// A drop reason is none that captures know.
    #[error(transparent)]
    Reason(#[from] ReasonError),
    /// There is no such tier, policy or rule.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// Two keys that exclude one another.
    #[error("{0}")]
    Combination(&'static str),
}

/// What is wrong with the name of a drop reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReasonError {
    /// There is none of that name.
    #[error(
        "there is no drop reason `{0}`; `ravelin show drops --all` and docs/counters.md have all of them"
    )]
    Unknown(String),
    /// Such packets are never captured.
    #[error("packets that are dropped for `{0}` are dropped where nothing is captured any more, or not yet")]
    NotCaptured(String),
}

impl CaptureSpec {
    /// The most bytes that are kept of a packet: all.
    pub const WHOLE: u32 = 262_144;

    /// Everything, without bounds.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            endpoint: None,
            filter: None,
            direction: Way::Both,
            verdict: None,
            point: Point::default(),
            tier: None,
            policy: None,
            rule: None,
            drop_reasons: Vec::new(),
            sample: 1,
            snaplen: Self::WHOLE,
            start: None,
            end: None,
            cron: None,
            time_zone: None,
            duration: None,
            max_size: None,
            max_packets: None,
            rotate_size: None,
            rotate_time: None,
            files: None,
            format: Format::default(),
            compression: Compression::default(),
        }
    }

    /// Whether all that it mentions is there, and it can be captured.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, names: Names<'_>) -> Result<(), SpecError> {
        check_name(&self.name)?;
        let decided_by = self.decided_by();
        if !decided_by.is_anything() {
            let in_force: HashSet<_> = names.policy.outcomes.iter().map(|outcome| outcome.rule).collect();
            decided_by.check(names.book, |rule| in_force.contains(&rule))?;
        }
        self.selection(1, names).map(drop)
    }

    /// What it wants, as number `capture`, of the endpoints and rules that there are now.
    ///
    /// # Errors
    /// What is wrong with it, whatever endpoints and rules there are.
    pub fn selection(&self, capture: u8, names: Names<'_>) -> Result<Selection, SpecError> {
        let identities = names.identities;
        self.check_times()?;
        let filter = self.filter.as_deref().map(compile).transpose()?;
        let selector = self.endpoint.as_deref().map(str::parse::<Selector>).transpose();
        let selector = selector.map_err(|error| SpecError::Selector(error.to_string()))?;
        let addresses = selector.map(|selector| {
            let items = identities.matching(selector.expression());
            let endpoints: Vec<_> = items.into_iter().filter(|item| item.kind() == Kind::Endpoint).collect();
            Arc::new(identities.addresses_of(&endpoints))
        });
        if addresses.is_none() && self.direction != Way::Both {
            return Err(SpecError::Combination(
                "a direction is seen from endpoints: give a selector of them as well",
            ));
        }
        if self.rule.is_some() && self.policy.is_none() {
            return Err(SpecError::Combination("a rule has its number in a policy: give that as well"));
        }
        let is_dropped = self.verdict == Some(Verdict::Drop) || !self.drop_reasons.is_empty();
        if self.point == Point::Forwarded && is_dropped {
            return Err(SpecError::Combination(
                "what is dropped does not leave: it can be captured as `received` only",
            ));
        }
        let decided_by = self.decided_by();
        let decided_by = (!decided_by.is_anything()).then(|| Arc::new(decided_by.rules(names.book)));
        Ok(Selection {
            capture,
            point: match self.point {
                Point::Received => capture::Point::Received,
                Point::Forwarded => capture::Point::Forwarded,
            },
            decided_by,
            filter: filter.map(Arc::new),
            addresses,
            direction: match self.direction {
                Way::Both => Direction::Both,
                Way::In => Direction::In,
                Way::Out => Direction::Out,
            },
            fates: self.fates()?,
            sample: self.sample.max(1),
            snap: self.snaplen as usize,
        })
    }

    /// Whether it mentions endpoints or rules, which may be others after a change.
    pub(super) fn has_names(&self) -> bool {
        self.endpoint.is_some() || !self.decided_by().is_anything()
    }

    fn decided_by(&self) -> DecidedBy<'_> {
        DecidedBy { tier: self.tier.as_deref(), policy: self.policy.as_deref(), rule: self.rule }
    }

    fn check_times(&self) -> Result<(), SpecError> {
        let problem = if self.start.zip(self.end).is_some_and(|(start, end)| end <= start) {
            "the end is not behind the start"
        } else if self.cron.is_some() && self.duration.is_none() {
            "what begins again and again needs a duration"
        } else if self.time_zone.is_some() && self.cron.is_none() {
            "the time zone is that of a cron expression, and there is none"
        } else {
            return Ok(());
        };
        Err(SpecError::Combination(problem))
    }

    fn fates(&self) -> Result<Fates, SpecError> {
        match (self.verdict, self.drop_reasons.is_empty()) {
            (None, true) => Ok(Fates::ANY),
            (Some(Verdict::Allow), true) => Ok(Fates::PASSED),
            (Some(Verdict::Drop), true) => Ok(Fates::DROPPED),
            (Some(Verdict::Allow), false) => Err(SpecError::Combination(
                "what passes is dropped for no reason: `verdict` is `drop`, or left out",
            )),
            (Some(Verdict::Drop) | None, false) => {
                let reasons = self.drop_reasons.iter().map(|name| drop_reason(name));
                Ok(Fates::dropped_for(reasons.collect::<Result<Vec<_>, _>>()?))
            }
        }
    }

    /// What its files are like, of those that belong to what begins at `begins`.
    pub fn files(&self, begins: Option<Timestamp>) -> Spec {
        let begins = begins.filter(|_| self.cron.is_some());
        Spec {
            name: self.name.clone(),
            mark: begins.map(|begins| begins.strftime("%Y%m%dT%H%MZ").to_string()),
            format: self.format,
            compression: self.compression,
            snap: self.snaplen,
            rotate_size: self.rotate_size,
            rotate_time: self.rotate_time.map(Duration::from_secs),
            rotate_packets: None,
            files: self.files,
            max_size: self.max_size,
            max_packets: self.max_packets,
        }
    }
}

/// The drop reason of a name.
///
/// # Errors
/// [`ReasonError`].
pub(super) fn drop_reason(name: &str) -> Result<DropReason, ReasonError> {
    let found = DropReason::ALL.iter().find(|reason| reason.name() == name);
    let reason = *found.ok_or_else(|| ReasonError::Unknown(name.to_owned()))?;
    if Fate::is_captured(reason) { Ok(reason) } else { Err(ReasonError::NotCaptured(name.to_owned())) }
}

/// Whether a text may be the name of a capture, and so of a directory.
///
/// # Errors
/// [`SpecError::Name`].
pub fn check_name(name: &str) -> Result<(), SpecError> {
    if is_safe_name(name) { Ok(()) } else { Err(SpecError::Name(name.to_owned())) }
}
