use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    sides::{Part, Role, Sides, Way},
    space::Space,
};

/// Under which set each rule is found.
#[derive(Clone, Debug)]
pub(super) struct Homes {
    /// Of each set, its rules.
    pub(super) source: Vec<Vec<u32>>,
    pub(super) destination: Vec<Vec<u32>>,
    /// Rules of combinations, in order.
    pub(super) crossed: Vec<u32>,
}

/// Rules of one set that make a short list.
const SHORT: u32 = 8;

/// The most intervals of a set whose rules are merged with others, tried in turn. The last makes no copies.
const COVERAGE: [u32; 6] = [64, 32, 16, 8, 2, 1];

impl Homes {
    /// Chooses the sets that are merged, those of few intervals, as far as the copies do not become too many; and gives each
    /// rule a home that names one, and at the other end no set of several ranges: in a list, such a set tells a rule from
    /// others only when the rule is asked.
    pub(super) fn new<A: Space>(sides: &mut Sides<A>) -> Self {
        let mut homes = Self { source: Vec::new(), destination: Vec::new(), crossed: Vec::new() };
        for most in COVERAGE {
            sides.merge(most);
            if least_copies(sides) > room(sides) {
                continue;
            }
            homes = Self {
                source: vec![Vec::new(); sides.source.way.len()],
                destination: vec![Vec::new(); sides.destination.way.len()],
                crossed: sides.rules.clone(),
            };
            homes.concentrate(sides);
            homes.distribute(sides, |role, rule| {
                merged(sides, role, rule).filter(|_| sides.role(role.other()).is_plain(rule))
            });
            let mut all = homes.clone();
            all.distribute(sides, |role, rule| merged(sides, role, rule));
            if all.copies(sides) <= 2 * room(sides) {
                break;
            }
        }
        homes
    }

    /// How often rules are in lists of merged sets.
    fn copies<A: Space>(&self, sides: &Sides<A>) -> usize {
        let role = |role: Role| {
            let sets = sides.role(role).sets_of(Way::Merged);
            sets.map(move |(set, _)| self.rules(role, set).len() * sides.role(role).coverage(set) as usize)
        };
        Role::BOTH.into_iter().flat_map(role).sum()
    }

    /// Gives each other rule a home that names a merged or a chained set.
    pub(super) fn chain<A: Space>(&mut self, sides: &Sides<A>) {
        self.distribute(sides, |role, rule| {
            let (set, way) = sides.way(role, rule)?;
            matches!(way, Way::Merged | Way::Chained).then_some(set)
        });
    }

    /// Gives rules a home on that side on which lists of merged sets are shorter, as long as they are short: an address
    /// whose lists are all empty costs nothing to compare.
    fn concentrate<A: Space>(&mut self, sides: &Sides<A>) {
        let lists = Role::BOTH.map(|role| {
            let mut lists = vec![0u32; sides.role(role).way.len()];
            for rule in &self.crossed {
                if let Some(set) = merged(sides, role, *rule) {
                    lists.get_mut(set as usize).into_iter().for_each(|count| *count += 1);
                }
            }
            lists
        });
        // How long a list its rules see on average.
        let [source, destination] = lists.each_ref().map(|lists| {
            let (sum, squares) = lists.iter().fold((0.0, 0.0), |(sum, squares), count| {
                (sum + f64::from(*count), squares + f64::from(*count) * f64::from(*count))
            });
            squares / sum
        });
        let role = if source <= destination { Role::Source } else { Role::Destination };
        let [source_lists, destination_lists] = lists;
        let lists = if role == Role::Source { source_lists } else { destination_lists };
        for rule in std::mem::take(&mut self.crossed) {
            match merged(sides, role, rule).filter(|_| sides.role(role.other()).is_plain(rule)) {
                Some(set) if lists.get(set as usize).is_some_and(|count| *count <= SHORT) => {
                    self.take(role, set as usize, rule);
                }
                _ => self.crossed.push(rule),
            }
        }
    }

