use std::net::IpAddr;

use super::{
    Feeds,
    classes::{Answer, Classes, Interner},
    crowd::Crowd,
    layers::{self, Layers},
    sweep::{Address, Items, Range, Tag, sweep},
    table::{self, Table},
};
use crate::policy::{AddressSet, Number};

/// Addresses that a feed names: from the first to the last, on all ports or on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indicator {
    /// The first address.
    pub first: IpAddr,
    /// The last address, of the same family, not before the first.
    pub last: IpAddr,
    /// The only port that is meant; `None` is every port, and protocols without ports.
    pub port: Option<u16>,
    /// The number of the feed, below [`Feeds::MOST`].
    pub feed: u8,
}

/// What all feeds name.
#[derive(Debug)]
pub struct IndicatorSet {
    v4: Table,
    v6: Layers,
    classes: Classes,
    crowd4: Crowd<u32>,
    crowd6: Crowd<u128>,
    len: usize,
}

/// Ends that go through the steps together.
const ENDS: usize = 64;

impl Default for IndicatorSet {
    fn default() -> Self {
        Self::new([])
    }
}

impl IndicatorSet {
    /// From entries in any order, which may overlap and repeat. One that is not what [`Indicator`] says is left out.
    pub fn new(indicators: impl IntoIterator<Item = Indicator>) -> Self {
        let (mut v4, mut v6) = (Entries::new(), Entries::new());
        let mut len = 0;
        for Indicator { first, last, port, feed } in indicators {
            let tag = Tag::new(feed, port);
            match (first, last) {
                _ if feed >= Feeds::MOST || first > last => continue,
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.to_bits(), last.to_bits(), tag)),
                (IpAddr::V6(first), IpAddr::V6(last)) => v6.push((first.to_bits(), last.to_bits(), tag)),
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => continue,
            }
            len += 1;
        }
        let mut interner = Interner::new();
        let (mut table, mut layers) = (table::Builder::new(v4.len()), layers::Builder::new(v6.len()));
        let crowd4 = v4.sweep(&mut interner, |first, last, class| table.push(first, last, class));
        let v4 = table.finish();
        let crowd6 = v6.sweep(&mut interner, |first, last, class| layers.push(first, last, class));
        let v6 = layers.finish();
        Self { v4, v6, classes: interner.finish(), crowd4, crowd6, len }
    }

    /// The feeds that name an address, on all ports or on this one.
    pub fn feeds(&self, address: IpAddr, port: u16) -> Feeds {
        match address {
            IpAddr::V4(address) => self.feeds4(address.to_bits(), port, self.v4.class(address.to_bits())),
            IpAddr::V6(address) => self.feeds6(address.to_bits(), port, self.v6.class(address.to_bits())),
        }
    }

    /// The same for many: `out` is given the answer for each of `ends`, an address and its port, in order.
    pub fn feeds_of_batch(&self, ends: &[(IpAddr, u16)], out: &mut [Feeds]) {
        if self.is_empty() {
            return out.iter_mut().take(ends.len()).for_each(|out| *out = Feeds::EMPTY);
        }
        for (ends, out) in ends.chunks(ENDS).zip(out.chunks_mut(ENDS)) {
            if self.wave4(ends, out) < ends.len() {
                self.wave6(ends, out);
            }
        }
    }

    /// Answers for those of at most [`ENDS`] ends that are IPv4, and says how many these are. Step by step, so that the waits
    /// for memory of all of them overlap.
    #[inline(never)]
    fn wave4(&self, ends: &[(IpAddr, u16)], out: &mut [Feeds]) -> usize {
        let mut wave = Wave::EMPTY;
        let table = self.v4.ready();
        wave.fill(ends, |address| match address {
            IpAddr::V4(address) => Some((address.to_bits(), table.begin(address.to_bits()))),
            IpAddr::V6(_) => None,
        });
        wave.finish(ends, out, |address, port, line| self.feeds4(address, port, table.finish(line, address)))
    }

    /// The same for IPv6.
    #[inline(never)]
    fn wave6(&self, ends: &[(IpAddr, u16)], out: &mut [Feeds]) -> usize {
        let mut wave = Wave::EMPTY;
        wave.fill(ends, |address| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some((address.to_bits(), self.v6.begin(address.to_bits()))),
        });
        wave.each(|address, place| self.v6.look(place, address));
        wave.each(|address, place| self.v6.step(place, address));
        wave.finish(ends, out, |address, port, place| {
            self.feeds6(address, port, self.v6.finish(place, address))
        })
    }

    #[inline]
    fn feeds4(&self, address: u32, port: u16, class: u32) -> Feeds {
        match self.classes.answer(class, port) {
            Answer::Known(feeds) => feeds,
            Answer::Crowded(feeds) => feeds.union(self.crowd4.feeds(address, port)),
        }
    }

    #[inline]
    fn feeds6(&self, address: u128, port: u16, class: u32) -> Feeds {
        match self.classes.answer(class, port) {
            Answer::Known(feeds) => feeds,
            Answer::Crowded(feeds) => feeds.union(self.crowd6.feeds(address, port)),
        }
    }

    /// The addresses for which `other` answers differently on any port; and those that have so many ports that it would take
    /// long to tell.
    #[must_use]
    pub fn differing(&self, other: &Self) -> AddressSet {
        let is_same = |class, other_class| self.classes.is_same(class, &other.classes, other_class);
        let v4 = differing(self.v4.begins(), other.v4.begins(), |at| {
            is_same(self.v4.class(at), other.v4.class(at))
        });
        let v6 = differing(self.v6.begins(), other.v6.begins(), |at| {
            is_same(self.v6.class(at), other.v6.class(at))
        });
        AddressSet::of_ranges(v4, v6)
    }

    /// Entries that it was made from.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        let crowds = self.crowd4.bytes() + self.crowd6.bytes();
        size_of::<Self>() + self.v4.bytes() + self.v6.bytes() + self.classes.bytes() + crowds
    }
}

