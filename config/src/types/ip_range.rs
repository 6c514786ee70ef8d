use super::IpNet;
use serde::{Serialize, Serializer};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The addresses from `first` to `last`, both included; `first` is never above `last`. IPv4 addresses written as IPv6 are IPv4 here.
/// Ranges stand in the order of addresses, where all of IPv4 is below all of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpRange {
    /// IPv4.
    V4 {
        /// The lowest address.
        first: Ipv4Addr,
        /// The highest address.
        last: Ipv4Addr,
    },
    /// IPv6.
    V6 {
        /// The lowest address.
        first: Ipv6Addr,
        /// The highest address.
        last: Ipv6Addr,
    },
}

impl IpRange {
    /// The addresses from `first` to `last`, if they are of one family and in this order.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        match (first.to_canonical(), last.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => Some(Self::V4 { first, last }),
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => Some(Self::V6 { first, last }),
            (IpAddr::V4(_) | IpAddr::V6(_), IpAddr::V4(_) | IpAddr::V6(_)) => None,
        }
    }

    /// The lowest address.
    pub fn first(&self) -> IpAddr {
        match *self {
            Self::V4 { first, .. } => first.into(),
            Self::V6 { first, .. } => first.into(),
        }
    }

    /// The highest address.
    pub fn last(&self) -> IpAddr {
        match *self {
            Self::V4 { last, .. } => last.into(),
            Self::V6 { last, .. } => last.into(),
        }
    }

    /// Whether `address` is one of these.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.first() <= address && address <= self.last()
    }

    /// The addresses that are in `other` too.
    pub fn and(&self, other: &Self) -> Option<Self> {
        match (*self, *other) {
            (Self::V4 { first, last }, Self::V4 { first: from, last: to }) => {
                let (first, last) = (first.max(from), last.min(to));
                (first <= last).then_some(Self::V4 { first, last })
            }
            (Self::V6 { first, last }, Self::V6 { first: from, last: to }) => {
                let (first, last) = (first.max(from), last.min(to));
                (first <= last).then_some(Self::V6 { first, last })
            }
            (Self::V4 { .. }, Self::V6 { .. }) | (Self::V6 { .. }, Self::V4 { .. }) => None,
        }
    }

    /// Those that are lower than `address`.
    pub fn below(&self, address: IpAddr) -> Option<Self> {
        match (*self, address) {
            (Self::V4 { first, last }, IpAddr::V4(address)) => {
                let last = last.min(address.to_bits().checked_sub(1)?.into());
                (first <= last).then_some(Self::V4 { first, last })
            }
            (Self::V6 { first, last }, IpAddr::V6(address)) => {
                let last = last.min(address.to_bits().checked_sub(1)?.into());
                (first <= last).then_some(Self::V6 { first, last })
            }
            (Self::V4 { .. }, IpAddr::V6(_)) => Some(*self),
            (Self::V6 { .. }, IpAddr::V4(_)) => None,
        }
    }

    /// Those that are higher than `address`.
    pub fn above(&self, address: IpAddr) -> Option<Self> {
        match (*self, address) {
            (Self::V4 { first, last }, IpAddr::V4(address)) => {
                let first = first.max(address.to_bits().checked_add(1)?.into());
                (first <= last).then_some(Self::V4 { first, last })
            }
            (Self::V6 { first, last }, IpAddr::V6(address)) => {
                let first = first.max(address.to_bits().checked_add(1)?.into());
                (first <= last).then_some(Self::V6 { first, last })
            }
            (Self::V4 { .. }, IpAddr::V6(_)) => None,
            (Self::V6 { .. }, IpAddr::V4(_)) => Some(*self),
        }
    }

    /// The length of the longest prefix that has as many addresses, or more.
    pub fn width(&self) -> u32 {
        match *self {
            Self::V4 { first, last } => (last.to_bits() - first.to_bits()).leading_zeros(),
            Self::V6 { first, last } => (last.to_bits() - first.to_bits()).leading_zeros(),
        }
    }

    /// The length of the prefix that these addresses are, if they are one.
    pub fn prefix_length(&self) -> Option<u32> {
        let (differing, first, width) = match *self {
            Self::V4 { first, last } => {
                let (first, last) = (first.to_bits(), last.to_bits());
                (u128::from(first ^ last), u128::from(first), u32::BITS)
            }
            Self::V6 { first, last } => (first.to_bits() ^ last.to_bits(), first.to_bits(), u128::BITS),
        };
        // The ends differ in all of the last bits and in no other, and the first end has none of them.
        let host = differing.count_ones();
        (differing.trailing_ones() == host && first & differing == 0).then_some(width - host)
    }
}

impl From<IpAddr> for IpRange {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4 { first: address, last: address },
            IpAddr::V6(address) => Self::V6 { first: address, last: address },
        }
    }
}

impl From<IpNet> for IpRange {
    fn from(net: IpNet) -> Self {
        match net {
            IpNet::V4(net) => Self::V4 { first: net.network(), last: net.broadcast() },
            IpNet::V6(net) => {
                let (first, last) = (net.network(), net.broadcast());
                Self::new(first.into(), last.into()).unwrap_or(Self::V6 { first, last })
            }
        }
    }
}

/// As lists write it: an address, a prefix, or the ends with a hyphen between them.
impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.first(), self.last());
        match self.prefix_length() {
            _ if first == last => first.fmt(f),
            Some(length) => write!(f, "{first}/{length}"),
            None => write!(f, "{first}-{last}"),
        }
    }
}

impl Serialize for IpRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
