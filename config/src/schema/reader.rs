use super::{Absence, Form, parser::Parser};
use crate::report::{Code, Findings, Place, Range};
use std::{borrow::Cow, collections::HashSet, fmt};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// What a value was given as, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) range: Place,
}

/// A key of an entry.
#[derive(Debug)]
pub(crate) enum Field<T> {
    /// Written, and usable.
    Given(At<T>),
    /// Not written.
    Absent(Option<T>),
    /// Written, but unusable, or required and absent: this is reported already.
    Unusable,
}

impl<T> Field<T> {
    /// The value with its position, if it was written.
    pub(crate) fn given(&self) -> Option<&At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent(_) | Self::Unusable => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn given_mut(&mut self) -> Option<&mut At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent(_) | Self::Unusable => None,
        }
    }

    /// The value, written or by default.
    pub(crate) fn value(&self) -> Option<&T> {
        match self {
            Self::Given(at) => Some(&at.value),
            Self::Absent(default) => default.as_ref(),
            Self::Unusable => None,
        }
    }

    /// The value itself, written or by default.
    pub(crate) fn into_value(self) -> Option<T> {
        match self {
            Self::Given(at) => Some(at.value),
            Self::Absent(default) => default,
            Self::Unusable => None,
        }
    }

    /// This one, or another if nobody wrote it.
    pub(crate) fn or(self, other: Self) -> Self {
        if self.is_absent() { other } else { self }
    }

    /// Whether nobody wrote it.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent(_))
    }

    pub(crate) fn is_unusable(&self) -> bool {
        matches!(self, Self::Unusable)
    }
}

impl<T> Field<Vec<At<T>>> {
    /// The elements of a list, written or by default; none if there is no list.
    pub(crate) fn into_list(self) -> Vec<T> {
        self.into_value().into_iter().flatten().map(|at| at.value).collect()
    }
}

/// What it means that a key of an entry is absent.
#[derive(Debug)]
pub(crate) enum Presence<T> {
    /// The entry is in error.
    Required,
    /// The key has this value.
    Or(T),
    /// The key has no value, which means this.
    Means(&'static str),
}

impl<T> Presence<T> {
    /// The same for the reference page.
    pub(crate) fn absence(&self, show: impl FnOnce(&T) -> Option<String>) -> Absence {
        match self {
            Self::Required => Absence::Required,
            Self::Or(value) => show(value).map_or(Absence::Means("none"), Absence::Default),
            Self::Means(text) => Absence::Means(text),
        }
    }
}

/// Where a table stands in the file: the keys that lead to it. Displayed as `policy.ingress.source`.
#[derive(Clone, Copy)]
struct Path<'p> {
    parent: Option<&'p Self>,
    /// Empty for the whole file.
    key: &'static str,
    form: Form,
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent.filter(|parent| !parent.key.is_empty()) {
            write!(f, "{parent}.")?;
        }
        f.write_str(self.key)
    }
}

/// Reads the keys of one table and notes which it was asked for; what is left over at the end is unknown.
pub(crate) struct Reader<'r, 'd> {
    path: Path<'r>,
    header: Range,
    table: &'r DeTable<'d>,
    known: Vec<&'static str>,
    /// Required keys that are not there, with what they would be.
    missing: Vec<(&'static str, String)>,
    pub(crate) findings: &'r mut Findings,
}

impl<'r, 'd> Reader<'r, 'd> {
    /// A reader for a whole file.
    pub(crate) fn new(table: &'r Spanned<DeTable<'d>>, findings: &'r mut Findings) -> Self {
        let path = Path { parent: None, key: "", form: Form::Once };
        Self::at(path, table.span(), table.get_ref(), findings)
    }

    /// A reader for `table`, which starts at `header`.
    fn at(path: Path<'r>, header: Range, table: &'r DeTable<'d>, findings: &'r mut Findings) -> Self {
        Self { path, header, table, known: Vec::new(), missing: Vec::new(), findings }
    }

