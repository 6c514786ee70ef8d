//! Peers that change while a process runs, as wg(8) changes them.
//!
//! Promises: one change is made behind the other, and of all of them comes a list as a configuration has it: each key once, and each of the
//! allowed IPs with one peer, the last that took it. Refuses: more peers than a configuration may have.

#[cfg(test)]
mod tests;

use super::{KeyPlace, PeerEndpoint, PresharedKey, PublicKey, Wireguard, WireguardPeer};
use crate::resources::Labels;
use crate::schema::parser::address_or_net;
use crate::types::IpNet;
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    num::NonZeroU16,
    str::FromStr,
};

/// What changes about the peers of an interface, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeersChange {
    /// Whether peers go that are not named.
    pub replaces: bool,
    /// What changes about those that are.
    pub peers: Vec<PeerChange>,
}

/// What changes about a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerChange {
    /// By which it is known.
    pub public_key: PublicKey,
    /// Whether it is there afterwards.
    pub fate: PeerFate,
    /// Its preshared key.
    pub preshared_key: Setting<PresharedKey>,
    /// Where it is now; `None` if that does not change.
    pub endpoint: Option<PeerEndpoint>,
    /// After how many seconds of silence a packet is sent to it.
    pub persistent_keepalive: Setting<NonZeroU16>,
    /// Its allowed IPs: all that there are, unless there is a sign before one. `None` if they do not change.
    pub allowed_ips: Option<Vec<AllowedIp>>,
}

/// Whether a peer is there after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerFate {
    /// It is, and is made if it was not.
    There,
    /// It is if it was.
    ThereIfItWas,
    /// It is not; nothing else is said of it.
    Gone,
}

/// What becomes of something that may be there or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Setting<T> {
    /// It stays as it is.
    #[default]
    Stays,
    /// There is none any more.
    Ends,
    /// This one it is.
    Is(T),
}

/// A prefix that a peer may send from, or may no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedIp {
    /// What was before it. With a sign before any, those that are not mentioned stay.
    pub sign: Option<Sign>,
    /// The prefix, without host bits.
    pub net: IpNet,
}

/// What stands before a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// `+`: it joins.
    Plus,
    /// `-`: it leaves, if it is there.
    Minus,
}

/// A text is not a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an IP address or prefix, with `+` or `-` before it or without")]
pub struct AllowedIpError;

impl FromStr for AllowedIp {
    type Err = AllowedIpError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sign, net) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(net), _) => (Some(Sign::Plus), net),
            (None, Some(net)) => (Some(Sign::Minus), net),
            (None, None) => (None, text),
        };
        let net = address_or_net(net).ok_or(AllowedIpError)?.trunc();
        Ok(Self { sign, net })
    }
}

/// There would be too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected at most {most} peers of an interface, found {0}", most = Wireguard::PEERS_MAX)]
pub struct TooManyPeers(usize);

impl PeersChange {
    /// What becomes of these peers.
    ///
    /// # Errors
    /// [`TooManyPeers`].
    pub fn apply(&self, peers: &[WireguardPeer]) -> Result<Vec<WireguardPeer>, TooManyPeers> {
        let named: HashSet<_> = self.peers.iter().map(|change| change.public_key).collect();
        let stays = |peer: &&WireguardPeer| !self.replaces || named.contains(&peer.public_key);
        let mut table = Table::default();
        peers.iter().filter(stays).cloned().for_each(|peer| table.add(peer));
        self.peers.iter().for_each(|change| table.change(change));
        let peers: Vec<_> = table.peers.into_iter().flatten().collect();
        if peers.len() > Wireguard::PEERS_MAX { Err(TooManyPeers(peers.len())) } else { Ok(peers) }
    }
}

/// Peers in their order, with what has to be one's alone.
#[derive(Default)]
struct Table {
    /// Who is gone has left its place empty.
    peers: Vec<Option<WireguardPeer>>,
    by_key: HashMap<PublicKey, usize>,
    owners: HashMap<IpNet, usize>,
}

impl Table {
    fn add(&mut self, peer: WireguardPeer) {
        let at = self.peers.len();
        self.by_key.insert(peer.public_key, at);
        self.owners.extend(peer.allowed_ips.iter().map(|net| (*net, at)));
        self.peers.push(Some(peer));
    }

