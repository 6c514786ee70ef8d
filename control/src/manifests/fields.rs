//! Typed reading of a tree: what a value should be, or a [`Fault`] that says where it is not.

use std::{fmt, str::FromStr};

use super::yaml::{Entries, Node, Value};

/// Something that cannot be understood, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The field, as `spec.ingress[0].from`; empty for the object as a whole.
    pub(super) field: String,
    pub(super) line: Option<u32>,
    pub(super) what: String,
}

impl Fault {
    /// A fault that stands nowhere in particular.
    pub(super) fn general(what: impl fmt::Display) -> Self {
        Self { field: String::new(), line: None, what: what.to_string() }
    }
}

/// A value and the way to it.
#[derive(Clone, Debug)]
pub(super) struct At<'n> {
    pub(super) node: &'n Node,
    path: String,
}

impl<'n> At<'n> {
    /// The value at the top of a document.
    pub(super) const fn root(node: &'n Node) -> Self {
        Self { node, path: String::new() }
    }

    /// Says that something is wrong here.
    pub(super) fn fault(&self, what: impl fmt::Display) -> Fault {
        Fault { field: self.path.clone(), line: Some(self.node.line), what: what.to_string() }
    }

    /// A text. Numbers and truth values without quotes are taken as they are written.
    pub(super) fn text(&self) -> Result<&'n str, Fault> {
        match &self.node.value {
            Value::Scalar { text, .. } if !self.node.is_null() => Ok(text),
            Value::Scalar { .. } => Err(self.fault("a text is missing")),
            Value::List(_) | Value::Map(_) => Err(self.fault("expected a text")),
        }
    }

    /// A text that means something.
    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(&self) -> Result<T, Fault> {
        self.text()?.parse().map_err(|error| self.fault(error))
    }

    /// A number, without quotes.
    pub(super) fn number<T: FromStr>(&self) -> Result<T, Fault> {
        self.number_or_text()?.map_err(|_| self.fault("expected a number"))
    }

    /// A number without quotes, or else a text.
    pub(super) fn number_or_text<T: FromStr>(&self) -> Result<Result<T, &'n str>, Fault> {
        let text = self.text()?;
        let plain = matches!(self.node.value, Value::Scalar { plain: true, .. });
        // A name may start with a digit; only words such as `inf` are numbers that do not.
        if !plain || text.starts_with(|c: char| c.is_ascii_alphabetic()) || text.parse::<f64>().is_err() {
            return Ok(Err(text));
        }
        text.parse().map(Ok).map_err(|_| self.fault(format_args!("{text} is not possible here")))
    }

    /// `true` or `false`.
    pub(super) fn truth(&self) -> Result<bool, Fault> {
        match self.text()? {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.fault("expected true or false")),
        }
    }

    /// The items of a list.
    pub(super) fn list(&self) -> Result<impl ExactSizeIterator<Item = Self> + use<'n, '_>, Fault> {
        match &self.node.value {
            Value::List(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, node)| Self { node, path: format!("{}[{index}]", self.path) })),
            Value::Scalar { .. } | Value::Map(_) => Err(self.fault("expected a list")),
        }
    }

    /// The entries of a mapping, to be read key by key.
    pub(super) fn fields(&self) -> Result<Fields<'n>, Fault> {
        match &self.node.value {
            Value::Map(entries) => Ok(Fields { at: self.clone(), entries, known: Vec::new() }),
            Value::Scalar { .. } | Value::List(_) => Err(self.fault("expected a mapping")),
        }
    }

    /// The entries of a mapping with free keys.
    pub(super) fn entries(&self) -> Result<impl Iterator<Item = (&'n str, Self)> + use<'n, '_>, Fault> {
        let Fields { entries, .. } = self.fields()?;
        Ok(entries.iter().map(|(key, node)| (&**key, self.child(key, node))))
    }

    /// Texts under free keys, as labels are.
    pub(super) fn texts<C: FromIterator<(String, String)>>(&self) -> Result<C, Fault> {
        self.entries()?
            .map(|(key, value)| {
                let text = if value.node.is_null() { "" } else { value.text()? };
                Ok((key.to_owned(), text.to_owned()))
            })
            .collect()
    }

    fn child(&self, key: &str, node: &'n Node) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { node, path: format!("{}{dot}{key}", self.path) }
    }
}

/// A mapping whose keys are asked for one by one.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    pub(super) at: At<'n>,
    entries: &'n Entries,
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The value of `key`; `None` if it is absent, or null, which is the same.
    pub(super) fn get(&mut self, key: &'static str) -> Option<At<'n>> {
        self.known.push(key);
        let (_, node) = self.entries.iter().find(|(known, node)| **known == *key && !node.is_null())?;
        Some(self.at.child(key, node))
    }

    /// The value of a key that must be there.
    pub(super) fn need(&mut self, key: &'static str) -> Result<At<'n>, Fault> {
        self.get(key).ok_or_else(|| self.at.fault(format_args!("`{key}` is missing")))
    }

    /// The items of a list, none if it is absent.
    pub(super) fn list(&mut self, key: &'static str) -> Result<Vec<At<'n>>, Fault> {
        self.get(key).map_or(Ok(Vec::new()), |at| Ok(at.list()?.collect()))
    }

    /// A text, if it is there.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<&'n str>, Fault> {
        self.get(key).map(|at| at.text()).transpose()
    }

    /// Says that these keys are known and of no interest.
    pub(super) fn ignore(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    /// The keys that nobody has asked for.
    pub(super) fn unknown(&self) -> impl Iterator<Item = Fault> {
        let unknown =
            self.entries.iter().filter(|(key, node)| !self.known.contains(&&**key) && !node.is_null());
        unknown.map(|(key, node)| {
            let shown: String = key.chars().take(64).collect();
            self.at.child(&shown.escape_debug().to_string(), node).fault("this field is not known")
        })
    }

    /// That all keys have been asked for.
    pub(super) fn finish(self) -> Result<(), Fault> {
        let unknown = self.unknown().next();
        unknown.map_or(Ok(()), Err)
    }
}
