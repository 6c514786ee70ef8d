//! Who lives on the network and what may talk to what: from what the files say to [`Resources`].
//!
//! The checks read what was written, with positions; `convert.rs` then makes the values, and `nets.rs` reads the files of
//! networks.

mod convert;
mod endpoint;
mod names;
mod nets;
mod policy;
mod rule;
#[cfg(test)]
mod tests;
mod zone;

use crate::model::{Model, NetworkSetModel};
use crate::report::Findings;
use crate::resources::{NetsFiles, Resources};
use std::{mem, sync::Arc};

/// Checks the resources of a model, which gives them away.
pub(super) fn validate(model: &mut Model, findings: &mut Findings) -> Resources {
    let lists = &mut model.lists;
    names::repeated(lists, findings);
    // Manifests, which are read later, may have what is not here.
    if model.manifests.is_empty() {
        names::unknown(lists, findings);
    }
    policy::check(lists, findings);
    if !model.capture.ring.is_there() {
        policy::without_ring(lists, findings);
    }
    zone::check(lists, findings);
    endpoint::check(lists, findings);
    let nets_files = nets_files(&mut lists.network_sets, findings);
    let on_change = model.enforcement.on_change;
    Resources {
        tiers: convert(&mut lists.tiers, convert::tier),
        policies: convert(&mut lists.policies, |policy| convert::policy(policy, on_change)),
        profiles: convert(&mut lists.profiles, convert::profile),
        namespaces: convert(&mut lists.namespaces, convert::namespace),
        endpoints: convert(&mut lists.endpoints, convert::endpoint),
        services: convert(&mut lists.services, convert::service),
        network_sets: convert(&mut lists.network_sets, convert::network_set),
        nets_files,
    }
}

fn convert<M, T>(models: &mut Vec<M>, convert: impl FnMut(M) -> Option<T>) -> Vec<T> {
    mem::take(models).into_iter().filter_map(convert).collect()
}

/// Reads the files of networks, each once. From here on their paths are relative to the working directory.
fn nets_files(sets: &mut [NetworkSetModel], findings: &mut Findings) -> NetsFiles {
    let mut files = NetsFiles::new();
    for file in sets.iter_mut().filter_map(|set| set.nets_file.given_mut()) {
        file.value = findings.sources().directory(&file.range).join(&file.value);
        if !files.contains_key(&file.value) {
            let nets = nets::read(&file.value, &file.range, nets::LIMITS, findings).unwrap_or_default();
            files.insert(file.value.clone(), Arc::new(nets));
        }
    }
    files
}
