/// What kind of place an interface leads to, by its number among the zones of the configuration; or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Zone(u8);

impl Default for Zone {
    fn default() -> Self {
        Self::NONE
    }
}

impl Zone {
    /// That of an interface that is in no zone, and of the appliance itself.
    pub const NONE: Self = Self(Self::MOST);

    /// How many zones there can be.
    pub const MOST: u8 = 63;

    /// The zone of this number; `None` if there can be none.
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::MOST { Some(Self(number)) } else { None }
    }

    /// Its number.
    #[inline]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// Zones that an end of a flow may be in, as bits by their numbers; the bit behind them is that of no zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneSet(u64);

// Each zone has a bit of its own, and none has one too.
const _: () = assert!((Zone::MOST as u32) < u64::BITS);

impl Default for ZoneSet {
    fn default() -> Self {
        Self::ANY
    }
}

impl ZoneSet {
    /// Wherever it is.
    pub const ANY: Self = Self(u64::MAX);

    /// One of these.
    pub fn of(zones: impl IntoIterator<Item = Zone>) -> Self {
        Self(zones.into_iter().fold(0, |bits, zone| bits | Self::bit(zone)))
    }

    const fn bit(zone: Zone) -> u64 {
        1_u64.wrapping_shl(zone.number() as u32)
    }

    /// What is in this set and not in another.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether a zone is one of them.
    #[inline]
    pub const fn has(self, zone: Zone) -> bool {
        self.0 & Self::bit(zone) != 0
    }

    /// Whether all that is in another set is in this.
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_no_zone_is_in_every_set_that_only_excludes() {
        let [inside, outside] = [0, 1].map(|number| Zone::new(number).unwrap());
        let only = ZoneSet::of([inside]);
        let not = ZoneSet::ANY.without(ZoneSet::of([outside]));
        assert_eq!([inside, outside, Zone::NONE].map(|zone| only.has(zone)), [true, false, false]);
        assert_eq!([inside, outside, Zone::NONE].map(|zone| not.has(zone)), [true, false, true]);
        assert!(not.covers(only) && !only.covers(not) && ZoneSet::ANY.covers(not) && only.covers(only));
        assert!(only.without(not).is_empty() && !not.without(only).is_empty());
        assert_eq!(ZoneSet::default(), ZoneSet::ANY);
    }

    #[test]
    fn zones_have_numbers_below_that_of_no_zone() {
        let last = Zone::MOST - 1;
        assert_eq!(Zone::new(last).map(Zone::number), Some(last));
        assert_eq!(Zone::new(Zone::MOST), None, "which no zone has");
        assert!(!ZoneSet::of((0..Zone::MOST).filter_map(Zone::new)).has(Zone::NONE));
    }
}
