use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use ravelin_config::{Config, types::IpNet};
use ravelin_dataplane::{capture::Program, io::fault::FaultPlan};

use super::{Failure, target};
use crate::{
    alerts::Hit,
    feeds::Library,
    replay::{Replay, ReplayError, Summary},
};

/// Runs captures through the packet path, as an ordinary user.
///
/// Verdicts and flow records are those that the appliance would give; time is that of the captures. Several captures follow
/// one another in the order given. A packet comes in at the port that is called like the interface of its capture; else at
/// the inside port of the first bridge if its source is inside (--inside), else at the outside port.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Captures, pcap or pcapng; `-` is standard input.
    #[arg(required = true, value_name = "CAPTURE")]
    files: Vec<PathBuf>,
    /// The configuration. Without it everything is allowed.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write flow records here, one JSON object per line; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// Write a capture of what was forwarded here; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Write what --filter selects here, as it was captured and with what became of it, as pcapng; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// What to select, as tcpdump does: `tcp port 80`. Everything without it.
    #[arg(long, value_name = "EXPRESSION", requires = "capture", value_parser = crate::capture::compile)]
    filter: Option<Program>,
    /// An address or prefix on the inside. May be given several times.
    #[arg(short, long, value_name = "PREFIX", value_parser = prefix)]
    inside: Vec<IpNet>,
    /// Packets handled at once. Changes nothing but the speed.
    #[arg(long, value_name = "PACKETS", value_parser = clap::value_parser!(u16).range(1..=256))]
    batch: Option<u16>,
    /// Faults to inject, such as `drop=0.01,corrupt=0.001,seed=7`; also reorder, stall, full and down.
    #[arg(long, value_name = "PLAN")]
    fault: Option<FaultPlan>,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let standard = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
    let (config, library) = match &args.config {
        Some(path) => {
            let loaded = crate::sources::load(path)?;
            if !loaded.warnings.is_empty() {
                eprintln!("{}", loaded.warnings);
            }
            (loaded.config, loaded.library)
        }
        None => (Config::default(), Library::default()),
    };
    let replay = Replay {
        files: args.files.clone(),
        config,
        library,
        records: args.records.clone(),
        write: args.write.clone(),
        capture: args.capture.clone(),
        filter: args.filter.clone(),
        inside: args.inside.clone(),
        batch: args.batch.map(usize::from),
        faults: args.fault,
    };
    let bar = progress_bar(replay.total_bytes());
    let summary = replay.run(|progress| {
        bar.set_position(progress.bytes);
        bar.set_message(format!("{} packets", HumanCount(progress.packets)));
    });
    bar.finish_and_clear();
    let summary = summary.map_err(explain)?;
    // Standard output holds one thing only.
    if json && !standard(&args.records) && !standard(&args.write) && !standard(&args.capture) {
        target::print_json(&summary, false)?;
    } else if json {
        eprintln!("{}", serde_json::json!(summary));
    } else {
        eprint!("{}", Text(&summary));
    }
    for truncated in &summary.truncated {
        eprintln!(
            "ravelin: warning: {} is cut off: the packet at offset {} is not complete",
            truncated.file, truncated.offset
        );
    }
    summary.failure.map_or(Ok(()), |failure| Err(explain(failure)))
}

/// A prefix, or an address that stands for itself.
fn prefix(text: &str) -> Result<IpNet, String> {
    let prefix = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    prefix.map_err(|_| "expected an address or prefix such as 10.0.0.0/8 or 2001:db8::/32".to_owned())
}

fn explain(error: ReplayError) -> Failure {
    match error {
        ReplayError::NoFile | ReplayError::Compile(_) => Failure::usage(error),
        ReplayError::SameFile { .. } => Failure::usage(error).help("name another file"),
        ReplayError::Capture(_)
        | ReplayError::Records { .. }
        | ReplayError::Captured { .. }
        | ReplayError::OpenRecords { .. }
        | ReplayError::Waker { .. }
        | ReplayError::Imbalance(_) => Failure::failed(error),
    }
}

