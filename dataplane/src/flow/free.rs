//! Which slots are free: a bit for each, and above every 64 bits one that says whether any of them is set.
//!
//! A list through the free entries would cost nothing, but its next element is known only when the last one has been read from
//! memory, one miss after the other. From bits, the next slots are known at once and can be fetched together.

use super::entry::Entry;
use crate::prefetch;

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
        let count = count.min(Self::READY);
        while self.ready.len() < count {
            let Some(at) = self.lowest_word() else { break };
            let Some(word) = self.levels.first_mut().and_then(|bits| bits.get_mut(at)) else { break };
            while *word != 0 && self.ready.len() < count {
                let slot = at * Self::WORD + word.trailing_zeros() as usize;
                *word &= *word - 1;
                if let Some(entry) = entries.get(slot) {
                    prefetch::fetch(entry);
                }
                self.ready.extend(u32::try_from(slot));
            }
            if *word == 0 {
                self.close(at);
            }
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
        let at = self.lowest_word()?;
        let word = self.levels.first_mut()?.get_mut(at)?;
        let slot = at * Self::WORD + word.trailing_zeros() as usize;
        *word &= *word - 1;
        if *word == 0 {
            self.close(at);
        }
        u32::try_from(slot).ok()
    }

    /// The first word with a free slot in it.
    fn lowest_word(&self) -> Option<usize> {
        let mut at = 0;
        for level in self.levels.iter().skip(1).rev() {
            let word = *level.get(at)?;
            if word == 0 {
                return None;
            }
            at = at * Self::WORD + word.trailing_zeros() as usize;
        }
        self.levels.first()?.get(at).is_some_and(|word| *word != 0).then_some(at)
    }

    /// Says in the levels above that the word `at` of the lowest has no free slot any more.
    fn close(&mut self, mut at: usize) {
        for level in self.levels.iter_mut().skip(1) {
            let Some(word) = level.get_mut(at / Self::WORD) else { return };
            *word &= !(1 << (at % Self::WORD));
            if *word != 0 {
                return;
            }
            at /= Self::WORD;
        }
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
