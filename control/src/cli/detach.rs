use std::path::{Path, PathBuf};

use ravelin_config::{Config, Control};
use serde::Serialize;

use super::{Failure, target};
use crate::{
    api::socket::Claim,
    supervisor::ports::{self, Detached, PortsError},
};

/// Removes what a process that died has left on interfaces: its programs in the kernel, and changed offloads.
///
/// Every interface of this network namespace is looked at; programs that are not ravelin's are left alone.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration that the process ran with.
    #[arg(short, long, value_name = "FILE", default_value = super::DEFAULT_CONFIG)]
    pub(super) config: PathBuf,
    /// Do without the configuration: look at every interface, as if the process had used the usual control socket.
    #[arg(long, conflicts_with = "config")]
    all: bool,
}

#[derive(Serialize)]
struct Answer {
    detached: Vec<String>,
    problems: Vec<String>,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let config = if args.all { Config::default() } else { load(&args.config)? };
    // Whoever holds the claim is alive, and its interfaces are not ours to touch. With the directory gone nobody is.
    let directory = config.control.socket.parent().is_some_and(Path::exists);
    let _claim = if directory {
        Some(Claim::new(&config.control.socket).map_err(|error| {
            Failure::failed(error).help("stop it: it gives the interfaces back by itself")
        })?)
    } else {
        None
    };
    let Detached { interfaces, problems } =
        ports::detach(&ports::state_file(&config)).map_err(|error| match error {
            PortsError::Privileges(_) => Failure::failed(error).help("run it as root"),
            PortsError::InUse { .. } => {
                Failure::failed(error).help("stop it: it gives the interface back by itself")
            }
            PortsError::NotBuilt | PortsError::Refused(_) => Failure::failed(error),
        })?;
    if json {
        return target::print_json(&Answer { detached: interfaces, problems }, false);
    }
    for problem in &problems {
        eprintln!("ravelin: {problem}");
    }
    match interfaces.as_slice() {
        [] => target::print("no interface had a program of ravelin's"),
        some => target::print(&format!("detached from {}", some.join(", "))),
    }
}

fn load(path: &Path) -> Result<Config, Failure> {
    ravelin_config::load(path).map(|loaded| loaded.config).map_err(|report| {
        Failure::from(report).help(format_args!(
            "with --all the configuration is not needed; the control socket is then {}",
            Control::default().socket.display()
        ))
    })
}
