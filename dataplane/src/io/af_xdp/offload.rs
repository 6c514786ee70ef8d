//! Settings of our interfaces that are changed at start and put back at exit.
//!
//! Switched off is what changes frames before a program sees them: aggregation on receive (a frame of 64 kB fits no
//! buffer) and the removal of VLAN tags. Segmentation on *transmit* stays as it is: the worker never makes larger
//! frames, and `open` sends the kernel's own large ones faster with it. A veth peer that would send large frames is told
//! not to by the kernel as long as a native XDP program is attached here.
//!
//! Promises: what was changed is written to a file first, so that `detach` can restore it after a crash; a second start
//! after a crash keeps the values of the first. Refuses: to fail the start because a NIC cannot be tuned; what could not
//! be done is reported. The file has one setting a line: `feature IF NAME` (was on), `rss IF TRANSFORM HEXKEY`,
//! `threaded IF` (was off).

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    AfXdpError, Link,
    ioctl::{Device, RssHash},
    napi,
};

/// Features by the kernel's names (`net/ethtool/common.c`), in the order in which they are switched off.
pub(super) const SWITCHED_OFF: &[&str] = &[
    "rx-lro",
    "rx-gro-hw",
    "rx-gro-list",
    "rx-udp-gro-forwarding",
    "rx-gro",
    "rx-vlan-hw-parse",
    "rx-vlan-stag-hw-parse",
];

/// With this pattern repeated, Toeplitz gives both directions of a flow the same hash (Woo and Park, "Scalable TCP Session
/// Monitoring with Symmetric Receive-side Scaling").
const SYMMETRIC_KEY: [u8; 2] = [0x6d, 0x5a];
/// `RXH_XFRM_SYM_XOR` of `linux/ethtool.h`.
const SYMMETRIC_XOR: u8 = 1;

const HEADER: &str = "# Settings of interfaces before ravelin changed them. `ravelin detach` restores them.";

/// Something that should have been changed and was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The interface's name.
    pub interface: String,
    /// What could not be done, and why.
    pub text: String,
}

/// The settings as they were.
#[derive(Debug)]
pub(super) struct Saved {
    path: PathBuf,
    lines: BTreeSet<String>,
}

impl Saved {
    /// Starts from what an earlier process has left, which is what the operator had.
    pub(super) fn open(path: &Path) -> Result<Self, AfXdpError> {
        let lines = match fs::read_to_string(path) {
            Ok(text) => text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(source) => return Err(AfXdpError::State { path: path.to_owned(), source }),
        };
        Ok(Self { path: path.to_owned(), lines })
    }

    /// Switches off what would change frames before we see them.
    pub(super) fn switch_off(&mut self, link: &Link) -> Result<Vec<Note>, AfXdpError> {
        let found = Device::open(&link.name).and_then(|device| Ok((device.features()?, device)));
        let (features, device) = match found {
            Ok(found) => found,
            Err(error) => {
                return Ok(vec![Note::new(link, format!("offloads are left as they are: {error}"))]);
            }
        };
        let is_on = |name: &&&str| features.iter().any(|f| f.active && f.changeable && f.name == **name);
        let on: Vec<&str> = SWITCHED_OFF.iter().filter(is_on).copied().collect();
        self.lines.extend(on.iter().map(|name| format!("feature {} {name}", link.name)));
        self.write()?;

        let mut notes = Vec::new();
        for name in &on {
            if let Err(error) = device.set_feature(name, false) {
                notes.push(Note::new(link, format!("{name} cannot be switched off: {error}")));
            }
        }
        let still_on = device.features().unwrap_or_default().into_iter().filter(|feature| feature.active);
        for feature in still_on.filter(|feature| on.contains(&feature.name.as_str())) {
            notes.push(Note::new(
                link,
                format!("{} stays on although the driver was told otherwise", feature.name),
            ));
        }
        Ok(notes)
    }

    /// Makes the NIC put both directions of a flow into the same queue.
    pub(super) fn make_symmetric(&mut self, link: &Link) -> Result<Option<Note>, AfXdpError> {
        let failed = |error: io::Error| {
            Some(Note::new(link, format!("no symmetric RSS ({error}): workers hand packets over instead")))
        };
        let (device, before) = match Device::open(&link.name).and_then(|device| Ok((device.rss()?, device))) {
            Ok((before, device)) => (device, before),
            Err(error) => return Ok(failed(error)),
        };
        if is_symmetric(&before) {
            return Ok(None);
        }
        let hex: String = before.key.iter().map(|byte| format!("{byte:02x}")).collect();
        let start = format!("rss {} ", link.name);
        if !self.lines.iter().any(|line| line.starts_with(&start)) {
            self.lines.insert(format!("{start}{} {hex}", before.transform));
            self.write()?;
        }
        // Drivers that can do it themselves keep their key; the others are given one that is symmetric by nature.
        let by_key = RssHash { transform: before.transform, key: symmetric_key(before.key.len()) };
        let by_transform = RssHash { transform: SYMMETRIC_XOR, key: before.key };
        Ok(device.set_rss(&by_transform).or_else(|_| device.set_rss(&by_key)).err().and_then(failed))
    }

