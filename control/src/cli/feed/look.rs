use std::{
    io::{self, BufRead},
    net::IpAddr,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    cli::{Failure, target},
    feeds::{Held, Library, Mention},
    policy::{FeedPolicy, Settings},
    sources::Loaded,
};

/// Shows what a feed says, as far as a copy is at hand: its file, or the last good copy of what was fetched.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Show {
    /// The feed.
    name: String,
    /// The configuration.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// Says which feeds know an address or a domain, and what follows for flows with it.
///
/// Nothing is asked of a running process: feeds are what is at hand, their files and the last good copies. What is guarded or
/// allowed is shown with the reason. Ends with exit code 1 if a feed knows any of it otherwise.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Check {
    /// An address, with `:PORT` if only that is meant; a domain; or a file with one in each line; `-` is standard input.
    #[arg(value_name = "ADDRESS|DOMAIN|FILE")]
    what: String,
    /// The configuration.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// What follows from an entry that is guarded or allowed.
const NONE: &str = "none";

/// A feed that knows something.
#[derive(Debug, Serialize)]
struct Known {
    /// What was asked about.
    asked: String,
    feed: String,
    indicator: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    malware: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen: Option<String>,
    /// `block`, `alert`, or `none` if it is guarded or allowed.
    action: &'static str,
    /// By what.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    severity: u8,
}

pub(super) fn show(args: &Show, json: bool) -> Result<(), Failure> {
    let Loaded { library, .. } = crate::sources::load(&args.config)?;
    let shelf = library.feeds().iter().find(|shelf| shelf.feed.name == args.name);
    let Some(shelf) = shelf else {
        let names: Vec<_> = library.feeds().iter().map(|shelf| shelf.feed.name.as_str()).collect();
        return Err(Failure::failed(format_args!("there is no feed `{}`", args.name))
            .help(format!("there are: {}", names.join(", "))));
    };
    let contents = &shelf.contents;
    if json {
        return contents.indicators().iter().try_for_each(|indicator| target::print_json(&indicator, true));
    }
    for indicator in contents.indicators().iter() {
        let malware = indicator.details.malware.map(|name| format!("  {name}")).unwrap_or_default();
        target::print(&format!("{}{malware}", indicator.what))?;
    }
    for Held { entry, reason, .. } in contents.held() {
        target::print(&format!("not acted upon: {entry}: {reason}"))?;
    }
    let age = shelf.copy.as_ref().map(|copy| jiff::Timestamp::try_from(copy.fetched_at).unwrap_or_default());
    let age = age.map_or_else(|| "no copy at hand".to_owned(), |time| format!("copy of {time:.0}"));
    target::print(&format!(
        "{} in force, {} unreadable, {} guarded, {} allowed; {age}",
        contents.len(),
        contents.problems(),
        contents.guarded(),
        contents.allowed()
    ))
}

pub(super) fn check(args: &Check, json: bool) -> Result<(), Failure> {
    let Loaded { library, config, .. } = crate::sources::load(&args.config)?;
    let policies = Settings::of(&config, &library).feeds;
    let mut found = 0;
    for asked in questions(&args.what)? {
        let known = known(&asked, &library, &policies);
        found += known.iter().filter(|known| known.action != NONE).count();
        if json {
            known.iter().try_for_each(|known| target::print_json(known, true))?;
        } else if known.is_empty() {
            target::print(&format!("{asked}: no feed knows it"))?;
        }
        for Known { feed, indicator, malware, first_seen, action, reason, severity, .. } in
            known.iter().filter(|_| !json)
        {
            let action = reason
                .as_ref()
                .map_or_else(|| (*action).to_owned(), |reason| format!("not acted upon: {reason}"));
            let malware = malware.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
            let seen = first_seen.as_ref().map(|time| format!(", first seen {time}")).unwrap_or_default();
            target::print(&format!(
                "{asked}: {feed} names {indicator}{malware}{seen}; {action}, severity {severity}"
            ))?;
        }
    }
    if found > 0 { Err(Failure::failed("a feed knows it").told()) } else { Ok(()) }
}

/// What is asked about: one thing, or a line of a file each.
fn questions(what: &str) -> Result<Vec<String>, Failure> {
    let lines = |reader: &mut dyn BufRead| -> io::Result<Vec<String>> {
        let lines: Vec<String> = reader.lines().collect::<Result<_, _>>()?;
        let lines =
            lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(lines.map(str::to_owned).collect())
    };
    let read = |result: io::Result<_>| {
        result.map_err(|error| Failure::failed(format_args!("cannot read `{what}`: {error}")))
    };
    match what {
        "-" => read(lines(&mut io::stdin().lock())),
        _ if Path::new(what).is_file() => {
            read(std::fs::File::open(what).and_then(|file| lines(&mut io::BufReader::new(file))))
        }
        _ => Ok(vec![what.to_owned()]),
    }
}

fn known(asked: &str, library: &Library, policies: &[FeedPolicy]) -> Vec<Known> {
    let address = asked.parse().map(|address: IpAddr| (address, None));
    let address =
        address.or_else(|_| asked.parse().map(|end: std::net::SocketAddr| (end.ip(), Some(end.port()))));
    let Ok((address, port)) = address else { return known_domains(asked, library) };
    let known = |Mention { feed, entry, details }: Mention<'_>| {
        let policy = policies.iter().find(|policy| policy.name == feed.name);
        Known {
            asked: asked.to_owned(),
            feed: feed.name.clone(),
            indicator: entry.to_string(),
            malware: details.malware.map(str::to_owned),
            first_seen: details.first_seen.map(|time| time.to_string()),
            action: if policy.is_some_and(|policy| policy.blocks) { "block" } else { "alert" },
            reason: None,
            severity: feed.severity,
        }
    };
    let held = library.held_about(address, port).into_iter().map(|(mention, reason)| Known {
        action: NONE,
        reason: Some(reason.to_string()),
        ..known(mention)
    });
    library.about(address, port).into_iter().map(known).chain(held).collect()
}

fn known_domains(asked: &str, library: &Library) -> Vec<Known> {
    let domain = asked.trim_end_matches('.').to_lowercase();
    let known = library.feeds().iter().filter_map(|shelf| {
        let indicator = shelf.contents.about_domain(&domain)?;
        Some(Known {
            asked: asked.to_owned(),
            feed: shelf.feed.name.clone(),
            indicator: indicator.what.to_string(),
            malware: indicator.details.malware.map(str::to_owned),
            first_seen: indicator.details.first_seen.map(|time| time.to_string()),
            action: "nothing acts upon domains yet",
            reason: None,
            severity: shelf.feed.severity,
        })
    });
    known.collect()
}