/// Ends of one family.
struct Wave<A> {
    addresses: [A; ENDS],
    /// How far the search for each is; at last, its class.
    places: [u32; ENDS],
    /// Which of the ends of both families they are.
    numbers: [u8; ENDS],
    len: usize,
}

impl<A: Number> Wave<A> {
    const EMPTY: Self = Self { addresses: [A::ZERO; _], places: [0; _], numbers: [0; _], len: 0 };

    /// Takes those of at most [`ENDS`] ends for which `begin` begins a search.
    #[inline(always)]
    fn fill(&mut self, ends: &[(IpAddr, u16)], begin: impl Fn(IpAddr) -> Option<(A, u32)>) {
        for (number, (address, _)) in (0u8..).zip(ends) {
            let slots = (
                self.addresses.get_mut(self.len),
                self.places.get_mut(self.len),
                self.numbers.get_mut(self.len),
            );
            if let Some((address, place)) = begin(*address)
                && let (Some(address_slot), Some(place_slot), Some(number_slot)) = slots
            {
                (*address_slot, *place_slot, *number_slot) = (address, place, number);
                self.len += 1;
            }
        }
    }

    /// One step of all of them.
    #[inline(always)]
    fn each(&mut self, step: impl Fn(A, u32) -> u32) {
        let places = self.places.get_mut(..self.len).unwrap_or_default();
        for (address, place) in self.addresses.iter().zip(places) {
            *place = step(*address, *place);
        }
    }

    /// Puts the answers where they belong, and says how many there are.
    #[inline(always)]
    fn finish(
        &self,
        ends: &[(IpAddr, u16)],
        out: &mut [Feeds],
        answer: impl Fn(A, u16, u32) -> Feeds,
    ) -> usize {
        let places = self.places.get(..self.len).unwrap_or_default();
        for ((address, place), number) in self.addresses.iter().zip(places).zip(&self.numbers) {
            let number = usize::from(*number);
            if let (Some((_, port)), Some(out)) = (ends.get(number), out.get_mut(number)) {
                *out = answer(*address, *port, *place);
            }
        }
        self.len
    }
}

/// Entries of one family.
struct Entries<A: Address> {
    items: Items<A>,
    /// Those with a port once more.
    ported: Vec<Range<A>>,
}

impl<A: Address> Entries<A> {
    fn new() -> Self {
        Self { items: Items::new(), ported: Vec::new() }
    }

    fn len(&self) -> usize {
        self.items.len()
    }

    fn push(&mut self, range: Range<A>) {
        self.items.push(range);
        if range.2.port().is_some() {
            self.ported.push(range);
        }
    }

    /// Calls `emit` for each stretch, in order; returns what is needed where classes are crowded.
    fn sweep(self, interner: &mut Interner, mut emit: impl FnMut(A, A, u32)) -> Crowd<A> {
        let mut crowded: Vec<(A, A)> = Vec::new();
        sweep(self.items, |first, last, active| {
            let (class, is_crowded) = interner.class(active);
            if is_crowded {
                crowded.push((first, last));
            }
            emit(first, last, class);
        });
        Crowd::new(self.ported, &crowded)
    }
}

/// Ranges that are not the same: what begins where either of two begins is judged by its first address.
fn differing<A: Number>(
    one: impl Iterator<Item = A>,
    two: impl Iterator<Item = A>,
    is_same: impl Fn(A) -> bool,
) -> Vec<(A, A)> {
    let (mut one, mut two) = (one.peekable(), two.peekable());
    let mut found: Vec<(A, A)> = Vec::new();
    // Where a range that differs has begun.
    let mut open: Option<A> = None;
    loop {
        let at = match (one.peek(), two.peek()) {
            (Some(one), Some(two)) => *one.min(two),
            (Some(at), None) | (None, Some(at)) => *at,
            (None, None) => break,
        };
        while one.next_if_eq(&at).is_some() || two.next_if_eq(&at).is_some() {}
        match (is_same(at), open) {
            (false, None) => open = Some(at),
            (true, Some(first)) => {
                found.extend(at.previous().map(|last| (first, last)));
                open = None;
            }
            (false, Some(_)) | (true, None) => {}
        }
    }
    found.extend(open.map(|first| (first, A::LAST)));
    found
}
