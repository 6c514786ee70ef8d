//! Who lives on the network and what may talk to what: tiers, policies, profiles, namespaces, endpoints, services and network
//! sets, in the meaning that Calico gives them.
//!
//! These are checked values, whatever they were written as: the TOML file, files that it includes, Kubernetes or Calico
//! manifests, or a watched directory. Serialised, they are the TOML that the configuration file has for them. Promises: a value
//! says all that there is to say, defaults included. Refuses: to look anything up; a selector is not asked here. Read next:
//! `policy.rs`.

mod endpoint;
mod failsafe;
mod labels;
mod policy;
#[cfg(test)]
mod tests;

pub use endpoint::{
    Endpoint, EndpointKind, NamedPort, Namespace, NetworkSet, Service, ServicePort, TargetPort,
};
pub use failsafe::{Failsafe, FailsafeError};
pub use labels::Labels;
pub use policy::{
    Entity, IcmpMatch, IpVersion, OnChange, Order, Policy, PolicyRule, PortMatch, Profile, RateLimit,
    RateLimitError, RuleAction, ServiceAccounts, ServiceRef, StagedAction, Tier, TierDefault, Types,
};

use crate::types::IpNet;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// Everything that policy is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Resources {
    /// `[[tier]]`
    #[serde(rename = "tier", skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// `[[policy]]`
    #[serde(rename = "policy", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// `[[profile]]`
    #[serde(rename = "profile", skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<Profile>,
    /// `[[namespace]]`
    #[serde(rename = "namespace", skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Namespace>,
    /// `[[endpoint]]`
    #[serde(rename = "endpoint", skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// `[[service]]`
    #[serde(rename = "service", skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// `[[network_set]]`
    #[serde(rename = "network_set", skip_serializing_if = "Vec::is_empty")]
    pub network_sets: Vec<NetworkSet>,
    /// What the files hold that network sets name.
    #[serde(skip)]
    pub nets_files: NetsFiles,
}

/// What files of networks hold, by their path: sorted, each network once, host bits cleared.
pub type NetsFiles = BTreeMap<PathBuf, Arc<Vec<IpNet>>>;

impl Resources {
    /// Takes over all of `other`, behind what is there.
    pub fn extend(&mut self, other: Self) {
        self.tiers.extend(other.tiers);
        self.policies.extend(other.policies);
        self.profiles.extend(other.profiles);
        self.namespaces.extend(other.namespaces);
        self.endpoints.extend(other.endpoints);
        self.services.extend(other.services);
        self.network_sets.extend(other.network_sets);
        self.nets_files.extend(other.nets_files);
    }

    /// The networks of a set, those of its file included. What it excepts is among them.
    pub fn nets<'r>(&'r self, set: &'r NetworkSet) -> impl Iterator<Item = IpNet> + 'r {
        let file = set.nets_file.as_ref().and_then(|file| self.nets_files.get(file));
        set.nets.iter().chain(file.into_iter().flat_map(|nets| nets.iter())).copied()
    }
}