/// A bar on standard error, if that is a terminal.
fn progress_bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{wide_bar} {percent:>3} %  {msg}  {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {binary_bytes}  {msg}  {elapsed}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A summary for people.
struct Text<'a>(&'a Summary);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.0;
        let mut line = |name: &str, value: String| writeln!(f, "{name:<11} {value}");
        line(
            "packets",
            format!(
                "{}, {} bytes, over {}",
                HumanCount(summary.packets),
                HumanCount(summary.bytes),
                seconds(summary.duration)
            ),
        )?;
        if summary.injected > 0 {
            line("injected", format!("{} answers to rejected packets", HumanCount(summary.injected)))?;
        }
        line("forwarded", HumanCount(summary.forwarded).to_string())?;
        if summary.consumed > 0 {
            line("consumed", HumanCount(summary.consumed).to_string())?;
        }
        line("dropped", HumanCount(summary.dropped()).to_string())?;
        for drops in summary.drops.iter().take(TOP) {
            line("", format!("{:>9} {}: {}", HumanCount(drops.packets), drops.reason, drops.help))?;
        }
        let other: u64 = summary.drops.iter().skip(TOP).map(|drops| drops.packets).sum();
        if other > 0 {
            line("", format!("{:>9} for {} other reasons", HumanCount(other), summary.drops.len() - TOP))?;
        }
        let flows = summary.flows;
        line(
            "flows",
            format!(
                "{}: {} allowed, {} denied",
                HumanCount(flows.allow + flows.deny),
                HumanCount(flows.allow),
                HumanCount(flows.deny)
            ),
        )?;
        let total = summary.alerts.len() as u64 + summary.alerts_forgotten;
        if total > 0 {
            line("alerts", HumanCount(total).to_string())?;
        }
        let hits = summary.alerts.iter().filter_map(|alert| Some((alert.count, alert.hit()?)));
        for (count, Hit { feed, endpoint, address, verdict, malware, .. }) in hits.take(TOP) {
            let malware = malware.as_deref().unwrap_or("listed");
            line("", format!("{count:>9} {feed}: {endpoint} and {address} ({malware}), {verdict}"))?;
        }
        if total > TOP as u64 {
            line("", format!("{:>9} others", HumanCount(total - TOP as u64)))?;
        }
        line("malformed", HumanCount(summary.malformed).to_string())?;
        if let Some(selected) = summary.selected {
            line("captured", HumanCount(selected).to_string())?;
        }
        if let Some(records) = summary.records {
            line("records", HumanCount(records).to_string())?;
        }
        let mut remark = |count: u64, what: &str| {
            if count > 0 { line("note", format!("{} packets {what}", HumanCount(count))) } else { Ok(()) }
        };
        remark(summary.cut, "were captured only in part")?;
        remark(
            summary.completed,
            "were captured before the network card completed them, which was made up for",
        )?;
        remark(summary.oversized, "are too long to be looked at as a whole")?;
        remark(summary.out_of_order, "come later in the file than in time")?;
        remark(summary.unsupported, "were left out: the link type of their interface is not supported")?;
        remark(summary.untracked, "were judged without a flow, because the flow table was full")?;
        if let Some(faults) = summary.faults {
            line(
                "faults",
                format!(
                    "{} dropped, {} corrupted, {} reordered, {} stalled, {} full, {} down",
                    faults.dropped,
                    faults.corrupted,
                    faults.reordered,
                    faults.stalled,
                    faults.full,
                    faults.down
                ),
            )?;
        }
        line("speed", format!("{}, {:.3} s", speed(summary.packets_per_second), summary.elapsed))
    }
}

fn speed(packets_per_second: f64) -> String {
    if packets_per_second < 1e6 {
        return format!("{packets_per_second:.0} packets/s");
    }
    format!("{:.2} million packets/s", packets_per_second / 1e6)
}

/// Drop reasons and alerts that a summary shows.
const TOP: usize = 8;

fn seconds(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.3} s");
    }
    HumanDuration(std::time::Duration::from_secs_f64(seconds)).to_string()
}
