//! The flow hash: keyed per process, so that nobody outside can choose packets that collide (design, decision 8).

use std::hash::{BuildHasher, Hasher};

use ahash::RandomState;

/// The process's hash keys. All workers share one, since the hash also names a flow's owner.
#[derive(Clone, Debug)]
pub struct FlowHasher(RandomState);

impl FlowHasher {
    /// Keys from the operating system's random source.
    pub fn random() -> Self {
        Self(RandomState::new())
    }

    /// Fixed keys, for replays and tests that must repeat.
    pub fn fixed(seed: u64) -> Self {
        Self(RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 0x5261_7665_6c69_6e21))
    }

    /// The hash of a key that is given as words.
    pub fn hash(&self, words: &[u64]) -> u64 {
        let mut hasher = self.0.build_hasher();
        for word in words {
            hasher.write_u64(*word);
        }
        hasher.finish()
    }

    /// The hash of words of 32 bits.
    pub(crate) fn hash_halves(&self, mut words: impl Iterator<Item = u32>) -> u64 {
        let mut hasher = self.0.build_hasher();
        while let Some(first) = words.next() {
            let second = words.next().unwrap_or_default();
            hasher.write_u64(u64::from(second) << 32 | u64::from(first));
        }
        hasher.finish()
    }
}
