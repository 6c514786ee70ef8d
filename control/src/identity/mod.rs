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
//! Items with the same labels, as the replicas of a deployment are, form a group, and what concerns labels is kept and decided once
//! for each group. Two inverted indices say which groups have a label or a label's value of their own, and from which origins it is
//! inherited. What an update changes is found among the registered selectors that mention a label that changed and that can match
//! the labels before or after. Texts are numbers (`words.rs`), which are never forgotten.
//!
//! Promises: what comes out is what evaluating every selector on every item would give. Refuses: to be asked for a packet; answers are
//! compiled into sets of addresses. Read next: `groups.rs`, `change.rs`.

mod addresses;
mod change;
mod condition;
mod groups;
mod heritage;
mod items;
mod members;
#[cfg(test)]
mod tests;
mod words;

pub use change::{Change, SelectorId};
pub use items::{ItemId, Kind};

use std::net::IpAddr;

use ravelin_config::{
    resources::{Endpoint, Labels, NetworkSet, Resources},
    selector::Expression,
};
use ravelin_dataplane::policy::AddressSet;

use addresses::{Networks, Prefixes};
use change::{Registered, View};
use condition::{Condition, Key};
use groups::{GroupId, Groups};
use heritage::{Heritages, Origin};
use items::{Addresses, Item, Items};
use words::{Pair, Words};

/// The endpoints and network sets that there are.
#[derive(Debug)]
pub struct Identities {
    words: Words,
    heritages: Heritages,
    groups: Groups,
    items: Items,
    prefixes: Prefixes,
    networks: Networks,
    /// Names and what namespace selectors see.
    namespaces: Vec<(String, Labels)>,
    registered: Registered,
}

impl Identities {
    /// All of `resources`. No two items of a kind and a namespace have the same name.
    pub fn new(resources: &Resources) -> Self {
        let mut words = Words::default();
        let heritages = Heritages::new(resources, &mut words);
        let namespaces = resources.namespaces.iter();
        let mut identities = Self {
            words,
            heritages,
            groups: Groups::default(),
            items: Items::default(),
            prefixes: Prefixes::default(),
            networks: Networks::new(resources),
            namespaces: namespaces.map(|n| (n.name.clone(), namespace_labels(&n.name, &n.labels))).collect(),
            registered: Registered::default(),
        };
        for endpoint in &resources.endpoints {
            identities.add_endpoint(endpoint);
        }
        for set in &resources.network_sets {
            identities.add_network_set(set);
        }
        identities.groups.pack();
        identities.items.pack();
        identities.prefixes.pack();
        identities
    }

    fn add_endpoint(&mut self, endpoint: &Endpoint) -> ItemId {
        let origin = self.origin(endpoint);
        let addresses = Addresses::new(&endpoint.addresses);
        let id = self.add(Kind::Endpoint, origin, &endpoint.name, &endpoint.labels, addresses);
        self.prefixes.insert(id, &endpoint.addresses);
        id
    }

    fn add_network_set(&mut self, set: &NetworkSet) {
        let origin = Origin {
            namespace: set.namespace.as_deref().map(|namespace| self.words.intern(namespace)),
            network_set: Some(self.words.intern(&set.name)),
            ..Origin::default()
        };
        self.add(Kind::NetworkSet, origin, &set.name, &set.labels, Addresses::new(&[]));
    }

    fn add(
        &mut self,
        kind: Kind,
        origin: Origin,
        name: &str,
        labels: &Labels,
        addresses: Addresses,
    ) -> ItemId {
        let (namespace, name) = (origin.namespace, self.words.intern(name));
        let heritage = self.heritages.of(&mut self.words, origin);
        let own = self.heritages.get(heritage).own(&mut self.words, labels);
        let group = self.groups.put(self.items.next(kind), None, &own, heritage);
        self.items.push(kind, Item { group, namespace, name, addresses })
    }

    /// All items, in order.
    pub fn items(&self) -> impl Iterator<Item = ItemId> {
        self.items.ids()
    }

