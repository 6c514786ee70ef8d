//! What two policies decide differently: which ends, at which ports.
//!
//! ```text
//! sets of both > classes of addresses that are in the same sets (`classes.rs`)
//!              > classes about which either policy has other rules (`signature.rs`)
//!              > pairs with such a class, in all zones that rules tell apart (`places.rs`), at every port where a rule begins or ends
//!                (`pairs.rs`) > alike changes together (`label.rs`)
//! ```
//!
//! Promises: with [`Comparison::is_complete`], every flow that one policy lets pass and the other does not, or rejects where the other drops,
//! is among the changes. Refuses: to look at more than [`Budget`] allows, which is said; to compare what is staged, rate limits, which
//! interfaces are in which zone, or what happens to live flows. Read next: `pairs.rs`.

mod classes;
mod label;
mod pairs;
mod places;
mod signature;
#[cfg(test)]
mod tests;

use ravelin_config::{Config, types::Action};
use serde::Serialize;

use super::{Settings, flat::Flat, verdict_name};
use crate::{compile::CompileError, feeds::Library};
use classes::{Classes, Version};
use label::Group;
use pairs::Pairs;
use places::Place;

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Pairs of classes of addresses.
    pub pairs: usize,
    /// Flows that both policies are asked about, for each version of IP.
    pub flows: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { pairs: 1_000_000, flows: 20_000_000 }
    }
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Whether everything was looked at.
    #[serde(rename = "complete")]
    pub is_complete: bool,
    /// Pairs of ends, alike ones counted once, that may be decided differently.
    pub pairs: usize,
    /// Those that were looked at.
    pub looked_at: usize,
    /// What differs, by who it is about.
    pub changes: Vec<Difference>,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// Who opens the flows.
    pub from: Group,
    /// To whom.
    pub to: Group,
    /// Which flows.
    #[serde(flatten)]
    pub change: Change,
}

/// Flows between two ends whose verdict differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Change {
    /// The zones at whose interfaces they come in, `none` for interfaces without one; absent if that makes no difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_zones: Option<String>,
    /// The zones by whose interfaces they leave; `none` for interfaces without one and for the appliance itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_zones: Option<String>,
    /// The protocol; `any`, or `other` for all that no rule mentions.
    pub protocol: String,
    /// Destination ports, or types and codes of ICMP; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,
    /// Source ports; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ports: Option<String>,
    /// What the old policy decides.
    pub old: &'static str,
    /// What the new one decides.
    pub new: &'static str,
    /// By which policy and rule the old one does; absent if neither end is an endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_by: Option<String>,
    /// By which the new one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_by: Option<String>,
}

/// Compares what two configurations have in force, whatever feeds say.
///
/// # Errors
/// As for a snapshot.
pub fn compare(old: &Config, new: &Config, budget: Budget) -> Result<Comparison, CompileError> {
    let flat = |config: &Config| Flat::new(&config.resources, &Settings::of(config, &Library::default()));
    let (old_flat, new_flat) = (flat(old)?, flat(new)?);
    let places = Place::all([&old_flat, &new_flat]);
    let both = Both { old: old_flat, new: new_flat, places };
    let mut comparison = Comparison { is_complete: true, pairs: 0, looked_at: 0, changes: Vec::new() };
    let (was, is) = (old.enforcement.unknown, new.enforcement.unknown);
    if was != is {
        comparison.changes.push(unknown(was, is));
    }
    for version in [Version::V4, Version::V6] {
        let classes = Classes::new(version, &both);
        Pairs::new(&both, &classes, &budget).compare(&mut comparison);
    }
    // Endpoints with addresses of both versions are told once.
    comparison.changes.sort();
    comparison.changes.dedup();
    Ok(comparison)
}

/// Both policies.
pub(super) struct Both {
    old: Flat,
    new: Flat,
    /// Where the ends of a flow may be.
    places: Vec<Place>,
}

impl Both {
    fn each(&self) -> [&Flat; 2] {
        [&self.old, &self.new]
    }
}

/// The change of what happens to flows of which neither end is an endpoint.
fn unknown(old: Action, new: Action) -> Difference {
    let change = Change {
        from_zones: None,
        to_zones: None,
        protocol: "any".to_owned(),
        ports: None,
        source_ports: None,
        old: verdict_name(old),
        new: verdict_name(new),
        old_by: None,
        new_by: None,
    };
    Difference { from: Group::strangers(), to: Group::strangers(), change }
}
