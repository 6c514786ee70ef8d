//! The files of one capture.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use ravelin_dataplane::clock::Timestamp;

use super::{
    blocks::Packet,
    budget::{Budget, is_complete},
    encode::{Compression, Format, Packer},
    part::Part,
};

#[cfg(test)]
mod tests;

/// What a capture's files are like, and when they end. `None` means no bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The name: that of its directory, and what its files begin with.
    pub name: String,
    /// What their names end with, to tell them from those of other times.
    pub mark: Option<String>,
    /// The format.
    pub format: Format,
    /// The compression.
    pub compression: Compression,
    /// Bytes that are kept of a packet: other captures may want more of it.
    pub snap: u32,
    /// A file has at most so many bytes, before compression, unless a single packet is larger.
    pub rotate_size: Option<u64>,
    /// A file's packets are at most so far apart.
    pub rotate_time: Option<Duration>,
    /// A file has at most so many packets.
    pub rotate_packets: Option<u64>,
    /// Complete files that are kept; the oldest go.
    pub files: Option<usize>,
    /// The capture ends when it would write more bytes than this, removed files included.
    pub max_size: Option<u64>,
    /// The capture ends after so many packets.
    pub max_packets: Option<u64>,
}

impl Spec {
    /// Plain pcapng without bounds.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            mark: None,
            format: Format::Pcapng,
            compression: Compression::None,
            snap: 262_144,
            rotate_size: None,
            rotate_time: None,
            rotate_packets: None,
            files: None,
            max_size: None,
            max_packets: None,
        }
    }

    /// The name of a file.
    fn file(&self, number: u64) -> String {
        let mark = self.mark.as_ref().map(|mark| format!("-{mark}")).unwrap_or_default();
        let ending = [self.format.ending(), self.compression.ending()].concat();
        format!("{}-{number:05}{mark}{ending}", self.name)
    }
}

/// Whether a name is that of a directory of a capture and of nothing else: letters, digits, `-`, `_` and `.`, not hidden, and not that
/// of the ring or of what is triggered.
pub fn is_safe_name(name: &str) -> bool {
    ravelin_config::is_capture_name(name)
}

/// Writes a capture's packets to its files: hidden ones, which get their names when they are complete.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    spec: Spec,
    header: Vec<u8>,
    open: Option<Open>,
    complete: VecDeque<PathBuf>,
    next: u64,
    /// Whole blocks that are not written yet, and how many of them are packets.
    buffer: Vec<u8>,
    waiting: u64,
    tally: Tally,
}

/// What became of the packets of a capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Packets in files.
    pub(super) packets: u64,
    /// Bytes in files, as they are on the disk.
    pub(super) bytes: u64,
    /// Packets that should be in files and are not.
    pub(super) lost: u64,
}

#[derive(Debug)]
struct Open {
    part: Part,
    packer: Packer,
    /// Bytes and packets so far, before compression, with what waits.
    size: u64,
    packets: u64,
    first: Timestamp,
    last: Timestamp,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It is in a file, or will be soon.
    Taken,
    /// The capture has what it may have, and is at its end.
    Ended,
}

impl Files {
    /// How much is collected for one write.
    const PIECE: usize = 256 << 10;
    /// More than the end of a file takes.
    const END: u64 = 64;

