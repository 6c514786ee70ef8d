//! Many keys at once, step by step, so that each step's waits for memory overlap.

use super::{
    Key, Match, Position,
    index::{Best, Index},
    list::{Hits, List, ListRef, Wide},
    space::{Map, Space},
};
use crate::prefetch::fetch;

/// Keys that go through the steps together.
pub(super) const KEYS: usize = 64;

/// Quads that are compared together.
const QUADS: usize = 256;

/// Chained sets of an address that are looked through together; more are done one after the other, until a match makes
/// the rest needless.
const LINKS: usize = 32;

/// Keys of one family, by their numbers.
#[derive(Debug)]
pub(super) struct Wave<A> {
    ends: [(A, A); KEYS],
    numbers: [u8; KEYS],
    len: usize,
}

/// A quad for a probe: one of the two of a key.
#[derive(Clone, Copy, Debug, Default)]
struct Item {
    quad: u32,
    probe: u32,
}

/// What is kept of the keys between two steps.
struct Steps {
    /// Intervals of source and destination.
    intervals: [(u32, u32); KEYS],
    /// Of each key the probe of lists that are found by the source, and that by the destination.
    probes: [[Wide; 2]; KEYS],
    best: [Best; KEYS],
    items: [Item; QUADS],
    waiting: usize,
    /// Nodes that are to be looked at, with their probe.
    nodes: [(u32, u32); NODES],
    nodes_waiting: usize,
    /// Keys that have to be looked up one by one after all.
    alone: u64,
}

const NODES: usize = 256;

impl<A: Space> Wave<A> {
    pub(super) fn new() -> Self {
        Self { ends: [(A::FIRST, A::FIRST); KEYS], numbers: [0; KEYS], len: 0 }
    }

    /// Adds the key of this number.
    pub(super) fn push(&mut self, number: u8, source: A, destination: A) {
        if let (Some(ends), Some(place)) = (self.ends.get_mut(self.len), self.numbers.get_mut(self.len)) {
            (*ends, *place) = ((source, destination), number);
            self.len += 1;
        }
    }

    fn ends(&self) -> &[(A, A)] {
        self.ends.get(..self.len).unwrap_or_default()
    }

    fn numbers(&self) -> impl Iterator<Item = usize> {
        self.numbers.iter().take(self.len).map(|number| usize::from(*number))
    }
}

impl<A: Space> Index<A> {
    /// Looks up the keys of a wave. `ask` says whether a rule, by its number, matches a key.
    pub(super) fn first_of_wave(
        &self,
        wave: &Wave<A>,
        keys: &[Key],
        from: &[Position],
        out: &mut [Option<Match>],
        ask: impl Fn(u32, &Key) -> bool,
    ) {
        if wave.len == 0 {
            return;
        }
        let mut steps = Steps {
            intervals: [(0, 0); KEYS],
            probes: [[Wide::default(); 2]; KEYS],
            best: [Best::NONE; KEYS],
            items: [Item::default(); QUADS],
            waiting: 0,
            nodes: [(0, 0); NODES],
            nodes_waiting: 0,
            alone: 0,
        };
        self.fetch_maps(wave);
        self.rank(wave, &mut steps);
        let context = Context { wave, keys, from, ask };
        self.list(&context, &mut steps);
        self.flush(&context, &mut steps);
        for (at, (number, best)) in wave.numbers().zip(&steps.best).enumerate() {
            let Some(out) = out.get_mut(number) else { continue };
            *out = best.found();
            if steps.alone >> at & 1 != 0
                && let (Some(key), Some(from), Some(ends)) =
                    (keys.get(number), from.get(number), wave.ends.get(at))
            {
                *out = self.first(*ends, key, *from, |rule| (context.ask)(rule, key));
            }
        }
    }

    #[inline(never)]
    fn fetch_maps(&self, wave: &Wave<A>) {
        for (source, destination) in wave.ends() {
            self.source.map.fetch_first(*source);
            self.destination.map.fetch_first(*destination);
        }
        for (source, destination) in wave.ends() {
            self.source.map.fetch_second(*source);
            self.destination.map.fetch_second(*destination);
        }
    }

    #[inline(never)]
    fn rank(&self, wave: &Wave<A>, steps: &mut Steps) {
        for ((source, destination), intervals) in wave.ends().iter().zip(&mut steps.intervals) {
            *intervals = (self.source.map.rank(*source), self.destination.map.rank(*destination));
            self.source.fetch_slot(intervals.0);
            self.destination.fetch_slot(intervals.1);
        }
    }

