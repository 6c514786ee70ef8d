//! Many keys at once, step by step, so that each step's waits for memory overlap.
//!
//! Each step is a function of its own with a loop over all keys, or over all that the step before has found. Where what is
//! found differs from key to key, the loops write first and decide afterwards how far they have come: a branch that goes
//! one way for one key and the other way for the next costs more than the work that it saves.

use super::{
    Key, Match, Position,
    index::{Best, Index},
    list::{FIELDS, Fields, Hits, ListRef, Records, Wide},
    sides::Role,
    space::{Map, Space},
};
use crate::prefetch::fetch;

/// Keys that go through the steps together.
pub(super) const KEYS: usize = 64;

/// Each key is compared with lists that are found by its source, and with lists that are found by its destination.
const PROBES: usize = 2 * KEYS;

/// Quads that are compared together: enough for the merged lists of each key.
const QUADS: usize = KEYS * 2 * FEW;

/// The most quads of a list that is not long.
const FEW: usize = ListRef::FEW as usize;

/// Nodes that wait to be looked at.
const NODES: usize = 512;

/// Chained sets of an address that are looked through together; more are done one after the other, until a match makes
/// the rest needless.
const LINKS: usize = 32;

/// Keys of one family.
#[derive(Debug)]
pub(super) struct Wave<A> {
    ends: [(A, A); KEYS],
    /// All fields but that of the other end.
    fields: [Fields; KEYS],
    from: [Position; KEYS],
    /// Which of the keys they are.
    numbers: [u8; KEYS],
    len: usize,
}

/// The number of a quad or a node, and below it that of a probe: twice that of the key, and one more if the list is found
/// by the destination.
#[derive(Clone, Copy, Debug, Default)]
struct Item(u32);

/// What is kept of the keys between two steps.
struct Steps {
    /// Of each key where the search for source and destination is; at last their intervals.
    intervals: [u32; PROBES],
    fields: [Fields; PROBES],
    /// Where the crossed list is.
    cells: [u32; KEYS],
    best: [Best; KEYS],
    /// Quads to be compared.
    quads: [Item; QUADS],
    waiting: usize,
    /// Those of which a lane hit, with the lanes.
    found: [(Item, Hits); QUADS],
    /// Nodes to be looked at, from the first that was not yet.
    nodes: [Item; NODES],
    first_node: usize,
    nodes_waiting: usize,
    /// The chain that each end of each key lies in.
    chains: [u32; PROBES],
    /// Keys that have to be looked up one by one after all.
    alone: u64,
}

