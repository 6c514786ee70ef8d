//! Selectors that stay, and what a change of labels does to their members.

use std::collections::HashMap;

use ravelin_config::{
    resources::{Endpoint, Labels, Namespace, Profile},
    selector::Selector,
};

use super::{
    Identities, Item, ItemId, Kind,
    condition::{Condition, Key},
    groups::{GroupId, effective},
    heritage::Origin,
    namespace_labels,
};

/// A selector that was registered. They are numbered from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SelectorId(u32);

impl SelectorId {
    /// Its number.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a change did to one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The item.
    pub item: ItemId,
    /// The registered selectors that match it now and did not before, in order.
    pub joined: Vec<SelectorId>,
    /// Those that matched it before and do not now, in order.
    pub left: Vec<SelectorId>,
}

impl Change {
    /// Whether no selector's members have changed.
    pub const fn is_nothing(&self) -> bool {
        self.joined.is_empty() && self.left.is_empty()
    }

    fn between(item: ItemId, before: &[SelectorId], after: &[SelectorId]) -> Self {
        let without = |some: &[SelectorId], others: &[SelectorId]| {
            some.iter().filter(|id| others.binary_search(id).is_err()).copied().collect()
        };
        Self { item, joined: without(after, before), left: without(before, after) }
    }
}

/// The registered selectors, and which of them can match something that has a label.
#[derive(Debug, Default)]
pub(super) struct Registered {
    conditions: Vec<Condition>,
    ids: HashMap<Selector, SelectorId>,
    by_key: HashMap<Key, Vec<SelectorId>>,
    /// Those that can match whatever labels there are.
    unindexed: Vec<SelectorId>,
}

impl Registered {
    fn insert(&mut self, condition: Condition) -> SelectorId {
        let id = SelectorId(self.conditions.len() as u32);
        match condition.keys(&|key| self.by_key.get(&key).map_or(0, Vec::len)) {
            Some(keys) => keys.into_iter().for_each(|key| self.by_key.entry(key).or_default().push(id)),
            None => self.unindexed.push(id),
        }
        self.conditions.push(condition);
        id
    }
}

impl Identities {
    /// Watches a selector from now on. A selector that is known already keeps its number.
    pub fn register(&mut self, selector: &Selector) -> SelectorId {
        if let Some(id) = self.registered.ids.get(selector) {
            return *id;
        }
        let condition = Condition::new(selector.expression(), &mut |text| Some(self.words.intern(text)));
        let groups: Vec<_> = self.matching_groups(&condition).collect();
        let id = self.registered.insert(condition);
        self.registered.ids.insert(selector.clone(), id);
        for group in groups {
            let selectors = &mut self.groups.get_mut(group).selectors;
            // The new number is the highest.
            *selectors = selectors.iter().copied().chain([id]).collect();
        }
        id
    }

    /// The registered selectors that match an item, in order.
    pub fn selectors(&self, item: ItemId) -> &[SelectorId] {
        &self.groups.get(self.item(item).group).selectors
    }

    /// Takes an endpoint over: a new one, or another state of the one with this namespace and name.
    pub fn update_endpoint(&mut self, endpoint: &Endpoint) -> Change {
        let known = self.find(Kind::Endpoint, endpoint.namespace.as_deref(), &endpoint.name);
        let item =
            known.or_else(|| self.vacant.pop()).unwrap_or_else(|| ItemId::endpoint(self.endpoints.len()));
        self.update_endpoint_at(item, endpoint)
    }

    pub(super) fn update_endpoint_at(&mut self, item: ItemId, endpoint: &Endpoint) -> Change {
        let origin = self.origin(endpoint);
        let namespace = origin.namespace;
        let name = self.words.intern(&endpoint.name);
        let heritage = self.heritages.of(&mut self.words, origin);
        let own = self.heritages.get(heritage).own(&mut self.words, &endpoint.labels);
        let group = self.group(own, heritage);
        let addresses = endpoint.addresses.as_slice().into();
        if item.index() == self.endpoints.len() {
            self.endpoints.push(None);
        }
        let old = self.endpoints[item.index()].replace(Item { group, namespace, name, addresses });
        if let Some(old) = &old {
            self.prefixes.remove(item, &old.addresses);
        }
        self.prefixes.insert(item, &endpoint.addresses);
        self.by_name.insert((Kind::Endpoint, namespace, name), item);
        self.moved(item, old.map(|old| old.group), Some(group))
    }

