//! `ravelin feed`: threat feeds.

mod ask;
mod look;
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
    List(ask::List),
    Show(look::Show),
    Check(look::Check),
    Update(ask::Update),
    Test(test::Args),
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    match &args.what {
        What::List(args) => ask::list(args, json),
        What::Show(args) => look::show(args, json),
        What::Check(args) => look::check(args, json),
        What::Update(args) => ask::update(args, json),
        What::Test(args) => test::run(args, json),
    }
}
