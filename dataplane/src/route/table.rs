use std::{array, collections::HashSet, iter, sync::Arc};

use super::{
    node::{self, Form, Found, Level},
    runs::Run,
    wave::WAVE,
};
use crate::prefetch::fetch;

/// Values of the first 32 bits of addresses. A copy shares what is not changed in either.
///
/// 6 bits choose a branch, 6 a block, 6 a slot of the block, 6 what a bitmap finds, and where prefixes are longer than that, 8 what a list
/// finds. A block has the offset of each slot's node, and the nodes in order of their slots; slots that are alike and beside each other
/// share one.
#[derive(Clone, Debug)]
pub(super) struct Table {
    root: Arc<[Branch; 64]>,
}

type Branch = Arc<[Block; 64]>;
type Block = Arc<[u16]>;

/// The levels below a slot.
const LEVELS: [Level; 2] =
    [Level { behind: 8, form: Form::Bitmap }, Level { behind: 0, form: Form::List(8) }];

/// How many bits of a number come behind those that name its slot.
pub(super) const BEHIND_SLOT: u32 = 14;

impl Default for Table {
    fn default() -> Self {
        let mut node = Vec::new();
        node::encode(&[Run { start: 0, value: 0 }], &LEVELS, &mut node);
        let block: Block = block(iter::repeat_n(&*node, 64)).into();
        let branch = Arc::new(array::from_fn(|_| Arc::clone(&block)));
        Self { root: Arc::new(array::from_fn(|_| Arc::clone(&branch))) }
    }
}

impl Table {
    pub(super) fn find(&self, number: u32) -> u16 {
        let block = self.block(number);
        finish(block, slot(block, number), number)
    }

    /// The same for at most [`WAVE`] numbers, step by step, so that the waits for memory of all of them overlap.
    #[inline(never)]
    pub(super) fn find_wave(&self, numbers: &[u32], values: &mut [u16]) {
        let mut blocks: [&[u16]; WAVE] = [&[]; WAVE];
        for (number, block) in numbers.iter().zip(&mut blocks) {
            *block = self.block(*number);
            block.get(slot_place(*number)).map(fetch);
        }
        let mut places = [0; WAVE];
        for ((number, block), at) in numbers.iter().zip(&blocks).zip(&mut places) {
            *at = slot(block, *number);
            block.get(*at).map(fetch);
        }
        for (((number, block), at), value) in numbers.iter().zip(&blocks).zip(&places).zip(values) {
            *value = finish(block, *at, *number);
        }
    }

    #[inline]
    fn block(&self, number: u32) -> &[u16] {
        let branch = self.root.get((number >> 26) as usize);
        branch.and_then(|branch| branch.get((number >> 20 & 63) as usize)).map_or(&[], |block| block)
    }

    /// Gives slots another content. They come in order.
    pub(super) fn set(&mut self, slots: impl IntoIterator<Item = (u32, Vec<Run>)>) {
        let mut slots = slots.into_iter().peekable();
        let mut before: Option<Block> = None;
        while let Some((first, _)) = slots.peek() {
            let number = first >> 6;
            let mut changed = [const { None }; 64];
            while let Some((slot, runs)) = slots.next_if(|(slot, _)| slot >> 6 == number) {
                if let Some(changed) = changed.get_mut((slot & 63) as usize) {
                    let mut node = Vec::new();
                    node::encode(&runs, &LEVELS, &mut node);
                    *changed = Some(node);
                }
            }
            let Some(branch) = Arc::make_mut(&mut self.root).get_mut((number >> 6) as usize) else { return };
            let Some(place) = Arc::make_mut(branch).get_mut((number & 63) as usize) else { return };
            let words =
                block(changed.iter().zip(nodes(place)).map(|(new, old)| new.as_deref().unwrap_or(old)));
            // Blocks that are covered by one prefix are alike.
            let same = before.filter(|before| **before == *words);
            *place = same.unwrap_or_else(|| words.into());
            before = Some(Arc::clone(place));
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let mut seen = HashSet::new();
        let mut bytes = ARC + size_of::<[Branch; 64]>();
        for branch in
            self.root.iter().filter(|branch| seen.insert(Arc::as_ptr(branch).addr())).collect::<Vec<_>>()
        {
            bytes += ARC + size_of::<[Block; 64]>();
            let blocks = branch.iter().filter(|block| seen.insert(Arc::as_ptr(block).addr()));
            bytes += blocks.map(|block| ARC + size_of_val(&**block)).sum::<usize>();
        }
        bytes
    }
}

/// The two counters of an `Arc`.
pub(super) const ARC: usize = 16;

/// Where the node of a number's slot is.
#[inline]
fn slot(block: &[u16], number: u32) -> usize {
    node::wide(block, slot_place(number))
}

#[inline]
fn slot_place(number: u32) -> usize {
    2 * (number >> BEHIND_SLOT & 63) as usize
}

#[inline]
fn finish(block: &[u16], at: usize, number: u32) -> u16 {
    match node::find_in_bitmap(block, at, number >> 8 & 63) {
        Found::Value(value) => value,
        Found::Further(at) => listed(block, at, number),
    }
}

#[inline(never)]
fn listed(block: &[u16], at: usize, number: u32) -> u16 {
    match node::find_in_list(block, at, number as u16 & 0xff) {
        Found::Value(value) => value,
        Found::Further(_) => 0,
    }
}

/// A block of the nodes of its slots.
fn block<'n>(nodes: impl IntoIterator<Item = &'n [u16]>) -> Vec<u16> {
    let mut words = vec![0; 2 * 64];
    let mut before = 0..0;
    for (slot, node) in nodes.into_iter().enumerate() {
        if before.is_empty() || words.get(before.clone()) != Some(node) {
            before = words.len()..words.len() + node.len();
            words.extend_from_slice(node);
        }
        if let Some(offset) = words.get_mut(2 * slot..2 * slot + 2) {
            offset.copy_from_slice(&node::of_wide(before.start));
        }
    }
    words
}

/// The nodes of a block's slots.
fn nodes(block: &[u16]) -> impl Iterator<Item = &[u16]> {
    let offsets = |slot: usize| node::wide(block, 2 * slot);
    (0..64).map(move |slot| {
        let begin = offsets(slot);
        let end = (slot + 1..64).map(offsets).find(|offset| *offset != begin).unwrap_or(block.len());
        block.get(begin..end).unwrap_or_default()
    })
}