    fn change(&mut self, change: &PeerChange) {
        match change.fate {
            PeerFate::Gone => return self.remove(&change.public_key),
            PeerFate::ThereIfItWas if !self.by_key.contains_key(&change.public_key) => return,
            PeerFate::ThereIfItWas | PeerFate::There => {}
        }
        if !self.by_key.contains_key(&change.public_key) {
            self.add(new(change.public_key));
        }
        let Some(at) = self.by_key.get(&change.public_key).copied() else { return };
        if let Some(peer) = self.peer(at) {
            change.settle(peer);
        }
        for AllowedIp { sign, net } in change.allowed_ips.iter().flatten() {
            match sign {
                Some(Sign::Minus) => self.leave(at, *net),
                Some(Sign::Plus) | None => self.join(at, *net),
            }
        }
        if let Some(nets) =
            change.allowed_ips.as_ref().filter(|nets| nets.iter().all(|net| net.sign.is_none()))
        {
            self.only(at, &nets.iter().map(|allowed| allowed.net).collect::<Vec<_>>());
        }
    }

    fn peer(&mut self, at: usize) -> Option<&mut WireguardPeer> {
        self.peers.get_mut(at)?.as_mut()
    }

    fn remove(&mut self, key: &PublicKey) {
        let gone = self.by_key.remove(key).and_then(|at| self.peers.get_mut(at)?.take());
        for net in gone.iter().flat_map(|peer| &peer.allowed_ips) {
            self.owners.remove(net);
        }
    }

    /// Gives a prefix to a peer, whoever has it.
    fn join(&mut self, at: usize, net: IpNet) {
        match self.owners.insert(net, at) {
            Some(owner) if owner == at => return,
            Some(owner) => {
                if let Some(other) = self.peer(owner) {
                    other.allowed_ips.retain(|its| *its != net);
                }
            }
            None => {}
        }
        if let Some(peer) = self.peer(at) {
            peer.allowed_ips.push(net);
        }
    }

    fn leave(&mut self, at: usize, net: IpNet) {
        if let Entry::Occupied(owner) = self.owners.entry(net)
            && *owner.get() == at
        {
            owner.remove();
            if let Some(peer) = self.peer(at) {
                peer.allowed_ips.retain(|its| *its != net);
            }
        }
    }

    /// Takes from a peer all that is not among these, which it has; and puts them into this order.
    fn only(&mut self, at: usize, nets: &[IpNet]) {
        let mut wanted = HashSet::new();
        let ordered: Vec<_> = nets.iter().copied().filter(|net| wanted.insert(*net)).collect();
        let before = self.peer(at).map(|peer| std::mem::replace(&mut peer.allowed_ips, ordered));
        for net in before.iter().flatten().filter(|net| !wanted.contains(*net)) {
            self.owners.remove(net);
        }
    }
}

/// A peer of which nothing is known.
fn new(public_key: PublicKey) -> WireguardPeer {
    WireguardPeer {
        name: None,
        public_key,
        preshared_key: None,
        preshared_key_place: None,
        endpoint: None,
        allowed_ips: Vec::new(),
        persistent_keepalive: None,
        labels: Labels::default(),
    }
}

impl PeerChange {
    /// Changes all but the allowed IPs, which others may have.
    fn settle(&self, peer: &mut WireguardPeer) {
        match &self.preshared_key {
            Setting::Stays => {}
            Setting::Ends => (peer.preshared_key, peer.preshared_key_place) = (None, None),
            // The file of the configuration has it still.
            Setting::Is(key) if peer.preshared_key.as_ref() == Some(key) => {}
            Setting::Is(key) => {
                peer.preshared_key = Some(key.clone());
                peer.preshared_key_place = Some(KeyPlace::Given);
            }
        }
        match self.persistent_keepalive {
            Setting::Stays => {}
            Setting::Ends => peer.persistent_keepalive = None,
            Setting::Is(seconds) => peer.persistent_keepalive = Some(seconds),
        }
        if let Some(endpoint) = &self.endpoint {
            peer.endpoint = Some(endpoint.clone());
        }
    }
}
