//! Many keys at once, step by step, so that each step's waits for memory overlap.
//!
//! Each step is a function of its own with a loop over all keys, or over all that the step before has found. Where what is
//! found differs from key to key, the loops write first and decide afterwards how far they have come: a branch that goes
//! one way for one key and the other way for the next costs more than the work that it saves.

use super::{
    Key, Match, Position,
    index::{Best, Index, Link},
    list::{Fields, Hits, ListRef, Wide},
    space::{Map, Space},
};
use crate::prefetch::fetch;

/// Keys that go through the steps together.
pub(super) const KEYS: usize = 64;

/// Quads that are compared together: enough for the three lists of each key.
const QUADS: usize = KEYS * 3 * ListRef::FEW as usize;

/// Nodes that wait to be looked at.
const NODES: usize = 512;

/// Chained sets of an address that are looked through together; more are done one after the other, until a match makes
/// the rest needless.
const LINKS: usize = 32;

/// Keys of one family.
#[derive(Debug)]
pub(super) struct Wave<A> {
    ends: [(A, A); KEYS],
    /// Which of the keys they are.
    numbers: [u8; KEYS],
    len: usize,
}

/// A quad, or a node, and a probe: one of the two of a key.
#[derive(Clone, Copy, Debug, Default)]
struct Item {
    index: u32,
    probe: u32,
}

/// What is kept of the keys between two steps.
struct Steps {
    /// Where the search for source and destination is; at last their intervals.
    intervals: [(u32, u32); KEYS],
    /// Of each key the probe of lists that are found by the source, and that by the destination.
    fields: [[Fields; 2]; KEYS],
    best: [Best; KEYS],
    /// Quads to be compared.
    quads: [Item; QUADS],
    waiting: usize,
    /// Nodes to be looked at, from the first that was not yet.
    nodes: [Item; NODES],
    first_node: usize,
    nodes_waiting: usize,
    /// Keys that have to be looked up one by one after all.
    alone: u64,
}

impl<A: Space> Wave<A> {
    /// Those of at most [`KEYS`] keys that are of this family.
    pub(super) fn new(keys: &[Key]) -> Self {
        let mut wave = Self { ends: [(A::FIRST, A::FIRST); KEYS], numbers: [0; KEYS], len: 0 };
        for (number, key) in (0u8..).zip(keys) {
            if let (Some(source), Some(destination)) = (A::of(key.source), A::of(key.destination))
                && let (Some(ends), Some(place)) =
                    (wave.ends.get_mut(wave.len), wave.numbers.get_mut(wave.len))
            {
                (*ends, *place) = ((source, destination), number);
                wave.len += 1;
            }
        }
        wave
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn ends(&self) -> &[(A, A)] {
        self.ends.get(..self.len).unwrap_or_default()
    }

    fn numbers(&self) -> impl Iterator<Item = usize> {
        self.numbers.iter().take(self.len).map(|number| usize::from(*number))
    }
}

impl Steps {
    /// Puts a list among what is to be looked at. If there is no room, the key is looked up alone.
    #[inline]
    fn push(&mut self, list: ListRef, probe: u32) {
        let places = self.quads.get_mut(self.waiting..).and_then(|rest| rest.first_chunk_mut());
        let places: Option<&mut [Item; ListRef::FEW as usize]> = places;
        let node = self.nodes.get_mut(self.nodes_waiting);
        match (places, node) {
            (Some(places), Some(node)) if !list.is_long() => {
                for (place, index) in places.iter_mut().zip(list.index()..) {
                    *place = Item { index, probe };
                }
                *node = Item { index: list.index(), probe };
                self.waiting += list.count() as usize;
                self.nodes_waiting += usize::from(list.is_node());
            }
            _ => self.alone |= 1 << (probe / 2),
        }
    }

    /// Whether there may be no room for two more lists.
    fn is_full(&self) -> bool {
        self.waiting + 2 * ListRef::FEW as usize > QUADS
    }
}

/// What does not change.
struct Context<'c, A, F> {
    wave: &'c Wave<A>,
    keys: &'c [Key],
    from: &'c [Position],
    ask: F,
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
        let mut steps = Steps {
            intervals: [(0, 0); KEYS],
            fields: [[[0; 4]; 2]; KEYS],
            best: [Best::NONE; KEYS],
            quads: [Item::default(); QUADS],
            waiting: 0,
            nodes: [Item::default(); NODES],
            first_node: 0,
            nodes_waiting: 0,
            alone: 0,
        };
        let context = Context { wave, keys, from, ask };
        self.find_intervals(wave, &mut steps);
        self.find_lists(&context, &mut steps);
        self.look(&context, &mut steps);
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
    fn find_intervals(&self, wave: &Wave<A>, steps: &mut Steps) {
        let (sources, destinations) = (&self.source.map, &self.destination.map);
        for (source, destination) in wave.ends() {
            sources.fetch(*source);
            destinations.fetch(*destination);
        }
        for ((source, destination), at) in wave.ends().iter().zip(&mut steps.intervals) {
            *at = (sources.begin(*source), destinations.begin(*destination));
        }
        for ((source, destination), at) in wave.ends().iter().zip(&mut steps.intervals) {
            *at = (sources.step(at.0, *source), destinations.step(at.1, *destination));
        }
        for ((source, destination), at) in wave.ends().iter().zip(&mut steps.intervals) {
            *at = (sources.finish(at.0, *source), destinations.finish(at.1, *destination));
            self.source.fetch_slot(at.0);
            self.destination.fetch_slot(at.1);
        }
    }

