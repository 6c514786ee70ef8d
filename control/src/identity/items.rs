use ahash::RandomState;
use hashbrown::HashTable;
use ravelin_config::types::IpNet;

use super::{groups::GroupId, words::Word};

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A workload or a host.
    Endpoint,
    /// Addresses under common labels.
    NetworkSet,
}

/// An endpoint or a network set. In order, endpoints stand before network sets, each in the order of the resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(u32);

impl ItemId {
    pub(super) const MIN: Self = Self(0);
    pub(super) const MAX: Self = Self(u32::MAX);
    const NETWORK_SET: u32 = 1 << 31;

    /// The endpoint at this place of the resources.
    pub const fn endpoint(index: usize) -> Self {
        Self(index as u32 & !Self::NETWORK_SET)
    }

    /// The network set at this place of the resources.
    pub const fn network_set(index: usize) -> Self {
        Self(index as u32 | Self::NETWORK_SET)
    }

    /// What it is.
    pub const fn kind(self) -> Kind {
        if self.0 & Self::NETWORK_SET == 0 { Kind::Endpoint } else { Kind::NetworkSet }
    }

    /// Its place among the resources of its kind. Endpoints that came later have the places behind, or those of endpoints that
    /// are gone.
    pub const fn index(self) -> usize {
        (self.0 & !Self::NETWORK_SET) as usize
    }
}

/// What is kept of an item.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) group: GroupId,
    pub(super) namespace: Option<Word>,
    pub(super) name: Word,
    /// Of endpoints.
    pub(super) addresses: Addresses,
}

/// An endpoint's prefixes: mostly there is one.
#[derive(Debug)]
pub(super) enum Addresses {
    One(IpNet),
    Many(Box<[IpNet]>),
}

impl Addresses {
    pub(super) fn new(nets: &[IpNet]) -> Self {
        if let [net] = nets { Self::One(*net) } else { Self::Many(nets.into()) }
    }

    pub(super) fn nets(&self) -> &[IpNet] {
        match self {
            Self::One(net) => std::slice::from_ref(net),
            Self::Many(nets) => nets,
        }
    }
}

/// All items, by number and by name.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// `None` where an endpoint was removed.
    endpoints: Vec<Option<Item>>,
    network_sets: Vec<Item>,
    vacant: Vec<ItemId>,
    names: HashTable<ItemId>,
    hasher: RandomState,
}

impl Items {
    pub(super) fn ids(&self) -> impl Iterator<Item = ItemId> {
        let endpoints = self.endpoints.iter().enumerate().filter(|(_, item)| item.is_some());
        let sets = (0..self.network_sets.len()).map(ItemId::network_set);
        endpoints.map(|(at, _)| ItemId::endpoint(at)).chain(sets)
    }

    /// # Panics
    ///
    /// If it is the number of an endpoint that was removed.
    pub(super) fn get(&self, id: ItemId) -> &Item {
        match id.kind() {
            Kind::Endpoint => self.endpoints[id.index()].as_ref().expect("the endpoint is still there"),
            Kind::NetworkSet => &self.network_sets[id.index()],
        }
    }

    pub(super) fn get_mut(&mut self, id: ItemId) -> &mut Item {
        match id.kind() {
            Kind::Endpoint => self.endpoints[id.index()].as_mut().expect("the endpoint is still there"),
            Kind::NetworkSet => &mut self.network_sets[id.index()],
        }
    }

    pub(super) fn find(&self, kind: Kind, namespace: Option<Word>, name: Word) -> Option<ItemId> {
        let same = |id: &ItemId| {
            let item = self.get(*id);
            id.kind() == kind && (item.namespace, item.name) == (namespace, name)
        };
        self.names.find(self.hasher.hash_one((namespace, name)), same).copied()
    }

    /// The number that the next new item of this kind gets.
    pub(super) fn next(&self, kind: Kind) -> ItemId {
        match kind {
            Kind::Endpoint => self.vacant.last().copied().unwrap_or(ItemId::endpoint(self.endpoints.len())),
            Kind::NetworkSet => ItemId::network_set(self.network_sets.len()),
        }
    }

    /// Adds an item under the next number.
    pub(super) fn push(&mut self, kind: Kind, item: Item) -> ItemId {
        let id = self.next(kind);
        let hash = self.hasher.hash_one((item.namespace, item.name));
        match kind {
            Kind::Endpoint if self.vacant.pop().is_some() => self.endpoints[id.index()] = Some(item),
            Kind::Endpoint => self.endpoints.push(Some(item)),
            Kind::NetworkSet => self.network_sets.push(item),
        }
        let Self { endpoints, network_sets, names, hasher, .. } = self;
        names.insert_unique(hash, id, |id| {
            let item = match id.kind() {
                Kind::Endpoint => endpoints[id.index()].as_ref(),
                Kind::NetworkSet => network_sets.get(id.index()),
            };
            item.map_or(0, |item| hasher.hash_one((item.namespace, item.name)))
        });
        id
    }

    /// Removes an endpoint.
    pub(super) fn remove(&mut self, endpoint: ItemId) -> Option<Item> {
        let item = self.endpoints.get_mut(endpoint.index())?.take()?;
        let hash = self.hasher.hash_one((item.namespace, item.name));
        if let Ok(entry) = self.names.find_entry(hash, |other| *other == endpoint) {
            entry.remove();
        }
        self.vacant.push(endpoint);
        Some(item)
    }

    /// After many insertions: makes memory as small as it can be.
    pub(super) fn pack(&mut self) {
        self.endpoints.shrink_to_fit();
        self.network_sets.shrink_to_fit();
    }
}
