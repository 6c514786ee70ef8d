use std::{collections::BTreeMap, iter};

use super::{
    next_hop::NextHopId,
    runs::{Run, Stretch, runs},
};

/// All prefixes of one family, as far as tables know them.
#[derive(Debug, Default)]
pub(super) struct Prefixes<N> {
    /// Those that cover whole slots of the table: the length first, since they are asked one length after the other.
    short: BTreeMap<(u8, N), NextHopId>,
    long: BTreeMap<(N, u8), NextHopId>,
}

/// An address as a number.
pub(super) trait Number: Copy + Ord + Into<u128> {
    /// How many bits it has.
    const BITS: u8;
    /// How many of them name a slot of the table.
    const OF_SLOT: u8;
    /// How many bits a prefix has at least.
    const SHORTEST: u8;

    /// The number, which has no more bits.
    fn of(number: u128) -> Self;
}

impl Number for u32 {
    const BITS: u8 = 32;
    const OF_SLOT: u8 = 18;
    const SHORTEST: u8 = 1;

    fn of(number: u128) -> Self {
        number as Self
    }
}

impl Number for u128 {
    const BITS: u8 = 128;
    const OF_SLOT: u8 = 26;
    const SHORTEST: u8 = 9;

    fn of(number: u128) -> Self {
        number
    }
}

impl<N: Number> Prefixes<N> {
    pub(super) fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }

    /// Changes prefixes, each a number of which only the first bits count, and how many these are. Gives `set` the slots that are concerned, in order,
    /// with what prefixes mean together there.
    pub(super) fn apply(
        &mut self,
        changes: impl Iterator<Item = (N, u8, Option<NextHopId>)>,
        set: impl FnOnce(&mut dyn Iterator<Item = (u32, Vec<Run>)>),
    ) {
        let mut touched: Vec<(u32, u32)> = Vec::new();
        for (first, length, next) in changes {
            let before = if length <= N::OF_SLOT {
                replace(&mut self.short, (length, first), next)
            } else {
                replace(&mut self.long, (first, length), next)
            };
            if before != next {
                touched.push((slot::<N>(first.into()), slot::<N>(last::<N>(first.into(), length))));
            }
        }
        if touched.is_empty() {
            return;
        }
        touched.sort_unstable();
        let mut next = 0;
        let mut slots = touched.into_iter().flat_map(|(first, last)| {
            let begin = first.max(next);
            next = next.max(last + 1);
            begin..next
        });
        set(&mut iter::from_fn(|| slots.next().map(|slot| (slot, self.runs(slot)))));
    }

    fn runs(&self, slot: u32) -> Vec<Run> {
        let first = u128::from(slot) << (N::BITS - N::OF_SLOT);
        let last_of_slot = last::<N>(first, N::OF_SLOT);
        let covering = (N::SHORTEST..=N::OF_SLOT)
            .rev()
            .find_map(|length| self.short.get(&(length, N::of(first & !last::<N>(0, length)))));
        let within = Stretch { first, last: last_of_slot, value: NextHopId::value(covering.copied()) };
        let prefixes = self.long.range((N::of(first), 0)..=(N::of(last_of_slot), N::BITS));
        let prefixes = prefixes.map(|((first, length), next)| {
            let first = (*first).into();
            Stretch { first, last: last::<N>(first, *length), value: NextHopId::value(Some(*next)) }
        });
        runs(within, prefixes)
    }
}

/// Sets or removes, and returns what was there.
fn replace<K: Ord>(map: &mut BTreeMap<K, NextHopId>, key: K, next: Option<NextHopId>) -> Option<NextHopId> {
    match next {
        Some(next) => map.insert(key, next),
        None => map.remove(&key),
    }
}

/// The last number of a prefix.
fn last<N: Number>(first: u128, length: u8) -> u128 {
    first | u128::MAX.checked_shr((128 - N::BITS + length).into()).unwrap_or(0)
}

fn slot<N: Number>(number: u128) -> u32 {
    (number >> (N::BITS - N::OF_SLOT)) as u32
}
