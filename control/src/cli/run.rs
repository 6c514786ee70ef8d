use std::path::PathBuf;

use super::Failure;
use crate::{
    api::socket::SocketError,
    reload::ReloadError,
    supervisor::{self, RunError, crew::CrewError, ports::PortsError},
};

/// Runs the appliance until it is told to stop.
///
/// SIGHUP reloads the configuration, SIGTERM and SIGINT stop the process.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration.
    #[arg(short, long, value_name = "FILE", default_value = super::DEFAULT_CONFIG)]
    pub(super) config: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    supervisor::run(&args.config).map_err(explain)
}

fn explain(error: RunError) -> Failure {
    match error {
        RunError::Reload(ReloadError::Config(report)) => report.into(),
        RunError::Reload(ReloadError::Restart(_) | ReloadError::Compile(_)) | RunError::Compile(_) => {
            Failure::usage(error)
        }
        RunError::Socket(SocketError::Taken { .. }) => Failure::failed(&error)
            .help("`ravelin show status` says what it does; stop that one first, or give this one another `[control] socket` and other interfaces"),
        RunError::Socket(SocketError::NotASocket(_)) => {
            Failure::failed(&error).help("remove it, or name another path with `[control] socket`")
        }
        RunError::Socket(SocketError::System { .. }) => {
            Failure::failed(&error).help("name a path in a directory of yours with `[control] socket`")
        }
        RunError::Metrics(_) => Failure::failed(&error).help("name another address with `[metrics] listen`"),
        RunError::Records { ref target, ref source }
            if source.kind() == std::io::ErrorKind::NotFound && missing_parent(target).is_some() =>
        {
            let directory = missing_parent(target).unwrap_or_default();
            let directory = directory.display();
            Failure::failed(&error).help(format_args!("the directory {directory} does not exist: mkdir -p {directory}"))
        }
        RunError::Records { .. } => Failure::failed(&error).help("name another file with `[records] file`; the process gives up root's right to write everywhere, so the file must be one that its own user may write"),
        RunError::Ports(PortsError::NotBuilt) => Failure::failed(&error)
            .help("`ravelin replay` judges captures without it; build with the feature `af-xdp` to use interfaces"),
        RunError::Ports(PortsError::Privileges(ref missing)) => {
            let capabilities = missing.join(" ");
            Failure::failed(&error).help(format_args!(
                "run it with sudo, or as a systemd service; one of another user than root needs \
                 `AmbientCapabilities={capabilities}` and `LimitMEMLOCK=infinity`. \
                 `ravelin replay` judges captures without privileges"
            ))
        }
        RunError::Ports(PortsError::InUse { pid, .. }) => {
            let stop = pid.map_or("stop it".to_owned(), |pid| format!("stop it with `kill {pid}`"));
            Failure::failed(&error).help(format_args!(
                "`ravelin show status -c FILE`, with its configuration, says what it does; {stop}, and it gives its \
                 interfaces back by itself"
            ))
        }
        RunError::Ports(PortsError::Refused(_)) => {
            Failure::failed(&error).help("`ip link` lists the interfaces of this machine, `[io]` in the configuration says how they are used")
        }
        RunError::Crew(CrewError::Pin { .. }) => {
            Failure::failed(&error).help("choose other cores with `[workers] cores`, or leave it out")
        }
        RunError::Hanging(_) => Failure::failed(&error)
            .help("the interfaces were given back; the log says what the worker did last"),
        RunError::Crew(CrewError::System { .. })
        | RunError::NoCores
        | RunError::System { .. }
        | RunError::Ended(_) => Failure::failed(&error),
    }
}

/// The directory of `file`, if it does not exist.
fn missing_parent(file: &str) -> Option<PathBuf> {
    let parent = std::path::Path::new(file).parent()?;
    (!parent.as_os_str().is_empty() && !parent.exists()).then(|| parent.to_owned())
}
