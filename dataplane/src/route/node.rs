//! Nodes: what is known of all addresses with the same beginning, found by the bits that follow.
//!
//! A node is words of 16 bits, in a list with others: how many numbers there are at which another answer begins, without the first, which is
//! 0; these numbers; then the answers: a value, or [`FURTHER`], if following bits divide what has these. If there are any such, offsets of the nodes
//! of following bits come last, one for each answer, from the beginning of the node that they are in.

use super::runs::Run;
use crate::threat::lanes;

/// The answer that is none yet.
pub(super) const FURTHER: u16 = u16::MAX;

/// Bits that something is found by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// How many bits of the address come behind them.
    pub(super) behind: u32,
    /// How many they are, up to 16.
    pub(super) bits: u32,
}

/// What the node at `at` and those below it say of an address.
#[inline]
pub(super) fn find(words: &[u16], mut at: usize, address: u128, levels: &[Level]) -> u16 {
    for level in levels {
        let word = (address >> level.behind) as u16 & (u16::MAX >> (16 - level.bits));
        let starts = usize::from(word_at(words, at));
        let values = at + 1 + starts;
        let line = words.get(at + 1..).and_then(|words| words.first_chunk::<{ lanes::WORDS }>());
        let index = match line {
            Some(line) if starts <= line.len() => {
                let (not_above, _) = lanes::compare(line, word);
                (not_above & ((1 << starts) - 1)).count_ones() as usize
            }
            Some(_) | None => {
                words.get(at + 1..values).unwrap_or_default().partition_point(|start| *start <= word)
            }
        };
        match word_at(words, values + index) {
            FURTHER => at += wide(words, values + starts + 1 + 2 * index),
            value => return value,
        }
    }
    0
}

#[inline]
fn word_at(words: &[u16], at: usize) -> u16 {
    words.get(at).copied().unwrap_or_default()
}

/// A number of 32 bits.
#[inline]
pub(super) fn wide(words: &[u16], at: usize) -> usize {
    let [low, high] = words.get(at..).and_then(|words| words.first_chunk::<2>()).copied().unwrap_or_default();
    usize::from(high) << 16 | usize::from(low)
}

/// The words that [`wide`] reads.
#[expect(clippy::cast_possible_truncation, reason = "the halves of 32 bits")]
pub(super) fn of_wide(number: usize) -> [u16; 2] {
    [number as u16, (number >> 16) as u16]
}

/// Appends the node of the first of `levels`, with those below it. The first of `runs` begins where the node does.
pub(super) fn encode(runs: &[Run], levels: &[Level], out: &mut Vec<u16>) {
    let Some((level, below)) = levels.split_first() else { return };
    let parts = parts(runs, *level);
    let begin = out.len();
    let starts = parts.get(1..).unwrap_or_default();
    out.push(starts.len() as u16);
    out.extend(starts.iter().map(|(word, _)| *word));
    out.extend(parts.iter().map(|(_, part)| part.value()));
    if parts.iter().all(|(_, part)| matches!(part, Part::Value(_))) {
        return;
    }
    let offsets = out.len();
    out.resize(offsets + 2 * parts.len(), 0);
    for (index, (_, part)) in parts.iter().enumerate() {
        if let Part::Divided(runs) = part {
            let offset = out.len() - begin;
            put_wide(out, offsets + 2 * index, offset);
            encode(runs, below, out);
        }
    }
}

pub(super) fn put_wide(words: &mut [u16], at: usize, number: usize) {
    if let Some(words) = words.get_mut(at..at + 2) {
        words.copy_from_slice(&of_wide(number));
    }
}

pub(super) enum Part {
    Value(u16),
    Divided(Vec<Run>),
}

impl Part {
    pub(super) fn value(&self) -> u16 {
        match self {
            Self::Value(value) => *value,
            Self::Divided(_) => FURTHER,
        }
    }
}

/// What becomes of runs at a level: the words at which another answer begins.
pub(super) fn parts(mut runs: &[Run], level: Level) -> Vec<(u16, Part)> {
    let mut parts = Vec::with_capacity(runs.len());
    let mut before = 0;
    while let [first, ..] = runs {
        let number = first.start >> level.behind;
        let (of_word, rest) = runs.split_at(runs.partition_point(|run| run.start >> level.behind == number));
        runs = rest;
        let word = (number & ((1 << level.bits) - 1)) as u16;
        let begin = number << level.behind;
        if let [run] = of_word
            && run.start == begin
        {
            parts.push((word, Part::Value(run.value)));
            before = run.value;
            continue;
        }
        let inherited = (first.start != begin).then_some(Run { start: begin, value: before });
        parts.push((word, Part::Divided(inherited.into_iter().chain(of_word.iter().copied()).collect())));
        before = of_word.last().map_or(before, |run| run.value);
        let is_last = u128::from(word) + 1 == 1 << level.bits;
        if !is_last && rest.first().is_none_or(|run| run.start >> level.behind != number + 1) {
            parts.push((word + 1, Part::Value(before)));
        }
    }
    parts
}
