use std::hint::select_unpredictable;

use super::{
    lanes::{self, WORDS},
    space::Map,
};
use crate::prefetch::fetch;

/// Interval of an IPv4 address: a table over the upper 16 bits, and below it pieces of two to the power of something, each
/// with up to 14 intervals that are compared at once. A piece that is too crowded is divided again.
#[derive(Debug)]
pub(super) struct Map4 {
    /// For each upper half where its pieces begin, and how many bits of the lower half to drop for their number.
    root: Vec<u32>,
    pieces: Vec<Piece>,
}

/// In the first two words the number of the first interval, or, with the highest bit set, where the pieces begin that it is
/// divided into. In the others, for each further interval, the lower half of the address before its first; or the bits to
/// drop for the number of a piece, and the mask for it.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
struct Piece([u16; WORDS]);

const LANES: usize = WORDS - 2;
/// Bits of a root entry that are the shift.
const SHIFT: u32 = 5;
const DIVIDED: u32 = 1 << 31;

impl Piece {
    fn leaf(rank: u32, ends: impl Iterator<Item = u16>) -> Self {
        let mut words = [u16::MAX; WORDS];
        words[0] = rank as u16;
        words[1] = (rank >> 16) as u16;
        words.iter_mut().skip(2).zip(ends).for_each(|(word, end)| *word = end);
        Self(words)
    }

    fn link(base: u32, shift: u32, bits: u32) -> Self {
        let words = [shift as u16, ((1u32 << bits) - 1) as u16];
        Self::leaf(base | DIVIDED, words.into_iter())
    }

    fn first(&self) -> u32 {
        u32::from(self.0[0]) | u32::from(self.0[1]) << 16
    }

    /// The piece that `low` is in, if this one is divided.
    fn below(&self, low: u16) -> Option<u32> {
        (self.first() & DIVIDED != 0).then(|| self.part(low))
    }

    /// The piece that `low` is in, provided that this one is divided.
    #[inline]
    fn part(&self, low: u16) -> u32 {
        (self.first() & !DIVIDED) + u32::from((low >> (self.0[2] & 15)) & self.0[3])
    }

    /// How many of the ends lie before `low`, added to the first interval's number.
    fn rank(&self, low: u16) -> u32 {
        // The first two words are not among the ends.
        let [a, b, ..] = self.0;
        self.first() + lanes::below(&self.0, low) - u32::from(a < low) - u32::from(b < low)
    }
}

impl Map4 {
    /// The piece of the root's level.
    fn start(&self, address: u32) -> u32 {
        let entry = self.root.get((address >> 16) as usize).copied().unwrap_or_default();
        (entry >> SHIFT) + ((address & 0xffff) >> (entry & ((1 << SHIFT) - 1)))
    }

    fn piece(&self, index: u32) -> &Piece {
        const NONE: Piece = Piece([u16::MAX; WORDS]);
        self.pieces.get(index as usize).unwrap_or(&NONE)
    }

    /// Divides a stretch of `1 << bits` addresses, in which further intervals begin at `starts` (lower halves, the first of
    /// the stretch not among them), into pieces; returns where they are and how many bits are left in each.
    fn divide(&mut self, starts: &[u16], rank: u32, origin: u32, bits: u32) -> (u32, u32) {
        let left = Self::left(starts, bits);
        let base = self.pieces.len();
        let count = 1usize << (bits - left);
        self.pieces.resize(base + count, Piece::leaf(0, std::iter::empty()));
        let mut rest = starts;
        let mut rank = rank;
        for index in 0..count {
            let first = origin + ((index as u32) << left);
            let behind = first + (1 << left);
            // An interval that begins with the piece is its first.
            let own = rest.partition_point(|start| u32::from(*start) <= first);
            rank += own as u32;
            let (_, further) = rest.split_at(own);
            let (inside, next) =
                further.split_at(further.partition_point(|start| u32::from(*start) < behind));
            let piece = if inside.len() <= LANES {
                Piece::leaf(rank, inside.iter().map(|start| start - 1))
            } else {
                let (base, left_below) = self.divide(inside, rank, first, left);
                Piece::link(base, left_below, left - left_below)
            };
            rank += inside.len() as u32;
            rest = next;
            if let Some(place) = self.pieces.get_mut(base + index) {
                *place = piece;
            }
        }
        (base as u32, left)
    }

