//! Where in the slab a flow is: an array of buckets of one cache line each, twelve flows to a bucket.
//!
//! A flow lives in its home bucket or, when that is full, in the one other bucket that its tag names. The other bucket
//! of the other bucket is the home again, so a flow can be moved or taken out without knowing its hash. Beside each
//! flow's slot stand the second in which it has to be looked at for expiry, and a mark that says whether it may be
//! evicted; so the sweep and the search for a victim read this index in order and touch few entries.
//!
//! Promises: a look-up reads one line, or two if flows of its home bucket had to move out. Refuses: to grow.

use super::{lanes, memory};
use crate::prefetch;

/// A flow's place in the index, and the slot that stands there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) bucket: usize,
    pub(super) lane: usize,
    pub(super) slot: u32,
}

/// What a first look at the index says about a hash: a slot in which the flow may be, or an answer that is no slot. Holds until something is inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hint(pub(super) u32);

impl Hint {
    /// There is no such flow.
    pub(super) const ABSENT: Self = Self(u32::MAX);
    /// The other bucket has to be asked.
    pub(super) const UNSURE: Self = Self(u32::MAX - 1);
    /// Nobody has looked.
    pub(super) const UNASKED: Self = Self(u32::MAX - 2);
}

/// A slot number that no flow has.
const FREE: u32 = u32::MAX;

/// One cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bucket {
    /// Slot in the low bits, tag in the rest, or [`FREE`].
    words: [u32; lanes::COUNT],
    /// The second, modulo 256, in which the flow has to be looked at.
    due: [u8; lanes::COUNT],
    /// From the lowest bit: which lanes hold flows that live away from home (12), which may be evicted (12), and how
    /// many flows at home here live elsewhere, for either value of their tag's highest bit (4 and 4).
    marks: u32,
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    const EMPTY: Self = Self { words: [FREE; lanes::COUNT], due: [0; lanes::COUNT], marks: 0 };
    const WEAK: u32 = 12;
    const AWAY: u32 = 24;
    const AWAY_BITS: u32 = 4;
    /// A count that has got here says nothing any more, and stays.
    const AWAY_STUCK: u32 = (1 << Self::AWAY_BITS) - 1;

    /// The lanes whose tag is `tag`.
    fn tagged(&self, tag: u32, mask: u32) -> u32 {
        lanes::equal(&self.words, mask, tag)
    }

    fn free(&self) -> u32 {
        lanes::equal(&self.words, u32::MAX, FREE)
    }

    /// Where in `marks` the flows with this tag are counted that live elsewhere.
    const fn away_at(tag: u32) -> u32 {
        Self::AWAY + (tag >> (u32::BITS - 1)) * Self::AWAY_BITS
    }

    /// How many flows at home here live elsewhere whose tag may be `tag`.
    const fn away(&self, tag: u32) -> u32 {
        self.marks >> Self::away_at(tag) & Self::AWAY_STUCK
    }

    fn one_more_away(&mut self, tag: u32) {
        if self.away(tag) < Self::AWAY_STUCK {
            self.marks += 1 << Self::away_at(tag);
        }
    }

    fn one_less_away(&mut self, tag: u32) {
        if (1..Self::AWAY_STUCK).contains(&self.away(tag)) {
            self.marks -= 1 << Self::away_at(tag);
        }
    }

    fn put(&mut self, lane: usize, word: u32, due: u8, weak: bool, displaced: bool) {
        if let (Some(place), Some(place_due)) = (self.words.get_mut(lane), self.due.get_mut(lane)) {
            *place = word;
            *place_due = due;
            self.marks &= !((1 << lane) | (1 << lane << Self::WEAK));
            self.marks |= (u32::from(displaced) << lane) | (u32::from(weak) << lane << Self::WEAK);
        }
    }
}

/// The index.
pub(super) struct Index {
    buckets: Vec<Bucket>,
    groups: Vec<Group>,
    slot_bits: u32,
}

/// What is known of [`Index::GROUP`] buckets together, so that a large table with few flows is swept quickly.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    /// In which seconds one of the flows may be due.
    due: Seconds,
    flows: u32,
}

