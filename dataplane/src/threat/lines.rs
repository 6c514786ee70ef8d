use super::{
    lanes::{self, WORDS},
    record::{Record, UNITS},
    sweep::{MANY, MAPPED},
};
use crate::prefetch::fetch;

/// What is known of words of 16 bits, many times over: a node is for all words that can follow the same beginning of an address.
/// It has as many lines as it needs, each for two to the power of something words. A line that is too crowded is divided into
/// others.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    /// What lines have no room for themselves; see [`Record`].
    units: Vec<u32>,
}

/// Where the lines of a node begin, and how many bits of a word to drop for their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node(pub(super) u32);

/// Words at which something else begins. At the first of them, the singles, it is for one word only; at the others, the spans,
/// it is from there on, the highest word first. What is left over stands last, as a span of what is before all.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line {
    words: [u16; WORDS],
    /// What each word has, and last what is before all spans: a class, or with [`RECORD`] where a record is.
    says: [u8; SAYS],
    /// How many singles there are; or with [`DIVIDED`] the bits to drop.
    form: u8,
    /// Where the records begin; or the first line that this is divided into. Then the first word is where this line begins.
    more: u32,
}

const SAYS: usize = WORDS + 1;
const RECORD: u8 = 0x80;
const DIVIDED: u8 = 0x80;

/// What a line knows of a word: a class, or with [`Said::RECORD`] where the record is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said(pub(super) u32);

impl Said {
    pub(super) const RECORD: u32 = 1 << 31;

    #[inline]
    pub(super) fn is_record(self) -> bool {
        self.0 & Self::RECORD != 0
    }
}

impl Node {
    /// Bits of a node for how many bits to drop, less one.
    const SHIFT: u32 = 4;
    /// The one line that knows nothing.
    pub(super) const NONE: Self = Self::new(0, 16);

    const fn new(base: u32, left: u32) -> Self {
        Self(base << Self::SHIFT | (left - 1))
    }

    #[inline]
    fn left(self) -> u32 {
        (self.0 & ((1 << Self::SHIFT) - 1)) + 1
    }

    /// The line that has a word.
    #[inline]
    pub(super) fn line(self, word: u16) -> u32 {
        (self.0 >> Self::SHIFT) + (u32::from(word) >> self.left())
    }
}

impl Line {
    const NONE: Self = Self { words: [0; WORDS], says: [0; SAYS], form: 0, more: 0 };

    /// The line that `word` is in, provided that this one is divided.
    #[inline]
    fn part(&self, word: u16) -> u32 {
        let [first, ..] = self.words;
        self.more.wrapping_add(u32::from(word.wrapping_sub(first) >> (self.form & 15)))
    }

    #[inline]
    fn is_divided(&self) -> bool {
        self.form & DIVIDED != 0
    }

    #[inline]
    fn said(&self, place: usize) -> Said {
        let says = self.says.get(place).copied().unwrap_or_default();
        let record = Said::RECORD | self.more.wrapping_add((says & !RECORD).into());
        Said(if says & RECORD == 0 { says.into() } else { record })
    }

    /// What it says of a word.
    #[inline]
    fn find(&self, word: u16) -> Said {
        let (not_above, equal) = lanes::compare(&self.words, word);
        let spans = u32::MAX << (self.form & 31);
        self.said((not_above & spans | equal & !spans | 1 << WORDS).trailing_zeros() as usize)
    }
}

impl Lines {
    #[inline]
    fn line(&self, at: u32) -> &Line {
        self.lines.get(at as usize).unwrap_or(&Line::NONE)
    }

    /// Asks for the memory that [`Lines::find`] reads.
    #[inline]
    pub(super) fn fetch(&self, at: u32) {
        fetch(self.line(at));
    }

    /// What the line says of a word.
    #[inline]
    pub(super) fn find(&self, at: u32, word: u16) -> Said {
        let mut line = self.line(at);
        // Few words are so crowded.
        while line.is_divided() {
            line = self.line(line.part(word));
        }
        line.find(word)
    }

    /// Asks for the memory that [`Lines::record`] reads.
    #[inline]
    pub(super) fn fetch_record(&self, said: Said) {
        if let Some(record) = self.record(said) {
            fetch(record);
        }
    }

    /// The record; that of a class says nothing.
    #[inline]
    pub(super) fn record(&self, said: Said) -> Option<&[u32; UNITS]> {
        let at = if said.is_record() { said.0 & !Said::RECORD } else { 0 };
        self.units.get(at as usize..)?.first_chunk()
    }

    /// Calls `found` for each word of a node at which something else may begin, with what it has.
    pub(super) fn words(&self, node: Node, mut found: impl FnMut(u16, Said)) {
        let mut word = 0u32;
        // Line by line: the one that holds a word, up to the last that it holds.
        while word <= u16::MAX.into() {
            let low = word as u16;
            let (mut left, mut line) = (node.left(), self.line(node.line(low)));
            while line.is_divided() {
                left = (line.form & 15).into();
                line = self.line(line.part(low));
            }
            let before = line.said(WORDS);
            found(low, before);
            // Nothing begins at word 0 but what is before all.
            for (at, word) in line.words.iter().enumerate().filter(|(_, word)| **word != 0) {
                found(*word, line.said(at));
                if let Some(behind) = word.checked_add(1)
                    && at < usize::from(line.form & 31)
                {
                    found(behind, Said(0));
                }
            }
            word = ((word >> left) + 1) << left;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.lines) + size_of_val(&*self.units)
    }
}

/// Words, first and last, and what all of them have.
pub(super) type Part = (u16, u16, Record);

/// Makes lines.
#[derive(Debug)]
pub(super) struct Builder {
    made: Lines,
    words: Vec<u16>,
}

