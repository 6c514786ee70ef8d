//! The interfaces of WireGuard as the running process has them.

use std::{path::absolute, sync::Arc};

use ravelin_config::{
    types::IfName,
    wireguard::{PublicKey, Wireguard, WireguardPeer, change::PeersChange},
};
use ravelin_dataplane::wireguard::{COUNTERS, Counter, Peer};

use super::{Appliance, whole_seconds};
use crate::{
    api::view::{self, Origin, Session, WireguardInterface, WireguardPrevious, WireguardTraffic},
    reload::{PeersError, Reloaded, Reloader},
};

impl Appliance {
    /// Every interface with its peers, in the order of the configuration.
    pub async fn wireguard(&self) -> Vec<WireguardInterface> {
        let workers = u8::try_from(self.roster.members().len()).unwrap_or(u8::MAX);
        let reloader = self.reloader.lock().await;
        let all = reloader.running().wireguards.iter();
        all.filter_map(|wireguard| interface(&reloader, wireguard, workers)).collect()
    }

    /// Changes the peers of an interface, until the next reload, and waits a bounded time until every worker knows.
    ///
    /// # Errors
    /// [`PeersError`]; then nothing has changed.
    pub async fn change_peers(
        &self,
        interface: &IfName,
        change: &PeersChange,
    ) -> Result<Reloaded, PeersError> {
        let mut reloader = self.reloader.lock().await;
        let mut changed = reloader.change_peers(interface, change)?;
        if changed.changes.is_empty() {
            return Ok(changed);
        }
        {
            let mut in_force = self.in_force.lock();
            in_force.config = Arc::clone(reloader.running());
            in_force.generation = changed.generation;
        }
        self.tell_kernel(&reloader);
        reloader.apply_tunnels();
        changed.behind = reloader.settle(Self::PATIENCE, |worker| self.roster.wake(worker)).await;
        let fields: Vec<_> = changed.changes.iter().map(|change| change.field.as_str()).collect();
        tracing::info!(
            generation = changed.generation,
            "changed until the next reload: {}",
            fields.join(", ")
        );
        for worker in &changed.behind {
            tracing::error!(%worker, "the worker has not taken over the change yet");
        }
        Ok(changed)
    }
}

pub(super) fn interface(
    reloader: &Reloader,
    wireguard: &Wireguard,
    workers: u8,
) -> Option<WireguardInterface> {
    let (identity, listen_port) = reloader.tunnels().identity(&wireguard.name)?;
    let peers: Vec<_> = wireguard
        .peers
        .iter()
        .zip(reloader.origins(wireguard))
        .filter_map(|it| peer(reloader, &wireguard.name, it, workers))
        .collect();
    let mut totals = WireguardTraffic::default();
    for peer in &peers {
        totals.add(&peer.traffic);
    }
    Some(WireguardInterface {
        name: wireguard.name.to_string(),
        public_key: PublicKey(identity.public_key()).to_string(),
        private_key_place: wireguard.private_key_place.to_string(),
        previous: previous(reloader, wireguard),
        private_key_file: wireguard
            .private_key_file
            .as_ref()
            .map(|path| absolute(path).unwrap_or_else(|_| path.clone())),
        listen_port,
        bridge: wireguard.bridge.as_ref().map(|bridge| bridge.name.to_string()),
        local_ips: wireguard
            .bridge
            .iter()
            .flat_map(|bridge| &bridge.local_ips)
            .map(ToString::to_string)
            .collect(),
        mtu: reloader.tunnels().mtu(wireguard, reloader.ports()).into(),
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
    (configured, origin): (&WireguardPeer, Origin),
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
        preshared_key_place: configured.preshared_key_place.as_ref().map(ToString::to_string),
        origin,
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
