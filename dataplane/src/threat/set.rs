use std::net::IpAddr;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Feeds(u64);

impl Feeds {
    pub const EMPTY: Self = Self(0);
    pub fn of(number: u8) -> Self {
        Self(1 << number)
    }
    pub fn contains(self, number: u8) -> bool {
        self.0 >> number & 1 != 0
    }
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indicator {
    pub first: IpAddr,
    pub last: IpAddr,
    pub port: Option<u16>,
    pub feed: u8,
}

#[derive(Clone, Debug, Default)]
pub struct IndicatorSet(Vec<Indicator>);

impl IndicatorSet {
    pub fn new(indicators: impl IntoIterator<Item = Indicator>) -> Self {
        Self(indicators.into_iter().collect())
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub fn feeds(&self, address: IpAddr, port: u16) -> Feeds {
        let hits = self
            .0
            .iter()
            .filter(|i| i.first <= address && address <= i.last && i.port.is_none_or(|p| p == port));
        hits.fold(Feeds::EMPTY, |all, i| Feeds(all.0 | Feeds::of(i.feed).0))
    }
}
