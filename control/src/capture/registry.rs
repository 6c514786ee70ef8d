//! The captures that there are: those to come, those under way, and those that have ended and whose files are still there.
//!
//! ```text
//! Scheduled > WaitingForTraffic > Capturing > Finished, Error      by cron: > Scheduled, or Error until the next time
//! ```
//!
//! Pure but for [`Registry::load`] and [`Registry::save`]: time is an argument. Promises: names are unique; a capture under way has a
//! number that no other has; what is saved and loaded goes on, or has ended meanwhile. Refuses: to know of files and of packets.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CaptureSpec, schedule::Occurrence};

/// How a capture stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "error")]
pub enum State {
    /// It is yet to begin.
    Scheduled,
    /// No packet has come yet.
    WaitingForTraffic,
    /// Packets are written.
    Capturing,
    /// It has ended.
    Finished,
    /// It has ended because something went wrong.
    Error(String),
}

impl State {
    /// In one word, as in other products.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::WaitingForTraffic => "WaitingForTraffic",
            Self::Capturing => "Capturing",
            Self::Finished => "Finished",
            Self::Error(_) => "Error",
        }
    }

    /// All of them, in one word each.
    pub const NAMES: [&str; 5] = ["Scheduled", "WaitingForTraffic", "Capturing", "Finished", "Error"];
}

/// A capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// What it wants.
    pub spec: CaptureSpec,
    /// Whether the configuration declares it.
    #[serde(default)]
    pub job: bool,
    /// Its number among those under way.
    #[serde(skip)]
    pub number: Option<u8>,
    /// How it stands.
    #[serde(flatten)]
    pub state: State,
    /// When what is under way or to come should begin, or should have begun. `None` if nothing is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<Timestamp>,
    /// When it began the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When what is under way or to come ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// When it ended the last time, unless it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Times that it should have begun at and did not: it was under way, or nobody was there.
    #[serde(default)]
    pub skipped: u64,
    /// What was written of it before it began the last time, or by earlier processes: packets, bytes, and packets that could not be.
    #[serde(skip)]
    before: [u64; 3],
    /// Packets written.
    #[serde(default)]
    pub packets: u64,
    /// Bytes written.
    #[serde(default)]
    pub bytes: u64,
    /// Packets that were for it and could not be written.
    #[serde(default)]
    pub lost: u64,
}

impl Capture {
    /// Something that is to come, or over already.
    fn new(spec: CaptureSpec, job: bool, now: Timestamp) -> Self {
        let mut capture = Self {
            spec,
            job,
            number: None,
            state: State::Finished,
            begins: None,
            started: None,
            ends: None,
            ended: None,
            skipped: 0,
            before: [0; 3],
            packets: 0,
            bytes: 0,
            lost: 0,
        };
        capture.expect(capture.spec.occurrence(now, now), now);
        capture
    }

    /// Whether it is neither under way nor to come.
    pub fn is_over(&self) -> bool {
        self.number.is_none() && self.begins.is_none()
    }

    /// Takes note of what is to come, if anything is.
    fn expect(&mut self, next: Option<Occurrence>, now: Timestamp) {
        self.begins = next.map(|next| next.begins);
        self.ends = next.and_then(|next| next.ends);
        match (next, &self.state) {
            (Some(_), State::Error(_)) | (None, State::Finished | State::Error(_)) => {}
            (Some(_), _) => self.state = State::Scheduled,
            (None, State::Scheduled | State::WaitingForTraffic | State::Capturing) => {
                self.state = State::Finished;
            }
        }
        if next.is_none() {
            self.ended = self.ended.or(Some(now));
        }
    }

    /// Takes note that it has ended, and of what is to come of it.
    fn end(&mut self, state: State, ended: Timestamp, now: Timestamp) {
        self.before = [self.packets, self.bytes, self.lost];
        (self.state, self.ended) = (state, Some(ended));
        let Some(begun) = self.begins.filter(|_| self.spec.cron.is_some()) else {
            return self.expect(None, now);
        };
        // What has been is over, even if it has ended early.
        let from = ended.max(begun.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(begun));
        let next = self.spec.occurrence(from, now);
        self.skipped += next.map_or(0, |next| self.spec.between(begun, next.begins));
        self.expect(next, now);
    }
}

/// Why a capture cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// There is one of that name.
    #[error(
        "there is a capture `{0}` already; remove it with `ravelin capture rm {0}`, or choose another name"
    )]
    Exists(String),
    /// There are as many as there can be.
    #[error("{} captures are under way, which is the most", Registry::MOST)]
    TooMany,
}

/// All captures, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry(BTreeMap<String, Capture>);

impl Registry {
    /// The most captures under way: as many as there are numbers, without that of the ring.
    pub const MOST: usize = 63;

    /// Adds a capture, which is to begin when it is due. With `job`, the configuration declares it.
    ///
    /// # Errors
    /// [`StartError::Exists`].
    pub fn add(&mut self, spec: CaptureSpec, job: bool, now: Timestamp) -> Result<(), StartError> {
        if self.0.contains_key(&spec.name) {
            return Err(StartError::Exists(spec.name));
        }
        self.0.insert(spec.name.clone(), Capture::new(spec, job, now));
        Ok(())
    }

    /// The names of captures that are to begin by now.
    pub fn due_to_begin(&self, now: Timestamp) -> Vec<String> {
        let due = |it: &Capture| it.number.is_none() && it.begins.is_some_and(|begins| begins <= now);
        self.0.iter().filter(|(_, it)| due(it)).map(|(name, _)| name.clone()).collect()
    }

