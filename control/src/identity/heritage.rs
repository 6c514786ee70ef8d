use std::collections::{BTreeMap, BTreeSet, HashMap};

use ravelin_config::{
    resources::{Labels, Resources},
    selector::NAMESPACE_LABEL,
};

use super::words::{Pair, Word, Words, value_of};

/// Where an item's labels come from, beside its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) namespace: Option<Word>,
    pub(super) service_account: Option<Word>,
    /// The name of a network set.
    pub(super) network_set: Option<Word>,
    pub(super) profiles: Box<[Word]>,
}

/// Which of [`Heritages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct HeritageId(u32);

/// The labels that all items of one origin have.
#[derive(Debug)]
pub(super) struct Heritage {
    origin: Origin,
    /// Labels that say what the item is: it cannot have its own. Sorted.
    automatic: Box<[Pair]>,
    /// These and the inherited ones, which an item's own labels cover. Sorted.
    pub(super) labels: Box<[Pair]>,
}

/// Labels that come from elsewhere, once for each origin.
#[derive(Debug, Default)]
pub(super) struct Heritages {
    namespaces: HashMap<Word, Vec<Pair>>,
    profiles: HashMap<Word, Vec<Pair>>,
    all: Vec<Heritage>,
    ids: HashMap<Origin, HeritageId>,
    index: BTreeSet<(Pair, HeritageId)>,
}

impl Heritages {
    pub(super) fn new(resources: &Resources, words: &mut Words) -> Self {
        let mut heritages = Self::default();
        for namespace in &resources.namespaces {
            heritages.set_namespace(words, &namespace.name, &namespace.labels);
        }
        for profile in &resources.profiles {
            heritages.set_profile(words, &profile.name, &profile.labels_to_apply);
        }
        heritages
    }

    /// Says which labels a namespace has. Returns its word.
    pub(super) fn set_namespace(&mut self, words: &mut Words, name: &str, labels: &Labels) -> Word {
        let pairs =
            labels.iter().map(|(label, value)| pair(words, &format!("pcns.{label}"), value)).collect();
        let name = words.intern(name);
        self.namespaces.insert(name, pairs);
        name
    }

    /// Says which labels a profile applies. Returns its word.
    pub(super) fn set_profile(&mut self, words: &mut Words, name: &str, labels: &Labels) -> Word {
        let pairs = labels.iter().map(|(label, value)| pair(words, label, value)).collect();
        let name = words.intern(name);
        self.profiles.insert(name, pairs);
        name
    }

    pub(super) fn get(&self, id: HeritageId) -> &Heritage {
        &self.all[id.0 as usize]
    }

    /// The heritages with one of these labels.
    pub(super) fn having(&self, first: Pair, last: Pair) -> impl Iterator<Item = HeritageId> {
        let (lowest, highest) = (HeritageId(0), HeritageId(u32::MAX));
        self.index.range((first, lowest)..=(last, highest)).map(|(_, heritage)| *heritage)
    }

    /// What items of this origin inherit.
    pub(super) fn of(&mut self, words: &mut Words, origin: Origin) -> HeritageId {
        if let Some(id) = self.ids.get(&origin) {
            return *id;
        }
        let id = HeritageId(self.all.len() as u32);
        let heritage = self.compose(words, origin.clone());
        self.index.extend(heritage.labels.iter().map(|pair| (*pair, id)));
        self.all.push(heritage);
        self.ids.insert(origin, id);
        id
    }

    /// Makes the heritages anew whose origin is `affected`, and returns them with the labels that they had.
    pub(super) fn renew(
        &mut self,
        words: &mut Words,
        affected: impl Fn(&Origin) -> bool,
    ) -> Vec<(HeritageId, Box<[Pair]>)> {
        let mut renewed = Vec::new();
        for at in 0..self.all.len() {
            if affected(&self.all[at].origin) {
                let heritage = self.compose(words, self.all[at].origin.clone());
                let id = HeritageId(at as u32);
                let old = std::mem::replace(&mut self.all[at], heritage);
                for pair in &old.labels {
                    self.index.remove(&(*pair, id));
                }
                self.index.extend(self.all[at].labels.iter().map(|pair| (*pair, id)));
                renewed.push((id, old.labels));
            }
        }
        renewed
    }

    fn compose(&self, words: &mut Words, origin: Origin) -> Heritage {
        let mut automatic = BTreeMap::new();
        let mut labels = BTreeMap::new();
        // What is inserted later covers what was inserted before.
        for profile in origin.profiles.iter().rev() {
            let pairs = self.profiles.get(profile).into_iter().flatten();
            labels.extend(pairs.map(|pair| (pair.label, pair.value)));
        }
        if let Some(namespace) = origin.namespace {
            let pairs = self.namespaces.get(&namespace).into_iter().flatten();
            labels.extend(pairs.map(|pair| (pair.label, pair.value)));
            labels.insert(words.intern("pcns.projectcalico.org/name"), namespace);
            automatic.insert(words.intern(NAMESPACE_LABEL), namespace);
        }
        if let Some(account) = origin.service_account {
            automatic.insert(words.intern("projectcalico.org/serviceaccount"), account);
        }
        if let Some(name) = origin.network_set {
            automatic.insert(words.intern("projectcalico.org/name"), name);
            automatic.insert(words.intern("projectcalico.org/kind"), words.intern("NetworkSet"));
        }
        labels.extend(&automatic);
        let list =
            |map: BTreeMap<Word, Word>| map.into_iter().map(|(label, value)| Pair { label, value }).collect();
        Heritage { origin, automatic: list(automatic), labels: list(labels) }
    }
}

impl Heritage {
    /// An item's own labels, sorted, without those that it cannot have.
    pub(super) fn own(&self, words: &mut Words, labels: &Labels) -> Vec<Pair> {
        let pairs = labels.iter().map(|(label, value)| pair(words, label, value));
        let mut own: Vec<Pair> =
            pairs.filter(|pair| value_of(&self.automatic, pair.label).is_none()).collect();
        own.sort_unstable();
        own
    }
}

fn pair(words: &mut Words, label: &str, value: &str) -> Pair {
    Pair { label: words.intern(label), value: words.intern(value) }
}
