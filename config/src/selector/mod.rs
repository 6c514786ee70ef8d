//! Selectors: expressions over labels, in the language of Calico, to the letter.
//!
//! ```text
//! selector  = [ or ] end                          empty text means all()
//! or        = and { "||" and }
//! and       = operation { "&&" operation }
//! operation = { "!" } primary
//! primary   = "has(" label ")" | "all()" | "global()" | "(" or ")"
//!           | label ( "==" | "!=" | "contains" | "starts with" | "ends with" ) string
//!           | label ( "in" | "not in" ) "{" [ string { "," string } [ "," ] ] "}"
//! ```
//!
//! The grammar is that of Calico's `libcalico-go/lib/selector`. A label that is absent makes `!=` and `not in` true and every
//! other comparison false. Promises: every text gets a [`Selector`] or an error with a position; the canonical form (its
//! `Display`) parses to an equal selector. Refuses: to be evaluated per packet; selectors are compiled into sets of addresses.
//! Read next: `expression.rs`.

mod expression;
mod parse;
#[cfg(test)]
mod tests;
mod token;

pub use expression::{Comparison, Expression};
pub use parse::SelectorError;

use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr, sync::Arc};

/// The label by which everything that belongs to a namespace can be known.
pub const NAMESPACE_LABEL: &str = "projectcalico.org/namespace";

/// Something that has labels.
pub trait Labelled {
    /// The value of `label`, if it is there.
    fn label(&self, label: &str) -> Option<&str>;
}

/// An expression over labels. Cheap to clone; equal if the canonical forms are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selector(Arc<Expression>);

impl Selector {
    /// The most characters that a selector may have, as in Calico.
    pub const MAX: usize = 1024;

    /// The selector that matches everything.
    pub fn all() -> Self {
        Self(Arc::new(Expression::All))
    }

    /// A selector from an expression.
    pub fn new(expression: Expression) -> Self {
        Self(Arc::new(expression.simplified()))
    }

    /// Whether it matches something with these labels.
    pub fn matches(&self, labels: &impl Labelled) -> bool {
        self.0.matches(labels)
    }

    /// The expression.
    pub fn expression(&self) -> &Expression {
        &self.0
    }

    /// Whether this is `all()`.
    pub fn is_all(&self) -> bool {
        matches!(*self.0, Expression::All)
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse::parse(text).map(Self::new)
    }
}

impl fmt::Display for Selector {
    /// The canonical form. It is never longer than [`Selector::MAX`] if the text that was parsed was not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        if text.chars().nth(Self::MAX).is_none() { f.pad(&text) } else { write!(f, "{:#}", self.0) }
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
