//! The index beside a file of the ring: what each chunk has, so that whoever looks for one address, port or flow reads few of them.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use flate2::Crc;
use ravelin_dataplane::{capture::Chunk, clock::Timestamp};

use crate::capture::{
    blocks::Packets,
    mentions::{Indexer, Mentions},
};

/// A chunk in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) struct Unit {
    /// Where its blocks begin.
    pub(in crate::capture) offset: u64,
    /// How many bytes they are.
    pub(in crate::capture) length: u32,
    /// How many packets.
    pub(in crate::capture) packets: u32,
    /// The times of the earliest and of the latest packet.
    pub(in crate::capture) span: (Timestamp, Timestamp),
    /// How many bytes the index has for it.
    pub(in crate::capture) entry: u32,
}

impl Unit {
    /// A chunk that is written there; `None` if it is empty.
    pub(super) fn of(chunk: &Chunk, offset: u64, mentions: &Mentions) -> Option<Self> {
        let length = chunk.bytes().len() as u32;
        let entry = (FRAME + mentions.words().len() * 8) as u32;
        Some(Self { offset, length, packets: chunk.packets(), span: chunk.span()?, entry })
    }

    /// Where the next one begins.
    pub(super) const fn end(&self) -> u64 {
        self.offset + self.length as u64
    }
}

/// Bytes of an entry besides the words of what is mentioned: offset, times, length, packets, how many words, and a checksum of it all.
const FRAME: usize = 8 + 16 + 8 + 8 + 4;

/// An entry as it is written.
pub(super) fn encode(unit: &Unit, mentions: &Mentions) -> Vec<u8> {
    let mut out = Vec::with_capacity(unit.entry as usize);
    let (first, last) = unit.span;
    let sizes = u64::from(unit.length) | u64::from(unit.packets) << 32;
    let head = [unit.offset, first.as_nanos(), last.as_nanos(), sizes, mentions.words().len() as u64];
    for word in head.iter().chain(mentions.words()) {
        out.extend_from_slice(&word.to_le_bytes());
    }
    let sum = checksum(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// Takes the next entry off an index; `None` at its end, and at one that is damaged or of another version.
fn decode(index: &mut &[u8]) -> Option<(Unit, Mentions)> {
    let (words, _) = index.as_chunks::<8>();
    let (head, words) = words.split_first_chunk::<5>()?;
    let [offset, first, last, sizes, count] = head.map(u64::from_le_bytes);
    let words = words.get(..usize::try_from(count).ok()?)?;
    let (entry, rest) = index.split_at_checked(FRAME + words.len() * 8)?;
    let (content, sum) = entry.split_last_chunk::<4>()?;
    if u32::from_le_bytes(*sum) != checksum(content) {
        return None;
    }
    let mentions = Mentions::of_words(words.iter().copied().map(u64::from_le_bytes).collect())?;
    *index = rest;
    let unit = Unit {
        offset,
        length: sizes as u32,
        packets: (sizes >> 32) as u32,
        span: (Timestamp::from_nanos(first), Timestamp::from_nanos(last)),
        entry: entry.len() as u32,
    };
    Some((unit, mentions))
}

/// The checksum of an entry of this version: that of another one is never right.
fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(b"addresses, ports, flows");
    crc.update(bytes);
    crc.sum()
}

/// The entries of an index, up to the first that is damaged.
pub(in crate::capture) fn read(mut file: impl Read) -> io::Result<Vec<(Unit, Mentions)>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let mut rest = bytes.as_slice();
    Ok(std::iter::from_fn(|| decode(&mut rest)).collect())
}

