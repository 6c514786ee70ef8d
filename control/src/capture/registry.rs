//! The captures that there are: those under way, and those that have ended and whose files are still there.
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

use super::CaptureSpec;

/// How a capture stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "error")]
pub enum State {
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
            Self::WaitingForTraffic => "WaitingForTraffic",
            Self::Capturing => "Capturing",
            Self::Finished => "Finished",
            Self::Error(_) => "Error",
        }
    }

    /// Whether it is over.
    pub const fn has_ended(&self) -> bool {
        matches!(self, Self::Finished | Self::Error(_))
    }
}

/// A capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// What it wants.
    pub spec: CaptureSpec,
    /// Its number among those under way.
    #[serde(skip)]
    pub number: Option<u8>,
    /// How it stands.
    #[serde(flatten)]
    pub state: State,
    /// When it was started.
    pub started: Timestamp,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// What earlier processes have written of it: packets, bytes, and packets that could not be.
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

    /// Starts a capture, and gives it its number.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(&mut self, spec: CaptureSpec, now: Timestamp) -> Result<u8, StartError> {
        if self.0.contains_key(&spec.name) {
            return Err(StartError::Exists(spec.name));
        }
        let number = self.free_number().ok_or(StartError::TooMany)?;
        let lasts = spec.lasts().and_then(|lasts| SignedDuration::try_from(lasts).ok());
        let ends = lasts.and_then(|lasts| now.checked_add(lasts).ok());
        let capture = Capture {
            number: Some(number),
            state: State::WaitingForTraffic,
            started: now,
            ends,
            ended: None,
            before: [0; 3],
            packets: 0,
            bytes: 0,
            lost: 0,
            spec,
        };
        self.0.insert(capture.spec.name.clone(), capture);
        Ok(number)
    }

    fn free_number(&self) -> Option<u8> {
        (1..=Self::MOST as u8).find(|number| self.0.values().all(|capture| capture.number != Some(*number)))
    }

    /// Ends a capture in a state, if it is under way; the number that it had.
    pub fn end(&mut self, name: &str, state: State, now: Timestamp) -> Option<u8> {
        let capture = self.0.get_mut(name)?;
        let number = capture.number.take()?;
        (capture.state, capture.ended) = (state, Some(now));
        Some(number)
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

    /// What was saved in a directory; nothing, if nothing was. Captures that were under way get numbers again, and have ended if they
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
            if !capture.state.has_ended() {
                if capture.ends.is_some_and(|ends| ends <= now) {
                    (capture.state, capture.ended) = (State::Finished, capture.ends);
                } else {
                    capture.number = registry.free_number();
                }
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
mod tests {
    use super::*;
    use crate::testing::Directory;

    fn spec(name: &str, duration: Option<u64>) -> CaptureSpec {
        let mut spec: CaptureSpec = serde_json::from_str(&format!("{{\"name\": \"{name}\"}}")).unwrap();
        spec.duration = duration;
        spec
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn captures_have_numbers_while_they_are_under_way() {
        let mut registry = Registry::default();
        assert_eq!(registry.start(spec("a", Some(60)), at(0)), Ok(1));
        assert_eq!(registry.start(spec("b", None), at(0)), Ok(2));
        assert_eq!(registry.start(spec("a", None), at(0)), Err(StartError::Exists("a".to_owned())));
        assert_eq!((registry.due(at(59)), registry.due(at(60))), (vec![], vec!["a".to_owned()]));
        registry.note(1, 7, 700, 0);
        assert_eq!(registry.get("a").unwrap().state, State::Capturing);
        assert_eq!(registry.get("b").unwrap().state, State::WaitingForTraffic);
        assert_eq!(registry.remove("a"), None, "it is under way");
        assert_eq!(registry.end("a", State::Finished, at(60)), Some(1));
        assert_eq!(registry.end("a", State::Finished, at(60)), None);
        assert_eq!(registry.start(spec("c", None), at(61)), Ok(1));
        assert_eq!(registry.remove("a").unwrap().packets, 7);
        for number in 3..=Registry::MOST as u8 {
            assert_eq!(registry.start(spec(&format!("n{number}"), None), at(0)), Ok(number));
        }
        assert_eq!(registry.start(spec("more", None), at(0)), Err(StartError::TooMany));
    }

    #[test]
    fn what_was_under_way_goes_on_after_a_restart() {
        let directory = Directory::new();
        let path = directory.file("");
        assert_eq!(Registry::load(&path, at(0)).unwrap(), Registry::default());
        let mut registry = Registry::default();
        registry.start(spec("short", Some(60)), at(0)).unwrap();
        registry.start(spec("long", Some(600)), at(0)).unwrap();
        registry.start(spec("failed", None), at(0)).unwrap();
        registry.note(registry.get("long").unwrap().number.unwrap(), 7, 700, 0);
        registry.end("failed", State::Error("disk full".to_owned()), at(5)).unwrap();
        registry.save(&path).unwrap();
        let mut loaded = Registry::load(&path, at(100)).unwrap();
        let short = loaded.get("short").unwrap();
        assert_eq!((&short.state, short.number, short.ended), (&State::Finished, None, Some(at(60))));
        assert!(loaded.get("long").unwrap().number.is_some());
        assert_eq!(loaded.get("failed"), registry.get("failed"));
        // What was written before still counts.
        let number = loaded.get("long").unwrap().number.unwrap();
        loaded.note(number, 2, 200, 1);
        let long = loaded.get("long").unwrap();
        assert_eq!((long.packets, long.bytes, long.lost), (9, 900, 1));
        directory.write("captures.json", "[{");
        assert!(Registry::load(&path, at(0)).is_err());
    }
}
