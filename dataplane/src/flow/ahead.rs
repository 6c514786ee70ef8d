//! What is done for many packets at once before they are worked on one by one, so that their waits for memory overlap.
//!
//! Functions of their own and not inlined: each is a small loop, whose values all fit in registers
//! (`docs/adr/0006-flow-table.md`, "Loops").

use super::{FlowTable, entry::micros, index::Hint};
use crate::prefetch;
use crate::{batch::Meta, clock::Timestamp};

/// The earliest time in a batch: live, that of all of its packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Oldest {
    time: Timestamp,
    pub(super) micros: u64,
}

impl Oldest {
    /// A time in the table's own unit.
    pub(super) fn micros(&self, time: Timestamp) -> u64 {
        if time == self.time { self.micros } else { micros(time) }
    }
}

impl FlowTable {
    /// Packets looked at together: their entries fit the first-level cache, and their misses overlap.
    pub(super) const CHUNK: usize = 64;

    /// Fetches the home buckets of a whole batch.
    #[inline(never)]
    pub(super) fn fetch_homes(&self, metas: &[Meta]) -> Oldest {
        let mut oldest = Timestamp::from_nanos(u64::MAX);
        for meta in metas {
            oldest = oldest.min(meta.time);
            if is_concerned(meta) {
                self.index.prefetch(meta.hash);
            }
        }
        Oldest { time: oldest, micros: micros(oldest) }
    }

    /// Asks the index about the packets of a chunk, and fetches the entries that it names.
    #[inline(never)]
    pub(super) fn ask(&self, chunk: &[Meta]) -> [Hint; Self::CHUNK] {
        let fetch = |slot: u32| {
            if let Some(entry) = self.entries.get(slot as usize) {
                prefetch::fetch(entry);
            }
        };
        let mut hints = [Hint::UNASKED; Self::CHUNK];
        // Bits of the packets whose other bucket has to be asked, which is on its way meanwhile.
        let mut unsure = 0_u64;
        for ((meta, hint), at) in chunk.iter().zip(&mut hints).zip(0..) {
            if is_concerned(meta) {
                *hint = self.index.hint(meta.hash, fetch);
                if *hint == Hint::UNSURE {
                    unsure |= 1 << at;
                }
            }
        }
        while unsure != 0 {
            let at = unsure.trailing_zeros() as usize;
            if let (Some(meta), Some(hint)) = (chunk.get(at), hints.get_mut(at)) {
                *hint = self.index.hint_away(meta.hash, fetch);
            }
            unsure &= unsure - 1;
        }
        hints
    }
}

/// Whether a packet is the table's business.
fn is_concerned(meta: &Meta) -> bool {
    meta.keyed && meta.verdict.is_undecided()
}
