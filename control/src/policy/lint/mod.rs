//! What is doubtful about a policy as a whole.
//!
//! Everything is found by looking at the flat rules that the packet path would ask, so a finding is about what happens, not about
//! how it is written. Promises: a rule that is called shadowed matches no flow. Refuses: to find every such rule: one that only
//! several others together cover is not seen, nor one whose cover lies behind more than [`cover::LOOKED_AT`] other rules that
//! match the same flow. Read next: `rules.rs`, `endpoints.rs`.

mod cover;
mod endpoints;
mod policies;
mod reason;
mod rules;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use ravelin_config::resources::{Resources, RuleAction};
use ravelin_dataplane::policy::RuleId;
use serde::Serialize;

use super::{Block, Direction, Settings, flat::Flat};
use crate::compile::CompileError;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It may be meant so.
    Note,
    /// It is hardly meant so.
    Warning,
    /// It does harm.
    Error,
}

impl Severity {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something doubtful.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing it is, for programs.
    pub kind: &'static str,
    /// The policy that it is about, as traces call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The direction that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<&'static str>,
    /// Which of the policy's rules, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// One sentence.
    pub message: String,
}

impl Finding {
    fn new(severity: Severity, kind: &'static str, message: String) -> Self {
        Self { severity, kind, policy: None, direction: None, rule: None, message }
    }

    fn of_policy(self, policy: &str, direction: Option<Direction>, rule: Option<usize>) -> Self {
        Self { policy: Some(policy.to_owned()), direction: direction.map(Direction::name), rule, ..self }
    }
}

/// All that is doubtful about a policy: about all of it, about endpoints, about policies in the order of the resources.
///
/// # Errors
/// As for a snapshot.
pub fn lint(resources: &Resources, settings: &Settings) -> Result<Vec<Finding>, CompileError> {
    let flat = Flat::new(resources, settings)?;
    let blocks = flat.book.blocks();
    let number = |(first, block): (RuleId, Arc<Block>)| {
        ((block.tier.clone(), block.policy.clone(), block.direction), (first, block.default))
    };
    let numbers = blocks.into_iter().map(number).collect();
    let mut lint = Lint { resources, settings, flat, numbers, findings: Vec::new() };
    lint.endpoints();
    lint.policies();
    lint.rules();
    Ok(lint.findings)
}

struct Lint<'r> {
    resources: &'r Resources,
    settings: &'r Settings,
    flat: Flat,
    /// The number of the first rule of each tier, policy and direction, and what the default behind its rules does.
    numbers: HashMap<(String, String, Direction), (RuleId, RuleAction)>,
    findings: Vec<Finding>,
}

/// Some names, and how many more there are.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let rest = names.len().saturating_sub(SHOWN);
    let rest = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    format!("{}{rest}", shown.join(", "))
}

/// So many of a thing.
fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}
