use std::hint::select_unpredictable;

use super::lanes::{self, WORDS};
use crate::prefetch::fetch;

/// Class of an IPv4 address: a table over the upper 16 bits, and below it lines, each for two to the power of something
/// addresses. A line that is too crowded is divided into others.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// For each upper half where its lines begin, and how many bits of the lower half to drop for their number.
    root: Vec<u32>,
    lines: Vec<Line>,
    /// The classes of the lines in which not all have a small number.
    wide: Vec<[u32; CLASSES]>,
}

/// Words at which the class changes. At the first of them, the singles, it is another for one address only; at the others, the
/// spans, it is another from there on, the highest word first. What is left over stands last, as a span of what is before all.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line {
    words: [u16; WORDS],
    /// The class of each word, and last the class before all spans; see [`WIDE`] and [`DIVIDED`].
    classes: [u8; CLASSES],
    /// How many there are, or for divided lines the bits to drop.
    singles: u8,
}

const CLASSES: usize = WORDS + 1;
/// With the number of singles: the classes have large numbers, and stand elsewhere. They begin with where.
const WIDE: u8 = 0x40;
/// With the bits to drop: the classes begin with the number of the first line that this is divided into. The first word is
/// where this line begins.
const DIVIDED: u8 = 0x80;
/// Bits of a root entry for how many bits to drop, less one.
const SHIFT: u32 = 4;

impl Line {
    const NONE: Self = Self { words: [0; WORDS], classes: [0; CLASSES], singles: 0 };

    /// A line whose classes stand elsewhere.
    fn new(words: [u16; WORDS], singles: u8, more: u32) -> Self {
        let mut line = Self { words, classes: [0; CLASSES], singles };
        line.classes.iter_mut().zip(more.to_le_bytes()).for_each(|(place, byte)| *place = byte);
        line
    }

    /// Where they stand, or the lines that this is divided into.
    #[inline]
    fn more(&self) -> u32 {
        let [a, b, c, d, ..] = self.classes;
        u32::from_le_bytes([a, b, c, d])
    }

    /// The line that `low` is in, provided that this one is divided.
    #[inline]
    fn part(&self, low: u16) -> u32 {
        let [first, ..] = self.words;
        self.more().wrapping_add(u32::from(low.wrapping_sub(first) >> (self.singles & 15)))
    }

    #[inline]
    fn is_divided(&self) -> bool {
        self.singles & DIVIDED != 0
    }

    /// Which of the classes that of `low` is.
    #[inline]
    fn place(&self, low: u16) -> usize {
        let (not_above, equal) = lanes::compare(&self.words, low);
        let spans = u32::MAX << (self.singles & 31);
        (not_above & spans | equal & !spans | 1 << WORDS).trailing_zeros() as usize
    }
}

impl Lines {
    fn line(&self, index: u32) -> &Line {
        self.lines.get(index as usize).unwrap_or(&Line::NONE)
    }

    /// Begins to look for an address, and asks for the memory that [`Lines::step`] reads.
    #[inline]
    pub(super) fn begin(&self, address: u32) -> u32 {
        let entry = self.root.get((address >> 16) as usize).copied().unwrap_or_default();
        let at = (entry >> SHIFT) + ((address & 0xffff) >> ((entry & ((1 << SHIFT) - 1)) + 1));
        fetch(self.line(at));
        at
    }

    /// Goes on from where it was, and asks for the memory that [`Lines::finish`] reads.
    #[inline]
    pub(super) fn step(&self, at: u32, address: u32) -> u32 {
        let line = self.line(at);
        // No branch could be foretold.
        let below = select_unpredictable(line.is_divided(), line.part(address as u16), at);
        fetch(self.line(below));
        below
    }

    /// The class.
    #[inline]
    pub(super) fn finish(&self, at: u32, address: u32) -> u32 {
        let low = address as u16;
        let mut line = self.line(at);
        // Few addresses are so crowded.
        while line.is_divided() {
            line = self.line(line.part(low));
        }
        let place = line.place(low);
        if line.singles & WIDE != 0 {
            return self.wide(line.more(), place);
        }
        line.classes.get(place).copied().unwrap_or_default().into()
    }

    #[inline(never)]
    fn wide(&self, more: u32, place: usize) -> u32 {
        self.wide.get(more as usize).and_then(|wide| wide.get(place)).copied().unwrap_or_default()
    }

    pub(super) fn class(&self, address: u32) -> u32 {
        self.finish(self.step(self.begin(address), address), address)
    }

    /// Addresses at which the class may become another, in order.
    pub(super) fn begins(&self) -> impl Iterator<Item = u32> {
        // An upper half that shares its line with the one before is of the same class altogether.
        let entry = |upper: u32| self.root.get(upper as usize);
        let uppers = (0..self.root.len() as u32).filter(move |at| *at == 0 || entry(*at) != entry(*at - 1));
        uppers.flat_map(|upper| {
            let mut lows = Vec::new();
            let mut low = 0u32;
            // Line by line: the one that holds an address, up to the last that it holds.
            while low <= 0xffff {
                low = self.lows(upper << 16 | low, &mut lows);
            }
            lows.sort_unstable();
            lows.dedup();
            lows.into_iter().map(move |low| upper << 16 | u32::from(low))
        })
    }