    /// Whether `key` is there, and a table.
    pub(crate) fn has_table(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| value.get_ref().is_table())
    }

    /// Reports `key` if it is there: something else has taken its place.
    pub(crate) fn replaced(&mut self, key: &'static str, message: &str, help: &str) {
        if let Some((name, _)) = self.table.get_key_value(key) {
            self.known.push(key);
            self.findings.add(Code::Replaced, name.span(), message).help(help);
        }
    }

    /// Reports `key` if it is there, shows nothing of its value, and says whether it is: a secret has its place elsewhere, of which
    /// `help` speaks.
    pub(crate) fn secret(&mut self, key: &'static str, help: &str) -> bool {
        let Some((name, value)) = self.table.get_key_value(key) else { return false };
        self.known.push(key);
        self.findings.hide(value.span());
        let message = format!("`{key}` does not stand in TOML, which others may read");
        self.findings.add(Code::SecretInText, name.span(), message).help(help);
        true
    }

    /// Reports `key` if it is there: it may only stand in the main file.
    pub(crate) fn misplaced(&mut self, key: &'static str) {
        if let Some(value) = self.look_up(key) {
            let message = format!("`{key}` may stand once, in the main file");
            let finding = self.findings.add(Code::Misplaced, value.span(), message);
            finding.help("an included file has sections that may be repeated, such as [[policy]]");
        }
    }

    /// The value of `key`, if it is there and usable.
    pub(crate) fn value<P: Parser>(&mut self, key: &'static str, parser: &P) -> Option<P::Output> {
        let value = self.look_up(key)?;
        parser.parse(value, self.findings)
    }

    /// The value of `key` with its position.
    pub(crate) fn field<P: Parser>(
        &mut self,
        key: &'static str,
        presence: Presence<P::Output>,
        parser: &P,
    ) -> Field<P::Output> {
        match (self.look_up(key), presence) {
            (Some(value), _) => match parser.parse(value, self.findings) {
                Some(parsed) => Field::Given(At { value: parsed, range: self.findings.place(value.span()) }),
                None => Field::Unusable,
            },
            (None, Presence::Required) => {
                self.missing.push((key, parser.kind()));
                Field::Unusable
            }
            (None, Presence::Or(value)) => Field::Absent(Some(value)),
            (None, Presence::Means(_)) => Field::Absent(None),
        }
    }

