use super::{
    Key, Match, Position,
    index::{Best, Index, Link},
    list::{Fields, List, ListRef, Record, Wide},
    sides::Role,
    space::{Map, Space},
};
use crate::prefetch::fetch;

/// A key as it is compared in lists, and the interval of its other end.
#[derive(Clone, Copy, Debug)]
struct Probe {
    home: Role,
    fields: Fields,
    wide: Wide,
    other: u32,
}

/// One key on its way through the lists.
struct Search<'s, A: Space, F> {
    index: &'s Index<A>,
    from: Position,
    /// Asks a rule itself.
    ask: F,
    best: Best,
}

impl<A: Space, F: Fn(u32) -> bool> Search<'_, A, F> {
    /// Looks through a list.
    fn walk(&mut self, mut list: ListRef, probe: &Probe) {
        loop {
            match list.get() {
                List::Empty => return,
                List::Quads { first, count } => return self.scan(first, count, probe),
                List::Long(index) => {
                    let (first, count) = self.index.forest.lists.long(index, self.from);
                    return self.scan(first, count, probe);
                }
                List::Node(index) => {
                    let Some(node) = self.index.forest.node(index) else { return };
                    let (below, stay) = node.children(&probe.fields);
                    self.walk(stay, probe);
                    list = below;
                }
            }
        }
    }

    /// Whether a rule of which all fields match does so itself.
    fn holds(&self, record: &Record, probe: &Probe) -> bool {
        record.check.holds(probe.other, |rule, bit| {
            self.index.may_hold(probe.home, probe.other, bit) && (self.ask)(rule)
        })
    }

    /// Looks through quads in a row, which are in order, up to the first match.
    fn scan(&mut self, first: u32, count: u32, probe: &Probe) {
        for index in first..first + count {
            let Some(quad) = self.index.forest.lists.quad(index) else { return };
            let hits = quad.hits(&probe.wide);
            if hits.any() {
                let Some(records) = self.index.forest.lists.records(index) else { return };
                for record in hits.map(|lane| records.lane(lane)) {
                    let position = record.found.position;
                    if self.best.is_before(position) {
                        return;
                    }
                    if position >= self.from && self.holds(record, probe) {
                        self.best = self.best.or(record.found);
                        return;
                    }
                }
            }
        }
    }
}

impl<A: Space> Index<A> {
    /// The first rule at or behind `from` that matches. `ask` says whether a rule, by its number, matches.
    pub(super) fn first(
        &self,
        (source, destination): (A, A),
        key: &Key,
        from: Position,
        ask: impl Fn(u32) -> bool,
    ) -> Option<Match> {
        let intervals = (self.source.map.rank(source), self.destination.map.rank(destination));
        let slots = (self.source.slot(intervals.0), self.destination.slot(intervals.1));
        let cell = self.cross.cell(slots.0.combination(), slots.1.combination(), key.protocol.0);
        let cross = self.cross.list(cell);
        for list in [slots.0.merged, slots.1.merged] {
            self.fetch_list(list);
        }
        let [by_source, by_destination] = self.fields(key, intervals.0, intervals.1);
        let probe = |home, fields, other| Probe { home, fields, wide: Wide::new(fields), other };
        let (by_source, by_destination) = (
            probe(Role::Source, by_source, intervals.1),
            probe(Role::Destination, by_destination, intervals.0),
        );
        let mut search = Search { index: self, from, ask, best: Best::NONE };
        search.walk(slots.0.merged, &by_source);
        search.walk(slots.1.merged, &by_destination);
        // In crossed lists no rule looks at the other end. Mostly these are the rules of the greatest reach, which stand last.
        if !search.best.is_before(cross.first) {
            search.walk(cross.list, &by_source);
        }
        self.chain(&mut search, self.source.links(slots.0.chain()), &by_source);
        self.chain(&mut search, self.destination.links(slots.1.chain()), &by_destination);
        search.best.found()
    }

    /// Looks through the lists of chained sets.
    fn chain(&self, search: &mut Search<'_, A, impl Fn(u32) -> bool>, links: &[Link], probe: &Probe) {
        // Later lists are fetched while earlier ones are looked at.
        links.iter().take(AHEAD).for_each(|link| self.fetch_list(link.list));
        for (at, link) in links.iter().enumerate() {
            if search.best.is_before(link.first) {
                return;
            }
            if let Some(later) = links.get(at + AHEAD) {
                self.fetch_list(later.list);
            }
            search.walk(link.list, probe);
        }
    }

    /// Asks for the beginning of a list.
    #[inline]
    pub(super) fn fetch_list(&self, list: ListRef) {
        match list.get() {
            List::Quads { first, .. } => {
                if let Some(quad) = self.forest.lists.quad(first) {
                    fetch(quad);
                }
            }
            List::Node(index) => {
                if let Some(node) = self.forest.node(index) {
                    fetch(node);
                }
            }
            List::Empty | List::Long(_) => {}
        }
    }
}

/// How many lists are fetched before the first is looked at.
const AHEAD: usize = 8;
