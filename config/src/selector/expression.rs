use super::{Labelled, NAMESPACE_LABEL};
use std::fmt;

/// The parts of a selector.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Expression {
    /// `all()`: true.
    All,
    /// `global()`: true for what belongs to no namespace.
    Global,
    /// `has(label)`.
    Has(String),
    /// A comparison of a label's value.
    Compare {
        /// The label.
        label: String,
        /// How its value is compared.
        comparison: Comparison,
        /// With what.
        value: String,
    },
    /// `label in {…}`; the values are sorted and each stands once.
    In(String, Vec<String>),
    /// `label not in {…}`; the values are sorted and each stands once.
    NotIn(String, Vec<String>),
    /// `!…`
    Not(Box<Self>),
    /// `… && …`, of two or more.
    And(Vec<Self>),
    /// `… || …`, of two or more.
    Or(Vec<Self>),
}

/// How a label's value is compared with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`: also true if the label is absent.
    NotEqual,
    /// `contains`
    Contains,
    /// `starts with`
    StartsWith,
    /// `ends with`
    EndsWith,
}

impl Comparison {
    /// The operator as it is written.
    pub const fn operator(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Contains => "contains",
            Self::StartsWith => "starts with",
            Self::EndsWith => "ends with",
        }
    }

    fn holds(self, found: Option<&str>, value: &str) -> bool {
        match self {
            Self::Equal => found == Some(value),
            Self::NotEqual => found != Some(value),
            Self::Contains => found.is_some_and(|found| found.contains(value)),
            Self::StartsWith => found.is_some_and(|found| found.starts_with(value)),
            Self::EndsWith => found.is_some_and(|found| found.ends_with(value)),
        }
    }
}

impl Expression {
    /// Whether it is true of something with these labels.
    pub fn matches(&self, labels: &impl Labelled) -> bool {
        let among = |label: &str, values: &[String]| {
            labels
                .label(label)
                .is_some_and(|found| values.binary_search_by(|value| value.as_str().cmp(found)).is_ok())
        };
        match self {
            Self::All => true,
            Self::Global => labels.label(NAMESPACE_LABEL).is_none(),
            Self::Has(label) => labels.label(label).is_some(),
            Self::Compare { label, comparison, value } => comparison.holds(labels.label(label), value),
            Self::In(label, values) => among(label, values),
            Self::NotIn(label, values) => !among(label, values),
            Self::Not(inner) => !inner.matches(labels),
            Self::And(parts) => parts.iter().all(|part| part.matches(labels)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(labels)),
        }
    }

    /// The same expression with `prefix` before every label, as for selectors over namespaces or service accounts.
    #[must_use]
    pub fn prefixed(&self, prefix: &str) -> Self {
        let long = |label: &String| format!("{prefix}{label}");
        match self {
            Self::All | Self::Global => self.clone(),
            Self::Has(label) => Self::Has(long(label)),
            Self::Compare { label, comparison, value } => {
                Self::Compare { label: long(label), comparison: *comparison, value: value.clone() }
            }
            Self::In(label, values) => Self::In(long(label), values.clone()),
            Self::NotIn(label, values) => Self::NotIn(long(label), values.clone()),
            Self::Not(inner) => Self::Not(Box::new(inner.prefixed(prefix))),
            Self::And(parts) => Self::And(parts.iter().map(|part| part.prefixed(prefix)).collect()),
            Self::Or(parts) => Self::Or(parts.iter().map(|part| part.prefixed(prefix)).collect()),
        }
    }

    /// The same meaning in one form: nested `&&` and `||` are flat, lists are sorted, double negation is gone.
    pub(super) fn simplified(self) -> Self {
        fn sorted(mut values: Vec<String>) -> Vec<String> {
            values.sort_unstable();
            values.dedup();
            values
        }
        match self {
            Self::In(label, values) => Self::In(label, sorted(values)),
            Self::NotIn(label, values) => Self::NotIn(label, sorted(values)),
            Self::Not(inner) => match inner.simplified() {
                Self::Not(twice) => *twice,
                once => Self::Not(Box::new(once)),
            },
            Self::And(parts) => {
                let flat = parts.into_iter().flat_map(|part| match part.simplified() {
                    Self::And(inner) => inner,
                    other => vec![other],
                });
                Self::only_or(flat.collect(), Self::And)
            }
            Self::Or(parts) => {
                let flat = parts.into_iter().flat_map(|part| match part.simplified() {
                    Self::Or(inner) => inner,
                    other => vec![other],
                });
                Self::only_or(flat.collect(), Self::Or)
            }
            Self::All | Self::Global | Self::Has(_) | Self::Compare { .. } => self,
        }
    }

    fn only_or(mut parts: Vec<Self>, join: impl FnOnce(Vec<Self>) -> Self) -> Self {
        match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                parts.extend(last);
                join(parts)
            }
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, label: &str, operator: &str, values: &[String]| {
            let values: Vec<_> = values.iter().map(|value| Quoted(value).to_string()).collect();
            write!(f, "{label} {operator} {{{}}}", values.join(", "))
        };
        match self {
            Self::All => f.write_str("all()"),
            Self::Global => f.write_str("global()"),
            Self::Has(label) => write!(f, "has({label})"),
            Self::Compare { label, comparison, value } => {
                write!(f, "{label} {} {}", comparison.operator(), Quoted(value))
            }
            Self::In(label, values) => list(f, label, "in", values),
            Self::NotIn(label, values) => list(f, label, "not in", values),
            Self::Not(inner) => write!(f, "!{}", Grouped(inner, true)),
            Self::And(parts) => joined(f, parts, " && "),
            Self::Or(parts) => joined(f, parts, " || "),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Expression], operator: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(operator)?;
        }
        write!(f, "{}", Grouped(part, false))?;
    }
    Ok(())
}

/// A part in parentheses where it needs them; `&&` within `||` has them too, for those who read it.
struct Grouped<'e>(&'e Expression, bool);

impl fmt::Display for Grouped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expression::And(_) | Expression::Or(_) => write!(f, "({})", self.0),
            Expression::Compare { .. } | Expression::In(..) | Expression::NotIn(..) if self.1 => {
                write!(f, "({})", self.0)
            }
            other => write!(f, "{other}"),
        }
    }
}

/// A text in the quotes that it does not contain. No text that was parsed contains both.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.0.contains('\'') { '"' } else { '\'' };
        write!(f, "{quote}{}{quote}", self.0)
    }
}
