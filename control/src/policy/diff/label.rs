//! Who a difference is about, in words.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::{self, Display},
};

use ravelin_config::types::PortRange;
use serde::Serialize;

use super::{
    Both,
    classes::{Classes, Version},
};
use crate::identity::Kind;

/// Ends of flows that are treated alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Group {
    /// All of them, in words.
    pub name: String,
    /// How many endpoints.
    pub endpoints: usize,
    /// Some of their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// Some networks that are no endpoints; `elsewhere` for what no rule mentions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
}

/// Names and networks that are shown.
const SHOWN: usize = 3;
/// Names that are kept for programs.
const KEPT: usize = 10;

impl Group {
    /// Whatever is no endpoint.
    pub(super) fn strangers() -> Self {
        let name = "whatever is no endpoint".to_owned();
        Self { name, ..Self::default() }
    }

    fn new(endpoints: &BTreeSet<&str>, networks: Vec<String>) -> Self {
        let endpoint_names = match endpoints.len() {
            0 => None,
            1..=SHOWN => Some(endpoints.iter().copied().collect::<Vec<_>>().join(", ")),
            number => {
                let prefix = common_prefix(endpoints);
                let first = endpoints.first().copied().unwrap_or_default();
                Some(if prefix.is_empty() {
                    format!("{first} and {} other endpoints", number - 1)
                } else {
                    format!("{prefix}* ({number} endpoints)")
                })
            }
        };
        let rest = networks.len().saturating_sub(SHOWN);
        let more = (rest > 0).then(|| format!("{rest} other networks"));
        let parts = endpoint_names.into_iter().chain(networks.iter().take(SHOWN).cloned()).chain(more);
        Self {
            name: parts.collect::<Vec<_>>().join(", "),
            endpoints: endpoints.len(),
            examples: endpoints.iter().take(KEPT).map(|name| (*name).to_owned()).collect(),
            networks: networks.into_iter().take(KEPT).collect(),
        }
    }
}

/// What all names begin with, up to the end of a word.
fn common_prefix(names: &BTreeSet<&str>) -> String {
    let (Some(first), Some(last)) = (names.first(), names.last()) else { return String::new() };
    let same = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
    let same = first.get(..same).unwrap_or_default();
    let end = same.rfind(['/', '-', '.', '_']).map_or(0, |at| at + 1);
    same.get(..end).unwrap_or_default().to_owned()
}

/// What each class is called.
pub(super) struct Labels<'l> {
    classes: &'l Classes,
    /// The endpoints of each class, by the class.
    endpoints: HashMap<usize, BTreeSet<String>>,
}

impl<'l> Labels<'l> {
    pub(super) fn new(both: &Both, classes: &'l Classes) -> Self {
        let mut endpoints: HashMap<usize, BTreeSet<String>> = HashMap::new();
        for flat in both.each() {
            let identities = flat.identities();
            for item in identities.items().filter(|item| item.kind() == Kind::Endpoint) {
                let name = identities.name(item);
                let name = match identities.namespace(item) {
                    Some(namespace) => format!("{namespace}/{name}"),
                    None => name.to_owned(),
                };
                for class in classes.of(&identities.addresses(item)) {
                    endpoints.entry(class).or_default().insert(name.clone());
                }
            }
        }
        Self { classes, endpoints }
    }

    /// Some classes together.
    pub(super) fn group(&self, classes: &[usize]) -> Group {
        let endpoints = classes.iter().filter_map(|class| self.endpoints.get(class)).flatten();
        let endpoints: BTreeSet<_> = endpoints.map(String::as_str).collect();
        let strangers = classes.iter().filter(|class| !self.endpoints.contains_key(class));
        let mut networks: Vec<_> = strangers.flat_map(|class| self.networks(*class)).collect();
        networks.sort_by_key(|network| network == ELSEWHERE);
        Group::new(&endpoints, networks)
    }

    /// The networks of a class without endpoints.
    fn networks(&self, class: usize) -> Vec<String> {
        let Some(class) = self.classes.classes.get(class) else { return Vec::new() };
        if class.sets.is_empty() {
            return vec![ELSEWHERE.to_owned()];
        }
        let version = self.classes.version;
        let mut networks: Vec<_> =
            class.ranges.iter().map(|(first, last)| network(version, *first, *last)).collect();
        let more = class.count.saturating_sub(networks.len());
        if let Some(last) = networks.last_mut().filter(|_| more > 0) {
            *last = format!("{last} and {more} like it");
        }
        networks
    }
}

/// What no rule mentions.
const ELSEWHERE: &str = "elsewhere";

/// Addresses from first to last: a prefix, if they are one.
fn network(version: Version, first: u128, last: u128) -> String {
    let bits = match version {
        Version::V4 => 32,
        Version::V6 => 128,
    };
    let size = (last - first).checked_add(1);
    let host_bits = size.map_or(128, u128::trailing_zeros);
    let is_prefix = size.is_none_or(|size| size.is_power_of_two() && first.is_multiple_of(size));
    let (from, to) = (version.address(first), version.address(last));
    match (is_prefix, host_bits) {
        (true, 0) => from.to_string(),
        (true, host_bits) => format!("{from}/{}", bits - host_bits),
        (false, _) => format!("{from}-{to}"),
    }
}

/// Ports, or source ports.
pub(super) fn ranges(some: &[PortRange]) -> String {
    some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// From one number to another.
pub(super) fn range(first: u8, last: u8) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

impl Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
