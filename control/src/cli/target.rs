//! Which running process a command speaks to, and how it speaks.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use ravelin_config::Control;
use serde::Serialize;

use super::Failure;
use crate::api::client::ClientError;

/// The running process.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Target {
    /// The configuration that the process runs with: its `[control] socket` is where it is asked.
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The control socket of the process.
    #[arg(long, value_name = "PATH", conflicts_with = "config", global = true)]
    socket: Option<PathBuf>,
}

impl Target {
    /// The control socket: given, or that of the configuration, or the usual one.
    pub(super) fn socket(&self) -> Result<PathBuf, Failure> {
        match (&self.socket, &self.config) {
            (Some(socket), _) => Ok(socket.clone()),
            (None, Some(config)) => match ravelin_config::load(config) {
                Ok(loaded) => Ok(loaded.config.control.socket),
                // The process runs on while its file is broken, and says itself what is wrong with it.
                Err(report) => socket_of_broken(config).ok_or_else(|| report.into()),
            },
            (None, None) => Ok(Control::default().socket),
        }
    }
}

/// The socket that a file names which cannot be used as a whole; the usual one if that cannot be told. `None` if there is no text.
fn socket_of_broken(path: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(path).ok()?;
    let table: Option<toml::Table> = text.parse().ok();
    let socket = table.as_ref().and_then(|table| table.get("control")?.get("socket")?.as_str());
    Some(socket.map_or_else(|| Control::default().socket, PathBuf::from))
}

/// Runs what waits for the process's answers.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::failed)?.block_on(work)
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Unreachable { path, source } => {
                let help = unreachable_help(path, source);
                Self::failed(&error).help(help)
            }
            ClientError::Broken(_) => {
                Self::failed(&error).help("see in its log whether it stopped, then try again")
            }
            ClientError::Strange(_) => Self::failed(&error)
                .help("it is probably another version: compare `ravelin show status` with `ravelin version`, then restart it"),
            ClientError::Refused { wrong, refusal } => {
                let failure = if *wrong { Self::usage(&error) } else { Self::failed(&error) };
                let failure = failure.details(refusal.diagnostics.clone(), refusal.fields.clone());
                match &refusal.help {
                    Some(help) => failure.help(help),
                    None => failure,
                }
            }
        }
    }
}

fn unreachable_help(socket: &Path, source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::PermissionDenied {
        return "only the user that runs it may ask: try again as that user, usually root".to_owned();
    }
    format!(
        "start it with `ravelin run -c FILE`; if it runs with another socket than {}, name its configuration with -c or the \
         socket with --socket",
        socket.display()
    )
}

/// Prints JSON: on several lines for one answer, on one line each where answers follow one another.
pub(super) fn print_json(value: &impl Serialize, many: bool) -> Result<(), Failure> {
    let text = if many { serde_json::to_string(value) } else { serde_json::to_string_pretty(value) };
    print(&text.map_err(Failure::failed)?)
}

/// Prints an answer. That nobody reads it any more, as behind `| head`, ends the command well.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::failed(format_args!("cannot write the answer: {error}"))),
    }
}
