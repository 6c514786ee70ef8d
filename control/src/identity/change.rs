//! Selectors that stay, and what a change of labels does to their members.

use std::collections::HashMap;

use ahash::RandomState;
use ravelin_config::{
    resources::{Endpoint, Labels, Namespace, Profile},
    selector::Selector,
};

use super::{
    Identities,
    condition::{Condition, Key},
    heritage::{HeritageId, Origin},
    items::{Addresses, ItemId, Kind},
    namespace_labels,
    words::{Pair, Word, Words, value_of},
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
}

/// The labels of an item: its own, and those that it inherits where it has none of its own.
#[derive(Clone, Copy)]
pub(super) struct View<'v> {
    pub(super) own: &'v [Pair],
    pub(super) inherited: &'v [Pair],
}

impl View<'_> {
    /// The value of a label.
    pub(super) fn value(self, label: Word) -> Option<Word> {
        value_of(self.own, label).or_else(|| value_of(self.inherited, label))
    }

    /// All labels.
    pub(super) fn pairs(self) -> impl Iterator<Item = Pair> {
        let uncovered = self.inherited.iter().filter(move |pair| value_of(self.own, pair.label).is_none());
        self.own.iter().chain(uncovered).copied()
    }
}

/// The registered selectors, and which of them can match something that has a label.
#[derive(Debug, Default)]
pub(super) struct Registered {
    all: Vec<Watched>,
    ids: HashMap<Selector, SelectorId>,
    by_key: HashMap<Key, Vec<SelectorId>, RandomState>,
    /// Those that can match whatever labels there are.
    unindexed: Vec<SelectorId>,
}

#[derive(Debug)]
struct Watched {
    condition: Condition,
    /// The labels that it depends on.
    labels: Box<[Word]>,
}

impl Registered {
    fn insert(&mut self, selector: &Selector, words: &mut Words) -> SelectorId {
        if let Some(id) = self.ids.get(selector) {
            return *id;
        }
        let id = SelectorId(self.all.len() as u32);
        let condition = Condition::new(selector.expression(), &mut |text| Some(words.intern(text)));
        match condition.keys(&|key| self.by_key.get(&key).map_or(0, Vec::len)) {
            Some(keys) => keys.into_iter().for_each(|key| self.by_key.entry(key).or_default().push(id)),
            None => self.unindexed.push(id),
        }
        let labels = condition.labels();
        self.all.push(Watched { condition, labels: labels.into() });
        self.ids.insert(selector.clone(), id);
        id
    }

    /// The selectors that can match something with these labels; some stand there twice.
    fn candidates(&self, view: View<'_>) -> impl Iterator<Item = SelectorId> {
        let keys = view.pairs().flat_map(|pair| [Key::Label(pair.label), Key::Pair(pair)]);
        let indexed = keys.filter_map(|key| self.by_key.get(&key));
        indexed.chain([&self.unindexed]).flatten().copied()
    }

    /// The selectors that match only one of two sets of labels: those that match the new ones, and those that match the old ones.
    fn difference(&self, words: &Words, old: Option<View<'_>>, new: Option<View<'_>>) -> Difference {
        let changed: Option<Vec<Word>> = old.zip(new).map(|(old, new)| {
            let gone = old.pairs().filter(|pair| new.value(pair.label) != Some(pair.value));
            let came = new.pairs().filter(|pair| old.value(pair.label) != Some(pair.value));
            gone.chain(came).map(|pair| pair.label).collect()
        });
        let depends = |id: &SelectorId| {
            let labels = &self.all[id.index()].labels;
            changed.as_ref().is_none_or(|changed| labels.iter().any(|label| changed.contains(label)))
        };
        let holds = |view: Option<View<'_>>, id: &SelectorId| {
            view.is_some_and(|view| self.all[id.index()].condition.holds(words, &|label| view.value(label)))
        };
        let only = |some: Option<View<'_>>, other: Option<View<'_>>| {
            let candidates = some.into_iter().flat_map(|view| self.candidates(view));
            let mut ids: Vec<_> =
                candidates.filter(|id| depends(id) && holds(some, id) && !holds(other, id)).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        Difference { joined: only(new, old), left: only(old, new) }
    }
}

