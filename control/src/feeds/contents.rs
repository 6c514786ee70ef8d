use std::net::IpAddr;

use ravelin_config::types::IpRange;

use super::{
    Addresses, Details, DetailsId, Indicator, Indicators, What,
    guard::{Guard, Reason},
};

/// What a feed names, as far as it may be acted upon, ready to be asked for an address.
#[derive(Debug, Default)]
pub struct Contents {
    indicators: Indicators,
    /// Entries that are in force, by their lowest address.
    entries: Vec<(Addresses, DetailsId)>,
    /// For each entry the highest address of it and those before it.
    reach: Vec<IpAddr>,
    /// Entries that are not in force, with the reason.
    held: Vec<(IpRange, Reason)>,
    problems: u64,
}

impl Contents {
    /// From what was read, without what `guard` holds back. So many entries could not be read.
    pub fn new(indicators: Indicators, problems: u64, guard: &Guard) -> Self {
        let (mut entries, mut held) = (Vec::new(), Vec::new());
        for (Addresses { range, port }, details) in indicators.addresses() {
            let split = guard.split([range]);
            entries.extend(split.remains.into_iter().map(|range| (Addresses { range, port }, details)));
            held.extend(split.held);
        }
        entries.sort_unstable_by_key(|(addresses, _)| {
            (addresses.range.first(), addresses.range.last(), addresses.port)
        });
        let mut highest = None;
        let reach = entries.iter().map(|(addresses, _)| {
            let last = addresses.range.last();
            // Families do not mix: all of IPv4 comes first.
            let reach = highest.filter(|highest: &IpAddr| highest.is_ipv4() == last.is_ipv4());
            let reach = reach.map_or(last, |highest| highest.max(last));
            highest = Some(reach);
            reach
        });
        let reach = reach.collect();
        Self { indicators, entries, reach, held, problems }
    }

    /// The entries in force.
    pub fn entries(&self) -> impl Iterator<Item = Addresses> + '_ {
        self.entries.iter().map(|(addresses, _)| *addresses)
    }

    /// Entries that may not be acted upon, and why.
    pub fn held(&self) -> &[(IpRange, Reason)] {
        &self.held
    }

    /// How many entries are of other kinds than addresses.
    pub fn others(&self) -> usize {
        self.indicators.len() - self.indicators.addresses().count()
    }

    /// How many entries could not be read.
    pub fn problems(&self) -> u64 {
        self.problems
    }

    /// How many entries are in force.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no entry is in force.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Everything that was read, other kinds included.
    pub fn indicators(&self) -> &Indicators {
        &self.indicators
    }

    /// The entries in force that name an address, at `port` if that is given, the widest first; each with what is said of it.
    pub fn about(&self, address: IpAddr, port: Option<u16>) -> Vec<(Addresses, Details<'_>)> {
        let behind = self.entries.partition_point(|(entry, _)| entry.range.first() <= address);
        let mut found = Vec::new();
        for (at, (entry, details)) in self.entries.iter().enumerate().take(behind).rev() {
            if self.reach.get(at).is_none_or(|reach| *reach < address || reach.is_ipv4() != address.is_ipv4())
            {
                break;
            }
            let is_meant = match (entry.port, port) {
                (Some(wanted), Some(port)) => wanted.get() == port,
                (Some(_) | None, None) | (None, Some(_)) => true,
            };
            if entry.range.last() >= address && is_meant {
                found.push((*entry, self.indicators.get(*details)));
            }
        }
        found.reverse();
        found
    }

    /// The entry that names a domain.
    pub fn about_domain(&self, domain: &str) -> Option<Indicator<'_>> {
        self.indicators.iter().find(|indicator| indicator.what == What::Domain(domain))
    }
}
