/// Choices that bytes make, one after the other.
#[derive(Clone, Debug)]
pub struct Choices<'b>(std::slice::Iter<'b, u8>);

impl<'b> Choices<'b> {
    /// The choices of these bytes, then the first of everything.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self(bytes.iter())
    }

    /// A number below `end`, which is at most 256.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) * end / 256
    }

    /// A number from `first` to `last`.
    pub fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// Yes, once in `times`; no when the bytes have ended.
    pub fn chance(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    /// One of these.
    pub fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Some of these, in their order.
    pub fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        of.iter().filter(|_| self.chance(2)).cloned().collect()
    }

    /// What `draw` makes, once in `times`.
    pub fn maybe<T>(&mut self, times: usize, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(times).then(|| draw(self))
    }
}

/// As many bytes, by a number: splitmix64, Steele and others, "Fast splittable pseudorandom number generators", 2014.
pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..length.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(length).collect()
}