    /// How many bits of address a piece should keep: few pieces, but not many intervals in crowded ones.
    fn left(starts: &[u16], bits: u32) -> u32 {
        if starts.len() <= LANES {
            return bits;
        }
        let fewest = bits.saturating_sub(2);
        // Not more pieces than there are intervals.
        let most = bits.saturating_sub((starts.len() as u32).ilog2().max(4));
        let crowded = |left: u32| {
            let pieces = starts.chunk_by(|a, b| a >> left == b >> left);
            pieces.map(<[u16]>::len).filter(|count| *count > LANES).sum::<usize>()
        };
        (most..=fewest).rev().find(|left| crowded(*left) * 16 <= starts.len()).unwrap_or(most)
    }
}

impl Map<u32> for Map4 {
    fn new(starts: &[u32]) -> Self {
        let mut map = Self { root: Vec::with_capacity(1 << 16), pieces: Vec::new() };
        // The interval that an upper half without any begin is in, and the piece that all of these share.
        let mut rank = 0;
        let mut plain = map.divide(&[], rank, 0, 16);
        let entry = |(base, left): (u32, u32)| base << SHIFT | left;
        for group in starts.chunk_by(|a, b| a >> 16 == b >> 16) {
            let upper = group.first().map_or(0, |start| start >> 16);
            map.root.resize(upper as usize, entry(plain));
            let lower: Vec<u16> = group.iter().map(|start| *start as u16).collect();
            // The first interval begins at the first address, and is number 0.
            let own = lower.partition_point(|start| *start == 0);
            let inside = lower.get(own..).unwrap_or_default();
            let first = if upper == 0 { 0 } else { rank + own as u32 };
            let made = map.divide(inside, first, 0, 16);
            map.root.push(entry(made));
            rank = first + inside.len() as u32;
            plain = map.divide(&[], rank, 0, 16);
        }
        map.root.resize(1 << 16, entry(plain));
        map.pieces.shrink_to_fit();
        map
    }

    #[inline]
    fn begin(&self, address: u32) -> u32 {
        let start = self.start(address);
        fetch(self.piece(start));
        start
    }

    #[inline]
    fn step(&self, at: u32, address: u32) -> u32 {
        let piece = self.piece(at);
        // One address in so many lies in a piece that is divided: no branch could be foretold.
        let below = select_unpredictable(piece.first() & DIVIDED != 0, piece.part(address as u16), at);
        fetch(self.piece(below));
        below
    }

    #[inline]
    fn finish(&self, at: u32, address: u32) -> u32 {
        let low = address as u16;
        let mut piece = self.piece(at);
        // Few addresses are so crowded.
        while let Some(below) = piece.below(low) {
            piece = self.piece(below);
        }
        piece.rank(low)
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.root) + size_of_val(&*self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(starts: &[u32], addresses: impl Iterator<Item = u32>) {
        let map = Map4::new(starts);
        for address in addresses {
            let expected = starts.partition_point(|start| *start <= address) - 1;
            assert_eq!(map.rank(address) as usize, expected, "{address:#x}");
        }
    }

    fn around(starts: &[u32]) -> impl Iterator<Item = u32> {
        starts.iter().flat_map(|start| [start.wrapping_sub(1), *start, start.wrapping_add(1)])
    }

    proptest! {
        #[test]
        fn ranks_are_those_of_a_search(
            crowds in proptest::collection::vec((any::<u32>(), 1u32..40, 0u32..600), 0..8),
            others in proptest::collection::vec(any::<u32>(), 0..60),
        ) {
            let mut starts = vec![0];
            for (first, step, count) in crowds {
                starts.extend((0..count).map(|n| first.wrapping_add(n * step)));
            }
            starts.extend(&others);
            starts.sort_unstable();
            starts.dedup();
            check(&starts, around(&starts).chain(others).chain([0, u32::MAX]));
        }
    }

    #[test]
    fn every_address_may_be_an_interval() {
        let starts: Vec<u32> = std::iter::once(0).chain(0x0a00_0000..0x0a02_0010).collect();
        check(&starts, around(&starts));
    }

    #[test]
    fn memory_does_not_grow_beyond_the_intervals() {
        // Fifteen neighbours in each upper half, the least that one piece cannot hold, at the worst place.
        let starts: Vec<u32> =
            (0..1u32 << 16).flat_map(|upper| (0..15).map(move |n| upper << 16 | n)).collect();
        let map = Map4::new(&starts);
        assert!(map.bytes() < starts.len() * 160, "{}", map.bytes());
    }
}