    /// Finds the lists of each key.
    #[inline(never)]
    fn find_lists<F: Fn(u32, &Key) -> bool>(&self, context: &Context<'_, A, F>, steps: &mut Steps) {
        let mut chained: u64 = 0;
        for (at, number) in context.wave.numbers().enumerate() {
            let Some(key) = context.keys.get(number) else { continue };
            let (source, destination) = steps.intervals.get(at).copied().unwrap_or_default();
            let slots = (self.source.slot(source), self.destination.slot(destination));
            if let Some(place) = steps.fields.get_mut(at) {
                *place = self.fields(key, source, destination);
            }
            let probe = 2 * at as u32;
            let cross = self.cross.list(slots.0.combination(), slots.1.combination(), key.protocol.0);
            steps.push(slots.0.merged, probe);
            steps.push(slots.1.merged, probe + 1);
            steps.push(cross, probe);
            chained |= u64::from(slots.0.is_chained() || slots.1.is_chained()) << at;
        }
        if chained != 0 {
            self.find_chains(context, steps, chained);
        }
    }

    /// Finds the lists of chained sets of those keys that have any.
    #[inline(never)]
    fn find_chains<F: Fn(u32, &Key) -> bool>(
        &self,
        context: &Context<'_, A, F>,
        steps: &mut Steps,
        chained: u64,
    ) {
        for at in (0..KEYS).filter(|at| chained >> at & 1 != 0) {
            let (source, destination) = steps.intervals.get(at).copied().unwrap_or_default();
            let slots = (self.source.slot(source), self.destination.slot(destination));
            let chains: [&[Link]; 2] = [self.source.chain(slots.0), self.destination.chain(slots.1)];
            if chains.iter().any(|links| links.len() > LINKS) {
                steps.alone |= 1 << at;
                continue;
            }
            for (links, probe) in chains.into_iter().zip(2 * at as u32..) {
                for link in links {
                    if steps.is_full() || steps.nodes_waiting == NODES {
                        self.look(context, steps);
                    }
                    steps.push(link.list, probe);
                }
            }
        }
    }

    /// Looks at everything that is to be looked at.
    #[inline(never)]
    fn look<F: Fn(u32, &Key) -> bool>(&self, context: &Context<'_, A, F>, steps: &mut Steps) {
        self.fetch_quads(steps, 0);
        for node in steps.nodes.iter().take(steps.nodes_waiting) {
            if let Some(node) = self.forest.node(node.index) {
                fetch(node);
            }
        }
        while steps.first_node < steps.nodes_waiting {
            let from = steps.waiting;
            let until = steps.nodes_waiting;
            while steps.first_node < until {
                if steps.is_full() {
                    self.compare(context, steps);
                }
                let item = steps.nodes.get(steps.first_node).copied().unwrap_or_default();
                steps.first_node += 1;
                let fields =
                    steps.fields.as_flattened().get(item.probe as usize).copied().unwrap_or_default();
                if let Some(node) = self.forest.node(item.index) {
                    let (below, stay) = node.children(&fields);
                    steps.push(below, item.probe);
                    steps.push(stay, item.probe);
                }
            }
            self.fetch_quads(steps, from);
        }
        (steps.first_node, steps.nodes_waiting) = (0, 0);
        self.compare(context, steps);
    }

    fn fetch_quads(&self, steps: &Steps, from: usize) {
        for item in steps.quads.get(from..steps.waiting).unwrap_or_default() {
            if let Some(quad) = self.forest.lists.quad(item.index) {
                fetch(quad);
            }
        }
    }

    /// Compares the quads that wait.
    #[inline(never)]
    fn compare<F: Fn(u32, &Key) -> bool>(&self, context: &Context<'_, A, F>, steps: &mut Steps) {
        // Where a lane hits, the item stays, with the hits above its probe.
        let mut count = 0;
        for at in 0..steps.waiting {
            let Some(item) = steps.quads.get(at).copied() else { continue };
            let fields = steps.fields.as_flattened().get(item.probe as usize);
            let (Some(quad), Some(fields)) = (self.forest.lists.quad(item.index), fields) else { continue };
            let hits = quad.hits(&Wide::new(*fields));
            if let Some(place) = steps.quads.get_mut(count) {
                *place = Item { index: item.index, probe: item.probe | hits.bits() << PROBE };
            }
            count += usize::from(hits.any());
        }
        steps.waiting = 0;
        for item in steps.quads.iter().take(count) {
            if let Some(records) = self.forest.lists.records(item.index) {
                fetch(records);
            }
        }
        for at in 0..count {
            if let Some(item) = steps.quads.get(at).copied() {
                self.resolve(context, steps, item);
            }
        }
    }

    /// Takes the first of the lanes whose rule matches, if it is better than what there is.
    #[inline]
    fn resolve<F: Fn(u32, &Key) -> bool>(&self, context: &Context<'_, A, F>, steps: &mut Steps, item: Item) {
        let (probe, hits) = (item.probe & ((1 << PROBE) - 1), Hits::from_bits(item.probe >> PROBE));
        let at = (probe / 2) as usize;
        let number = context.wave.numbers.get(at).map_or(0, |number| usize::from(*number));
        let (source, destination) = steps.intervals.get(at).copied().unwrap_or_default();
        let other = if probe.is_multiple_of(2) { destination } else { source };
        let (Some(best), Some(key), Some(from), Some(records)) = (
            steps.best.get_mut(at),
            context.keys.get(number),
            context.from.get(number),
            self.forest.lists.records(item.index),
        ) else {
            return;
        };
        for record in hits.filter_map(|lane| records.0.get(lane)) {
            let asks = |rule| !best.is_before(record.found.position) && (context.ask)(rule, key);
            let holds = record.check.holds(other, asks) & (record.found.position >= *from);
            *best = best.or(record.found, holds);
            // Those behind are no better.
            if holds {
                return;
            }
        }
    }
}

/// Bits of a probe's number.
const PROBE: u32 = 8;
