//! The index beside a file of the ring: what each chunk has, so that whoever looks for one address reads few of them.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use flate2::Crc;
use ravelin_dataplane::{
    capture::{Chunk, Mentions},
    clock::Timestamp,
};

use crate::capture::{addresses, blocks::Packets};

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
}

impl Unit {
    /// A chunk that is written there; `None` if it is empty.
    pub(super) fn of(chunk: &Chunk, offset: u64) -> Option<Self> {
        let length = chunk.bytes().len() as u32;
        Some(Self { offset, length, packets: chunk.packets(), span: chunk.span()? })
    }

    /// Where the next one begins.
    pub(super) const fn end(&self) -> u64 {
        self.offset + self.length as u64
    }
}

/// Bytes of an entry: offset, times, length, packets, the words of the addresses, and a checksum of it all.
pub(super) const ENTRY: usize = 8 + 16 + 8 + Mentions::WORDS * 8 + 4;

/// An entry as it is written.
pub(super) fn encode(unit: &Unit, mentions: &Mentions) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENTRY);
    let (first, last) = unit.span;
    for word in [unit.offset, first.as_nanos(), last.as_nanos()] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&unit.length.to_le_bytes());
    out.extend_from_slice(&unit.packets.to_le_bytes());
    mentions.words().iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    let sum = checksum(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

fn decode(entry: &[u8; ENTRY]) -> Option<(Unit, Mentions)> {
    let (content, sum) = entry.split_last_chunk::<4>()?;
    if u32::from_le_bytes(*sum) != checksum(content) {
        return None;
    }
    let (words, _) = content.as_chunks::<8>();
    let (head, bits) = words.split_first_chunk::<4>()?;
    let [offset, first, last, sizes] = head.map(u64::from_le_bytes);
    let mut mentions = [0; Mentions::WORDS];
    mentions.iter_mut().zip(bits).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
    let unit = Unit {
        offset,
        length: sizes as u32,
        packets: (sizes >> 32) as u32,
        span: (Timestamp::from_nanos(first), Timestamp::from_nanos(last)),
    };
    Some((unit, Mentions::of_words(mentions)))
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The entries of an index, up to the first that is damaged.
pub(in crate::capture) fn read(mut file: impl Read) -> io::Result<Vec<(Unit, Mentions)>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes.as_chunks::<ENTRY>().0.iter().map_while(decode).collect())
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
    let valid = (units.len() * ENTRY) as u64;
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

/// What is in a file from `offset` on, as chunks. Ends before the first block that is not whole.
fn scan(data: &File, mut offset: u64) -> io::Result<Vec<(Unit, Mentions)>> {
    let mut found = Vec::new();
    let mut buffer = vec![0; Chunk::SIZE];
    loop {
        let got = read_at(data, &mut buffer, offset)?;
        let mut mentions = Mentions::default();
        let mut unit: Option<Unit> = None;
        for packet in Packets::new(buffer.get(..got).unwrap_or_default()) {
            let unit =
                unit.get_or_insert(Unit { offset, length: 0, packets: 0, span: (packet.time, packet.time) });
            unit.length += packet.block.len() as u32;
            unit.packets += 1;
            unit.span = (unit.span.0.min(packet.time), unit.span.1.max(packet.time));
            addresses::of(packet.bytes).into_iter().flatten().for_each(|address| mentions.add(address));
        }
        let Some(unit) = unit else { return Ok(found) };
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
        capture::fixtures::{Sample, chunk},
        testing::Directory,
    };

    fn address(last: u8) -> Address {
        Address::v4([10, 9, 9, last])
    }

    /// Three chunks behind a header of 16 bytes, each with an address of its own.
    fn file() -> (Vec<u8>, Vec<u8>, Vec<Unit>) {
        let (mut data, mut index, mut units) = (vec![0; 16], Vec::new(), Vec::new());
        for part in 1..=3_u8 {
            let samples: Vec<_> = (0..10)
                .map(|at| Sample::new(u64::from(part) * 100 + at, 1, 50).from([10, 9, 9, part]))
                .collect();
            let chunk = chunk(&samples);
            let unit = Unit::of(&chunk, data.len() as u64).unwrap();
            index.extend(encode(&unit, chunk.mentions()));
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
        for at in [ENTRY, ENTRY + 9, ENTRY + 500, 2 * ENTRY - 1] {
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
        assert_eq!(packets(&mended(&data, Some(&index[..ENTRY + 7])).0), 30);
        assert_eq!(packets(&mended(&data, Some(&index[ENTRY..])).0), 30);
        assert!(mended(&data[..16], Some(&index)).0.is_empty());
    }
}
