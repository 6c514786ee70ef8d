//! A configuration whose peers have changed while the process runs.

use super::sets::set_called;
use crate::types::IfName;
use crate::validate::Config;
use crate::wireguard::{PublicKey, WireguardPeer};
use std::collections::{BTreeMap, HashMap};

impl Config {
    /// This configuration with other peers of some interfaces. Names and labels are those that it gives to their keys, whoever is there: the
    /// network set of a peer has its allowed IPs as they are now, and is empty if it is gone.
    #[must_use]
    pub fn with_peers(&self, live: &BTreeMap<IfName, Vec<WireguardPeer>>) -> Self {
        let mut config = self.clone();
        let own = config.resources.network_sets.iter_mut().filter(|set| set.namespace.is_none());
        let mut sets: HashMap<_, _> = own.map(|set| (set.name.clone(), set)).collect();
        for (wireguard, declared) in config.wireguards.iter_mut().zip(&self.wireguards) {
            let Some(peers) = live.get(&wireguard.name) else { continue };
            let known: HashMap<PublicKey, _> =
                declared.peers.iter().map(|peer| (peer.public_key, peer)).collect();
            let named = |peer: &WireguardPeer| {
                let (name, labels) = known
                    .get(&peer.public_key)
                    .map(|known| (known.name.clone(), known.labels.clone()))
                    .unwrap_or_default();
                WireguardPeer { name, labels, ..peer.clone() }
            };
            wireguard.peers = peers.iter().map(named).collect();
            let now: HashMap<PublicKey, _> =
                wireguard.peers.iter().map(|peer| (peer.public_key, peer)).collect();
            for peer in &declared.peers {
                let called = set_called(&declared.name, peer);
                if let Some(set) = called.and_then(|name| sets.get_mut(&name)) {
                    set.nets = now.get(&peer.public_key).map_or_else(Vec::new, |now| now.allowed_ips.clone());
                }
            }
        }
        config
    }
}
