use crate::selector::Labelled;
use serde::Serialize;
use std::collections::BTreeMap;

/// Names with values, by which selectors choose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Adds a label, or replaces its value.
    pub fn insert(&mut self, label: impl Into<String>, value: impl Into<String>) {
        self.0.insert(label.into(), value.into());
    }

    /// The labels in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(label, value)| (label.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<L: Into<String>, V: Into<String>> FromIterator<(L, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (L, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(label, value)| (label.into(), value.into())).collect())
    }
}

impl Labelled for Labels {
    fn label(&self, label: &str) -> Option<&str> {
        self.0.get(label).map(String::as_str)
    }
}
