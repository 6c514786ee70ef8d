use std::time::Duration;

use jiff::Timestamp;
use ravelin_config::{Cron, Zone};

use crate::{
    api::{client, view},
    capture::{CaptureSpec, Compression, Format, Point, Verdict, Way},
    cli::{Failure, show, target},
};

/// Starts a capture, or has it start later. It goes on until it is stopped, or has what it should have; also over restarts of the process.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    target: target::Target,
    /// What to call it.
    name: String,
    /// Endpoints of which one has to be an end of the packet, as a selector of labels: `app == "cart"`.
    #[arg(long, value_name = "SELECTOR")]
    endpoint: Option<String>,
    /// What the packet has to be, as tcpdump selects it: `tcp port 443`.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// Which way the packet has to go, seen from the endpoints.
    #[arg(long, value_enum, default_value_t)]
    direction: Way,
    /// What has to become of the packet.
    #[arg(long, value_enum)]
    verdict: Option<Verdict>,
    /// Where on its way the packet is captured.
    #[arg(long, value_enum, default_value_t)]
    point: Point,
    /// The tier whose rules have to have decided about the packet's flow.
    #[arg(long, value_name = "TIER")]
    tier: Option<String>,
    /// The policy whose rules have to have decided, as flow records name it: `default.web`, or `web`.
    #[arg(long, value_name = "POLICY")]
    policy: Option<String>,
    /// The rule of the policy that has to have decided, from 0; -1 for what holds where none of them matches.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, requires = "policy")]
    rule: Option<i64>,
    /// A reason for which the packet has to be dropped. May be given several times.
    #[arg(long, value_name = "REASON")]
    drop_reason: Vec<String>,
    /// One flow in so many, with all of its packets.
    #[arg(long, value_name = "FLOWS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    sample: u32,
    /// Bytes that are kept of a packet.
    #[arg(long, value_name = "BYTES", default_value_t = CaptureSpec::WHOLE, value_parser = clap::value_parser!(u32).range(14..=262_144))]
    snaplen: u32,
    /// How long it lasts: 30s, 10m, 2h.
    #[arg(long, value_name = "TIME", value_parser = ravelin_config::parse_duration)]
    duration: Option<Duration>,
    /// When it begins, as 2030-12-31T12:00:00+02:00. What is over means at once.
    #[arg(long, value_name = "DATE-TIME")]
    start: Option<Timestamp>,
    /// When it ends. What is over means that it never begins.
    #[arg(long, value_name = "DATE-TIME")]
    end: Option<Timestamp>,
    /// When it begins again and again, as in a crontab: `30 2 * * mon-fri`.
    #[arg(long, value_name = "EXPRESSION", requires = "duration")]
    cron: Option<Cron>,
    /// The time zone of --cron: Europe/Berlin. UTC without it.
    #[arg(long, value_name = "ZONE", requires = "cron")]
    time_zone: Option<Zone>,
    /// Ends with so many bytes: 500MiB, 1GiB.
    #[arg(long, value_name = "SIZE", value_parser = ravelin_config::parse_size)]
    max_size: Option<u64>,
    /// Ends with so many packets.
    #[arg(long, value_name = "PACKETS")]
    max_packets: Option<u64>,
    /// Goes on in another file after so many bytes.
    #[arg(long, value_name = "SIZE", value_parser = ravelin_config::parse_size)]
    rotate_size: Option<u64>,
    /// Goes on in another file after so long.
    #[arg(long, value_name = "TIME", value_parser = ravelin_config::parse_duration)]
    rotate_time: Option<Duration>,
    /// Files that are kept; older ones are removed.
    #[arg(long, value_name = "FILES", value_parser = clap::value_parser!(u16).range(1..))]
    files: Option<u16>,
    /// How files are written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// How files are compressed.
    #[arg(long, value_enum, default_value_t)]
    compression: Compression,
}

impl Args {
    fn spec(&self) -> CaptureSpec {
        CaptureSpec {
            name: self.name.clone(),
            endpoint: self.endpoint.clone(),
            filter: self.filter.clone(),
            direction: self.direction,
            verdict: self.verdict,
            point: self.point,
            tier: self.tier.clone(),
            policy: self.policy.clone(),
            rule: self.rule,
            drop_reasons: self.drop_reason.clone(),
            sample: self.sample,
            snaplen: self.snaplen,
            duration: self.duration.map(|duration| duration.as_secs().max(1)),
            start: self.start,
            end: self.end,
            cron: self.cron.clone(),
            time_zone: self.time_zone.clone(),
            max_size: self.max_size,
            max_packets: self.max_packets,
            rotate_size: self.rotate_size,
            rotate_time: self.rotate_time.map(|time| time.as_secs().max(1)),
            files: self.files.map(usize::from),
            format: self.format,
            compression: self.compression,
        }
    }
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let socket = args.target.socket(json)?;
    let spec = args.spec();
    let answer: view::Capture =
        target::block_on(async { Ok(client::send_json(&socket, "/captures", &spec).await?) })?;
    if json { target::print_json(&answer, false) } else { target::print(&show::captures::capture(&answer)) }
}
