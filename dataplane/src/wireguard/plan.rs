use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};

use hashbrown::HashMap;

use super::{AllowedIps, Identity, Inbox, Parity, Peer, PeerSlot, Wire};
use crate::{
    handoff::WorkerId,
    io::PortId,
    parse::{Address, Headers},
};

/// All tunnels as the configuration wants them: a part of the snapshot.
#[derive(Debug, Default)]
pub struct Plan {
    interfaces: Vec<Interface>,
    /// By their slots. A peer that stays keeps its slot, and is the same one.
    peers: Vec<Option<Arc<Peer>>>,
    /// By [`PortId`]: the place of the interface that is there.
    places: Vec<Option<u8>>,
    /// Whether any interface requires encryption.
    requires_encryption: bool,
}

/// An interface to which peers belong.
#[derive(Debug)]
pub struct Interface {
    /// Where packets of its peers come in, and those for them leave.
    pub port: PortId,
    /// What there is to know if that is the outside of a bridge, and not an interface of the host.
    pub wire: Option<Wire>,
    /// The UDP port at which peers find it.
    pub listen_port: u16,
    /// The longest packet inside, in bytes.
    pub mtu: u16,
    /// Whether packets to allowed IPs of its peers are dropped where they would leave in another way.
    pub requires_encryption: bool,
    /// Who it is.
    pub identity: Arc<Identity>,
    /// Who it was, while there are peers that know it so: of the other parity.
    pub previous: Option<Arc<Identity>>,
    /// Which peer an inside address belongs to.
    pub allowed: AllowedIps,
    /// Peers by their public keys.
    pub keys: HashMap<[u8; 32], PeerSlot>,
    /// The kernel's sockets at the same UDP port, of IPv4 and IPv6: for messages that the workers know no way for.
    pub sockets: [Option<Arc<UdpSocket>>; 2],
    /// What they have received.
    pub inbox: Arc<Inbox>,
}

impl Plan {
    /// The plan of these interfaces and peers, the latter by their slots.
    pub fn new(interfaces: Vec<Interface>, peers: Vec<Option<Arc<Peer>>>) -> Self {
        let mut places = vec![None; PortId::MAX_PORTS];
        for (interface, place) in interfaces.iter().zip(0..) {
            if let Some(slot) = places.get_mut(interface.port.index()) {
                *slot = Some(place);
            }
        }
        let requires_encryption = interfaces.iter().any(|interface| interface.requires_encryption);
        Self { interfaces, peers, places, requires_encryption }
    }

    /// Whether there is no tunnel.
    pub fn is_empty(&self) -> bool {
        self.interfaces.is_empty()
    }

    /// The interfaces.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// The interface whose port this is.
    #[inline]
    pub fn at(&self, port: PortId) -> Option<&Interface> {
        let place = *self.places.get(port.index())?;
        self.interfaces.get(usize::from(place?))
    }

    /// Whether a packet to an address may leave through a port, if any of ours, and if it does, to who is on that link.
    #[inline]
    pub(crate) fn may_leave(&self, destination: Address, exit: Option<PortId>, is_on_link: bool) -> bool {
        !self.requires_encryption || self.is_encrypted_or_free(destination, exit, is_on_link)
    }

    #[inline(never)]
    fn is_encrypted_or_free(&self, destination: Address, exit: Option<PortId>, is_on_link: bool) -> bool {
        let mut requiring = self.interfaces.iter().filter(|interface| interface.requires_encryption);
        exit.is_some_and(|exit| self.at(exit).is_some())
            || !requiring.any(|interface| interface.allowed.claims(destination, is_on_link))
    }

    /// The interface that peers find at a UDP port of the host.
    #[inline]
    pub(super) fn listening(&self, port: u16) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.listen_port == port && interface.wire.is_none())
    }

    /// Whether a packet that leaves through `port` is encrypted there.
    #[inline]
    pub(crate) fn seals(&self, port: PortId, headers: &Headers) -> bool {
        self.at(port).is_some_and(|interface| {
            interface.wire.as_ref().is_none_or(|wire| wire.carries(interface, headers))
        })
    }

    /// The longest packet that goes where this one goes, if it is encrypted on the wire of a bridge, and longer.
    #[inline]
    pub(crate) fn too_long_for(&self, port: PortId, headers: &Headers) -> Option<u16> {
        let interface = self.at(port)?;
        let wire = interface.wire.as_ref()?;
        let length = headers.end.saturating_sub(headers.network_offset);
        (length > interface.mtu && wire.carries(interface, headers)).then_some(interface.mtu)
    }

    /// The peer of a slot.
    pub fn peer(&self, slot: PeerSlot) -> Option<&Arc<Peer>> {
        self.peers.get(slot.index())?.as_ref()
    }

    /// All peers.
    pub fn peers(&self) -> impl Iterator<Item = &Arc<Peer>> {
        self.peers.iter().flatten()
    }
}

impl Interface {
    /// Who peers may know it as.
    pub fn identities(&self) -> impl Iterator<Item = &Arc<Identity>> {
        [Some(&self.identity), self.previous.as_ref()].into_iter().flatten()
    }

    /// The one of a parity.
    pub(super) fn identity(&self, parity: Parity) -> Option<&Arc<Identity>> {
        self.identities().find(|identity| identity.parity == parity)
    }

    /// The kernel's socket that reaches an address.
    pub(super) fn socket(&self, remote: SocketAddr) -> Option<&UdpSocket> {
        let [v4, v6] = &self.sockets;
        if remote.is_ipv4() { v4.as_deref() } else { v6.as_deref() }
    }
}

impl PeerSlot {
    /// The worker that the peer belongs to, of so many.
    #[inline]
    pub fn owner(self, workers: u8) -> WorkerId {
        if workers <= 1 {
            return WorkerId(0);
        }
        WorkerId(u8::try_from(self.0 % u32::from(workers)).unwrap_or_default())
    }
}
