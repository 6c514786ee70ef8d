//! What the import of manifests promises for every byte string: an answer, which is the same each time, and which is legal
//! configuration that means the same when it is read again. Used by the fuzz target and by `control/tests/corpus.rs`.

use std::collections::BTreeSet;

use ravelin_config::resources::{Labels, Profile, Resources};
use ravelin_control::manifests::{import, output::declare_namespaces};

/// Checks one file.
pub(crate) fn check(manifests: &[u8]) {
    let imported = import(manifests, "fuzz.yaml");
    assert_eq!(imported, import(manifests, "fuzz.yaml"));
    for remark in &imported.remarks {
        assert!(!remark.problem.is_empty() && !remark.instead.is_empty());
    }
    let mut resources = imported.resources;
    declare_namespaces(&mut resources);
    declare_profiles(&mut resources);
    let text = toml::to_string(&resources).expect("resources can be written");
    match ravelin_config::parse(&text, "fuzz.toml") {
        Ok(loaded) => assert_eq!(loaded.config.resources, resources, "{text}"),
        Err(report) => panic!("{report}\n\n{text}"),
    }
}

/// A file need not have the profiles that its endpoints name; a configuration must.
fn declare_profiles(resources: &mut Resources) {
    let named = resources.endpoints.iter().flat_map(|endpoint| &endpoint.profiles);
    let mut missing: BTreeSet<String> = named.cloned().collect();
    for namespace in &resources.namespaces {
        missing.remove(&format!("kns.{}", namespace.name));
    }
    for profile in &resources.profiles {
        missing.remove(&profile.name);
    }
    resources.profiles.extend(missing.into_iter().map(|name| Profile {
        name,
        labels_to_apply: Labels::default(),
        ingress: Vec::new(),
        egress: Vec::new(),
    }));
}
