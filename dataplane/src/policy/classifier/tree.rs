use super::{
    lanes::{self, WORDS},
    list::{FIELDS, Fields, Item, ListRef, Lists},
};

/// A list of so many rules is not divided.
const FEW: usize = 12;
/// Places at which a node divides a field, at most.
const CUTS: usize = WORDS - 1;

/// Divides a list by one field: a list for each stretch of the field's values, and one of those rules that would be in
/// too many of them.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Node {
    /// The last value of every stretch but the last, then, where there are fewer, the highest; then the field.
    words: [u16; WORDS],
    /// What applies everywhere.
    stay: ListRef,
    below: Stretches,
}

impl Node {
    /// The list for the key's stretch, and the list of what applies everywhere.
    #[inline]
    pub(super) fn children(&self, key: &Fields) -> (ListRef, ListRef) {
        let [.., field] = self.words;
        let value = key.get(usize::from(field)).copied().unwrap_or_default();
        let stretch = lanes::below(&self.words, value) - u32::from(field < value);
        (self.below.0.get(stretch as usize).copied().unwrap_or_default(), self.stay)
    }
}

/// A list for each stretch: a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Stretches([ListRef; CUTS + 1]);

/// How a list could be divided.
#[derive(Debug)]
struct Plan {
    field: usize,
    cuts: Vec<u16>,
    /// Stretches that a rule that does not stay may be in, at most.
    spread: usize,
    /// Rules in all lists below.
    copies: usize,
    /// Rules that have to be compared, or what weighs as much.
    cost: f64,
}

/// Lists, and the nodes above those that are too long to be compared as a whole.
#[derive(Debug)]
pub(super) struct Forest {
    pub(super) lists: Lists,
    nodes: Vec<Node>,
}

impl Forest {
    pub(super) fn new() -> Self {
        Self { lists: Lists::new(), nodes: Vec::new() }
    }

    #[inline]
    pub(super) fn node(&self, index: u32) -> Option<&Node> {
        self.nodes.get(index as usize)
    }

    /// Adds a list, whose items are in order. Short lists may grow when they are divided, long ones hardly.
    pub(super) fn add(&mut self, items: &[Item]) -> ListRef {
        let room = if items.len() <= 2000 { items.len() * 3 } else { items.len() * 2 };
        self.divide(items, room)
    }

    /// `room`: how many rules all lists that come of it may hold together.
    fn divide(&mut self, items: &[Item], room: usize) -> ListRef {
        if items.len() <= FEW {
            return self.lists.add(items);
        }
        let Some(plan) = best(items, room) else { return self.lists.add(items) };
        let mut stay = Vec::new();
        let mut below = vec![Vec::new(); plan.cuts.len() + 1];
        for item in items {
            let (first, last) = plan.stretches(item);
            if last - first < plan.spread {
                below.iter_mut().take(last + 1).skip(first).for_each(|list| list.push(*item));
            } else {
                stay.push(*item);
            }
        }
        let index = self.nodes.len();
        let mut node = Node {
            words: [u16::MAX; WORDS],
            stay: ListRef::EMPTY,
            below: Stretches([ListRef::EMPTY; CUTS + 1]),
        };
        node.words.iter_mut().zip(&plan.cuts).for_each(|(place, cut)| *place = cut - 1);
        node.words[CUTS] = plan.field as u16;
        self.nodes.push(node);
        // What is left over goes to all in proportion.
        let spare = room.saturating_sub(plan.copies);
        let share = |list: &[Item]| list.len() + spare * list.len() / plan.copies.max(1);
        node.stay = self.divide(&stay, share(&stay));
        for (place, list) in node.below.0.iter_mut().zip(&below) {
            *place = self.divide(list, share(list));
        }
        if let Some(place) = self.nodes.get_mut(index) {
            *place = node;
        }
        ListRef::node(index as u32)
    }

    pub(super) fn shrink(&mut self) {
        self.lists.shrink();
        self.nodes.shrink_to_fit();
    }

    pub(super) fn bytes(&self) -> usize {
        self.lists.bytes() + size_of_val(&*self.nodes)
    }
}

impl Plan {
    /// The first and the last stretch that a rule is in.
    fn stretches(&self, item: &Item) -> (usize, usize) {
        let (low, high) = item.fields.get(self.field).copied().unwrap_or_default();
        let stretch = |value| self.cuts.partition_point(|cut| *cut <= value);
        (stretch(low), stretch(high))
    }

    /// Divides `items` by `field` where as many rules begin or end between one cut and the next. None, if all are alike.
    fn new(items: &[Item], field: usize, spread: usize) -> Option<Self> {
        let mut edges: Vec<u16> = Vec::with_capacity(items.len() * 2);
        for item in items {
            let (low, high) = item.fields.get(field).copied().unwrap_or_default();
            edges.extend((low > 0).then_some(low));
            edges.extend(high.checked_add(1));
        }
        edges.sort_unstable();
        let mut distinct = edges.clone();
        distinct.dedup();
        let cuts = if distinct.len() <= CUTS {
            distinct
        } else {
            let mut cuts: Vec<u16> =
                (1..=CUTS).filter_map(|n| edges.get(n * edges.len() / (CUTS + 1)).copied()).collect();
            cuts.dedup();
            cuts
        };
        let mut plan = Self { field, cuts, spread, copies: 0, cost: 0.0 };
        if plan.cuts.is_empty() {
            return None;
        }
        plan.weigh(items)?;
        Some(plan)
    }

    /// Counts what comes of it. None, if some list would hardly be shorter.
    fn weigh(&mut self, items: &[Item]) -> Option<()> {
        let mut sizes = vec![0usize; self.cuts.len() + 1];
        let mut stay = 0;
        for item in items {
            let (first, last) = self.stretches(item);
            if last - first < self.spread {
                sizes.iter_mut().take(last + 1).skip(first).for_each(|size| *size += 1);
            } else {
                stay += 1;
            }
        }
        let below: usize = sizes.iter().sum();
        let most = sizes.iter().copied().max().unwrap_or_default().max(stay);
        self.copies = below + stay;
        // Keys are expected where rules are.
        let squares: usize = sizes.iter().map(|size| size * size).sum();
        let separate = if stay > 0 { 8.0 } else { 0.0 };
        self.cost = squares as f64 / below.max(1) as f64 + stay as f64 + separate;
        (most * 8 <= items.len() * 7).then_some(())
    }
}

/// The best way to divide a list within `room`, if any is good.
fn best(items: &[Item], room: usize) -> Option<Plan> {
    (0..FIELDS)
        .flat_map(|field| {
            [CUTS + 1, 4, 1].into_iter().filter_map(move |spread| Plan::new(items, field, spread))
        })
        .filter(|plan| plan.copies <= room.max(items.len()))
        .min_by(|a, b| a.cost.total_cmp(&b.cost))
}
