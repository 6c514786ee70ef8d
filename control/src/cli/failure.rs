//! What a command says when it cannot do what was asked.

use std::{fmt, io, process::ExitCode};

use serde::Serialize;

use super::target;

/// Why a command failed, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    #[serde(skip)]
    kind: Kind,
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    /// What is wrong with the configuration, as `check --json` says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostics: Option<serde_json::Value>,
    /// The fields that need a restart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<String>,
    /// Whether the answer has said it already.
    #[serde(skip)]
    told: bool,
}

/// Whose fault it is: decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It did not work. Exit code 1.
    Failed,
    /// The command line or the configuration is wrong. Exit code 2.
    Usage,
}

impl Failure {
    /// It did not work: exit code 1.
    pub fn failed(error: impl fmt::Display) -> Self {
        Self::new(Kind::Failed, &error)
    }

    /// The command line or the configuration is wrong: exit code 2.
    pub fn usage(error: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, &error)
    }

    fn new(kind: Kind, error: &impl fmt::Display) -> Self {
        let error = error.to_string();
        Self { kind, error, help: None, diagnostics: None, fields: Vec::new(), told: false }
    }

    /// Adds what programs want to know: findings in the configuration, and the fields that need a restart.
    #[must_use]
    pub fn details(self, diagnostics: Option<serde_json::Value>, fields: Vec<String>) -> Self {
        Self { diagnostics, fields, ..self }
    }

    /// Only the exit code is left to be said.
    #[must_use]
    pub fn told(self) -> Self {
        Self { told: true, ..self }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn help(self, help: impl fmt::Display) -> Self {
        Self { help: Some(help.to_string()), ..self }
    }

    /// The exit code that goes with it.
    pub fn code(&self) -> ExitCode {
        match self.kind {
            Kind::Failed => ExitCode::from(1),
            Kind::Usage => ExitCode::from(2),
        }
    }

    /// Writes it to standard error, as text or as one JSON object.
    pub(super) fn report(&self, json: bool) {
        if self.told {
            return;
        }
        if json {
            eprintln!("{}", serde_json::json!(self));
            return;
        }
        eprintln!("ravelin: {}", self.error);
        if let Some(help) = &self.help {
            eprintln!("  help: {help}");
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.help {
            Some(help) => write!(f, "{} ({help})", self.error),
            None => f.write_str(&self.error),
        }
    }
}

impl std::error::Error for Failure {}

impl From<ravelin_config::Report> for Failure {
    fn from(report: ravelin_config::Report) -> Self {
        let diagnostics = serde_json::json!(report.diagnostics());
        let columns = target::columns(io::stderr());
        Self::usage(format_args!("the configuration cannot be used\n\n{report:columns$}"))
            .details(Some(diagnostics), Vec::new())
    }
}
