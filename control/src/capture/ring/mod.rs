//! The ring that is always on: what was captured last, in memory, on the disk, or both.
//!
//! Chunks that are full are kept as they are; those that workers gave away before, because little is captured, are joined. A chunk that is
//! in memory and on the disk has one number in both, so that whoever reads takes it once. Promises: what workers filled is not copied
//! in memory, and is written with one call. Read next: `disk.rs`, `index.rs`.

mod disk;
mod index;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, io, path::Path, sync::Arc, time::Duration};

use ravelin_dataplane::{capture::Chunk, clock::Timestamp};

use self::disk::Disk;
pub(super) use self::{
    disk::Stored,
    index::{Unit, read as read_index},
};
use super::{
    budget::Budget,
    file::Tally,
    mentions::{Indexer, Mentions},
};

/// How much the ring keeps. Zero means none there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingSettings {
    /// Bytes in memory.
    pub memory: u64,
    /// Bytes on the disk, with the index.
    pub disk: u64,
    /// How far back at most.
    pub keep: Option<Duration>,
}

/// The ring.
#[derive(Debug)]
pub(super) struct Ring {
    settings: RingSettings,
    interfaces: Arc<[String]>,
    /// Packets that wait for others, and how many of them are the ring's.
    pending: Box<Chunk>,
    waiting: u64,
    memory: VecDeque<(u64, Arc<Kept>)>,
    /// Chunks that were in memory, to be filled again.
    spare: Vec<Chunk>,
    disk: Option<Disk>,
    indexer: Indexer,
    /// The number of the next chunk.
    serial: u64,
    tally: Tally,
    error: Option<Trouble>,
}

/// A chunk in memory, and what is in it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) chunk: Chunk,
    pub(super) mentions: Mentions,
}

/// Why nothing is written to the disk.
#[derive(Debug)]
struct Trouble {
    cause: String,
    /// When to try again.
    until: Timestamp,
}

/// Chunks of the ring at one moment, for whoever reads them meanwhile.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) interfaces: Arc<[String]>,
    pub(super) memory: Vec<Arc<Kept>>,
    /// Files, and the number of the first chunk that memory has.
    pub(super) files: Vec<Stored>,
    pub(super) remembered: u64,
}

impl Ring {
    /// A chunk with less is joined with others.
    const HALF: usize = Chunk::SIZE / 2;
    /// How long writing is not tried after it failed.
    const PAUSE: Duration = Duration::from_secs(10);

    /// Begins a ring in `root`; what is on the disk of an earlier one belongs to it.
    pub(super) fn open(root: &Path, settings: RingSettings, interfaces: Arc<[String]>) -> Self {
        let disk = (settings.disk > 0)
            .then(|| Disk::open(root, settings.disk, settings.keep, Arc::clone(&interfaces)));
        let (disk, error) = match disk.transpose() {
            Ok(disk) => (disk, None),
            Err(error) => (None, Some(Trouble { cause: error.to_string(), until: Timestamp::ZERO })),
        };
        let pending = Box::default();
        let (memory, spare, tally) = (VecDeque::new(), Vec::new(), Tally::default());
        let indexer = Indexer::default();
        Self {
            settings,
            interfaces,
            pending,
            waiting: 0,
            memory,
            spare,
            disk,
            indexer,
            serial: 1,
            tally,
            error,
        }
    }

    /// Takes a chunk, of which so many packets are the ring's, and gives one to be filled in its place.
    pub(super) fn take(
        &mut self,
        chunk: Box<Chunk>,
        packets: u64,
        now: Timestamp,
        budget: &mut Budget,
    ) -> Box<Chunk> {
        if chunk.bytes().len() < Self::HALF {
            if !self.pending.append(&chunk) {
                self.settle(now, budget);
                // Nothing is left there: it fits.
                self.pending.append(&chunk);
            }
            self.waiting += packets;
            return chunk;
        }
        self.keep(chunk, packets, now, budget)
    }

    /// Keeps what waits for others. Called about once a second if there is a disk, so that a process that dies loses no more.
    pub(super) fn settle(&mut self, now: Timestamp, budget: &mut Budget) {
        if !self.pending.is_empty() {
            let packets = std::mem::take(&mut self.waiting);
            let chunk = std::mem::take(&mut self.pending);
            self.pending = self.keep(chunk, packets, now, budget);
            self.pending.clear();
        }
    }

