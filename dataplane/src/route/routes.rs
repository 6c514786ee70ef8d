use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crossbeam::queue::ArrayQueue;
use hashbrown::HashMap;

use super::Fib;
use crate::{io::PortId, parse::Address};

/// A hardware address.
pub type Mac = [u8; 6];

/// All that routing knows: the kernel's routes, links and neighbours as they were when the control thread made it.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// Which of `targets` a prefix has: of the main table, and of each VRF's.
    pub fibs: Arc<[Fib]>,
    /// By the index of a [`super::NextHopId`].
    pub targets: Arc<[Target]>,
    /// By [`PortId`]: the interfaces that route.
    pub links: Arc<[Option<Link>]>,
    /// Who is on them.
    pub neighbours: Arc<Neighbours>,
}

/// Where the packets to a prefix go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the appliance's own kernel: one of its addresses.
    Local,
    /// To the kernel, which forwards them or says why not: through an interface that is not ours, or by a route that refuses.
    Kernel,
    /// Nowhere, and nobody is told.
    Blackhole,
    /// Through one of these, by the hash of the flow.
    Hops(Box<[Hop]>),
}

/// A next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The interface.
    pub port: PortId,
    /// Who is there; none, if the destination itself is.
    pub gateway: Option<Address>,
    /// The longest packet that may go there, in bytes.
    pub mtu: u32,
    /// Its share of the flows, against the other hops of the group; at least 1.
    pub weight: u16,
}

/// An interface that routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it.
    pub index: u32,
    /// Its hardware address.
    pub mac: Mac,
    /// The place of its table in `fibs`.
    pub table: u8,
    /// Whether the kernel forwards what is received here, of IPv4 and of IPv6.
    pub forwards: [bool; 2],
    /// Whether packets leave in a tunnel. Nobody is on such a link: whose they are is a matter of their destination alone.
    pub is_tunnel: bool,
}

/// How it is checked that a packet comes from where an answer would go (RFC 3704).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReversePath {
    /// There is a route to its source through the interface that received it.
    Strict,
    /// There is a route to its source.
    #[default]
    Loose,
    /// It is not.
    Off,
}

/// Who is on the links.
#[derive(Debug)]
pub struct Neighbours {
    ids: HashMap<(PortId, Address), NeighbourId>,
    list: Vec<Neighbour>,
    /// Who was not known when a packet was to go there.
    wanted: ArrayQueue<(PortId, Address)>,
}

/// The place of a neighbour in the list of one [`Neighbours`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NeighbourId(u32);

impl NeighbourId {
    /// Nobody, as in a tunnel.
    pub(super) const NOBODY: Self = Self(u32::MAX);
}

/// A neighbour whose hardware address is known.
#[derive(Debug)]
pub struct Neighbour {
    mac: Mac,
    /// Whether a packet went there since this was asked for.
    used: AtomicBool,
}

impl Default for Neighbours {
    fn default() -> Self {
        Self { ids: HashMap::default(), list: Vec::new(), wanted: ArrayQueue::new(Self::WANTED) }
    }
}

impl Neighbours {
    /// How many that are not known are noted at most until somebody asks for them.
    const WANTED: usize = 64;

    /// These.
    pub fn new(neighbours: impl IntoIterator<Item = (PortId, IpAddr, Mac)>) -> Self {
        let mut made = Self::default();
        for ((port, address, mac), id) in neighbours.into_iter().zip(0..) {
            made.ids.insert((port, address.into()), NeighbourId(id));
            made.list.push(Neighbour { mac, used: AtomicBool::new(false) });
        }
        made
    }

    /// A neighbour, if its hardware address is known.
    #[inline]
    pub(super) fn find(&self, port: PortId, address: Address) -> Option<NeighbourId> {
        self.ids.get(&(port, address)).copied()
    }

    /// The hardware address of a neighbour to whom a packet goes.
    #[inline]
    pub(super) fn mac(&self, id: NeighbourId) -> Option<Mac> {
        let neighbour = self.of(id)?;
        // Read first: what is written belongs to one core alone.
        if !neighbour.used.load(Ordering::Relaxed) {
            neighbour.used.store(true, Ordering::Relaxed);
        }
        Some(neighbour.mac)
    }

    #[inline]
    fn of(&self, id: NeighbourId) -> Option<&Neighbour> {
        self.list.get(id.0 as usize)
    }

    /// Each with its place on the links.
    fn iter(&self) -> impl Iterator<Item = (&(PortId, Address), &Neighbour)> {
        self.ids.iter().filter_map(|(place, id)| Some((place, self.of(*id)?)))
    }

