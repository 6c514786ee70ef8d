use std::{array, mem, sync::Arc};

use super::{
    node::{self, Form, Found, Level},
    runs::Run,
    table::ARC,
};
use crate::{hash::FlowHasher, threat::lanes};

/// Values of addresses of IPv6 that begin with 32 bits with which longer prefixes begin, too. A copy shares what is not changed in either.
///
/// These 32 bits are the key of a hash table; the hash is keyed, so that nobody can choose prefixes that share a bucket. A bucket has
/// the nodes of its keys.
#[derive(Clone, Debug)]
pub(super) struct Longer {
    groups: Arc<[Group]>,
    hasher: FlowHasher,
    /// Keys.
    len: usize,
}

/// Buckets that are copied together.
type Group = Arc<[Bucket; GROUP]>;
const GROUP: usize = 64;

#[derive(Clone, Debug, Default)]
struct Bucket {
    keys: [u32; KEYS],
    /// Where the node of each key is: behind the first word, and 0 where there is no key.
    places: [u32; KEYS],
    words: Arc<[u16]>,
    /// What there is no room for.
    more: Option<Arc<Bucket>>,
}

const KEYS: usize = 8;
/// Keys for each bucket, at most, on average.
const EACH: usize = 4;

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

impl Longer {
    pub(super) fn new() -> Self {
        Self { groups: Arc::new([]), hasher: FlowHasher::random(), len: 0 }
    }

    /// The value, if longer prefixes have the same key.
    pub(super) fn find(&self, address: u128) -> Option<u16> {
        let (words, at) = self.bucket(self.home(key(address)))?.node(key(address))?;
        Some(finish(words, at, address))
    }

    /// Which bucket a key belongs to.
    #[inline]
    fn home(&self, key: u32) -> usize {
        let hash = self.hasher.hash(&[key.into()]);
        ((u128::from(hash) * (self.groups.len() * GROUP) as u128) >> 64) as usize
    }

    #[inline]
    fn bucket(&self, home: usize) -> Option<&Bucket> {
        self.groups.get(home / GROUP)?.get(home % GROUP)
    }

    /// Sets what is said below keys, which differ; or nothing any more.
    pub(super) fn set(&mut self, nodes: impl IntoIterator<Item = (u32, Option<Vec<Run>>)>) {
        let encoded = |runs: Vec<Run>| {
            let mut node = Vec::new();
            node::encode(&runs, &LEVELS, &mut node);
            node
        };
        let mut nodes: Vec<(usize, u32, Option<Vec<u16>>)> =
            nodes.into_iter().map(|(key, runs)| (0, key, runs.map(encoded))).collect();
        let added = nodes.iter().filter(|(_, key, node)| node.is_some() && !self.has(*key)).count();
        let removed = nodes.iter().filter(|(_, key, node)| node.is_none() && self.has(*key)).count();
        self.len = self.len + added - removed;
        self.resize();
        nodes.iter_mut().for_each(|(home, key, _)| *home = self.home(*key));
        nodes.sort_unstable_by_key(|(home, ..)| *home);
        let groups = Arc::make_mut(&mut self.groups);
        for changed in nodes.chunk_by(|(one, ..), (other, ..)| one == other) {
            let Some((home, ..)) = changed.first() else { continue };
            let group = groups.get_mut(home / GROUP).map(Arc::make_mut);
            let Some(bucket) = group.and_then(|group| group.get_mut(home % GROUP)) else { continue };
            let kept = bucket.nodes().filter(|(key, _)| changed.iter().all(|(_, other, _)| other != key));
            let new = changed.iter().filter_map(|(_, key, node)| Some((*key, node.as_deref()?)));
            *bucket = Bucket::new(&kept.chain(new).collect::<Vec<_>>());
        }
    }

    fn has(&self, key: u32) -> bool {
        self.bucket(self.home(key)).is_some_and(|bucket| bucket.node(key).is_some())
    }

