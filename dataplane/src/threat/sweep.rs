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
    const FEED: u32 = 0xff;
    const HAS_PORT: u32 = 1 << 8;
    const PORT: u32 = 16;

    pub(super) fn new(feed: u8, port: Option<u16>) -> Self {
        let port = port.map_or(0, |port| Self::HAS_PORT | u32::from(port) << Self::PORT);
        Self(u32::from(feed) | port)
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
}

/// Addresses, first and last, with a tag.
pub(super) type Range<A> = (A, A, Tag);

/// Entries of one family. Single addresses are kept apart since they are most of them and need less memory.
#[derive(Debug)]
pub(super) struct Items<A> {
    singles: Vec<(A, Tag)>,
    ranges: Vec<Range<A>>,
}

impl<A: Number> Items<A> {
    pub(super) const fn new() -> Self {
        Self { singles: Vec::new(), ranges: Vec::new() }
    }

    pub(super) fn push(&mut self, (first, last, tag): Range<A>) {
        if first == last {
            self.singles.push((first, tag));
        } else {
            self.ranges.push((first, last, tag));
        }
    }

    /// Makes the lowest come last, where it can be taken away.
    fn sort(&mut self) {
        self.singles.sort_unstable_by_key(|(at, _)| Reverse(*at));
        self.ranges.sort_unstable_by_key(|(first, ..)| Reverse(*first));
    }

    /// Where the next entry begins.
    fn first(&self) -> Option<A> {
        let (single, range) =
            (self.singles.last().map(|(at, _)| *at), self.ranges.last().map(|range| range.0));
        match (single, range) {
            (Some(single), Some(range)) => Some(single.min(range)),
            (first, None) | (None, first) => first,
        }
    }

    /// Gives memory back that is no longer needed, every now and then.
    fn shrink(&mut self) {
        const MANY: usize = 1 << 16;
        if self.singles.capacity() - self.singles.len() > MANY.max(self.singles.len() / 8) {
            self.singles.shrink_to_fit();
        }
        if self.ranges.capacity() - self.ranges.len() > MANY.max(self.ranges.len() / 8) {
            self.ranges.shrink_to_fit();
        }
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
pub(super) fn sweep<A: Number>(mut items: Items<A>, mut emit: impl FnMut(A, A, &Active)) {
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
        while let Some((_, tag)) = items.singles.pop_if(|(single, _)| *single == at) {
            singles.push(tag);
            active.add(tag);
        }
        while let Some((_, last, tag)) = items.ranges.pop_if(|(first, ..)| *first == at) {
            open.push(Reverse((last, tag)));
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
