use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::{Failure, target};
use crate::policy::{Budget, Comparison, Difference, FlowChange, compare};

/// Says which flows two configurations decide differently.
///
/// Endpoints that no rule tells apart are counted together; ports are those at which any rule begins or ends. Zones are
/// named where rules ask for them. What is staged, what feeds say, rate limits, which interface is in which zone, and what happens to
/// live flows are not compared. Nothing is asked of a running process.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 nothing differs, 1 something does, 2 that cannot be told: a configuration is wrong, or there is too much to look at and
nothing differs in the part that was.")]
pub(super) struct Args {
    /// The configuration as it was.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The configuration as it is to be.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Look at most at so many pairs of ends that may differ, spread evenly.
    #[arg(long, value_name = "NUMBER", default_value_t = Budget::default().pairs)]
    pairs: usize,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let [old, new] = [&args.old, &args.new].map(|path| crate::sources::load(path));
    let budget = Budget { pairs: args.pairs, ..Budget::default() };
    let comparison = compare(&old?.config, &new?.config, budget).map_err(Failure::usage)?;
    let answer = Answer { same: comparison.changes.is_empty(), comparison };
    if json {
        target::print_json(&answer, false)?;
    } else {
        target::print(&answer.to_string())?;
    }
    match (answer.same, answer.comparison.is_complete) {
        (true, true) => Ok(()),
        (true, false) => Err(Failure::usage("not everything was looked at").told()),
        (false, _) => Err(Failure::failed("the configurations differ").told()),
    }
}

#[derive(Debug, Serialize)]
struct Answer {
    /// Whether nothing differs, as far as it was looked at.
    same: bool,
    #[serde(flatten)]
    comparison: Comparison,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { is_complete, pairs, looked_at, changes } = &self.comparison;
        for Difference { from, to, change } in changes {
            let FlowChange { from_zones, to_zones, protocol, ports, source_ports, old, new, new_by, .. } =
                change;
            let in_zone = |zones: &Option<String>| match zones {
                Some(zones) => format!(" (zone {zones})"),
                None => String::new(),
            };
            write!(f, "{from}{} -> {to}{} {protocol}", in_zone(from_zones), in_zone(to_zones))?;
            if let Some(ports) = ports {
                write!(f, " {ports}")?;
            }
            if let Some(ports) = source_ports {
                write!(f, " from port {ports}")?;
            }
            write!(f, ": {old} -> {new}")?;
            match new_by {
                Some(by) => writeln!(f, " by {by}")?,
                None => writeln!(f)?,
            }
        }
        let differ = match changes.len() {
            0 => "nothing differs".to_owned(),
            1 => "1 difference".to_owned(),
            number => format!("{number} differences"),
        };
        if *is_complete {
            return f.write_str(&differ);
        }
        write!(
            f,
            "{differ} in {looked_at} of {pairs} pairs of ends: the others were not looked at; --pairs looks at more"
        )
    }
}
