use std::{
    collections::hash_map::Entry,
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    num::{NonZeroU8, NonZeroU16, NonZeroU32},
};

use ahash::HashMap;
use jiff::Timestamp;
use ravelin_config::types::IpRange;
use serde::{Serialize, Serializer};

/// What a feed names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What<'a> {
    /// Addresses, at one port or at any.
    Addresses(Addresses),
    /// A domain in lower case, without a dot at its end, international names as `xn--…`.
    Domain(&'a str),
    /// A URL, scheme and host in lower case, the rest as it was written.
    Url(&'a str),
    /// A TLS client as JA3 knows it: the MD5 of what it offers.
    Ja3([u8; 16]),
    /// A TLS certificate by its SHA-1.
    Certificate([u8; 20]),
}

/// A range of addresses, and the port at which they are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addresses {
    /// The addresses.
    pub range: IpRange,
    /// The only port that is meant; without one, every port and protocol is.
    pub port: Option<NonZeroU16>,
}

/// Whether an indicator was in use when the feed was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It answered.
    Online,
    /// It did not.
    Offline,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Online => "online",
            Self::Offline => "offline",
        })
    }
}

/// What a feed says of an indicator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Details<'a> {
    /// What it is: the malware's family, else the category, reason or event that the feed gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malware: Option<&'a str>,
    /// When it was first seen, to the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    /// When it was last seen, to the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// Whether it was in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// How sure the feed is, 1 to 127 (Suricata).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reputation: Option<NonZeroU8>,
}

/// An entry of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Indicator<'a> {
    /// What is named.
    #[serde(flatten)]
    pub what: What<'a>,
    /// What is said of it.
    #[serde(flatten)]
    pub details: Details<'a>,
}

/// Details as [`Indicators`] keeps them. The default stands for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DetailsId(u32);

/// Indicators, each kind by itself in the order in which they came: 16 bytes for an IPv4 entry, 40 for an IPv6 one. Equal
/// details are kept once.
#[derive(Clone, Debug, Default)]
pub struct Indicators {
    v4: Vec<Span<Ipv4Addr>>,
    v6: Vec<Span<Ipv6Addr>>,
    others: Vec<(Other, DetailsId)>,
    /// The details with number n + 1.
    details: Vec<Packed>,
    numbers: HashMap<Packed, DetailsId>,
    names: Vec<Box<str>>,
    named: HashMap<Box<str>, NonZeroU32>,
}

#[derive(Clone, Copy, Debug)]
struct Span<A> {
    first: A,
    last: A,
    port: Option<NonZeroU16>,
    details: DetailsId,
}

/// The bytes that an entry of either family takes.
#[cfg(test)]
pub(super) const SIZES: (usize, usize) = (size_of::<Span<Ipv4Addr>>(), size_of::<Span<Ipv6Addr>>());

#[derive(Clone, Debug)]
enum Other {
    Domain(Box<str>),
    Url(Box<str>),
    Ja3([u8; 16]),
    Certificate([u8; 20]),
}

/// [`Details`] in 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Packed {
    /// The name's place in the list of names, plus one.
    malware: Option<NonZeroU32>,
    /// Seconds since 1970.
    first_seen: Option<NonZeroU32>,
    last_seen: Option<NonZeroU32>,
    status: Option<Status>,
    reputation: Option<NonZeroU8>,
}

impl Indicators {
    /// Adds an indicator with details that [`Self::details`] gave.
    pub fn push(&mut self, what: What<'_>, details: DetailsId) {
        let other = match what {
            What::Addresses(Addresses { range: IpRange::V4 { first, last }, port }) => {
                return self.v4.push(Span { first, last, port, details });
            }
            What::Addresses(Addresses { range: IpRange::V6 { first, last }, port }) => {
                return self.v6.push(Span { first, last, port, details });
            }
            What::Domain(name) => Other::Domain(name.into()),
            What::Url(url) => Other::Url(url.into()),
            What::Ja3(hash) => Other::Ja3(hash),
            What::Certificate(hash) => Other::Certificate(hash),
        };
        self.others.push((other, details));
    }

