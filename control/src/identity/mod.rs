//! Who is there: endpoints and network sets with their labels and addresses, and which of them a selector matches.
//!
//! ```text
//! Resources -> Identities -> matching(selector) -> items -> addresses
//!                  ^-- update_endpoint, update_labels, update_namespace, remove_endpoint -> which registered selectors changed
//! ```
//!
//! An item's labels are its own; those that say what it is (`projectcalico.org/namespace` and `…/serviceaccount` of endpoints,
//! `…/namespace`, `…/name` and `…/kind` of network sets), which it cannot have its own of; and those that it inherits, which its own
//! cover: `pcns.…` of its namespace, then those of its profiles, of which the first wins.
//!
//! Items with the same labels, as the replicas of a deployment are, form a group, and everything about labels is kept and decided once
//! for each group: an inverted index says which groups have a label or a label's value, and each group knows the registered
//! selectors that match it. What an update changes is then the difference between two groups. Texts are numbers ([`words`]).
//!
//! Promises: what comes out is what evaluating every selector on every item would give. Refuses: to be asked for a packet; answers are
//! compiled into sets of addresses. Read next: `groups.rs`, `condition.rs`.

mod addresses;
mod change;
mod condition;
mod groups;
mod heritage;
mod members;
#[cfg(test)]
mod tests;
mod words;

pub use change::{Change, SelectorId};

use std::{collections::HashMap, net::IpAddr};

use ravelin_config::{
    resources::{Endpoint, Labels, Resources},
    selector::Expression,
    types::IpNet,
};
use ravelin_dataplane::policy::AddressSet;

use addresses::{Networks, Prefixes};
use change::Registered;
use condition::Condition;
use groups::{GroupId, Groups, effective};
use heritage::{HeritageId, Heritages, Origin};
use words::{Pair, Word, Words, value_of};

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
    const MIN: Self = Self(0);
    const MAX: Self = Self(u32::MAX);
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
struct Item {
    group: GroupId,
    namespace: Option<Word>,
    name: Word,
    /// Of endpoints.
    addresses: Box<[IpNet]>,
}

/// The endpoints and network sets that there are.
#[derive(Debug)]
pub struct Identities {
    words: Words,
    heritages: Heritages,
    groups: Groups,
    /// `None` where an endpoint was removed.
    endpoints: Vec<Option<Item>>,
    vacant: Vec<ItemId>,
    network_sets: Vec<Item>,
    by_name: HashMap<(Kind, Option<Word>, Word), ItemId>,
    prefixes: Prefixes,
    networks: Networks,
    namespaces: Vec<(String, Labels)>,
    registered: Registered,
}

impl Identities {
    /// All of `resources`. Of items of one kind, namespace and name the last is found by its name.
    pub fn new(resources: &Resources) -> Self {
        let mut words = Words::default();
        let heritages = Heritages::new(resources, &mut words);
        let mut identities = Self {
            words,
            heritages,
            groups: Groups::default(),
            endpoints: Vec::with_capacity(resources.endpoints.len()),
            vacant: Vec::new(),
            network_sets: Vec::with_capacity(resources.network_sets.len()),
            by_name: HashMap::new(),
            prefixes: Prefixes::default(),
            networks: Networks::new(&resources.network_sets),
            namespaces: Vec::new(),
            registered: Registered::default(),
        };
        for namespace in &resources.namespaces {
            identities
                .namespaces
                .push((namespace.name.clone(), namespace_labels(&namespace.name, &namespace.labels)));
        }
        for endpoint in &resources.endpoints {
            identities.update_endpoint_at(ItemId::endpoint(identities.endpoints.len()), endpoint);
        }
        for set in &resources.network_sets {
            let id = ItemId::network_set(identities.network_sets.len());
            let origin = Origin {
                namespace: set.namespace.as_deref().map(|namespace| identities.words.intern(namespace)),
                network_set: Some(identities.words.intern(&set.name)),
                ..Origin::default()
            };
            let (namespace, name) = (origin.namespace, identities.words.intern(&set.name));
            let heritage = identities.heritages.of(&mut identities.words, origin);
            let own = identities.heritages.get(heritage).own(&mut identities.words, &set.labels);
            let group = identities.group(own, heritage);
            identities.groups.join(group, id);
            identities.by_name.insert((Kind::NetworkSet, namespace, name), id);
            identities.network_sets.push(Item { group, namespace, name, addresses: Box::default() });
        }
        identities
    }

    /// All items, in order.
    pub fn items(&self) -> impl Iterator<Item = ItemId> {
        let endpoints = self.endpoints.iter().enumerate().filter(|(_, item)| item.is_some());
        let sets = (0..self.network_sets.len()).map(ItemId::network_set);
        endpoints.map(|(at, _)| ItemId::endpoint(at)).chain(sets)
    }

