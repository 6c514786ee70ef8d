use super::radix::{self, Radix};
use crate::prefetch::fetch;

/// Class of an IPv6 address: what begins and ends with a whole upper half is found by the upper half, the rest by the lower
/// halves that share one.
#[derive(Debug, Default)]
pub(super) struct Layers {
    radix: Radix,
    upper: Layer,
    lower: Layer,
    /// Where in the lower layer those begin that share an upper half; and one behind the last.
    deep: Vec<u32>,
}

/// Stretches of numbers, in order.
#[derive(Debug, Default)]
struct Layer {
    first: Vec<u64>,
    /// The class; or, if it is deep, which of the upper halves that are shared.
    classes: Vec<u32>,
    /// How many numbers, as a power of two; or one of the following. Behind the last is nothing.
    lengths: Vec<u8>,
}

/// Up to the next stretch.
const OPEN: u8 = 64;
/// One number, for which the lower layer has to be asked.
const DEEP: u8 = 65;

impl Layer {
    /// The class of a number, if `at` is the last stretch that begins not behind it.
    #[inline]
    fn class(&self, at: usize, number: u64) -> Found {
        let (Some(first), Some(class), Some(length)) =
            (self.first.get(at), self.classes.get(at), self.lengths.get(at))
        else {
            return Found::Class(0);
        };
        let distance = number.wrapping_sub(*first);
        match *length {
            OPEN => Found::Class(*class),
            DEEP if distance == 0 => Found::Deep(*class),
            DEEP => Found::Class(0),
            length => Found::Class(if distance >> (length & 63) == 0 { *class } else { 0 }),
        }
    }

    /// The first number behind a stretch, if it says where it ends.
    fn behind(&self, at: usize) -> Option<Option<u64>> {
        let (first, length) = (self.first.get(at)?, *self.lengths.get(at)?);
        match length {
            OPEN => None,
            DEEP => Some(first.checked_add(1)),
            length => Some(first.checked_add(1 << (length & 63))),
        }
    }

    fn add(&mut self, first: u64, class: u32, length: u8) {
        self.first.push(first);
        self.classes.push(class);
        self.lengths.push(length);
    }

    fn shrink(&mut self) {
        self.first.shrink_to_fit();
        self.classes.shrink_to_fit();
        self.lengths.shrink_to_fit();
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.first) + size_of_val(&*self.classes) + size_of_val(&*self.lengths)
    }
}

/// How far the search for an address is.
pub(super) use radix::Place;

/// Rounds of [`Layers::look`] and [`Layers::step`] after which most addresses are found.
pub(super) const STEPS: usize = 4;

/// What a layer says.
enum Found {
    Class(u32),
    Deep(u32),
}

impl Layers {
    pub(super) fn class(&self, address: u128) -> u32 {
        let mut place = self.begin(address);
        self.find(&mut place, address);
        self.finish(place, address)
    }

    /// Begins to look for an address, and asks for the memory that [`Layers::look`] reads.
    #[inline]
    pub(super) fn begin(&self, address: u128) -> Place {
        self.radix.begin(upper(address))
    }

    /// Goes on from where it was, and asks for the memory that [`Layers::step`] or [`Layers::find`] reads.
    #[inline]
    pub(super) fn look(&self, place: &mut Place) {
        if let Some(from) = self.radix.look(place) {
            let end = from + radix::WINDOW - 1;
            self.upper.first.get(from).into_iter().chain(self.upper.first.get(end)).for_each(fetch);
            self.upper.classes.get(from).into_iter().for_each(fetch);
            self.upper.lengths.get(from).into_iter().for_each(fetch);
        }
    }

    /// Goes on from where it was, and asks for the memory that [`Layers::look`] reads next.
    #[inline]
    pub(super) fn step(&self, place: &mut Place, address: u128) {
        self.radix.step(place, upper(address));
    }

    /// Finds the stretch.
    #[inline]
    pub(super) fn find(&self, place: &mut Place, address: u128) {
        self.radix.find(place, &self.upper.first, upper(address));
    }

    /// The class.
    #[inline]
    pub(super) fn finish(&self, place: Place, address: u128) -> u32 {
        let Some(at) = place.found() else { return 0 };
        match self.upper.class(at, upper(address)) {
            Found::Class(class) => class,
            Found::Deep(group) => self.deep(group, address as u64),
        }
    }

