//! What endpoints and network sets that come, change or go do to the sets of addresses.

use std::net::IpAddr;

use ravelin_config::{
    resources::{Endpoint, EndpointKind, NetworkSet},
    types::IpNet,
};
use ravelin_dataplane::policy::{AddressSet, SetId, classifier::MemberChange};

use super::{entity::Resolver, sets::Formula};
use crate::identity::{ItemId, Kind};

/// Networks that join or leave a network set that is there.
#[derive(Clone, Debug)]
pub struct Members {
    /// The set's namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Networks that join, where its exceptions let them.
    pub join: Vec<IpNet>,
    /// Networks that leave; addresses that another of its networks covers stay.
    pub leave: Vec<IpNet>,
}

impl Members {
    /// Whether this is about that set.
    pub(super) fn is_of(&self, set: &NetworkSet) -> bool {
        (&self.name, &self.namespace) == (&set.name, &set.namespace)
    }

    /// Makes the change in the set's list, which is in order afterwards, but for what joined.
    pub(super) fn make(&self, set: &mut NetworkSet) {
        let mut leave: Vec<_> = self.leave.iter().collect();
        // Mostly in order already, which this sort makes use of.
        leave.sort();
        set.nets.sort();
        let mut leave = leave.into_iter().peekable();
        set.nets.retain(|net| {
            while leave.next_if(|gone| *gone < net).is_some() {}
            leave.peek() != Some(&net)
        });
        set.nets.extend(&self.join);
    }
}

impl Resolver {
    /// Takes an endpoint over, new or in another state, and notes which sets change. `false` if it changes more than the members
    /// of sets: then everything has to be compiled anew. What was noted then is of no use.
    pub(super) fn update(&mut self, endpoint: &Endpoint, changes: &mut Vec<MemberChange>) -> bool {
        if !self.knows_the_like_of(endpoint) {
            return false;
        }
        let known = self.identities.find(Kind::Endpoint, endpoint.namespace.as_deref(), &endpoint.name);
        let Some(addresses) = hosts(endpoint) else { return false };
        // Whose addresses they are must not be in question.
        if addresses.iter().any(|address| {
            let owner = self.identities.endpoint_of(*address);
            owner.is_some() && owner != known
        }) {
            return false;
        }
        let Some(before) = self.standing(known) else { return false };
        let item = self.identities.update_endpoint(endpoint).item;
        self.set_endpoint(item, Some(endpoint.clone()));
        let after = self.standing(Some(item)).unwrap_or_default();
        self.is_clear(&before, &after) && self.moved(&before, &after, changes)
    }

    /// Forgets an endpoint, and notes which sets change; `false` as in [`Resolver::update`].
    pub(super) fn remove(
        &mut self,
        namespace: Option<&str>,
        name: &str,
        changes: &mut Vec<MemberChange>,
    ) -> bool {
        let Some(item) = self.identities.find(Kind::Endpoint, namespace, name) else { return true };
        let Some(before) = self.standing(Some(item)) else { return false };
        self.identities.remove_endpoint(namespace, name);
        self.set_endpoint(item, None);
        self.is_clear(&before, &Standing::default()) && self.moved(&before, &Standing::default(), changes)
    }

    /// Lets networks join and leave a network set, and notes which sets change; `false` as in [`Resolver::update`].
    pub(super) fn change_members(&mut self, wanted: &Members, changes: &mut Vec<MemberChange>) -> bool {
        let found = self.identities.find(Kind::NetworkSet, wanted.namespace.as_deref(), &wanted.name);
        let Some(item) = found else { return true };
        let (leave, join) = self.identities.change_network_set(item, &wanted.leave, &wanted.join);
        let selected: Vec<_> = self.identities.selectors(item);
        for selector in selected {
            if let Some(set) = self.sets.find(&Formula::Selected(selector)) {
                let leave = self.not_otherwise_in(set, &leave, item);
                self.sets.change(set, &leave, &join, changes);
            }
        }
        self.keep_members(wanted);
        true
    }

    /// Whether a new endpoint's named ports and profiles are such that there are sets for them, if there are rules.
    fn knows_the_like_of(&self, endpoint: &Endpoint) -> bool {
        let is_known = |port: &ravelin_config::resources::NamedPort| {
            self.numbers(&port.name, port.protocol).is_some_and(|numbers| numbers.contains(&port.port))
        };
        self.sets.find(&Formula::Profiles(endpoint.profiles.clone())).is_some()
            && endpoint.ports.iter().all(is_known)
    }

