use std::path::{Path, PathBuf};

use ravelin_config::{Config, Control};
use serde_json::json;

use super::{Failure, target};
use crate::{
    api::socket::Claim,
    supervisor::ports::{self, Detached, Outcome, PortsError},
};

/// Removes what a process that died has left on interfaces: its programs in the kernel, and changed offloads.
///
/// Only programs of ravelin's are removed, and none that a running process lives off.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only these; otherwise every interface of this network namespace.
    #[arg(value_name = "INTERFACE")]
    pub(super) interfaces: Vec<String>,
    /// The configuration that the process ran with.
    #[arg(short, long, value_name = "FILE", default_value = super::DEFAULT_CONFIG)]
    pub(super) config: PathBuf,
    /// Do without the configuration, as if the process had used the usual control socket.
    #[arg(long, conflicts_with = "config")]
    all: bool,
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
    let outcome = ports::detach(&ports::state_file(&config), &args.interfaces).map_err(explain)?;
    let Outcome { detached, problems, refused } = outcome;
    if json {
        let refused = refused.iter().map(ToString::to_string);
        let problems: Vec<_> = problems.into_iter().chain(refused).collect();
        target::print_json(&json!({ "detached": detached, "problems": problems }), false)?;
    } else {
        for problem in &problems {
            eprintln!("ravelin: {problem}");
        }
        match detached.as_slice() {
            // Of those that were refused this would not be true.
            [] if !refused.is_empty() => {}
            [] => target::print("no interface had a program of ravelin's to remove")?,
            some => some.iter().try_for_each(|interface| target::print(&describe(interface)))?,
        }
    }
    let mut failures: Vec<_> = refused.into_iter().map(explain).collect();
    if !json {
        failures.iter().for_each(|failure| failure.report(false));
    }
    failures.pop().map_or(Ok(()), |failure| Err(failure.told()))
}

/// What was done to an interface, in one line.
fn describe(done: &Detached) -> String {
    let Detached { interface, xdp, tc, settings } = done;
    let mut parts = Vec::new();
    parts.extend(xdp.map(|mode| format!("the XDP program ({mode}) is removed")));
    parts.extend(tc.then(|| "the tc program is removed".to_owned()));
    parts.extend((!settings.is_empty()).then(|| format!("{} restored", settings.join(", "))));
    format!("{interface}: {}", parts.join("; "))
}

fn explain(error: PortsError) -> Failure {
    match error {
        PortsError::Privileges(_) => Failure::failed(error).help("run it as root"),
        PortsError::InUse { .. } => {
            Failure::failed(error).help("stop it: it gives the interface back by itself")
        }
        PortsError::NotBuilt | PortsError::Refused(_) => Failure::failed(error),
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