    #[inline(never)]
    fn deep(&self, group: u32, lower: u64) -> u32 {
        let (from, to) = self.group(group);
        let of_group = self.lower.first.get(from..to).unwrap_or_default();
        let behind = of_group.partition_point(|first| *first <= lower);
        match behind.checked_sub(1).map(|at| self.lower.class(from + at, lower)) {
            Some(Found::Class(class)) => class,
            Some(Found::Deep(_)) | None => 0,
        }
    }

    fn group(&self, group: u32) -> (usize, usize) {
        let at = |group: usize| self.deep.get(group).map_or(0, |at| *at as usize);
        (at(group as usize), at(group as usize + 1))
    }

    /// Addresses at which the class may become another, in order.
    pub(super) fn begins(&self) -> impl Iterator<Item = u128> {
        self.upper.first.iter().enumerate().flat_map(move |(at, first)| {
            let address = move |lower: u64| u128::from(*first) << 64 | u128::from(lower);
            let (from, to) = match self.upper.class(at, *first) {
                Found::Class(_) => (0, 0),
                Found::Deep(group) => self.group(group),
            };
            let inside = (from..to).flat_map(move |at| {
                let first = self.lower.first.get(at).copied();
                first.into_iter().chain(self.lower.behind(at).flatten()).map(address)
            });
            let behind = self.upper.behind(at).flatten().map(|upper| u128::from(upper) << 64);
            std::iter::once(address(0)).chain(inside).chain(behind)
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.radix.bytes() + self.upper.bytes() + self.lower.bytes() + size_of_val(&*self.deep)
    }
}

/// Makes layers of stretches that come in order.
#[derive(Debug, Default)]
pub(super) struct Builder {
    made: Layers,
    upper: Open,
    lower: Open,
    /// The upper half whose lower ones are being made.
    deep: Option<u64>,
}

/// The number behind an open stretch, unless one begins there.
type Open = Option<u64>;

/// Adds a stretch to a layer.
fn push(layer: &mut Layer, open: &mut Open, first: u64, last: u64, class: u32) {
    close(layer, open, Some(first));
    let count = (last - first).wrapping_add(1);
    if count.is_power_of_two() {
        layer.add(first, class, count.ilog2() as u8);
    } else {
        layer.add(first, class, OPEN);
        *open = last.checked_add(1);
    }
}

/// Ends the last stretch of a layer before another begins at `next`.
fn close(layer: &mut Layer, open: &mut Open, next: Option<u64>) {
    if let Some(end) = open.take()
        && next != Some(end)
    {
        layer.add(end, 0, OPEN);
    }
}

impl Builder {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The next stretch, behind all before.
    pub(super) fn push(&mut self, first: u128, last: u128, class: u32) {
        let ((from, head), (to, tail)) = (halves(first), halves(last));
        if from == to && (head, tail) != (0, u64::MAX) {
            return self.push_deep(from, head, tail, class);
        }
        let mut whole = (Some(from), Some(to));
        if head != 0 {
            self.push_deep(from, head, u64::MAX, class);
            whole.0 = from.checked_add(1);
        }
        if tail != u64::MAX {
            whole.1 = to.checked_sub(1);
        }
        if let (Some(from), Some(to)) = whole
            && from <= to
        {
            push(&mut self.made.upper, &mut self.upper, from, to, class);
        }
        if tail != u64::MAX {
            self.push_deep(to, 0, tail, class);
        }
    }

    /// A stretch of lower halves.
    fn push_deep(&mut self, upper: u64, first: u64, last: u64, class: u32) {
        if self.deep != Some(upper) {
            self.deep = Some(upper);
            close(&mut self.made.lower, &mut self.lower, None);
            close(&mut self.made.upper, &mut self.upper, Some(upper));
            self.made.upper.add(upper, self.made.deep.len() as u32, DEEP);
            self.made.deep.push(self.made.lower.first.len() as u32);
        }
        push(&mut self.made.lower, &mut self.lower, first, last, class);
    }

    pub(super) fn finish(mut self) -> Layers {
        close(&mut self.made.lower, &mut self.lower, None);
        close(&mut self.made.upper, &mut self.upper, None);
        self.made.deep.push(self.made.lower.first.len() as u32);
        self.made.deep.shrink_to_fit();
        self.made.upper.shrink();
        self.made.lower.shrink();
        self.made.radix = Radix::new(&self.made.upper.first);
        self.made
    }
}

#[inline]
fn upper(address: u128) -> u64 {
    (address >> 64) as u64
}

fn halves(address: u128) -> (u64, u64) {
    (upper(address), address as u64)
}
