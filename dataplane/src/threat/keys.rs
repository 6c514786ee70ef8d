use ahash::RandomState;

use super::{lanes, lines::Node};
use crate::prefetch::fetch;

/// Numbers of 32 bits, each with a node: a hash table of buckets, each a cache line. Its hash has a key of its own, so that
/// nobody can choose numbers that share buckets.
#[derive(Debug)]
pub(super) struct Keys {
    buckets: Vec<Bucket>,
    secret: [u64; 2],
}

#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Bucket {
    keys: [u32; 8],
    /// Their nodes, from the front on; behind the last [`Node::NONE`], which is no key's.
    nodes: [Node; 8],
}

impl Bucket {
    const EMPTY: Self = Self { keys: [0; 8], nodes: [Node::NONE; 8] };

    fn is_full(&self) -> bool {
        let [.., last] = self.nodes;
        last != Node::NONE
    }
}

impl Keys {
    /// Keys for each bucket, about. One bucket in twenty is full then, and what it has no room for stands in the next.
    const EACH: usize = 4;

    pub(super) fn new(list: &[(u32, Node)]) -> Self {
        let random = RandomState::new();
        let mut keys = Self {
            buckets: vec![Bucket::EMPTY; list.len().div_ceil(Self::EACH)],
            secret: [0u8, 1].map(|which| random.hash_one(which)),
        };
        for (key, node) in list {
            keys.insert(*key, *node);
        }
        keys
    }

    fn insert(&mut self, key: u32, node: Node) {
        let home = self.home(key) as usize;
        let (before, from) = self.buckets.split_at_mut_checked(home).unwrap_or_default();
        let buckets = from.iter_mut().chain(before);
        let mut slots = buckets.flat_map(|bucket| bucket.keys.iter_mut().zip(&mut bucket.nodes));
        if let Some((key_slot, node_slot)) = slots.find(|(_, node)| **node == Node::NONE) {
            (*key_slot, *node_slot) = (key, node);
        }
    }

    /// The bucket where a key belongs.
    #[inline]
    pub(super) fn home(&self, key: u32) -> u32 {
        let [one, two] = self.secret;
        let product = u128::from(u64::from(key) ^ one) * u128::from(two | 1);
        let hash = (product >> 64) as u64 ^ product as u64;
        (((hash >> 32) * self.buckets.len() as u64) >> 32) as u32
    }

    /// Asks for the memory of a bucket.
    #[inline]
    pub(super) fn fetch(&self, home: u32) {
        if let Some(bucket) = self.buckets.get(home as usize) {
            fetch(bucket);
        }
    }

    /// The node of a key, whose bucket is known.
    #[inline]
    pub(super) fn get(&self, home: u32, key: u32) -> Node {
        let Some(bucket) = self.buckets.get(home as usize) else { return Node::NONE };
        let slot = lanes::equal(&bucket.keys, key).trailing_zeros() as usize;
        // A slot that is empty seems to have key 0.
        match bucket.nodes.get(slot) {
            Some(node) => *node,
            None if bucket.is_full() => self.get_behind(home, key),
            None => Node::NONE,
        }
    }

    #[inline(never)]
    fn get_behind(&self, home: u32, key: u32) -> Node {
        let (before, from) = self.buckets.split_at_checked(home as usize).unwrap_or_default();
        for bucket in from.iter().chain(before).skip(1) {
            match bucket.nodes.get(lanes::equal(&bucket.keys, key).trailing_zeros() as usize) {
                Some(node) => return *node,
                None if bucket.is_full() => (),
                None => break,
            }
        }
        Node::NONE
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Node)> {
        let slots = self.buckets.iter().flat_map(|bucket| bucket.keys.iter().zip(&bucket.nodes));
        slots.filter(|(_, node)| **node != Node::NONE).map(|(key, node)| (*key, *node))
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }
}
