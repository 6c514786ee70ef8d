//! Blocks of pcapng files (draft-ietf-opsawg-pcapng): what stands around those that workers make, and what is in these.

use ravelin_dataplane::{
    capture::{ENTERPRISE, Fate},
    clock::Timestamp,
};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;

/// Codes of options.
const END: u16 = 0;
const COMMENT: u16 = 1;
const CUSTOM: u16 = 2989;

/// What is said of the program that writes a file.
const PROGRAM: &str = concat!("ravelin ", env!("CARGO_PKG_VERSION"));

/// The beginning of a file: a section whose interfaces have these names, in the order of their numbers, with times in nanoseconds.
pub fn header<'n>(interfaces: impl IntoIterator<Item = &'n str>, snap: u32) -> Vec<u8> {
    header_with("", interfaces, snap)
}

/// The same, with a comment on the file.
pub fn header_with<'n>(comment: &str, interfaces: impl IntoIterator<Item = &'n str>, snap: u32) -> Vec<u8> {
    header_of(comment, 0, interfaces, snap)
}

/// The same as [`header`], so much longer that its length is a multiple of `alignment`, by an option that says nothing.
pub fn header_aligned<'n>(
    interfaces: impl IntoIterator<Item = &'n str> + Clone,
    snap: u32,
    alignment: usize,
) -> Vec<u8> {
    // The option itself: its head, and the number of its owner.
    let least = header_of("", 8, interfaces.clone(), snap).len();
    header_of("", 8 + least.next_multiple_of(alignment) - least, interfaces, snap)
}

/// A header with an option of `filler` bytes that says nothing; of none, if these are none.
fn header_of<'n>(
    comment: &str,
    filler: usize,
    interfaces: impl IntoIterator<Item = &'n str>,
    snap: u32,
) -> Vec<u8> {
    let mut out = Vec::new();
    block(&mut out, SECTION, |out| {
        words(out, [0x1a2b_3c4d, 1, u32::MAX, u32::MAX]);
        // The hardware and the operating system are nobody's business.
        option(out, 4, PROGRAM.as_bytes());
        if !comment.is_empty() {
            option(out, COMMENT, comment.as_bytes());
        }
        if let Some(length) = filler.checked_sub(4) {
            let mut content = vec![0; length];
            content[..4].copy_from_slice(&ENTERPRISE.to_le_bytes());
            option(out, CUSTOM, &content);
        }
        option(out, END, &[]);
    });
    for name in interfaces {
        block(&mut out, INTERFACE, |out| {
            // Ethernet.
            words(out, [1, snap]);
            option(out, 2, name.as_bytes());
            option(out, 9, &[9]);
            option(out, END, &[]);
        });
    }
    out
}

/// The interfaces that a file begins with, by name, and where its packets begin. `None` unless the file is one of ours.
pub fn section(file: &[u8]) -> Option<(Vec<String>, usize)> {
    let mut interfaces = Vec::new();
    let mut rest = file;
    loop {
        let length = word(rest, 1).and_then(|length| usize::try_from(length).ok())?;
        match (word(rest, 0)?, rest.len() == file.len()) {
            (SECTION, true) => {}
            (INTERFACE, false) => interfaces.push(name(rest.get(16..length)?)),
            (_, true) => return None,
            (_, false) => break,
        }
        rest = rest.get(length..).filter(|_| length >= 12)?;
        if rest.is_empty() {
            break;
        }
    }
    Some((interfaces, file.len() - rest.len()))
}

/// The name that stands first among the options of an interface, as we write it.
fn name(options: &[u8]) -> String {
    let Some(&[2, 0, low, high]) = options.first_chunk() else { return String::new() };
    let name = options.get(4..).and_then(|rest| rest.get(..usize::from(u16::from_le_bytes([low, high]))));
    name.map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default()
}

/// What was counted by the end of a file, for the first interface: the format wants it by interface, and the workers count for all.
pub fn statistics(now: Timestamp, received: u64, lost: u64) -> Vec<u8> {
    let mut out = Vec::new();
    block(&mut out, STATISTICS, |out| {
        let nanos = now.as_nanos();
        words(out, [0, (nanos >> 32) as u32, nanos as u32]);
        // isb_ifrecv and isb_ifdrop.
        option(out, 4, &received.to_le_bytes());
        option(out, 5, &lost.to_le_bytes());
        option(out, END, &[]);
    });
    out
}

/// How many packets there are among whole blocks.
pub fn packets(mut blocks: &[u8]) -> u64 {
    let mut packets = 0;
    while let Some(length) = word(blocks, 1).filter(|length| *length >= 12) {
        packets += u64::from(word(blocks, 0) == Some(PACKET));
        blocks = blocks.get(length as usize..).unwrap_or_default();
    }
    packets
}