    /// The item of that name.
    pub fn find(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<ItemId> {
        let namespace = match namespace {
            Some(namespace) => Some(self.words.find(namespace)?),
            None => None,
        };
        self.items.find(kind, namespace, self.words.find(name)?)
    }

    /// The name of an item.
    pub fn name(&self, item: ItemId) -> &str {
        self.words.text(self.items.get(item).name)
    }

    /// The namespace of an item.
    pub fn namespace(&self, item: ItemId) -> Option<&str> {
        self.items.get(item).namespace.map(|namespace| self.words.text(namespace))
    }

    /// All labels of an item, inherited ones as well.
    pub fn labels(&self, item: ItemId) -> Labels {
        let text = |word| self.words.text(word);
        let pairs = self.view(self.items.get(item).group).pairs();
        pairs.map(|pair| (text(pair.label), text(pair.value))).collect()
    }

    /// The items that an expression matches, in order.
    pub fn matching(&self, expression: &Expression) -> Vec<ItemId> {
        self.matching_condition(&Condition::new(expression, &mut |text| self.words.find(text)))
    }

    fn matching_condition(&self, condition: &Condition) -> Vec<ItemId> {
        let mut groups = self.candidates(condition);
        groups.retain(|group| self.holds(condition, *group));
        if groups.len() < self.groups.end() / 8 {
            let mut items: Vec<_> = groups.iter().flat_map(|group| self.groups.members(*group)).collect();
            items.sort_unstable();
            return items;
        }
        // To look at every item takes less time than to sort so many.
        let mut matching = vec![false; self.groups.end()];
        for group in groups {
            matching[group.index()] = true;
        }
        self.items.ids().filter(|item| matching[self.items.get(*item).group.index()]).collect()
    }

    /// Whether an expression matches an item.
    pub fn matches(&self, item: ItemId, expression: &Expression) -> bool {
        let condition = Condition::new(expression, &mut |text| self.words.find(text));
        self.holds(&condition, self.items.get(item).group)
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
        self.addresses_of(&[item])
    }

    /// The addresses of several items together.
    pub fn addresses_of(&self, items: &[ItemId]) -> AddressSet {
        let (mut whole, mut carved, mut sets) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match item.kind() {
                Kind::Endpoint => {
                    self.prefixes.collect(
                        *item,
                        self.items.get(*item).addresses.nets(),
                        &mut whole,
                        &mut carved,
                    );
                }
                Kind::NetworkSet => sets.push(self.networks.addresses(item.index())),
            }
        }
        carved.push(AddressSet::of_nets(&whole));
        AddressSet::union_of(carved.iter().chain(sets))
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

    /// The labels of a group's items.
    fn view(&self, group: GroupId) -> View<'_> {
        let group = self.groups.get(group);
        View { own: &group.own, inherited: &self.heritages.get(group.heritage).labels }
    }

    fn holds(&self, condition: &Condition, group: GroupId) -> bool {
        let view = self.view(group);
        condition.holds(&self.words, &|label| view.value(label))
    }

    /// All groups for which a condition can hold, as far as the indices know.
    fn candidates(&self, condition: &Condition) -> Vec<GroupId> {
        /// Beyond this many it does not matter any more which key has more.
        const MANY: usize = 4096;
        let Some(keys) = condition.keys(&|key| self.having(key).take(MANY).count()) else {
            return self.groups.ids().collect();
        };
        let mut groups: Vec<_> = keys.into_iter().flat_map(|key| self.having(key)).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// The groups that have a key, and some that would inherit it if they had no other.
    fn having(&self, key: Key) -> impl Iterator<Item = GroupId> {
        let (first, last) = match key {
            Key::Label(label) => Pair::all(label),
            Key::Pair(pair) => (pair, pair),
        };
        let heirs = self.heritages.having(first, last).flat_map(|heritage| self.groups.heirs(heritage));
        self.groups.having(first, last).chain(heirs)
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
