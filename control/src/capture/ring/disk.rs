//! The part of the ring that is on the disk.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, Receiver, TryRecvError},
    },
    thread,
    time::Duration,
};

use ravelin_dataplane::{
    capture::{AlignedBytes, Chunk},
    clock::Timestamp,
};
use rustix::fs::OFlags;

use super::index::{self, Unit};
use crate::capture::{
    blocks,
    budget::Budget,
    file::{about, make_directory},
    mentions::Mentions,
};

/// A file of the ring and the index beside it. Both are hidden while they are written to.
#[derive(Debug)]
pub(in crate::capture) struct RingFile {
    directory: PathBuf,
    /// When its first packet came, in nanoseconds: its name.
    start: u64,
    /// The interfaces that packets name by number.
    pub(in crate::capture) interfaces: Arc<[String]>,
    /// Whether this process wrote it: only then its decisions are those of the workers' logs.
    pub(in crate::capture) is_own: bool,
}

/// The files of the ring, the oldest first.
#[derive(Debug)]
pub(super) struct Disk {
    directory: PathBuf,
    limit: u64,
    keep: Option<Duration>,
    /// What a file begins with.
    header: AlignedBytes,
    interfaces: Arc<[String]>,
    files: VecDeque<Stored>,
    /// The last of the files is written to.
    open: Option<Open>,
    /// What was there before, once it has been looked at.
    found: Option<Receiver<Stored>>,
}

#[derive(Clone, Debug)]
pub(in crate::capture) struct Stored {
    pub(in crate::capture) file: Arc<RingFile>,
    pub(in crate::capture) units: Vec<Unit>,
    /// The number of the first chunk; the others follow.
    pub(in crate::capture) serial: u64,
    header: u64,
}

#[derive(Debug)]
struct Open {
    data: File,
    index: File,
}

impl RingFile {
    const DATA: &str = "pcapng";
    const INDEX: &str = "index";

    fn hidden(&self, ending: &str) -> PathBuf {
        self.directory.join(format!(".ring-{:020}.{ending}.part", self.start))
    }

    fn plain(&self, ending: &str) -> PathBuf {
        self.directory.join(format!("ring-{:020}.{ending}", self.start))
    }

    /// Opens the packets, wherever the file is in its life.
    pub(in crate::capture) fn data(&self) -> io::Result<File> {
        self.open(Self::DATA)
    }

    /// Opens the index.
    pub(in crate::capture) fn index(&self) -> io::Result<File> {
        self.open(Self::INDEX)
    }

    /// Makes both files, the first with its beginning.
    fn create(&self, header: &AlignedBytes) -> io::Result<Open> {
        let create = |ending, flags: OFlags| {
            let path = self.hidden(ending);
            let flags = flags.bits().cast_signed();
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .custom_flags(flags)
                .open(path)
        };
        let begin = |flags| {
            let mut data = create(Self::DATA, flags)?;
            data.write_all(header.bytes())?;
            Ok(data)
        };
        // Past the page cache, which costs a copy and more; there are file systems that cannot.
        let data = begin(OFlags::DIRECT).or_else(|error: io::Error| {
            if error.kind() == io::ErrorKind::InvalidInput { begin(OFlags::empty()) } else { Err(error) }
        });
        let data = data.map_err(|error| about(&self.hidden(Self::DATA), &error))?;
        let index = create(Self::INDEX, OFlags::empty());
        let index = index.map_err(|error| about(&self.hidden(Self::INDEX), &error))?;
        Ok(Open { data, index })
    }

    fn open(&self, ending: &str) -> io::Result<File> {
        // It is renamed in this direction only.
        File::open(self.hidden(ending)).or_else(|_| File::open(self.plain(ending)))
    }

    /// The packets first: what has no index can be given one.
    fn publish(&self) -> io::Result<()> {
        [Self::DATA, Self::INDEX].into_iter().try_for_each(|ending| {
            let hidden = self.hidden(ending);
            fs::rename(&hidden, self.plain(ending)).map_err(|error| about(&hidden, &error))
        })
    }
}

impl Stored {
    fn bytes(&self) -> u64 {
        self.end() + index::size(&self.units)
    }

    fn end(&self) -> u64 {
        self.units.last().map_or(self.header, Unit::end)
    }

    fn last(&self) -> Timestamp {
        self.units.iter().map(|unit| unit.span.1).max().unwrap_or_default()
    }
}

