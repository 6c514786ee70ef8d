use crate::prefetch::fetch;

/// Finds numbers in a sorted list: each part of it that is long is divided into equal ranges of values.
#[derive(Debug, Default)]
pub(super) struct Radix {
    nodes: Vec<Node>,
    /// For each range of values where its numbers begin in the list, or, with [`NODE`], how it is divided again.
    slots: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// The lowest number.
    first: u64,
    /// Its slots: where they begin, and the number of the last.
    base: u32,
    last: u32,
    /// Bits of the distance from the first to drop for the number of the slot.
    shift: u32,
}

const NODE: u32 = 1 << 31;
/// Numbers that are not divided further, and compared all at once.
pub(super) const WINDOW: usize = 8;

impl Node {
    /// Where the slot of a number is.
    #[inline]
    fn slot(&self, number: u64) -> usize {
        let distance = number.saturating_sub(self.first) >> (self.shift & 63);
        self.base as usize + distance.min(self.last.into()) as usize
    }
}

impl Radix {
    /// For numbers that are in order, each once.
    pub(super) fn new(numbers: &[u64]) -> Self {
        let mut radix = Self::default();
        radix.slots.push(0);
        let top = radix.divide(numbers, 0);
        if let Some(slot) = radix.slots.first_mut() {
            *slot = top;
        }
        radix.nodes.shrink_to_fit();
        radix.slots.shrink_to_fit();
        radix
    }

    /// The slot for `numbers`, which begin in the list at `from`. A level deeper has at most half of the range of values.
    fn divide(&mut self, numbers: &[u64], from: u32) -> u32 {
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return from };
        if numbers.len() <= WINDOW {
            return from;
        }
        let shift = shift(numbers);
        let count = ((last - first) >> shift) as usize + 1;
        let (base, node) = (self.slots.len(), self.nodes.len());
        self.nodes.push(Node { first: *first, base: base as u32, last: count as u32 - 1, shift });
        self.slots.resize(base + count, 0);
        let mut rest = numbers;
        for index in 0..count {
            let until = rest.partition_point(|number| (number - first) >> shift <= index as u64);
            let (inside, next) = rest.split_at(until);
            let slot = self.divide(inside, from + (numbers.len() - rest.len()) as u32);
            if let Some(place) = self.slots.get_mut(base + index) {
                *place = slot;
            }
            rest = next;
        }
        node as u32 | NODE
    }

    /// Begins to look for a number, and asks for the memory that [`Radix::look`] reads.
    #[inline]
    pub(super) fn begin(&self, number: u64) -> Place {
        let mut place = Place { slot: self.slots.first().copied().unwrap_or_default(), at: 0 };
        self.step(&mut place, number);
        place
    }

    /// Says where in the list the search goes on, once that is found out.
    #[inline]
    pub(super) fn look(&self, place: &mut Place) -> Option<usize> {
        if place.slot & NODE == 0 {
            return None;
        }
        place.slot = self.slots.get(place.at as usize).copied().unwrap_or_default();
        match self.nodes.get((place.slot & !NODE) as usize) {
            Some(node) if place.slot & NODE != 0 => {
                fetch(node);
                None
            }
            _ => Some(place.slot as usize),
        }
    }

    /// Goes on from a node, and asks for the memory that [`Radix::look`] reads next.
    #[inline]
    pub(super) fn step(&self, place: &mut Place, number: u64) {
        if place.slot & NODE != 0
            && let Some(node) = self.nodes.get((place.slot & !NODE) as usize)
        {
            let at = node.slot(number);
            place.at = at as u32;
            self.slots.get(at).into_iter().for_each(fetch);
        }
    }

    /// Finds the last of the list's numbers that is not above `number`.
    #[inline]
    pub(super) fn find(&self, place: &mut Place, numbers: &[u64], number: u64) {
        while place.slot & NODE != 0 {
            self.look(place);
            self.step(place, number);
        }
        place.at = find(numbers, place.slot as usize, number);
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.nodes) + size_of_val(&*self.slots)
    }
}

/// How far a search is: at a slot, and if that is divided, at which slot next; at last, one behind the place that is found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    slot: u32,
    at: u32,
}

impl Place {
    /// The place in the list that was found, if any.
    #[inline]
    pub(super) fn found(self) -> Option<usize> {
        self.at.checked_sub(1).map(|at| at as usize)
    }
}

/// One behind the last number that is not above `number`, of which at most a window is behind `from`.
#[inline]
fn find(numbers: &[u64], from: usize, number: u64) -> u32 {
    // Numbers of later ranges are above it, so it does not matter that the window reaches into them.
    let rest = numbers.get(from..).unwrap_or_default();
    let not_above = |numbers: &[u64]| numbers.iter().map(|other| u32::from(*other <= number)).sum::<u32>();
    from as u32 + rest.first_chunk::<WINDOW>().map_or_else(|| not_above(rest), |window| not_above(window))
}

/// How many bits to drop so that there are not many more ranges than numbers, nor many of them empty.
fn shift(numbers: &[u64]) -> u32 {
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return 0 };
    // Of each two neighbours the highest bit in which they differ: with more bits dropped they share a range.
    let mut differing = [0usize; 64];
    for pair in numbers.windows(2) {
        if let [one, two] = pair
            && let Some(count) = differing.get_mut(((one - first) ^ (two - first)).ilog2() as usize)
        {
            *count += 1;
        }
    }
    let highest = (last - first).ilog2();
    let most = (numbers.len() / 4).max(2).ilog2();
    let lowest = (highest + 1).saturating_sub(most);
    let mut populated = 1 + differing.iter().skip(highest as usize).sum::<usize>();
    let mut best = highest;
    for shift in (lowest..highest).rev() {
        populated += differing.get(shift as usize).copied().unwrap_or_default();
        if populated * 8 >= 1 << (highest + 1 - shift) {
            best = shift;
        }
    }
    best
}
