//! Zones that rules tell apart: the ends of flows are in them, whatever their addresses.

use std::collections::{BTreeMap, BTreeSet};

use ravelin_dataplane::policy::{Zone, ZoneSet};

use super::Change;
use crate::policy::flat::Flat;

/// Zones that no rule of either policy tells apart.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// What they are called; [`NO_ZONE`] stands for interfaces without one, and for the appliance.
    names: Vec<String>,
    /// One of them, as the old policy numbers it, and as the new one does.
    zones: [Zone; 2],
}

/// What is in none.
const NO_ZONE: &str = "none";

impl Place {
    /// All zones together.
    fn anywhere() -> Self {
        Self { names: Vec::new(), zones: [Zone::NONE; 2] }
    }

    /// Every zone of both policies; one place, if neither asks for any. A zone that a policy does not know is none there.
    pub(super) fn all(both: [&Flat; 2]) -> Vec<Self> {
        let names = both.into_iter().flat_map(|flat| flat.known_zones().names());
        let names: BTreeSet<_> = names.collect();
        let sets = both.map(zone_sets);
        let mut alike: BTreeMap<Vec<bool>, Self> = BTreeMap::new();
        for name in names.into_iter().chain([NO_ZONE]) {
            let zones = both.map(|flat| flat.known_zones().find(name).filter(|_| name != NO_ZONE));
            let zones = zones.map(Option::unwrap_or_default);
            let has = |(sets, zone): (&BTreeSet<ZoneSet>, Zone)| {
                sets.iter().map(|set| set.has(zone)).collect::<Vec<_>>()
            };
            let signature: Vec<_> = sets.iter().zip(zones).flat_map(has).collect();
            let place = alike.entry(signature).or_insert_with(|| Self { names: Vec::new(), zones });
            place.names.push(name.to_owned());
        }
        alike.into_values().collect()
    }

    /// Its zone in one of the policies.
    pub(super) fn zone(&self, policy: usize) -> Zone {
        self.zones.get(policy).copied().unwrap_or_default()
    }
}

/// The sets of zones that rules ask for.
fn zone_sets(flat: &Flat) -> BTreeSet<ZoneSet> {
    flat.policy().outcomes.iter().flat_map(|outcome| outcome.zones).collect()
}

/// What differs, by where the ends are.
pub(super) struct ByPlace<'p> {
    places: &'p [Place],
    found: BTreeMap<Change, BTreeSet<(usize, usize)>>,
}

impl<'p> ByPlace<'p> {
    pub(super) const fn new(places: &'p [Place]) -> Self {
        Self { places, found: BTreeMap::new() }
    }

    /// Adds what differs from one place to another, given by their numbers.
    pub(super) fn add(&mut self, between: (usize, usize), changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.found.entry(change).or_default().insert(between);
        }
    }

    /// The changes with the names of zones, where these matter.
    pub(super) fn told(self) -> Vec<Change> {
        let Self { places, found } = self;
        let mut changes = Vec::new();
        for (change, pairs) in found {
            let mut to_by_from: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
            for (from, to) in pairs {
                to_by_from.entry(from).or_default().insert(to);
            }
            let mut alike: BTreeMap<BTreeSet<usize>, BTreeSet<usize>> = BTreeMap::new();
            for (from, to) in to_by_from {
                alike.entry(to).or_default().insert(from);
            }
            changes.extend(alike.into_iter().map(|(to, from)| Change {
                from_zones: names(places, &from),
                to_zones: names(places, &to),
                ..change.clone()
            }));
        }
        changes.sort();
        changes
    }
}

/// The zones of some places; `None` if these are all there are.
fn names(places: &[Place], some: &BTreeSet<usize>) -> Option<String> {
    if some.len() == places.len() {
        return None;
    }
    let some = some.iter().filter_map(|place| places.get(*place));
    let mut names: Vec<_> = some.flat_map(|place| &place.names).map(String::as_str).collect();
    names.sort_unstable_by_key(|name| (*name == NO_ZONE, *name));
    Some(names.join(", "))
}

/// Where ends are if nobody asks.
pub(super) fn anywhere() -> [Place; 1] {
    [Place::anywhere()]
}
