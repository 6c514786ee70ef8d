//! Which running process a command speaks to, and how it speaks.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use ravelin_config::Control;
use rustix::termios::tcgetwinsize;
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
    /// This one, or another as far as it says nothing.
    pub(super) fn or(self, other: Self) -> Self {
        if self.socket.is_some() || self.config.is_some() { self } else { other }
    }

    /// The control socket: given, or that of the configuration, or the usual one. Says if that is a guess.
    pub(super) fn socket(&self, json: bool) -> Result<PathBuf, Failure> {
        let (socket, guess) = self.find()?;
        if let Some(guess) = guess.filter(|_| !json) {
            eprintln!("ravelin: {guess}");
        }
        Ok(socket)
    }

    /// The control socket, and what to say of it if it is a guess.
    pub(super) fn find(&self) -> Result<(PathBuf, Option<String>), Failure> {
        let usual = Control::default().socket;
        let config = match (&self.socket, &self.config) {
            (Some(socket), _) => return Ok((socket.clone(), None)),
            (None, None) => return Ok((usual, None)),
            (None, Some(config)) => config,
        };
        let report = match ravelin_config::load(config) {
            Ok(loaded) => return Ok((loaded.config.control.socket, None)),
            Err(report) => report,
        };
        // The process runs on while its file is broken, and says itself what is wrong with it.
        let Ok(text) = std::fs::read_to_string(config) else { return Err(report.into()) };
        Ok(match text.parse::<toml::Table>() {
            Ok(table) => {
                let socket = table.get("control").and_then(|control| control.get("socket")?.as_str());
                (socket.map_or(usual, PathBuf::from), None)
            }
            Err(_) => {
                let guess = format!(
                    "{} is not TOML (`ravelin check` says where), so the usual control socket {} is asked",
                    config.display(),
                    usual.display()
                );
                (usual, Some(guess))
            }
        })
    }
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
            ClientError::Write(_) => Self::failed(&error),
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

/// How wide a terminal is; 100 columns where there is none.
pub(super) fn columns(terminal: impl AsFd) -> usize {
    match tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        Ok(_) | Err(_) => 100,
    }
}

/// Prints JSON: on several lines for one answer, on one line each where answers follow one another.
pub(super) fn print_json(value: &impl Serialize, many: bool) -> Result<(), Failure> {
    let text = if many { serde_json::to_string(value) } else { serde_json::to_string_pretty(value) };
    print(&text.map_err(Failure::failed)?)
}

/// Prints an answer.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    written(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// Where something is written: a file, or standard output for `-`.
pub(super) fn output(path: &Path) -> Result<Box<dyn Write>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdout()));
    }
    let file = std::fs::File::create(path);
    file.map(|file| Box::new(file) as Box<dyn Write>)
        .map_err(|error| Failure::failed(format!("cannot write `{}`: {error}", path.display())))
}

/// What became of an answer. That nobody reads it any more, as behind `| head`, ends the command well.
pub(super) fn written<T>(result: io::Result<T>) -> Result<T, Failure> {
    match result {
        Ok(value) => Ok(value),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::failed(format_args!("cannot write the answer: {error}"))),
    }
}
