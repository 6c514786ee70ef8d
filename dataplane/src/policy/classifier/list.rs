use super::{Match, Position, lanes, signature::Bit};

/// How many rules stand side by side in one cache line.
pub(super) const LANES: usize = 4;

/// What of a rule or a key is compared as a number of 16 bits: the interval of the other end, both ports, the protocol.
pub(super) const FIELDS: usize = 4;

/// Field of the other end's interval.
pub(super) const OTHER: usize = 0;
/// Field of the initiator's port.
pub(super) const SOURCE_PORT: usize = 1;
/// Field of the responder's port.
pub(super) const DESTINATION_PORT: usize = 2;
/// Field of the protocol.
pub(super) const PROTOCOL: usize = 3;

/// The fields of a key.
pub(super) type Fields = [u16; FIELDS];

/// The fields of a key, each as often as there are lanes.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(32))]
pub(super) struct Wide([u16; LANES * FIELDS]);

impl Wide {
    pub(super) fn new([a, b, c, d]: Fields) -> Self {
        Self([a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d])
    }
}

/// Four rules of a list, the ranges of their fields: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Quad {
    lowest: [u16; LANES * FIELDS],
    length: [u16; LANES * FIELDS],
}

impl Quad {
    /// The lanes whose ranges hold all fields of the key.
    #[inline]
    pub(super) fn hits(&self, key: &Wide) -> Hits {
        Hits(lanes::within(&key.0, &self.lowest, &self.length))
    }
}

/// Lanes of a quad, the lowest first: two bits for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hits(u32);

impl Hits {
    /// The first of them, if there is any.
    #[inline]
    pub(super) fn first(self) -> usize {
        (self.0.trailing_zeros() / 2) as usize
    }

    #[inline]
    pub(super) fn any(self) -> bool {
        self.0 != 0
    }
}

impl Iterator for Hits {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let lane = self.first();
        self.0 &= !(3_u32.checked_shl(2 * lane as u32).unwrap_or(0));
        (lane < LANES).then_some(lane)
    }
}

/// What is behind a lane: what it says, and what else must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) found: Match,
    pub(super) check: Check,
}

/// What is behind the lanes of a quad: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Records([Record; LANES]);

impl Records {
    #[inline]
    pub(super) fn lane(&self, lane: usize) -> &Record {
        let [first, ..] = &self.0;
        self.0.get(lane % LANES).unwrap_or(first)
    }
}

/// The intervals of the other end, if `first <= last`. Otherwise the rule that has to be asked itself, with the highest bit
/// set, and which bit of the other end's signature says that this may be worth it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Check {
    first: u32,
    last: u32,
}

impl Check {
    const ASK: u32 = 1 << 31;

    pub(super) const fn intervals(first: u32, last: u32) -> Self {
        Self { first, last }
    }

    pub(super) const fn rule(index: u32, bit: Bit) -> Self {
        Self { first: Self::ASK | index, last: bit.number() }
    }

    /// The same, if the rule has to be asked in any case.
    pub(super) const fn or_rule(self, index: u32) -> Self {
        if self.first <= self.last { Self::rule(index, Bit::NONE) } else { self }
    }

    /// Whether the interval `other` is among these; never, if a rule has to be asked.
    #[inline]
    pub(super) fn lies_in(self, other: u32) -> bool {
        (self.first <= other) & (other <= self.last)
    }

    /// Whether the rule matches a key whose other end lies in the interval `other`, if its fields do.
    #[inline]
    pub(super) fn holds(self, other: u32, ask: impl FnOnce(u32, Bit) -> bool) -> bool {
        if self.first <= self.last {
            self.lies_in(other)
        } else {
            ask(self.first & !Self::ASK, Bit::from_number(self.last))
        }
    }
}

/// A rule on its way into a list: the lowest and the highest value of each field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) fields: [(u16, u16); FIELDS],
    pub(super) record: Record,
}

/// Where a list is: nowhere, a few quads in a row, many, or divided by a [`Node`](super::tree::Node).
///
/// The lowest three bits are the number of quads in a row, the highest two say whether it is something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ListRef(u32);

/// A list, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Empty,
    Quads { first: u32, count: u32 },
    Long(u32),
    Node(u32),
}

impl ListRef {
    pub(super) const EMPTY: Self = Self(0);
    /// The most quads of a list that is not long.
    pub(super) const FEW: u32 = 4;
    const COUNT: u32 = 3;
    const LONG: u32 = 1 << 30;
    const NODE: u32 = 1 << 31;

    pub(super) fn node(index: u32) -> Self {
        Self(Self::NODE | index << Self::COUNT)
    }

    fn long(index: u32) -> Self {
        Self(Self::LONG | index << Self::COUNT)
    }

    fn quads(first: u32, count: u32) -> Self {
        Self(first << Self::COUNT | count)
    }

    /// How many quads in a row it is; none, if it is anything else.
    #[inline]
    pub(super) fn count(self) -> u32 {
        self.0 & ((1 << Self::COUNT) - 1)
    }

    #[inline]
    pub(super) fn is_node(self) -> bool {
        self.0 & Self::NODE != 0
    }