    /// Gives those rules that have no home yet a home in one of the sets that `set_of` says, if any; of two in the one with
    /// fewer rules. This is done from the set with the fewest rules on, which takes all of its own that are left; so the
    /// longest list is at most twice as long as it has to be.
    fn distribute<A: Space>(&mut self, sides: &Sides<A>, set_of: impl Fn(Role, u32) -> Option<u32>) {
        let set_of = |role: Role, rule: u32| set_of(role, rule).map(|set| set as usize);
        let mut of_set = [vec![Vec::new(); self.source.len()], vec![Vec::new(); self.destination.len()]];
        for rule in &self.crossed {
            for (role, of_set) in Role::BOTH.into_iter().zip(&mut of_set) {
                if let Some(list) = set_of(role, *rule).and_then(|set| of_set.get_mut(set)) {
                    list.push(*rule);
                }
            }
        }
        let mut left = of_set.each_ref().map(|sets| sets.iter().map(Vec::len).collect::<Vec<_>>());
        let mut queue = BinaryHeap::new();
        for (side, sets) in left.iter().enumerate() {
            let counts = sets.iter().enumerate().filter(|(_, count)| **count > 0);
            queue.extend(counts.map(|(set, count)| Reverse((*count, side, set))));
        }
        let mut taken = vec![false; sides.source.parts.len()];
        while let Some(Reverse((count, side, set))) = queue.pop() {
            let (role, other) = if side == 0 { (Role::Source, 1) } else { (Role::Destination, 0) };
            let Some(own) = left.get_mut(side).and_then(|sets| sets.get_mut(set)) else { continue };
            if *own != count {
                continue; // It has become less since, and stands in the queue again.
            }
            *own = 0;
            let rules = of_set.get_mut(side).and_then(|sets| sets.get_mut(set)).map(std::mem::take);
            for rule in rules.unwrap_or_default() {
                let Some(taken) = taken.get_mut(rule as usize).filter(|taken| !**taken) else { continue };
                *taken = true;
                self.take(role, set, rule);
                let there = set_of(role.other(), rule);
                let Some(there) = there else { continue };
                if let Some(count) = left.get_mut(other).and_then(|sets| sets.get_mut(there)) {
                    *count -= 1;
                    if *count > 0 {
                        queue.push(Reverse((*count, other, there)));
                    }
                }
            }
        }
        self.crossed.retain(|rule| !taken.get(*rule as usize).copied().unwrap_or_default());
    }

    fn take(&mut self, role: Role, set: usize, rule: u32) {
        let sets = match role {
            Role::Source => &mut self.source,
            Role::Destination => &mut self.destination,
        };
        if let Some(rules) = sets.get_mut(set) {
            rules.push(rule);
        }
    }

    /// The rules of a set.
    pub(super) fn rules(&self, role: Role, set: u32) -> &[u32] {
        let sets = match role {
            Role::Source => &self.source,
            Role::Destination => &self.destination,
        };
        sets.get(set as usize).map_or(&[], Vec::as_slice)
    }
}

/// How many rules all lists of merged sets should hold together.
fn room<A: Space>(sides: &Sides<A>) -> usize {
    sides.rules.len() * 4 + (1 << 13)
}

/// How many they hold at least.
fn least_copies<A: Space>(sides: &Sides<A>) -> usize {
    let coverage =
        |role: Role, rule: u32| merged(sides, role, rule).map(|set| sides.role(role).coverage(set) as usize);
    let least = |rule: &u32| Role::BOTH.into_iter().filter_map(|role| coverage(role, *rule)).min();
    sides.rules.iter().filter_map(least).sum()
}

/// The set of a rule in a role, if it is merged.
fn merged<A: Space>(sides: &Sides<A>, role: Role, rule: u32) -> Option<u32> {
    sides.way(role, rule).filter(|(_, way)| *way == Way::Merged).map(|(set, _)| set)
}

/// Whether a rule has to be asked itself about the set that it names in a role.
pub(super) fn is_asked<A: Space>(sides: &Sides<A>, role: Role, rule: u32) -> bool {
    match sides.role(role).part(rule) {
        Part::All | Part::Nothing => false,
        Part::Set(_) => sides.way(role, rule).is_none_or(|(_, way)| way == Way::Asked),
    }
}
