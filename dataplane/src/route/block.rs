//! Blocks: what is known of all addresses with the same beginning, found by the 12 bits that follow: 6 name a slot, 6 a word.
//!
//! A block is words of 16 bits. It begins with an entry for each slot: a bitmap, in which bit `n` says that another answer begins at word `n`; where
//! the value is that goes on from the slot before, with the slot's own behind it; and where what is known further begins. Behind the entries
//! is that: for each slot a bitmap of the words that are divided, the offset of the node of each, from there on, and these nodes.
//! Then all values. So most addresses read one line for the entry, and one for the value.

use std::{borrow::Cow, sync::Arc};

use super::{
    node::{self, FURTHER, Level, Part, put_wide, wide},
    runs::Run,
};

pub(super) type Block = Arc<[u16]>;

pub(super) const SLOTS: usize = 64;

/// Words of an entry.
const ENTRY: usize = 8;
/// Words of a bitmap.
const BITMAP: usize = 4;

/// What a slot has.
#[derive(Debug)]
pub(super) struct Slot<'b> {
    /// Where answers begin; always at 0.
    bitmap: u64,
    values: Cow<'b, [u16]>,
    further: Cow<'b, [u16]>,
}

impl Slot<'_> {
    /// A slot of these runs, the first of which begins where it does, whose words have `behind` bits behind them, found by `levels`.
    pub(super) fn new(runs: &[Run], behind: u32, levels: &[Level]) -> Self {
        let parts = node::parts(runs, Level { behind, bits: 6 });
        let bitmap = parts.iter().fold(0, |bitmap, (word, _)| bitmap | 1 << word);
        let divided = || {
            parts.iter().filter_map(|(word, part)| match part {
                Part::Value(_) => None,
                Part::Divided(runs) => Some((word, runs)),
            })
        };
        let mut further = Vec::new();
        let count = divided().count();
        if count > 0 {
            let divided_words = divided().fold(0, |bitmap: u64, (word, _)| bitmap | 1 << word);
            further.extend(of_bitmap(divided_words));
            further.resize(BITMAP + 2 * count, 0);
            for (index, (_, runs)) in divided().enumerate() {
                let offset = further.len();
                put_wide(&mut further, BITMAP + 2 * index, offset);
                node::encode(runs, levels, &mut further);
            }
        }
        let values: Vec<u16> = parts.iter().map(|(_, part)| part.value()).collect();
        Self { bitmap, values: values.into(), further: further.into() }
    }
}

/// A block of its slots.
pub(super) fn make(slots: &[Slot<'_>]) -> Vec<u16> {
    let further: usize = slots.iter().map(|slot| slot.further.len()).sum();
    let values: usize = slots.iter().map(|slot| slot.values.len()).sum();
    let mut block = Vec::with_capacity(SLOTS * ENTRY + further + values);
    let (mut further_at, mut value_at) = (SLOTS * ENTRY, SLOTS * ENTRY + further);
    let mut before = None;
    for slot in slots {
        let goes_on = goes_on(slot, before);
        let bitmap = slot.bitmap & !u64::from(goes_on);
        block.extend(of_bitmap(bitmap));
        block.extend(node::of_wide(value_at - 1));
        block.extend(node::of_wide(further_at));
        further_at += slot.further.len();
        value_at += slot.values.len() - usize::from(goes_on);
        before = slot.values.last();
    }
    slots.iter().for_each(|slot| block.extend_from_slice(&slot.further));
    let mut before = None;
    for slot in slots {
        block.extend_from_slice(slot.values.get(usize::from(goes_on(slot, before))..).unwrap_or_default());
        before = slot.values.last();
    }
    block
}

/// Whether a slot begins with the value that the one before ended with.
fn goes_on(slot: &Slot<'_>, before: Option<&u16>) -> bool {
    before.is_some_and(|before| *before != FURTHER && slot.values.first() == Some(before))
}

/// The slots of a block.
pub(super) fn slots(block: &[u16]) -> impl Iterator<Item = Slot<'_>> {
    let further = |slot: usize| wide(block, ENTRY * slot + BITMAP + 2);
    let values_begin = wide(block, BITMAP) + 1;
    (0..SLOTS).map(move |slot| {
        let bitmap = bitmap(block, ENTRY * slot);
        let before = wide(block, ENTRY * slot + BITMAP);
        let values = before + (bitmap & 1) as usize..=before + bitmap.count_ones() as usize;
        let end = if slot + 1 < SLOTS { further(slot + 1) } else { values_begin };
        Slot {
            bitmap: bitmap | 1,
            values: block.get(values).unwrap_or_default().into(),
            further: block.get(further(slot)..end).unwrap_or_default().into(),
        }
    })
}

/// Which slot an address belongs to, and which word: of the bits that name them.
const fn parts(bits: u32) -> (usize, u32) {
    ((bits >> 6 & 63) as usize, bits & 63)
}

/// Where the entry of an address is, by the 12 bits.
#[inline]
pub(super) const fn entry(bits: u32) -> usize {
    ENTRY * parts(bits).0
}

/// Where the value of an address is.
#[inline]
pub(super) fn place(block: &[u16], bits: u32) -> usize {
    let entry = block.get(entry(bits)..).and_then(|words| words.first_chunk::<ENTRY>());
    let [a, b, c, d, low, high, ..] = entry.copied().unwrap_or_default();
    let bitmap = u64::from(d) << 48 | u64::from(c) << 32 | u64::from(b) << 16 | u64::from(a);
    let own = (bitmap << (63 - parts(bits).1)).count_ones();
    (usize::from(high) << 16 | usize::from(low)) + own as usize
}

/// Where what is known further of the slot of an address begins.
#[inline]
pub(super) fn further(block: &[u16], bits: u32) -> usize {
    wide(block, entry(bits) + BITMAP + 2)
}

/// Where there the node of the address's word is.
#[inline]
pub(super) fn node(block: &[u16], further: usize, bits: u32) -> usize {
    let before = bitmap(block, further) & ((1 << parts(bits).1) - 1);
    further + wide(block, further + BITMAP + 2 * before.count_ones() as usize)
}

#[inline]
fn bitmap(words: &[u16], at: usize) -> u64 {
    let bitmap = words.get(at..).and_then(|words| words.first_chunk::<BITMAP>()).copied().unwrap_or_default();
    bitmap.into_iter().rev().fold(0, |all, word| all << 16 | u64::from(word))
}

fn of_bitmap(bitmap: u64) -> [u16; BITMAP] {
    std::array::from_fn(|word| (bitmap >> (16 * word)) as u16)
}
