use std::{array, mem, sync::Arc};

use super::{
    node::{self, Form, Found, Level},
    runs::Run,
    table::ARC,
    wave::{WAVE, Wave},
};
use crate::{hash::FlowHasher, prefetch::fetch, threat::lanes};

/// Values of addresses of IPv6 whose first 32 bits longer prefixes have, too. A copy shares what is not changed in either.
///
/// These 32 bits are the key of a hash table; the hash is keyed, so that nobody can choose prefixes that share a bucket. Behind a bucket
/// are the nodes of its keys.
#[derive(Clone, Debug)]
pub(super) struct Longer {
    groups: Arc<[Arc<Group>]>,
    hasher: FlowHasher,
    /// Keys.
    len: usize,
}

/// Buckets that are copied together.
#[derive(Clone, Debug)]
struct Group {
    buckets: [Bucket; GROUP],
    /// Keys that have no room in their buckets: the number of the bucket, the key, and its node.
    crowd: Vec<(usize, u32, Arc<[u16]>)>,
}

const GROUP: usize = 64;

/// A cache line.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
struct Bucket {
    keys: [u32; KEYS],
    /// Where the node of each key is: behind the first word; and 0 where there is no key. If a key of this bucket is in the crowd,
    /// what is left over repeats the first key.
    places: [u16; KEYS],
    words: Arc<[u16]>,
}

const KEYS: usize = 8;

/// The levels below a key.
const LEVELS: [Level; 6] = [list(80), list(64), list(48), list(32), list(16), list(0)];

const fn list(behind: u32) -> Level {
    Level { behind, form: Form::List(16) }
}

/// The first 32 bits.
#[inline]
pub(super) const fn key(address: u128) -> u32 {
    (address >> 96) as u32
}

/// A key with its node, and the bucket that they belong to.
type Entry<'n> = (usize, u32, &'n [u16]);

impl Longer {
    /// Keys for each bucket, on average: at the most, when there have become more or fewer buckets, and at the least.
    const EACH: [usize; 3] = [5, 4, 1];

    pub(super) fn new() -> Self {
        Self { groups: Arc::new([]), hasher: FlowHasher::random(), len: 0 }
    }

    /// The value, if longer prefixes have the same key.
    pub(super) fn find(&self, address: u128) -> Option<u16> {
        let home = self.home(key(address));
        let (words, at) = self.bucket(home)?.node(key(address)).or_else(|| self.crowd(home, key(address)))?;
        Some(finish(words, at, address))
    }

    /// The same for at most [`WAVE`] addresses, step by step, so that the waits for memory of all of them overlap. Returns the keys that no
    /// longer prefixes have.
    pub(super) fn find_wave(&self, addresses: &[u128], values: &mut [u16]) -> Wave<u32> {
        let mut buckets = [(0, None); WAVE];
        for (address, bucket) in addresses.iter().zip(&mut buckets) {
            let home = self.home(key(*address));
            *bucket = (home, self.bucket(home));
            bucket.1.map(fetch);
        }
        let (mut nodes, mut rest) = ([(&[][..], 0); WAVE], Wave::new());
        for (number, ((address, (home, bucket)), node)) in
            (0..).zip(addresses.iter().zip(buckets).zip(&mut nodes))
        {
            let key = key(*address);
            let Some((words, at)) =
                bucket.and_then(|bucket| bucket.node(key).or_else(|| self.crowd(home, key)))
            else {
                rest.push(key, number);
                continue;
            };
            *node = (words, at);
            words.get(at).map(fetch);
        }
        for ((address, (words, at)), value) in addresses.iter().zip(nodes).zip(values) {
            *value = finish(words, at, *address);
        }
        rest
    }

    /// Which bucket a key belongs to.
    #[inline]
    fn home(&self, key: u32) -> usize {
        let hash = self.hasher.hash(&[key.into()]);
        ((u128::from(hash) * (self.groups.len() * GROUP) as u128) >> 64) as usize
    }

