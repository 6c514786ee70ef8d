use std::{
    io,
    path::{Path, PathBuf},
};

use ravelin_config::{Code, Report};
use serde_json::json;

use super::{Failure, target};
use crate::{
    capture::{Captures, trigger},
    compile::{self, CompileError, Ports},
    policy::Engine,
};

/// Says all that is wrong with a configuration.
///
/// Nothing is asked of the system: interfaces need not exist. Warnings alone are no failure.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration.
    #[arg(short, long, value_name = "FILE", default_value = super::DEFAULT_CONFIG)]
    config: PathBuf,
    /// The same, without a flag.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let path = args.file.as_ref().unwrap_or(&args.config);
    let (report, valid, runnable) = inspect(path);
    let notes: &[&str] = if valid && !runnable { &[NO_INTERFACE] } else { &[] };
    let file = path.display();
    let counts =
        format!("{file}: {}, {}", count(report.errors(), "error"), count(report.warnings(), "warning"));
    if json {
        target::print_json(
            &json!({
                "file": path,
                "valid": valid,
                "errors": report.errors(),
                "warnings": report.warnings(),
                "diagnostics": report.diagnostics(),
                "notes": notes,
            }),
            false,
        )?;
        return if valid { Ok(()) } else { Err(Failure::usage(counts).told()) };
    }
    if !valid {
        let columns = target::columns(io::stderr());
        return Err(Failure::usage(format_args!("{counts}\n\n{report:columns$}")));
    }
    if !report.is_empty() {
        let columns = target::columns(io::stdout());
        target::print(&format!("{report:columns$}"))?;
    }
    for note in notes {
        target::print(&format!("note: {note}"))?;
    }
    target::print(&counts)
}

/// What is right for `replay` but not for `run`.
const NO_INTERFACE: &str =
    "no interface is configured: `ravelin replay` needs none, `ravelin run` would refuse it";

/// What is to be said about the configuration at `path`, whether it can be used, and whether it has an interface.
fn inspect(path: &Path) -> (Report, bool, bool) {
    let loaded = match crate::sources::load(path) {
        Ok(loaded) => loaded,
        Err(report) => return (report, false, false),
    };
    let compile = || -> Result<(), CompileError> {
        let ports = Ports::unlimited(&loaded.config)?;
        let config = &loaded.config;
        let ring = &config.capture.ring;
        Captures::new(ring).map_err(|error| CompileError::Ring(error.to_string()))?;
        trigger::check(&config.capture)?;
        let engine = Engine::of(config, &loaded.library)?;
        compile::snapshot(config, &ports, engine.policy().clone()).map(drop)
    };
    if let Err(error) = compile() {
        let is_text = matches!(error, CompileError::Ring(_) | CompileError::Trigger(_));
        let code = if is_text { Code::Malformed } else { Code::TooLarge };
        return (loaded.warnings.refuse(code, error.to_string()), false, false);
    }
    let runnable = !loaded.config.interfaces.is_empty();
    (loaded.warnings, true, runnable)
}

fn count(number: usize, thing: &str) -> String {
    match number {
        0 => format!("no {thing}s"),
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}
