use super::{Failure, target};
use crate::api::{client, view::Reload};

/// Tells the running process to take over its configuration file as it is now: all of it or nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) target: target::Target,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let socket = args.target.socket(json)?;
    let answer: Reload = target::block_on(async { Ok(client::post(&socket, "/reload").await?) })?;
    if json {
        target::print_json(&answer, false)?;
    } else {
        if let Some(warnings) = &answer.warnings {
            eprintln!("{warnings}");
        }
        let changed =
            if answer.changes.is_empty() { "nothing".to_owned() } else { answer.changes.join(", ") };
        target::print(&format!("generation {} is in force; changed: {changed}", answer.generation))?;
    }
    if answer.behind.is_empty() {
        return Ok(());
    }
    let workers: Vec<_> = answer.behind.iter().map(ToString::to_string).collect();
    Err(Failure::failed(format_args!("worker {} has not taken it over yet", workers.join(", ")))
        .help("`ravelin show workers` tells whether it makes progress"))
}
