use std::{
    collections::{HashMap, HashSet},
    io,
    net::UdpSocket,
    sync::Arc,
};

use ravelin_config::{
    Config,
    types::{IfName, IpNet},
    wireguard::{OnBridge, PeerEndpoint, Wireguard, WireguardPeer},
};
use ravelin_dataplane::{
    io::PortId,
    route::Routes,
    wake::Waker,
    wireguard::{AllowedIps, Identity, Inbox, Interface, Peer, PeerKeys, PeerSlot, Plan, TooManyPeers, Wire},
};

use super::{
    names, paths,
    reader::{self, Wakers},
    sockets,
};
use crate::compile::{CompileError, Ports};

/// The longest packet inside, where neither the configuration nor a route says: a message over IPv6 fits into 1500 bytes, as in wg-quick(8).
const MTU: u16 = 1420;

/// The tunnels of a process: who stays from one configuration to the next keeps its number and its sessions.
#[derive(Debug, Default)]
pub struct Registry {
    interfaces: HashMap<IfName, Held>,
    numbers: Numbers,
    wakers: Wakers,
    /// What the ways to peers leave for packets of interfaces of the host, in bytes.
    paths: HashMap<IfName, u16>,
}

/// What is held for an interface.
#[derive(Debug)]
struct Held {
    identity: Arc<Identity>,
    /// Who it was before, while there may be peers that know it so.
    previous: Option<Arc<Identity>>,
    listen_port: u16,
    sockets: [Option<Arc<UdpSocket>>; 2],
    inbox: Arc<Inbox>,
    peers: HashMap<[u8; 32], Known>,
}

impl Held {
    /// Who peers may know it as.
    fn identities(&self) -> impl Iterator<Item = &Arc<Identity>> {
        [Some(&self.identity), self.previous.as_ref()].into_iter().flatten()
    }

    /// The one with a public key.
    fn known_as(&self, public_key: [u8; 32]) -> Option<&Arc<Identity>> {
        self.identities().find(|identity| identity.public_key() == public_key)
    }
}

/// A peer, and where the configuration says that it is.
#[derive(Clone, Debug)]
struct Known {
    peer: Arc<Peer>,
    endpoint: Option<PeerEndpoint>,
}

/// What a configuration makes of the tunnels, if it comes into force.
#[derive(Debug)]
pub struct Prepared {
    interfaces: HashMap<IfName, Held>,
    numbers: Numbers,
    plan: Arc<Plan>,
}

/// The numbers of peers.
#[derive(Clone, Debug, Default)]
struct Numbers {
    /// Those that were given and are free again.
    free: Vec<PeerSlot>,
    /// The first that was never given.
    next: u32,
}

impl Numbers {
    fn give(&mut self) -> PeerSlot {
        self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            PeerSlot(self.next - 1)
        })
    }
}

impl Registry {
    /// Works out what workers would do under a configuration. Nothing has changed yet.
    ///
    /// # Errors
    /// [`CompileError::Wireguard`]: a port is in use, or a key is that of the interface itself.
    pub fn prepare(&self, config: &Config, ports: &Ports) -> Result<Prepared, CompileError> {
        let mut numbers = self.numbers.clone();
        let (mut interfaces, mut compiled) = (HashMap::new(), Vec::new());
        for wireguard in &config.wireguards {
            let unknown = || CompileError::UnknownInterface { interface: wireguard.name.clone() };
            let place = wireguard.bridge.as_ref().map_or(&wireguard.name, |bridge| &bridge.outside);
            let port = ports.id(place).ok_or_else(unknown)?;
            let before = self.interfaces.get(&wireguard.name);
            let held = hold(wireguard, port, before, &mut numbers, &self.wakers)
                .map_err(|problem| CompileError::Wireguard { interface: wireguard.name.clone(), problem })?;
            compiled.push(interface(wireguard, (port, self.mtu(wireguard, ports)), &held)?);
            interfaces.insert(wireguard.name.clone(), held);
        }
        let known = || interfaces.values().flat_map(|held: &Held| held.peers.values());
        let places = known().map(|known| known.peer.slot.0 as usize + 1).max().unwrap_or_default();
        let mut peers = vec![None; places];
        for Known { peer, .. } in known() {
            if let Some(place) = peers.get_mut(peer.slot.0 as usize) {
                *place = Some(Arc::clone(peer));
            }
        }
        let plan = Arc::new(Plan::new(compiled, peers));
        Ok(Prepared { interfaces, numbers, plan })
    }

