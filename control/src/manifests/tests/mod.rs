mod calico;
mod cluster_policies;
mod kubernetes;
mod load;
mod objects;

use ravelin_config::resources::{Policy, PolicyRule, Resources};

use super::{Imported, import};

/// What `yaml` says, with the worst to be said about it.
#[track_caller]
fn imported(yaml: &str) -> Imported {
    import(yaml.as_bytes(), "a.yaml")
}

/// What `yaml` says, of which nothing is lost.
#[track_caller]
fn clean(yaml: &str) -> Resources {
    let Imported { resources, remarks } = imported(yaml);
    assert_eq!(remarks, []);
    resources
}

/// The remarks about `yaml`, as they are shown.
#[track_caller]
fn remarks(yaml: &str) -> Vec<String> {
    imported(yaml).remarks.iter().map(ToString::to_string).collect()
}

/// As TOML, which is how resources are read best.
fn toml(resources: &Resources) -> String {
    toml::to_string(resources).unwrap()
}

/// The rules as TOML, one after the other.
fn rules(rules: &[PolicyRule]) -> Vec<String> {
    let line = |rule| toml::to_string(rule).unwrap().trim().replace("\n\n", "\n").replace('\n', "; ");
    rules.iter().map(line).collect()
}

#[track_caller]
fn only(resources: Resources) -> Policy {
    let [policy] = <[Policy; 1]>::try_from(resources.policies).unwrap();
    policy
}