    fn keep(
        &mut self,
        mut chunk: Box<Chunk>,
        packets: u64,
        now: Timestamp,
        budget: &mut Budget,
    ) -> Box<Chunk> {
        if self.disk.is_some() {
            chunk.align();
        }
        let mentions = self.indexer.index(chunk.bytes());
        let is_written = self.write(&chunk, &mentions, now, budget);
        if is_written || self.settings.disk == 0 {
            self.tally.packets += packets;
        } else {
            self.tally.lost += packets;
        }
        let serial = self.serial;
        self.serial += 1;
        let most = usize::try_from(self.settings.memory).unwrap_or(usize::MAX) / Chunk::SIZE;
        if most == 0 {
            return chunk;
        }
        self.memory.push_back((serial, Arc::new(Kept { chunk: *chunk, mentions })));
        while self.memory.len() > most {
            self.drop_oldest();
        }
        Box::new(self.spare.pop().unwrap_or_default())
    }

    fn drop_oldest(&mut self) {
        // Somebody may be reading it.
        let oldest = self.memory.pop_front().and_then(|(_, kept)| Arc::into_inner(kept));
        self.spare.extend(oldest.map(|kept| kept.chunk));
    }

    /// Writes to the disk, if it works. Says whether it did.
    fn write(&mut self, chunk: &Chunk, mentions: &Mentions, now: Timestamp, budget: &mut Budget) -> bool {
        let Some(disk) = &mut self.disk else { return false };
        if self.error.as_ref().is_some_and(|error| now < error.until) {
            return false;
        }
        match disk.write(chunk, mentions, self.serial, now, budget) {
            Ok(()) => {
                self.tally.bytes += chunk.bytes().len() as u64;
                if self.error.take().is_some() {
                    tracing::info!("the capture ring is written to the disk again");
                }
                true
            }
            Err(error) => {
                disk.abandon();
                self.fail(&error, now);
                false
            }
        }
    }

    fn fail(&mut self, error: &io::Error, now: Timestamp) {
        if self.error.is_none() {
            tracing::warn!(%error, "the capture ring cannot be written to the disk; trying again now and then");
        }
        self.error = Some(Trouble { cause: error.to_string(), until: now + Self::PAUSE });
    }

    /// Removes what is too old or too much.
    pub(super) fn tidy(&mut self, now: Timestamp) {
        while let (Some(keep), Some((_, oldest))) = (self.settings.keep, self.memory.front())
            && oldest.chunk.span().is_none_or(|(_, last)| now.since(last) > keep)
        {
            self.drop_oldest();
        }
        if let Some(disk) = &mut self.disk {
            disk.tidy(now);
        }
    }

    /// Forgets a file that somebody has removed.
    pub(super) fn forget(&mut self, path: &Path) {
        if let Some(disk) = &mut self.disk {
            disk.forget(path);
        }
    }

    /// Keeps the rest, and gives the last file its name.
    pub(super) fn finish(&mut self, now: Timestamp, budget: &mut Budget) {
        self.settle(now, budget);
        if let Some(Err(error)) = self.disk.as_mut().map(Disk::complete) {
            self.fail(&error, now);
        }
    }

    /// Whether it is on a disk.
    pub(super) fn has_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// What became of the packets. Those that wait for the disk are in neither number.
    pub(super) fn tally(&self) -> Tally {
        let kept = if self.settings.disk == 0 { self.waiting } else { 0 };
        Tally { packets: self.tally.packets + kept, ..self.tally }
    }

    /// Why nothing is written to the disk.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_ref().map(|error| error.cause.as_str())
    }

    /// Files on the disk, and bytes there and in memory.
    pub(super) fn size(&self) -> (usize, u64) {
        let (files, bytes) = self.disk.as_ref().map(Disk::size).unwrap_or_default();
        let memory: usize = self.memory.iter().map(|(_, kept)| kept.chunk.bytes().len()).sum();
        (files, bytes + (memory + self.pending.bytes().len()) as u64)
    }

    /// The chunks that may have packets from between two times.
    pub(super) fn held(&self, from: Timestamp, until: Timestamp) -> Held {
        let is_within = |(first, last): (Timestamp, Timestamp)| first <= until && last >= from;
        let memory = self.memory.iter().filter(|(_, kept)| kept.chunk.span().is_some_and(is_within));
        let mut memory: Vec<_> = memory.map(|(_, kept)| Arc::clone(kept)).collect();
        if self.pending.span().is_some_and(is_within) {
            let mut copy = Chunk::new();
            copy.append(&self.pending);
            memory.push(Arc::new(Kept { chunk: copy, mentions: Mentions::anything() }));
        }
        let files = self.disk.as_ref().map(|disk| disk.held(|unit| is_within(unit.span))).unwrap_or_default();
        let remembered = self.memory.front().map_or(u64::MAX, |(serial, _)| *serial);
        Held { interfaces: Arc::clone(&self.interfaces), memory, files, remembered }
    }
}