    /// Brings what was worked out into force: returns what workers do. Who is elsewhere now is told so, who stays is served under keys that are
    /// new, and whose numbers are free follows.
    pub fn take_over(&mut self, prepared: Prepared) -> Arc<Plan> {
        let Prepared { interfaces, numbers, plan } = prepared;
        self.numbers = numbers;
        let stays: HashSet<_> =
            interfaces.values().flat_map(|held| held.peers.values()).map(|known| known.peer.slot).collect();
        for (name, held) in &interfaces {
            let before = self.interfaces.get(name);
            for (key, known) in &held.peers {
                let earlier = before.and_then(|held| held.peers.get(key));
                let earlier = earlier.filter(|earlier| Arc::ptr_eq(&earlier.peer, &known.peer));
                let is_told = earlier.is_some_and(|earlier| earlier.endpoint == known.endpoint);
                let is_new = |identity: &&Arc<Identity>| {
                    before.is_some_and(|held| held.known_as(identity.public_key()).is_none())
                };
                if earlier.is_some() {
                    held.identities().filter(is_new).for_each(|identity| known.peer.serve(identity));
                }
                match &known.endpoint {
                    Some(endpoint) if !is_told => names::tell(endpoint, &known.peer),
                    Some(_) | None => {}
                }
            }
        }
        let gone = self.interfaces.values().flat_map(|held| held.peers.values()).map(|known| known.peer.slot);
        self.numbers.free.extend(gone.filter(|slot| !stays.contains(slot)));
        self.interfaces = interfaces;
        plan
    }

    /// The longest packet that an interface takes, in bytes.
    pub fn mtu(&self, wireguard: &Wireguard, ports: &Ports) -> u16 {
        let found = || match &wireguard.bridge {
            Some(bridge) => on_wire(wireguard, bridge, ports),
            None => self.paths.get(&wireguard.name).copied().unwrap_or(MTU),
        };
        wireguard.mtu.unwrap_or_else(found)
    }

    /// Follows routes, and peers that move: whether they leave more or less for packets inside than before.
    pub fn follow_paths(&mut self, config: &Config, routes: &Routes) -> bool {
        let is_open = |wireguard: &&Wireguard| wireguard.mtu.is_none();
        let found = config.wireguard_devices().filter(is_open).filter_map(|wireguard| {
            let peers = self.interfaces.get(&wireguard.name)?.peers.values();
            let endpoints =
                peers.filter_map(|known| known.peer.sight().endpoint).map(|endpoint| endpoint.ip());
            Some((wireguard.name.clone(), paths::mtu(wireguard, endpoints, routes)?))
        });
        let found: HashMap<_, _> = found.collect();
        let differs = config.wireguard_devices().any(|wireguard| {
            let of = |paths: &HashMap<IfName, u16>| paths.get(&wireguard.name).copied().unwrap_or(MTU);
            of(&found) != of(&self.paths)
        });
        self.paths = found;
        differs
    }

    /// Tells a peer's worker once more where the configuration says that the peer is.
    pub fn tell(&self, interface: &IfName, public_key: &[u8; 32]) {
        let known = self.interfaces.get(interface).and_then(|held| held.peers.get(public_key));
        if let Some(Known { peer, endpoint: Some(endpoint) }) = known {
            names::tell(endpoint, peer);
        }
    }

    /// Has these workers be woken when there is something for them.
    pub fn wake(&self, workers: &Arc<[Waker]>) {
        let _done_once = self.wakers.set(Arc::clone(workers));
    }

    /// The peer of an interface with a public key.
    pub fn peer(&self, interface: &IfName, public_key: &[u8; 32]) -> Option<&Arc<Peer>> {
        self.interfaces.get(interface)?.peers.get(public_key).map(|known| &known.peer)
    }

    /// Who an interface is, and its UDP port.
    pub fn identity(&self, interface: &IfName) -> Option<(&Identity, u16)> {
        self.interfaces.get(interface).map(|held| (&*held.identity, held.listen_port))
    }

    /// Who it was before, if it still is served as that, and how many peers have a session under that key.
    pub fn previous(&self, interface: &IfName) -> Option<(&Identity, usize)> {
        let held = self.interfaces.get(interface)?;
        let previous = held.previous.as_deref()?;
        let sights = held.peers.values().map(|known| known.peer.sight());
        let under = sights.filter(|sight| sight.is_up && sight.parity == previous.parity());
        Some((previous, under.count()))
    }

    /// The UDP ports of those that the host has.
    pub fn listen_ports(&self) -> Vec<u16> {
        let of_host = self.interfaces.values().filter(|held| held.sockets.iter().any(Option::is_some));
        of_host.map(|held| held.listen_port).collect()
    }
}

