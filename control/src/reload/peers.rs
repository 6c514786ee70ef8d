//! Peers of WireGuard that change without a file that says so: until the next reload.
//!
//! They go the way of a reload: a configuration as it would be if files said it, a plan of tunnels made from that as a whole, members of
//! network sets, publish. Nothing else is compiled anew, and what was decided about flows of others holds.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ravelin_config::{
    Config, Report,
    resources::NetworkSet,
    types::{IfName, IpNet},
    wireguard::{
        Wireguard, WireguardPeer,
        change::{PeersChange, TooManyPeers},
    },
};
use ravelin_dataplane::{policy::AddressSet, snapshot::Snapshot};

use super::{LivePeers, Reloaded, Reloader, names};
use crate::{
    api::view::Origin,
    compile::CompileError,
    policy::{Change, Members},
};

/// Why peers have not changed. What was in force still is.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PeersError {
    /// There is no such interface.
    #[error("there is no WireGuard interface `{0}`")]
    Unknown(String),
    /// It is on a bridge, where a peer is wherever those on its inside are.
    #[error(
        "`{0}` is on a bridge, where no peer has an endpoint: messages have the addresses of the packets in them"
    )]
    OnBridge(String),
    /// There would be too many.
    #[error(transparent)]
    TooMany(#[from] TooManyPeers),
    /// They do not fit this process.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

impl Reloader {
    /// Changes the peers of an interface, until the next reload. Publishes nothing if that makes no difference.
    ///
    /// # Errors
    /// [`PeersError`]; then nothing has changed.
    pub fn change_peers(&mut self, interface: &IfName, change: &PeersChange) -> Result<Reloaded, PeersError> {
        let unknown = || PeersError::Unknown(interface.to_string());
        let wireguard =
            self.running.wireguards.iter().find(|it| it.name == *interface).ok_or_else(unknown)?;
        if wireguard.bridge.is_some() && change.peers.iter().any(|peer| peer.endpoint.is_some()) {
            return Err(PeersError::OnBridge(interface.to_string()));
        }
        let peers = change.apply(&wireguard.peers)?;
        let mut live = self.live.clone();
        live.insert(interface.clone(), peers);
        let config = with(&self.loaded, &live);
        let changes = ravelin_config::diff(&self.running, &config);
        if !changes.is_empty() {
            let tunnels = self.tunnels.prepare(&config, &self.ports)?;
            let touched = self.engine.apply(members(&self.running, &config))?;
            let current = self.publisher.current();
            let mut snapshot = Snapshot {
                policy: self.engine.policy().clone(),
                wireguard: self.tunnels.take_over(tunnels),
                ..(*current).clone()
            };
            if self.captures.follow_names() {
                snapshot.capture = self.captures.plan(names(&self.engine, &self.engine.book()));
            }
            let touched = touched.unwrap_or_else(AddressSet::all);
            self.publisher.publish_change(snapshot, &touched);
            (self.live, self.running) = (live, config);
        }
        if !change.replaces {
            // Who is said to be somewhere is there, even if that is where it was said to be before it went elsewhere.
            let told = change.peers.iter().filter(|change| change.endpoint.is_some());
            told.for_each(|change| self.tunnels.tell(interface, &change.public_key.0));
        }
        let (generation, warnings) = (self.generation(), Report::default());
        Ok(Reloaded { generation, changes, warnings, behind: Vec::new() })
    }

    /// Where each peer of an interface comes from, in their order.
    pub fn origins(&self, wireguard: &Wireguard) -> Vec<Origin> {
        if !self.live.contains_key(&wireguard.name) {
            return vec![Origin::Configuration; wireguard.peers.len()];
        }
        let loaded = self.loaded.wireguards.iter().find(|it| it.name == wireguard.name);
        let loaded: HashMap<_, _> =
            loaded.into_iter().flat_map(|it| &it.peers).map(|peer| (peer.public_key, peer)).collect();
        let origin = |peer: &WireguardPeer| match loaded.get(&peer.public_key) {
            Some(loaded) if *loaded == peer => Origin::Configuration,
            Some(_) => Origin::Changed,
            None => Origin::Added,
        };
        wireguard.peers.iter().map(origin).collect()
    }
}

/// A configuration with the peers that have changed since it was loaded.
pub(super) fn with(loaded: &Arc<Config>, live: &LivePeers) -> Arc<Config> {
    if live.is_empty() { Arc::clone(loaded) } else { Arc::new(loaded.with_peers(live)) }
}

/// What joins and leaves network sets, of two configurations that differ in nothing else.
fn members(before: &Config, after: &Config) -> Vec<Change> {
    let sets = before.resources.network_sets.iter().zip(&after.resources.network_sets);
    let differing = sets.filter(|(before, after)| before.nets != after.nets);
    let change = |(before, after): (&NetworkSet, &NetworkSet)| {
        Change::Members(Members {
            namespace: before.namespace.clone(),
            name: before.name.clone(),
            join: without(after, before),
            leave: without(before, after),
        })
    };
    differing.map(change).collect()
}

/// The networks of one set that the other does not have.
fn without(set: &NetworkSet, other: &NetworkSet) -> Vec<IpNet> {
    let other: HashSet<_> = other.nets.iter().collect();
    set.nets.iter().filter(|net| !other.contains(net)).copied().collect()
}
