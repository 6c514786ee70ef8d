//! Which slots are free: a bit for each, and above every 64 bits one that says whether any of them is set.
//!
//! A list through the free entries would cost nothing, but its next element is known only when the last one has been read from
//! memory, one miss after the other. From bits, the next slots are known at once and can be fetched together.

use super::{entry::Entry, prefetch};

/// The free slots.
#[derive(Debug)]
pub(super) struct Free {
    /// From the bits of the slots up to a single word.
    levels: Vec<Vec<u64>>,
    /// Slots taken out of the bits already, whose entries are on their way from memory.
    ready: Vec<u32>,
}

impl Free {
    const WORD: usize = 64;
    /// Slots kept ready, at most: as many as one chunk of packets can need.
    const READY: usize = 64;

    /// All slots below `capacity`.
    pub(super) fn new(capacity: usize) -> Self {
        let mut levels = Vec::new();
        let mut bits = capacity;
        loop {
            let mut level = vec![u64::MAX; bits.div_ceil(Self::WORD)];
            if let (Some(last), used @ 1..) = (level.last_mut(), bits % Self::WORD) {
                *last = (1 << used) - 1;
            }
            bits = level.len();
            levels.push(level);
            if bits <= 1 {
                break;
            }
        }
        Self { levels, ready: Vec::with_capacity(Self::READY) }
    }

    /// Bytes taken.
    pub(super) fn memory(&self) -> usize {
        let words: usize = self.levels.iter().map(Vec::capacity).sum();
        words * size_of::<u64>() + self.ready.capacity() * size_of::<u32>()
    }

    /// Gets the entries of up to `count` free slots on their way from memory.
    pub(super) fn prepare(&mut self, count: usize, entries: &[Entry]) {
        while self.ready.len() < count.min(Self::READY) {
            let Some(slot) = self.lowest() else { break };
            if let Some(entry) = entries.get(slot as usize) {
                prefetch::fetch(entry);
            }
            self.ready.push(slot);
        }
    }

    /// Takes a slot.
    pub(super) fn take(&mut self) -> Option<u32> {
        self.ready.pop().or_else(|| self.lowest())
    }

    /// Gives a slot back.
    pub(super) fn give_back(&mut self, slot: u32) {
        let mut at = slot as usize;
        for level in &mut self.levels {
            let Some(word) = level.get_mut(at / Self::WORD) else { return };
            let was = *word;
            *word |= 1 << (at % Self::WORD);
            if was != 0 {
                return;
            }
            at /= Self::WORD;
        }
    }

    /// Takes the lowest slot out of the bits.
    fn lowest(&mut self) -> Option<u32> {
        let mut at = 0;
        for level in self.levels.iter().rev() {
            let word = *level.get(at)?;
            if word == 0 {
                return None;
            }
            at = at * Self::WORD + word.trailing_zeros() as usize;
        }
        let slot = u32::try_from(at).ok()?;
        for level in &mut self.levels {
            let word = level.get_mut(at / Self::WORD)?;
            *word &= !(1 << (at % Self::WORD));
            if *word != 0 {
                break;
            }
            at /= Self::WORD;
        }
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn gives_every_slot_once() {
        for capacity in [1, 2, 63, 64, 65, 4095, 4096, 4097, 300_000] {
            let mut free = Free::new(capacity);
            let entries = vec![Entry::FREE; 10];
            let mut taken = BTreeSet::new();
            while let Some(slot) = free.take() {
                assert!(taken.insert(slot), "{slot} twice");
                free.prepare(taken.len() % 70, &entries);
            }
            assert_eq!(taken.len(), capacity);
            assert_eq!(taken.last().map(|slot| *slot as usize + 1), Some(capacity));
            for slot in taken.iter().rev().step_by(3) {
                free.give_back(*slot);
            }
            let again: Vec<u32> = std::iter::from_fn(|| free.take()).collect();
            assert_eq!(again.len(), capacity.div_ceil(3));
            assert!(again.is_sorted());
        }
    }
}
