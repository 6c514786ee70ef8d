use super::{Layers, Range, behind, key, last_bits, word};
use crate::threat::{
    keys::Keys,
    lines::{self, Node, Part},
    record::Record,
    table,
};

/// Addresses, first and last, and their class.
type Stretch = (u128, u128, u32);

/// Ranges that are looked through where words do not tell them apart.
const FEW: usize = 8;

/// Makes layers of stretches that come in order.
#[derive(Debug)]
pub(in crate::threat) struct Builder {
    keys: Vec<(u32, Node)>,
    lines: lines::Builder,
    ranges: Vec<Range>,
    whole: table::Builder,
    /// The stretches with the same first 32 bits that came last.
    open: Vec<Stretch>,
}

impl Builder {
    /// For about so many entries.
    pub(in crate::threat) fn new(entries: usize) -> Self {
        Self {
            keys: Vec::new(),
            lines: lines::Builder::new(entries),
            ranges: Vec::new(),
            whole: table::Builder::new(0),
            open: Vec::new(),
        }
    }

    /// The next stretch, behind all before.
    pub(in crate::threat) fn push(&mut self, first: u128, last: u128, class: u32) {
        const REST: u128 = u128::MAX >> 32;
        let (from, to) = (key(first), key(last));
        let (begins, ends) = (first & REST == 0, last & REST == REST);
        if from == to && !(begins && ends) {
            return self.add((first, last, class));
        }
        if !begins {
            self.add((first, first | REST, class));
        }
        let from = if begins { Some(from) } else { from.checked_add(1) };
        let until = if ends { Some(to) } else { to.checked_sub(1) };
        if let (Some(from), Some(until)) = (from, until)
            && from <= until
        {
            self.whole.push(from, until, class);
        }
        if !ends {
            self.add((last & !REST, last, class));
        }
    }

    pub(in crate::threat) fn finish(mut self) -> Layers {
        self.close();
        self.ranges.shrink_to_fit();
        let keys = Keys::new(&self.keys);
        Layers { keys, lines: self.lines.finish(), ranges: self.ranges, whole: self.whole.finish() }
    }

    /// The next stretch that shares its first 32 bits with no other of a class, or is only part of them.
    fn add(&mut self, stretch: Stretch) {
        let (first, last, class) = stretch;
        match self.open.last_mut() {
            Some((before, ..)) if key(*before) != key(first) => self.close(),
            Some((_, before, same)) if *same == class && before.checked_add(1) == Some(first) => {
                *before = last;
                return;
            }
            Some(_) | None => {}
        }
        self.open.push(stretch);
    }

    /// Makes what belongs to the first 32 bits of the stretches that came last.
    fn close(&mut self) {
        let stretches = std::mem::take(&mut self.open);
        let Some((first, ..)) = stretches.first() else { return };
        let node = self.node(&stretches, 0);
        self.keys.push((key(*first), node));
        self.open = stretches;
        self.open.clear();
    }

    /// What comes before the word of a depth, where addresses are the same up to this word and stretches divide them.
    fn record(&mut self, stretches: &[Stretch], depth: u32) -> Record {
        if let [(first, last, class)] = *stretches
            && let Some(record) = of_one(first, last, class)
        {
            return record;
        }
        let ends = stretches.first().zip(stretches.last());
        let is_one_word =
            ends.is_some_and(|((first, ..), (_, last, _))| word(*first, depth) == word(*last, depth));
        // A node is a line at least.
        if stretches.len() > if is_one_word { FEW } else { 2 } {
            return Record::of_node(self.node(stretches, depth));
        }
        let begin = self.ranges.len() as u32;
        self.ranges.extend(stretches.iter().map(|(first, last, class)| Range {
            first: last_bits(*first),
            last: last_bits(*last),
            class: *class,
        }));
        Record::of_ranges(stretches.len() as u32, begin)
    }

    /// The node for the word of a depth.
    fn node(&mut self, stretches: &[Stretch], depth: u32) -> Node {
        let rest_of_word = (1u128 << behind(depth)) - 1;
        let mut parts = Parts::default();
        let mut rest = stretches;
        // Where the first of the rest begins, if it has begun before.
        let mut cut = None;
        while let Some((first, last, class)) = rest.first().copied() {
            let first = cut.take().unwrap_or(first);
            let at = word(first, depth);
            let end = first | rest_of_word;
            let (whole_from, whole_to) = (first & rest_of_word == 0, last & rest_of_word == rest_of_word);
            if whole_from && end <= last {
                let until = word(last, depth);
                parts.push(
                    at,
                    if whole_to { until } else { until.saturating_sub(1) },
                    Record::of_class(class),
                );
                cut = (!whole_to).then_some(last & !rest_of_word);
                rest = if whole_to { rest.split_first().map_or(&[], |(_, rest)| rest) } else { rest };
                continue;
            }
            let until = rest.partition_point(|(first, ..)| *first <= end);
            let (inside, behind) = rest.split_at_checked(until).unwrap_or_default();
            let mut inside = inside.to_vec();
            if let Some((begin, ..)) = inside.first_mut() {
                *begin = first;
            }
            rest = behind;
            if let Some((_, until, _)) = inside.last_mut()
                && *until > end
            {
                *until = end;
                cut = end.checked_add(1);
                rest = stretches.get(stretches.len() - behind.len() - 1..).unwrap_or_default();
            }
            let record = self.record(&inside, depth + 1);
            parts.push(at, at, record);
        }
        self.lines.node(&parts.finish())
    }
}

/// What is said of addresses that one stretch divides, if that is a prefix.
fn of_one(first: u128, last: u128, class: u32) -> Option<Record> {
    let span = first ^ last;
    let is_prefix = span & span.wrapping_add(1) == 0 && first & span == 0;
    if is_prefix { Record::of_prefix(first, span.count_ones(), class) } else { None }
}

/// Parts without gaps.
#[derive(Default)]
struct Parts {
    parts: Vec<Part>,
    /// The first word that is not there yet.
    next: u32,
}

impl Parts {
    /// The next part, behind all before.
    fn push(&mut self, first: u16, last: u16, record: Record) {
        self.fill(first.into());
        self.next = u32::from(last) + 1;
        match self.parts.last_mut() {
            Some((_, before, same)) if *same == record && record.class().is_some() => *before = last,
            Some(_) | None => self.parts.push((first, last, record)),
        }
    }

    fn fill(&mut self, until: u32) {
        if self.next < until {
            self.push(self.next as u16, (until - 1) as u16, Record::NONE);
        }
    }

    fn finish(mut self) -> Vec<Part> {
        self.fill(1 << 16);
        self.parts
    }
}