    /// Finds the lists of each key.
    #[inline(never)]
    fn list<F: Fn(u32, &Key) -> bool>(&self, context: &Context<'_, A, F>, steps: &mut Steps) {
        for (at, number) in context.wave.numbers().enumerate() {
            let Some(key) = context.keys.get(number) else { continue };
            let (source, destination) = steps.intervals.get(at).copied().unwrap_or_default();
            let slots = (self.source.slot(source), self.destination.slot(destination));
            let fields = self.fields(key, source, destination);
            if let Some(probes) = steps.probes.get_mut(at) {
                *probes = fields.map(Wide::new);
            }
            let probe = 2 * at as u32;
            let cross = self.cross.list(slots.0.combination(), slots.1.combination(), key.protocol.0);
            self.push(context, steps, cross, probe);
            self.push(context, steps, slots.0.merged, probe);
            self.push(context, steps, slots.1.merged, probe + 1);
            if slots.0.is_chained() || slots.1.is_chained() {
                let chains = [self.source.chain(slots.0), self.destination.chain(slots.1)];
                for (links, probe) in chains.into_iter().zip(probe..) {
                    if links.len() > LINKS {
                        steps.alone |= 1 << at;
                    } else {
                        links.iter().for_each(|link| self.push(context, steps, link.list, probe));
                    }
                }
            }
        }
    }

    /// Puts a list among what is to be looked at.
    #[inline]
    fn push<F: Fn(u32, &Key) -> bool>(
        &self,
        context: &Context<'_, A, F>,
        steps: &mut Steps,
        list: ListRef,
        probe: u32,
    ) {
        match list.get() {
            List::Empty => {}
            List::Quads { first, count } => {
                if steps.waiting + count as usize > QUADS {
                    self.compare(context, steps);
                }
                for quad in first..first + count {
                    if let Some(quad) = self.forest.lists.quad(quad) {
                        fetch(quad);
                    }
                    if let Some(item) = steps.items.get_mut(steps.waiting) {
                        *item = Item { quad, probe };
                        steps.waiting += 1;
                    }
                }
            }
            List::Node(node) => match steps.nodes.get_mut(steps.nodes_waiting) {
                Some(place) => {
                    *place = (node, probe);
                    steps.nodes_waiting += 1;
                    if let Some(node) = self.forest.node(node) {
                        fetch(node);
                    }
                }
                None => steps.alone |= 1 << (probe / 2),
            },
            List::Long(_) => steps.alone |= 1 << (probe / 2),
        }
    }

    /// Looks at everything that is to be looked at.
    #[inline(never)]
    fn flush<F: Fn(u32, &Key) -> bool>(&self, context: &Context<'_, A, F>, steps: &mut Steps) {
        while steps.nodes_waiting > 0 {
            let (nodes, waiting) = (steps.nodes, steps.nodes_waiting);
            steps.nodes_waiting = 0;
            for (node, probe) in nodes.iter().take(waiting) {
                let wide = steps.probes.as_flattened().get(*probe as usize).copied().unwrap_or_default();
                let Some(node) = self.forest.node(*node) else { continue };
                let (below, stay) = node.children(&wide.fields());
                self.push(context, steps, below, *probe);
                self.push(context, steps, stay, *probe);
            }
        }
        self.compare(context, steps);
    }

    /// Compares the quads that wait.
    #[inline(never)]
    fn compare<F: Fn(u32, &Key) -> bool>(&self, context: &Context<'_, A, F>, steps: &mut Steps) {
        let mut hits = [(Hits::NONE, Item::default()); QUADS];
        let mut count = 0;
        for item in steps.items.iter().take(steps.waiting) {
            let wide = steps.probes.as_flattened().get(item.probe as usize);
            let (Some(quad), Some(wide)) = (self.forest.lists.quad(item.quad), wide) else { continue };
            let own = quad.hits(wide);
            if let Some(place) = hits.get_mut(count) {
                *place = (own, *item);
            }
            count += usize::from(own.any());
        }
        steps.waiting = 0;
        let hits = hits.get(..count).unwrap_or_default();
        for (_, item) in hits {
            if let Some(records) = self.forest.lists.records(item.quad) {
                fetch(records);
            }
        }
        for (own, item) in hits {
            self.resolve(context, steps, *own, *item);
        }
    }

    /// Takes the first of the lanes whose rule matches, if it is better than what there is.
    #[inline]
    fn resolve<F: Fn(u32, &Key) -> bool>(
        &self,
        context: &Context<'_, A, F>,
        steps: &mut Steps,
        hits: Hits,
        item: Item,
    ) {
        let at = (item.probe / 2) as usize;
        let number = context.wave.numbers.get(at).map_or(0, |number| usize::from(*number));
        let (source, destination) = steps.intervals.get(at).copied().unwrap_or_default();
        let other = if item.probe.is_multiple_of(2) { destination } else { source };
        let (Some(best), Some(key), Some(from), Some(records)) = (
            steps.best.get_mut(at),
            context.keys.get(number),
            context.from.get(number),
            self.forest.lists.records(item.quad),
        ) else {
            return;
        };
        for record in hits.filter_map(|lane| records.get(lane)) {
            let position = record.found.position;
            if best.is_before(position) {
                return;
            }
            if position >= *from && record.check.holds(other, |rule| (context.ask)(rule, key)) {
                return best.take(record.found);
            }
        }
    }
}

/// What does not change.
struct Context<'c, A, F> {
    wave: &'c Wave<A>,
    keys: &'c [Key],
    from: &'c [Position],
    ask: F,
}
