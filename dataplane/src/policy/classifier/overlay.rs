use std::{net::IpAddr, ops::RangeInclusive, sync::Arc};

use super::{Key, Match, MemberChange, Patch, Position, Rule, SetId, base::Base, sides::Role};
use crate::policy::AddressSet;

/// What has changed since the base was built. Everything in it is looked through one by one.
#[derive(Clone, Debug, Default)]
pub(super) struct Overlay {
    /// Positions and outcomes of rules of the base that are gone.
    gone: Vec<RangeInclusive<Position>>,
    gone_outcomes: Vec<u32>,
    /// New sets, numbered behind those of the base.
    sets: Vec<Arc<AddressSet>>,
    /// Sets whose members have changed, by their numbers.
    deltas: Vec<(SetId, Arc<Delta>)>,
    /// Every address that has joined or left any set, and perhaps more.
    touched: AddressSet,
    /// New rules, in order.
    rules: Vec<Rule>,
}

/// How a set's members differ from what they were.
#[derive(Clone, Debug, Default)]
struct Delta {
    joined: AddressSet,
    left: AddressSet,
}

impl Delta {
    fn then(&self, change: &MemberChange) -> Self {
        Self {
            joined: AddressSet::union_of([&self.joined.difference(&change.leave), &change.join]),
            left: AddressSet::union_of([&self.left, &change.leave]).difference(&change.join),
        }
    }
}

impl Overlay {
    /// The same after a change.
    pub(super) fn patched(&self, base: &Base, patch: &Patch) -> Self {
        let mut overlay = self.clone();
        overlay.gone.extend_from_slice(&patch.remove);
        overlay.gone_outcomes.extend_from_slice(&patch.remove_outcomes);
        overlay.rules.retain(|rule| !patch.removes(rule));
        overlay.sets.extend(patch.sets.iter().cloned());
        let known = base.sets.len() + overlay.sets.len();
        for change in &patch.members {
            if change.set.index().is_none_or(|index| index >= known) {
                continue;
            }
            let place = overlay.deltas.binary_search_by_key(&change.set, |(set, _)| *set);
            let before = place.ok().and_then(|place| overlay.deltas.get(place)).map(|(_, delta)| &**delta);
            let delta = Arc::new(before.unwrap_or(&Delta::default()).then(change));
            match place {
                Ok(place) => overlay.deltas.get_mut(place).into_iter().for_each(|own| own.1 = delta.clone()),
                Err(place) => overlay.deltas.insert(place, (change.set, delta)),
            }
        }
        let changes = patch.members.iter().flat_map(|change| [&change.join, &change.leave]);
        overlay.touched = AddressSet::union_of(changes.chain([&overlay.touched]));
        overlay.rules.extend(patch.rules.iter().filter(|rule| rule.names_sets_below(known)));
        overlay.rules.sort_by_key(|rule| rule.position);
        overlay
    }

    /// How many changes there are.
    pub(super) fn len(&self) -> usize {
        self.gone.len() + self.gone_outcomes.len() + self.sets.len() + self.deltas.len() + self.rules.len()
    }

    /// How many sets there are with those of the base.
    pub(super) fn sets(&self, base: &Base) -> usize {
        base.sets.len() + self.sets.len()
    }

    /// What base and changes are together.
    pub(super) fn merged(&self, base: &Base) -> (Vec<Arc<AddressSet>>, Vec<Rule>) {
        let mut sets: Vec<_> = base.sets.iter().chain(&self.sets).cloned().collect();
        for (set, delta) in &self.deltas {
            if let Some(set) = set.index().and_then(|index| sets.get_mut(index)) {
                *set = Arc::new(AddressSet::union_of([&set.difference(&delta.left), &delta.joined]));
            }
        }
        let rules = base.rules.iter().filter(|rule| !self.is_gone(&rule.found()));
        (sets, rules.chain(&self.rules).copied().collect())
    }

    /// The first rule that matches at or behind `from`, when `found` is that of the base.
    pub(super) fn first(
        &self,
        base: &Base,
        key: &Key,
        from: Position,
        found: Option<Match>,
    ) -> Option<Match> {
        let touched = Role::BOTH.map(|role| self.touched.contains(address(key, role)));
        let mut best = found;
        while let Some(found) = best
            && (self.is_gone(&found) || touched.contains(&true) && !self.still(base, key, found.position))
        {
            // Many rules may have gone together.
            let last = self.gone.iter().filter(|gone| gone.contains(&found.position)).map(|gone| *gone.end());
            let last = last.max().unwrap_or(found.position);
            best = last.next().and_then(|next| base.first(key, next));
        }
        let wanted = |rule: &&Rule, best: Option<Match>| {
            rule.position >= from && best.is_none_or(|best| rule.position < best.position)
        };
        for role in Role::BOTH.into_iter().zip(touched).filter(|(_, touched)| *touched).map(|(role, _)| role)
        {
            let joined = self.deltas.iter().filter(|(_, delta)| delta.joined.contains(address(key, role)));
            for index in joined.filter_map(|(set, _)| set.index()) {
                let rule = base
                    .rules_of(index, role)
                    .skip_while(|rule| rule.position < from)
                    .take_while(|rule| wanted(rule, best))
                    .find(|rule| !self.is_gone(&rule.found()) && self.matches(base, rule, key));
                best = rule.map(Rule::found).or(best);
            }
        }
        let start = self.rules.partition_point(|rule| rule.position < from);
        let mut rules = self.rules.iter().skip(start).take_while(|rule| wanted(rule, best));
        rules.find(|rule| self.matches(base, rule, key)).map(Rule::found).or(best)
    }

    /// Whether a rule of the base is gone.
    fn is_gone(&self, found: &Match) -> bool {
        self.gone.iter().any(|positions| positions.contains(&found.position))
            || self.gone_outcomes.contains(&found.outcome)
    }

    /// Whether any rule of the base at a position matches a key, one of whose addresses has joined or left sets.
    fn still(&self, base: &Base, key: &Key, position: Position) -> bool {
        let rules = base.rules_from(position).iter().take_while(|rule| rule.position == position);
        rules.into_iter().any(|rule| self.matches(base, rule, key))
    }

    fn matches(&self, base: &Base, rule: &Rule, key: &Key) -> bool {
        rule.matches_ports(key)
            && Role::BOTH.iter().all(|role| self.holds(base, role.set(rule), address(key, *role)))
    }

    fn holds(&self, base: &Base, id: SetId, address: IpAddr) -> bool {
        let Some(index) = id.index() else { return true };
        let delta = self.deltas.binary_search_by_key(&id, |(set, _)| *set).ok();
        if let Some((_, delta)) = delta.and_then(|at| self.deltas.get(at)) {
            if delta.joined.contains(address) {
                return true;
            }
            if delta.left.contains(address) {
                return false;
            }
        }
        let set = base.sets.get(index).or_else(|| self.sets.get(index.checked_sub(base.sets.len())?));
        set.is_some_and(|set| set.contains(address))
    }
}

fn address(key: &Key, role: Role) -> IpAddr {
    match role {
        Role::Source => key.source,
        Role::Destination => key.destination,
    }
}
