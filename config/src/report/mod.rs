//! What is wrong with a configuration: all of it, at once, with positions.
//!
//! A [`Report`] is a list of [`Diagnostic`]s in the order of the text. `Display` renders it for people, in
//! the manner of rustc; `Serialize` is the form behind `ravelin check --json`. Promises that the caret stands
//! under what the span names, whatever tabs, wide or combining characters the line holds, and that no control
//! character of the file reaches the terminal. The kinds of findings are declared in [`Code`].

mod code;
mod findings;
mod render;
mod source;
#[cfg(test)]
mod tests;

pub use code::{Code, Severity};
pub(crate) use findings::{Finding, Findings};
pub(crate) use source::{Place, Range};

use crate::job::Placed;
use serde::Serialize;

/// Everything found in one configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Whether the configuration is refused because of it.
    pub severity: Severity,
    /// The kind of finding, stable over releases.
    pub code: Code,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where; absent if the finding is about the configuration as a whole.
    pub span: Option<Span>,
    /// What stands behind the caret, such as `did you mean "dmz"?`.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

/// A piece of one line of a file. Lines and columns start at 1; columns count characters, not bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Span {
    /// The name of the file, as it was given.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column of the first character.
    pub column: usize,
    /// The column behind the last character. What spans lines ends with its first line.
    pub end: usize,
    /// The whole line, for rendering.
    #[serde(skip)]
    pub(crate) text: String,
}

impl Report {
    /// The findings, in the order of the text.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Number of findings that make the configuration unusable.
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// Number of findings that do not.
    pub fn warnings(&self) -> usize {
        self.diagnostics.len() - self.errors()
    }

    /// This report, and one more finding about the configuration as a whole.
    #[must_use]
    pub fn with(self, code: Code, message: String) -> Self {
        self.refuse(code, message)
    }

    /// This report, and one more error about the configuration as a whole.
    #[must_use]
    pub fn refuse(mut self, code: Code, message: String) -> Self {
        self.diagnostics.extend(Self::whole(code, message, None).diagnostics);
        self
    }

    /// This report, and one more error about a text of the configuration.
    #[must_use]
    pub fn refuse_text(mut self, code: Code, text: &Placed, message: String) -> Self {
        let (severity, span) = (Severity::Error, text.span.clone());
        self.diagnostics.push(Diagnostic { severity, code, message, span, label: None, help: None });
        self
    }

    /// A report of one error about the configuration as a whole.
    pub(crate) fn whole(code: Code, message: String, help: Option<String>) -> Self {
        let severity = code.severity();
        Self { diagnostics: vec![Diagnostic { severity, code, message, span: None, label: None, help }] }
    }
}

impl std::error::Error for Report {}