    #[inline]
    fn bucket(&self, home: usize) -> Option<&Bucket> {
        self.groups.get(home / GROUP)?.buckets.get(home % GROUP)
    }

    /// The node of a key that is not in its bucket.
    #[inline]
    fn crowd(&self, home: usize, key: u32) -> Option<(&[u16], usize)> {
        if !self.bucket(home)?.is_crowded() {
            return None;
        }
        let crowd = &self.groups.get(home / GROUP)?.crowd;
        let (.., words) = crowd.iter().find(|(_, other, _)| *other == key)?;
        Some((words, 0))
    }

    /// Sets what is said below keys, which differ; or nothing any more.
    pub(super) fn set(&mut self, nodes: impl IntoIterator<Item = (u32, Option<Vec<Run>>)>) {
        let mut changed: Vec<(usize, u32, Option<Vec<u16>>)> = Vec::new();
        for (key, runs) in nodes {
            let node = runs.map(|runs| {
                let mut node = Vec::new();
                node::encode(&runs, &LEVELS, &mut node);
                node
            });
            self.len += usize::from(node.is_some());
            self.len -= usize::from(self.has(key));
            changed.push((0, key, node));
        }
        self.resize();
        changed.iter_mut().for_each(|(home, key, _)| *home = self.home(*key));
        changed.sort_unstable_by_key(|(home, ..)| *home);
        let groups = Arc::make_mut(&mut self.groups);
        for changed in changed.chunk_by(|(one, ..), (other, ..)| one == other) {
            let Some((home, ..)) = changed.first() else { continue };
            let Some(group) = groups.get_mut(home / GROUP).map(Arc::make_mut) else { continue };
            let new = changed.iter().filter_map(|(home, key, node)| Some((*home, *key, node.as_deref()?)));
            group.replace(*home, |key| changed.iter().any(|(_, other, _)| *other == key), new);
        }
    }

    fn has(&self, key: u32) -> bool {
        let home = self.home(key);
        self.bucket(home).is_some_and(|bucket| bucket.node(key).is_some()) || self.crowd(home, key).is_some()
    }

    /// Has as many buckets as the keys need.
    fn resize(&mut self) {
        let [most, usual, least] = Self::EACH;
        let has = self.groups.len() * GROUP;
        if (least * has.saturating_sub(GROUP)..=most * has).contains(&self.len) {
            return;
        }
        let empty = Group { buckets: array::from_fn(|_| Bucket::default()), crowd: Vec::new() };
        let groups = (0..self.len.div_ceil(usual * GROUP)).map(|_| Arc::new(empty.clone())).collect();
        let old = mem::replace(&mut self.groups, groups);
        let entries = old.iter().flat_map(|group| group.entries());
        let mut entries: Vec<Entry<'_>> = entries.map(|(key, node)| (self.home(key), key, node)).collect();
        entries.sort_unstable_by_key(|(home, ..)| *home);
        let groups = Arc::make_mut(&mut self.groups);
        for entries in entries.chunk_by(|(one, ..), (other, ..)| one == other) {
            let Some((home, ..)) = entries.first() else { continue };
            let Some(group) = groups.get_mut(home / GROUP).map(Arc::make_mut) else { continue };
            group.replace(*home, |_| false, entries.iter().copied());
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.groups.iter().map(|group| size_of::<Arc<Group>>() + ARC + group.bytes()).sum()
    }
}

impl Group {
    /// Gives a bucket `new` entries, besides those that it has of keys that have not changed.
    fn replace<'n>(
        &mut self,
        home: usize,
        changed: impl Fn(u32) -> bool,
        new: impl Iterator<Item = Entry<'n>>,
    ) {
        let Some(bucket) = self.buckets.get_mut(home % GROUP) else { return };
        let crowd: Vec<_> = self.crowd.extract_if(.., |(of, ..)| *of == home % GROUP).collect();
        let old = mem::take(bucket);
        let old = old.nodes().into_iter().chain(crowd.iter().map(|(_, key, node)| (*key, &**node)));
        let mut nodes: Vec<(u32, &[u16])> = old.filter(|(key, _)| !changed(*key)).collect();
        nodes.extend(new.map(|(_, key, node)| (key, node)));
        // The longest last, so that whole lines can be read from most.
        nodes.sort_by_key(|(_, node)| node.len());
        let left_over = bucket.fill(&nodes);
        self.crowd.extend(left_over.iter().map(|(key, node)| (home % GROUP, *key, Arc::from(*node))));
    }

