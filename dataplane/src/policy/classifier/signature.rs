use super::{sides::RoleSets, space::Space};

/// For each interval a bit for each set that holds it, some sharing one; so that most rules which would have to be asked
/// need not be. Only of sets of several ranges, as the others are told apart by their range.
#[derive(Debug)]
pub(super) struct Signatures {
    of_interval: Vec<u64>,
    /// Of each set.
    bits: Vec<Bit>,
}

/// Which bit says that a set may hold an interval, if any does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bit(u32);

impl Bit {
    /// None: nothing is known.
    pub(super) const NONE: Self = Self(u64::BITS);

    pub(super) const fn number(self) -> u32 {
        self.0
    }

    pub(super) const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Whether the set may hold the interval with this signature.
    #[inline]
    pub(super) fn may_be_in(self, signature: u64) -> bool {
        signature.checked_shr(self.0).is_none_or(|rest| rest & 1 != 0)
    }
}

impl Signatures {
    /// An effort in proportion to `size`: sets that would take more of it have no bit.
    pub(super) fn new<A: Space>(sets: &RoleSets<A>, size: usize) -> Self {
        let mut signatures = Self { of_interval: Vec::new(), bits: vec![Bit::NONE; sets.way.len()] };
        let mut room = size * 16 + (1 << 16);
        for (set, bit) in (0u32..).zip(&mut signatures.bits) {
            let intervals = sets.intervals(set);
            if intervals.len() < 2 {
                continue;
            }
            let Some(left) = room.checked_sub(sets.coverage(set) as usize) else { continue };
            room = left;
            signatures.of_interval.resize(sets.starts.len(), 0);
            // Neighbours in number are spread well enough.
            *bit = Bit(set.wrapping_mul(0x9e37_79b1) >> 26);
            for (first, last) in intervals {
                let held = signatures.of_interval.get_mut(*first as usize..=*last as usize);
                held.unwrap_or_default().iter_mut().for_each(|signature| *signature |= 1 << bit.0);
            }
        }
        signatures
    }

    pub(super) fn bit(&self, set: u32) -> Bit {
        self.bits.get(set as usize).copied().unwrap_or(Bit::NONE)
    }

    /// The signature of an interval.
    #[inline]
    pub(super) fn of(&self, interval: u32) -> u64 {
        self.of_interval.get(interval as usize).copied().unwrap_or(u64::MAX)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.of_interval) + size_of_val(&*self.bits)
    }
}
