//! Who an address is: the labels that selectors see (1.6, last paragraph), and what they are found by.

use super::{Effective, Oracle};
use ravelin_config::{
    resources::{Endpoint, NetworkSet, Resources},
    selector::NAMESPACE_LABEL,
};
use std::{collections::BTreeMap, net::IpAddr};

pub(super) const SERVICE_ACCOUNT_LABEL: &str = "projectcalico.org/serviceaccount";

/// Own labels, those that everything in a namespace has, and what is inherited: from the namespace, then from the profiles in their
/// order. What is there first stays.
pub(super) fn of_endpoint(resources: &Resources, endpoint: &Endpoint) -> Effective {
    let mut labels = BTreeMap::new();
    if let Some(namespace) = &endpoint.namespace {
        labels.insert(NAMESPACE_LABEL.to_owned(), namespace.clone());
    }
    if let Some(account) = &endpoint.service_account {
        labels.insert(SERVICE_ACCOUNT_LABEL.to_owned(), account.clone());
    }
    inherit(&mut labels, endpoint.labels.iter());
    if let Some(namespace) = &endpoint.namespace {
        inherit_namespace(resources, &mut labels, namespace);
    }
    for name in &endpoint.profiles {
        for profile in resources.profiles.iter().filter(|profile| profile.name == *name) {
            inherit(&mut labels, profile.labels_to_apply.iter());
        }
    }
    Effective(labels)
}

/// A network set is matched like an endpoint of its namespace (1.9).
pub(super) fn of_network_set(resources: &Resources, set: &NetworkSet) -> Effective {
    let mut labels = BTreeMap::new();
    labels.insert("projectcalico.org/name".to_owned(), set.name.clone());
    labels.insert("projectcalico.org/kind".to_owned(), "NetworkSet".to_owned());
    if let Some(namespace) = &set.namespace {
        labels.insert(NAMESPACE_LABEL.to_owned(), namespace.clone());
    }
    inherit(&mut labels, set.labels.iter());
    if let Some(namespace) = &set.namespace {
        inherit_namespace(resources, &mut labels, namespace);
    }
    Effective(labels)
}

fn inherit<'l>(labels: &mut BTreeMap<String, String>, more: impl Iterator<Item = (&'l str, &'l str)>) {
    for (label, value) in more {
        labels.entry(label.to_owned()).or_insert_with(|| value.to_owned());
    }
}

fn inherit_namespace(resources: &Resources, labels: &mut BTreeMap<String, String>, name: &str) {
    let own = ("pcns.projectcalico.org/name".to_owned(), name.to_owned());
    let declared = resources.namespaces.iter().filter(|namespace| namespace.name == name);
    let inherited = declared.flat_map(|namespace| namespace.labels.iter());
    let inherited = inherited.map(|(label, value)| (format!("pcns.{label}"), value.to_owned()));
    for (label, value) in std::iter::once(own).chain(inherited) {
        labels.entry(label).or_insert(value);
    }
}

impl<'r> Oracle<'r> {
    /// The endpoint of an address: that with the longest prefix around it; of equal ones the first.
    pub(super) fn endpoint_of(&self, address: IpAddr) -> Option<&(&'r Endpoint, Effective)> {
        let mut found: Option<(u8, &(&Endpoint, Effective))> = None;
        for candidate in &self.endpoints {
            for net in candidate.0.addresses.iter().filter(|net| net.contains(&address)) {
                if found.is_none_or(|(longest, _)| net.prefix_len() > longest) {
                    found = Some((net.prefix_len(), candidate));
                }
            }
        }
        found.map(|(_, endpoint)| endpoint)
    }

    /// The labels of everything that an address is: its endpoint, and each network set that it lies in.
    pub(super) fn identities_of(&self, address: IpAddr) -> Vec<&Effective> {
        let mut identities: Vec<_> =
            self.endpoint_of(address).map(|(_, labels)| labels).into_iter().collect();
        for (set, labels) in &self.network_sets {
            let in_set = self.resources.nets(set).any(|net| net.contains(&address));
            if in_set && !set.except.iter().any(|net| net.contains(&address)) {
                identities.push(labels);
            }
        }
        identities
    }
}