impl Builder {
    /// For about so many entries. Where these are many, more lines are set aside than are needed: they are aligned, so that
    /// to let them grow or shrink is to copy them.
    pub(super) fn new(entries: usize) -> Self {
        let room = if entries < MANY { 0 } else { usize::max(entries / 4, MAPPED / size_of::<Line>()) };
        let mut lines = Vec::with_capacity(room);
        lines.push(Line::NONE);
        let mut units = Vec::with_capacity(entries + UNITS);
        units.resize(UNITS, 0);
        Self { made: Lines { lines, units }, words: Vec::new() }
    }

    pub(super) fn finish(mut self) -> Lines {
        // A record is always read whole.
        self.made.units.resize(self.made.units.len() + UNITS, 0);
        self.made.units.shrink_to_fit();
        if self.made.lines.capacity() * size_of::<Line>() < MAPPED {
            self.made.lines.shrink_to_fit();
        }
        self.made
    }

    /// Keeps a record that no line has.
    pub(super) fn add(&mut self, record: &Record) -> u32 {
        let at = self.made.units.len() as u32;
        self.made.units.extend_from_slice(record.units());
        at
    }

    /// A node for parts that come in order and without gaps.
    pub(super) fn node(&mut self, parts: &[Part]) -> Node {
        let (base, left) = self.divide(parts, 0, 16);
        Node::new(base, left)
    }

    /// Divides `1 << bits` words from `origin` on into lines; returns where they are and how many bits are left in each.
    fn divide(&mut self, parts: &[Part], origin: u32, bits: u32) -> (u32, u32) {
        let left = self.left(parts, origin, bits);
        let (base, count) = (self.made.lines.len(), 1usize << (bits - left));
        self.made.lines.resize(base + count, Line::NONE);
        let mut rest = parts;
        for index in 0..count {
            let first = origin + ((index as u32) << left);
            let last = first + (1 << left) - 1;
            // What reaches into the next line is needed there too.
            rest =
                rest.get(rest.partition_point(|(_, end, _)| u32::from(*end) < first)..).unwrap_or_default();
            let until = rest.partition_point(|(begin, ..)| u32::from(*begin) <= last);
            let inside = rest.get(..until).unwrap_or_default();
            let line = match self.leaf(inside, first as u16, last as u16) {
                Some(line) => line,
                None => {
                    let (more, left) = self.divide(inside, first, left);
                    Line { words: [first as u16; _], form: DIVIDED | left as u8, more, ..Line::NONE }
                }
            };
            if let Some(place) = self.made.lines.get_mut(base + index) {
                *place = line;
            }
        }
        (base as u32, left)
    }

    /// How many bits a line should keep: few lines, but not many crowded ones.
    fn left(&mut self, parts: &[Part], origin: u32, bits: u32) -> u32 {
        let words = &mut self.words;
        words.clear();
        let last = origin + (1 << bits) - 1;
        changes(parts, origin as u16, last as u16, |word, _, _| words.push(word));
        if words.len() <= WORDS {
            return bits;
        }
        let crowded = |left: u32| {
            let lines = words.chunk_by(|a, b| a >> left == b >> left);
            lines.map(<[u16]>::len).filter(|count| *count > WORDS).sum::<usize>()
        };
        // Not more lines than there are words for; sixteen words always fit.
        let most = bits.saturating_sub((words.len() as u32).ilog2().max(1)).max(4);
        (most..bits).rev().find(|left| crowded(*left) * 16 <= words.len()).unwrap_or(most)
    }

    /// A line for these words, if it has room.
    fn leaf(&mut self, parts: &[Part], first: u16, last: u16) -> Option<Line> {
        let mut single = [(0, &Record::NONE); WORDS];
        let mut span = [(0, &Record::NONE); WORDS];
        let (mut singles, mut spans) = (0, 0);
        let before = changes(parts, first, last, |word, record, is_single| {
            let (list, count) = if is_single { (&mut single, &mut singles) } else { (&mut span, &mut spans) };
            if let Some(place) = list.get_mut(*count) {
                *place = (word, record);
            }
            *count += 1;
        });
        if singles + spans > WORDS {
            return None;
        }
        let mut line = Line { form: singles as u8, more: self.made.units.len() as u32, ..Line::NONE };
        let before = self.say(before, line.more);
        line.says = [before; SAYS];
        let found = single.iter().take(singles).chain(span.iter().take(spans).rev());
        for ((word, says), (at, record)) in line.words.iter_mut().zip(&mut line.says).zip(found) {
            (*word, *says) = (*at, self.say(record, line.more));
        }
        Some(line)
    }

    /// What a line says that has this record.
    fn say(&mut self, record: &Record, from: u32) -> u8 {
        match record.class() {
            Some(class) if class < RECORD.into() => class as u8,
            _ => RECORD | (self.add(record) - from) as u8,
        }
    }
}

/// Calls `change` for each word from which on there is something else, or, if it is said to be a single, at which there is;
/// returns what the first word has. Words before `first` and behind `last` do not count.
fn changes<'p>(
    parts: &'p [Part],
    first: u16,
    last: u16,
    mut change: impl FnMut(u16, &'p Record, bool),
) -> &'p Record {
    let mut parts = parts.iter().map(|(begin, end, record)| ((*begin).max(first), (*end).min(last), record));
    let Some((.., before)) = parts.next() else { return &Record::NONE };
    let mut around = before;
    for (begin, end, record) in parts {
        // Of records that are the same each begins by itself, so that what begins below them is known of each.
        if record != around || record.class().is_none() {
            change(begin, record, begin == end);
            if begin != end {
                around = record;
            }
        }
    }
    before
}