    /// Finds the words of the line that holds an address, and the word behind it.
    fn lows(&self, address: u32, lows: &mut Vec<u16>) -> u32 {
        let entry = self.root.get((address >> 16) as usize).copied().unwrap_or_default();
        let low = address as u16;
        let mut left = (entry & ((1 << SHIFT) - 1)) + 1;
        let mut line = self.line((entry >> SHIFT) + (u32::from(low) >> left));
        while line.is_divided() {
            left = (line.singles & 15).into();
            line = self.line(line.part(low));
        }
        lows.push(low);
        let mut before = None;
        for (at, word) in
            line.words.iter().enumerate().filter(|(_, word)| before.replace(**word) != Some(**word))
        {
            lows.push(*word);
            if at < usize::from(line.singles & 31) {
                lows.extend(word.checked_add(1));
            }
        }
        ((u32::from(low) >> left) + 1) << left
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.root) + size_of_val(&*self.lines) + size_of_val(&*self.wide)
    }
}

/// A stretch of one upper half: first and last word, and the class.
type Part = (u16, u16, u32);

/// Makes lines of stretches that come in order.
#[derive(Debug, Default)]
pub(super) struct Builder {
    made: Lines,
    /// What is known of the upper half that is being made, without gaps.
    parts: Vec<Part>,
    /// Where the next stretch begins, if there is room for any.
    next: Option<u32>,
    /// The entry of upper halves that are of one class altogether.
    plain: Option<(u32, u32)>,
    words: Vec<u16>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self { next: Some(0), ..Self::default() }
    }

    /// The next stretch, behind all before.
    pub(super) fn push(&mut self, first: u32, last: u32, class: u32) {
        if let Some(next) = self.next
            && let Some(before) = first.checked_sub(1)
            && next <= before
        {
            self.cover(next, before, 0);
        }
        self.cover(first, last, class);
        self.next = last.checked_add(1);
    }

    pub(super) fn finish(mut self) -> Lines {
        if self.next == Some(0) {
            return Lines::default();
        }
        if let Some(next) = self.next {
            self.cover(next, u32::MAX, 0);
        }
        self.made.root.shrink_to_fit();
        self.made.lines.shrink_to_fit();
        self.made.wide.shrink_to_fit();
        self.made
    }

    fn cover(&mut self, first: u32, last: u32, class: u32) {
        for upper in first >> 16..=last >> 16 {
            let from = if upper == first >> 16 { first as u16 } else { 0 };
            let to = if upper == last >> 16 { last as u16 } else { u16::MAX };
            match self.parts.last_mut() {
                Some((_, before, same)) if *same == class => *before = to,
                _ => self.parts.push((from, to, class)),
            }
            if to == u16::MAX {
                let entry = self.entry();
                self.made.root.push(entry);
                self.parts.clear();
            }
        }
    }

    /// The entry of the upper half that is complete.
    fn entry(&mut self) -> u32 {
        let plain = if let [(.., class)] = *self.parts { Some(class) } else { None };
        if let (Some(class), Some((same, entry))) = (plain, self.plain)
            && class == same
        {
            return entry;
        }
        let parts = std::mem::take(&mut self.parts);
        let (base, left) = self.divide(&parts, 0, 16);
        self.parts = parts;
        let entry = base << SHIFT | (left - 1);
        self.plain = plain.map(|class| (class, entry)).or(self.plain);
        entry
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
                    Line::new([first as u16; _], DIVIDED | left as u8, more)
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
        // Not more lines than there are words for; sixteen addresses always fit.
        let most = bits.saturating_sub((words.len() as u32).ilog2().max(1)).max(4);
        (most..bits).rev().find(|left| crowded(*left) * 16 <= words.len()).unwrap_or(most)
    }

    /// A line for these words, if it has room.
    fn leaf(&mut self, parts: &[Part], first: u16, last: u16) -> Option<Line> {
        let mut single = [(0, 0); WORDS];
        let mut span = [(0, 0); WORDS];
        let (mut singles, mut spans) = (0, 0);
        let base = changes(parts, first, last, |word, class, is_single| {
            let (list, count) = if is_single { (&mut single, &mut singles) } else { (&mut span, &mut spans) };
            if let Some(place) = list.get_mut(*count) {
                *place = (word, class);
            }
            *count += 1;
        });
        if singles + spans > WORDS {
            return None;
        }
        let (mut words, mut classes) = ([0; WORDS], [base; CLASSES]);
        let found = single.iter().take(singles).chain(span.iter().take(spans).rev());
        for ((word, class), found) in words.iter_mut().zip(&mut classes).zip(found) {
            (*word, *class) = *found;
        }
        if classes.iter().any(|class| *class > u8::MAX.into()) {
            self.made.wide.push(classes);
            return Some(Line::new(words, WIDE | singles as u8, self.made.wide.len() as u32 - 1));
        }
        Some(Line { words, classes: classes.map(|class| class as u8), singles: singles as u8 })
    }
}

/// Calls `change` for each word from which on the class is another, or, if it is said to be a single, at which it is; returns
/// the class of the first word. Words before `first` and behind `last` do not count.
fn changes(parts: &[Part], first: u16, last: u16, mut change: impl FnMut(u16, u32, bool)) -> u32 {
    let mut parts = parts.iter().map(|(begin, end, class)| ((*begin).max(first), (*end).min(last), *class));
    let Some((.., base)) = parts.next() else { return 0 };
    let mut around = base;
    for (begin, end, class) in parts {
        if class != around {
            change(begin, class, begin == end);
            if begin != end {
                around = class;
            }
        }
    }
    base
}
