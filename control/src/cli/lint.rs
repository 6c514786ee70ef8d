use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::{Failure, target};
use crate::{
    policy::{self, Finding, Settings, Severity},
    sources::Loaded,
};

/// Says what is doubtful about a policy: rules that never decide, selectors that match nothing, endpoints that nobody reaches.
///
/// `ravelin check` says whether a configuration can be used; this says whether it is likely to be what was meant. Nothing is asked of a
/// running process.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is found:
  shadowed          a rule that never decides, because one before it matches all that it would and does something else
  redundant         the same, but the rule before it does the same
  unreachable-tier  a tier of which no rule is ever asked about a flow that it matches
  matches-nothing   a rule for which there is no endpoint, network set or service, or whose criteria contradict one another
  undeclared-port, undeclared-service, domains
                    the same because of a name that nobody declares, or because of domains, which are not acted upon yet
  selects-nothing   a policy that selects no endpoint, or would delete a policy that does not exist
  only-denies       a policy without rules in a direction that it governs: all that it does is to deny at the end of its tier
  denied-endpoints  endpoints that no policy governs and no profile allows: all their traffic in that direction is denied
  nothing-enforced  there is no endpoint, or no policy in force selects one
  locked-out        a host whose SSH is not among failsafe_inbound, and which no rule lets anybody reach at tcp port 22: it is tried from
                    both ends of the first 64 ranges of addresses of every rule that allows it

A rule that only several others together cover is not found. What is staged is looked at among all that is staged.")]
pub(super) struct Args {
    /// The configuration.
    #[arg(short, long, value_name = "FILE", default_value = super::DEFAULT_CONFIG)]
    config: PathBuf,
    /// End with exit code 1 if anything is found.
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let Loaded { config, library, .. } = crate::sources::load(&args.config)?;
    let findings = policy::lint(&library.resources(&config), &Settings::of(&config, &library))
        .map_err(Failure::usage)?;
    let report = Report { findings };
    if json {
        target::print_json(&report, false)?;
    } else {
        target::print(&report.to_string())?;
    }
    if args.strict && !report.findings.is_empty() {
        return Err(Failure::failed("something was found").told());
    }
    Ok(())
}

#[derive(Debug, Serialize)]
struct Report {
    findings: Vec<Finding>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { severity, kind, message, .. } in &self.findings {
            writeln!(f, "{}[{kind}]: {message}", severity.name())?;
        }
        let count = |wanted| self.findings.iter().filter(|finding| finding.severity == wanted).count();
        let counts = [Severity::Error, Severity::Warning, Severity::Note].map(|severity| {
            let number = count(severity);
            format!("{number} {}{}", severity.name(), if number == 1 { "" } else { "s" })
        });
        f.write_str(&counts.join(", "))
    }
}
