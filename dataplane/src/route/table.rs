use std::{array, collections::HashSet, iter, sync::Arc};

use super::{
    block::{self, Block, Slot},
    node::{self, FURTHER, Level},
    runs::Run,
};
use crate::prefetch::fetch;

/// Values of addresses, found by 24 bits of them, the *head*, and where prefixes are longer by more. A copy shares what is not changed in either.
///
/// 4 bits choose a branch, 4 a twig of it, 4 a block of that, and 12 what the block says. So few at a time, because whoever changes a block has
/// to count one more user of each of its neighbours on the way, which readers have in their caches.
#[derive(Clone, Debug)]
pub(super) struct Table {
    root: Arc<[Branch; FAN]>,
    shape: &'static Shape,
}

type Branch = Arc<[Twig; FAN]>;
type Twig = Arc<[Block; FAN]>;

const FAN: usize = 16;

/// How addresses lie in a table.
#[derive(Debug)]
pub(super) struct Shape {
    /// How many bits come behind the head.
    pub(super) behind: u32,
    /// How these are found.
    pub(super) levels: &'static [Level],
}

/// Bits of the head that name a slot of a block.
pub(super) const SLOT_BITS: u32 = 18;

/// Addresses that are looked up together, at most.
pub(super) const WAVE: usize = 64;

impl Table {
    /// Without any value.
    pub(super) fn new(shape: &'static Shape) -> Self {
        let nothing = || Slot::new(&[Run { start: 0, value: 0 }], shape.behind, shape.levels);
        let block: Block = block::make(&array::from_fn::<_, { block::SLOTS }, _>(|_| nothing())).into();
        let twig = Arc::new(array::from_fn(|_| Arc::clone(&block)));
        let branch = Arc::new(array::from_fn(|_| Arc::clone(&twig)));
        Self { root: Arc::new(array::from_fn(|_| Arc::clone(&branch))), shape }
    }

    /// The value of an address.
    pub(super) fn find(&self, address: u128) -> u16 {
        let head = (address >> self.shape.behind) as u32;
        let block = self.block(head);
        match block.get(block::place(block, head)) {
            Some(&FURTHER) => {
                let node = block::node(block, block::further(block, head), head);
                node::find(block, node, address, self.shape.levels)
            }
            value => value.copied().unwrap_or_default(),
        }
    }

    /// What knows of the addresses of a head.
    #[inline]
    pub(super) fn block(&self, head: u32) -> &[u16] {
        let [branch, twig, block] = steps(head >> 12);
        let twig = self.root.get(branch).and_then(|branch| branch.get(twig));
        twig.and_then(|twig| twig.get(block)).map_or(&[], |block| block)
    }

    /// Gives slots another content. They come in order.
    pub(super) fn set(&mut self, slots: impl Iterator<Item = (u32, Vec<Run>)>) {
        let shape = self.shape;
        let mut slots = slots.peekable();
        let mut before: Option<Block> = None;
        while let Some((first, _)) = slots.peek() {
            let number = first >> 6;
            let [branch, twig, block] = steps(number);
            let branch = Arc::make_mut(&mut self.root).get_mut(branch).map(Arc::make_mut);
            let twig = branch.and_then(|branch| branch.get_mut(twig)).map(Arc::make_mut);
            let Some(place) = twig.and_then(|twig| twig.get_mut(block)) else { return };
            let mut of_block: Vec<Slot<'_>> = block::slots(place).collect();
            while let Some((slot, runs)) = slots.next_if(|(slot, _)| slot >> 6 == number) {
                if let Some(of_block) = of_block.get_mut((slot & 63) as usize) {
                    *of_block = Slot::new(&runs, shape.behind, shape.levels);
                }
            }
            let words = block::make(&of_block);
            // Blocks that are covered by one prefix are alike.
            let same = before.filter(|before| **before == *words);
            *place = same.unwrap_or_else(|| words.into());
            before = Some(Arc::clone(place));
        }
    }

