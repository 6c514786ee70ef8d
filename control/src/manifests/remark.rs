use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};

use super::fields::Fault;

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is lost; somebody may wonder all the same.
    Note,
    /// Part of an object was not carried over, or an object that protects nothing here.
    Warning,
    /// An object, or a rule of one, was not carried over: what is in force differs from what was written.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What is to be said about something that could not be taken over as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// How much it matters.
    pub severity: Severity,
    /// The file.
    #[serde(serialize_with = "text")]
    pub file: Arc<str>,
    /// The document in the file, from 1; 0 for the file as a whole.
    pub document: usize,
    /// The line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The object's kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The object's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The object's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The field of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is the matter.
    pub problem: String,
    /// What was done instead.
    pub instead: String,
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(kind) = &self.kind {
            write!(f, ": {kind}")?;
        }
        if let Some(name) = &self.name {
            let namespace = self.namespace.as_deref();
            write!(f, " {}{}{name}", namespace.unwrap_or_default(), namespace.map_or("", |_| "/"))?;
        }
        if let Some(field) = self.field.as_deref().filter(|field| !field.is_empty()) {
            write!(f, ": {field}")?;
        }
        write!(f, ": {}; {}", self.problem, self.instead)
    }
}

/// Remarks as they come up, and the object that they are about.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    pub(super) list: Vec<Remark>,
    pub(super) place: Place,
    object: (Option<String>, Option<String>, Option<String>),
    /// How many came up beyond [`Self::MAX`], and the worst of them.
    left_out: Option<(usize, Severity)>,
}

/// Where an object was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) file: Arc<str>,
    pub(super) document: usize,
}

impl Remarks {
    /// The most remarks that are kept.
    const MAX: usize = 10_000;

    /// What follows is about this object.
    pub(super) fn about(&mut self, kind: Option<&str>, namespace: Option<&str>, name: Option<&str>) {
        self.object = (kind.map(short), namespace.map(short), name.map(short));
    }

    /// An object or a rule is not carried over.
    pub(super) fn error(&mut self, fault: Fault, instead: &str) {
        self.add(Severity::Error, fault, instead);
    }

    /// Part of an object is not carried over.
    pub(super) fn warning(&mut self, fault: Fault, instead: &str) {
        self.add(Severity::Warning, fault, instead);
    }

    /// Nothing is lost.
    pub(super) fn note(&mut self, fault: Fault, instead: &str) {
        self.add(Severity::Note, fault, instead);
    }

    fn add(&mut self, severity: Severity, fault: Fault, instead: &str) {
        if self.list.len() >= Self::MAX {
            let (count, worst) = self.left_out.unwrap_or((0, severity));
            self.left_out = Some((count + 1, worst.max(severity)));
            return;
        }
        let (kind, namespace, name) = self.object.clone();
        self.list.push(Remark {
            severity,
            file: Arc::clone(&self.place.file),
            document: self.place.document,
            line: fault.line,
            kind,
            namespace,
            name,
            field: Some(fault.field).filter(|field| !field.is_empty()),
            problem: short(&fault.what),
            instead: instead.to_owned(),
        });
    }

    /// All remarks, in the order in which they came up.
    pub(super) fn finish(mut self) -> Vec<Remark> {
        if let Some((count, worst)) = self.left_out.take() {
            // The last one kept says that there were more.
            self.list.pop();
            self.about(None, None, None);
            self.add(worst, Fault::general(format!("{} more remarks", count + 1)), "they are not shown");
        }
        self.list
    }
}

/// What somebody wrote, in a length that can be read, and without what a terminal would act upon.
fn short(text: &str) -> String {
    /// Longer than any name that Kubernetes allows.
    const SHOWN: usize = 400;
    let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().take(SHOWN).map(shown).collect()
}