    #[inline]
    pub(super) fn is_quads(self) -> bool {
        self.0 & (Self::NODE | Self::LONG) == 0
    }

    #[inline]
    pub(super) fn is_long(self) -> bool {
        self.0 & Self::LONG != 0
    }

    /// The first quad, or the number of the node, or of the long list.
    #[inline]
    pub(super) fn index(self) -> u32 {
        (self.0 & !(Self::NODE | Self::LONG)) >> Self::COUNT
    }

    #[inline]
    pub(super) fn get(self) -> List {
        if self.is_node() {
            List::Node(self.index())
        } else if self.is_long() {
            List::Long(self.index())
        } else if self.count() > 0 {
            List::Quads { first: self.index(), count: self.count() }
        } else {
            List::Empty
        }
    }
}

/// The rules of all lists.
#[derive(Debug)]
pub(super) struct Lists {
    quads: Vec<Quad>,
    /// Those of each quad.
    records: Vec<Records>,
    /// First quad and number of quads of long lists.
    long: Vec<(u32, u32)>,
}

impl Lists {
    /// Lists behind so many quads are found as long ones.
    const FAR: u32 = 1 << 25;

    pub(super) fn new() -> Self {
        Self { quads: Vec::new(), records: Vec::new(), long: Vec::new() }
    }

    fn push(&mut self, items: &[Item]) {
        let Some(last) = items.last() else { return };
        // Lanes that are left over repeat the last rule.
        let lane = |lane: usize| items.get(lane).unwrap_or(last);
        let mut quad = Quad { lowest: [0; LANES * FIELDS], length: [0; LANES * FIELDS] };
        for (at, (lowest, length)) in quad.lowest.iter_mut().zip(&mut quad.length).enumerate() {
            let (low, high) = lane(at % LANES).fields.get(at / LANES).copied().unwrap_or_default();
            (*lowest, *length) = (low, high - low);
        }
        self.quads.push(quad);
        self.records.push(Records(std::array::from_fn(|at| lane(at).record)));
    }

    /// Adds a list, whose items are in order.
    pub(super) fn add(&mut self, items: &[Item]) -> ListRef {
        let (first, count) = (self.quads.len() as u32, items.len().div_ceil(LANES) as u32);
        items.chunks(LANES).for_each(|chunk| self.push(chunk));
        match count {
            0 => ListRef::EMPTY,
            1..=ListRef::FEW if first < Self::FAR => ListRef::quads(first, count),
            _ => {
                self.long.push((first, count));
                ListRef::long(self.long.len() as u32 - 1)
            }
        }
    }

    #[inline]
    pub(super) fn quad(&self, index: u32) -> Option<&Quad> {
        self.quads.get(index as usize)
    }

    #[inline]
    pub(super) fn records(&self, quad: u32) -> Option<&Records> {
        self.records.get(quad as usize)
    }

    /// The quads of a long list that may hold something at or behind `from`.
    pub(super) fn long(&self, index: u32, from: Position) -> (u32, u32) {
        let (first, count) = self.long.get(index as usize).copied().unwrap_or_default();
        let records = self.records.get(first as usize..(first + count) as usize).unwrap_or_default();
        let skip = records
            .partition_point(|quad| quad.0.last().is_some_and(|record| record.found.position < from))
            as u32;
        (first + skip, count - skip)
    }

    pub(super) fn shrink(&mut self) {
        self.quads.shrink_to_fit();
        self.records.shrink_to_fit();
        self.long.shrink_to_fit();
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.quads) + size_of_val(&*self.records) + size_of_val(&*self.long)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field() -> impl Strategy<Value = (u16, u16)> {
        prop_oneof![
            Just((0, u16::MAX)),
            (0u16..4, 0u16..4).prop_map(|(a, b)| (a.min(b), a.max(b))),
            (0u16..4).prop_map(|a| (a | 0x8000, u16::MAX)),
        ]
    }

    proptest! {
        #[test]
        fn hits_are_the_lanes_whose_ranges_hold_the_key(
            fields in proptest::collection::vec([field(), field(), field(), field()], 1..=4),
            key in proptest::array::uniform4(prop_oneof![0u16..5, 0x8000u16..0x8005, Just(u16::MAX)]),
        ) {
            let record = Record {
                found: Match { position: Position(1), outcome: 1 },
                check: Check::intervals(0, 0),
            };
            let items: Vec<_> = fields.iter().map(|fields| Item { fields: *fields, record }).collect();
            let mut lists = Lists::new();
            let List::Quads { first, count: 1 } = lists.add(&items).get() else { panic!("one quad") };
            let hits: Vec<_> = lists.quad(first).unwrap().hits(&Wide::new(key)).collect();
            let holds = |fields: &[(u16, u16); FIELDS]| {
                fields.iter().zip(&key).all(|((low, high), key)| low <= key && key <= high)
            };
            let expected: Vec<_> =
                (0..LANES).filter(|lane| holds(&fields[(*lane).min(fields.len() - 1)])).collect();
            prop_assert_eq!(hits, expected);
        }
    }
}
