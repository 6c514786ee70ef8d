//! The program under test.

use std::{path::PathBuf, process::Command, sync::OnceLock};

use crate::process::run;

/// The path of `ravelin`: what `RAVELIN_BIN` names, or else the program built now from this workspace, optimised but with
/// its assertions on, so that the conservation law is checked after every batch.
pub fn ravelin() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let find = || match std::env::var_os("RAVELIN_BIN") {
        Some(path) => PathBuf::from(path),
        None => build(),
    };
    PATH.get_or_init(find).clone()
}

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

fn build() -> PathBuf {
    let arguments = ["build", "--quiet", "--profile", "e2e", "-p", "ravelin-control", "--bin", "ravelin"];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let json = ["--message-format", "json"];
    let messages = run(Command::new(cargo).args(arguments).args(json).current_dir(root()));
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    };
    messages.lines().find_map(executable).expect("cargo names the program that it built")
}
