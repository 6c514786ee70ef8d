/// A set of feeds, each by its number in the snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Feeds(pub u64);

impl Feeds {
    /// Most feeds that there can be.
    pub const MOST: u8 = 64;
    /// No feed.
    pub const EMPTY: Self = Self(0);

    /// One feed; none if the number is not below [`Feeds::MOST`].
    pub const fn of(number: u8) -> Self {
        if number < Self::MOST { Self(1 << number) } else { Self::EMPTY }
    }

    /// Whether the feed of this number is among them.
    pub const fn contains(self, number: u8) -> bool {
        self.0 & Self::of(number).0 != 0
    }

    /// The feeds of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their numbers, lowest first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..Self::MOST).filter(move |number| self.contains(*number))
    }
}