    /// Where an endpoint stands: its addresses and the sets that it is in. `None` if that is not simple.
    fn standing(&self, item: Option<ItemId>) -> Option<Standing> {
        let Some(item) = item else { return Some(Standing::default()) };
        let Some(endpoint) = self.endpoint(item) else { return Some(Standing::default()) };
        let hosts = hosts(endpoint)?;
        let nets: Vec<_> = hosts.iter().copied().map(ravelin_config::types::IpNet::from).collect();
        let mut formulas = vec![Formula::Everyone, Formula::Profiles(endpoint.profiles.clone())];
        formulas.extend((endpoint.kind == EndpointKind::Host).then_some(Formula::Hosts));
        formulas.extend(
            endpoint.ports.iter().map(|port| Formula::Named(port.name.clone(), port.protocol, port.port)),
        );
        for selector in self.identities.selectors(item) {
            formulas.extend([Formula::Selected(selector), Formula::SelectedEndpoints(selector)]);
        }
        let mut sets: Vec<_> = formulas.iter().filter_map(|formula| self.sets.find(formula)).collect();
        sets.sort_unstable();
        sets.dedup();
        Some(Standing { addresses: AddressSet::of_nets(&nets), hosts, sets })
    }

    /// Whether the addresses that an endpoint gave up belong to nobody now.
    fn is_clear(&self, before: &Standing, after: &Standing) -> bool {
        let given_up = before.hosts.iter().filter(|address| !after.hosts.contains(address));
        given_up.into_iter().all(|address| self.identities.endpoint_of(*address).is_none())
    }

    fn moved(&mut self, before: &Standing, after: &Standing, changes: &mut Vec<MemberChange>) -> bool {
        let nothing = AddressSet::empty();
        let mut all: Vec<_> = before.sets.iter().chain(&after.sets).copied().collect();
        all.sort_unstable();
        all.dedup();
        for set in all {
            let (was, is) = (before.sets.contains(&set), after.sets.contains(&set));
            let leave = if was { &before.addresses } else { &nothing };
            let join = if is { &after.addresses } else { &nothing };
            let leave = self.not_in_network_sets(set, &leave.difference(join));
            self.sets.change(set, &leave, join, changes);
        }
        true
    }

    /// The part of some single addresses that no network set brings into a set.
    fn not_in_network_sets(&self, set: SetId, addresses: &AddressSet) -> AddressSet {
        let Some(Formula::Selected(selector)) = self.sets.formula(set) else { return addresses.clone() };
        let is_in = |address: IpAddr| {
            let sets = self.identities.network_sets_of(address, None);
            sets.iter().any(|item| self.identities.selectors(*item).contains(selector))
        };
        let v4 = addresses.v4().iter().map(|(first, _)| IpAddr::V4((*first).into()));
        let v6 = addresses.v6().iter().map(|(first, _)| IpAddr::V6((*first).into()));
        let stay: Vec<_> = v4.chain(v6).filter(|address| is_in(*address)).map(Into::into).collect();
        if stay.is_empty() { addresses.clone() } else { addresses.difference(&AddressSet::of_nets(&stay)) }
    }

    /// The part of some addresses that nothing but a network set brings into a set.
    fn not_otherwise_in(&self, set: SetId, addresses: &AddressSet, item: ItemId) -> AddressSet {
        let Some(Formula::Selected(selector)) = self.sets.formula(set) else { return addresses.clone() };
        if addresses.is_empty() {
            return AddressSet::empty();
        }
        let others = self.identities.members(*selector).into_iter().filter(|other| *other != item);
        let others: Vec<_> = others.collect();
        let mut left = addresses.clone();
        for other in others {
            let inside = self.identities.within(other, &left);
            left = left.difference(&inside);
        }
        left
    }
}

/// An endpoint's place among the sets.
#[derive(Debug, Default)]
struct Standing {
    hosts: Vec<IpAddr>,
    addresses: AddressSet,
    /// In order.
    sets: Vec<SetId>,
}

/// The addresses of an endpoint that has single ones only.
fn hosts(endpoint: &Endpoint) -> Option<Vec<IpAddr>> {
    let single =
        |net: &ravelin_config::types::IpNet| (net.prefix_len() == net.max_prefix_len()).then(|| net.addr());
    endpoint.addresses.iter().map(single).collect()
}
