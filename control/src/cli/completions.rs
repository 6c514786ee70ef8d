use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::{Cli, Failure, target};

/// Prints a script that makes a shell complete this command line.
///
/// For bash: `ravelin completions bash > /etc/bash_completion.d/ravelin`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "ravelin", &mut script);
    target::print(String::from_utf8_lossy(&script).trim_end())
}
