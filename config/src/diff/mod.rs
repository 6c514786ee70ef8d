//! What differs between two configurations, and whether a running process can take it over.
//!
//! Whether a key is live is declared with the key (`model/`); adding, removing or reordering entries is as
//! live as their `name`.

use crate::model::{BridgeModel, InterfaceModel};
use crate::schema::{Effect, Section};
use crate::{Bridge, Config, Interface};
use serde::Serialize;
use std::collections::HashMap;

mod resources;
#[cfg(test)]
mod tests;
mod wireguard;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// What differs: `workers.cores`, `bridge[edge].ports`; `bridge[edge]` if it is new or gone; `bridge` if
    /// the order of bridges differs; `policy[shop/web]` if anything about a policy differs;
    /// `wireguard[wg0].private_key` and `wireguard[wg0].peer[web].endpoint` for what differs of interfaces of WireGuard and their peers.
    pub field: String,
    /// Whether a running process can take it over. If not, it needs a restart.
    pub live: bool,
}

/// Lists what differs, in the order of the sections. Empty if nothing does.
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut live = |field: &str, differs: bool| {
        changes.extend(differs.then(|| Change { field: field.to_owned(), live: true }));
    };
    live("manifests", old.manifests != new.manifests);
    live("endpoints_dir", old.endpoints_dir != new.endpoints_dir);
    old.workers.diff(&new.workers, &mut changes);
    old.io.diff(&new.io, &mut changes);
    entries(InterfaceModel::declare, &old.interfaces, &new.interfaces, &mut changes);
    entries(BridgeModel::declare, &old.bridges, &new.bridges, &mut changes);
    wireguard::wireguards(&old.wireguards, &new.wireguards, &mut changes);
    old.enforcement.diff(&new.enforcement, &mut changes);
    resources::resources(&old.resources, &new.resources, &mut changes);
    old.threat.diff(&new.threat, &mut changes);
    changes.extend((old.allow != new.allow).then(|| Change { field: "threat.allow".to_owned(), live: true }));
    resources::each("feed", &old.feeds, &new.feeds, PartialEq::eq, &mut changes);
    old.capture.diff(&new.capture, &mut changes);
    changes.extend((old.nat != new.nat).then(|| Change { field: "nat".to_owned(), live: true }));
    resources::each("capture.job", &old.jobs, &new.jobs, PartialEq::eq, &mut changes);
    old.flow.diff(&new.flow, &mut changes);
    old.fragments.diff(&new.fragments, &mut changes);
    old.records.diff(&new.records, &mut changes);
    old.metrics.diff(&new.metrics, &mut changes);
    old.control.diff(&new.control, &mut changes);
    old.log.diff(&new.log, &mut changes);
    changes
}

/// Something that has a name and may be there more than once.
trait Entry: PartialEq {
    fn name(&self) -> &str;

    /// The keys, besides the name, in which the two differ.
    fn differing(&self, other: &Self) -> Vec<&'static str>;
}

/// Implements [`Entry`]. A field that is not mentioned does not compile.
macro_rules! entry {
    ($type:ident { $($key:ident),+ $(; derived $derived:ident)? }) => {
        impl Entry for $type {
            fn name(&self) -> &str {
                self.name.as_str()
            }

            fn differing(&self, other: &Self) -> Vec<&'static str> {
                let Self { name: _, $($key,)+ $($derived: _,)? } = self;
                let mut keys = Vec::new();
                $(if *$key != other.$key {
                    keys.push(stringify!($key));
                })+
                keys
            }
        }
    };
}

entry!(Interface { mode, zone, checksum, reverse_path, mss_clamp, fail; derived bridge });
entry!(Bridge { ports, fail, arp, nd, lldp, stp, unknown });

fn entries<T: Entry>(declare: fn(&mut Vec<Section>), old: &[T], new: &[T], changes: &mut Vec<Change>) {
    let mut sections = Vec::new();
    declare(&mut sections);
    let path = sections.first().map_or("", |section| section.path);
    let live = |name: &str| {
        let mut keys = sections.iter().flat_map(|section| &section.keys);
        keys.any(|key| key.name == name && key.effect == Effect::Live)
    };
    let before: HashMap<_, _> = old.iter().map(|entry| (entry.name(), entry)).collect();
    let after: HashMap<_, _> = new.iter().map(|entry| (entry.name(), entry)).collect();
    let one = |name: &str| Change { field: format!("{path}[{name}]"), live: live("name") };
    changes.extend(old.iter().map(T::name).filter(|name| !after.contains_key(name)).map(one));
    for entry in new {
        let Some(earlier) = before.get(entry.name()) else {
            changes.push(one(entry.name()));
            continue;
        };
        for key in earlier.differing(entry) {
            changes.push(Change { field: format!("{path}[{}].{key}", entry.name()), live: live(key) });
        }
    }
    let kept = old.iter().map(T::name).filter(|name| after.contains_key(name));
    if !kept.eq(new.iter().map(T::name).filter(|name| before.contains_key(name))) {
        changes.push(Change { field: path.to_owned(), live: live("name") });
    }
}