    /// Keeps details, for entries that are to be added. Times before 1970 and behind 2106 are left out.
    pub fn details(&mut self, details: &Details<'_>) -> DetailsId {
        if *details == Details::default() {
            return DetailsId::default();
        }
        let seconds = |time: Option<Timestamp>| {
            time.and_then(|time| u32::try_from(time.as_second()).ok()).and_then(NonZeroU32::new)
        };
        let packed = Packed {
            malware: details.malware.and_then(|name| self.name(name)),
            first_seen: seconds(details.first_seen),
            last_seen: seconds(details.last_seen),
            status: details.status,
            reputation: details.reputation,
        };
        let next = u32::try_from(self.details.len() + 1).map(DetailsId);
        match self.numbers.entry(packed) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                // Beyond four thousand million different ones there is nothing that could be said.
                let Ok(id) = next else { return DetailsId::default() };
                self.details.push(packed);
                *new.insert(id)
            }
        }
    }

    fn name(&mut self, name: &str) -> Option<NonZeroU32> {
        if let Some(known) = self.named.get(name) {
            return Some(*known);
        }
        let number = u32::try_from(self.names.len() + 1).ok().and_then(NonZeroU32::new)?;
        self.names.push(name.into());
        self.named.insert(name.into(), number);
        Some(number)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len() + self.others.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them: IPv4, IPv6, then the rest, each in the order of the feed.
    pub fn iter(&self) -> impl Iterator<Item = Indicator<'_>> {
        let others = self.others.iter().map(|(other, details)| {
            let what = match other {
                Other::Domain(name) => What::Domain(name),
                Other::Url(url) => What::Url(url),
                Other::Ja3(hash) => What::Ja3(*hash),
                Other::Certificate(hash) => What::Certificate(*hash),
            };
            Indicator { what, details: self.get(*details) }
        });
        let addresses = self.addresses().map(|(addresses, details)| Indicator {
            what: What::Addresses(addresses),
            details: self.get(details),
        });
        addresses.chain(others)
    }

    /// The addresses alone, IPv4 first, and what [`Self::get`] needs to say more.
    pub fn addresses(&self) -> impl Iterator<Item = (Addresses, DetailsId)> {
        let v4 = self.v4.iter().map(|&Span { first, last, port, details }| {
            (Addresses { range: IpRange::V4 { first, last }, port }, details)
        });
        let v6 = self.v6.iter().map(|&Span { first, last, port, details }| {
            (Addresses { range: IpRange::V6 { first, last }, port }, details)
        });
        v4.chain(v6)
    }

    /// Details by their number; none if it is of other indicators.
    pub fn get(&self, id: DetailsId) -> Details<'_> {
        let index = |number: u32| usize::try_from(number).ok()?.checked_sub(1);
        let Some(packed) = index(id.0).and_then(|at| self.details.get(at)) else { return Details::default() };
        let time = |seconds: NonZeroU32| Timestamp::from_second(i64::from(seconds.get())).ok();
        let name = |number: NonZeroU32| self.names.get(index(number.get())?).map(AsRef::as_ref);
        Details {
            malware: packed.malware.and_then(name),
            first_seen: packed.first_seen.and_then(time),
            last_seen: packed.last_seen.and_then(time),
            status: packed.status,
            reputation: packed.reputation,
        }
    }

    /// Gives back what memory was taken in advance, and what only helped to fill it.
    pub(super) fn finish(&mut self) {
        self.v4.shrink_to_fit();
        self.v6.shrink_to_fit();
        self.others.shrink_to_fit();
        self.details.shrink_to_fit();
        self.numbers = HashMap::default();
        self.named = HashMap::default();
    }
}

/// Entry by entry; how details are numbered does not count.
impl PartialEq for Indicators {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Addresses {
    /// Whether this is about `port`; whatever the port, if none is asked for.
    pub fn is_meant_at(&self, port: Option<u16>) -> bool {
        match (self.port, port) {
            (Some(wanted), Some(port)) => wanted.get() == port,
            (Some(_) | None, None) | (None, Some(_)) => true,
        }
    }
}

/// As [`IpRange`], with `:port` behind it; IPv6 in brackets then.
impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.range, self.port) {
            (range, None) => range.fmt(f),
            (range @ IpRange::V4 { .. }, Some(port)) => write!(f, "{range}:{port}"),
            (range @ IpRange::V6 { .. }, Some(port)) => write!(f, "[{range}]:{port}"),
        }
    }
}

impl What<'_> {
    /// The word for what it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Addresses(_) => "addresses",
            Self::Domain(_) => "domain",
            Self::Url(_) => "url",
            Self::Ja3(_) => "ja3",
            Self::Certificate(_) => "certificate",
        }
    }
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hexadecimal =
            |bytes: &[u8]| bytes.iter().try_for_each(|byte| f.write_fmt(format_args!("{byte:02x}")));
        match self {
            Self::Addresses(addresses) => addresses.fmt(f),
            Self::Domain(text) | Self::Url(text) => f.write_str(text),
            Self::Ja3(hash) => hexadecimal(hash),
            Self::Certificate(hash) => hexadecimal(hash),
        }
    }
}

/// `{"addresses": "192.0.2.1:443"}`, `{"domain": "…"}` and so on.
impl Serialize for What<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.kind(), self.to_string())])
    }
}
