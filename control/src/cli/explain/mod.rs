//! `ravelin explain`: what policy says about a flow, and why.

mod batch;
mod text;

use std::path::PathBuf;

pub(super) use text::{block, without_zone};

use serde::Serialize;

use super::{Failure, target};
use crate::{
    policy::{Answer, Explainer, Question},
    sources::Loaded,
};

/// Says what policy makes of a flow, by which rules, and what staged policies would change.
///
/// Nothing is asked of a running process: the configuration is compiled and asked. A flow to a service is answered for each
/// endpoint behind it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --batch each line of the file is a question, such as
  {\"from\": \"shop/web\", \"to\": \"10.0.0.7\", \"proto\": \"tcp\", \"port\": 443}
with the optional keys from_zone, to_zone, source_port, icmp_type and icmp_code, and each line of the answer is as with --json, on
one line. A line that is no question is answered with {\"error\": ..., \"line\": N}, and the exit code is 1 in the end.")]
pub(super) struct Args {
    /// Who opens the flow: an address, or an endpoint (`name` or `namespace/name`).
    #[arg(long, value_name = "WHO", required_unless_present = "batch")]
    from: Option<String>,
    /// To whom: an address, an endpoint, or a service (`service:name` or `service:namespace/name`).
    #[arg(long, value_name = "WHO", required_unless_present = "batch")]
    to: Option<String>,
    /// The zone of the interface at which the source's packets come in; none if it is not given.
    #[arg(long, value_name = "ZONE")]
    from_zone: Option<String>,
    /// The zone of the interface by which they leave; none if it is not given.
    #[arg(long, value_name = "ZONE")]
    to_zone: Option<String>,
    /// The protocol, by name or number; tcp unless --icmp-type is given.
    #[arg(long)]
    proto: Option<String>,
    /// The destination port, by number; that of the service, if it is to one.
    #[arg(long)]
    port: Option<u16>,
    /// The source port; one from the dynamic range if it is not given.
    #[arg(long)]
    source_port: Option<u16>,
    /// The type of an ICMP message; echo request if it is not given.
    #[arg(long, value_name = "TYPE")]
    icmp_type: Option<u8>,
    /// The code of an ICMP message.
    #[arg(long, value_name = "CODE", requires = "icmp_type")]
    icmp_code: Option<u8>,
    /// Answer the questions in a file, one JSON object in each line; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "from_zone", "to_zone", "proto", "port", "source_port", "icmp_type", "icmp_code"])]
    batch: Option<PathBuf>,
    /// End with exit code 1 unless every flow that was asked about is allowed.
    #[arg(long)]
    fail_on_deny: bool,
    /// The configuration.
    #[arg(short, long, value_name = "FILE", default_value = super::DEFAULT_CONFIG)]
    config: PathBuf,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let mut explainer = explainer(&args.config)?;
    if let Some(file) = &args.batch {
        return batch::run(&mut explainer, file, args.fail_on_deny);
    }
    let question = Question {
        from: args.from.clone().unwrap_or_default(),
        to: args.to.clone().unwrap_or_default(),
        from_zone: args.from_zone.clone(),
        to_zone: args.to_zone.clone(),
        proto: args.proto.clone(),
        port: args.port,
        source_port: args.source_port,
        icmp_type: args.icmp_type,
        icmp_code: args.icmp_code,
    };
    let answers = explainer.ask(&question).map_err(Failure::usage)?;
    let reply = Reply::of(&answers);
    if json {
        target::print_json(&reply, false)?;
    } else {
        target::print(&text::replies(&explainer, &question, &answers))?;
    }
    if args.fail_on_deny && !reply.is_allowed() {
        return Err(Failure::failed("the flow is not allowed").told());
    }
    Ok(())
}

/// The configuration at `path`, to be asked.
pub(super) fn explainer(path: &std::path::Path) -> Result<Explainer, Failure> {
    let Loaded { config, library, .. } = crate::sources::load(path)?;
    Explainer::new(&config, &library).map_err(Failure::usage)
}

/// What is answered in JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Reply<'a> {
    /// About one flow.
    One(&'a Answer),
    /// About a service: one for each endpoint behind it.
    Several {
        /// Their verdict, or `mixed`.
        verdict: &'static str,
        /// The same with every staged policy.
        pending: Common,
        answers: &'a [Answer],
    },
}

/// What several answers have in common.
#[derive(Debug, Serialize)]
pub(super) struct Common {
    /// Their verdict, or `mixed`.
    verdict: &'static str,
}

impl<'a> Reply<'a> {
    pub(super) fn of(answers: &'a [Answer]) -> Self {
        match answers {
            [answer] => Self::One(answer),
            answers => Self::Several {
                verdict: common(answers.iter().map(|answer| answer.enforced.verdict)),
                pending: Common { verdict: common(answers.iter().map(|answer| answer.pending.verdict)) },
                answers,
            },
        }
    }

    /// The verdict on the flow, or on all of them.
    pub(super) fn verdict(&self) -> &'static str {
        match self {
            Self::One(answer) => answer.enforced.verdict,
            Self::Several { verdict, .. } => verdict,
        }
    }

    fn is_allowed(&self) -> bool {
        self.verdict() == "allow"
    }
}

/// The verdict of all, or `mixed`.
fn common(mut verdicts: impl Iterator<Item = &'static str>) -> &'static str {
    let first = verdicts.next().unwrap_or_default();
    if verdicts.all(|verdict| verdict == first) { first } else { "mixed" }
}
