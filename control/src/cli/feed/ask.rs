use super::super::show::feeds::feeds;
use crate::{
    api::{client, view},
    cli::{Failure, target},
};

/// Shows every feed of the running process: how it stands, how many entries it has, what it has found.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    target: target::Target,
}

/// Has the running process fetch a feed now, or all of them.
///
/// It answers at once; `ravelin feed list` shows what came of it.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Update {
    #[command(flatten)]
    target: target::Target,
    /// The feed; all without it.
    name: Option<String>,
}

pub(super) fn list(args: &List, json: bool) -> Result<(), Failure> {
    let socket = args.target.socket(json)?;
    let answer: Vec<view::Feed> = target::block_on(async { Ok(client::get(&socket, "/feeds").await?) })?;
    if json { target::print_json(&answer, false) } else { target::print(&feeds(&answer)) }
}

pub(super) fn update(args: &Update, json: bool) -> Result<(), Failure> {
    let socket = args.target.socket(json)?;
    let query = args.name.as_ref().map(|name| format!("?name={name}")).unwrap_or_default();
    let target = format!("/feeds/update{query}");
    let answer: view::FeedsAsked = target::block_on(async { Ok(client::post(&socket, &target).await?) })?;
    if json {
        target::print_json(&answer, false)
    } else {
        target::print(&format!("asked for: {}", answer.feeds.join(", ")))
    }
}
