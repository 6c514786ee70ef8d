//! Which rule is the first that matches: addresses in sets, protocol and ports, hundreds of thousands of rules.
//!
//! Promises: [`Classifier`] says of every key what [`Linear`] says, from every position on; nothing is allocated in a
//! lookup. Refuses to know what a rule means: it has an outcome, a number of the caller's.

mod base;
mod batch;
mod build;
mod cross;
mod homes;
mod index;
mod items;
mod lanes;
mod linear;
mod list;
mod lookup;
mod map4;
mod map6;
mod overlay;
mod patch;
mod rule;
mod sides;
mod signature;
mod space;
mod sweep;
#[cfg(test)]
mod tests;
mod tree;

use std::sync::Arc;

pub use linear::Linear;
pub use patch::{MemberChange, Patch};
pub use rule::{Key, Match, Position, ProtocolMatch, Rule, SetId};

use super::AddressSet;
use base::Base;
use overlay::Overlay;

/// Rules and the sets of addresses that they name, made ready for lookups. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Classifier {
    base: Arc<Base>,
    /// What has changed since, if anything has.
    overlay: Option<Arc<Overlay>>,
}

impl Classifier {
    /// How many changes a classifier should gather before it is built anew; see [`Classifier::changes`].
    pub const CHANGES: usize = 64;

    /// From the sets that the rules name, and the rules in any order. Rules at one position should have one outcome: which of
    /// several is found is not said. The last position and the last outcome together are nobody's. A rule that names a set
    /// that is not there is left out.
    pub fn new(sets: Vec<Arc<AddressSet>>, rules: Vec<Rule>) -> Self {
        Self { base: Arc::new(Base::new(sets, rules)), overlay: None }
    }

    /// The first rule at or behind `from` that matches.
    pub fn first(&self, key: &Key, from: Position) -> Option<Match> {
        let found = self.base.first(key, from);
        match &self.overlay {
            None => found,
            Some(overlay) => overlay.first(&self.base, key, from, found),
        }
    }

    /// The same for many keys, each from its own position on, with waits for memory overlapping. What is behind the shortest
    /// of the three is not touched.
    pub fn first_of_batch(&self, keys: &[Key], from: &[Position], out: &mut [Option<Match>]) {
        self.base.first_of_batch(keys, from, out);
        if let Some(overlay) = &self.overlay {
            for ((key, from), out) in keys.iter().zip(from).zip(out) {
                *out = overlay.first(&self.base, key, *from, *out);
            }
        }
    }

    /// How many sets there are, which is the number of the next one.
    pub fn sets(&self) -> u32 {
        let sets = self.overlay.as_ref().map_or(self.base.sets.len(), |overlay| overlay.sets(&self.base));
        u32::try_from(sets).unwrap_or(u32::MAX)
    }

    /// The same after a change. What was built is shared; the time this takes depends only on this change and those before it.
    #[must_use]
    pub fn patched(&self, patch: &Patch) -> Self {
        let nothing = Overlay::default();
        let overlay = self.overlay.as_deref().unwrap_or(&nothing);
        Self { base: self.base.clone(), overlay: Some(Arc::new(overlay.patched(&self.base, patch))) }
    }

    /// How many changes it has gathered. Lookups ask each of them, so it should be built anew when they are more than
    /// [`Classifier::CHANGES`].
    pub fn changes(&self) -> usize {
        self.overlay.as_ref().map_or(0, |overlay| overlay.len())
    }

    /// The same, built anew from what it holds.
    #[must_use]
    pub fn rebuilt(&self) -> Self {
        match &self.overlay {
            None => self.clone(),
            Some(overlay) => {
                let (sets, rules) = overlay.merged(&self.base);
                Self::new(sets, rules)
            }
        }
    }

    /// Bytes of memory, without the sets that it was built from and without what has changed since.
    pub fn bytes(&self) -> usize {
        self.base.bytes()
    }
}
