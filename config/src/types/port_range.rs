use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr};

/// An inclusive range of TCP, UDP or SCTP ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port.
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    /// A range of one port.
    pub const fn single(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// The range `first..=last`.
    ///
    /// # Errors
    /// [`PortRangeError::Reversed`] if `first` is greater than `last`.
    pub const fn new(first: u16, last: u16) -> Result<Self, PortRangeError> {
        if first <= last { Ok(Self { first, last }) } else { Err(PortRangeError::Reversed { first, last }) }
    }

    /// The lowest port of the range.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port of the range.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Whether `port` lies in the range.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| {
            part.trim()
                .parse::<u16>()
                .map_err(|_| PortRangeError::NotANumber { text: part.trim().to_owned() })
        };
        match text.split_once(['-', ':']) {
            Some((first, last)) => Self::new(number(first)?, number(last)?),
            None => Ok(Self::single(number(text)?)),
        }
    }
}

impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// Why a text is not a [`PortRange`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortRangeError {
    /// A bound is not a number from 0 to 65535.
    #[error("`{text}` is not a port: expected a number from 0 to 65535, or a range such as 1000-2000")]
    NotANumber {
        /// The text found.
        text: String,
    },
    /// The first port is greater than the last.
    #[error("port range {first}-{last} is reversed: the first port must not be greater than the last")]
    Reversed {
        /// The first port as given.
        first: u16,
        /// The last port as given.
        last: u16,
    },
}
