//! The interfaces of WireGuard as the running process has them.

use std::path::absolute;

use ravelin_config::{
    types::IfName,
    wireguard::{PublicKey, Wireguard, WireguardPeer},
};
use ravelin_dataplane::wireguard::{COUNTERS, Counter, Peer};

use super::{Appliance, whole_seconds};
use crate::{
    api::view::{self, Session, WireguardInterface, WireguardPrevious, WireguardTraffic},
    reload::Reloader,
    wireguard::MTU,
};

impl Appliance {
    /// Every interface with its peers, in the order of the configuration.
    pub async fn wireguard(&self) -> Vec<WireguardInterface> {
        let workers = u8::try_from(self.roster.members().len()).unwrap_or(u8::MAX);
        let reloader = self.reloader.lock().await;
        let all = reloader.running().wireguards.iter();
        all.filter_map(|wireguard| interface(&reloader, wireguard, workers)).collect()
    }
}

pub(super) fn interface(
    reloader: &Reloader,
    wireguard: &Wireguard,
    workers: u8,
) -> Option<WireguardInterface> {
    let (identity, listen_port) = reloader.tunnels().identity(&wireguard.name)?;
    let peers: Vec<_> =
        wireguard.peers.iter().filter_map(|it| peer(reloader, &wireguard.name, it, workers)).collect();
    let mut totals = WireguardTraffic::default();
    for peer in &peers {
        totals.add(&peer.traffic);
    }
    Some(WireguardInterface {
        name: wireguard.name.to_string(),
        public_key: PublicKey(identity.public_key()).to_string(),
        previous: previous(reloader, wireguard),
        private_key_file: wireguard
            .private_key_file
            .as_ref()
            .map(|path| absolute(path).unwrap_or_else(|_| path.clone())),
        listen_port,
        mtu: wireguard.mtu.unwrap_or(MTU).into(),
        addresses: wireguard.addresses.iter().map(ToString::to_string).collect(),
        peers,
        totals,
    })
}

fn previous(reloader: &Reloader, wireguard: &Wireguard) -> Option<WireguardPrevious> {
    let (identity, _) = reloader.tunnels().previous(&wireguard.name)?;
    Some(WireguardPrevious {
        public_key: PublicKey(identity.public_key()).to_string(),
        until: whole_seconds(wireguard.previous_key.as_ref()?.until),
    })
}

fn peer(
    reloader: &Reloader,
    interface: &IfName,
    configured: &WireguardPeer,
    workers: u8,
) -> Option<view::WireguardPeer> {
    let peer = reloader.tunnels().peer(interface, &configured.public_key.0)?;
    let (current, _) = reloader.tunnels().identity(interface)?;
    let sight = peer.sight();
    let has_begun = peer.count(Counter::HandshakesSent) > 0;
    Some(view::WireguardPeer {
        name: configured.name.clone().unwrap_or_default(),
        labels: configured.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        public_key: configured.public_key.to_string(),
        has_preshared_key: configured.preshared_key.is_some(),
        endpoint: sight.endpoint.map(|endpoint| endpoint.to_string()),
        local_address: sight.local.map(|local| local.to_string()),
        allowed_ips: configured.allowed_ips.iter().map(ToString::to_string).collect(),
        latest_handshake: sight.handshake,
        handshake_rtt_us: sight.round_trip.map(|milliseconds| milliseconds.saturating_mul(1000)),
        traffic: traffic(peer),
        persistent_keepalive_seconds: configured.persistent_keepalive.map(Into::into),
        session: match (sight.is_up, has_begun) {
            (true, _) => Session::Up,
            (false, true) => Session::Waiting,
            (false, false) => Session::None,
        },
        is_under_previous_key: sight.is_up && sight.parity != current.parity(),
        worker: peer.slot.owner(workers).0,
    })
}

fn traffic(peer: &Peer) -> WireguardTraffic {
    const SHOWN: [Counter; 4] =
        [Counter::ReceivedPackets, Counter::ReceivedBytes, Counter::SentPackets, Counter::SentBytes];
    let others = COUNTERS.iter().filter(|(counter, ..)| !SHOWN.contains(counter));
    WireguardTraffic {
        received_packets: peer.count(Counter::ReceivedPackets),
        received_bytes: peer.count(Counter::ReceivedBytes),
        sent_packets: peer.count(Counter::SentPackets),
        sent_bytes: peer.count(Counter::SentBytes),
        counters: others.map(|(counter, name, _)| ((*name).to_owned(), peer.count(*counter))).collect(),
    }
}
