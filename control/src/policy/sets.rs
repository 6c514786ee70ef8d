//! The sets of addresses that rules speak of, each once, and how they follow from one another.
//!
//! A set keeps its number while the engine lives, and what it was made of: so that when an endpoint comes or goes, exactly the
//! sets that this concerns change, by exactly its addresses.

use std::{collections::HashMap, sync::Arc};

use ravelin_config::types::Protocol;
use ravelin_dataplane::policy::{AddressSet, SetId, classifier::MemberChange};

use crate::identity::SelectorId;

/// What a set is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Formula {
    /// These addresses, for ever.
    Fixed(Arc<AddressSet>),
    /// Endpoints and network sets that a selector matches.
    Selected(SelectorId),
    /// Endpoints that a selector matches.
    SelectedEndpoints(SelectorId),
    /// Endpoints that call a port so.
    Named(String, Protocol, u16),
    /// Hosts.
    Hosts,
    /// All endpoints.
    Everyone,
    /// Endpoints with exactly these profiles.
    Profiles(Vec<String>),
    /// What is in both.
    Both(SetId, SetId),
    /// What is in the first and not in the second.
    Without(SetId, SetId),
}

#[derive(Debug)]
struct Set {
    formula: Formula,
    members: Arc<AddressSet>,
    /// What has joined since `members` was put together, and what has left.
    joined: AddressSet,
    left: AddressSet,
    /// Sets made of this one.
    dependents: Vec<SetId>,
}

/// Sets by number.
#[derive(Debug, Default)]
pub(super) struct Sets {
    sets: Vec<Set>,
    ids: HashMap<Formula, SetId>,
}

impl Sets {
    /// The number of a formula's set, if it has one.
    pub(super) fn find(&self, formula: &Formula) -> Option<SetId> {
        self.ids.get(formula).copied()
    }

    /// The number of the set of `formula`, whose members are put together if it is new.
    pub(super) fn add(&mut self, formula: Formula, members: impl FnOnce() -> AddressSet) -> SetId {
        if let Some(id) = self.ids.get(&formula) {
            return *id;
        }
        let id = SetId(u32::try_from(self.sets.len()).unwrap_or(u32::MAX));
        if let Formula::Both(a, b) | Formula::Without(a, b) = &formula {
            for part in [*a, *b] {
                if let Some(set) = self.sets.get_mut(part.0 as usize) {
                    set.dependents.push(id);
                }
            }
        }
        self.ids.insert(formula.clone(), id);
        self.sets.push(Set {
            formula,
            members: Arc::new(members()),
            joined: AddressSet::empty(),
            left: AddressSet::empty(),
            dependents: Vec::new(),
        });
        id
    }

    /// A set that never changes; `None` for the empty one, which nothing is in.
    pub(super) fn fixed(&mut self, set: AddressSet) -> Option<SetId> {
        if set.is_empty() {
            return None;
        }
        if set.is_all() {
            return Some(SetId::ANY);
        }
        let set = Arc::new(set);
        let members = Arc::clone(&set);
        Some(self.add(Formula::Fixed(set), move || (*members).clone()))
    }

    /// What is in both; `None` if that is nothing, for ever.
    pub(super) fn both(&mut self, a: SetId, b: SetId) -> Option<SetId> {
        let (a, b) = (a.min(b), a.max(b));
        if a == b || b == SetId::ANY {
            return Some(a);
        }
        let members = || self.members(a).intersection(&self.members(b));
        if self.is_fixed(a) && self.is_fixed(b) {
            let members = members();
            return self.fixed(members);
        }
        let formula = Formula::Both(a, b);
        Some(match self.find(&formula) {
            Some(known) => known,
            None => {
                let members = members();
                self.add(formula, || members)
            }
        })
    }

    /// What is in `a` and not in `b`; `None` if that is nothing, for ever.
    pub(super) fn without(&mut self, a: SetId, b: SetId) -> Option<SetId> {
        if a == b || b == SetId::ANY {
            return None;
        }
        let members = || self.members(a).difference(&self.members(b));
        if self.is_fixed(a) && self.is_fixed(b) {
            let members = members();
            return self.fixed(members);
        }
        let formula = Formula::Without(a, b);
        Some(match self.find(&formula) {
            Some(known) => known,
            None => {
                let members = members();
                self.add(formula, || members)
            }
        })
    }

    fn is_fixed(&self, id: SetId) -> bool {
        match self.sets.get(id.0 as usize) {
            Some(set) => matches!(set.formula, Formula::Fixed(_)),
            None => true,
        }
    }

    /// The members of a set as they are now.
    pub(super) fn members(&self, id: SetId) -> Arc<AddressSet> {
        let Some(set) = self.sets.get(id.0 as usize) else { return Arc::new(AddressSet::all()) };
        if set.joined.is_empty() && set.left.is_empty() {
            return Arc::clone(&set.members);
        }
        Arc::new(AddressSet::union_of([&set.members.difference(&set.left), &set.joined]))
    }

    /// The part of `some` that is in a set now.
    fn within(&self, id: SetId, some: &AddressSet) -> AddressSet {
        let Some(set) = self.sets.get(id.0 as usize) else { return some.clone() };
        let old = some.intersection(&set.members).difference(&set.left);
        AddressSet::union_of([&old, &some.intersection(&set.joined)])
    }

    /// What a set is made of.
    pub(super) fn formula(&self, id: SetId) -> Option<&Formula> {
        self.sets.get(id.0 as usize).map(|set| &set.formula)
    }

    /// All sets, by number, from `from` on.
    pub(super) fn from(&self, from: usize) -> Vec<Arc<AddressSet>> {
        let ids = (from..self.sets.len()).filter_map(|index| u32::try_from(index).ok());
        ids.map(|index| self.members(SetId(index))).collect()
    }

    /// How many sets there are.
    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }

    /// Lets addresses leave and join a set and, as it follows, the sets made of it; notes what has changed. An address that
    /// is there and joins, or is not there and leaves, changes nothing.
    pub(super) fn change(
        &mut self,
        id: SetId,
        leave: &AddressSet,
        join: &AddressSet,
        changes: &mut Vec<MemberChange>,
    ) {
        let mut todo = vec![(id, leave.clone(), join.clone())];
        while let Some((id, leave, join)) = todo.pop() {
            let leave = self.within(id, &leave.difference(&join));
            let join = join.difference(&self.within(id, &join));
            if leave.is_empty() && join.is_empty() {
                continue;
            }
            let Some(set) = self.sets.get_mut(id.0 as usize) else { continue };
            set.joined = AddressSet::union_of([&set.joined.difference(&leave), &join]);
            set.left = AddressSet::union_of([&set.left, &leave]).difference(&join);
            for dependent in set.dependents.clone() {
                let Some(other) = self.sets.get(dependent.0 as usize) else { continue };
                match other.formula {
                    Formula::Both(a, b) => {
                        let partner = if a == id { b } else { a };
                        todo.push((dependent, leave.clone(), self.within(partner, &join)));
                    }
                    Formula::Without(a, b) if a == id => {
                        let stays = join.difference(&self.within(b, &join));
                        todo.push((dependent, leave.clone(), stays));
                    }
                    Formula::Without(a, _) => {
                        todo.push((dependent, join.clone(), self.within(a, &leave)));
                    }
                    Formula::Fixed(_)
                    | Formula::Selected(_)
                    | Formula::SelectedEndpoints(_)
                    | Formula::Named(..)
                    | Formula::Hosts
                    | Formula::Everyone
                    | Formula::Profiles(_) => {}
                }
            }
            changes.push(MemberChange { set: id, leave, join });
        }
    }
}
