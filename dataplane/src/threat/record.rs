use std::hint::select_unpredictable;

use super::lines::Node;

/// What a line says of all addresses with some beginning: a class, or what has it is said further. This is kept beside the
/// lines, in units of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    units: [u32; UNITS],
    len: u8,
}

/// Units of the longest record.
pub(super) const UNITS: usize = 3;

/// A record that is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Class(u32),
    /// Something where the last 80 bits, of which some are dropped, are these; else nothing. See [`Kind::of_prefix`].
    Prefix {
        bits: u128,
        drop: u32,
    },
    /// The node for the next word.
    Node(Node),
    /// So many ranges, and where they begin.
    Ranges {
        count: u32,
        first: u32,
    },
}

// The first unit ends with one of these. A prefix of at most 64 bits is said by the last word of these, which is in the unit;
// a longer one has two units more, for the lower half.
const UPPER: u32 = 0;
const LOWER: u32 = 1;
const CLASS: u32 = 2;
const NODE_OR_RANGES: u32 = 3;
/// Before that prefixes have six bits for how many to drop, then eight for the class.
const DROP: u32 = 2;
const OF_CLASS: u32 = 8;

impl Record {
    pub(super) const NONE: Self = Self::of_class(0);

    pub(super) const fn of_class(class: u32) -> Self {
        Self { units: [class << 2 | CLASS, 0, 0], len: 1 }
    }

    /// Unless the class is too large a number for this.
    pub(super) fn of_prefix(first: u128, drop: u32, class: u32) -> Option<Self> {
        let kind = if drop < 64 { LOWER } else { UPPER };
        let head = (first >> 64 << 16) as u32 | class << OF_CLASS | (drop & 63) << DROP | kind;
        let len = if drop < 64 { 3 } else { 1 };
        u8::try_from(class).is_ok().then_some(Self { units: [head, (first >> 32) as u32, first as u32], len })
    }

    pub(super) fn of_node(node: Node) -> Self {
        Self { units: [NODE_OR_RANGES, node.0, 0], len: 2 }
    }

    /// At least one range.
    pub(super) fn of_ranges(count: u32, first: u32) -> Self {
        Self { units: [count << 2 | NODE_OR_RANGES, first, 0], len: 2 }
    }

    pub(super) fn units(&self) -> &[u32] {
        self.units.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The class, if it is nothing else.
    pub(super) fn class(&self) -> Option<u32> {
        let [head, ..] = self.units;
        (head & 3 == CLASS).then_some(head >> 2)
    }
}

impl Kind {
    #[inline]
    pub(super) fn read(units: &[u32; UNITS]) -> Self {
        let [head, one, two] = *units;
        let (word, drop) = (u128::from(head >> 16) << 64, head >> DROP & 63);
        match head & 3 {
            UPPER => Self::Prefix { bits: word, drop: 64 + drop },
            LOWER => Self::Prefix { bits: word | u128::from(one) << 32 | u128::from(two), drop },
            CLASS => Self::Class(head >> 2),
            _ if head >> 2 == 0 => Self::Node(Node(one)),
            _ => Self::Ranges { count: head >> 2, first: one },
        }
    }

    /// The class of an address, if a prefix says it. Whether it is a long one, and the address has it, no branch could foretell.
    #[inline]
    pub(super) fn of_prefix([head, one, two]: &[u32; UNITS], address: u128) -> Option<u32> {
        let is_lower = u64::from(head & LOWER).wrapping_neg();
        let drop = head >> DROP & 63;
        let word = ((address >> 64) as u32 ^ head >> 16) & 0xffff;
        let lower = address as u64 ^ (u64::from(*one) << 32 | u64::from(*two));
        let differing = u64::from(word) >> (drop & !is_lower as u32) | lower >> drop & is_lower;
        let class = head >> OF_CLASS & 0xff;
        (head & 2 == 0).then_some(select_unpredictable(differing == 0, class, 0))
    }
}
