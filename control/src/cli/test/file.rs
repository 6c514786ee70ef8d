//! What a file of flows may say.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Spanned;

use crate::{
    cli::Failure,
    policy::{Question, word_or_number},
};

/// A file of flows, read.
#[derive(Debug)]
pub(super) struct TestFile {
    pub(super) path: PathBuf,
    /// The configuration that it is about, from where we are.
    pub(super) config: Option<PathBuf>,
    /// The flows, each with the line on which it stands.
    pub(super) flows: Vec<(usize, Flow)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    config: Option<PathBuf>,
    #[serde(default)]
    flow: Vec<Spanned<Flow>>,
}

/// `[[flow]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flow {
    name: Option<String>,
    from: String,
    to: String,
    #[serde(default, deserialize_with = "word_or_number")]
    proto: Option<String>,
    port: Option<u16>,
    source_port: Option<u16>,
    icmp_type: Option<u8>,
    icmp_code: Option<u8>,
    from_zone: Option<String>,
    to_zone: Option<String>,
    pub(super) expect: Expect,
    pub(super) pending: Option<Expect>,
    pub(super) policy: Option<String>,
    pub(super) rule: Option<i64>,
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expect {
    Allow,
    Deny,
    Reject,
}

impl Expect {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Reject => "reject",
        }
    }
}

impl TestFile {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display();
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::usage(format_args!("cannot read `{name}`: {error}")))?;
        let Contents { config, flow } = toml::from_str(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let (line, column) = place(&text, start);
            Failure::usage(format_args!("{name}:{line}:{column}: {}", error.message()))
                .help("`ravelin test --help` shows what a file may say")
        })?;
        if flow.is_empty() {
            return Err(Failure::usage(format_args!("{name} has no [[flow]]: nothing in it can fail")));
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        Ok(Self {
            path: path.to_owned(),
            config: config.map(|config| directory.join(config)),
            flows: flow
                .into_iter()
                .map(|flow| (place(&text, flow.span().start).0, flow.into_inner()))
                .collect(),
        })
    }
}

/// Line and column of a byte, from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

impl Flow {
    /// What is to be asked about it.
    pub(super) fn question(&self) -> Question {
        Question {
            from: self.from.clone(),
            to: self.to.clone(),
            from_zone: self.from_zone.clone(),
            to_zone: self.to_zone.clone(),
            proto: self.proto.clone(),
            port: self.port,
            source_port: self.source_port,
            icmp_type: self.icmp_type,
            icmp_code: self.icmp_code,
        }
    }

    /// Its name, or who talks to whom.
    pub(super) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.question().to_string())
    }
}