    /// The item of that name.
    pub fn find(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<ItemId> {
        let namespace = match namespace {
            Some(namespace) => Some(self.words.find(namespace)?),
            None => None,
        };
        self.by_name.get(&(kind, namespace, self.words.find(name)?)).copied()
    }

    /// The name of an item.
    pub fn name(&self, item: ItemId) -> &str {
        self.words.text(self.item(item).name)
    }

    /// The namespace of an item.
    pub fn namespace(&self, item: ItemId) -> Option<&str> {
        self.item(item).namespace.map(|namespace| self.words.text(namespace))
    }

    /// All labels of an item, inherited ones as well.
    pub fn labels(&self, item: ItemId) -> Labels {
        let group = self.item(item).group;
        let (own, inherited) = self.pairs(group);
        let text = |word| self.words.text(word);
        effective(own, inherited).map(|pair| (text(pair.label), text(pair.value))).collect()
    }

    /// The items that an expression matches, in order.
    pub fn matching(&self, expression: &Expression) -> Vec<ItemId> {
        let condition = Condition::new(expression, &mut |text| self.words.find(text));
        let groups = self.matching_groups(&condition);
        let mut items: Vec<_> = groups.flat_map(|group| self.groups.members(group)).collect();
        items.sort_unstable();
        items
    }

    /// Whether an expression matches an item.
    pub fn matches(&self, item: ItemId, expression: &Expression) -> bool {
        let condition = Condition::new(expression, &mut |text| self.words.find(text));
        self.holds(&condition, self.item(item).group)
    }

    /// The namespaces that an expression matches, by their places in the resources. Beside its own labels a namespace has
    /// `projectcalico.org/name`.
    pub fn matching_namespaces(&self, expression: &Expression) -> Vec<usize> {
        let matching =
            self.namespaces.iter().enumerate().filter(|(_, (_, labels))| expression.matches(labels));
        matching.map(|(at, _)| at).collect()
    }

    /// The addresses of an item. For an endpoint: its prefixes without those of other endpoints that lie inside; for a network set: its
    /// networks without the exceptions.
    pub fn addresses(&self, item: ItemId) -> AddressSet {
        match item.kind() {
            Kind::Endpoint => self.prefixes.addresses(item, &self.item(item).addresses),
            Kind::NetworkSet => self.networks.addresses(item.0 & !ItemId::NETWORK_SET).clone(),
        }
    }

    /// The addresses of several items together.
    pub fn addresses_of(&self, items: &[ItemId]) -> AddressSet {
        let sets: Vec<_> = items.iter().map(|item| self.addresses(*item)).collect();
        AddressSet::union_of(&sets)
    }

    /// The endpoint whose address this is: the one with the longest prefix that covers it.
    pub fn endpoint_of(&self, address: IpAddr) -> Option<ItemId> {
        self.prefixes.owner(address)
    }

    /// The network sets that an address is in, in the order in which they name it as seen from `namespace`: those of that namespace,
    /// then global ones, then those of other namespaces; among these the one with the longest prefix, then by name.
    pub fn network_sets_of(&self, address: IpAddr, namespace: Option<&str>) -> Vec<ItemId> {
        let mut sets: Vec<_> = self.networks.of(address);
        sets.sort_by_cached_key(|(set, length)| {
            let item = ItemId::network_set(*set as usize);
            let home = self.namespace(item);
            let distance = match home {
                None => 1,
                Some(_) if home == namespace => 0,
                Some(_) => 2,
            };
            (distance, std::cmp::Reverse(*length), self.name(item), home)
        });
        sets.into_iter().map(|(set, _)| ItemId::network_set(set as usize)).collect()
    }

    fn item(&self, item: ItemId) -> &Item {
        match item.kind() {
            Kind::Endpoint => {
                self.endpoints[item.index()].as_ref().expect("the endpoint has not been removed")
            }
            Kind::NetworkSet => &self.network_sets[item.index()],
        }
    }

    /// The own and the inherited labels of a group's items.
    fn pairs(&self, group: GroupId) -> (&[Pair], &[Pair]) {
        let group = self.groups.get(group);
        let inherited = group.heritage.map_or(&[][..], |heritage| &self.heritages.get(heritage).labels);
        (&group.own, inherited)
    }

    fn holds(&self, condition: &Condition, group: GroupId) -> bool {
        let (own, inherited) = self.pairs(group);
        condition.holds(&self.words, &|label| value_of(own, label).or_else(|| value_of(inherited, label)))
    }

    fn matching_groups(&self, condition: &Condition) -> impl Iterator<Item = GroupId> {
        self.groups.candidates(condition).into_iter().filter(|group| self.holds(condition, *group))
    }

    /// The group of items with these labels, which is made if there is none.
    fn group(&mut self, own: Vec<Pair>, heritage: HeritageId) -> GroupId {
        if let Some(group) = self.groups.find(&own, heritage) {
            return group;
        }
        let group = self.groups.insert(own, heritage, &self.heritages.get(heritage).labels);
        self.select(group);
        group
    }

    fn origin(&mut self, endpoint: &Endpoint) -> Origin {
        let mut word = |text: &String| self.words.intern(text);
        Origin {
            namespace: endpoint.namespace.as_ref().map(&mut word),
            service_account: endpoint.service_account.as_ref().map(&mut word),
            network_set: None,
            profiles: endpoint.profiles.iter().map(word).collect(),
        }
    }
}

/// What a namespace selector sees.
fn namespace_labels(name: &str, labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    labels.insert("projectcalico.org/name", name);
    labels
}
