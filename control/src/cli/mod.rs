//! The command line: one file for each verb.
//!
//! Exit codes: 0 it worked; 1 it did not, and standard error says why and what to do next; 2 the command line or the
//! configuration is wrong. A command that is asked to judge (`test`, `diff`, `lint --strict`, `explain --fail-on-deny`) ends with 1 if
//! its judgement is no, `doctor` if there are problems. With `--json` what is printed is JSON, errors (on standard error) as well.
//!
//! Promises: standard output holds nothing but the answer. Refuses: to do anything itself that the running process should
//! do; `show`, `trace` and `reload` ask it through the control socket ([`crate::api`]). `explain`, `test`, `lint`, `diff` and `select` ask a
//! configuration ([`crate::policy`]), `feed test` a file ([`crate::feeds`]).
//!
//! A verb is a file with `Args` (clap) and `run(&Args, json: bool) -> Result<(), Failure>`. Read next: `run.rs`.

mod capture;
mod check;
mod completions;
mod detach;
mod diff;
mod doctor;
mod explain;
mod failure;
mod feed;
mod import;
mod lint;
mod manual;
mod reload;
mod replay;
mod run;
mod select;
mod show;
mod target;
mod test;
#[cfg(test)]
mod tests;
mod trace;
mod version;
mod wg;

pub use failure::Failure;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

/// Where the configuration is if nobody says otherwise.
const DEFAULT_CONFIG: &str = "/etc/ravelin/ravelin.toml";

/// Exit codes as `--help` explains them.
const EXIT_CODES: &str = "Exit codes: 0 success, 1 failure, 2 wrong command line or configuration.";

/// Ravelin: a packet-processing security appliance.
#[derive(Debug, Parser)]
#[command(name = "ravelin", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Args),
    Check(check::Args),
    Reload(reload::Args),
    Show(show::Args),
    Trace(trace::Args),
    Explain(explain::Args),
    Test(test::Args),
    Lint(lint::Args),
    Diff(diff::Args),
    Replay(replay::Args),
    Import(import::Args),
    Select(select::Args),
    Capture(capture::Args),
    Feed(feed::Args),
    Wg(wg::Args),
    Detach(detach::Args),
    Doctor(doctor::Args),
    Version(version::Args),
    Completions(completions::Args),
    Manual(manual::Args),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    execute(std::env::args_os())
}

/// Runs a command line, the name of the program first.
pub fn execute(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are errors to clap, which go to standard output; if that is closed nobody reads it.
            let _closed = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let json = cli.json;
    let result: Result<(), Failure> = match &cli.verb {
        Verb::Run(args) => run::run(args),
        Verb::Reload(args) => reload::run(args, json),
        Verb::Show(args) => show::run(args, json),
        Verb::Trace(args) => trace::run(args, json),
        Verb::Explain(args) => explain::run(args, json),
        Verb::Diff(args) => diff::run(args, json),
        Verb::Lint(args) => lint::run(args, json),
        Verb::Test(args) => test::run(args, json),
        Verb::Detach(args) => detach::run(args, json),
        Verb::Doctor(args) => doctor::run(args, json),
        Verb::Check(args) => check::run(args, json),
        Verb::Replay(args) => replay::run(args, json),
        Verb::Import(args) => import::run(args, json),
        Verb::Select(args) => select::run(args, json),
        Verb::Capture(args) => capture::run(args, json),
        Verb::Feed(args) => feed::run(args, json),
        Verb::Wg(args) => wg::run(args, json),
        Verb::Version(args) => version::run(args, json),
        Verb::Completions(args) => completions::run(args),
        Verb::Manual(args) => manual::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(json);
            failure.code()
        }
    }
}
