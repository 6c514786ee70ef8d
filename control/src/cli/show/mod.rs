//! `ravelin show`: asks the running process and prints tables, or the answer itself as JSON.

pub(super) mod captures;
pub(super) mod feeds;
mod nat;
pub(super) mod number;
mod peers;
mod policy;
mod routes;
mod tables;
#[cfg(test)]
mod tests;

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use super::{Failure, target};
use crate::api::{
    client,
    query::{FlowQuery, LimitQuery, RouteQuery, UsageQuery},
    view,
};

/// Shows what the running process does.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    target: target::Target,
    /// Show it again every so many seconds, with rates.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..), global = true)]
    watch: Option<u64>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The process: version, configuration in force, how packets come in, what goes wrong.
    Status,
    /// Every interface: driver, mode, packets, what the kernel counted.
    Interfaces,
    /// Every worker: core, progress, packets, flows.
    Workers,
    /// Every counter, over all workers.
    Counters {
        /// Say what each counter means.
        #[arg(long)]
        explain: bool,
        /// Show counters that are zero as well.
        #[arg(long)]
        all: bool,
    },
    /// Live flows.
    Flows(FlowQuery),
    /// What each rule of each policy did: flows, packets, bytes, first and last time. Of a staged policy: what it would have done.
    Policy {
        /// Only rules and policies that did nothing in this time, such as 30d, 12h or 5m.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        unused: Option<Duration>,
    },
    /// Live flows whose verdict would change if every staged policy were in force, and by which policy.
    Staged(LimitQuery),
    /// The last flows that a change of policy has cut, and what denies them now.
    Cut(LimitQuery),
    /// The last alerts: who talked to what a feed names, and feeds that are stale.
    Alerts(LimitQuery),
    /// Address translation: outside addresses, what is published, and who inside is known as what.
    Nat(LimitQuery),
    /// The kernel's routes as workers follow them; with an address, the one that packets to it take, and who is next.
    Routes(RouteQuery),
    /// Who is on the links of interfaces that route.
    Neighbours(LimitQuery),
    /// WireGuard peers of all interfaces: where they are, whether there is a session, what came, went and was dropped. As `wg show` does it: `ravelin wg show`.
    Peers,
    /// Packets dropped, by reason.
    Drops {
        /// Show reasons for which nothing was dropped as well.
        #[arg(long)]
        all: bool,
    },
}

/// The answer before this one, and the seconds since then.
type Before<'a, T> = Option<(&'a T, f64)>;

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let watcher = Watcher {
        socket: args.common.target.socket(json)?,
        json,
        every: args.common.watch.map(Duration::from_secs),
    };
    match &args.what {
        What::Status => watcher.show("/status", tables::status),
        What::Interfaces => watcher.show(
            "/interfaces",
            |now: &Vec<view::Interface>, before: Before<'_, Vec<view::Interface>>| {
                tables::interfaces(now, before)
            },
        ),
        What::Workers => watcher
            .show("/workers", |now: &Vec<view::Worker>, before: Before<'_, Vec<view::Worker>>| {
                tables::workers(now, before)
            }),
        What::Counters { explain, all } => {
            watcher.show("/counters", |now: &Vec<view::Counter>, before: Before<'_, Vec<view::Counter>>| {
                tables::counters(now, before, *explain, *all)
            })
        }
        What::Flows(query) => watcher.show(
            &format!("/flows?{}", query.to_query()),
            |now: &view::Flows, _: Before<'_, view::Flows>| tables::flows(now),
        ),
        What::Policy { unused } => {
            let unused = unused.map(|unused| unused.as_secs());
            watcher.show(
                &format!("/policy?{}", UsageQuery { unused }.to_query()),
                |now: &view::Used, _: Before<'_, view::Used>| policy::used(now, unused, Timestamp::now()),
            )
        }
        What::Staged(query) => watcher.show(
            &format!("/staged?{}", query.to_query()),
            |now: &view::StagedFlows, _: Before<'_, view::StagedFlows>| policy::staged(now),
        ),
        What::Cut(query) => watcher.show(
            &format!("/cut?{}", query.to_query()),
            |now: &view::CutFlows, _: Before<'_, view::CutFlows>| policy::cut(now),
        ),
        What::Alerts(query) => watcher.show(
            &format!("/alerts?{}", query.to_query()),
            |now: &view::Alerts, _: Before<'_, view::Alerts>| feeds::alerts(now),
        ),
        What::Nat(query) => watcher
            .show(&format!("/nat?{}", query.to_query()), |now: &view::Nat, _: Before<'_, view::Nat>| {
                nat::nat(now)
            }),
        What::Routes(query) => watcher.show(
            &format!("/routes?{}", query.to_query()),
            |now: &view::Routes, _: Before<'_, view::Routes>| routes::routes(now, query.to),
        ),
        What::Neighbours(query) => watcher.show(
            &format!("/neighbours?{}", query.to_query()),
            |now: &view::Neighbours, _: Before<'_, view::Neighbours>| routes::neighbours(now),
        ),
        What::Peers => watcher.show(
            "/wireguard",
            |now: &Vec<view::WireguardInterface>, before: Before<'_, Vec<view::WireguardInterface>>| {
                peers::peers(now, before, Timestamp::now())
            },
        ),
        What::Drops { all } => watcher
            .show("/drops", |now: &Vec<view::Drop>, before: Before<'_, Vec<view::Drop>>| {
                tables::drops(now, before, *all)
            }),
    }
}

/// A time such as `30d`.
fn duration(text: &str) -> Result<Duration, String> {
    ravelin_config::parse_duration(text).map_err(|error| error.to_string())
}

/// Asks once, or again and again.
struct Watcher {
    socket: std::path::PathBuf,
    json: bool,
    every: Option<Duration>,
}

impl Watcher {
    fn show<T, F>(&self, request: &str, table: F) -> Result<(), Failure>
    where
        T: DeserializeOwned + Serialize,
        F: for<'a> Fn(&T, Before<'a, T>) -> String,
    {
        target::block_on(async {
            let mut before: Option<(T, Instant)> = None;
            loop {
                let now: T = client::get(&self.socket, request).await?;
                let at = Instant::now();
                if self.json {
                    target::print_json(&now, self.every.is_some())?;
                } else {
                    let earlier = before
                        .as_ref()
                        .map(|(answer, then)| (answer, at.duration_since(*then).as_secs_f64()));
                    let text = table(&now, earlier);
                    // A terminal shows the newest table only; a pipe or file keeps all.
                    let clear = self.every.is_some() && io::stdout().is_terminal();
                    target::print(&if clear { format!("\x1b[H\x1b[2J{text}") } else { text })?;
                }
                let Some(every) = self.every else { return Ok(()) };
                before = Some((now, at));
                tokio::time::sleep(every).await;
            }
        })
    }
}
