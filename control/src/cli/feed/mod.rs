//! `ravelin feed`: threat feeds.

mod test;

use super::Failure;

/// Threat feeds.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Test(test::Args),
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    match &args.what {
        What::Test(args) => test::run(args, json),
    }
}
