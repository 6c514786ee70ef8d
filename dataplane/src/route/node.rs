//! Nodes: what is known of all addresses with the same beginning, found by the bits that follow.
//!
//! Nodes are words of 16 bits, in a list with others. A node of 6 bits has a bitmap: bit `n` says that another answer begins at `n`, and
//! the number of bits up to there is where the answer is. A node of up to 16 bits has a list of the numbers at which another
//! answer begins, without the first, which is 0, and how many these are. Then both have the answers: a value, or [`FURTHER`], if following bits divide what has these. If there are any such, offsets
//! of the nodes of following bits come last, one for each answer, from the beginning of the node that they are in.

use super::runs::Run;
use crate::threat::lanes;

/// The answer that is none yet.
pub(super) const FURTHER: u16 = u16::MAX;

/// Bits that a node is found by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// How many bits of the address come behind them.
    pub(super) behind: u32,
    pub(super) form: Form,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// 6 bits.
    Bitmap,
    /// So many bits, up to 16.
    List(u32),
}

/// What a node says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Value(u16),
    /// Where the next node is.
    Further(usize),
}

/// Asks the node at `at`, which has a bitmap, for the number `word` below 64.
#[inline]
pub(super) fn find_in_bitmap(words: &[u16], at: usize, word: u32) -> Found {
    let bitmap = bitmap(words, at);
    // Bit 0 is always there: the first answer has index 0.
    let index = (bitmap & (u64::MAX >> (63 - (word & 63))) & !1).count_ones() as usize;
    let values = at + BITMAP;
    match word_at(words, values + index) {
        FURTHER => Found::Further(at + wide(words, values + bitmap.count_ones() as usize + 2 * index)),
        value => Found::Value(value),
    }
}

/// Asks the node at `at`, which has a list.
#[inline]
pub(super) fn find_in_list(words: &[u16], at: usize, word: u16) -> Found {
    let starts = usize::from(word_at(words, at));
    let values = at + 1 + starts;
    let line = words.get(at + 1..).and_then(|words| words.first_chunk::<{ lanes::WORDS }>());
    let index = match line {
        Some(line) if starts <= line.len() => {
            let (not_above, _) = lanes::compare(line, word);
            (not_above & ((1 << starts) - 1)).trailing_ones() as usize
        }
        Some(_) | None => {
            words.get(at + 1..values).unwrap_or_default().partition_point(|start| *start <= word)
        }
    };
    match word_at(words, values + index) {
        FURTHER => Found::Further(at + wide(words, values + starts + 1 + 2 * index)),
        value => Found::Value(value),
    }
}

/// Words from the beginning of a list's node on, with which it is found faster.
pub(super) const LINE: usize = 1 + lanes::WORDS;

/// Words of a bitmap.
const BITMAP: usize = 4;

#[inline]
fn bitmap(words: &[u16], at: usize) -> u64 {
    let bitmap = words.get(at..).and_then(|words| words.first_chunk::<BITMAP>()).copied().unwrap_or_default();
    bitmap.into_iter().rev().fold(0, |all, word| all << 16 | u64::from(word))
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
    match level.form {
        Form::Bitmap => {
            let bitmap = parts.iter().fold(0u64, |all, (word, _)| all | 1 << word);
            out.extend((0..BITMAP).map(|word| (bitmap >> (16 * word)) as u16));
        }
        Form::List(_) => {
            let starts = parts.get(1..).unwrap_or_default();
            out.push(starts.len() as u16);
            out.extend(starts.iter().map(|(word, _)| *word));
        }
    }
    out.extend(parts.iter().map(|(_, part)| match part {
        Part::Value(value) => *value,
        Part::Divided(_) => FURTHER,
    }));
    if parts.iter().all(|(_, part)| matches!(part, Part::Value(_))) {
        return;
    }
    let offsets = out.len();
    out.resize(offsets + 2 * parts.len(), 0);
    for (index, (_, part)) in parts.iter().enumerate() {
        if let Part::Divided(runs) = part {
            let offset = of_wide(out.len() - begin);
            let place = offsets + 2 * index;
            if let Some(words) = out.get_mut(place..place + 2) {
                words.copy_from_slice(&offset);
            }
            encode(runs, below, out);
        }
    }
}

enum Part {
    Value(u16),
    Divided(Vec<Run>),
}

/// What becomes of runs at a level: the words at which another answer begins.
fn parts(mut runs: &[Run], level: Level) -> Vec<(u16, Part)> {
    let bits = match level.form {
        Form::Bitmap => 6,
        Form::List(bits) => bits,
    };
    let mut parts = Vec::with_capacity(runs.len());
    let mut before = 0;
    while let [first, ..] = runs {
        let number = first.start >> level.behind;
        let (of_word, rest) = runs.split_at(runs.partition_point(|run| run.start >> level.behind == number));
        runs = rest;
        let word = (number & ((1 << bits) - 1)) as u16;
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
        let is_last = u128::from(word) + 1 == 1 << bits;
        if !is_last && rest.first().is_none_or(|run| run.start >> level.behind != number + 1) {
            parts.push((word + 1, Part::Value(before)));
        }
    }
    parts
}
