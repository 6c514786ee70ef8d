use ahash::RandomState;
use hashbrown::HashMap;

use super::{
    ProtocolMatch, Rule,
    index::Link,
    items::Items,
    sides::{Part, Role, Sides, Way},
    space::Space,
    tree::Forest,
};

/// Rules of which neither end says much: a list for each combination of source sets, of destination sets, and protocol.
#[derive(Debug)]
pub(super) struct Cross {
    lists: Vec<Link>,
    destinations: u32,
    /// The class of each protocol.
    protocols: [u8; 256],
    classes: u32,
}

/// Combinations of the sets of each side, by the sets that are in them.
#[derive(Debug)]
pub(super) struct Combinations<'s> {
    /// For each side, and for each set, the combinations that it is in.
    of_set: [HashMap<u32, Vec<u32>, RandomState>; 2],
    all: [Vec<u32>; 2],
    classes: Classes,
    rules: &'s [u32],
}

/// Protocols that rules name, told apart.
#[derive(Clone, Debug)]
struct Classes {
    of_protocol: [u8; 256],
    count: u32,
}

impl Classes {
    /// Protocols that are told apart, at most.
    const MOST: u32 = 6;
    const ONE: Self = Self { of_protocol: [0; 256], count: 1 };

    /// Class 0 is what no rule names.
    fn new<'r>(rules: impl Iterator<Item = &'r Rule>) -> Self {
        let mut classes = Self::ONE;
        for rule in rules {
            if let ProtocolMatch::Is(protocol) = rule.protocol
                && let Some(class) = classes.of_protocol.get_mut(usize::from(protocol.0))
                && *class == 0
                && classes.count < Self::MOST
            {
                *class = classes.count as u8;
                classes.count += 1;
            }
        }
        classes
    }

    /// Those in which there are protocols that match.
    fn of(&self, protocol: ProtocolMatch) -> std::ops::Range<u32> {
        match protocol {
            ProtocolMatch::Is(protocol) => {
                let class = self.of_protocol.get(usize::from(protocol.0)).copied().unwrap_or_default();
                u32::from(class)..u32::from(class) + 1
            }
            ProtocolMatch::Any | ProtocolMatch::Not(_) => 0..self.count,
        }
    }
}

impl<'s> Combinations<'s> {
    /// From the combinations of the source and of the destination sides, as lists of sets; `None`, if the lists of rules would
    /// be too many or too long.
    pub(super) fn new<A: Space>(
        sides: &Sides<A>,
        all_rules: &[Rule],
        rules: &'s [u32],
        lists: [&[Vec<u32>]; 2],
    ) -> Option<Self> {
        let mut of_set: [HashMap<u32, Vec<u32>, RandomState>; 2] = Default::default();
        for (of_set, lists) in of_set.iter_mut().zip(lists) {
            for (combination, sets) in (0..).zip(lists) {
                for set in sets {
                    of_set.entry(*set).or_default().push(combination);
                }
            }
        }
        let named = rules.iter().filter_map(|rule| all_rules.get(*rule as usize));
        let all = lists.map(|lists| (0..lists.len() as u32).collect());
        let mut combinations = Self { of_set, all, classes: Classes::new(named), rules };
        if !combinations.fits(sides, all_rules) {
            combinations.classes = Classes::ONE;
        }
        combinations.fits(sides, all_rules).then_some(combinations)
    }

    fn fits<A: Space>(&self, sides: &Sides<A>, all_rules: &[Rule]) -> bool {
        let room = self.rules.len() * 2 + (1 << 14);
        let cells = self.all.iter().map(Vec::len).product::<usize>() * self.classes.count as usize;
        let mut copies = 0;
        for rule in self.rules {
            let [sources, destinations] = Role::BOTH.map(|role| self.of(sides, role, *rule).len());
            let protocol = all_rules.get(*rule as usize).map(|rule| rule.protocol).unwrap_or_default();
            copies += sources * destinations * self.classes.of(protocol).len();
            if copies > room {
                return false;
            }
        }
        cells <= room
    }

    /// The combinations in which a rule's set in a role is.
    fn of<A: Space>(&self, sides: &Sides<A>, role: Role, rule: u32) -> &[u32] {
        let [sources, destinations] = &self.of_set;
        let [all_sources, all_destinations] = &self.all;
        let (of_set, all) = match role {
            Role::Source => (sources, all_sources),
            Role::Destination => (destinations, all_destinations),
        };
        match sides.role(role).part(rule) {
            Part::Nothing => &[],
            Part::All => all,
            Part::Set(set) => match sides.way(role, rule) {
                Some((_, Way::Crossed)) => of_set.get(&set).map_or(&[], Vec::as_slice),
                Some((_, Way::Merged | Way::Chained | Way::Asked)) | None => all,
            },
        }
    }
}

impl Cross {
    /// Combinations of one side, at most: their numbers have 8 bits.
    pub(super) const COMBINATIONS: usize = 256;

    pub(super) fn new<A: Space>(
        items: &Items<'_, A>,
        combinations: &Combinations<'_>,
        forest: &mut Forest,
    ) -> Self {
        let Combinations { all: [sources, destinations], classes, rules, .. } = combinations;
        let (destinations, count) = (destinations.len() as u32, classes.count);
        let mut cells: Vec<Vec<u32>> = vec![Vec::new(); sources.len() * (destinations * count) as usize];
        for index in *rules {
            let Some(rule) = items.rules.get(*index as usize) else { continue };
            for source in combinations.of(items.sides, Role::Source, *index) {
                for destination in combinations.of(items.sides, Role::Destination, *index) {
                    for class in classes.of(rule.protocol) {
                        let cell = (source * destinations + destination) * count + class;
                        if let Some(cell) = cells.get_mut(cell as usize) {
                            cell.push(*index);
                        }
                    }
                }
            }
        }
        let mut known: HashMap<Vec<u32>, Link, RandomState> = HashMap::default();
        let lists = cells
            .into_iter()
            .map(|cell| {
                let mut make = |cell: &Vec<u32>| Link::new(&items.items(cell, None), forest);
                match known.get(&cell) {
                    Some(list) => *list,
                    None => {
                        let list = make(&cell);
                        known.insert(cell, list);
                        list
                    }
                }
            })
            .collect();
        Self { lists, destinations, protocols: classes.of_protocol, classes: count }
    }

    /// Which list is for these combinations and this protocol.
    #[inline]
    pub(super) fn cell(&self, source: u32, destination: u32, protocol: u8) -> u32 {
        let class = self.protocols.get(usize::from(protocol)).copied().unwrap_or_default();
        (source * self.destinations + destination) * self.classes + u32::from(class)
    }

    #[inline]
    pub(super) fn list(&self, cell: u32) -> Link {
        self.lists.get(cell as usize).copied().unwrap_or(Link::EMPTY)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.lists)
    }
}
