//! The sets of addresses that rules speak of, each once.

use std::{collections::HashMap, sync::Arc};

use ravelin_dataplane::policy::{AddressSet, SetId};

/// Sets by number; equal ones have one number.
#[derive(Debug, Default)]
pub(super) struct Sets {
    sets: Vec<Arc<AddressSet>>,
    ids: HashMap<Arc<AddressSet>, SetId>,
    both: HashMap<(SetId, SetId), Option<SetId>>,
    rest: HashMap<(SetId, SetId), Option<SetId>>,
}

impl Sets {
    /// The number of a set; `None` for the empty one, which nothing is in.
    pub(super) fn add(&mut self, set: AddressSet) -> Option<SetId> {
        if set.is_empty() {
            return None;
        }
        if set.is_all() {
            return Some(SetId::ANY);
        }
        if let Some(id) = self.ids.get(&set) {
            return Some(*id);
        }
        let set = Arc::new(set);
        let id = SetId(u32::try_from(self.sets.len()).ok()?);
        self.sets.push(Arc::clone(&set));
        self.ids.insert(set, id);
        Some(id)
    }

    /// What is in both.
    pub(super) fn both(&mut self, a: SetId, b: SetId) -> Option<SetId> {
        let (a, b) = (a.min(b), a.max(b));
        if a == b || b == SetId::ANY {
            return Some(a);
        }
        if let Some(known) = self.both.get(&(a, b)) {
            return *known;
        }
        let set = self.get(a).intersection(&self.get(b));
        let id = self.add(set);
        self.both.insert((a, b), id);
        id
    }

    /// What is in `a` and not in `b`.
    pub(super) fn without(&mut self, a: SetId, b: SetId) -> Option<SetId> {
        if let Some(known) = self.rest.get(&(a, b)) {
            return *known;
        }
        let set = self.get(a).difference(&self.get(b));
        let id = self.add(set);
        self.rest.insert((a, b), id);
        id
    }

    fn get(&self, id: SetId) -> Arc<AddressSet> {
        match self.sets.get(id.0 as usize) {
            Some(set) => Arc::clone(set),
            None => Arc::new(AddressSet::all()),
        }
    }

    /// All sets, by number.
    pub(super) fn all(&self) -> &[Arc<AddressSet>] {
        &self.sets
    }
}
