//! What is found, and how it is told.

use std::fmt;

use serde::Serialize;

/// How a finding is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It is as it should be.
    Ok,
    /// Ravelin works, but could do better.
    Advice,
    /// Ravelin does not start so, or does not do what it is there for.
    Problem,
}

impl Level {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Advice => "advice",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it is meant.
    pub level: Level,
    /// What was looked at, in one word for programs.
    pub check: &'static str,
    /// What was found.
    pub found: String,
    /// What should be there instead, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// How to change it: a command or a line of configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl fmt::Display) -> Self {
        Self { level: Level::Ok, check, found: found.to_string(), wanted: None, change: None }
    }

    pub(super) fn advice(
        check: &'static str,
        found: impl fmt::Display,
        wanted: impl fmt::Display,
        change: impl fmt::Display,
    ) -> Self {
        let level = Level::Advice;
        let (found, wanted, change) = (found.to_string(), wanted.to_string(), change.to_string());
        Self { level, check, found, wanted: Some(wanted), change: Some(change) }
    }

    pub(super) fn problem(
        check: &'static str,
        found: impl fmt::Display,
        wanted: impl fmt::Display,
        change: impl fmt::Display,
    ) -> Self {
        Self { level: Level::Problem, ..Self::advice(check, found, wanted, change) }
    }
}

/// What was found about one part of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Which part: `kernel`, `interface eth0`.
    pub about: String,
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Section {
    pub(super) fn new(about: &str, findings: Vec<Finding>) -> Self {
        Self { about: about.to_owned(), findings }
    }
}