    /// Remembers that an interface has no receive threads, or says why it must not get any.
    pub(super) fn remember_unthreaded(&mut self, link: &Link) -> Result<Option<Note>, AfXdpError> {
        let line = threaded(&link.name);
        match napi::is_threaded(link) {
            Ok(true) if !self.lines.contains(&line) => {
                let text = "receive threads were on already and are left as they are; keep them off the workers' cores";
                Ok(Some(Note::new(link, text.into())))
            }
            Ok(_) => {
                self.lines.insert(line);
                self.write().map(|()| None)
            }
            Err(error) => Ok(Some(Note::new(link, format!("no receive threads: {error}")))),
        }
    }

    /// To be called before the program is detached: without one a veth does not let itself be told. What fails here fails
    /// again, and is told, when the settings are restored.
    pub(super) fn stop_threads(&self, link: &Link) {
        if self.lines.contains(&threaded(&link.name)) {
            let _told_later = napi::set_threaded(link, false);
        }
    }

    /// Puts everything back and forgets it. Interfaces that are gone took their settings with them.
    pub(super) fn restore(mut self) -> Result<Vec<Note>, AfXdpError> {
        let mut notes = Vec::new();
        for interface in self.interfaces() {
            notes.extend(self.restore_interface(&interface).1);
        }
        self.store()?;
        Ok(notes)
    }

    /// The interfaces of which there are settings.
    pub(super) fn interfaces(&self) -> BTreeSet<String> {
        self.lines.iter().filter_map(|line| interface_of(line)).map(str::to_owned).collect()
    }

    /// Puts the settings of one interface back and forgets them. Returns those that were put back, and what could not be.
    pub(super) fn restore_interface(&mut self, interface: &str) -> (Vec<String>, Vec<Note>) {
        let (mut restored, mut kept, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        let link = Link::find(interface).ok();
        for line in self.lines.extract_if(.., |line| interface_of(line) == Some(interface)) {
            let Some(link) = &link else { continue };
            let mut words = line.split(' ');
            let (kind, _, first, second) = (words.next(), words.next(), words.next(), words.next());
            let done = Device::open(interface).and_then(|device| match (kind, first, second) {
                (Some("feature"), Some(feature), None) => {
                    device.set_feature(feature, true).map(|()| feature.to_owned())
                }
                (Some("rss"), Some(transform), Some(key)) => {
                    device.set_rss(&parse_rss(transform, key)?).map(|()| "rss".to_owned())
                }
                (Some("threaded"), None, None) => {
                    napi::set_threaded(link, false).map(|()| "threaded".to_owned())
                }
                _ => Err(io::ErrorKind::InvalidData.into()),
            });
            match done {
                Ok(setting) => restored.push(setting),
                Err(error) => {
                    notes.push(Note::new(link, format!("`{line}` cannot be restored: {error}")));
                    // What the next start finds on must not look like the operator's.
                    kept.extend((kind == Some("threaded")).then_some(line));
                }
            }
        }
        self.lines.extend(kept);
        (restored, notes)
    }

    /// Remembers what is left, or removes the file if nothing is.
    pub(super) fn store(&self) -> Result<(), AfXdpError> {
        if !self.interfaces().is_empty() {
            return self.write();
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(AfXdpError::State { path: self.path.clone(), source: error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Written beside the file and moved over it: a crash leaves the old or the new one.
    fn write(&self) -> Result<(), AfXdpError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let mut text = format!("{HEADER}\n");
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        let beside = self.path.with_extension("new");
        fs::write(&beside, text)
            .and_then(|()| fs::rename(&beside, &self.path))
            .map_err(|source| AfXdpError::State { path: self.path.clone(), source })
    }
}

/// Whether both directions of a flow have the same hash.
pub(super) fn is_symmetric(hash: &RssHash) -> bool {
    hash.transform & SYMMETRIC_XOR != 0 || (hash.key == symmetric_key(hash.key.len()) && !hash.key.is_empty())
}

fn symmetric_key(length: usize) -> Vec<u8> {
    SYMMETRIC_KEY.iter().copied().cycle().take(length).collect()
}

/// The line that says that the kernel received without threads.
fn threaded(interface: &str) -> String {
    format!("threaded {interface}")
}

/// The interface that a line is about.
fn interface_of(line: &str) -> Option<&str> {
    line.split(' ').nth(1)
}

impl Note {
    pub(super) fn new(link: &Link, text: String) -> Self {
        Self { interface: link.name.clone(), text }
    }
}

pub(super) fn parse_rss(transform: &str, key: &str) -> io::Result<RssHash> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
    let byte = |at: usize| u8::from_str_radix(key.get(at..at + 2).unwrap_or_default(), 16).map_err(invalid);
    if !key.len().is_multiple_of(2) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let key = (0..key.len()).step_by(2).map(byte).collect::<io::Result<_>>()?;
    Ok(RssHash { transform: transform.parse().map_err(invalid)?, key })
}
