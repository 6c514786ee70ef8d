//! One thing of an interface, in the form that wg(8) has for programs.

#[cfg(test)]
mod tests;

use super::show::Field;
use crate::api::view::{WireguardInterface, WireguardPeer};

/// What stands for a secret.
pub(super) const HIDDEN: &str = "(hidden)";
/// What stands for nothing.
pub(super) const NONE: &str = "(none)";
/// What stands for what does not happen.
const OFF: &str = "off";

/// Lines, each beginning with the interface's name if there are those of others.
pub(super) fn lines(now: &WireguardInterface, field: Field, named: bool) -> Vec<String> {
    let each = |value: &dyn Fn(&WireguardPeer) -> String| {
        now.peers.iter().map(|peer| format!("{}\t{}", peer.public_key, value(peer))).collect()
    };
    let lines: Vec<String> = match field {
        Field::PublicKey => vec![now.public_key.clone()],
        Field::PrivateKey => vec![HIDDEN.to_owned()],
        Field::ListenPort => vec![now.listen_port.to_string()],
        Field::Fwmark => vec![OFF.to_owned()],
        Field::Peers => now.peers.iter().map(|peer| peer.public_key.clone()).collect(),
        Field::PresharedKeys => each(&|peer| preshared_key(peer).to_owned()),
        Field::Endpoints => each(&|peer| endpoint(peer).to_owned()),
        Field::AllowedIps => each(&|peer| allowed_ips(peer, " ")),
        Field::LatestHandshakes => each(&|peer| peer.latest_handshake.to_string()),
        Field::Transfer => each(&transfer),
        Field::PersistentKeepalive => each(&keepalive),
        Field::Dump => dump(now),
    };
    if named { lines.into_iter().map(|line| format!("{}\t{line}", now.name)).collect() } else { lines }
}

/// The interface, then its peers.
fn dump(now: &WireguardInterface) -> Vec<String> {
    let interface = [HIDDEN, &now.public_key, &now.listen_port.to_string(), OFF].join("\t");
    let peer = |peer: &WireguardPeer| {
        [
            &peer.public_key,
            preshared_key(peer),
            endpoint(peer),
            &allowed_ips(peer, ","),
            &peer.latest_handshake.to_string(),
            &transfer(peer),
            &keepalive(peer),
        ]
        .join("\t")
    };
    [interface].into_iter().chain(now.peers.iter().map(peer)).collect()
}

fn preshared_key(peer: &WireguardPeer) -> &'static str {
    if peer.has_preshared_key { HIDDEN } else { NONE }
}

fn endpoint(peer: &WireguardPeer) -> &str {
    peer.endpoint.as_deref().unwrap_or(NONE)
}

/// What may be sent to a peer and come from it.
pub(super) fn allowed_ips(peer: &WireguardPeer, between: &str) -> String {
    if peer.allowed_ips.is_empty() { NONE.to_owned() } else { peer.allowed_ips.join(between) }
}

fn transfer(peer: &WireguardPeer) -> String {
    format!("{}\t{}", peer.traffic.received_bytes, peer.traffic.sent_bytes)
}

fn keepalive(peer: &WireguardPeer) -> String {
    peer.persistent_keepalive_seconds.map_or_else(|| OFF.to_owned(), |seconds| seconds.to_string())
}