    /// Has a capture begin that is due, and gives it a number; `None` if it is too late for it.
    ///
    /// # Errors
    /// [`StartError::TooMany`], once: it stays due.
    pub fn begin(&mut self, name: &str, now: Timestamp) -> Result<Option<u8>, StartError> {
        let number = self.free_number();
        let Some(capture) = self.0.get_mut(name).filter(|capture| capture.number.is_none()) else {
            return Ok(None);
        };
        let Some(due) = capture.begins.filter(|begins| *begins <= now) else { return Ok(None) };
        let next = capture.spec.occurrence(due, now);
        if next.is_none_or(|next| next.begins > due) {
            capture.skipped += 1 + next.map_or(0, |next| capture.spec.between(due, next.begins));
        }
        capture.expect(next, now);
        if next.is_none_or(|next| next.begins > now) {
            return Ok(None);
        }
        let Some(number) = number else {
            let state = State::Error(StartError::TooMany.to_string());
            let is_known = std::mem::replace(&mut capture.state, state.clone()) == state;
            return if is_known { Ok(None) } else { Err(StartError::TooMany) };
        };
        (capture.state, capture.number) = (State::WaitingForTraffic, Some(number));
        (capture.started, capture.ended) = (Some(now), None);
        Ok(Some(number))
    }

    fn free_number(&self) -> Option<u8> {
        (1..=Self::MOST as u8).find(|number| self.0.values().all(|capture| capture.number != Some(*number)))
    }

    /// Ends what is under way of a capture, in a state; the number that it had. What is to come of it comes.
    pub fn end(&mut self, name: &str, state: State, now: Timestamp) -> Option<u8> {
        let capture = self.0.get_mut(name)?;
        let number = capture.number.take()?;
        let ended = capture.ends.map_or(now, |ends| ends.min(now));
        capture.end(state, ended, now);
        Some(number)
    }

    /// Has nothing come any more of a capture that is not under way.
    pub fn cancel(&mut self, name: &str, now: Timestamp) {
        if let Some(capture) = self.0.get_mut(name).filter(|capture| capture.number.is_none()) {
            capture.expect(None, now);
        }
    }

    /// The names of captures that the configuration has declared, and does not declare so any more: `jobs` is what it declares now. So are
    /// those of captures whose name a job has.
    pub fn not_among(&self, jobs: &[CaptureSpec]) -> Vec<String> {
        let stays = |capture: &Capture| match jobs.iter().find(|job| job.name == capture.spec.name) {
            Some(job) => capture.job && *job == capture.spec,
            None => !capture.job,
        };
        self.iter().filter(|capture| !stays(capture)).map(|capture| capture.spec.name.clone()).collect()
    }

    /// Has a capture that is not under way be none that the configuration declares. One that never began is forgotten.
    pub fn release(&mut self, name: &str, now: Timestamp) {
        self.cancel(name, now);
        let Some(capture) = self.0.get_mut(name) else { return };
        capture.job = false;
        if capture.started.is_none() {
            self.0.remove(name);
        }
    }

    /// Forgets a capture that is not under way.
    pub fn remove(&mut self, name: &str) -> Option<Capture> {
        if self.0.get(name)?.number.is_some() {
            return None;
        }
        self.0.remove(name)
    }

    /// The names of captures that are to end by now.
    pub fn due(&self, now: Timestamp) -> Vec<String> {
        let due =
            self.0.iter().filter(|(_, it)| it.number.is_some() && it.ends.is_some_and(|ends| ends <= now));
        due.map(|(name, _)| name.clone()).collect()
    }

    /// Notes how much this process has written for a number.
    pub fn note(&mut self, number: u8, packets: u64, bytes: u64, lost: u64) {
        let Some(capture) = self.0.values_mut().find(|capture| capture.number == Some(number)) else {
            return;
        };
        let [packets_before, bytes_before, lost_before] = capture.before;
        capture.packets = packets_before + packets;
        (capture.bytes, capture.lost) = (bytes_before + bytes, lost_before + lost);
        if packets > 0 && capture.state == State::WaitingForTraffic {
            capture.state = State::Capturing;
        }
    }

    /// A capture.
    pub fn get(&self, name: &str) -> Option<&Capture> {
        self.0.get(name)
    }

    /// All captures.
    pub fn iter(&self) -> impl Iterator<Item = &Capture> {
        self.0.values()
    }

    /// What was saved in a directory; nothing, if nothing was. Captures that were under way get numbers again, or have ended if they
    /// should have meanwhile.
    ///
    /// # Errors
    /// If what is there cannot be read.
    pub fn load(directory: &Path, now: Timestamp) -> io::Result<Self> {
        let text = match fs::read(file(directory)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text?,
        };
        let captures: Vec<Capture> = serde_json::from_slice(&text)?;
        let mut registry = Self::default();
        for mut capture in captures {
            capture.before = [capture.packets, capture.bytes, capture.lost];
            match (&capture.state, capture.ends) {
                (State::WaitingForTraffic | State::Capturing, Some(ends)) if ends <= now => {
                    capture.end(State::Finished, ends, now);
                }
                (State::WaitingForTraffic | State::Capturing, _) => capture.number = registry.free_number(),
                (State::Scheduled | State::Finished | State::Error(_), _) => {}
            }
            registry.0.insert(capture.spec.name.clone(), capture);
        }
        Ok(registry)
    }

    /// Saves all of it in a directory, as a whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written; then what was saved before is still there.
    pub fn save(&self, directory: &Path) -> io::Result<()> {
        if self.0.is_empty() && !file(directory).exists() {
            return Ok(());
        }
        let all: Vec<_> = self.iter().collect();
        let beside = file(directory).with_extension("new");
        fs::write(&beside, serde_json::to_vec_pretty(&all)?)?;
        fs::rename(beside, file(directory))
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join("captures.json")
}

#[cfg(test)]
mod tests;
