//! Which bytes of a datagram have come.
//!
//! A short sorted list of disjoint ranges. Fragments that come in order always are one range; a reordering adds one for
//! each hole it leaves. Twenty-four ranges hold the largest datagram in any order at an MTU of 1500 (45 fragments, so at
//! most 23 ranges). A sender that needs more either cuts datagrams to pieces much smaller than any link asks for or
//! shuffles them on purpose; its fragment is refused without being recorded, which never lets an overlap pass,
//! since what did not pass cannot be overlapped.

use crate::{parse::Fragment, verdict::DropReason};

const MAX: usize = 24;

/// Bytes from `start` to before `end`. Datagrams have at most 65535 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Range {
    start: u16,
    end: u16,
}

/// The ranges of a datagram that have come, in order, no two of them touching.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ranges {
    list: [Range; MAX],
    count: u8,
    /// Length of the datagram's payload, once its last fragment has come.
    total: Option<u16>,
}

/// Why a fragment was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It overlaps what has come, or says otherwise where the datagram ends.
    Overlap,
    /// It leaves more holes than are tracked.
    Gaps,
}

impl Refusal {
    pub(super) const fn reason(self) -> DropReason {
        match self {
            Self::Overlap => DropReason::FragmentOverlap,
            Self::Gaps => DropReason::FragmentGaps,
        }
    }
}

impl Ranges {
    /// Adds a fragment, or leaves everything as it is.
    pub(super) fn add(&mut self, fragment: &Fragment) -> Result<(), Refusal> {
        // Decode has refused what reaches beyond 65535.
        let (Ok(start), Ok(end)) =
            (u16::try_from(fragment.offset), u16::try_from(fragment.offset + fragment.length))
        else {
            return Err(Refusal::Overlap);
        };
        let count = usize::from(self.count);
        let place = self.list.iter().take(count).take_while(|range| range.start < start).count();
        let before = place.checked_sub(1).and_then(|before| self.list.get(before)).copied();
        let after = self.list.get(place).filter(|_| place < count).copied();

        let is_beyond = self.total.is_some_and(|total| end > total);
        let is_second_end = !fragment.more && (self.total.is_some() || after.is_some());
        if is_beyond
            || is_second_end
            || before.is_some_and(|before| before.end > start)
            || after.is_some_and(|after| after.start < end)
        {
            return Err(Refusal::Overlap);
        }

        let joins_before = before.is_some_and(|before| before.end == start);
        let joins_after = after.is_some_and(|after| after.start == end);
        match (joins_before, joins_after) {
            (true, true) => {
                self.set(place - 1, |range| range.end = after.map_or(end, |after| after.end));
                self.list.copy_within(place + 1..count, place);
                self.count -= 1;
            }
            (true, false) => self.set(place - 1, |range| range.end = end),
            (false, true) => self.set(place, |range| range.start = start),
            (false, false) => {
                if count == MAX {
                    return Err(Refusal::Gaps);
                }
                self.list.copy_within(place..count, place + 1);
                self.set(place, |range| *range = Range { start, end });
                self.count += 1;
            }
        }
        if !fragment.more {
            self.total = Some(end);
        }
        Ok(())
    }

    /// Whether everything has come, from the first byte to the last.
    pub(super) fn is_complete(&self) -> bool {
        let [first, ..] = self.list;
        self.count == 1 && first.start == 0 && self.total == Some(first.end)
    }

    fn set(&mut self, place: usize, change: impl FnOnce(&mut Range)) {
        if let Some(range) = self.list.get_mut(place) {
            change(range);
        }
    }
}