/// A [`Change`] of whatever has these labels.
struct Difference {
    joined: Vec<SelectorId>,
    left: Vec<SelectorId>,
}

impl Difference {
    fn of(self, item: ItemId) -> Change {
        Change { item, joined: self.joined, left: self.left }
    }
}

impl Identities {
    /// Watches a selector from now on. A selector that is known already keeps its number.
    pub fn register(&mut self, selector: &Selector) -> SelectorId {
        self.registered.insert(selector, &mut self.words)
    }

    /// The items that a registered selector matches, in order.
    pub(super) fn matching_registered(&self, selector: SelectorId) -> Vec<ItemId> {
        let watched = self.registered.all.get(selector.index());
        watched.map(|watched| self.matching_condition(&watched.condition)).unwrap_or_default()
    }

    /// The registered selectors that match an item, in order.
    pub fn selectors(&self, item: ItemId) -> Vec<SelectorId> {
        self.difference(None, Some(self.view(self.items.get(item).group))).joined
    }

    /// Takes an endpoint over: a new one, or another state of the one with this namespace and name.
    pub fn update_endpoint(&mut self, endpoint: &Endpoint) -> Change {
        let known = self.find(Kind::Endpoint, endpoint.namespace.as_deref(), &endpoint.name);
        let Some(item) = known else {
            let item = self.add_endpoint(endpoint);
            return self.difference(None, Some(self.view(self.items.get(item).group))).of(item);
        };
        let origin = self.origin(endpoint);
        let heritage = self.heritages.of(&mut self.words, origin);
        let change = self.relabel(item, &endpoint.labels, heritage);
        let old =
            std::mem::replace(&mut self.items.get_mut(item).addresses, Addresses::new(&endpoint.addresses));
        self.prefixes.remove(item, old.nets());
        self.prefixes.insert(item, &endpoint.addresses);
        change
    }

    /// Forgets an endpoint. `None` if there is none of that name.
    pub fn remove_endpoint(&mut self, namespace: Option<&str>, name: &str) -> Option<Change> {
        let item = self.find(Kind::Endpoint, namespace, name)?;
        let old = self.items.remove(item)?;
        let difference = self.difference(Some(self.view(old.group)), None);
        self.prefixes.remove(item, old.addresses.nets());
        self.groups.take(item, old.group);
        Some(difference.of(item))
    }

    /// Replaces an item's own labels.
    pub fn update_labels(&mut self, item: ItemId, labels: &Labels) -> Change {
        let heritage = self.groups.get(self.items.get(item).group).heritage;
        self.relabel(item, labels, heritage)
    }

    fn relabel(&mut self, item: ItemId, labels: &Labels, heritage: HeritageId) -> Change {
        let from = self.items.get(item).group;
        let own = self.heritages.get(heritage).own(&mut self.words, labels);
        let new = View { own: &own, inherited: &self.heritages.get(heritage).labels };
        let difference = self.difference(Some(self.view(from)), Some(new));
        self.items.get_mut(item).group = self.groups.put(item, Some(from), &own, heritage);
        difference.of(item)
    }

    fn difference(&self, old: Option<View<'_>>, new: Option<View<'_>>) -> Difference {
        self.registered.difference(&self.words, old, new)
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
        for (heritage, inherited) in self.heritages.renew(&mut self.words, affected) {
            for group in self.groups.heirs(heritage) {
                let new = self.view(group);
                let old = View { inherited: &inherited, ..new };
                let Difference { joined, left } = self.difference(Some(old), Some(new));
                if !(joined.is_empty() && left.is_empty()) {
                    let change = |item| Change { item, joined: joined.clone(), left: left.clone() };
                    changes.extend(self.groups.members(group).map(change));
                }
            }
        }
        changes.sort_unstable_by_key(|change| change.item);
        changes
    }
}
