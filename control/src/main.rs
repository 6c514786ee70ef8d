//! The program `ravelin`. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ravelin_control::cli::main()
}