    /// Has as many buckets as the keys need, or up to four times as many.
    fn resize(&mut self) {
        let needed = self.len.div_ceil(EACH * GROUP).next_power_of_two();
        let needed = if self.len == 0 { 0 } else { needed };
        if (needed..=4 * needed).contains(&self.groups.len()) {
            return;
        }
        let old = mem::replace(
            &mut self.groups,
            (0..needed).map(|_| Group::new(array::from_fn(|_| Bucket::default()))).collect(),
        );
        let mut nodes: Vec<(usize, u32, &[u16])> = old
            .iter()
            .flat_map(|group| group.iter())
            .flat_map(Bucket::nodes)
            .map(|(key, node)| (self.home(key), key, node))
            .collect();
        nodes.sort_unstable_by_key(|(home, ..)| *home);
        let groups = Arc::make_mut(&mut self.groups);
        for of_bucket in nodes.chunk_by(|(one, ..), (other, ..)| one == other) {
            let Some((home, ..)) = of_bucket.first() else { continue };
            let group = groups.get_mut(home / GROUP).map(Arc::make_mut);
            let Some(bucket) = group.and_then(|group| group.get_mut(home % GROUP)) else { continue };
            *bucket = Bucket::new(&of_bucket.iter().map(|(_, key, node)| (*key, *node)).collect::<Vec<_>>());
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let buckets = self.groups.iter().flat_map(|group| group.iter());
        self.groups.len() * (size_of::<Group>() + ARC + size_of::<[Bucket; GROUP]>())
            + buckets.map(Bucket::bytes_below).sum::<usize>()
    }
}

impl Bucket {
    fn new(nodes: &[(u32, &[u16])]) -> Self {
        let Some((here, more)) = nodes.split_at_checked(KEYS) else { return Self::of(nodes, &[]) };
        Self::of(here, more)
    }

    fn of(here: &[(u32, &[u16])], more: &[(u32, &[u16])]) -> Self {
        let (mut keys, mut places) = ([0; KEYS], [0; KEYS]);
        let mut words = vec![0];
        for ((key, node), (key_slot, place)) in here.iter().zip(keys.iter_mut().zip(&mut places)) {
            (*key_slot, *place) = (*key, words.len() as u32);
            words.extend_from_slice(node);
        }
        let more = (!more.is_empty()).then(|| Arc::new(Self::new(more)));
        Self { keys, places, words: if here.is_empty() { Arc::default() } else { words.into() }, more }
    }

    /// The words with the node of a key, and where it is.
    #[inline]
    fn node(&self, key: u32) -> Option<(&[u16], usize)> {
        // Where there is no key, it seems to be 0; then the place is 0.
        let slot = lanes::equal(&self.keys, key).trailing_zeros() as usize;
        match self.places.get(slot).copied() {
            Some(place) if place != 0 => Some((&self.words, place as usize)),
            Some(_) | None => self.more.as_ref()?.node(key),
        }
    }

    /// All keys with their nodes.
    fn nodes(&self) -> Box<dyn Iterator<Item = (u32, &[u16])> + '_> {
        let ends = self.places.iter().skip(1).map(|place| *place as usize);
        let ends =
            ends.map(|place| if place == 0 { self.words.len() } else { place }).chain([self.words.len()]);
        let here = self.keys.iter().zip(&self.places).zip(ends).filter(|((_, place), _)| **place != 0);
        let here =
            here.map(|((key, place), end)| (*key, self.words.get(*place as usize..end).unwrap_or_default()));
        Box::new(here.chain(self.more.iter().flat_map(|more| more.nodes())))
    }

    fn bytes_below(&self) -> usize {
        let words = if self.words.is_empty() { 0 } else { ARC + size_of_val(&*self.words) };
        words + self.more.as_ref().map_or(0, |more| ARC + size_of::<Self>() + more.bytes_below())
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