/// A packet's block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'b> {
    /// The number of its interface.
    pub interface: u32,
    /// When it was received.
    pub time: Timestamp,
    /// Its length on the link.
    pub length: u32,
    /// What was kept of it.
    pub bytes: &'b [u8],
    /// What became of it.
    pub fate: Fate,
    /// The worker that decided.
    pub worker: u8,
    /// Its decision.
    pub decision: u32,
    /// The captures that want it.
    pub captures: u64,
    /// The whole block.
    pub block: &'b [u8],
}

/// The packets among blocks that a worker has made. Ends at anything else.
#[derive(Clone, Debug)]
pub struct Packets<'b>(&'b [u8]);

impl<'b> Packets<'b> {
    /// The packets in a chunk.
    pub const fn new(blocks: &'b [u8]) -> Self {
        Self(blocks)
    }
}

impl<'b> Iterator for Packets<'b> {
    type Item = Packet<'b>;

    fn next(&mut self) -> Option<Packet<'b>> {
        let length = usize::try_from(word(self.0, 1)?).ok()?;
        let (block, rest) = self.0.split_at_checked(length)?;
        let packet = packet(block)?;
        self.0 = rest;
        Some(packet)
    }
}

fn packet(block: &[u8]) -> Option<Packet<'_>> {
    let kept = usize::try_from(word(block, 5)?).ok()?;
    let bytes = block.get(28..28_usize.checked_add(kept)?)?;
    let options = block.get(28 + kept.next_multiple_of(4)..)?;
    let is_ours = word(options, 0)? == u32::from(CUSTOM) | 24 << 16 && word(options, 1)? == ENTERPRISE;
    if word(block, 0)? != PACKET || !is_ours {
        return None;
    }
    let [fate, worker, ..] = word(options, 2)?.to_le_bytes();
    Some(Packet {
        interface: word(block, 2)?,
        time: Timestamp::from_nanos(u64::from(word(block, 3)?) << 32 | u64::from(word(block, 4)?)),
        length: word(block, 6)?,
        bytes,
        fate: Fate::of_number(fate),
        worker,
        decision: word(options, 3)?,
        captures: u64::from(word(options, 5)?) | u64::from(word(options, 6)?) << 32,
        block,
    })
}

impl Packet<'_> {
    /// Whether the ring wants it: a chunk has what other captures want as well.
    pub fn is_of_ring(&self) -> bool {
        self.captures & 1 != 0
    }

    /// Appends the packet as a block with a comment in place of our option.
    pub fn write(&self, comment: &[u8], out: &mut Vec<u8>) {
        block(out, PACKET, |out| {
            let nanos = self.time.as_nanos();
            words(
                out,
                [self.interface, (nanos >> 32) as u32, nanos as u32, self.bytes.len() as u32, self.length],
            );
            padded(out, self.bytes);
            if !comment.is_empty() {
                option(out, COMMENT, comment);
                option(out, END, &[]);
            }
        });
    }
}

/// A block with what `body` writes, and its length before and behind it.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    words(out, [kind, 0]);
    body(out);
    let total = (out.len() - start + 4) as u32;
    words(out, [total]);
    if let Some(length) = out.get_mut(start + 4..start + 8) {
        length.copy_from_slice(&total.to_le_bytes());
    }
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    padded(out, value);
}

fn padded(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn words<const N: usize>(out: &mut Vec<u8>, words: [u32; N]) {
    words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}

/// The word at a place, counted in words.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at * 4..)?.first_chunk().copied().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_file_is_read_back() {
        for names in [&[][..], &["eth0", "a name"], &["", "wan"]] {
            let header = header(names.iter().copied(), 65_535);
            let mut file = header.clone();
            assert_eq!(section(&file).unwrap().1, header.len());
            file.extend(statistics(Timestamp::ZERO, 1, 0));
            assert_eq!(packets(&file), 0);
            let (found, length) = section(&file).unwrap();
            assert_eq!((found, length), (names.iter().map(ToString::to_string).collect(), header.len()));
        }
        for names in [vec!["eth0"], vec!["x"; 300]] {
            let header = header_aligned(names.iter().copied(), 65_535, 4096);
            let (found, length) = section(&header).unwrap();
            assert_eq!((found.len(), length, length % 4096), (names.len(), header.len(), 0));
        }
        let header = header(["eth0"], 65_535);
        for end in 0..28 {
            assert_eq!(section(&header[..end]), None, "{end}");
        }
        assert_eq!(section(&statistics(Timestamp::ZERO, 1, 0)), None);
    }
}
