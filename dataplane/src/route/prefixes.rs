use std::collections::BTreeMap;

use super::{
    next_hop::NextHopId,
    runs::{Run, Stretch, runs},
    table::{BEHIND_SLOT, Table},
};

/// All prefixes of one family of up to 32 bits, and the table that is made of them.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    /// Those that cover whole slots of the table: the length first, since they are asked one length after the other.
    short: BTreeMap<(u8, u32), NextHopId>,
    long: BTreeMap<(u32, u8), NextHopId>,
    table: Table,
}

/// Bits that name a slot of the table.
const SLOT_BITS: u8 = 32 - BEHIND_SLOT as u8;

impl Prefixes {
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    pub(super) fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }

    /// Changes prefixes, each a number of which only the first bits count, and how many these are. Returns the numbers that are concerned: the first
    /// and the last of each prefix that has changed, in order and apart.
    pub(super) fn apply(
        &mut self,
        changes: impl Iterator<Item = (u32, u8, Option<NextHopId>)>,
    ) -> Vec<(u32, u32)> {
        let mut touched: Vec<(u32, u32)> = Vec::new();
        for (first, length, next) in changes {
            let before = if length <= SLOT_BITS {
                replace(&mut self.short, (length, first), next)
            } else {
                replace(&mut self.long, (first, length), next)
            };
            if before != next {
                touched.push((first, last(first, length)));
            }
        }
        touched.sort_unstable();
        touched.dedup_by(|(first, last), (_, before)| {
            let overlaps = *first <= *before;
            if overlaps {
                *before = (*before).max(*last);
            }
            overlaps
        });
        let mut slots = touched.iter().flat_map(|(first, last)| first >> BEHIND_SLOT..=last >> BEHIND_SLOT);
        let mut before = None;
        let slots = std::iter::from_fn(|| {
            let slot = slots.find(|slot| before != Some(*slot))?;
            before = Some(slot);
            Some(slot)
        });
        let Self { short, long, table } = self;
        table.set(slots.map(|slot| (slot, slot_runs(short, long, slot))));
        touched
    }
}

/// Sets or removes, and returns what was there.
pub(super) fn replace<K: Ord>(
    map: &mut BTreeMap<K, NextHopId>,
    key: K,
    next: Option<NextHopId>,
) -> Option<NextHopId> {
    match next {
        Some(next) => map.insert(key, next),
        None => map.remove(&key),
    }
}

fn last(first: u32, length: u8) -> u32 {
    first | u32::MAX.checked_shr(length.into()).unwrap_or(0)
}

fn slot_runs(
    short: &BTreeMap<(u8, u32), NextHopId>,
    long: &BTreeMap<(u32, u8), NextHopId>,
    slot: u32,
) -> Vec<Run> {
    let (first, last_of_slot) = (slot << BEHIND_SLOT, last(slot << BEHIND_SLOT, SLOT_BITS));
    let covering = (1..=SLOT_BITS).rev().find_map(|length| short.get(&(length, first & !last(0, length))));
    let within = Stretch {
        first: first.into(),
        last: last_of_slot.into(),
        value: NextHopId::value(covering.copied()),
    };
    let prefixes = long.range((first, 0)..=(last_of_slot, 32)).map(|((first, length), next)| Stretch {
        first: u128::from(*first),
        last: last(*first, *length).into(),
        value: NextHopId::value(Some(*next)),
    });
    runs(within, prefixes)
}
