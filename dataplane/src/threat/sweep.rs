//! Makes of overlapping entries stretches of addresses, each with what all of it is named by.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use super::Feeds;
use crate::policy::Number;

/// Which feed names something, and on which port only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tag(u32);

impl Tag {
    const FEED: u32 = 0x7f;
    const HAS_PORT: u32 = 1 << 7;
    /// Room for the length of a prefix, which is not part of the tag.
    const DROP: u32 = 8;
    const PORT: u32 = 16;

    pub(super) fn new(feed: u8, port: Option<u16>) -> Self {
        let port = port.map_or(0, |port| Self::HAS_PORT | u32::from(port) << Self::PORT);
        Self(u32::from(feed) & Self::FEED | port)
    }

    pub(super) fn feed(self) -> u8 {
        (self.0 & Self::FEED) as u8
    }

    pub(super) fn port(self) -> Option<u16> {
        (self.0 & Self::HAS_PORT != 0).then_some((self.0 >> Self::PORT) as u16)
    }

    /// The same on every port.
    pub(super) fn without_port(self) -> Self {
        Self(self.0 & Self::FEED)
    }

    fn with_drop(self, drop: u8) -> Self {
        Self(self.0 | u32::from(drop) << Self::DROP)
    }

    fn split_drop(self) -> (Self, u8) {
        let drop = (self.0 >> Self::DROP) as u8;
        (Self(self.0 & !(0xff << Self::DROP)), drop)
    }
}

/// Addresses, first and last, with a tag.
pub(super) type Range<A> = (A, A, Tag);

/// An address, and how it is kept in little memory.
pub(super) trait Address: Number {
    /// The first half of an IPv6 address, or a whole IPv4 address.
    type Half: Copy + Ord;
    /// A whole address.
    type Whole: Copy + Ord;
    /// Bits that are not in the first half.
    const REST: u8;
    fn half(self) -> Self::Half;
    fn of_half(half: Self::Half) -> Self;
    fn whole(self) -> Self::Whole;
    fn of_whole(whole: Self::Whole) -> Self;
    /// How many bits do not matter, if the range is a prefix.
    fn drop(self, last: Self) -> Option<u8>;
    /// The last address of a prefix.
    fn last(self, drop: u8) -> Self;
}

impl Address for u32 {
    type Half = Self;
    type Whole = Self;
    const REST: u8 = 0;

    fn half(self) -> Self {
        self
    }

    fn of_half(half: Self) -> Self {
        half
    }

    fn whole(self) -> Self {
        self
    }

    fn of_whole(whole: Self) -> Self {
        whole
    }

    fn drop(self, last: Self) -> Option<u8> {
        let span = self ^ last;
        (span & span.wrapping_add(1) == 0 && self & span == 0).then_some(span.count_ones() as u8)
    }

    fn last(self, drop: u8) -> Self {
        self | !Self::MAX.unbounded_shl(drop.into())
    }
}

impl Address for u128 {
    type Half = [u32; 2];
    type Whole = [u32; 4];
    const REST: u8 = 64;

    fn half(self) -> [u32; 2] {
        [(self >> 96) as u32, (self >> 64) as u32]
    }

    fn of_half([one, two]: [u32; 2]) -> Self {
        Self::of_whole([one, two, 0, 0])
    }

    fn whole(self) -> [u32; 4] {
        [(self >> 96) as u32, (self >> 64) as u32, (self >> 32) as u32, self as u32]
    }

    fn of_whole(whole: [u32; 4]) -> Self {
        whole.into_iter().fold(0, |address, part| address << 32 | Self::from(part))
    }

    fn drop(self, last: Self) -> Option<u8> {
        let span = self ^ last;
        (span & span.wrapping_add(1) == 0 && self & span == 0).then_some(span.count_ones() as u8)
    }

    fn last(self, drop: u8) -> Self {
        self | !Self::MAX.unbounded_shl(drop.into())
    }
}

/// Entries of one family, those that need less memory by themselves.
#[derive(Debug)]
pub(super) struct Items<A: Address> {
    /// Prefixes, those of which half of an address says all, and others.
    halves: Vec<(A::Half, Tag)>,
    prefixes: Vec<(A::Whole, Tag)>,
    ranges: Vec<(A::Whole, A::Whole, Tag)>,
}