impl<A: Space> Wave<A> {
    /// Those of at most [`KEYS`] keys that are of this family.
    pub(super) fn new(keys: &[Key], from: &[Position]) -> Self {
        let mut wave = Self {
            ends: [(A::FIRST, A::FIRST); KEYS],
            fields: [[0; FIELDS]; KEYS],
            from: [Position::START; KEYS],
            numbers: [0; KEYS],
            len: 0,
        };
        for ((number, key), start) in (0u8..).zip(keys).zip(from) {
            if let (Some(source), Some(destination)) = (A::of(key.source), A::of(key.destination))
                && let (Some(ends), Some(fields), Some(from), Some(place)) = (
                    wave.ends.get_mut(wave.len),
                    wave.fields.get_mut(wave.len),
                    wave.from.get_mut(wave.len),
                    wave.numbers.get_mut(wave.len),
                )
            {
                (*ends, *from, *place) = ((source, destination), *start, number);
                *fields = [0, key.source_port, key.destination_port, key.protocol.0.into()];
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

    /// The number among all keys.
    fn number(&self, at: usize) -> usize {
        self.numbers.get(at % KEYS).copied().unwrap_or_default().into()
    }
}

impl Item {
    const PROBE: u32 = PROBES.ilog2();

    fn new(index: u32, probe: u32) -> Self {
        Self(index << Self::PROBE | probe)
    }

    fn index(self) -> u32 {
        self.0 >> Self::PROBE
    }

    fn probe(self) -> usize {
        self.0 as usize % PROBES
    }
}

impl Steps {
    /// Puts a list among what is to be looked at.
    #[inline]
    fn push(&mut self, list: ListRef, probe: u32) {
        if list.is_quads() {
            let quads = self.quads.get_mut(self.waiting..).and_then(|rest| rest.first_chunk_mut::<FEW>());
            let Some(quads) = quads else { return self.alone(probe) };
            let first = Item::new(list.index(), probe).0;
            *quads = std::array::from_fn(|at| Item(first.wrapping_add((at as u32) << Item::PROBE)));
            self.waiting += list.count() as usize;
        } else {
            self.push_node(list, probe);
        }
    }

    fn push_node(&mut self, list: ListRef, probe: u32) {
        match self.nodes.get_mut(self.nodes_waiting) {
            Some(place) if list.is_node() => {
                *place = Item::new(list.index(), probe);
                self.nodes_waiting += 1;
            }
            _ => self.alone(probe),
        }
    }

    /// Has the probe's key looked up alone, for which there is always room.
    fn alone(&mut self, probe: u32) {
        self.alone |= 1 << (probe / 2);
    }

    /// Whether there may be no room for two more lists.
    fn is_full(&self) -> bool {
        self.waiting + 2 * FEW > QUADS || self.nodes_waiting == NODES
    }

    fn fields(&self, item: Item) -> Fields {
        self.fields.get(item.probe()).copied().unwrap_or_default()
    }
}

/// What does not change.
struct Context<'c, A, F> {
    wave: &'c Wave<A>,
    keys: &'c [Key],
    ask: F,
}

impl<A: Space> Index<A> {
    /// Looks up the keys of a wave. `ask` says whether a rule, by its number, matches a key.
    pub(super) fn first_of_wave(
        &self,
        wave: &Wave<A>,
        keys: &[Key],
        out: &mut [Option<Match>],
        ask: impl Fn(u32, &Key) -> bool,
    ) {
        let mut steps = Steps {
            intervals: [0; PROBES],
            fields: [[0; FIELDS]; PROBES],
            cells: [0; KEYS],
            best: [Best::NONE; KEYS],
            quads: [Item::default(); QUADS],
            waiting: 0,
            found: [(Item::default(), Hits::default()); QUADS],
            nodes: [Item::default(); NODES],
            first_node: 0,
            nodes_waiting: 0,
            chains: [0; PROBES],
            alone: 0,
        };
        let context = Context { wave, keys, ask };
        self.find_intervals(wave, &mut steps);
        self.find_lists(&context, &mut steps);
        self.look(&context, &mut steps);
        if self.source.has_chains || self.destination.has_chains {
            self.find_chains(&context, &mut steps);
        }
        self.find_crossed(wave.len, &mut steps);
        self.look(&context, &mut steps);
        for (at, best) in steps.best.iter().enumerate().take(wave.len) {
            if let Some(out) = out.get_mut(wave.number(at)) {
                *out = best.found();
            }
        }
        for at in (0..KEYS).filter(|at| steps.alone >> at & 1 != 0) {
            let number = wave.number(at);
            if let (Some(ends), Some(key), Some(from), Some(out)) =
                (wave.ends.get(at), keys.get(number), wave.from.get(at), out.get_mut(number))
            {
                *out = self.first(*ends, key, *from, |rule| (context.ask)(rule, key));
            }
        }
    }

    #[inline(never)]
    fn find_intervals(&self, wave: &Wave<A>, steps: &mut Steps) {
        let (sources, destinations) = (&self.source.map, &self.destination.map);
        let (pairs, _) = steps.intervals.as_chunks_mut::<2>();
        for ((source, destination), at) in wave.ends().iter().zip(&mut *pairs) {
            *at = [sources.begin(*source), destinations.begin(*destination)];
        }
        for ((source, destination), at) in wave.ends().iter().zip(&mut *pairs) {
            *at = [sources.step(at[0], *source), destinations.step(at[1], *destination)];
        }
        for ((source, destination), at) in wave.ends().iter().zip(&mut *pairs) {
            *at = [sources.finish(at[0], *source), destinations.finish(at[1], *destination)];
            self.source.fetch_slot(at[0]);
            self.destination.fetch_slot(at[1]);
        }
    }

    /// Finds the merged and chained lists of each key.
    #[inline(never)]
    fn find_lists<F: Fn(u32, &Key) -> bool>(&self, context: &Context<'_, A, F>, steps: &mut Steps) {
        for (at, fields) in context.wave.fields.iter().enumerate().take(context.wave.len) {
            let [source, destination] = steps.intervals.as_chunks().0.get(at).copied().unwrap_or_default();
            let slots = (self.source.slot(source), self.destination.slot(destination));
            let [_, source_port, destination_port, protocol] = *fields;
            if let Some(place) = steps.fields.as_chunks_mut().0.get_mut(at) {
                *place = [destination >> self.destination.shift, source >> self.source.shift]
                    .map(|other| [other as u16, source_port, destination_port, protocol]);
            }
            let probe = 2 * at as u32;
            if let Some(place) = steps.cells.get_mut(at) {
                *place = self.cross.cell(slots.0.combination(), slots.1.combination(), protocol as u8);
            }
            steps.push(slots.0.merged, probe);
            steps.push(slots.1.merged, probe + 1);
            if self.source.has_chains || self.destination.has_chains {
                let chains = [slots.0.chain(), slots.1.chain()];
                if let Some(place) = steps.chains.as_chunks_mut().0.get_mut(at) {
                    *place = chains;
                }
                self.source.fetch_chain(chains[0]);
                self.destination.fetch_chain(chains[1]);
            }
        }
    }

    /// Finds the crossed lists of those keys for which they may hold something better. Mostly these are the rules of the
    /// greatest reach, which stand last.
    #[inline(never)]
    fn find_crossed(&self, keys: usize, steps: &mut Steps) {
        for at in 0..keys.min(KEYS) {
            let (Some(cell), Some(best)) = (steps.cells.get(at), steps.best.get(at)) else { continue };
            let link = self.cross.list(*cell);
            if !best.is_before(link.first) {
                steps.push(link.list, 2 * at as u32);
            }
        }
    }

    /// Finds the lists of the chained sets that may hold something better. Mostly there is none.
    #[inline(never)]
    fn find_chains<F: Fn(u32, &Key) -> bool>(&self, context: &Context<'_, A, F>, steps: &mut Steps) {
        for at in 0..context.wave.len.min(KEYS) {
            let [source, destination] = steps.chains.as_chunks().0.get(at).copied().unwrap_or_default();
            let first = self.source.first_of(source).min(self.destination.first_of(destination));
            if !steps.best.get(at).is_some_and(|best| best.is_before(first)) {
                self.follow(context, steps, at, [source, destination]);
            }
        }
    }

    /// Finds the lists of two chains that may hold something better for a key.
    #[inline(never)]
    fn follow<F: Fn(u32, &Key) -> bool>(
        &self,
        context: &Context<'_, A, F>,
        steps: &mut Steps,
        at: usize,
        [source, destination]: [u32; 2],
    ) {
        let chains = [self.source.links(source), self.destination.links(destination)];
        if chains.iter().any(|links| links.len() > LINKS) {
            steps.alone |= 1 << at;
            return;
        }
        for (links, probe) in chains.into_iter().zip(2 * at as u32..) {
            for link in links {
                if steps.best.get(at).is_some_and(|best| best.is_before(link.first)) {
                    break;
                }
                if steps.is_full() {
                    self.look(context, steps);
                }
                steps.push(link.list, probe);
            }
        }
    }

    /// Looks at everything that is to be looked at.
    #[inline(never)]
    fn look<F: Fn(u32, &Key) -> bool>(&self, context: &Context<'_, A, F>, steps: &mut Steps) {
        self.fetch_quads(steps, 0);
        for item in steps.nodes.iter().take(steps.nodes_waiting) {
            if let Some(node) = self.forest.node(item.index()) {
                fetch(node);
            }
        }
        while steps.first_node < steps.nodes_waiting {
            let (from, until) = (steps.waiting, steps.nodes_waiting);
            while steps.first_node < until {
                if steps.waiting + 2 * FEW > QUADS {
                    self.compare(context, steps);
                }
                let item = steps.nodes.get(steps.first_node).copied().unwrap_or_default();
                steps.first_node += 1;
                if let Some(node) = self.forest.node(item.index()) {
                    let (below, stay) = node.children(&steps.fields(item));
                    let probe = item.probe() as u32;
                    steps.push(below, probe);
                    steps.push(stay, probe);
                }
            }
            self.fetch_quads(steps, from);
        }
        (steps.first_node, steps.nodes_waiting) = (0, 0);
        self.compare(context, steps);
    }

    fn fetch_quads(&self, steps: &Steps, from: usize) {
        for item in steps.quads.get(from..steps.waiting).unwrap_or_default() {
            if let Some(quad) = self.forest.lists.quad(item.index()) {
                fetch(quad);
            }
        }
    }

    /// Compares the quads that wait.
    #[inline(never)]
    fn compare<F: Fn(u32, &Key) -> bool>(&self, context: &Context<'_, A, F>, steps: &mut Steps) {
        let Steps { quads, waiting, found, fields, intervals, best, .. } = steps;
        let lists = &self.forest.lists;
        let mut count = 0;
        for item in quads.iter().take(*waiting) {
            let fields = fields.get(item.probe()).copied().unwrap_or_default();
            let Some(quad) = lists.quad(item.index()) else { continue };
            let hits = quad.hits(&Wide::new(fields));
            if let Some(place) = found.get_mut(count) {
                *place = (*item, hits);
            }
            count += usize::from(hits.any());
        }
        *waiting = 0;
        for (item, _) in found.iter().take(count) {
            if let Some(records) = lists.records(item.index()) {
                fetch(records);
            }
        }
        for (item, hits) in found.iter().take(count) {
            let (Some(records), Some(other), Some(best), Some(from)) = (
                lists.records(item.index()),
                intervals.get(item.probe() ^ 1),
                best.get_mut(item.probe() / 2),
                context.wave.from.get(item.probe() / 2),
            ) else {
                continue;
            };
            let record = records.lane(hits.first());
            if record.check.lies_in(*other) & (record.found.position >= *from) {
                // Those behind are no better.
                *best = best.or(record.found);
            } else {
                *best = self.next_of(context, *item, *hits, records, *other, *best);
            }
        }
    }

    /// The same when the first lane that hits is not what it seemed, or its rule has to be asked.
    #[cold]
    fn next_of<F: Fn(u32, &Key) -> bool>(
        &self,
        context: &Context<'_, A, F>,
        item: Item,
        hits: Hits,
        records: &Records,
        other: u32,
        best: Best,
    ) -> Best {
        let at = item.probe() / 2;
        let (Some(from), Some(key)) = (context.wave.from.get(at), context.keys.get(context.wave.number(at)))
        else {
            return best;
        };
        let home = if item.probe().is_multiple_of(2) { Role::Source } else { Role::Destination };
        for lane in hits {
            let record = records.lane(lane);
            if best.is_before(record.found.position) {
                break;
            }
            let ask = |rule, bit| self.may_hold(home, other, bit) && (context.ask)(rule, key);
            if record.found.position >= *from && record.check.holds(other, ask) {
                return best.or(record.found);
            }
        }
        best
    }
}
