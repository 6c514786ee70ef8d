//! Out of the ring: what was captured between two times, of a host or flow, by a filter, as a file.

use std::{
    fs::File,
    io::{self, Write},
    ops::Range,
    os::unix::fs::FileExt,
    rc::Rc,
    sync::Arc,
};

use ravelin_dataplane::{
    capture::{Chunk, Program},
    clock::Timestamp,
};

use super::{
    Commentator, Subject, Wanted,
    blocks::{self, Packet, Packets},
    mentions::Mentions,
    ring::{Held, Stored, Unit, read_index},
};

#[cfg(test)]
mod tests;

/// What is wanted of the ring.
#[derive(Clone, Debug)]
pub struct SaveRequest {
    /// From when on.
    pub from: Timestamp,
    /// Until when, inclusive.
    pub until: Timestamp,
    /// What the packets have.
    pub wanted: Wanted,
    /// A filter that wants them; all if `None`.
    pub filter: Option<Arc<Program>>,
    /// Whose they are; anybody's if `None`.
    pub subject: Option<Subject>,
}

impl SaveRequest {
    /// Whether it is no matter whose packets they are.
    fn is_of_anybody(&self) -> bool {
        self.wanted.is_anything() && self.subject.is_none()
    }

    /// Whether such packets may be among those of an index.
    fn may_be_in(&self, mentions: &Mentions) -> bool {
        self.wanted.may_be_in(mentions)
            && self.subject.as_ref().is_none_or(|subject| subject.may_be_in(mentions))
    }
}

/// What was saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Packets.
    pub packets: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of the ring's files that had to be read for it, indexes included.
    pub read: u64,
    /// Packets, wanted or not, that were overwritten before they could be looked at.
    pub gone: u64,
}

/// Writes what is wanted of the ring, sorted by time, as a file.
pub(super) fn save(
    held: &Held,
    request: &SaveRequest,
    commentator: &mut Commentator,
    out: &mut dyn Write,
) -> io::Result<Saved> {
    add(held, request, Some(""), commentator, out)
}

/// Writes what is wanted of the ring, sorted by time: behind what is there, or, if there is a comment on it, as the beginning of a file.
/// What is written later must be later, too, so that all files of the ring it comes from are this process's.
pub(super) fn add(
    held: &Held,
    request: &SaveRequest,
    comment: Option<&str>,
    commentator: &mut Commentator,
    out: &mut dyn Write,
) -> io::Result<Saved> {
    let mut saved = Saved::default();
    let mut places = places(held, request, &mut saved);
    places.sort_by_key(|place| place.first());
    let (interfaces, numbers) = interfaces(held);
    let mut saver = Saver {
        request,
        commentator,
        numbers,
        out,
        buffer: comment.map_or_else(Vec::new, |comment| blocks::header_with(comment, interfaces, 262_144)),
        waiting: Vec::new(),
        reader: Reader::default(),
        saved,
    };
    for (at, place) in places.iter().enumerate() {
        saver.look(place)?;
        let next = places.get(at + 1).map_or(Timestamp::from_nanos(u64::MAX), Place::first);
        saver.write_before(next)?;
    }
    saver.finish()
}

/// Where a chunk is.
enum Place<'h> {
    Memory(&'h Chunk),
    /// The number of the file among those that are held, itself, and the chunk.
    Disk(usize, &'h Stored, Unit),
}

impl Place<'_> {
    fn first(&self) -> Timestamp {
        match self {
            Self::Memory(chunk) => chunk.span().map(|(first, _)| first).unwrap_or_default(),
            Self::Disk(_, _, unit) => unit.span.0,
        }
    }
}

/// The chunks that may have what is wanted, by their times and by the index.
fn places<'h>(held: &'h Held, request: &SaveRequest, saved: &mut Saved) -> Vec<Place<'h>> {
    let in_memory = held.memory.iter().filter(|kept| request.may_be_in(&kept.mentions));
    let mut places: Vec<_> = in_memory.map(|kept| Place::Memory(&kept.chunk)).collect();
    for (number, stored) in held.files.iter().enumerate() {
        // Without an index every chunk has to be read, which is slow and right.
        let index = (!request.is_of_anybody()).then(|| stored.file.index().and_then(read_index).ok());
        let index = index.flatten().unwrap_or_default();
        saved.read += index.iter().map(|(unit, _)| u64::from(unit.entry)).sum::<u64>();
        for (at, unit) in stored.units.iter().enumerate() {
            let is_in_memory = stored.file.is_own && stored.serial + at as u64 >= held.remembered;
            let is_within = unit.span.0 <= request.until && unit.span.1 >= request.from;
            let entry = index.get(at).filter(|(entry, _)| entry == unit);
            let may_have = entry.is_none_or(|(_, mentions)| request.may_be_in(mentions));
            if !is_in_memory && is_within && may_have {
                places.push(Place::Disk(number, stored, *unit));
            }
        }
    }
    places
}

