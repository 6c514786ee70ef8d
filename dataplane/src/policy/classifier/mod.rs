//! Which rule is the first that matches: addresses in sets, protocol and ports, hundreds of thousands of rules.
//!
//! Promises: [`Classifier`] says of every key what [`Linear`] says, from every position on; nothing is allocated in a
//! lookup. Refuses to know what a rule means: it has an outcome, a number of the caller's.

mod linear;
mod patch;
mod rule;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use linear::Linear;
pub use patch::{MemberChange, Patch};
pub use rule::{Key, Match, Position, ProtocolMatch, Rule, SetId};

use super::AddressSet;

/// Rules and the sets of addresses that they name, made ready for lookups.
#[derive(Clone, Debug)]
pub struct Classifier {
    sets: Vec<Arc<AddressSet>>,
    rules: Vec<Rule>,
    linear: Linear,
    changes: usize,
}

impl Classifier {
    /// How many changes a classifier should gather before it is built anew; see [`Classifier::changes`].
    pub const CHANGES: usize = 64;

    /// From the sets that the rules name, and the rules in any order.
    pub fn new(sets: Vec<Arc<AddressSet>>, rules: Vec<Rule>) -> Self {
        let linear = Linear::new(sets.clone(), rules.clone());
        Self { sets, rules, linear, changes: 0 }
    }

    /// The first rule at or behind `from` that matches.
    pub fn first(&self, key: &Key, from: Position) -> Option<Match> {
        self.linear.first(key, from)
    }

    /// The same for many keys, each from its own position on. What is behind the shortest of the three is not touched.
    pub fn first_of_batch(&self, keys: &[Key], from: &[Position], out: &mut [Option<Match>]) {
        for ((key, from), out) in keys.iter().zip(from).zip(out) {
            *out = self.first(key, *from);
        }
    }

    /// How many sets there are, which is the number of the next one.
    pub fn sets(&self) -> u32 {
        self.sets.len() as u32
    }

    /// The same after a change. What is not changed is shared.
    #[must_use]
    pub fn patched(&self, patch: &Patch) -> Self {
        let (mut sets, mut rules) = (self.sets.clone(), self.rules.clone());
        rules.retain(|rule| !patch.removes(rule));
        sets.extend(patch.sets.iter().cloned());
        for change in &patch.members {
            if let Some(set) = change.set.index().and_then(|index| sets.get_mut(index)) {
                *set = Arc::new(change.applied(set));
            }
        }
        rules.extend_from_slice(&patch.rules);
        Self { changes: self.changes + 1, ..Self::new(sets, rules) }
    }

    /// How many changes it has gathered. Lookups ask each of them, so it should be built anew when they are more than
    /// [`Classifier::CHANGES`].
    pub fn changes(&self) -> usize {
        self.changes
    }

    /// The same, built anew from what it holds.
    #[must_use]
    pub fn rebuilt(&self) -> Self {
        Self::new(self.sets.clone(), self.rules.clone())
    }
}
