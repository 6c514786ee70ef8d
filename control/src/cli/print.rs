//! How a command prints its answer.

use std::io::{self, Write};

use serde::Serialize;

use super::Failure;

/// Prints an answer as JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    text(&serde_json::to_string_pretty(value).map_err(Failure::failed)?)
}

/// Prints an answer. That nobody reads it any more, as behind `| head`, is no failure.
pub(super) fn text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format_args!("cannot write the answer: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints one of many answers. When nobody reads them any more the command has done its work and ends.
pub(super) fn next(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::failed(format_args!("cannot write the answer: {error}"))),
    }
}

/// Prints one of many answers as one line of JSON.
pub(super) fn next_json(value: &impl Serialize) -> Result<(), Failure> {
    next(&serde_json::to_string(value).map_err(Failure::failed)?)
}
