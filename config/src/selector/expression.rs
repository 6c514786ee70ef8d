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
            Self::Not(inner) => inner.simplified().negated(),
            Self::And(parts) => {
                let mut flat = Vec::with_capacity(parts.len());
                for part in parts {
                    let part = part.simplified();
                    if let Self::And(inner) = part { flat.extend(inner) } else { flat.push(part) }
                }
                Self::joined(flat, Self::And, Self::All)
            }
            Self::Or(parts) => {
                let mut flat = Vec::with_capacity(parts.len());
                for part in parts {
                    let part = part.simplified();
                    if let Self::Or(inner) = part { flat.extend(inner) } else { flat.push(part) }
                }
                Self::joined(flat, Self::Or, Self::All.negated())
            }
            Self::All | Self::Global | Self::Has(_) | Self::Compare { .. } => self,
        }
    }

    pub(super) fn negated(self) -> Self {
        if let Self::Not(inner) = self { *inner } else { Self::Not(Box::new(self)) }
    }

    /// `parts` as one expression: `none` if there are none, itself if there is only one.
    pub(super) fn joined(mut parts: Vec<Self>, join: impl FnOnce(Vec<Self>) -> Self, none: Self) -> Self {
        if parts.len() > 1 { join(parts) } else { parts.pop().unwrap_or(none) }
    }
}

impl fmt::Display for Expression {
    /// As people would write it; `{:#}` without any blank or parenthesis that could be left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = f.alternate();
        match self {
            Self::All => f.write_str("all()"),
            Self::Global => f.write_str("global()"),
            Self::Has(label) => write!(f, "has({label})"),
            Self::Compare { label, comparison, value } => {
                operator(f, label, comparison.operator())?;
                quoted(f, value)
            }
            Self::In(label, values) => {
                operator(f, label, "in")?;
                list(f, values)
            }
            Self::NotIn(label, values) => {
                operator(f, label, "not in")?;
                list(f, values)
            }
            Self::Not(inner) => {
                f.write_str("!")?;
                let comparison = matches!(**inner, Self::Compare { .. } | Self::In(..) | Self::NotIn(..));
                grouped(f, inner, inner.is_joined() || comparison && !short)
            }
            Self::And(parts) => separated(f, parts, if short { "&&" } else { " && " }, |f, part| {
                grouped(f, part, part.is_joined())
            }),
            Self::Or(parts) => separated(f, parts, if short { "||" } else { " || " }, |f, part| {
                // `&&` binds stronger; the parentheses are for those who read it.
                grouped(f, part, part.is_joined() && !short)
            }),
        }
    }
}

impl Expression {
    const fn is_joined(&self) -> bool {
        matches!(self, Self::And(_) | Self::Or(_))
    }
}

/// A label and the operator behind it.
fn operator(f: &mut fmt::Formatter<'_>, label: &str, operator: &str) -> fmt::Result {
    if !f.alternate() {
        return write!(f, "{label} {operator} ");
    }
    let blank = if operator.starts_with(char::is_alphabetic) { " " } else { "" };
    write!(f, "{label}{blank}{}", operator.replace(' ', ""))
}

/// A text in the quotes that it does not contain. No text that was parsed contains both.
fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let quote = if text.contains('\'') { '"' } else { '\'' };
    write!(f, "{quote}{text}{quote}")
}

fn list(f: &mut fmt::Formatter<'_>, values: &[String]) -> fmt::Result {
    f.write_str("{")?;
    let comma = if f.alternate() { "," } else { ", " };
    separated(f, values, comma, |f, value| quoted(f, value))?;
    f.write_str("}")
}

fn grouped(f: &mut fmt::Formatter<'_>, part: &Expression, parentheses: bool) -> fmt::Result {
    if !parentheses {
        return fmt::Display::fmt(part, f);
    }
    f.write_str("(")?;
    fmt::Display::fmt(part, f)?;
    f.write_str(")")
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    parts: &[T],
    separator: &str,
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write(f, part)?;
    }
    Ok(())
}