/// A set of seconds, modulo 256.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seconds([u64; 4]);

impl Seconds {
    pub(super) const ALL: Self = Self([u64::MAX; 4]);

    /// A second and the 127 before it.
    pub(super) fn until(second: u8) -> Self {
        let mut seconds = Self::default();
        (0..128).for_each(|back| seconds.add(second.wrapping_sub(back)));
        seconds
    }

    fn add(&mut self, second: u8) {
        if let Some(word) = self.0.get_mut(usize::from(second / 64)) {
            *word |= 1 << (second % 64);
        }
    }

    fn take(&mut self, others: Self) -> bool {
        let mut any = 0;
        for (word, other) in self.0.iter_mut().zip(others.0) {
            any |= *word & other;
            *word &= !other;
        }
        any != 0
    }
}

impl Index {
    /// Buckets to a group.
    pub(super) const GROUP: usize = 64;

    /// An index for `capacity` flows: 7.6 bytes for each.
    pub(super) fn new(capacity: u32) -> Self {
        // 8.5 flows to a bucket when the table is full.
        let buckets = (capacity as usize * 2).div_ceil(17).max(1);
        // One more than is needed for the highest slot, so that no slot with tag is `FREE`.
        let slot_bits = u32::BITS - capacity.leading_zeros();
        Self {
            buckets: memory::filled(Bucket::EMPTY, buckets),
            groups: vec![Group::default(); buckets.div_ceil(Self::GROUP)],
            slot_bits,
        }
    }

    /// How many buckets there are.
    pub(super) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// Bytes that the index takes.
    pub(super) fn memory(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket>() + self.groups.capacity() * size_of::<Group>()
    }