/// Makes an index agree with its file, whose blocks begin at `start`: entries that are right are kept, and what comes behind them
/// is looked at. Gives the chunks of the file.
pub(super) fn mend(data: &File, index: &Path, start: u64) -> io::Result<Vec<Unit>> {
    let length = data.metadata()?.len();
    let (known, recorded) = match File::open(index) {
        Ok(file) => (file.metadata()?.len(), read(file)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (0, Vec::new()),
        Err(error) => return Err(error),
    };
    let mut units = Vec::new();
    let mut end = start;
    for (unit, _) in recorded {
        if unit.offset != end || unit.end() > length {
            break;
        }
        end = unit.end();
        units.push(unit);
    }
    let valid = size(&units);
    let found = scan(data, end)?;
    if known != valid || !found.is_empty() {
        let mut out = fs::OpenOptions::new().create(true).truncate(false).write(true).open(index)?;
        out.set_len(valid)?;
        io::Seek::seek(&mut out, io::SeekFrom::End(0))?;
        for (unit, mentions) in &found {
            out.write_all(&encode(unit, mentions))?;
        }
    }
    units.extend(found.into_iter().map(|(unit, _)| unit));
    Ok(units)
}

/// Bytes of the entries of chunks.
pub(super) fn size(units: &[Unit]) -> u64 {
    units.iter().map(|unit| u64::from(unit.entry)).sum()
}

/// What is in a file from `offset` on, as chunks. Ends before the first block that is not whole.
fn scan(data: &File, mut offset: u64) -> io::Result<Vec<(Unit, Mentions)>> {
    let mut found = Vec::new();
    let mut indexer = Indexer::default();
    let mut buffer = vec![0; Chunk::SIZE];
    loop {
        let got = read_at(data, &mut buffer, offset)?;
        let blocks = buffer.get(..got).unwrap_or_default();
        let mut unit: Option<Unit> = None;
        for packet in Packets::new(blocks) {
            let span = (packet.time, packet.time);
            let unit = unit.get_or_insert(Unit { offset, length: 0, packets: 0, span, entry: 0 });
            unit.length += packet.block.len() as u32;
            unit.packets += 1;
            unit.span = (unit.span.0.min(packet.time), unit.span.1.max(packet.time));
        }
        let Some(mut unit) = unit else { return Ok(found) };
        let mentions = indexer.index(blocks);
        unit.entry = (FRAME + mentions.words().len() * 8) as u32;
        offset = unit.end();
        found.push((unit, mentions));
    }
}

/// Reads as much as there is.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use ravelin_dataplane::parse::Address;

    use super::*;
    use crate::{
        capture::{
            fixtures::{Sample, chunk},
            mentions::Mention,
        },
        testing::Directory,
    };

    fn address(last: u8) -> Mention {
        Mention::Address(Address::v4([10, 9, 9, last]))
    }

    /// Three chunks behind a header of 16 bytes, each with an address of its own.
    fn file() -> (Vec<u8>, Vec<u8>, Vec<Unit>) {
        let (mut data, mut index, mut units) = (vec![0; 16], Vec::new(), Vec::new());
        for part in 1..=3_u8 {
            let samples: Vec<_> = (0..10)
                .map(|at| Sample::new(u64::from(part) * 100 + at, 1, 50).from([10, 9, 9, part]))
                .collect();
            let chunk = chunk(&samples);
            let mentions = Indexer::default().index(chunk.bytes());
            let unit = Unit::of(&chunk, data.len() as u64, &mentions).unwrap();
            index.extend(encode(&unit, &mentions));
            data.extend_from_slice(chunk.bytes());
            units.push(unit);
        }
        (data, index, units)
    }

    fn mended(data: &[u8], index: Option<&[u8]>) -> (Vec<Unit>, Vec<(Unit, Mentions)>) {
        let root = Directory::new();
        let data = File::open(root.write("data", data)).unwrap();
        if let Some(index) = index {
            root.write("index", index);
        }
        let units = mend(&data, &root.file("index"), 16).unwrap();
        let recorded = read(File::open(root.file("index")).unwrap()).unwrap();
        assert_eq!(units, recorded.iter().map(|(unit, _)| *unit).collect::<Vec<_>>());
        (units, recorded)
    }

    #[test]
    fn an_index_that_is_right_stays() {
        let (data, index, units) = file();
        let (found, recorded) = mended(&data, Some(&index));
        assert_eq!(found, units);
        for (part, (_, mentions)) in recorded.iter().enumerate() {
            for other in 0..3 {
                assert_eq!(mentions.may_have(address(other as u8 + 1)), other == part);
            }
        }
    }

    #[test]
    fn an_index_that_is_missing_or_damaged_is_made_anew() {
        let (data, index, units) = file();
        let packets = |units: &[Unit]| units.iter().map(|unit| unit.packets).sum::<u32>();
        let (found, recorded) = mended(&data, None);
        assert_eq!((packets(&found), found[0].offset, found[0].end()), (30, 16, data.len() as u64));
        assert_eq!(found[0].span, (units[0].span.0, units[2].span.1));
        assert!((1..=3).all(|part| recorded[0].1.may_have(address(part))));
        // One byte anywhere in the second entry: the first is kept.
        let entry = units[0].entry as usize;
        for at in [entry, entry + 9, entry + 33, entry + 50, 2 * entry - 1] {
            let mut index = index.clone();
            index[at] ^= 1;
            let (found, recorded) = mended(&data, Some(&index));
            assert_eq!((found[0], packets(&found), found.len()), (units[0], 30, 2));
            assert!((2..=3).all(|part| recorded[1].1.may_have(address(part))));
            assert!(!recorded[1].1.may_have(address(1)));
        }
        // An index that says more than there is, of a file whose end is cut: up to the last whole block.
        let (found, _) = mended(&data[..data.len() - 1], Some(&index));
        assert_eq!((packets(&found), &found[..2]), (29, &units[..2]));
        // An index that ends in the middle of an entry, or is of another file.
        assert_eq!(packets(&mended(&data, Some(&index[..entry + 7])).0), 30);
        assert_eq!(packets(&mended(&data, Some(&index[entry..])).0), 30);
        assert!(mended(&data[..16], Some(&index)).0.is_empty());
    }

    /// The index of Ravelin before it had ports and flows: addresses in 512 words for each chunk.
    #[test]
    fn an_index_of_the_earlier_version_is_made_anew() {
        let (data, index, units) = file();
        let mut earlier = Vec::new();
        for unit in &units {
            let mut entry = Vec::new();
            let (first, last) = unit.span;
            for word in [unit.offset, first.as_nanos(), last.as_nanos()] {
                entry.extend(word.to_le_bytes());
            }
            entry.extend([unit.length.to_le_bytes(), unit.packets.to_le_bytes()].concat());
            entry.extend([0xff; 512 * 8]);
            let mut crc = Crc::new();
            crc.update(&entry);
            entry.extend(crc.sum().to_le_bytes());
            earlier.extend(entry);
        }
        let (found, recorded) = mended(&data, Some(&earlier));
        assert_eq!(found, mended(&data, None).0);
        assert!(recorded.iter().all(|(_, mentions)| !mentions.may_have(address(77))));
        // The same bits, words counted, under the checksum of then.
        let mut forged = index;
        let end = units[0].entry as usize - 4;
        let mut crc = Crc::new();
        crc.update(&forged[..end]);
        forged[end..end + 4].copy_from_slice(&crc.sum().to_le_bytes());
        assert_eq!(mended(&data, Some(&forged)).0, found);
    }
}
