//! Names that repeat, and names of what does not exist.

use crate::model::Lists;
use crate::report::{Code, Findings};
use crate::schema::reader::{At, Field, nearest};
use crate::validate::{unique, unique_by, wireguard};
use std::collections::{BTreeSet, HashSet};

/// Tiers that are there without being declared.
const TIERS: [&str; 4] = ["threat", "kube-admin", "default", "kube-baseline"];

/// Profiles that are there without being declared, beside `kns.<namespace>` for each namespace.
const PROFILES: [&str; 2] = ["projectcalico-default-allow", "default-allow"];

/// Reports names that repeat, each where it repeats.
pub(super) fn repeated(lists: &Lists, findings: &mut Findings) {
    unique("tiers", lists.tiers.iter().filter_map(|tier| tier.name.given()), findings);
    unique("profiles", lists.profiles.iter().filter_map(|profile| profile.name.given()), findings);
    unique("namespaces", lists.namespaces.iter().filter_map(|namespace| namespace.name.given()), findings);
    let endpoints = lists.endpoints.iter().filter_map(|it| namespaced(&it.name, &it.namespace));
    unique_by("endpoints", endpoints, findings);
    let services = lists.services.iter().filter_map(|it| namespaced(&it.name, &it.namespace));
    unique_by("services", services, findings);
    let sets = lists.network_sets.iter().filter_map(|it| namespaced(&it.name, &it.namespace));
    let peers = wireguard::set_names(&lists.wireguards);
    unique_by(
        "network sets or peers",
        sets.chain(peers.iter().map(|it| ((None, it.value.as_str()), it))),
        findings,
    );
    let policies = lists.policies.iter().filter_map(|it| {
        let (key, name) = namespaced(&it.name, &it.namespace)?;
        Some(((key, it.tier.value()?, it.staged.given().is_some()), name))
    });
    unique_by("policies", policies, findings);
}

/// Namespace and name.
type Key<'m> = (Option<&'m str>, &'m str);

/// By what something is known that may live in a namespace, and its name. `None` if that cannot be said.
fn namespaced<'m>(
    name: &'m Field<String>,
    namespace: &'m Field<String>,
) -> Option<(Key<'m>, &'m At<String>)> {
    let name = name.given()?;
    let key = (namespace.value().map(String::as_str), name.value.as_str());
    (!namespace.is_unusable()).then_some((key, name))
}

/// Reports tiers, namespaces and profiles that are mentioned but do not exist. Only of use if all of them are known.
pub(super) fn unknown(lists: &Lists, findings: &mut Findings) {
    let tiers = lists.tiers.iter().filter_map(|tier| tier.name.value());
    let tiers: BTreeSet<_> = tiers.map(String::as_str).chain(TIERS).collect();
    once(lists.policies.iter().filter_map(|policy| policy.tier.given()), &tiers, |tier| {
        let message = format!("the tier `{}` is not declared", tier.value);
        let finding = findings.add(Code::UnknownTier, &tier.range, message);
        if let Some(nearest) = nearest(&tier.value, tiers.iter().copied()) {
            finding.label(format!("did you mean \"{nearest}\"?"));
        }
        finding.help("it is asked after all other tiers, and denies what its policies do not decide");
    });

    let namespaces = lists.namespaces.iter().filter_map(|namespace| namespace.name.value());
    let namespaces: BTreeSet<_> = namespaces.map(String::as_str).collect();
    let mentioned = (lists.policies.iter().map(|it| &it.namespace))
        .chain(lists.endpoints.iter().map(|it| &it.namespace))
        .chain(lists.services.iter().map(|it| &it.namespace))
        .chain(lists.network_sets.iter().map(|it| &it.namespace));
    once(mentioned.filter_map(Field::given), &namespaces, |namespace| {
        let message = format!("the namespace `{}` is not declared", namespace.value);
        let finding = findings.add(Code::UnknownNamespace, &namespace.range, message);
        finding.help("nothing is known of its labels: add a [[namespace]] with this name");
    });

    let profiles = lists.profiles.iter().filter_map(|profile| profile.name.value());
    let profiles: HashSet<_> = profiles.map(String::as_str).chain(PROFILES).collect();
    for profile in lists.endpoints.iter().filter_map(|it| it.profiles.given()).flat_map(|at| &at.value) {
        let of_namespace = profile.value.strip_prefix("kns.").is_some_and(|name| namespaces.contains(name));
        if !of_namespace && !profiles.contains(profile.value.as_str()) {
            let message = format!("there is no profile `{}`", profile.value);
            let finding = findings.add(Code::UnknownProfile, &profile.range, message);
            finding.help("declare it with [[profile]], or use `default-allow` or `kns.<namespace>`");
        }
    }
}

/// Calls `report` for the first mention of each name that is not known.
fn once<'m>(
    mentioned: impl Iterator<Item = &'m At<String>>,
    known: &BTreeSet<&str>,
    mut report: impl FnMut(&At<String>),
) {
    let mut reported = HashSet::new();
    for name in mentioned {
        if !known.contains(name.value.as_str()) && reported.insert(name.value.as_str()) {
            report(name);
        }
    }
}
