use std::{collections::BTreeSet, net::IpAddr};

use ravelin_config::{resources::Resources, types::IpNet};
use ravelin_dataplane::policy::AddressSet;

use super::ItemId;

/// How many prefixes of each length there are, of IPv4 and of IPv6.
#[derive(Debug)]
struct Lengths {
    v4: [u32; 33],
    v6: [u32; 129],
}

impl Default for Lengths {
    fn default() -> Self {
        Self { v4: [0; 33], v6: [0; 129] }
    }
}

impl Lengths {
    fn of(&mut self, net: IpNet) -> &mut u32 {
        match net {
            IpNet::V4(net) => &mut self.v4[usize::from(net.prefix_len())],
            IpNet::V6(net) => &mut self.v6[usize::from(net.prefix_len())],
        }
    }

    /// The prefixes that cover `address`, of all lengths that there are, the longest first.
    fn covering(&self, address: IpAddr) -> impl Iterator<Item = IpNet> {
        let counts: &[u32] = match address {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        let lengths = counts.iter().enumerate().rev().filter(|(_, count)| **count > 0);
        lengths.filter_map(move |(length, _)| Some(IpNet::new(address, length as u8).ok()?.trunc()))
    }
}

/// The endpoints' addresses. The longer prefix counts; of two that are the same, that of the first endpoint.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    /// In the order of addresses, shorter prefixes first: what lies inside of a prefix stands behind it.
    all: BTreeSet<(IpNet, ItemId)>,
    lengths: Lengths,
}

impl Prefixes {
    pub(super) fn insert(&mut self, item: ItemId, nets: &[IpNet]) {
        for net in nets {
            if self.all.insert((net.trunc(), item)) {
                *self.lengths.of(*net) += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, item: ItemId, nets: &[IpNet]) {
        for net in nets {
            if self.all.remove(&(net.trunc(), item)) {
                *self.lengths.of(*net) -= 1;
            }
        }
    }

    /// After many insertions: makes memory as small as it can be.
    pub(super) fn pack(&mut self) {
        self.all = std::mem::take(&mut self.all).into_iter().collect();
    }

    /// The endpoint whose address this is.
    pub(super) fn owner(&self, address: IpAddr) -> Option<ItemId> {
        self.lengths.covering(address).find_map(|net| {
            let (found, item) = self.all.range((net, ItemId::MIN)..).next()?;
            (*found == net).then_some(*item)
        })
    }

    /// Adds the prefixes of `item` in which no address is another's to `whole`, and what is left of the rest to `carved`.
    pub(super) fn collect(
        &self,
        item: ItemId,
        nets: &[IpNet],
        whole: &mut Vec<IpNet>,
        carved: &mut Vec<AddressSet>,
    ) {
        for net in nets {
            let taken: Vec<_> = self.taken(item, net.trunc()).collect();
            if taken.is_empty() {
                whole.push(*net);
            } else {
                carved.push(AddressSet::of_nets([net]).difference(&AddressSet::of_nets(&taken)));
            }
        }
    }

    /// Others' prefixes inside of `net`.
    fn taken(&self, item: ItemId, net: IpNet) -> impl Iterator<Item = IpNet> {
        let inside = self.all.range((net, ItemId::MIN)..=(IpNet::from(net.broadcast()), ItemId::MAX));
        let taken = move |(other, owner): &&(IpNet, ItemId)| {
            *owner != item && (other.prefix_len() > net.prefix_len() || *owner < item)
        };
        inside.filter(taken).map(|(other, _)| *other)
    }
}

/// The networks of all network sets.
#[derive(Debug, Default)]
pub(super) struct Networks {
    sets: Vec<AddressSet>,
    excepted: Vec<AddressSet>,
    /// Sorted.
    nets: Vec<(IpNet, u32)>,
    /// Those that came later, sorted as well. What left since is still among both.
    added: BTreeSet<(IpNet, u32)>,
    lengths: Lengths,
}

impl Networks {
    pub(super) fn new(resources: &Resources) -> Self {
        let mut networks = Self::default();
        for (index, set) in (0_u32..).zip(&resources.network_sets) {
            let nets: Vec<_> = resources.nets(set).collect();
            let addresses = AddressSet::of_nets(&nets);
            let excepted = AddressSet::of_nets(&set.except);
            networks.sets.push(addresses.difference(&excepted));
            networks.excepted.push(excepted);
            networks.nets.reserve(nets.len());
            for net in &nets {
                networks.nets.push((net.trunc(), index));
                *networks.lengths.of(*net) += 1;
            }
        }
        networks.nets.sort_unstable();
        networks.nets.dedup();
        networks
    }

    /// Lets networks leave and join a set, and says which addresses leave and which join it.
    pub(super) fn change(&mut self, set: usize, leave: &[IpNet], join: &[IpNet]) -> (AddressSet, AddressSet) {
        let (Some(addresses), Some(excepted)) = (self.sets.get_mut(set), self.excepted.get(set)) else {
            return (AddressSet::empty(), AddressSet::empty());
        };
        let (leave, nets) = (AddressSet::of_nets(leave), join);
        let join = AddressSet::of_nets(nets).difference(excepted);
        let leave = leave.difference(&join);
        addresses.leave(&leave);
        addresses.join(&join);
        for net in nets {
            if self.added.insert((net.trunc(), set as u32)) {
                *self.lengths.of(*net) += 1;
            }
        }
        (leave, join)
    }

    /// The addresses of a set.
    pub(super) fn addresses(&self, set: usize) -> &AddressSet {
        &self.sets[set]
    }

    /// The sets that `address` is in, and the length of the longest prefix of each that covers it.
    pub(super) fn of(&self, address: IpAddr) -> Vec<(u32, u8)> {
        let mut found: Vec<(u32, u8)> = Vec::new();
        for net in self.lengths.covering(address) {
            let from = self.nets.partition_point(|(other, _)| *other < net);
            let first = self.nets[from..].iter().take_while(|(other, _)| *other == net);
            let later = self.added.range((net, 0)..=(net, u32::MAX));
            for (_, set) in first.chain(later) {
                if found.iter().all(|(other, _)| other != set)
                    && self.addresses(*set as usize).contains(address)
                {
                    found.push((*set, net.prefix_len()));
                }
            }
        }
        found
    }
}