    /// Makes the capture's directory in `root`. Files that are there are its own: new ones are numbered on.
    pub(super) fn create(root: &Path, spec: Spec, interfaces: &[String]) -> io::Result<Self> {
        if !is_safe_name(&spec.name) {
            let why = format!("{:?} is no name for a directory", spec.name);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let directory = root.join(&spec.name);
        make_directory(&directory)?;
        recover(&directory)?;
        let mut found: Vec<(u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            found.extend(
                entry.file_name().to_str().and_then(|it| number(it, &spec.name)).zip(Some(entry.path())),
            );
        }
        found.sort();
        Ok(Self {
            next: found.last().map_or(1, |(number, _)| number + 1),
            complete: found.into_iter().map(|(_, path)| path).collect(),
            header: spec.format.header(interfaces, spec.snap),
            directory,
            spec,
            open: None,
            buffer: Vec::new(),
            waiting: 0,
            tally: Tally::default(),
        })
    }

    /// Adds a packet. After an error, which counts all packets that wait as lost, the capture is at its end.
    pub(super) fn push(
        &mut self,
        packet: &Packet<'_>,
        comment: &str,
        budget: &mut Budget,
    ) -> io::Result<Pushed> {
        let kept = packet.bytes.get(..self.spec.snap as usize).unwrap_or(packet.bytes);
        let packet = Packet { bytes: kept, ..*packet };
        let start = self.buffer.len();
        self.spec.format.packet(&packet, comment, &mut self.buffer);
        let added = (self.buffer.len() - start) as u64;
        let is_next = self.is_beyond_file(added, packet.time);
        if self.is_beyond_end(added, start as u64, is_next) {
            self.buffer.truncate(start);
            return Ok(Pushed::Ended);
        }
        if is_next {
            // The packet goes to the next file: what was there before it ends this one.
            let block = self.buffer.split_off(start);
            self.complete_file(budget).inspect_err(|_| self.fail(1))?;
            self.begin(packet.time, budget).inspect_err(|_| self.fail(1))?;
            self.buffer.extend(block);
        } else if self.open.is_none() {
            self.begin(packet.time, budget).inspect_err(|_| self.fail(1))?;
        }
        self.waiting += 1;
        if let Some(open) = &mut self.open {
            open.size += added;
            open.packets += 1;
            open.last = open.last.max(packet.time);
        }
        if self.buffer.len() >= Self::PIECE {
            self.flush(false, budget)?;
        }
        Ok(Pushed::Taken)
    }

    fn is_beyond_end(&self, added: u64, waiting: u64, is_next: bool) -> bool {
        let spec = &self.spec;
        let is_first = is_next || self.open.is_none();
        let frame =
            Self::END * (1 + u64::from(is_next)) + if is_first { self.header.len() as u64 } else { 0 };
        spec.max_packets.is_some_and(|most| self.tally.packets + self.waiting >= most)
            || spec.max_size.is_some_and(|most| self.tally.bytes + waiting + added + frame > most)
    }

    fn is_beyond_file(&self, added: u64, time: Timestamp) -> bool {
        let spec = &self.spec;
        self.open.as_ref().filter(|open| open.packets > 0).is_some_and(|open| {
            spec.rotate_size.is_some_and(|most| open.size + added > most)
                || spec.rotate_packets.is_some_and(|most| open.packets >= most)
                || spec.rotate_time.is_some_and(|most| time.since(open.first) >= most)
        })
    }

    /// Writes what waits, and completes a file whose time is over. Called now and then.
    pub(super) fn tick(&mut self, now: Timestamp, budget: &mut Budget) -> io::Result<()> {
        let is_over = self.open.is_some() && self.is_beyond_file(0, now);
        if is_over { self.complete_file(budget) } else { self.flush(false, budget) }
    }

    /// Writes the rest, and completes the file.
    pub(super) fn finish(&mut self, budget: &mut Budget) -> io::Result<()> {
        self.complete_file(budget)
    }

    /// Counts a packet that comes when nothing can be written any more.
    pub(super) fn lose(&mut self) {
        self.tally.lost += 1;
    }

    /// What became of the packets. Those that wait are in neither number.
    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// How many complete files there are.
    pub(super) fn complete(&self) -> usize {
        self.complete.len()
    }

    /// Forgets a file that somebody has removed.
    pub(super) fn forget(&mut self, path: &Path) {
        self.complete.retain(|known| known != path);
    }

    /// Begins a file.
    fn begin(&mut self, first: Timestamp, budget: &mut Budget) -> io::Result<()> {
        let name = self.spec.file(self.next);
        let size = self.header.len() as u64;
        let mut packer = self.spec.compression.packer()?;
        let header = packer.pack(&self.header, false)?;
        budget.take(header.len() as u64)?;
        let part = Part::create(&self.directory, name)?;
        self.next += 1;
        let mut open = Open { part, packer, size, packets: 0, first, last: first };
        let written = open.part.write(&header);
        // Even if nothing was written: there is a file to be cleared away.
        self.open = Some(open);
        self.tally.bytes += written?;
        Ok(())
    }

    /// Writes what waits, and ends the file if it is the last.
    fn flush(&mut self, is_last: bool, budget: &mut Budget) -> io::Result<()> {
        if self.buffer.is_empty() && !is_last {
            return Ok(());
        }
        self.write(is_last, budget).inspect_err(|_| self.fail(0))
    }

    fn write(&mut self, is_last: bool, budget: &mut Budget) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let piece = open.packer.pack(&self.buffer, is_last)?;
        budget.take(piece.len() as u64)?;
        self.tally.bytes += open.part.write(&piece)?;
        self.tally.packets += self.waiting;
        self.waiting = 0;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what waits and the end, and gives the file its name.
    fn complete_file(&mut self, budget: &mut Budget) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let Tally { packets, lost, .. } = self.tally;
        self.spec.format.end(open.last, packets + self.waiting + lost, lost, &mut self.buffer);
        self.flush(true, budget)?;
        self.publish()
    }

    /// Gives the file its name.
    fn publish(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let path = open.part.publish()?;
        self.keep(path);
        Ok(())
    }

    /// Keeps a complete file, and removes the oldest ones.
    fn keep(&mut self, path: PathBuf) {
        self.complete.push_back(path);
        while self.spec.files.is_some_and(|most| self.complete.len() > most.max(1)) {
            if let Some(oldest) = self.complete.pop_front() {
                // Somebody else may have removed it.
                let _is_gone = fs::remove_file(oldest);
            }
        }
    }

    /// Counts what waits as lost, and so many packets besides; what was written before becomes a file as it is.
    fn fail(&mut self, more: u64) {
        self.tally.lost += self.waiting + more;
        self.waiting = 0;
        self.buffer.clear();
        if let Some(path) = self.open.take().and_then(|open| open.part.abandon()) {
            self.keep(path);
        }
    }
}

/// The number in the name of a complete file of a capture.
fn number(file: &str, name: &str) -> Option<u64> {
    let (number, _) = file.strip_prefix(name)?.strip_prefix('-')?.split_once(['.', '-'])?;
    number.parse().ok().filter(|_| is_complete(file))
}

/// Makes a directory that only its owner may look into, as packets are in it.
pub(super) fn make_directory(directory: &Path) -> io::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| about(directory, &error))
}

/// Gives files their names that a process left hidden when it died. One without content is removed.
pub(super) fn recover(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_suffix(".part")) else {
            continue;
        };
        let part = entry.path();
        if entry.metadata()?.len() == 0 {
            fs::remove_file(&part)
        } else {
            fs::rename(&part, directory.join(name))
        }
        .map_err(|error| about(&part, &error))?;
    }
    Ok(())
}

/// The error with the path that it is about.
pub(super) fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
