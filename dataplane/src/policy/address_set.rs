use std::net::IpAddr;

use ravelin_config::types::IpNet;

/// A set of addresses, exact for every address of both families: inclusive ranges, sorted, neither overlapping nor touching.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressSet {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl AddressSet {
    /// No address.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Every address.
    pub fn all() -> Self {
        Self { v4: Ranges(vec![(0, u32::MAX)]), v6: Ranges(vec![(0, u128::MAX)]) }
    }

    /// Every IPv4 address.
    pub fn all_v4() -> Self {
        Self { v4: Ranges(vec![(0, u32::MAX)]), v6: Ranges::default() }
    }

    /// Every IPv6 address.
    pub fn all_v6() -> Self {
        Self { v4: Ranges::default(), v6: Ranges(vec![(0, u128::MAX)]) }
    }

    /// The addresses of all of `nets` together.
    pub fn of_nets<'n>(nets: impl IntoIterator<Item = &'n IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in nets {
            match net {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => v6.push((net.network().to_bits(), net.broadcast().to_bits())),
            }
        }
        Self { v4: Ranges::merged(v4), v6: Ranges::merged(v6) }
    }

    /// What is in any of the ranges, both ends included.
    pub fn of_ranges(v4: Vec<(u32, u32)>, v6: Vec<(u128, u128)>) -> Self {
        Self { v4: Ranges::merged(v4), v6: Ranges::merged(v6) }
    }

    /// What is in any of `sets`.
    pub fn union_of<'s>(sets: impl IntoIterator<Item = &'s Self>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for set in sets {
            v4.extend_from_slice(&set.v4.0);
            v6.extend_from_slice(&set.v6.0);
        }
        Self { v4: Ranges::merged(v4), v6: Ranges::merged(v6) }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self { v4: self.v4.intersection(&other.v4), v6: self.v6.intersection(&other.v6) }
    }

    /// What is not in it.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self { v4: self.v4.complement(), v6: self.v6.complement() }
    }

    /// What is in this and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self { v4: self.v4.difference(&other.v4), v6: self.v6.difference(&other.v6) }
    }

    /// Adds what is in `other`. Cheap if that is little.
    pub fn join(&mut self, other: &Self) {
        self.v4.join(&other.v4);
        self.v6.join(&other.v6);
    }

    /// Takes away what is in `other`. Cheap if that is little.
    pub fn leave(&mut self, other: &Self) {
        self.v4.leave(&other.v4);
        self.v6.leave(&other.v6);
    }

    /// Whether `address` is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }

    /// How many ranges it consists of.
    pub(crate) fn ranges(&self) -> usize {
        self.v4.0.len() + self.v6.0.len()
    }

    /// Whether every address is in it.
    pub fn is_all(&self) -> bool {
        *self.v4.0 == [(0, u32::MAX)] && *self.v6.0 == [(0, u128::MAX)]
    }

    /// The IPv4 ranges, both ends included, in order.
    pub fn v4(&self) -> &[(u32, u32)] {
        &self.v4.0
    }

    /// The IPv6 ranges, both ends included, in order.
    pub fn v6(&self) -> &[(u128, u128)] {
        &self.v6.0
    }
}

/// Inclusive ranges of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Ranges<N>(Vec<(N, N)>);

/// A number that addresses are compared as.
pub(crate) trait Number: Copy + Ord {
    const ZERO: Self;
    const LAST: Self;
    fn next(self) -> Option<Self>;
    fn previous(self) -> Option<Self>;
}

impl Number for u32 {
    const ZERO: Self = 0;
    const LAST: Self = Self::MAX;
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

impl Number for u128 {
    const ZERO: Self = 0;
    const LAST: Self = Self::MAX;
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

impl<N: Number> Ranges<N> {
    /// Ranges in any order, made one where they overlap or touch.
    fn merged(mut ranges: Vec<(N, N)>) -> Self {
        // Stable: often these are two that are in order, one behind the other, which it makes use of.
        ranges.sort();
        ranges.dedup_by(|next, kept| {
            let joined = kept.1.next().is_none_or(|behind| next.0 <= behind);
            if joined {
                kept.1 = kept.1.max(next.1);
            }
            joined
        });
        Self(ranges)
    }

