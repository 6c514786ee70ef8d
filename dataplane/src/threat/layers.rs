mod builder;

use std::hint::select_unpredictable;

pub(super) use builder::Builder;

use super::{
    keys::Keys,
    lines::{Lines, Node, Said},
    record::{Kind, UNITS},
    table::Table,
};

/// Class of an IPv6 address. The first 32 bits are a key; from there on it goes word by word of 16 bits, from node to node, until
/// all that has the same beginning is of one class, or only few stretches are left.
#[derive(Debug)]
pub(super) struct Layers {
    /// For each beginning of 32 bits that stretches divide, the node of the next word.
    keys: Keys,
    lines: Lines,
    ranges: Vec<Range>,
    /// The classes of beginnings of 32 bits that stretches do not divide.
    whole: Table,
}

/// A stretch of addresses: the last 96 bits of the first and the last, and the class.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: [u32; 3],
    last: [u32; 3],
    class: u32,
}

/// Words that come behind the first 32 bits.
const DEPTHS: u32 = 6;

/// A word of an address, the first of those behind the first 32 bits being that of depth 0.
#[inline]
fn word(address: u128, depth: u32) -> u16 {
    (address >> (behind(depth) & 127)) as u16
}

/// How many bits come behind the word of a depth.
#[inline]
const fn behind(depth: u32) -> u32 {
    80 - 16 * depth
}

#[inline]
fn key(address: u128) -> u32 {
    (address >> 96) as u32
}

fn last_bits(address: u128) -> [u32; 3] {
    [(address >> 64) as u32, (address >> 32) as u32, address as u32]
}

/// The address of which the last 96 bits are these and the beginning that of another.
fn with_last_bits(beginning: u128, [one, two, three]: [u32; 3]) -> u128 {
    beginning >> 96 << 96 | u128::from(one) << 64 | u128::from(two) << 32 | u128::from(three)
}

impl Layers {
    pub(super) fn class(&self, address: u128) -> u32 {
        let line = self.look(self.begin(address), address);
        self.finish(self.step(line, address), address)
    }

    /// Begins to look for an address, and asks for the memory that [`Layers::look`] reads.
    #[inline]
    pub(super) fn begin(&self, address: u128) -> u32 {
        let home = self.keys.home(key(address));
        self.keys.fetch(home);
        home
    }

    /// Finds the line of an address, and asks for the memory that [`Layers::step`] reads.
    #[inline]
    pub(super) fn look(&self, home: u32, address: u128) -> u32 {
        let line = self.keys.get(home, key(address)).line(word(address, 0));
        self.lines.fetch(line);
        line
    }

    /// Finds what is said of an address, and asks for the memory that [`Layers::finish`] reads.
    #[inline]
    pub(super) fn step(&self, line: u32, address: u128) -> u32 {
        let said = self.lines.find(line, word(address, 0));
        self.lines.fetch_record(said);
        said.0
    }

    /// The class.
    #[inline(always)]
    pub(super) fn finish(&self, place: u32, address: u128) -> u32 {
        let said = Said(place);
        // Whether it is a record cannot be foretold; one is read in any case.
        let Some(units) = self.lines.record(said) else { return 0 };
        let class = match Kind::of_prefix(units, address) {
            Some(class) => select_unpredictable(said.is_record(), class, said.0),
            None => self.follow(units, address),
        };
        // What divided beginnings are not said to be, they are not.
        if class != 0 || self.whole.is_empty() { class } else { self.whole.class(key(address)) }
    }

    /// Goes on from a record that has come behind the word of depth 0.
    #[inline(never)]
    fn follow<'u>(&'u self, mut units: &'u [u32; UNITS], address: u128) -> u32 {
        for depth in 1..DEPTHS {
            let word = word(address, depth);
            match Kind::read(units) {
                Kind::Class(class) => return class,
                Kind::Prefix { .. } => return Kind::of_prefix(units, address).unwrap_or_default(),
                Kind::Ranges { count, first } => {
                    let bits = last_bits(address);
                    let range = self.ranges(count, first).iter().find(|range| bits <= range.last);
                    return range.filter(|range| range.first <= bits).map_or(0, |range| range.class);
                }
                Kind::Node(node) => {
                    let said = self.lines.find(node.line(word), word);
                    match self.lines.record(said) {
                        Some(record) if said.is_record() => units = record,
                        _ => return said.0,
                    }
                }
            }
        }
        0
    }

    fn ranges(&self, count: u32, first: u32) -> &[Range] {
        let first = first as usize;
        self.ranges.get(first..first + count as usize).unwrap_or_default()
    }

    /// Addresses at which the class may become another, in order.
    pub(super) fn begins(&self) -> impl Iterator<Item = u128> {
        let mut keys: Vec<(u32, Node)> = self.keys.iter().collect();
        keys.sort_unstable_by_key(|(key, _)| *key);
        let behind = keys.iter().filter_map(|(key, _)| key.checked_add(1));
        let mut all: Vec<u32> =
            keys.iter().map(|(key, _)| *key).chain(behind).chain(self.whole.begins()).collect();
        all.sort_unstable();
        all.dedup();
        let mut keys = keys.into_iter().peekable();
        all.into_iter().flat_map(move |key| {
            let beginning = u128::from(key) << 96;
            let mut begins = vec![beginning];
            if let Some((_, node)) = keys.next_if(|(of, _)| *of == key) {
                self.begins_of(Kind::Node(node), beginning, 0, &mut begins);
            }
            begins.sort_unstable();
            begins.dedup();
            begins
        })
    }

    /// Adds those below a record that comes before the word of a depth.
    fn begins_of(&self, kind: Kind, beginning: u128, depth: u32, begins: &mut Vec<u128>) {
        let mut add =
            |first: u128, last: u128| begins.extend([Some(first), last.checked_add(1)].into_iter().flatten());
        match kind {
            Kind::Class(_) => {}
            Kind::Prefix { bits, drop } => {
                let first = beginning >> 80 << 80 | bits;
                add(first, first | ((1 << drop) - 1));
            }
            Kind::Ranges { count, first } => {
                for range in self.ranges(count, first) {
                    add(with_last_bits(beginning, range.first), with_last_bits(beginning, range.last));
                }
            }
            Kind::Node(node) => self.lines.words(node, |word, said| {
                let beginning = beginning | u128::from(word) << behind(depth);
                begins.push(beginning);
                if said.is_record()
                    && let Some(units) = self.lines.record(said)
                {
                    self.begins_of(Kind::read(units), beginning, depth + 1, begins);
                }
            }),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.keys.bytes() + self.lines.bytes() + size_of_val(&*self.ranges) + self.whole.bytes()
    }
}
