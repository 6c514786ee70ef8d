use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use ravelin_config::{
    resources::Resources,
    selector::{Labelled, Selector, SelectorError},
};
use serde::Serialize;
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use super::{Failure, target};
use crate::identity::{Identities, ItemId, Kind};

/// Shows a selector's canonical form, and what it matches.
///
/// With a configuration: the endpoints, network sets and namespaces in it. With labels: true or false for each line.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The selector, such as "app == 'web' && !has(legacy)".
    #[arg(value_name = "SELECTOR", allow_hyphen_values = true)]
    selector: String,
    /// Show what it matches in this configuration.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say whether it matches the labels in each line of this file, a JSON object of strings; `-` is standard input.
    #[arg(short, long, value_name = "FILE", conflicts_with = "config")]
    labels: Option<PathBuf>,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let selector: Selector = args.selector.parse().map_err(|error| explain(&args.selector, &error, json))?;
    if let Some(path) = &args.labels {
        let input =
            open(path).map_err(|error| Failure::failed(format_args!("{}: {error}", path.display())))?;
        return judge(&selector, input);
    }
    let Some(path) = &args.config else {
        let canonical = selector.to_string();
        return if json {
            target::print_json(&json!({ "selector": canonical }), false)
        } else {
            target::print(&canonical)
        };
    };
    let loaded = crate::sources::load(path)?;
    let matches = Matches::new(&selector, &loaded.library.resources(&loaded.config));
    if json { target::print_json(&matches, false) } else { target::print(matches.to_string().trim_end()) }
}

fn open(path: &Path) -> io::Result<BufReader<Box<dyn Read>>> {
    let input: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    Ok(BufReader::new(input))
}

/// Labels as a line has them.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Line(HashMap<String, String>);

impl Labelled for Line {
    fn label(&self, label: &str) -> Option<&str> {
        self.0.get(label).map(String::as_str)
    }
}

/// Prints an answer for each line of `input`.
fn judge(selector: &Selector, mut input: BufReader<impl Read>) -> Result<(), Failure> {
    let mut output = io::BufWriter::new(io::stdout().lock());
    let mut text = Vec::new();
    for number in 1_u64.. {
        // Whoever asks line by line waits for the answer.
        if input.buffer().is_empty() {
            target::written(output.flush())?;
        }
        text.clear();
        let unreadable = |error| Failure::failed(format_args!("line {number} cannot be read: {error}"));
        if input.read_until(b'\n', &mut text).map_err(unreadable)? == 0 {
            break;
        }
        let labels: Line = serde_json::from_slice(text.trim_ascii_end()).map_err(|error| {
            let what = without_place(&error);
            Failure::failed(format_args!("line {number} is not a JSON object of strings: {what}"))
        })?;
        target::written(writeln!(output, "{}", selector.matches(&labels)))?;
    }
    Ok(())
}

/// What is wrong with a line, and at which column; which line it is we know better.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("{what} at column {}", error.column())
}

/// A mistake in the selector, with a caret under it where a person reads it.
fn explain(text: &str, error: &SelectorError, json: bool) -> Failure {
    /// Characters that are shown on either side of the caret.
    const AROUND: usize = 48;
    let message = format!("not a selector: {error}");
    if json {
        return Failure::usage(message);
    }
    let start = error.character.saturating_sub(AROUND);
    let mut before = String::from(if start > 0 { "…" } else { "" });
    before.extend(text.chars().take(error.character).skip(start).map(visible));
    let behind: String = text.chars().skip(error.character).take(AROUND).map(visible).collect();
    Failure::usage(format_args!("{message}\n  | {before}{behind}\n  | {:1$}^", "", before.width()))
}

/// A character that takes up its place and does nothing else.
fn visible(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

/// What a selector matches in a configuration.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Matches {
    selector: String,
    endpoints: Vec<Name>,
    network_sets: Vec<Name>,
    namespaces: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Name {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
}

impl Matches {
    fn new(selector: &Selector, resources: &Resources) -> Self {
        let identities = Identities::new(resources);
        let name = |item: &ItemId| Name {
            namespace: identities.namespace(*item).map(str::to_owned),
            name: identities.name(*item).to_owned(),
        };
        let items = identities.matching(selector.expression());
        let names = |kind| {
            let mut names: Vec<Name> = items.iter().filter(|item| item.kind() == kind).map(name).collect();
            names.sort_unstable();
            names
        };
        let namespaces = identities.matching_namespaces(selector.expression()).into_iter();
        let mut namespaces: Vec<_> = namespaces.map(|at| resources.namespaces[at].name.clone()).collect();
        namespaces.sort_unstable();
        Self {
            selector: selector.to_string(),
            endpoints: names(Kind::Endpoint),
            network_sets: names(Kind::NetworkSet),
            namespaces,
        }
    }
}

impl fmt::Display for Matches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.selector)?;
        let full = |name: &Name| match &name.namespace {
            Some(namespace) => format!("{namespace}/{}", name.name),
            None => name.name.clone(),
        };
        let mut list = |what: &str, names: Vec<String>| {
            writeln!(f, "{what}: {}", names.len())?;
            names.iter().try_for_each(|name| writeln!(f, "  {name}"))
        };
        list("endpoints", self.endpoints.iter().map(full).collect())?;
        list("network sets", self.network_sets.iter().map(full).collect())?;
        list("namespaces", self.namespaces.clone())
    }
}