    /// Those to whom packets went since this was asked last.
    pub fn take_used(&self) -> impl Iterator<Item = (PortId, IpAddr)> + '_ {
        let used = self.iter().filter(|(_, neighbour)| neighbour.used.swap(false, Ordering::Relaxed));
        used.map(|((port, address), _)| (*port, address.ip()))
    }

    /// Whether a packet went to a neighbour since [`Neighbours::take_used`].
    pub fn is_used(&self, port: PortId, address: IpAddr) -> bool {
        let neighbour = self.find(port, address.into()).and_then(|id| self.of(id));
        neighbour.is_some_and(|neighbour| neighbour.used.load(Ordering::Relaxed))
    }

    /// Takes over from those before to whom packets went.
    pub fn remember(&self, before: &Self) {
        for ((port, address), neighbour) in before.iter() {
            if neighbour.used.load(Ordering::Relaxed)
                && let Some(same) = self.find(*port, *address).and_then(|id| self.of(id))
            {
                same.used.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Notes that a packet is to go where nobody is known. If there is no room, or another list takes the place of this one, the next packet
    /// notes it again.
    pub(super) fn want(&self, port: PortId, address: Address) {
        let _full = self.wanted.push((port, address));
    }

    /// Where packets were to go and nobody was known since this was asked last, as often as there were packets.
    pub fn take_wanted(&self) -> impl Iterator<Item = (PortId, IpAddr)> + '_ {
        let wanted = (0..Self::WANTED).map_while(|_| self.wanted.pop());
        wanted.map(|(port, address)| (port, address.ip()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The way that a packet of the gateway itself takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnWay {
    neighbour: NeighbourId,
    /// Through here.
    pub(crate) exit: PortId,
    /// The longest packet that may go there, in bytes.
    pub(crate) mtu: u32,
}

impl Routes {
    /// The place of the main table in `fibs`.
    pub const MAIN: u8 = 0;

    /// The way from an address of the gateway's own to another, if workers know it to the next neighbour.
    pub(crate) fn own_way(&self, local: IpAddr, remote: IpAddr, hash: u64) -> Option<OwnWay> {
        let Target::Local = self.target(Self::MAIN, local.into())? else { return None };
        match self.target(Self::MAIN, remote.into())? {
            Target::Hops(hops) => {
                let hop = Hop::of(hops, hash)?;
                let neighbour = self.neighbours.find(hop.port, hop.gateway.unwrap_or(remote.into()))?;
                Some(OwnWay { neighbour, exit: hop.port, mtu: hop.mtu })
            }
            Target::Local | Target::Kernel | Target::Blackhole => None,
        }
    }

    /// The hardware addresses of a packet that goes this way: who is next, and ours.
    #[inline]
    pub(crate) fn macs(&self, way: &OwnWay) -> [Mac; 2] {
        let ours = self.link(way.exit).map_or([0; 6], |link| link.mac);
        [self.neighbours.mac(way.neighbour).unwrap_or_default(), ours]
    }

    /// Whether an address is one of the gateway's own, for what comes in at a port.
    pub(crate) fn is_own(&self, port: PortId, address: Address) -> bool {
        let table = self.link(port).map(|link| link.table);
        table.and_then(|table| self.target(table, address)) == Some(&Target::Local)
    }

    /// Where packets to an address go; none if there is no route.
    pub fn target(&self, table: u8, address: Address) -> Option<&Target> {
        self.target_of(self.fibs.get(usize::from(table))?.lookup(address.ip())?)
    }

    /// Who is next behind a hop, for packets to a destination; none if his hardware address is not known.
    #[inline]
    pub(super) fn next(&self, hop: &Hop, destination: Address) -> Option<NeighbourId> {
        if self.link(hop.port).is_some_and(|link| link.is_tunnel) {
            return Some(NeighbourId::NOBODY);
        }
        self.neighbours.find(hop.port, hop.gateway.unwrap_or(destination))
    }

    #[inline]
    pub(super) fn target_of(&self, id: super::NextHopId) -> Option<&Target> {
        self.targets.get(id.index())
    }

    /// What is known of a port that routes.
    pub fn link(&self, port: PortId) -> Option<&Link> {
        self.links.get(port.index())?.as_ref()
    }

    /// Whether packets leave through the same ports as by others from which these were made: nothing but neighbours has changed.
    pub fn lead_as(&self, others: &Self) -> bool {
        Arc::ptr_eq(&self.fibs, &others.fibs)
            && Arc::ptr_eq(&self.targets, &others.targets)
            && Arc::ptr_eq(&self.links, &others.links)
    }

    /// The port through which a flow of this hash to an address leaves, if that is one of ours.
    pub(crate) fn exit(&self, table: u8, address: Address, hash: u64) -> Option<PortId> {
        match self.target(table, address)? {
            Target::Hops(hops) => Hop::of(hops, hash).map(|hop| hop.port),
            Target::Local | Target::Kernel | Target::Blackhole => None,
        }
    }
}

impl Hop {
    /// The hop of a flow: each has its share of all hashes.
    #[inline]
    pub(super) fn of(hops: &[Self], hash: u64) -> Option<&Self> {
        if let [only] = hops {
            return Some(only);
        }
        let total: u64 = hops.iter().map(|hop| u64::from(hop.weight)).sum();
        // The upper half of the hash has named the worker.
        let mut place = (u64::from(hash as u32) * total) >> 32;
        hops.iter().find(|hop| {
            let weight = u64::from(hop.weight);
            let is_it = place < weight;
            place = place.saturating_sub(weight);
            is_it
        })
    }
}