    fn entries(&self) -> impl Iterator<Item = (u32, &[u16])> {
        let here = self.buckets.iter().flat_map(Bucket::nodes);
        here.chain(self.crowd.iter().map(|(_, key, node)| (*key, &**node)))
    }

    fn bytes(&self) -> usize {
        let words = self.buckets.iter().map(|bucket| &bucket.words).filter(|words| !words.is_empty());
        let words = words.chain(self.crowd.iter().map(|(.., node)| node));
        let crowd = self.crowd.capacity() * size_of::<(usize, u32, Arc<[u16]>)>();
        size_of::<Self>() + crowd + words.map(|words| ARC + size_of_val(&**words)).sum::<usize>()
    }
}

impl Bucket {
    /// Fills it, which is empty, and returns what there is no room for.
    fn fill<'s, 'n>(&mut self, nodes: &'s [(u32, &'n [u16])]) -> &'s [(u32, &'n [u16])] {
        let Some((first, _)) = nodes.first() else { return &[] };
        let mut words = vec![0];
        let mut filled = 0;
        let mut slots = self.keys.iter_mut().zip(&mut self.places);
        for ((key, node), (key_slot, place_slot)) in nodes.iter().zip(&mut slots) {
            let Ok(place) = u16::try_from(words.len()) else { break };
            (*key_slot, *place_slot) = (*key, place);
            words.extend_from_slice(node);
            filled += 1;
        }
        let left_over = nodes.get(filled..).unwrap_or_default();
        if !left_over.is_empty() {
            let slots = self.keys.iter_mut().zip(&mut self.places).skip(filled);
            slots.for_each(|(key_slot, place_slot)| (*key_slot, *place_slot) = (*first, 1));
        }
        let last = self.places.get(filled - 1).copied().unwrap_or_default();
        words.resize(words.len().max(usize::from(last) + node::LINE), 0);
        self.words = words.into();
        left_over
    }

    /// Whether keys of this bucket may be in the crowd.
    #[inline]
    fn is_crowded(&self) -> bool {
        let [.., last] = self.places;
        last != 0
    }

    /// The words with the node of a key, and where it is.
    #[inline]
    fn node(&self, key: u32) -> Option<(&[u16], usize)> {
        // Where there is no key, it seems to be 0; then the place is 0.
        let slot = lanes::equal(&self.keys, key).trailing_zeros() as usize;
        let place = self.places.get(slot).copied().filter(|place| *place != 0)?;
        Some((&self.words, place.into()))
    }

    /// Its keys with their nodes.
    fn nodes(&self) -> Vec<(u32, &[u16])> {
        let mut before = 0;
        let keys = self.keys.iter().zip(&self.places);
        let keys = keys.take_while(|(_, place)| **place > mem::replace(&mut before, **place));
        let keys: Vec<(u32, usize)> = keys.map(|(key, place)| (*key, usize::from(*place))).collect();
        let ends = keys.iter().skip(1).map(|(_, place)| *place).chain([self.words.len()]);
        let node = |place: usize, end: usize| self.words.get(place..end).unwrap_or_default();
        keys.iter().zip(ends).map(|((key, place), end)| (*key, node(*place, end))).collect()
    }
}

#[inline]
fn finish(words: &[u16], mut at: usize, address: u128) -> u16 {
    for level in LEVELS {
        match node::find_in_list(words, at, (address >> level.behind) as u16) {
            Found::Value(value) => return value,
            Found::Further(next) => at = next,
        }
    }
    0
}
