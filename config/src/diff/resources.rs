//! Which resources, feeds and captures differ. All of them are live, and none has a place among the others: their order in the file means nothing.

use super::Change;
use crate::feed::Feed;
use crate::job::Job;
use crate::resources::{Endpoint, Namespace, NetworkSet, Policy, Profile, Resources, Service, Tier};
use std::{collections::HashMap, fmt, hash::Hash};

/// Lists the resources that are new, gone or different.
pub(super) fn resources(old: &Resources, new: &Resources, changes: &mut Vec<Change>) {
    // A field that is not mentioned does not compile.
    let Resources { tiers, policies, profiles, namespaces, endpoints, services, network_sets, nets_files } =
        new;
    each("tier", &old.tiers, tiers, PartialEq::eq, changes);
    each("policy", &old.policies, policies, PartialEq::eq, changes);
    each("profile", &old.profiles, profiles, PartialEq::eq, changes);
    each("namespace", &old.namespaces, namespaces, PartialEq::eq, changes);
    each("endpoint", &old.endpoints, endpoints, PartialEq::eq, changes);
    each("service", &old.services, services, PartialEq::eq, changes);
    // A set is another if its file holds something else.
    let same = |old_set: &NetworkSet, new_set: &NetworkSet| {
        let files = [(old_set, &old.nets_files), (new_set, nets_files)];
        let [before, after] =
            files.map(|(set, files)| set.nets_file.as_ref().and_then(|file| files.get(file)));
        old_set == new_set && before == after
    };
    each("network_set", &old.network_sets, network_sets, same, changes);
}

/// By what a resource is known among those of its kind. Displayed as `shop/web`, policies as `shop/web` or, outside of the
/// tier `default`, as `shop/security.web`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key<'r> {
    staged: bool,
    namespace: Option<&'r str>,
    tier: Option<&'r str>,
    name: &'r str,
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.staged {
            f.write_str("staged:")?;
        }
        if let Some(namespace) = self.namespace {
            write!(f, "{namespace}/")?;
        }
        if let Some(tier) = self.tier.filter(|tier| *tier != "default") {
            write!(f, "{tier}.")?;
        }
        f.write_str(self.name)
    }
}

pub(super) trait Resource: PartialEq {
    fn key(&self) -> Key<'_>;
}

/// Implements [`Resource`] for what is known by its name, or by namespace and name.
macro_rules! resource {
    ($($type:ident $(in $namespace:ident)?;)+) => { $(
        impl Resource for $type {
            fn key(&self) -> Key<'_> {
                let namespace = [$(self.$namespace.as_deref(),)? None].into_iter().next().flatten();
                Key { staged: false, namespace, tier: None, name: &self.name }
            }
        }
    )+ };
}

resource! {
    Tier;
    Profile;
    Namespace;
    Endpoint in namespace;
    Service in namespace;
    NetworkSet in namespace;
    Feed;
    Job;
}

impl Resource for Policy {
    fn key(&self) -> Key<'_> {
        let staged = self.staged.is_some();
        Key { staged, namespace: self.namespace.as_deref(), tier: Some(&self.tier), name: &self.name }
    }
}

pub(super) fn each<R: Resource>(
    kind: &str,
    old: &[R],
    new: &[R],
    same: impl Fn(&R, &R) -> bool,
    changes: &mut Vec<Change>,
) {
    let mut before: HashMap<_, _> = old.iter().map(|resource| (resource.key(), resource)).collect();
    let differing: Vec<_> = new
        .iter()
        .filter(|resource| !before.remove(&resource.key()).is_some_and(|earlier| same(earlier, resource)))
        .map(R::key)
        .collect();
    // What nobody asked for is gone, and comes first.
    let gone = old.iter().map(R::key).filter(|key| before.contains_key(key));
    changes.extend(gone.chain(differing).map(|key| Change { field: format!("{kind}[{key}]"), live: true }));
}
