use ravelin_config::selector::{Comparison, Expression, NAMESPACE_LABEL};

use super::words::{Pair, Word, Words};

/// A selector's expression in words.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// There is such a label.
    Has(Word),
    /// The label has this value.
    Is(Pair),
    /// The label has one of these values.
    In(Word, Box<[Word]>),
    /// The label's value has such a text at its start, at its end, or somewhere.
    Text(Word, Place, Box<str>),
    Not(Box<Self>),
    /// All of them hold; true if there are none.
    All(Box<[Self]>),
    /// One of them holds; false if there are none.
    Any(Box<[Self]>),
}

/// Where in a label's value a text stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Start,
    End,
    Anywhere,
}

/// What items can be looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// All that have this label.
    Label(Word),
    /// All whose label has this value.
    Pair(Pair),
}

impl Condition {
    /// `word` gives the number of a text, or `None` if it is in no label of any item.
    pub(super) fn new(expression: &Expression, word: &mut impl FnMut(&str) -> Option<Word>) -> Self {
        let never = || Self::Any(Box::default());
        let among = |label: &str, values: &[String], word: &mut dyn FnMut(&str) -> Option<Word>| {
            let known: Vec<Word> = values.iter().filter_map(|value| word(value)).collect();
            match (word(label), &*known) {
                (None, _) | (_, []) => never(),
                (Some(label), [value]) => Self::Is(Pair { label, value: *value }),
                (Some(label), _) => Self::In(label, known.into()),
            }
        };
        match expression {
            Expression::All => Self::All(Box::default()),
            Expression::Global => word(NAMESPACE_LABEL).map_or_else(never, Self::Has).not(),
            Expression::Has(label) => word(label).map_or_else(never, Self::Has),
            Expression::Compare { label, comparison, value } => {
                let text = |place, word: Option<Word>| {
                    word.map_or_else(never, |label| Self::Text(label, place, value.as_str().into()))
                };
                match comparison {
                    Comparison::Equal => among(label, std::slice::from_ref(value), word),
                    Comparison::NotEqual => among(label, std::slice::from_ref(value), word).not(),
                    Comparison::Contains => text(Place::Anywhere, word(label)),
                    Comparison::StartsWith => text(Place::Start, word(label)),
                    Comparison::EndsWith => text(Place::End, word(label)),
                }
            }
            Expression::In(label, values) => among(label, values, word),
            Expression::NotIn(label, values) => among(label, values, word).not(),
            Expression::Not(inner) => Self::new(inner, word).not(),
            Expression::And(parts) => Self::All(parts.iter().map(|part| Self::new(part, word)).collect()),
            Expression::Or(parts) => Self::Any(parts.iter().map(|part| Self::new(part, word)).collect()),
        }
    }

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Whether it holds for an item whose labels `value` knows.
    pub(super) fn holds(&self, words: &Words, value: &impl Fn(Word) -> Option<Word>) -> bool {
        match self {
            Self::Has(label) => value(*label).is_some(),
            Self::Is(pair) => value(pair.label) == Some(pair.value),
            Self::In(label, values) => value(*label).is_some_and(|found| values.contains(&found)),
            Self::Text(label, place, text) => value(*label).is_some_and(|found| {
                let found = words.text(found);
                match place {
                    Place::Start => found.starts_with(&**text),
                    Place::End => found.ends_with(&**text),
                    Place::Anywhere => found.contains(&**text),
                }
            }),
            Self::Not(inner) => !inner.holds(words, value),
            Self::All(parts) => parts.iter().all(|part| part.holds(words, value)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(words, value)),
        }
    }

    /// The labels that it depends on, sorted.
    pub(super) fn labels(&self) -> Vec<Word> {
        let mut labels = match self {
            Self::Has(label) | Self::In(label, _) | Self::Text(label, ..) => vec![*label],
            Self::Is(pair) => vec![pair.label],
            Self::Not(inner) => inner.labels(),
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::labels).collect(),
        };
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// Keys of which every item that it holds for has one; `None` if there are no such keys. Where there is a choice, those that
    /// cost the least together.
    pub(super) fn keys(&self, cost: &impl Fn(Key) -> usize) -> Option<Vec<Key>> {
        match self {
            Self::Has(label) | Self::Text(label, ..) => Some(vec![Key::Label(*label)]),
            Self::Is(pair) => Some(vec![Key::Pair(*pair)]),
            Self::In(label, values) => {
                let pair = |value: &Word| Key::Pair(Pair { label: *label, value: *value });
                Some(values.iter().map(pair).collect())
            }
            Self::Not(_) => None,
            Self::All(parts) => {
                let choices = parts.iter().filter_map(|part| part.keys(cost));
                choices.min_by_key(|keys| keys.iter().map(|key| cost(*key)).sum::<usize>())
            }
            Self::Any(parts) => {
                let keys: Option<Vec<_>> = parts.iter().map(|part| part.keys(cost)).collect();
                keys.map(|keys| keys.concat())
            }
        }
    }
}