    fn contains(&self, number: N) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= number);
        behind.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, last)| number <= *last)
    }

    fn intersection(&self, other: &Self) -> Self {
        // Few against many: look each of the few up.
        let (few, many) = if self.0.len() <= other.0.len() { (self, other) } else { (other, self) };
        let mut both = Vec::new();
        for &(first, last) in &few.0 {
            let from = many.0.partition_point(|(_, end)| *end < first);
            for &(start, end) in many.0.get(from..).unwrap_or_default() {
                if start > last {
                    break;
                }
                both.push((first.max(start), last.min(end)));
            }
        }
        Self(both)
    }

    fn difference(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for &(first, last) in &self.0 {
            let mut start = Some(first);
            let from = other.0.partition_point(|(_, end)| *end < first);
            for &(cut, end) in other.0.get(from..).unwrap_or_default() {
                if cut > last {
                    break;
                }
                if let (Some(start), Some(before)) = (start, cut.previous())
                    && start <= before
                {
                    left.push((start, before));
                }
                start = end.next();
            }
            left.extend(start.filter(|start| *start <= last).map(|start| (start, last)));
        }
        Self(left)
    }

    /// Whether `other` is so little that each of its ranges is better put in its place than all of them made anew: each moves what
    /// is behind it.
    fn dwarfs(&self, other: &Self) -> bool {
        const FEW: usize = 16;
        other.0.len() <= FEW && other.0.len() * 8 <= self.0.len()
    }

    fn join(&mut self, other: &Self) {
        if self.dwarfs(other) {
            other.0.iter().for_each(|range| self.insert(*range));
        } else {
            let all = [self.0.as_slice(), &other.0].concat();
            *self = Self::merged(all);
        }
    }

    fn leave(&mut self, other: &Self) {
        if self.dwarfs(other) {
            other.0.iter().for_each(|range| self.cut(*range));
        } else {
            *self = self.difference(other);
        }
    }

    /// The places of the ranges that overlap or touch one.
    fn around(&self, (first, last): (N, N)) -> std::ops::Range<usize> {
        let before = first.previous().unwrap_or(first);
        let behind = last.next().unwrap_or(last);
        self.0.partition_point(|(_, end)| *end < before)
            ..self.0.partition_point(|(start, _)| *start <= behind)
    }

    fn insert(&mut self, range: (N, N)) {
        let around = self.around(range);
        let joined = self.0.get(around.clone()).unwrap_or_default().iter();
        let joined = joined.fold(range, |(first, last), (start, end)| (first.min(*start), last.max(*end)));
        self.0.splice(around, [joined]);
    }

    fn cut(&mut self, range: (N, N)) {
        let around = self.around(range);
        let pieces = Self(self.0.get(around.clone()).unwrap_or_default().to_vec());
        self.0.splice(around, pieces.difference(&Self(vec![range])).0);
    }

    fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut start = Some(N::ZERO);
        for &(first, last) in &self.0 {
            if let (Some(start), Some(end)) = (start, first.previous())
                && start <= end
            {
                gaps.push((start, end));
            }
            start = last.next();
        }
        gaps.extend(start.map(|start| (start, N::LAST)));
        Self(gaps)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{AddressSet, Ranges};

    /// Sets of small numbers beside their ranges.
    fn ranges() -> impl Strategy<Value = (Vec<bool>, Ranges<u32>)> {
        proptest::collection::vec((0u32..60, 0u32..8), 0..8).prop_map(|pieces| {
            let pieces: Vec<_> = pieces.into_iter().map(|(first, length)| (first, first + length)).collect();
            let holds = (0..80).map(|n| pieces.iter().any(|(first, last)| (*first..=*last).contains(&n)));
            (holds.collect(), Ranges::merged(pieces.clone()))
        })
    }

    proptest! {
        #[test]
        fn ranges_are_the_sets_that_they_stand_for((a, ra) in ranges(), (b, rb) in ranges()) {
            for n in 0u32..80 {
                let (in_a, in_b) = (a[n as usize], b[n as usize]);
                prop_assert_eq!(ra.contains(n), in_a);
                prop_assert_eq!(ra.complement().contains(n), !in_a);
                prop_assert_eq!(ra.intersection(&rb).contains(n), in_a && in_b);
                prop_assert_eq!(ra.difference(&rb).contains(n), in_a && !in_b);
            }
            let (mut joined, mut cut) = (ra.clone(), ra.clone());
            rb.0.iter().for_each(|range| joined.insert(*range));
            rb.0.iter().for_each(|range| cut.cut(*range));
            prop_assert_eq!(&joined, &Ranges::merged([&ra.0[..], &rb.0].concat()));
            prop_assert_eq!(&cut, &ra.difference(&rb));
            let (mut whole_joined, mut whole_cut) = (ra.clone(), ra.clone());
            whole_joined.join(&rb);
            whole_cut.leave(&rb);
            prop_assert_eq!((&whole_joined, &whole_cut), (&joined, &cut));
            prop_assert_eq!(ra.complement().complement(), ra.clone());
            for set in [&ra, &rb, &ra.complement(), &ra.intersection(&rb), &cut, &joined] {
                prop_assert!(set.0.iter().all(|(first, last)| first <= last));
                prop_assert!(set.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
        }
    }

    #[test]
    fn all_and_nothing_are_each_others_complement() {
        assert!(AddressSet::empty().complement().is_all());
        assert!(AddressSet::all().complement().is_empty());
        let whole = AddressSet::of_nets(&["0.0.0.0/1".parse().unwrap(), "128.0.0.0/1".parse().unwrap()]);
        assert_eq!(whole, AddressSet::all_v4());
        assert_eq!(whole.complement(), AddressSet::all_v6());
        assert_eq!(AddressSet::union_of([&AddressSet::all_v4(), &AddressSet::all_v6()]), AddressSet::all());
    }

    #[test]
    fn a_difference_leaves_what_lies_around() {
        let set =
            |nets: &[&str]| AddressSet::of_nets(&nets.iter().map(|n| n.parse().unwrap()).collect::<Vec<_>>());
        let left = set(&["10.0.0.0/30", "2001:db8::/127"]).difference(&set(&["10.0.0.1/32"]));
        assert_eq!(left, set(&["10.0.0.0/32", "10.0.0.2/31", "2001:db8::/127"]));
        assert!(left.contains("10.0.0.3".parse().unwrap()));
        assert!(!left.contains("10.0.0.1".parse().unwrap()));
    }
}