impl Disk {
    /// Bytes of a file at most, if the ring is large.
    const FILE: u64 = 256 << 20;
    /// Chunks of a file at most, however small they are.
    const UNITS: usize = 1024;
    /// Files that the ring consists of at least, so that it does not lose much at once.
    const FILES: u64 = 8;

    /// A ring in a directory of its own. What is there of an earlier one is looked at in a thread of its own, for it may be much.
    pub(super) fn open(
        root: &Path,
        limit: u64,
        keep: Option<Duration>,
        interfaces: Arc<[String]>,
    ) -> io::Result<Self> {
        let directory = root.join("ring");
        make_directory(&directory)?;
        let starts = starts(&directory)?;
        let (send, found) = mpsc::channel();
        let of = directory.clone();
        thread::Builder::new().name("capture-index".to_owned()).spawn(move || {
            for start in starts {
                match take_over(&of, start) {
                    // Nobody listens if the ring has ended.
                    Ok(Some(stored)) => drop(send.send(stored)),
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "a file of the capture ring is left out"),
                }
            }
        })?;
        let names = interfaces.iter().map(String::as_str);
        let blocks = blocks::header_aligned(names, 262_144, AlignedBytes::ALIGN);
        let mut header = AlignedBytes::with_capacity(blocks.len());
        header.extend(&blocks);
        let files = VecDeque::new();
        Ok(Self { directory, limit, keep, header, interfaces, files, open: None, found: Some(found) })
    }

    /// Writes a chunk, and what is in it.
    pub(super) fn write(
        &mut self,
        chunk: &Chunk,
        mentions: &Mentions,
        serial: u64,
        now: Timestamp,
        budget: &mut Budget,
    ) -> io::Result<()> {
        let Some((first, last)) = chunk.span() else { return Ok(()) };
        if self.is_full(last) {
            self.complete()?;
            self.tidy(now);
        }
        if self.open.is_none() {
            self.begin(first, serial, budget)?;
        }
        let (Some(open), Some(stored)) = (&mut self.open, self.files.back_mut()) else { return Ok(()) };
        let Some(unit) = Unit::of(chunk, stored.end(), mentions) else { return Ok(()) };
        budget.take(u64::from(unit.length) + u64::from(unit.entry))?;
        if open.data.metadata()?.nlink() == 0 {
            let why = format!("{} was removed", self.directory.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        let path = stored.file.hidden(RingFile::DATA);
        open.data.write_all(chunk.bytes()).map_err(|error| about(&path, &error))?;
        open.index.write_all(&index::encode(&unit, mentions)).map_err(|error| about(&path, &error))?;
        stored.units.push(unit);
        Ok(())
    }

    fn is_full(&self, time: Timestamp) -> bool {
        let Some(stored) = self.files.back().filter(|_| self.open.is_some()) else { return false };
        let begun = Timestamp::from_nanos(stored.file.start);
        stored.bytes() + Chunk::SIZE as u64 > Self::FILE.min(self.limit / Self::FILES)
            || stored.units.len() >= Self::UNITS
            || self.keep.is_some_and(|keep| time.since(begun) > keep / Self::FILES as u32)
    }

    fn begin(&mut self, first: Timestamp, serial: u64, budget: &mut Budget) -> io::Result<()> {
        // The directory may have been removed with all that was in it.
        make_directory(&self.directory)?;
        budget.take(self.header.len() as u64)?;
        let newest = self.files.back().map_or(0, |stored| stored.file.start + 1);
        let (directory, interfaces) = (self.directory.clone(), Arc::clone(&self.interfaces));
        let file = RingFile { directory, start: first.as_nanos().max(newest), interfaces, is_own: true };
        let open = file.create(&self.header).inspect_err(|_| {
            for ending in [RingFile::DATA, RingFile::INDEX] {
                let _best_effort = fs::remove_file(file.hidden(ending));
            }
        })?;
        let header = self.header.len() as u64;
        self.files.push_back(Stored { file: Arc::new(file), units: Vec::new(), serial, header });
        self.open = Some(open);
        Ok(())
    }

    /// Gives the file that is written to its name.
    pub(super) fn complete(&mut self) -> io::Result<()> {
        let (Some(_closed), Some(stored)) = (self.open.take(), self.files.back()) else { return Ok(()) };
        stored.file.publish()
    }

    /// Leaves a file that cannot be written on, with the whole chunks that are in it.
    pub(super) fn abandon(&mut self) {
        let (Some(open), Some(stored)) = (&self.open, self.files.back()) else { return };
        if stored.units.is_empty() {
            for ending in [RingFile::DATA, RingFile::INDEX] {
                let _best_effort = fs::remove_file(stored.file.hidden(ending));
            }
            (self.open, _) = (None, self.files.pop_back());
            return;
        }
        let _best_effort = open.data.set_len(stored.end());
        let _best_effort = open.index.set_len(index::size(&stored.units));
        if let Err(error) = self.complete() {
            tracing::warn!(%error, "a file of the capture ring is lost");
            self.files.pop_back();
        }
    }

    /// Takes over what was found, and removes what is too much or too old.
    pub(super) fn tidy(&mut self, now: Timestamp) {
        while let Some(found) = &self.found {
            match found.try_recv() {
                Ok(stored) => {
                    let at = self.files.partition_point(|other| other.file.start < stored.file.start);
                    // What is written to stays the last, even if the clock was put back.
                    self.files.insert(at.min(self.files.len() - usize::from(self.open.is_some())), stored);
                }
                Err(TryRecvError::Disconnected) => self.found = None,
                Err(TryRecvError::Empty) => break,
            }
        }
        let mut bytes: u64 = self.files.iter().map(Stored::bytes).sum();
        let complete = self.files.len() - usize::from(self.open.is_some());
        for _ in 0..complete {
            let Some(oldest) = self.files.front() else { break };
            let is_old = self.keep.is_some_and(|keep| now.since(oldest.last()) > keep);
            if bytes <= self.limit && !is_old {
                break;
            }
            bytes -= oldest.bytes();
            for ending in [RingFile::DATA, RingFile::INDEX] {
                // Somebody else may have removed it.
                let _is_gone = fs::remove_file(oldest.file.plain(ending));
            }
            self.files.pop_front();
        }
    }

    /// Whether all that was there before has been looked at.
    #[cfg(test)]
    pub(super) fn is_settled(&self) -> bool {
        self.found.is_none()
    }

    /// Forgets a file that somebody has removed.
    pub(super) fn forget(&mut self, path: &Path) {
        self.files.retain(|stored| stored.file.plain(RingFile::DATA) != path);
    }

    /// How many files there are, and their bytes.
    pub(super) fn size(&self) -> (usize, u64) {
        (self.files.len(), self.files.iter().map(Stored::bytes).sum())
    }

    /// The files that have chunks for which `wants` holds.
    pub(super) fn held(&self, wants: impl Fn(&Unit) -> bool) -> Vec<Stored> {
        self.files.iter().filter(|stored| stored.units.iter().any(&wants)).cloned().collect()
    }
}

/// The files that are there; those that a process left hidden when it died get their names.
fn starts(directory: &Path) -> io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let visible = name.strip_prefix('.').and_then(|name| name.strip_suffix(".part"));
        if let Some(visible) = visible {
            fs::rename(directory.join(name), directory.join(visible))?;
        }
        let name = visible.unwrap_or(name);
        starts.extend(
            name.strip_prefix("ring-").and_then(|it| it.strip_suffix(".pcapng")?.parse::<u64>().ok()),
        );
    }
    starts.sort_unstable();
    Ok(starts)
}

/// Looks at a file of an earlier process. One without packets is removed.
fn take_over(directory: &Path, start: u64) -> io::Result<Option<Stored>> {
    let mut file =
        RingFile { directory: directory.to_owned(), start, interfaces: Arc::new([]), is_own: false };
    let path = file.plain(RingFile::DATA);
    let data = OpenOptions::new().read(true).write(true).open(&path).map_err(|error| about(&path, &error))?;
    let mut head = Vec::new();
    (&data).take(1 << 16).read_to_end(&mut head)?;
    let Some((interfaces, header)) = blocks::section(&head) else {
        let why = format!("{}: it does not begin as one", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    };
    file.interfaces = interfaces.into();
    let header = header as u64;
    let units =
        index::mend(&data, &file.plain(RingFile::INDEX), header).map_err(|error| about(&path, &error))?;
    let stored = Stored { file: Arc::new(file), units, serial: 0, header };
    if stored.units.is_empty() {
        fs::remove_file(stored.file.plain(RingFile::INDEX)).and_then(|()| fs::remove_file(&path))?;
        return Ok(None);
    }
    // Behind the last whole block there may be half a one.
    data.set_len(stored.end())?;
    Ok(Some(stored))
}