    /// Reads the table `key` with `read`; an absent one like an empty one.
    pub(crate) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Reader<'_, '_>) -> T) -> T {
        let empty = DeTable::new();
        let path = Path { parent: Some(&self.path), key, form: Form::Once };
        self.known.push(key);
        let (header, table) = match self.table.get(key) {
            None => (self.header.clone(), &empty),
            Some(value) => (value.span(), table_of(value, &path, self.findings).unwrap_or(&empty)),
        };
        Reader::at(path, header, table, self.findings).finish(read)
    }

    /// Reads the table `key` within an entry with `read`, if there is one.
    pub(crate) fn inner<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Reader<'_, '_>) -> T,
    ) -> Option<Box<T>> {
        self.known.push(key);
        let value = self.table.get(key)?;
        let path = Path { parent: Some(&self.path), key, form: Form::Inner };
        let table = table_of(value, &path, self.findings)?;
        Some(Box::new(Reader::at(path, value.span(), table, self.findings).finish(read)))
    }

    /// Reads every entry of `key` with `read`.
    pub(crate) fn entries<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Reader<'_, '_>) -> T,
    ) -> Vec<T> {
        self.known.push(key);
        let Some(value) = self.table.get(key) else { return Vec::new() };
        let path = Path { parent: Some(&self.path), key, form: Form::Repeated };
        let Some(array) = value.get_ref().as_array() else {
            let message =
                format!("`{path}` is a section that may be repeated, not {}", article(value.get_ref()));
            self.findings.add(Code::WrongType, value.span(), message).help(format!("write [[{path}]]"));
            return Vec::new();
        };
        let mut entries = Vec::with_capacity(array.len());
        for entry in array.iter() {
            match entry.get_ref().as_table() {
                Some(table) => {
                    entries.push(Reader::at(path, entry.span(), table, self.findings).finish(&read));
                }
                None => {
                    let message =
                        format!("an entry of `{path}` is a table, not {}", article(entry.get_ref()));
                    self.findings
                        .add(Code::WrongType, entry.span(), message)
                        .help(format!("write [[{path}]]"));
                }
            }
        }
        entries
    }

    /// Runs `read`, then reports every key that it did not ask for, and every required key that is not there.
    /// A required key that is there with its name misspelt is one mistake, not two.
    pub(crate) fn finish<T>(mut self, read: impl FnOnce(&mut Reader<'_, '_>) -> T) -> T {
        let result = read(&mut self);
        for key in self.table.keys() {
            if self.known.iter().any(|known| known == key.get_ref()) {
                continue;
            }
            let nearest = nearest(key.get_ref(), self.known.iter().copied());
            self.missing.retain(|(missing, _)| nearest != Some(missing));
            self.unknown(key, nearest);
        }
        for (key, kind) in &self.missing {
            let message = match self.path.form {
                Form::Repeated => format!("this [[{}]] has no `{key}`", self.path),
                Form::Once | Form::Inner => format!("`{}` has no `{key}`", self.path),
            };
            let finding = self.findings.add(Code::MissingKey, self.header.clone(), message);
            finding.help(format!("add `{key}`: {kind}"));
        }
        result
    }

    fn unknown(&mut self, key: &Spanned<Cow<'_, str>>, nearest: Option<&str>) {
        let message = match key.get_ref() {
            key if self.path.key.is_empty() => format!("there is no section `{key}`"),
            key => format!("there is no key `{key}` in `{}`", self.path),
        };
        let mut asked = HashSet::new();
        let known: Vec<_> = self.known.iter().copied().filter(|known| asked.insert(*known)).collect();
        let finding = self.findings.add(Code::UnknownKey, key.span(), message);
        match nearest {
            Some(nearest) => finding.label(format!("did you mean `{nearest}`?")),
            None => finding.help(format!("known here: {}", known.join(", "))),
        };
    }

    fn look_up(&mut self, key: &'static str) -> Option<&'r Spanned<DeValue<'d>>> {
        self.known.push(key);
        self.table.get(key)
    }
}

/// The table that `value` is, or a report that it is none.
fn table_of<'v, 'd>(
    value: &'v Spanned<DeValue<'d>>,
    path: &Path<'_>,
    findings: &mut Findings,
) -> Option<&'v DeTable<'d>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        let (what, example) = match path.form {
            Form::Once | Form::Repeated => ("section that may stand once", format!("[{path}]")),
            Form::Inner => ("table", format!("{} = {{ … }}", path.key)),
        };
        let message = format!("`{path}` is a {what}, not {}", article(value.get_ref()));
        findings.add(Code::WrongType, value.span(), message).help(format!("write {example}"));
    }
    table
}

/// The candidate that `text` was probably meant to be: a few letters differ, or one begins with the other.
pub(crate) fn nearest<'c>(text: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .map(|candidate| (distance(text, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerance(text))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How far a name is from what somebody wrote: letters that differ, fewer if one begins with the other.
pub fn distance(text: &str, candidate: &str) -> usize {
    let text = text.to_lowercase().replace('-', "_");
    let candidate = candidate.replace('-', "_");
    let begins = text.len() > 2 && (text.starts_with(&candidate) || candidate.starts_with(&text));
    let distance = strsim::damerau_levenshtein(&text, &candidate);
    if begins { distance.min(tolerance(&text)) } else { distance }
}

/// How far a name may be from what was meant by it.
fn tolerance(text: &str) -> usize {
    (text.chars().count() / 3).clamp(1, 3)
}

/// The type of a value with its article: "a string", "an integer".
pub(crate) fn article(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {kind}")
}
