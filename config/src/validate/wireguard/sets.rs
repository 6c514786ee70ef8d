//! Peers as selectors of policies see them: network sets of their allowed IPs.

use crate::model::{WireguardModel, WireguardPeerModel};
use crate::resources::NetworkSet;
use crate::schema::reader::At;
use crate::types::IfName;
use crate::wireguard::{PublicKey, Wireguard, WireguardPeer};

/// The label that says which interface a peer is behind.
const INTERFACE: &str = "ravelin.io/wireguard";
/// The label that says which peer it is.
const PEER: &str = "ravelin.io/peer";
/// Characters of its key that a peer without a name is called by.
const CHARACTERS: usize = 8;

/// What the sets of peers are called, each with where that comes from.
pub(in crate::validate) fn set_names(models: &[WireguardModel]) -> Vec<At<String>> {
    let of_section = |model: &WireguardModel| {
        let interface = model.name.value().cloned();
        let name = move |peer: &WireguardPeerModel| set_name(interface.as_ref(), peer);
        model.peer.iter().filter_map(name).collect::<Vec<_>>()
    };
    models.iter().flat_map(of_section).collect()
}

fn set_name(interface: Option<&IfName>, peer: &WireguardPeerModel) -> Option<At<String>> {
    if let Some(name) = peer.name.given() {
        return Some(name.clone());
    }
    let labels = peer.labels.given().filter(|labels| !labels.value.is_empty() && peer.name.is_absent())?;
    let value = without_name(interface?, peer.public_key.value()?);
    Some(At { value, range: labels.range.clone() })
}

/// What the set of a peer without a name is called. Names have no `+` and `/`, so they are written as in the base64 of URLs.
fn without_name(interface: &IfName, key: &PublicKey) -> String {
    let key: String = key.to_string().chars().take(CHARACTERS).collect();
    format!("{interface}-{}", key.replace('+', "-").replace('/', "_"))
}

/// What the set of a peer is called, if it has a name or labels.
pub(super) fn set_called(interface: &IfName, peer: &WireguardPeer) -> Option<String> {
    let identified = peer.name.is_some() || !peer.labels.is_empty();
    identified.then(|| peer.name.clone().unwrap_or_else(|| without_name(interface, &peer.public_key)))
}

/// The sets of the peers of an interface that have a name or labels.
pub(super) fn sets(wireguard: &Wireguard) -> impl Iterator<Item = NetworkSet> {
    let set = |peer: &WireguardPeer| {
        let name = set_called(&wireguard.name, peer)?;
        let mut labels = peer.labels.clone();
        labels.insert(INTERFACE, wireguard.name.as_str());
        labels.insert(PEER, name.as_str());
        Some(NetworkSet {
            name,
            namespace: None,
            labels,
            nets: peer.allowed_ips.clone(),
            nets_file: None,
            except: Vec::new(),
            domains: Vec::new(),
        })
    };
    wireguard.peers.iter().filter_map(set)
}
