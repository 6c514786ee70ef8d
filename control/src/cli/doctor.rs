use std::{
    fmt,
    path::{Path, PathBuf},
};

use ravelin_config::Config;
use serde::Serialize;

use super::{Failure, target};
use crate::doctor::{self, Finding, Level, Section};

/// Says what of this machine helps or hinders, and how to change it.
///
/// Looks at the kernel, what this process may do, cores, memory, disk, and the interfaces of the configuration, or at all
/// interfaces if there are none in it. Nothing is changed. Each finding is `ok`, `advice`, or a `problem` with which Ravelin would not
/// start or not work; then the exit code is 1.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration; without it, /etc/ravelin/ravelin.toml if that is there.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let usual = || Some(Path::new(super::DEFAULT_CONFIG)).filter(|path| path.exists());
    let config = match args.config.as_deref().or_else(usual) {
        Some(path) => ravelin_config::load(path)?.config,
        None => Config::default(),
    };
    let report = Report::new(doctor::examine(&config).map_err(Failure::failed)?);
    if json {
        target::print_json(&report, false)?;
    } else {
        target::print(&report.to_string())?;
    }
    if report.problems == 0 { Ok(()) } else { Err(Failure::failed("there are problems").told()) }
}

#[derive(Debug, Serialize)]
struct Report {
    sections: Vec<Section>,
    ok: usize,
    advice: usize,
    problems: usize,
}

impl Report {
    fn new(sections: Vec<Section>) -> Self {
        let all = || sections.iter().flat_map(|section| &section.findings);
        let count = |level| all().filter(|finding| finding.level == level).count();
        Self { ok: count(Level::Ok), advice: count(Level::Advice), problems: count(Level::Problem), sections }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Section { about, findings } in &self.sections {
            writeln!(f, "{about}")?;
            for Finding { level, check: _, found, wanted, change } in findings {
                writeln!(f, "  {:<8} {found}", level.name())?;
                for (word, text) in [("wanted", wanted), ("change", change)] {
                    if let Some(text) = text {
                        writeln!(f, "  {:<8} {word}: {text}", "")?;
                    }
                }
            }
        }
        let s = if self.problems == 1 { "" } else { "s" };
        write!(f, "{} ok, {} advice, {} problem{s}", self.ok, self.advice, self.problems)
    }
}