/// What an interface needs: of what there was, what still holds, and for the rest something new.
fn hold(
    wireguard: &Wireguard,
    port: PortId,
    before: Option<&Held>,
    numbers: &mut Numbers,
    wakers: &Wakers,
) -> Result<Held, String> {
    let (identity, previous) = identify(wireguard, before);
    // Peers to whom one of these keys is known go on.
    let same = before.filter(|held| {
        let mut served = [Some(&identity), previous.as_ref()].into_iter().flatten();
        served.any(|identity| held.known_as(identity.public_key()).is_some())
    });
    let bound = before.filter(|held| wireguard.listen_port.is_none_or(|port| port == held.listen_port));
    let (listen_port, sockets, inbox) = match bound {
        // The kernel has no part in it.
        _ if wireguard.bridge.is_some() => {
            (wireguard.listen_port.unwrap_or_default(), [None, None], Arc::default())
        }
        Some(held) => (held.listen_port, held.sockets.clone(), Arc::clone(&held.inbox)),
        None => listen(wireguard.listen_port, wakers).map_err(|error| match wireguard.listen_port {
            Some(port) => format!("UDP port {port} cannot be used: {error}"),
            None => format!("no UDP port can be used: {error}"),
        })?,
    };
    let mut peers = HashMap::new();
    for peer in &wireguard.peers {
        if peer.public_key.0 == identity.public_key() {
            return Err(format!("the peer {} is the interface itself", peer.public_key));
        }
        let earlier = same.and_then(|held| held.peers.get(&peer.public_key.0));
        let known = earlier.filter(|known| known.peer.keys == keys(peer) && known.peer.interface == port);
        let stays = known.map(|known| Arc::clone(&known.peer));
        // Who has other keys now is still where it was.
        let place = earlier.and_then(|known| known.peer.sight().endpoint);
        let anew = || {
            let peer = Peer::new(numbers.give(), (port, &identity), keys(peer), place);
            previous.iter().for_each(|identity| peer.serve(identity));
            Arc::new(peer)
        };
        let known = Known { peer: stays.unwrap_or_else(anew), endpoint: peer.endpoint.clone() };
        peers.insert(peer.public_key.0, known);
    }
    Ok(Held { identity, previous, listen_port, sockets, inbox, peers })
}

/// Who an interface is, and who it was: the same as before, as far as the keys are the same.
fn identify(wireguard: &Wireguard, before: Option<&Held>) -> (Arc<Identity>, Option<Arc<Identity>>) {
    let known = |key| before.and_then(|held| held.known_as(Identity::new(key).public_key())).cloned();
    let beside = |key, other: Option<&Identity>| {
        Arc::new(other.map_or_else(|| Identity::new(key), |other| Identity::beside(key, other)))
    };
    let key = *wireguard.private_key.reveal();
    let previous_key = wireguard.previous_key.as_ref().map(|previous| *previous.key.reveal());
    // Who is known stays what it is; the other goes beside it.
    let previous = previous_key.and_then(known);
    let identity = known(key).unwrap_or_else(|| beside(key, previous.as_deref()));
    let previous = previous_key.map(|key| previous.unwrap_or_else(|| beside(key, Some(&identity))));
    (identity, previous)
}

/// Takes a UDP port, and reads what the kernel receives there.
fn listen(port: Option<u16>, wakers: &Wakers) -> io::Result<(u16, sockets::Sockets, Arc<Inbox>)> {
    let (port, sockets) = sockets::bind(port)?;
    let inbox = Arc::default();
    for socket in sockets.iter().flatten() {
        reader::start(socket, &inbox, wakers)?;
    }
    Ok((port, sockets, inbox))
}

fn keys(peer: &WireguardPeer) -> PeerKeys {
    PeerKeys {
        public_key: peer.public_key.0,
        preshared_key: peer.preshared_key.as_ref().map(|key| *key.reveal()),
        keepalive: peer.persistent_keepalive,
    }
}

/// What the wire of a bridge leaves for packets, in bytes.
fn on_wire(wireguard: &Wireguard, bridge: &OnBridge, ports: &Ports) -> u16 {
    let nets = bridge.local_ips.iter().chain(wireguard.peers.iter().flat_map(|peer| &peer.allowed_ips));
    let longest = if nets.into_iter().any(|net| matches!(net, IpNet::V6(_))) { 80 } else { 60 };
    let link = ports.id(&bridge.outside).and_then(|port| ports.facts(port)).map_or(1500, |facts| facts.mtu);
    u16::try_from(link.saturating_sub(longest)).unwrap_or(u16::MAX)
}

fn interface(
    wireguard: &Wireguard,
    (port, mtu): (PortId, u16),
    held: &Held,
) -> Result<Interface, CompileError> {
    let slot = |peer: &WireguardPeer| held.peers.get(&peer.public_key.0).map(|known| known.peer.slot);
    let with_prefixes = wireguard.peers.iter().filter(|peer| !peer.allowed_ips.is_empty());
    let allowed: Vec<(PeerSlot, &[IpNet])> =
        with_prefixes.filter_map(|peer| Some((slot(peer)?, &*peer.allowed_ips))).collect();
    let problem = |error: TooManyPeers| CompileError::Wireguard {
        interface: wireguard.name.clone(),
        problem: error.to_string(),
    };
    let allowed = AllowedIps::new(allowed).map_err(problem)?;
    let wire = |bridge: &OnBridge| {
        let local = AllowedIps::new([(PeerSlot(0), &*bridge.local_ips)]).map_err(problem);
        local.map(|local| Wire { local, mss_clamp: wireguard.mss_clamp })
    };
    Ok(Interface {
        port,
        wire: wireguard.bridge.as_ref().map(wire).transpose()?,
        listen_port: held.listen_port,
        mtu,
        requires_encryption: wireguard.require_encryption,
        identity: Arc::clone(&held.identity),
        previous: held.previous.clone(),
        allowed,
        keys: held.peers.iter().map(|(key, known)| (*key, known.peer.slot)).collect(),
        sockets: held.sockets.clone(),
        inbox: Arc::clone(&held.inbox),
    })
}