    /// Fetches the home bucket of a hash.
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(bucket) = self.buckets.get(self.home(hash)) {
            prefetch::fetch(bucket);
        }
    }

    /// What the home bucket of a hash says about it. If the other bucket may know more, that is fetched for
    /// [`Index::hint_away`]. `visit` sees every slot that may be the right one.
    pub(super) fn hint(&self, hash: u64, visit: impl FnMut(u32)) -> Hint {
        let (home, tag) = (self.home(hash), self.tag(hash));
        let Some(bucket) = self.buckets.get(home) else { return Hint::ABSENT };
        let hint = self.hint_in(bucket, tag, visit);
        if hint != Hint::ABSENT || bucket.away(tag) == 0 {
            return hint;
        }
        if let Some(other) = self.buckets.get(self.other(home, tag)) {
            prefetch::fetch(other);
        }
        Hint::UNSURE
    }

    /// What the other bucket of a hash says about it.
    pub(super) fn hint_away(&self, hash: u64, visit: impl FnMut(u32)) -> Hint {
        let (home, tag) = (self.home(hash), self.tag(hash));
        self.buckets
            .get(self.other(home, tag))
            .map_or(Hint::ABSENT, |bucket| self.hint_in(bucket, tag, visit))
    }

    fn hint_in(&self, bucket: &Bucket, tag: u32, mut visit: impl FnMut(u32)) -> Hint {
        let mut found = bucket.tagged(tag, self.tag_mask());
        if found == 0 {
            return Hint::ABSENT;
        }
        let first = self.slot_of(bucket, found);
        while found != 0 {
            visit(self.slot_of(bucket, found));
            found &= found - 1;
        }
        Hint(first)
    }

    /// The place whose slot passes `is_it`, among those that the hash allows.
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<Place> {
        let (home, tag) = (self.home(hash), self.tag(hash));
        let mut at = home;
        loop {
            let bucket = self.buckets.get(at)?;
            let mut found = bucket.tagged(tag, self.tag_mask());
            while found != 0 {
                let slot = self.slot_of(bucket, found);
                if is_it(slot) {
                    return Some(Place { bucket: at, lane: found.trailing_zeros() as usize, slot });
                }
                found &= found - 1;
            }
            if at != home || bucket.away(tag) == 0 {
                return None;
            }
            at = self.other(home, tag);
            if at == home {
                return None;
            }
        }
    }

    /// Gives `slot` a place; `false` if both buckets are full and none of their flows can move.
    pub(super) fn insert(&mut self, hash: u64, slot: u32, due: u8, weak: bool) -> bool {
        let (home, tag) = (self.home(hash), self.tag(hash));
        match self.room(home) {
            Some(lane) => {
                self.fill((home, lane), tag | slot, due, weak, false);
                true
            }
            None => self.insert_elsewhere(home, tag, slot, due, weak),
        }
    }

    /// The same for a flow whose home is full.
    #[cold]
    fn insert_elsewhere(&mut self, home: usize, tag: u32, slot: u32, due: u8, weak: bool) -> bool {
        let other = self.other(home, tag);
        let room = (self.room(other).map(|lane| (other, lane)))
            .or_else(|| self.make_room(home).map(|lane| (home, lane)))
            .or_else(|| self.make_room(other).map(|lane| (other, lane)));
        let Some(room) = room else { return false };
        let displaced = room.0 != home;
        self.fill(room, tag | slot, due, weak, displaced);
        if let Some(home) = self.buckets.get_mut(home).filter(|_| displaced) {
            home.one_more_away(tag);
        }
        true
    }

    /// Puts a flow into a free lane of a bucket.
    fn fill(&mut self, (bucket, lane): (usize, usize), word: u32, due: u8, weak: bool, displaced: bool) {
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            bucket.put(lane, word, due, weak, displaced);
        }
        if let Some(group) = self.groups.get_mut(bucket / Self::GROUP) {
            group.flows += 1;
            group.due.add(due);
        }
    }

    /// Whether [`Index::insert`] would find a place for this hash.
    pub(super) fn has_room(&self, hash: u64) -> bool {
        let both = self.both(hash);
        both.into_iter().any(|bucket| self.room(bucket).is_some())
            || both.into_iter().any(|bucket| self.movable(bucket).is_some())
    }

    /// The two buckets in which a flow with this hash may live.
    pub(super) fn both(&self, hash: u64) -> [usize; 2] {
        let home = self.home(hash);
        [home, self.other(home, self.tag(hash))]
    }

    /// Frees a place.
    pub(super) fn remove(&mut self, place: Place) {
        let Some(bucket) = self.buckets.get_mut(place.bucket) else { return };
        let word = bucket.words.get(place.lane).copied().unwrap_or(FREE);
        let displaced = bucket.marks & (1 << place.lane) != 0;
        bucket.put(place.lane, FREE, 0, false, false);
        self.count(place.bucket, -1);
        if displaced {
            let home = self.other(place.bucket, word & self.tag_mask());
            if let Some(home) = self.buckets.get_mut(home) {
                home.one_less_away(word);
            }
        }
    }

    /// Whether and when the flow is looked at, and whether it may be evicted.
    pub(super) fn set(&mut self, place: Place, due: u8, weak: bool) {
        if let Some(bucket) = self.buckets.get_mut(place.bucket) {
            if let Some(place_due) = bucket.due.get_mut(place.lane) {
                *place_due = due;
            }
            let bit = 1 << place.lane << Bucket::WEAK;
            bucket.marks = (bucket.marks & !bit) | (u32::from(weak) << place.lane << Bucket::WEAK);
        }
        self.note(place.bucket, due);
    }

    /// Whether a group may hold flows that are due in `seconds`; forgets that it may.
    pub(super) fn take_due(&mut self, group: usize, seconds: Seconds) -> bool {
        self.groups.get_mut(group).is_some_and(|group| group.due.take(seconds))
    }

    /// Whether a group holds flows.
    pub(super) fn holds_flows(&self, group: usize) -> bool {
        self.groups.get(group).is_some_and(|group| group.flows > 0)
    }

    /// When the flow is looked at.
    pub(super) fn due_at(&self, place: Place) -> u8 {
        let due = self.buckets.get(place.bucket).and_then(|bucket| bucket.due.get(place.lane));
        due.copied().unwrap_or_default()
    }

    /// The lanes of a bucket that hold flows.
    pub(super) fn used(&self, bucket: usize) -> u32 {
        self.buckets.get(bucket).map_or(0, |bucket| !bucket.free() & lanes::ALL)
    }

    /// The lanes of a bucket that hold flows which may be evicted.
    pub(super) fn weak(&self, bucket: usize) -> u32 {
        self.buckets.get(bucket).map_or(0, |bucket| bucket.marks >> Bucket::WEAK & lanes::ALL)
    }

    /// The lanes of a bucket whose flows have to be looked at in second `tick` or the 127 before it.
    pub(super) fn due(&self, bucket: usize, tick: u8) -> u32 {
        self.buckets.get(bucket).map_or(0, |bucket| match lanes::not_after(&bucket.due, tick) {
            0 => 0,
            due => due & !bucket.free(),
        })
    }

    /// The place of the lowest lane in `lanes`.
    pub(super) fn place(&self, bucket: usize, lanes: u32) -> Option<Place> {
        let slot = self.slot_of(self.buckets.get(bucket)?, lanes);
        (lanes != 0).then_some(Place { bucket, lane: lanes.trailing_zeros() as usize, slot })
    }

    fn note(&mut self, bucket: usize, due: u8) {
        if let Some(group) = self.groups.get_mut(bucket / Self::GROUP) {
            group.due.add(due);
        }
    }

    fn count(&mut self, bucket: usize, change: i32) {
        if let Some(group) = self.groups.get_mut(bucket / Self::GROUP) {
            group.flows = group.flows.saturating_add_signed(change);
        }
    }

    /// The lowest free lane of a bucket.
    fn room(&self, bucket: usize) -> Option<usize> {
        let free = self.buckets.get(bucket)?.free();
        (free != 0).then_some(free.trailing_zeros() as usize)
    }

    /// The first flow of a full bucket whose other bucket has room: its lane, that bucket, and the free lane there.
    fn movable(&self, from: usize) -> Option<(usize, usize, usize)> {
        (0..lanes::COUNT).find_map(|lane| {
            let word = *self.buckets.get(from)?.words.get(lane)?;
            let to = self.other(from, word & self.tag_mask());
            Some((lane, to, self.room(to)?))
        })
    }

    /// Moves one flow of a full bucket to its other bucket, if one of those has room; returns the lane it left.
    fn make_room(&mut self, from: usize) -> Option<usize> {
        let (lane, to, room) = self.movable(from)?;
        let bucket = self.buckets.get_mut(from)?;
        let (word, due) = (*bucket.words.get(lane)?, *bucket.due.get(lane)?);
        let weak = bucket.marks >> Bucket::WEAK >> lane & 1 != 0;
        let displaced = bucket.marks & (1 << lane) != 0;
        bucket.put(lane, FREE, 0, false, false);
        if !displaced {
            bucket.one_more_away(word);
        }
        let bucket = self.buckets.get_mut(to)?;
        bucket.put(room, word, due, weak, !displaced);
        if displaced {
            bucket.one_less_away(word);
        }
        self.note(to, due);
        self.count(from, -1);
        self.count(to, 1);
        Some(lane)
    }

    /// The home bucket: the upper bits of the lower half of the hash. The upper half has named the worker.
    fn home(&self, hash: u64) -> usize {
        (((hash & 0xffff_ffff) * self.buckets.len() as u64) >> 32) as usize
    }

    /// The tag, in its place in a word: the lowest bits of the hash, as many as the slot leaves room for. The home
    /// bucket depends on the bits above them.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    const fn tag(&self, hash: u64) -> u32 {
        (hash as u32) << self.slot_bits
    }

    const fn tag_mask(&self) -> u32 {
        u32::MAX << self.slot_bits
    }

    /// The other bucket of a flow with this tag that lives, or could live, in `bucket`. Its own inverse.
    fn other(&self, bucket: usize, tag: u32) -> usize {
        let count = self.buckets.len();
        // A multiplier from the golden ratio spreads tags that differ in few bits.
        let sum = ((u64::from(tag.wrapping_mul(0x9e37_79b1)) * count as u64) >> 32) as usize;
        if sum >= bucket { sum - bucket } else { sum + count - bucket }
    }

    fn slot_of(&self, bucket: &Bucket, lanes: u32) -> u32 {
        bucket.words.get(lanes.trailing_zeros() as usize).map_or(FREE, |word| word & !self.tag_mask())
    }
}
