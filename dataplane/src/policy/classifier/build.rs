use std::sync::Arc;

use super::{
    Rule,
    cross::{Combinations, Cross},
    homes::Homes,
    index::{Chain, Index, Link, Side, Slot},
    items::Items,
    list::ListRef,
    sides::{Role, Sides, Way},
    signature::Signatures,
    space::{Map, Space},
    sweep::Sweep,
    tree::Forest,
};
use crate::policy::AddressSet;

impl<A: Space> Index<A> {
    /// Chooses for each set how its rules are found, and puts all rules into lists.
    pub(super) fn new(sets: &[Arc<AddressSet>], rules: &[Rule]) -> Self {
        let mut sides = Sides::<A>::new(sets, rules);
        let merged = Homes::new(&mut sides);
        // Crossing is tried with all sets, then with fewer and fewer of those that hold most.
        let mut crossed = usize::MAX;
        loop {
            sides.cross(crossed, &merged.crossed);
            let mut homes = merged.clone();
            homes.chain(&sides);
            match Self::build(rules, &sides, &homes) {
                Ok(index) => return index,
                Err(Way::Chained) => sides.ask(),
                Err(Way::Merged | Way::Crossed | Way::Asked) => crossed = (crossed / 4).min(256),
            }
        }
    }

    /// The index, or which kind of sets would make it too large.
    fn build(rules: &[Rule], sides: &Sides<A>, homes: &Homes) -> Result<Self, Way> {
        let [a, b] = Role::BOTH.map(|role| Self::crossed(sides, homes, role));
        let (source_crossed, destination_crossed) = (a?, b?);
        let lists = [source_crossed.lists.as_slice(), destination_crossed.lists.as_slice()];
        let combinations = Combinations::new(sides, rules, &homes.crossed, lists).ok_or(Way::Crossed)?;
        let [a, b] = Role::BOTH.map(|role| Self::chained(sides, homes, role));
        let (source_chained, destination_chained) = (a?, b?);
        let size = sides.rules.len();
        let signatures =
            Role::BOTH.map(|role| Signatures::new(sides.role(role), size + sides.role(role).starts.len()));
        let items = Items::new(rules, sides, signatures.each_ref());
        let mut forest = Forest::new();
        let cross = Cross::new(&items, &combinations, &mut forest);
        let mut side =
            |role, crossed, chained| Self::side(&items, homes, role, crossed, chained, &mut forest);
        let source = side(Role::Source, &source_crossed, &source_chained)?;
        let destination = side(Role::Destination, &destination_crossed, &destination_chained)?;
        forest.shrink();
        Ok(Self { source, destination, signatures, cross, forest })
    }

    /// Which crossed sets hold each interval.
    fn crossed(sides: &Sides<A>, homes: &Homes, role: Role) -> Result<Sweep, Way> {
        let (sets, named) = (sides.role(role), sides.crossed(&homes.crossed, role));
        let intervals = sets.starts.len();
        let room = (sides.rules.len() + intervals) * 4 + (1 << 16);
        let sets = sets.sets_of(Way::Crossed).filter(|(set, _)| named.contains(set));
        Sweep::new(sets, intervals, Cross::COMBINATIONS, room).map_err(|_| Way::Crossed)
    }

    /// Which chained sets hold each interval.
    fn chained(sides: &Sides<A>, homes: &Homes, role: Role) -> Result<Sweep, Way> {
        let sets = sides.role(role);
        let intervals = sets.starts.len();
        let room = (sides.rules.len() + intervals) * 16 + (1 << 16);
        let sets = sets.sets_of(Way::Chained).filter(|(set, _)| !homes.rules(role, *set).is_empty());
        Sweep::new(sets, intervals, Slot::CHAINS, room).map_err(|_| Way::Chained)
    }

    fn side(
        items: &Items<'_, A>,
        homes: &Homes,
        role: Role,
        crossed: &Sweep,
        chained: &Sweep,
        forest: &mut Forest,
    ) -> Result<Side<A>, Way> {
        let sets = items.sides.role(role);
        let with_rules = sets.sets_of(Way::Merged).filter(|(set, _)| !homes.rules(role, *set).is_empty());
        // What this takes is bounded by how the sets were chosen.
        let swept = Sweep::new(with_rules, sets.starts.len(), usize::MAX, usize::MAX);
        let swept = swept.map_err(|_| Way::Merged)?;
        let merge = |list: &[u32]| {
            let rules = list.iter().flat_map(|set| homes.rules(role, *set));
            let mut all: Vec<u32> = rules.copied().collect();
            all.sort_unstable();
            items.items(&all, Some(role))
        };
        let merged: Vec<ListRef> = swept.lists.iter().map(|list| forest.add(&merge(list))).collect();
        let whole = Self::whole_chains(items, homes, role, chained);
        let mut links: Vec<Link> = Vec::new();
        let mut chains = Vec::with_capacity(chained.lists.len());
        let mut of_set: Vec<Option<Link>> = vec![None; sets.way.len()];
        for (chain, whole) in chained.lists.iter().zip(whole) {
            let from = links.len();
            if whole {
                links.push(Link::new(&merge(chain), forest));
            } else {
                for set in chain {
                    let make = || Link::new(&merge(&[*set]), forest);
                    if let Some(link) = of_set.get_mut(*set as usize) {
                        links.push(*link.get_or_insert_with(make));
                    }
                }
            }
            let own = links.get_mut(from..).unwrap_or_default();
            own.sort_unstable_by_key(|link| link.first);
            let first = own.first().map_or(Link::EMPTY.first, |link| link.first);
            chains.push(Chain { first, from: from as u32 });
        }
        let slots = swept.of_interval.iter().zip(&crossed.of_interval).zip(&chained.of_interval);
        let slots = slots.map(|((list, combination), chain)| {
            Slot::new(merged.get(*list as usize).copied().unwrap_or_default(), *combination, *chain)
        });
        Ok(Side {
            map: A::Map::new(&sets.starts),
            slots: slots.collect(),
            shift: items.shift(role),
            has_chains: chains.len() > 1,
            chains,
            links,
        })
    }

    /// Which chains have their lists merged into one after all: the longest ones, as far as the copies do not become too many.
    fn whole_chains(items: &Items<'_, A>, homes: &Homes, role: Role, chained: &Sweep) -> Vec<bool> {
        /// Lists in a row that are as well looked at one by one.
        const FEW: usize = 3;
        let mut room = items.sides.rules.len() * 2 + (1 << 13);
        let mut longest: Vec<usize> = (0..chained.lists.len()).collect();
        let length = |chain: usize| chained.lists.get(chain).map_or(0, Vec::len);
        longest.sort_by_key(|chain| std::cmp::Reverse(length(*chain)));
        let mut whole = vec![false; chained.lists.len()];
        for chain in longest.into_iter().take_while(|chain| length(*chain) > FEW) {
            let sets = chained.lists.get(chain).into_iter().flatten();
            let rules = sets.map(|set| homes.rules(role, *set).len()).sum();
            if let (Some(left), Some(whole)) = (room.checked_sub(rules), whole.get_mut(chain)) {
                (room, *whole) = (left, true);
            }
        }
        whole
    }
}
