use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Cli, Failure};

/// Writes the manual, a page of section 1 for the program and one for each verb, and what makes shells complete its command line.
///
/// Packages are made with it: of the program that goes into them, which is not built a second time for that.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Args {
    /// Where to.
    directory: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut program = Cli::command();
    program.build();
    let write = || {
        fs::create_dir_all(&args.directory)?;
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            clap_complete::generate_to(shell, &mut Cli::command(), "ravelin", &args.directory)?;
        }
        write(&program, &args.directory)
    };
    write().map_err(|error: io::Error| {
        Failure::failed(format_args!("cannot write to {}: {error}", args.directory.display()))
    })
}

/// The page of a command, `ravelin-capture-start.1`, and of those below it.
fn write(command: &Command, directory: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut page = Vec::new();
    let source = concat!("ravelin ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).source(source).manual("Ravelin").render(&mut page)?;
    fs::write(directory.join(format!("{name}.1")), page)?;
    let shown = |verb: &&Command| !verb.is_hide_set() && verb.get_name() != "help";
    command.get_subcommands().filter(shown).try_for_each(|verb| write(verb, directory))
}
