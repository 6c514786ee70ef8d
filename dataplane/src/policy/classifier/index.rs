use super::{
    Key, Match, Position,
    cross::Cross,
    list::{Fields, Item, ListRef},
    sides::Role,
    signature::{Bit, Signatures},
    space::{Map, Space},
    tree::Forest,
};

/// The rules of one family of addresses, made ready for lookups.
#[derive(Debug)]
pub(super) struct Index<A: Space> {
    pub(super) source: Side<A>,
    pub(super) destination: Side<A>,
    /// Of the intervals of sources, and of destinations.
    pub(super) signatures: [Signatures; 2],
    pub(super) cross: Cross,
    pub(super) forest: Forest,
}

/// What is known of the addresses in one role.
#[derive(Debug)]
pub(super) struct Side<A: Space> {
    pub(super) map: A::Map,
    /// Of each interval.
    pub(super) slots: Vec<Slot>,
    /// Bits to drop from an interval's number, so that it fits into a field.
    pub(super) shift: u32,
    /// Whether there is more than the empty chain, which is number 0.
    pub(super) has_chains: bool,
    pub(super) chains: Vec<Chain>,
    pub(super) links: Vec<Link>,
}

/// What an interval leads to.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(8))]
pub(super) struct Slot {
    /// The rules of all merged sets that hold it.
    pub(super) merged: ListRef,
    /// Its combination of crossed sets (8 bits), and its chain.
    more: u32,
}

/// A list, and the position of the first of its rules, so that it need not be looked at in vain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) list: ListRef,
    pub(super) first: Position,
}

/// A chain: the position of the first of its rules, and where it begins among the links. It ends where the next one begins.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct Chain {
    pub(super) first: Position,
    pub(super) from: u32,
}

impl Link {
    pub(super) const EMPTY: Self = Self { list: ListRef::EMPTY, first: Position(u32::MAX) };

    /// Adds a list, whose items are in order.
    pub(super) fn new(items: &[Item], forest: &mut Forest) -> Self {
        let first = items.first().map_or(Self::EMPTY.first, |item| item.record.found.position);
        Self { list: forest.add(items), first }
    }
}

impl Slot {
    const CHAIN: u32 = 24;
    /// Chains, at most.
    pub(super) const CHAINS: usize = 1 << Self::CHAIN;

    pub(super) fn new(merged: ListRef, combination: u32, chain: u32) -> Self {
        Self { merged, more: combination << Self::CHAIN | chain }
    }

    /// Its chain; 0 for none.
    #[inline]
    pub(super) fn chain(self) -> u32 {
        self.more & (Self::CHAINS as u32 - 1)
    }

    #[inline]
    pub(super) fn combination(self) -> u32 {
        self.more >> Self::CHAIN
    }
}

impl<A: Space> Side<A> {
    #[inline]
    pub(super) fn slot(&self, interval: u32) -> Slot {
        self.slots.get(interval as usize).copied().unwrap_or_default()
    }

    #[inline]
    pub(super) fn fetch_slot(&self, interval: u32) {
        if let Some(slot) = self.slots.get(interval as usize) {
            crate::prefetch::fetch(slot);
        }
    }

    /// The chained sets of a chain.
    pub(super) fn links(&self, chain: u32) -> &[Link] {
        let chain = chain as usize;
        let Some(from) = self.chains.get(chain).map(|chain| chain.from as usize) else { return &[] };
        let to = self.chains.get(chain + 1).map_or(self.links.len(), |next| next.from as usize);
        self.links.get(from..to).unwrap_or_default()
    }

    /// The position of a chain's first rule.
    #[inline]
    pub(super) fn first_of(&self, chain: u32) -> Position {
        self.chains.get(chain as usize).map_or(Link::EMPTY.first, |chain| chain.first)
    }

    /// Asks for what [`Self::first_of`] reads.
    #[inline]
    pub(super) fn fetch_chain(&self, chain: u32) {
        if let Some(chain) = self.chains.get(chain as usize) {
            crate::prefetch::fetch(chain);
        }
    }

    fn bytes(&self) -> usize {
        self.map.bytes() + size_of_val(&*self.slots) + size_of_val(&*self.chains) + size_of_val(&*self.links)
    }
}

impl<A: Space> Index<A> {
    pub(super) fn bytes(&self) -> usize {
        let signatures: usize = self.signatures.iter().map(Signatures::bytes).sum();
        self.source.bytes() + self.destination.bytes() + signatures + self.cross.bytes() + self.forest.bytes()
    }

    /// Whether the set with this bit may hold the interval of the other end, in a list that is found by `home`.
    pub(super) fn may_hold(&self, home: Role, other: u32, bit: Bit) -> bool {
        let [source, destination] = &self.signatures;
        let signatures = match home {
            Role::Source => destination,
            Role::Destination => source,
        };
        bit.may_be_in(signatures.of(other))
    }

    /// What is compared of a key in lists that are found by each of its ends.
    #[inline]
    pub(super) fn fields(&self, key: &Key, source: u32, destination: u32) -> [Fields; 2] {
        [
            fields(key, (destination >> self.destination.shift) as u16),
            fields(key, (source >> self.source.shift) as u16),
        ]
    }
}

/// What is compared of a key, given the interval of the other end.
#[inline]
fn fields(key: &Key, other: u16) -> Fields {
    [other, key.source_port, key.destination_port, key.protocol.0.into()]
}

/// The best match so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best(u64);

impl Best {
    /// What every match is better than. No rule stands at the last position with the last outcome: see
    /// [`Classifier::new`](super::Classifier::new).
    pub(super) const NONE: Self = Self(u64::MAX);

    #[inline]
    pub(super) fn found(self) -> Option<Match> {
        let found = Match { position: Position((self.0 >> 32) as u32), outcome: self.0 as u32 };
        (self.0 != u64::MAX).then_some(found)
    }

    #[inline]
    pub(super) fn is_before(self, position: Position) -> bool {
        self.0 >> 32 <= u64::from(position.0) && self.0 != u64::MAX
    }

    /// The better one.
    #[inline]
    pub(super) fn or(self, found: Match) -> Self {
        Self(self.0.min(u64::from(found.position.0) << 32 | u64::from(found.outcome)))
    }
}