impl<A: Address> Items<A> {
    pub(super) const fn new() -> Self {
        Self { halves: Vec::new(), prefixes: Vec::new(), ranges: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.halves.len() + self.prefixes.len() + self.ranges.len()
    }

    pub(super) fn push(&mut self, (first, last, tag): Range<A>) {
        match first.drop(last) {
            Some(drop) if drop >= A::REST => add(&mut self.halves, (first.half(), tag.with_drop(drop))),
            Some(drop) => add(&mut self.prefixes, (first.whole(), tag.with_drop(drop))),
            None => add(&mut self.ranges, (first.whole(), last.whole(), tag)),
        }
    }

    /// Makes the lowest come last, where it can be taken away.
    fn sort(&mut self) {
        self.halves.sort_unstable_by_key(|(at, _)| Reverse(*at));
        self.prefixes.sort_unstable_by_key(|(at, _)| Reverse(*at));
        self.ranges.sort_unstable_by_key(|(first, ..)| Reverse(*first));
    }

    /// Where the next entry begins.
    fn first(&self) -> Option<A> {
        let half = self.halves.last().map(|(at, _)| A::of_half(*at));
        let prefix = self.prefixes.last().map(|(at, _)| A::of_whole(*at));
        let range = self.ranges.last().map(|(first, ..)| A::of_whole(*first));
        half.into_iter().chain(prefix).chain(range).min()
    }

    /// Takes the next entry away, if it begins at `at`.
    fn pop(&mut self, at: A) -> Option<(A, Tag)> {
        let prefix = |tag: Tag| {
            let (tag, drop) = tag.split_drop();
            (at.last(drop), tag)
        };
        if let Some((_, tag)) = self.halves.pop_if(|(half, _)| A::of_half(*half) == at) {
            return Some(prefix(tag));
        }
        if let Some((_, tag)) = self.prefixes.pop_if(|(whole, _)| A::of_whole(*whole) == at) {
            return Some(prefix(tag));
        }
        let (_, last, tag) = self.ranges.pop_if(|(first, ..)| A::of_whole(*first) == at)?;
        Some((A::of_whole(last), tag))
    }

    /// Gives memory back that is no longer needed, every now and then.
    fn shrink(&mut self) {
        shrink(&mut self.halves);
        shrink(&mut self.prefixes);
        shrink(&mut self.ranges);
    }
}

/// Entries for which it is worth while to think of memory.
pub(super) const MANY: usize = 1 << 15;
/// Bytes that the allocator always maps by themselves: what is not used of them is not there, and what was is given back.
pub(super) const MAPPED: usize = 32 << 20;

/// Adds to a list. One that is long is mapped, and then grows and shrinks without being copied.
fn add<T>(list: &mut Vec<T>, entry: T) {
    if list.len() == list.capacity() && list.len() >= MANY {
        list.reserve_exact(list.len().max(MAPPED / size_of::<T>()));
    }
    list.push(entry);
}

fn shrink<T>(list: &mut Vec<T>) {
    if list.capacity() - list.len() > MANY.max(list.len() / 8) {
        list.shrink_to_fit();
    }
}

/// What names the addresses that the sweep is at.
#[derive(Debug)]
pub(super) struct Active {
    /// How many entries without a port each feed has there.
    counts: [u32; Feeds::MOST as usize],
    feeds: Feeds,
    /// The same for ports.
    ports: BTreeMap<(u16, u8), u32>,
}

impl Active {
    fn count(&mut self, tag: Tag) -> Option<&mut u32> {
        match tag.port() {
            None => self.counts.get_mut(usize::from(tag.feed())),
            Some(port) => Some(self.ports.entry((port, tag.feed())).or_default()),
        }
    }

    fn add(&mut self, tag: Tag) {
        if let Some(count) = self.count(tag) {
            *count += 1;
        }
        if tag.port().is_none() {
            self.feeds = self.feeds.union(Feeds::of(tag.feed()));
        }
    }

    fn remove(&mut self, tag: Tag) {
        let Some(count) = self.count(tag) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        match tag.port() {
            None => self.feeds.0 &= !Feeds::of(tag.feed()).0,
            Some(port) => _ = self.ports.remove(&(port, tag.feed())),
        }
    }

    fn is_empty(&self) -> bool {
        self.feeds.is_empty() && self.ports.is_empty()
    }

    /// Feeds that name the addresses on every port.
    pub(super) fn feeds(&self) -> Feeds {
        self.feeds
    }

    /// How many pairs of a port and a feed there are besides.
    pub(super) fn pairs(&self) -> usize {
        self.ports.len()
    }

    /// Feeds that name them on one port and not on all, by port.
    pub(super) fn ports(&self) -> Vec<(u16, Feeds)> {
        let mut ports: Vec<(u16, Feeds)> = Vec::new();
        for (port, feed) in self.ports.keys().filter(|(_, feed)| !self.feeds.contains(*feed)) {
            match ports.last_mut() {
                Some((last, feeds)) if last == port => *feeds = feeds.union(Feeds::of(*feed)),
                _ => ports.push((*port, Feeds::of(*feed))),
            }
        }
        ports
    }
}

/// Calls `emit` for every stretch that anything names, in order.
pub(super) fn sweep<A: Address>(mut items: Items<A>, mut emit: impl FnMut(A, A, &Active)) {
    items.sort();
    let mut active = Active { counts: [0; _], feeds: Feeds::EMPTY, ports: BTreeMap::new() };
    // Ranges that are active, the one that ends first on top.
    let mut open: BinaryHeap<Reverse<(A, Tag)>> = BinaryHeap::new();
    let mut singles: Vec<Tag> = Vec::new();
    let mut next = items.first();
    while let Some(at) = next {
        while let Some(Reverse((_, tag))) = pop_before(&mut open, at) {
            active.remove(tag);
        }
        while let Some((last, tag)) = items.pop(at) {
            if last == at {
                singles.push(tag);
            } else {
                open.push(Reverse((last, tag)));
            }
            active.add(tag);
        }
        items.shrink();
        let begins = items.first();
        if active.is_empty() {
            next = begins;
            continue;
        }
        let mut last = A::LAST;
        if let Some(before) = begins.and_then(Number::previous) {
            last = before;
        }
        if let Some(Reverse((ends, _))) = open.peek() {
            last = last.min(*ends);
        }
        if !singles.is_empty() {
            last = at;
        }
        emit(at, last, &active);
        singles.drain(..).for_each(|tag| active.remove(tag));
        next = last.next();
    }
}

/// Takes away what ends first, if it ends before `at`.
fn pop_before<A: Number>(open: &mut BinaryHeap<Reverse<(A, Tag)>>, at: A) -> Option<Reverse<(A, Tag)>> {
    if open.peek().is_some_and(|Reverse((ends, _))| *ends < at) { open.pop() } else { None }
}