    /// Forgets an endpoint. `None` if there is none of that name.
    pub fn remove_endpoint(&mut self, namespace: Option<&str>, name: &str) -> Option<Change> {
        let item = self.find(Kind::Endpoint, namespace, name)?;
        let old = self.endpoints[item.index()].take()?;
        self.prefixes.remove(item, &old.addresses);
        self.by_name.remove(&(Kind::Endpoint, old.namespace, old.name));
        self.vacant.push(item);
        Some(self.moved(item, Some(old.group), None))
    }

    /// Replaces an item's own labels.
    pub fn update_labels(&mut self, item: ItemId, labels: &Labels) -> Change {
        let old = self.item(item).group;
        let Some(heritage) = self.groups.get(old).heritage else {
            return Change::between(item, &[], &[]);
        };
        let own = self.heritages.get(heritage).own(&mut self.words, labels);
        let group = self.group(own, heritage);
        match item.kind() {
            Kind::Endpoint => {
                if let Some(endpoint) = &mut self.endpoints[item.index()] {
                    endpoint.group = group;
                }
            }
            Kind::NetworkSet => self.network_sets[item.index()].group = group,
        }
        self.moved(item, Some(old), Some(group))
    }

    /// Takes a namespace's labels over, a new namespace's as well, and returns the changes of all that inherit them.
    pub fn update_namespace(&mut self, namespace: &Namespace) -> Vec<Change> {
        let labels = namespace_labels(&namespace.name, &namespace.labels);
        match self.namespaces.iter_mut().find(|(name, _)| *name == namespace.name) {
            Some((_, old)) => *old = labels,
            None => self.namespaces.push((namespace.name.clone(), labels)),
        }
        let name = self.heritages.set_namespace(&mut self.words, &namespace.name, &namespace.labels);
        self.inherit(|origin| origin.namespace == Some(name))
    }

    /// Takes the labels over that a profile applies, and returns the changes of all that inherit them.
    pub fn update_profile(&mut self, profile: &Profile) -> Vec<Change> {
        let name = self.heritages.set_profile(&mut self.words, &profile.name, &profile.labels_to_apply);
        self.inherit(|origin| origin.profiles.contains(&name))
    }

    /// Gives the items of some origins what they inherit now.
    fn inherit(&mut self, affected: impl Fn(&Origin) -> bool) -> Vec<Change> {
        let mut changes = Vec::new();
        for (heritage, old) in self.heritages.renew(&mut self.words, affected) {
            let ids: Vec<_> =
                self.groups.ids().filter(|id| self.groups.get(*id).heritage == Some(heritage)).collect();
            for group in ids {
                self.groups.reindex(group, &old, &self.heritages.get(heritage).labels);
                let before = self.groups.get(group).selectors.clone();
                self.select(group);
                let after = &self.groups.get(group).selectors;
                if before != *after {
                    changes
                        .extend(self.groups.members(group).map(|item| Change::between(item, &before, after)));
                }
            }
        }
        changes.sort_unstable_by_key(|change| change.item);
        changes
    }

    /// Notes that `item` has come from one group to another, and says what that changes.
    fn moved(&mut self, item: ItemId, from: Option<GroupId>, to: Option<GroupId>) -> Change {
        let selectors = |group: Option<GroupId>| group.map_or(&[][..], |id| &self.groups.get(id).selectors);
        let change = Change::between(item, selectors(from), selectors(to));
        if from != to {
            if let Some(to) = to {
                self.groups.join(to, item);
            }
            if let Some(from) = from {
                let heritage = self.groups.get(from).heritage;
                let inherited = heritage.map_or(&[][..], |heritage| &self.heritages.get(heritage).labels);
                self.groups.leave(from, item, inherited);
            }
        }
        change
    }

    /// Finds the registered selectors that match a group.
    pub(super) fn select(&mut self, group: GroupId) {
        let (own, inherited) = self.pairs(group);
        let registered = &self.registered;
        let keys = effective(own, inherited).flat_map(|pair| [Key::Label(pair.label), Key::Pair(pair)]);
        let candidates = keys.filter_map(|key| registered.by_key.get(&key)).chain([&registered.unindexed]);
        let mut selectors: Vec<_> = candidates.flatten().copied().collect();
        selectors.sort_unstable();
        selectors.dedup();
        selectors.retain(|id| self.holds(&registered.conditions[id.index()], group));
        self.groups.get_mut(group).selectors = selectors.into();
    }
}
