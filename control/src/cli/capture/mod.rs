//! `ravelin capture`: packets into files, from now on or from before.

mod manage;
mod save;
mod start;

use super::Failure;

/// Captures packets of the running process into files.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Start(Box<start::Args>),
    List(manage::List),
    Show(manage::Show),
    Stop(manage::Stop),
    Get(manage::Get),
    Rm(manage::Remove),
    Clean(manage::Clean),
    Save(save::Args),
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    match &args.what {
        What::Start(args) => start::run(args, json),
        What::List(args) => manage::list(args, json),
        What::Show(args) => manage::show(args, json),
        What::Stop(args) => manage::stop(args, json),
        What::Get(args) => manage::get(args),
        What::Rm(args) => manage::remove(args, json),
        What::Clean(args) => manage::clean(args, json),
        What::Save(args) => save::run(args),
    }
}
