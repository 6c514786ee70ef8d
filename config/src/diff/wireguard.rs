//! Which interfaces of WireGuard and which of their peers differ. Of keys it is said that they changed, never what they are.

use super::Change;
use crate::model::{WireguardModel, WireguardPeerModel};
use crate::schema::{Effect, Section};
use crate::wireguard::{OnBridge, Wireguard, WireguardPeer};
use std::collections::HashMap;

const INTERFACE: &str = "wireguard";
const PEER: &str = "wireguard.peer";

/// Lists the interfaces that are new or gone, and what differs of the others. Their order means nothing.
pub(super) fn wireguards(old: &[Wireguard], new: &[Wireguard], changes: &mut Vec<Change>) {
    let mut sections = Vec::new();
    WireguardModel::declare(&mut sections);
    WireguardPeerModel::declare(&mut sections);
    let mut differences = Differences { sections, changes };
    let before: HashMap<_, _> = old.iter().map(|it| (&it.name, it)).collect();
    for gone in old.iter().filter(|it| new.iter().all(|other| other.name != it.name)) {
        differences.note(format!("wireguard[{}]", gone.name), INTERFACE, "name");
    }
    for interface in new {
        match before.get(&interface.name) {
            Some(earlier) => differences.interface(earlier, interface),
            None => differences.note(format!("wireguard[{}]", interface.name), INTERFACE, "name"),
        }
    }
}

struct Differences<'c> {
    sections: Vec<Section>,
    changes: &'c mut Vec<Change>,
}

impl Differences<'_> {
    /// Notes a difference, which is as live as `key` of the section `path` is declared to be.
    fn note(&mut self, field: String, path: &str, key: &str) {
        let sections = self.sections.iter().filter(|section| section.path == path);
        let mut keys = sections.flat_map(|section| &section.keys);
        let live = keys.any(|declared| declared.name == key && declared.effect == Effect::Live);
        self.changes.push(Change { field, live });
    }

    fn interface(&mut self, old: &Wireguard, new: &Wireguard) {
        // A field that is not mentioned does not compile.
        let Wireguard {
            name,
            bridge,
            private_key,
            private_key_place: _,
            // Another file with the same key is no difference.
            private_key_file: _,
            previous_key,
            rotation_grace,
            listen_port,
            addresses,
            mtu,
            zone,
            routes,
            require_encryption,
            mss_clamp,
            reverse_path,
            peers,
        } = new;
        let place =
            |wireguard: &Wireguard| wireguard.bridge.as_ref().map(|it| (it.name.clone(), it.outside.clone()));
        let local_ips = |bridge: &Option<OnBridge>| bridge.as_ref().map(|it| it.local_ips.clone());
        let keys = [
            ("bridge", "bridge", place(old) != place(new)),
            ("local_ips", "local_ips", local_ips(&old.bridge) != local_ips(bridge)),
            ("private_key", "private_key_file", old.private_key != *private_key),
            ("previous_key", "private_key_file", old.previous_key != *previous_key),
            ("rotation_grace", "rotation_grace", old.rotation_grace != *rotation_grace),
            ("listen_port", "listen_port", old.listen_port != *listen_port),
            ("addresses", "addresses", old.addresses != *addresses),
            ("mtu", "mtu", old.mtu != *mtu),
            ("zone", "zone", old.zone != *zone),
            ("routes", "routes", old.routes != *routes),
            ("require_encryption", "require_encryption", old.require_encryption != *require_encryption),
            ("mss_clamp", "mss_clamp", old.mss_clamp != *mss_clamp),
            ("reverse_path", "reverse_path", old.reverse_path != *reverse_path),
        ];
        for (field, key, _) in keys.into_iter().filter(|(.., differs)| *differs) {
            self.note(format!("wireguard[{name}].{field}"), INTERFACE, key);
        }
        let mut before: HashMap<_, _> = old.peers.iter().map(|peer| (peer.called(), peer)).collect();
        let mut found = Vec::new();
        for peer in peers {
            let called = peer.called();
            found.push((before.remove(&called), called, peer));
        }
        for gone in old.peers.iter().map(WireguardPeer::called).filter(|called| before.contains_key(called)) {
            self.note(format!("wireguard[{name}].peer[{gone}]"), PEER, "public_key");
        }
        for (earlier, called, peer) in found {
            let path = format!("wireguard[{name}].peer[{called}]");
            match earlier {
                Some(earlier) => self.peer(&path, earlier, peer),
                None => self.note(path, PEER, "public_key"),
            }
        }
    }

    fn peer(&mut self, path: &str, old: &WireguardPeer, new: &WireguardPeer) {
        let WireguardPeer {
            name: _,
            public_key,
            preshared_key,
            preshared_key_place: _,
            endpoint,
            allowed_ips,
            persistent_keepalive,
            labels,
        } = new;
        let keys = [
            ("public_key", "public_key", old.public_key != *public_key),
            ("preshared_key", "preshared_key_file", old.preshared_key != *preshared_key),
            ("endpoint", "endpoint", old.endpoint != *endpoint),
            ("allowed_ips", "allowed_ips", old.allowed_ips != *allowed_ips),
            (
                "persistent_keepalive",
                "persistent_keepalive",
                old.persistent_keepalive != *persistent_keepalive,
            ),
            ("labels", "labels", old.labels != *labels),
        ];
        for (field, key, _) in keys.into_iter().filter(|(.., differs)| *differs) {
            self.note(format!("{path}.{field}"), PEER, key);
        }
    }
}
