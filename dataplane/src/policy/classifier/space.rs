use std::net::IpAddr;

use super::{map4::Map4, map6::Map6};
use crate::policy::AddressSet;

/// The addresses of one family, as numbers.
pub(super) trait Space: Copy + Ord + std::hash::Hash + std::fmt::Debug {
    const FIRST: Self;
    const LAST: Self;
    type Map: Map<Self>;

    /// The address behind; `None` behind the last.
    fn next(self) -> Option<Self>;
    /// What of a set is of this family.
    fn ranges(set: &AddressSet) -> &[(Self, Self)];
    /// The address, if it is of this family.
    fn of(address: IpAddr) -> Option<Self>;
}

/// Finds the interval of an address: intervals are numbered in order, the first begins at the first address.
pub(super) trait Map<A: Copy>: std::fmt::Debug {
    /// From the first address of every interval, in order.
    fn new(starts: &[A]) -> Self;
    /// Asks for the memory that [`Map::begin`] reads.
    fn fetch(&self, address: A);
    /// Begins to look for an address, and asks for the memory that [`Map::step`] reads; says where it is.
    fn begin(&self, address: A) -> u32;
    /// Goes on from where it was, and asks for the memory that [`Map::finish`] reads.
    fn step(&self, at: u32, address: A) -> u32;
    /// The number of the interval that holds `address`.
    fn finish(&self, at: u32, address: A) -> u32;

    /// The number of the interval that holds `address`, at once.
    fn rank(&self, address: A) -> u32 {
        self.finish(self.step(self.begin(address), address), address)
    }

    /// Bytes of memory.
    fn bytes(&self) -> usize;
}

impl Space for u32 {
    const FIRST: Self = 0;
    const LAST: Self = Self::MAX;
    type Map = Map4;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn ranges(set: &AddressSet) -> &[(Self, Self)] {
        set.v4()
    }

    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => Some(address.to_bits()),
            IpAddr::V6(_) => None,
        }
    }
}

impl Space for u128 {
    const FIRST: Self = 0;
    const LAST: Self = Self::MAX;
    type Map = Map6;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn ranges(set: &AddressSet) -> &[(Self, Self)] {
        set.v6()
    }

    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(address.to_bits()),
        }
    }
}
