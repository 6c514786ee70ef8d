use std::collections::BTreeSet;

use ahash::RandomState;
use hashbrown::HashTable;

use super::{
    ItemId, SelectorId,
    condition::{Condition, Key},
    heritage::HeritageId,
    words::{Pair, Word, value_of},
};

/// Which of [`Groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct GroupId(u32);

/// Items with the same labels: of one origin, and with the same labels of their own.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) own: Box<[Pair]>,
    pub(super) heritage: Option<HeritageId>,
    /// The registered selectors that match, sorted.
    pub(super) selectors: Box<[SelectorId]>,
}

/// The groups that there are, who is in them, and which have a label.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: Vec<Group>,
    free: Vec<GroupId>,
    table: HashTable<GroupId>,
    hasher: RandomState,
    members: BTreeSet<(GroupId, ItemId)>,
    /// Label, value, group.
    index: BTreeSet<(Word, Word, GroupId)>,
}

impl Groups {
    pub(super) fn get(&self, id: GroupId) -> &Group {
        &self.all[id.0 as usize]
    }

    pub(super) fn get_mut(&mut self, id: GroupId) -> &mut Group {
        &mut self.all[id.0 as usize]
    }

    /// All that have members.
    pub(super) fn ids(&self) -> impl Iterator<Item = GroupId> {
        let used = self.all.iter().enumerate().filter(|(_, group)| group.heritage.is_some());
        used.map(|(at, _)| GroupId(at as u32))
    }

    pub(super) fn members(&self, id: GroupId) -> impl Iterator<Item = ItemId> {
        self.members.range((id, ItemId::MIN)..=(id, ItemId::MAX)).map(|(_, item)| *item)
    }

    pub(super) fn find(&self, own: &[Pair], heritage: HeritageId) -> Option<GroupId> {
        let same = |id: &GroupId| {
            let group = self.get(*id);
            group.heritage == Some(heritage) && *group.own == *own
        };
        self.table.find(self.hasher.hash_one((own, heritage)), same).copied()
    }

    /// Makes a group that is not there yet. `inherited` is what its heritage stands for.
    pub(super) fn insert(&mut self, own: Vec<Pair>, heritage: HeritageId, inherited: &[Pair]) -> GroupId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.all.push(Group::default());
            GroupId(self.all.len() as u32 - 1)
        });
        self.index.extend(effective(&own, inherited).map(|pair| (pair.label, pair.value, id)));
        let hash = self.hasher.hash_one((&*own, heritage));
        self.all[id.0 as usize] =
            Group { own: own.into(), heritage: Some(heritage), selectors: Box::default() };
        let Self { all, table, hasher, .. } = self;
        table.insert_unique(hash, id, |id| {
            let group = &all[id.0 as usize];
            hasher.hash_one((&*group.own, group.heritage.unwrap_or(heritage)))
        });
        id
    }

    pub(super) fn join(&mut self, id: GroupId, item: ItemId) {
        self.members.insert((id, item));
    }

    /// Takes `item` out of its group, and ends the group if it was the last.
    pub(super) fn leave(&mut self, id: GroupId, item: ItemId, inherited: &[Pair]) {
        self.members.remove(&(id, item));
        if self.members(id).next().is_some() {
            return;
        }
        let group = std::mem::take(self.get_mut(id));
        let Some(heritage) = group.heritage else { return };
        if let Ok(entry) =
            self.table.find_entry(self.hasher.hash_one((&*group.own, heritage)), |other| *other == id)
        {
            entry.remove();
        }
        for pair in effective(&group.own, inherited) {
            self.index.remove(&(pair.label, pair.value, id));
        }
        self.free.push(id);
    }

    /// What the group inherits is `new` instead of `old`.
    pub(super) fn reindex(&mut self, id: GroupId, old: &[Pair], new: &[Pair]) {
        let group = &self.all[id.0 as usize];
        for pair in effective(&group.own, old) {
            self.index.remove(&(pair.label, pair.value, id));
        }
        self.index.extend(effective(&group.own, new).map(|pair| (pair.label, pair.value, id)));
    }

    /// The groups for which `condition` can hold, as far as the index knows; sorted.
    pub(super) fn candidates(&self, condition: &Condition) -> Vec<GroupId> {
        /// Beyond this many it does not matter any more which key is the longer.
        const LONG: usize = 4096;
        let Some(keys) = condition.keys(&|key| self.having(key).take(LONG).count()) else {
            return self.ids().collect();
        };
        let mut groups: Vec<_> = keys.into_iter().flat_map(|key| self.having(key)).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    fn having(&self, key: Key) -> impl Iterator<Item = GroupId> {
        let (label, first, last) = match key {
            Key::Label(label) => (label, Word::MIN, Word::MAX),
            Key::Pair(Pair { label, value }) => (label, value, value),
        };
        let (first, last) = ((label, first, GroupId(0)), (label, last, GroupId(u32::MAX)));
        self.index.range(first..=last).map(|(_, _, group)| *group)
    }
}

/// All labels of a group.
pub(super) fn effective<'p>(own: &'p [Pair], inherited: &'p [Pair]) -> impl Iterator<Item = Pair> {
    let uncovered = inherited.iter().filter(|pair| value_of(own, pair.label).is_none());
    own.iter().chain(uncovered).copied()
}
