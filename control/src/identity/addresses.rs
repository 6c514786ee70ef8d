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
    /// Those of `nets` that have left since.
    gone: BTreeSet<(IpNet, u32)>,
    /// Those that came since.
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
            networks.nets.extend(nets.iter().map(|net| (net.trunc(), index)));
        }
        networks.nets.sort_unstable();
        networks.nets.dedup();
        networks.count();
        networks
    }

    /// Lets networks leave and join a set, and says which addresses leave and which join it.
    pub(super) fn change(&mut self, set: usize, leave: &[IpNet], join: &[IpNet]) -> (AddressSet, AddressSet) {
        let (Some(addresses), Some(excepted)) = (self.sets.get(set), self.excepted.get(set)) else {
            return (AddressSet::empty(), AddressSet::empty());
        };
        let number = set as u32;
        // So many are better made anew than put in their places one by one.
        let is_much = (leave.len() + join.len()) * 8 > self.nets.len() + self.added.len();
        let (leave, join) = if is_much {
            let before = addresses.clone();
            let excepted = excepted.clone();
            self.rebuild(number, leave, join);
            let nets = self.nets.iter().filter(|(_, set)| *set == number).map(|(net, _)| net);
            let after = AddressSet::of_nets(nets).difference(&excepted);
            (before.difference(&after), after.difference(&before))
        } else {
            let joined = AddressSet::of_nets(join).difference(excepted).difference(addresses);
            leave.iter().for_each(|net| self.remove((net.trunc(), number)));
            join.iter().for_each(|net| self.add((net.trunc(), number)));
            let others = leave.iter().flat_map(|net| self.around(net.trunc(), number)).collect::<Vec<_>>();
            let left = AddressSet::of_nets(leave).difference(&AddressSet::of_nets(&others));
            (left.intersection(&self.sets[set]), joined)
        };
        self.sets[set].leave(&leave);
        self.sets[set].join(&join);
        (leave, join)
    }

    fn remove(&mut self, net: (IpNet, u32)) {
        let was_there =
            self.added.remove(&net) || self.nets.binary_search(&net).is_ok() && self.gone.insert(net);
        *self.lengths.of(net.0) -= u32::from(was_there);
    }

    fn add(&mut self, net: (IpNet, u32)) {
        let is_new = match self.nets.binary_search(&net) {
            Ok(_) => self.gone.remove(&net),
            Err(_) => self.added.insert(net),
        };
        *self.lengths.of(net.0) += u32::from(is_new);
    }

    /// Puts everything in order again, without what leaves a set, and with what joins it.
    fn rebuild(&mut self, set: u32, leave: &[IpNet], join: &[IpNet]) {
        let mut leave: Vec<_> = leave.iter().map(|net| (net.trunc(), set)).collect();
        leave.extend(std::mem::take(&mut self.gone));
        self.nets.extend(std::mem::take(&mut self.added));
        // These are a few sorted runs behind one another, which this sort makes use of.
        leave.sort();
        self.nets.sort();
        let mut leave = leave.into_iter().peekable();
        self.nets.retain(|net| {
            while leave.next_if(|gone| gone < net).is_some() {}
            leave.peek() != Some(net)
        });
        self.nets.extend(join.iter().map(|net| (net.trunc(), set)));
        self.nets.sort();
        self.nets.dedup();
        self.count();
    }

    fn count(&mut self) {
        self.lengths = Lengths::default();
        for (net, _) in &self.nets {
            *self.lengths.of(*net) += 1;
        }
    }

    /// The addresses of a set.
    pub(super) fn addresses(&self, set: usize) -> &AddressSet {
        &self.sets[set]
    }

    /// The sets that `address` is in, and the length of the longest prefix of each that covers it.
    pub(super) fn of(&self, address: IpAddr) -> Vec<(u32, u8)> {
        let mut found: Vec<(u32, u8)> = Vec::new();
        for net in self.lengths.covering(address) {
            for (_, set) in self.between((net, 0), (net, u32::MAX)) {
                if found.iter().all(|(other, _)| other != set)
                    && self.addresses(*set as usize).contains(address)
                {
                    found.push((*set, net.prefix_len()));
                }
            }
        }
        found
    }

    /// The networks of a set that cover `net`, are it, or lie inside of it.
    fn around(&self, net: IpNet, set: u32) -> impl Iterator<Item = IpNet> {
        let covering =
            self.lengths.covering(net.addr()).skip_while(move |other| other.prefix_len() >= net.prefix_len());
        let covering =
            covering.filter(move |other| self.between((*other, set), (*other, set)).next().is_some());
        let inside = self.between((net, 0), (IpNet::from(net.broadcast()), u32::MAX));
        covering.chain(inside.filter(move |(_, other)| *other == set).map(|(net, _)| *net))
    }

    /// What there is from one place in the order to another.
    fn between(&self, first: (IpNet, u32), last: (IpNet, u32)) -> impl Iterator<Item = &(IpNet, u32)> {
        let from = self.nets.partition_point(|net| *net < first);
        let kept = self.nets[from..].iter().take_while(move |net| **net <= last);
        kept.filter(|net| !self.gone.contains(net)).chain(self.added.range(first..=last))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ravelin_config::resources::{Labels, NetworkSet};

    use super::*;

    fn resources(sets: &[BTreeSet<IpNet>; 2]) -> Resources {
        let network_set = |(number, nets): (usize, &BTreeSet<IpNet>)| NetworkSet {
            name: format!("n{number}"),
            namespace: None,
            labels: Labels::default(),
            nets: nets.iter().copied().collect(),
            nets_file: None,
            except: vec!["10.0.0.4/31".parse().unwrap()],
            domains: Vec::new(),
        };
        Resources { network_sets: sets.iter().enumerate().map(network_set).collect(), ..Resources::default() }
    }

    fn net() -> impl Strategy<Value = IpNet> {
        (0_u8..16, 28_u8..=32).prop_map(|(last, length)| {
            let net: IpNet = format!("10.0.0.{last}/{length}").parse().unwrap();
            net.trunc()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever leaves and joins, one by one or many at once, it is as if the sets had been so from the start.
        #[test]
        fn a_changed_set_is_as_one_made_anew(
            first in proptest::collection::btree_set(net(), 0..40),
            second in proptest::collection::btree_set(net(), 0..40),
            steps in proptest::collection::vec(
                (0_usize..2, proptest::collection::vec(net(), 0..3), proptest::collection::vec(net(), 0..3), any::<bool>()),
                0..12,
            ),
        ) {
            let mut sets = [first, second];
            let mut networks = Networks::new(&resources(&sets));
            for (set, leave, mut join, all) in steps {
                let mut leave: Vec<_> = leave.into_iter().filter(|net| sets[set].contains(net)).collect();
                if all {
                    leave = sets[set].iter().copied().collect();
                    join.retain(|net| !leave.contains(net));
                }
                join.retain(|net| !leave.contains(net));
                let before = networks.addresses(set).clone();
                let (left, joined) = networks.change(set, &leave, &join);
                sets[set].retain(|net| !leave.contains(net));
                sets[set].extend(&join);
                let fresh = Networks::new(&resources(&sets));
                let after = networks.addresses(set);
                prop_assert_eq!(after, fresh.addresses(set));
                prop_assert_eq!(left, before.difference(after));
                prop_assert_eq!(joined, after.difference(&before));
                for last in 0_u8..16 {
                    let address = IpAddr::from([10, 0, 0, last]);
                    let sorted = |mut sets: Vec<(u32, u8)>| { sets.sort_unstable(); sets };
                    prop_assert_eq!(sorted(networks.of(address)), sorted(fresh.of(address)));
                }
            }
        }
    }
}