    pub(super) fn bytes(&self) -> usize {
        /// The two counters of an `Arc`.
        const COUNTERS: usize = 16;

        fn apart<'a, T: ?Sized>(all: impl Iterator<Item = &'a Arc<T>>) -> Vec<&'a Arc<T>> {
            let mut seen = HashSet::new();
            all.filter(|one| seen.insert(Arc::as_ptr(one).addr())).collect()
        }

        let branches = apart(self.root.iter());
        let twigs = apart(branches.iter().flat_map(|branch| branch.iter()));
        let blocks = apart(twigs.iter().flat_map(|twig| twig.iter()));
        let blocks: usize = blocks.into_iter().map(|block| COUNTERS + size_of_val(&**block)).sum();
        let branch = COUNTERS + size_of::<[Twig; FAN]>();
        let twig = COUNTERS + size_of::<[Block; FAN]>();
        branch + branches.len() * branch + twigs.len() * twig + blocks
    }
}

/// The way to a block, of which 12 bits name one.
#[inline]
const fn steps(block: u32) -> [usize; 3] {
    [(block >> 8 & 15) as usize, (block >> 4 & 15) as usize, (block & 15) as usize]
}

/// Finds the values of at most [`WAVE`] addresses, step by step, so that the waits for memory of all of them overlap.
///
/// `head` gives the head of an address, and `block` what knows of it.
#[inline]
pub(super) fn find_wave<'t, A: Copy + Into<u128>>(
    addresses: &[A],
    values: &mut [u16; WAVE],
    head: impl Fn(A) -> u32,
    block: impl Fn(A) -> &'t [u16],
    levels: &[Level],
) {
    let mut blocks: [&[u16]; WAVE] = [&[]; WAVE];
    for (address, to) in addresses.iter().zip(&mut blocks) {
        *to = block(*address);
        to.get(block::entry(head(*address))).map(fetch);
    }
    let mut places = [0; WAVE];
    for ((address, block), place) in addresses.iter().zip(&blocks).zip(&mut places) {
        *place = block::place(block, head(*address));
        block.get(*place).map(fetch);
    }
    let mut divided = 0u64;
    for (((number, value), block), place) in
        (0..addresses.len()).zip(values.iter_mut()).zip(&blocks).zip(&places)
    {
        *value = block.get(*place).copied().unwrap_or_default();
        divided |= u64::from(*value == FURTHER) << number;
    }
    if divided != 0 {
        further(divided, addresses, values, head, &blocks, &mut places, levels);
    }
}

/// The rest, for those of which longer prefixes are known: a bit for each.
#[inline(always)]
fn further<A: Copy + Into<u128>>(
    divided: u64,
    addresses: &[A],
    values: &mut [u16; WAVE],
    head: impl Fn(A) -> u32,
    blocks: &[&[u16]; WAVE],
    places: &mut [usize; WAVE],
    levels: &[Level],
) {
    for number in ones(divided) {
        if let (Some(address), Some(block), Some(place)) =
            (addresses.get(number), blocks.get(number), places.get_mut(number))
        {
            *place = block::further(block, head(*address));
            block.get(*place).map(fetch);
        }
    }
    for number in ones(divided) {
        if let (Some(address), Some(block), Some(place)) =
            (addresses.get(number), blocks.get(number), places.get_mut(number))
        {
            *place = block::node(block, *place, head(*address));
            block.get(*place).map(fetch);
        }
    }
    for number in ones(divided) {
        if let (Some(address), Some(block), Some(place), Some(value)) =
            (addresses.get(number), blocks.get(number), places.get(number), values.get_mut(number))
        {
            *value = node::find(block, *place, (*address).into(), levels);
        }
    }
}

/// The numbers of the bits that are set.
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    iter::from_fn(move || {
        let number = bits.trailing_zeros() as usize;
        (bits != 0).then(|| {
            bits &= bits - 1;
            number
        })
    })
}
