use super::space::Map;
use crate::prefetch::fetch;

/// Interval of an IPv6 address: a tree of sorted lines of eight over the upper halves, then a search among those intervals
/// that begin with the same upper half.
#[derive(Debug)]
pub(super) struct Map6 {
    /// The lowest layer has every upper half in which an interval begins; each other layer every eighth of the one below.
    layers: Vec<Vec<Line>>,
    /// For each upper half, the number of its first interval; and one behind the last.
    first: Vec<u32>,
    /// For each interval, the lower half of where it begins.
    lower: Vec<u64>,
}

const LANES: usize = 8;

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u64; LANES]);

impl Line {
    fn not_behind(&self, upper: u64) -> usize {
        self.0.iter().map(|start| usize::from(*start <= upper)).sum()
    }
}

impl Map6 {
    /// Which upper half is the last that is not behind that of the address.
    fn group(&self, upper: u64) -> usize {
        let mut at = 0;
        for layer in self.layers.iter().rev() {
            // Lanes that are not used hold the highest number, which may be what is looked for.
            at = at.min(layer.len().saturating_sub(1));
            let Some(line) = layer.get(at) else { return 0 };
            at = (at * LANES + line.not_behind(upper)).saturating_sub(1);
        }
        at.min(self.first.len().saturating_sub(2))
    }
}

impl Map<u128> for Map6 {
    fn new(starts: &[u128]) -> Self {
        let groups = || starts.chunk_by(|a, b| a >> 64 == b >> 64);
        let mut keys: Vec<u64> =
            groups().filter_map(|group| group.first()).map(|start| (start >> 64) as u64).collect();
        let mut first: Vec<u32> = vec![0];
        for group in groups() {
            first.push(first.last().copied().unwrap_or_default() + group.len() as u32);
        }
        let mut layers = Vec::new();
        loop {
            let lines: Vec<Line> = keys
                .chunks(LANES)
                .map(|chunk| {
                    let mut line = [u64::MAX; LANES];
                    line.iter_mut().zip(chunk).for_each(|(lane, key)| *lane = *key);
                    Line(line)
                })
                .collect();
            let done = lines.len() <= 1;
            layers.push(lines);
            if done {
                break;
            }
            keys = keys.into_iter().step_by(LANES).collect();
        }
        Self { layers, first, lower: starts.iter().map(|start| *start as u64).collect() }
    }

    #[inline]
    fn fetch(&self, _address: u128) {}

    #[inline]
    fn begin(&self, address: u128) -> u32 {
        let group = self.group((address >> 64) as u64);
        if let Some(first) = self.first.get(group) {
            fetch(first);
        }
        group as u32
    }

    #[inline]
    fn step(&self, at: u32, _address: u128) -> u32 {
        if let Some(lower) = self.first.get(at as usize).and_then(|first| self.lower.get(*first as usize)) {
            fetch(lower);
        }
        at
    }

    #[inline]
    fn finish(&self, at: u32, address: u128) -> u32 {
        let (upper, lower, group) = ((address >> 64) as u64, address as u64, at as usize);
        let own = self.layers.first().and_then(|layer| layer.get(group / LANES)?.0.get(group % LANES));
        let (Some(&from), Some(&to)) = (self.first.get(group), self.first.get(group + 1)) else { return 0 };
        if own.is_none_or(|own| *own != upper) {
            return to.saturating_sub(1);
        }
        let begins = self.lower.get(from as usize..to as usize).unwrap_or_default();
        // An address before the first of its own upper half is in the interval that came before.
        (from + begins.partition_point(|start| *start <= lower) as u32).saturating_sub(1)
    }

    fn bytes(&self) -> usize {
        let lines: usize = self.layers.iter().map(|layer| size_of_val(&**layer)).sum();
        lines + size_of_val(&*self.first) + size_of_val(&*self.lower)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranks_are_those_of_a_search(
            parts in proptest::collection::vec((0u64..40, prop_oneof![Just(0), 0u64..9, any::<u64>()]), 0..900),
            spread in prop_oneof![Just(1u64), Just(1 << 58)],
        ) {
            let mut starts: Vec<u128> = parts
                .iter()
                .map(|(upper, lower)| u128::from(upper.wrapping_mul(spread)) << 64 | u128::from(*lower))
                .chain([0])
                .collect();
            starts.sort_unstable();
            starts.dedup();
            let map = Map6::new(&starts);
            let near = starts.iter().flat_map(|start| [start.wrapping_sub(1), *start, start.wrapping_add(1)]);
            for address in near.chain([u128::MAX, 1 << 127, u128::from(u64::MAX)]) {
                let expected = starts.partition_point(|start| *start <= address) - 1;
                prop_assert_eq!(map.rank(address) as usize, expected, "{:#x}", address);
            }
        }
    }
}