/// The interfaces of all that is held, and for each file by what numbers it calls them. An earlier process may have had others.
fn interfaces<'h>(held: &'h Held) -> (Vec<&'h str>, Vec<Vec<u32>>) {
    let mut names: Vec<&str> = held.interfaces.iter().map(String::as_str).collect();
    let mut number = |name| {
        names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        }) as u32
    };
    let of_file = |stored: &'h Stored| stored.file.interfaces.iter().map(|name| number(name)).collect();
    let numbers = held.files.iter().map(of_file).collect();
    (names, numbers)
}

struct Saver<'h, 'o> {
    request: &'h SaveRequest,
    commentator: &'h mut Commentator,
    numbers: Vec<Vec<u32>>,
    out: &'o mut dyn Write,
    buffer: Vec<u8>,
    /// Packets that are wanted and may not be the next ones: by time, in which blocks, and where in them.
    waiting: Vec<(Timestamp, Rc<Vec<u8>>, Range<usize>)>,
    reader: Reader,
    saved: Saved,
}

impl Saver<'_, '_> {
    /// How much is collected for one write.
    const PIECE: usize = 256 << 10;

    /// Takes what is wanted from a chunk.
    fn look(&mut self, place: &Place<'_>) -> io::Result<()> {
        match place {
            Place::Memory(chunk) => {
                self.select(chunk.bytes(), |packet| packet);
                Ok(())
            }
            Place::Disk(number, stored, unit) => {
                let mut reader = std::mem::take(&mut self.reader);
                if let Some(blocks) = reader.read(*number, stored, unit)? {
                    self.saved.read += u64::from(unit.length);
                    let numbers = self.numbers.get(*number).cloned().unwrap_or_default();
                    self.select(blocks, |packet| Packet {
                        interface: numbers.get(packet.interface as usize).copied().unwrap_or_default(),
                        // What an earlier process decided is not in our logs.
                        decision: if stored.file.is_own { packet.decision } else { 0 },
                        ..packet
                    });
                } else {
                    self.saved.gone += u64::from(unit.packets);
                }
                self.reader = reader;
                Ok(())
            }
        }
    }

    fn select<'b>(&mut self, blocks: &'b [u8], translate: impl Fn(Packet<'b>) -> Packet<'b>) {
        let mut selected = Vec::new();
        let mut ends = Vec::new();
        for packet in Packets::new(blocks).filter(|packet| is_wanted(packet, self.request)) {
            let packet = translate(packet);
            packet.write(self.commentator.comment(&packet).as_bytes(), &mut selected);
            ends.push((packet.time, selected.len()));
        }
        let selected = Rc::new(selected);
        let mut start = 0;
        for (time, end) in ends {
            self.waiting.push((time, Rc::clone(&selected), start..end));
            start = end;
        }
        // Stable, and quick for what is nearly sorted.
        self.waiting.sort_by_key(|(time, ..)| *time);
    }

    /// Writes the packets from before a time: no chunk that is still to be looked at has earlier ones.
    fn write_before(&mut self, time: Timestamp) -> io::Result<()> {
        let before = self.waiting.partition_point(|(at, ..)| *at < time);
        for (_, blocks, range) in self.waiting.drain(..before) {
            self.buffer.extend_from_slice(blocks.get(range).unwrap_or_default());
            self.saved.packets += 1;
            if self.buffer.len() >= Self::PIECE {
                self.saved.bytes += self.buffer.len() as u64;
                self.out.write_all(&self.buffer)?;
                self.buffer.clear();
            }
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<Saved> {
        self.saved.bytes += self.buffer.len() as u64;
        self.out.write_all(&self.buffer)?;
        self.out.flush()?;
        Ok(self.saved)
    }
}

fn is_wanted(packet: &Packet<'_>, request: &SaveRequest) -> bool {
    packet.is_of_ring()
        && (request.from..=request.until).contains(&packet.time)
        && request.wanted.is_in(packet.bytes)
        && request.filter.as_ref().is_none_or(|filter| filter.wants(packet.bytes, packet.length))
        && request.subject.as_ref().is_none_or(|subject| subject.has(packet))
}

/// Reads chunks of files, mostly of one after the other.
#[derive(Debug, Default)]
struct Reader {
    open: Option<(usize, File)>,
    buffer: Vec<u8>,
}

impl Reader {
    /// The blocks of a chunk; `None` if its file has been removed.
    fn read(&mut self, number: usize, stored: &Stored, unit: &Unit) -> io::Result<Option<&[u8]>> {
        let file = match self.open.take().filter(|(open, _)| *open == number) {
            Some((_, file)) => file,
            None => match stored.file.data() {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        self.buffer.resize(unit.length as usize, 0);
        file.read_exact_at(&mut self.buffer, unit.offset)?;
        self.open = Some((number, file));
        Ok(Some(&self.buffer))
    }
}
