use std::{net::IpAddr, sync::Arc};

use super::{
    Addresses, Details, DetailsId, Indicator, Indicators, What,
    guard::{FeedGuard, Reason},
};

/// What a feed names, as far as it may be acted upon, ready to be asked for an address.
#[derive(Debug, Default)]
pub struct Contents {
    indicators: Arc<Indicators>,
    /// Entries that are in force, by their lowest address.
    entries: Vec<(Addresses, DetailsId)>,
    /// For each entry the highest address of it and those before it.
    reach: Vec<IpAddr>,
    /// Entries that are not in force.
    held: Vec<Held>,
    allowed: usize,
    problems: u64,
}

/// An entry, or a part of one, that is not acted upon.
#[derive(Clone, Debug)]
pub struct Held {
    /// What it names.
    pub entry: Addresses,
    /// Why it is not acted upon.
    pub reason: Reason,
    details: DetailsId,
}

impl Contents {
    /// From what was read, without what `guard` holds back. So many entries could not be read.
    pub fn new(indicators: Arc<Indicators>, problems: u64, guard: &FeedGuard) -> Self {
        let (mut entries, mut held) = (Vec::new(), Vec::new());
        for (Addresses { range, port }, details) in indicators.addresses() {
            let split = guard.split([range]);
            entries.extend(split.remains.into_iter().map(|range| (Addresses { range, port }, details)));
            held.extend(split.held.into_iter().map(|(range, reason)| Held {
                entry: Addresses { range, port },
                reason,
                details,
            }));
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
        let allowed = held.iter().filter(|held| matches!(held.reason, Reason::Allowed(_))).count();
        Self { indicators, entries, reach, held, allowed, problems }
    }

    /// The same under another guard.
    pub fn under(&self, guard: &FeedGuard) -> Self {
        Self::new(Arc::clone(&self.indicators), self.problems, guard)
    }

    /// The entries in force.
    pub fn entries(&self) -> impl Iterator<Item = Addresses> + '_ {
        self.entries.iter().map(|(addresses, _)| *addresses)
    }

    /// Entries that may not be acted upon, and why.
    pub fn held(&self) -> &[Held] {
        &self.held
    }

    /// How many of those the allow-list holds back.
    pub fn allowed(&self) -> usize {
        self.allowed
    }

    /// How many of those are guarded, or too wide.
    pub fn guarded(&self) -> usize {
        self.held.len() - self.allowed
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
            if entry.range.last() >= address && entry.is_meant_at(port) {
                found.push((*entry, self.indicators.get(*details)));
            }
        }
        found.reverse();
        found
    }

    /// The entries that name an address as [`Self::about`] has it, but are not acted upon.
    pub fn held_about(
        &self,
        address: IpAddr,
        port: Option<u16>,
    ) -> impl Iterator<Item = (&Held, Details<'_>)> {
        let about = move |held: &&Held| held.entry.range.contains(address) && held.entry.is_meant_at(port);
        self.held.iter().filter(about).map(|held| (held, self.indicators.get(held.details)))
    }

    /// The entry that names a domain.
    pub fn about_domain(&self, domain: &str) -> Option<Indicator<'_>> {
        self.indicators.iter().find(|indicator| indicator.what == What::Domain(domain))
    }
}
