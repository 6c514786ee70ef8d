use std::collections::BTreeSet;

use ahash::RandomState;
use hashbrown::HashTable;

use super::{ItemId, heritage::HeritageId, words::Pair};

/// Which of [`Groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct GroupId(u32);

/// Items with the same labels: of one origin, and with the same labels of their own.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) own: Box<[Pair]>,
    pub(super) heritage: HeritageId,
}

/// The groups that there are, who is in them, and which have a label of their own.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: Vec<Group>,
    free: Vec<GroupId>,
    /// Those in use, by what makes them one.
    table: HashTable<GroupId>,
    hasher: RandomState,
    members: BTreeSet<(GroupId, ItemId)>,
    heirs: BTreeSet<(HeritageId, GroupId)>,
    index: BTreeSet<(Pair, GroupId)>,
}

impl Groups {
    pub(super) fn get(&self, id: GroupId) -> &Group {
        &self.all[id.0 as usize]
    }

    /// The numbers of all groups are below this one.
    pub(super) fn end(&self) -> usize {
        self.all.len()
    }

    /// All that have members, in no order.
    pub(super) fn ids(&self) -> impl Iterator<Item = GroupId> {
        self.table.iter().copied()
    }

    /// The items of a group, in order.
    pub(super) fn members(&self, id: GroupId) -> impl Iterator<Item = ItemId> {
        self.members.range((id, ItemId::MIN)..=(id, ItemId::MAX)).map(|(_, item)| *item)
    }

    /// The groups that inherit from here.
    pub(super) fn heirs(&self, id: HeritageId) -> impl Iterator<Item = GroupId> {
        self.heirs.range((id, GroupId(0))..=(id, GroupId(u32::MAX))).map(|(_, group)| *group)
    }

    /// The groups with one of these labels of their own.
    pub(super) fn having(&self, first: Pair, last: Pair) -> impl Iterator<Item = GroupId> {
        self.index.range((first, GroupId(0))..=(last, GroupId(u32::MAX))).map(|(_, group)| *group)
    }

    /// Puts an item, which is in the group `from`, where items with these labels are.
    pub(super) fn put(
        &mut self,
        item: ItemId,
        from: Option<GroupId>,
        own: &[Pair],
        heritage: HeritageId,
    ) -> GroupId {
        let to = self.find(own, heritage);
        match (from, to) {
            (Some(from), Some(to)) if from == to => return to,
            (Some(from), None) if self.is_last(from, item) => {
                self.change(from, own, heritage);
                return from;
            }
            _ => {}
        }
        if let Some(from) = from {
            self.take(item, from);
        }
        let to = to.unwrap_or_else(|| self.insert(own, heritage));
        self.members.insert((to, item));
        to
    }

    /// Takes an item out of its group, and ends the group if it was the last.
    pub(super) fn take(&mut self, item: ItemId, group: GroupId) {
        if self.is_last(group, item) {
            let heritage = self.get(group).heritage;
            self.change(group, &[], heritage);
            self.heirs.remove(&(heritage, group));
            self.forget(group);
            self.free.push(group);
        }
        self.members.remove(&(group, item));
    }

    /// After many insertions: makes memory as small as it can be.
    pub(super) fn pack(&mut self) {
        self.all.shrink_to_fit();
        self.members = std::mem::take(&mut self.members).into_iter().collect();
        self.index = std::mem::take(&mut self.index).into_iter().collect();
    }

    fn is_last(&self, group: GroupId, item: ItemId) -> bool {
        let mut members = self.members(group);
        members.next() == Some(item) && members.next().is_none()
    }

    fn find(&self, own: &[Pair], heritage: HeritageId) -> Option<GroupId> {
        let same = |id: &GroupId| {
            let group = self.get(*id);
            group.heritage == heritage && *group.own == *own
        };
        self.table.find(self.hasher.hash_one((own, heritage)), same).copied()
    }

    fn insert(&mut self, own: &[Pair], heritage: HeritageId) -> GroupId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.all.push(Group { own: Box::default(), heritage });
            GroupId(self.all.len() as u32 - 1)
        });
        self.get_mut(id).heritage = heritage;
        self.heirs.insert((heritage, id));
        self.remember(id);
        self.change(id, own, heritage);
        id
    }

    /// Gives a group other labels.
    fn change(&mut self, id: GroupId, own: &[Pair], heritage: HeritageId) {
        self.forget(id);
        let old = std::mem::replace(self.get_mut(id), Group { own: own.into(), heritage });
        for pair in old.own.iter().filter(|pair| own.binary_search(pair).is_err()) {
            self.index.remove(&(*pair, id));
        }
        for pair in own.iter().filter(|pair| old.own.binary_search(pair).is_err()) {
            self.index.insert((*pair, id));
        }
        if old.heritage != heritage {
            self.heirs.remove(&(old.heritage, id));
            self.heirs.insert((heritage, id));
        }
        self.remember(id);
    }

    fn remember(&mut self, id: GroupId) {
        let Self { all, table, hasher, .. } = self;
        let hash = |id: &GroupId| {
            let group = &all[id.0 as usize];
            hasher.hash_one((&*group.own, group.heritage))
        };
        table.insert_unique(hash(&id), id, hash);
    }

    fn forget(&mut self, id: GroupId) {
        let group = self.get(id);
        let hash = self.hasher.hash_one((&*group.own, group.heritage));
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
    }

    fn get_mut(&mut self, id: GroupId) -> &mut Group {
        &mut self.all[id.0 as usize]
    }
}

impl GroupId {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}
