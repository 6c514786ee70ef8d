use std::num::NonZeroU16;

use super::node::FURTHER;

/// The number of a group of next hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHopId(NonZeroU16);

impl NextHopId {
    /// How many there can be.
    pub const MOST: usize = FURTHER as usize - 1;

    /// The one of an index below [`NextHopId::MOST`]; none beyond.
    pub fn new(index: usize) -> Option<Self> {
        let value = u16::try_from(index.checked_add(1)?).ok().filter(|value| *value != FURTHER)?;
        NonZeroU16::new(value).map(Self)
    }

    /// Its index.
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// As tables keep it: zero is none.
    pub(super) fn of_value(value: u16) -> Option<Self> {
        NonZeroU16::new(value).map(Self)
    }

    pub(super) fn value(of: Option<Self>) -> u16 {
        of.map_or(0, |id| id.0.get())
    }
}
