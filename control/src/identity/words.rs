use std::num::NonZeroU32;

use ahash::RandomState;
use hashbrown::HashTable;

/// The number of a text that [`Words`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Word(NonZeroU32);

impl Word {
    const MIN: Self = Self(NonZeroU32::MIN);
    const MAX: Self = Self(NonZeroU32::MAX);

    fn at(index: usize) -> Self {
        let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
        Self(number.expect("fewer than four thousand million words"))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A label and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) label: Word,
    pub(super) value: Word,
}

impl Pair {
    /// The first and the last pair of a label.
    pub(super) const fn all(label: Word) -> (Self, Self) {
        (Self { label, value: Word::MIN }, Self { label, value: Word::MAX })
    }
}

/// The value of `label` among `pairs`, which are sorted and have each label once.
pub(super) fn value_of(pairs: &[Pair], label: Word) -> Option<Word> {
    pairs.binary_search_by_key(&label, |pair| pair.label).ok().map(|at| pairs[at].value)
}

/// Every text once, by number. A word is never forgotten.
#[derive(Debug, Default)]
pub(super) struct Words {
    text: String,
    ends: Vec<usize>,
    table: HashTable<Word>,
    hasher: RandomState,
}

impl Words {
    /// The text of a word.
    pub(super) fn text(&self, word: Word) -> &str {
        text(&self.text, &self.ends, word)
    }

    /// The number of `text`, if it is a word.
    pub(super) fn find(&self, text: &str) -> Option<Word> {
        self.table.find(self.hasher.hash_one(text), |word| self.text(*word) == text).copied()
    }

    /// The number of `text`, which becomes a word if it is none.
    pub(super) fn intern(&mut self, new: &str) -> Word {
        if let Some(word) = self.find(new) {
            return word;
        }
        let word = Word::at(self.ends.len());
        self.text.push_str(new);
        self.ends.push(self.text.len());
        let Self { text: all, ends, table, hasher } = self;
        table.insert_unique(hasher.hash_one(new), word, |word| hasher.hash_one(text(all, ends, *word)));
        word
    }
}

fn text<'t>(all: &'t str, ends: &[usize], word: Word) -> &'t str {
    let index = word.index();
    let start = index.checked_sub(1).map_or(0, |before| ends[before]);
    &all[start..ends[index]]
}
