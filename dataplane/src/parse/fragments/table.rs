//! A hash table of fixed capacity whose entries also stand in the order of their insertion.
//!
//! Why not hashbrown: removing leaves tombstones there, and clearing them away rehashes the whole table, or grows it, in
//! the middle of a batch. Here entries are chained per bucket by index, so inserting and removing always cost the same,
//! and nothing is allocated after the table was made. Chains are short: there are at least as many buckets as entries,
//! and the hash is keyed.

use ravelin_config::types::Protocol;

use crate::{
    hash::FlowHasher,
    io::PortId,
    parse::{Address, Headers, Network},
};

/// What names a datagram: RFC 791 section 3.2 for IPv4; RFC 8200 section 4.5 for IPv6, where the protocol is no part of
/// it, as the fragments of one datagram may name different ones. A datagram that crosses two bridges of the appliance is
/// two here, told apart by the port that received it; without that its second crossing would overlap the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key {
    source: Address,
    destination: Address,
    id: u32,
    protocol: Protocol,
    vlans: [u16; 2],
    port: PortId,
}

impl Key {
    pub(super) fn of(headers: &Headers, port: PortId) -> Self {
        Self {
            port,
            source: headers.source,
            destination: headers.destination,
            id: headers.fragment.id,
            protocol: match headers.network {
                Network::Ipv6 => Protocol::default(),
                Network::Ipv4 | Network::Arp | Network::Lldp | Network::Stp | Network::Other => {
                    headers.protocol
                }
            },
            vlans: headers.vlans.ids,
        }
    }

    fn hash(&self, hasher: &FlowHasher) -> u64 {
        let [[a, b], [c, d]] = [self.source, self.destination].map(halves);
        let [outer, inner] = self.vlans.map(u64::from);
        let rest = (u64::from(self.id) << 32) | (u64::from(self.protocol.0) << 24) | (outer << 12) | inner;
        hasher.hash(&[a, b, c, d, rest, u64::from(self.port.0)])
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each half is taken on purpose")]
const fn halves(address: Address) -> [u64; 2] {
    let bits = u128::from_ne_bytes(address.0);
    [bits as u64, (bits >> 64) as u64]
}

/// An entry's place; [`Slot::NONE`] for no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u32);

impl Slot {
    const NONE: Self = Self(u32::MAX);

    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A hash table of fixed capacity, with its entries in the order of their insertion.
#[derive(Debug)]
pub(super) struct Table<V> {
    /// The first entry of each chain. A power of two.
    buckets: Box<[Slot]>,
    entries: Box<[Entry<V>]>,
    hasher: FlowHasher,
    free: Slot,
    oldest: Slot,
    newest: Slot,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry<V> {
    /// The next entry of the chain, or the next free one.
    next: Slot,
    older: Slot,
    newer: Slot,
    bucket: u32,
    key: Key,
    value: V,
}

/// The table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<V: Copy + Default> Table<V> {
    pub(super) fn new(capacity: usize, hasher: FlowHasher) -> Self {
        let capacity = u32::try_from(capacity).unwrap_or(u32::MAX).min(1 << 30);
        let entries = (0..capacity).map(|index| Entry {
            next: if index + 1 < capacity { Slot(index + 1) } else { Slot::NONE },
            older: Slot::NONE,
            newer: Slot::NONE,
            bucket: 0,
            key: Key::default(),
            value: V::default(),
        });
        Self {
            buckets: vec![Slot::NONE; capacity.next_power_of_two() as usize].into_boxed_slice(),
            entries: entries.collect(),
            hasher,
            free: if capacity == 0 { Slot::NONE } else { Slot(0) },
            oldest: Slot::NONE,
            newest: Slot::NONE,
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_full(&self) -> bool {
        self.len == self.entries.len()
    }

    pub(super) fn find(&self, key: &Key) -> Option<Slot> {
        let mut slot = self.buckets.get(self.bucket(key) as usize).copied()?;
        while let Some(entry) = self.entries.get(slot.index()) {
            if entry.key == *key {
                return Some(slot);
            }
            slot = entry.next;
        }
        None
    }

    pub(super) fn value(&self, slot: Slot) -> Option<&V> {
        self.entries.get(slot.index()).map(|entry| &entry.value)
    }

    pub(super) fn value_mut(&mut self, slot: Slot) -> Option<&mut V> {
        self.entries.get_mut(slot.index()).map(|entry| &mut entry.value)
    }

    /// The entry that was inserted first.
    pub(super) fn oldest(&self) -> Option<(Slot, &V)> {
        self.value(self.oldest).map(|value| (self.oldest, value))
    }

    /// Inserts a key that is not in the table.
    pub(super) fn insert(&mut self, key: Key, value: V) -> Result<(), Full> {
        let (slot, bucket) = (self.free, self.bucket(&key));
        let newest = self.newest;
        let (Some(entry), Some(head)) =
            (self.entries.get_mut(slot.index()), self.buckets.get_mut(bucket as usize))
        else {
            return Err(Full);
        };
        self.free = entry.next;
        *entry = Entry { next: *head, older: newest, newer: Slot::NONE, bucket, key, value };
        *head = slot;
        match self.entries.get_mut(newest.index()) {
            Some(entry) => entry.newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
        self.len += 1;
        Ok(())
    }

    /// Removes an entry that is in the table.
    pub(super) fn remove(&mut self, slot: Slot) {
        let free = self.free;
        let Some(entry) = self.entries.get_mut(slot.index()) else { return };
        let Entry { next, older, newer, bucket, .. } = *entry;
        entry.next = free;
        self.free = slot;
        self.len -= 1;
        self.unchain(bucket, slot, next);
        match self.entries.get_mut(older.index()) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
        match self.entries.get_mut(newer.index()) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
    }

    /// Takes an entry out of its chain, in which `next` follows.
    fn unchain(&mut self, bucket: u32, slot: Slot, next: Slot) {
        let Some(head) = self.buckets.get_mut(bucket as usize) else { return };
        if *head == slot {
            *head = next;
            return;
        }
        let mut place = *head;
        while let Some(entry) = self.entries.get_mut(place.index()) {
            if entry.next == slot {
                entry.next = next;
                return;
            }
            place = entry.next;
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low bits choose the bucket; there are at most 2^30"
    )]
    fn bucket(&self, key: &Key) -> u32 {
        key.hash(&self.hasher) as u32 & (self.buckets.len() as u32 - 1)
    }
}
