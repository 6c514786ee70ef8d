use std::{borrow::Cow, collections::BTreeMap};

use super::{
    FormatError, Limits, Place, Problem, Remark,
    entry::{self, Entry, Expected, Read},
};
use crate::feeds::{Details, Indicators, What};

/// What a parser found so far.
#[derive(Debug)]
pub(super) struct Collector {
    pub(super) limits: Limits,
    pub(super) indicators: Indicators,
    pub(super) problems: Vec<Problem>,
    pub(super) problems_omitted: u64,
    pub(super) remarks: BTreeMap<Remark, u64>,
}

impl Collector {
    /// The most problems that are kept; the rest is counted.
    const PROBLEMS: usize = 1000;

    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            indicators: Indicators::default(),
            problems: Vec::new(),
            problems_omitted: 0,
            remarks: BTreeMap::new(),
        }
    }

    /// Something is not loaded.
    pub(super) fn problem(&mut self, place: Place, found: &[u8], expected: impl Into<Cow<'static, str>>) {
        if self.problems.len() < Self::PROBLEMS {
            self.problems.push(Problem::new(place, found, expected.into()));
        } else {
            self.problems_omitted += 1;
        }
    }

    pub(super) fn remark(&mut self, remark: Remark) {
        *self.remarks.entry(remark).or_default() += 1;
    }

    /// Loads an indicator.
    pub(super) fn push(&mut self, what: What<'_>, details: &Details<'_>) -> Result<(), FormatError> {
        if self.indicators.len() >= self.limits.entries {
            return Err(FormatError::TooMany { limit: self.limits.entries });
        }
        let details = self.indicators.details(details);
        self.indicators.push(what, details);
        Ok(())
    }

    /// Loads what was read of `text`, or says why not.
    pub(super) fn read(
        &mut self,
        place: Place,
        text: &[u8],
        read: Result<Read, Expected>,
        details: &Details<'_>,
    ) -> Result<(), FormatError> {
        self.entry(place, text, read.map(Entry::Addresses), details)
    }

    /// Loads what was read of `text`, or says why not.
    pub(super) fn entry(
        &mut self,
        place: Place,
        text: &[u8],
        entry: Result<Entry<'_>, Expected>,
        details: &Details<'_>,
    ) -> Result<(), FormatError> {
        match entry {
            Ok(entry) => {
                if matches!(entry, Entry::Addresses(Read { host_bits: true, .. })) {
                    self.remark(Remark::HostBits);
                }
                self.push(entry.what(), details)
            }
            Err(expected) => {
                self.problem(place, text, expected);
                Ok(())
            }
        }
    }

    /// Loads an entry of any kind that has its port in another field, if the feed gives ports.
    pub(super) fn entry_at(
        &mut self,
        place: Place,
        text: &str,
        port: Option<&str>,
        details: &Details<'_>,
    ) -> Result<(), FormatError> {
        let Some(port) = port else {
            return self.entry(place, text.as_bytes(), entry::entry(text.as_bytes()), details);
        };
        let read = with_port(text, port);
        let shown = format!("{text} {port}");
        self.read(place, shown.as_bytes(), read, details)
    }
}

/// Addresses that have their port in another field. Without a legal port they are nothing: they would be blocked at every port.
pub(super) fn with_port(text: &str, port: &str) -> Result<Read, Expected> {
    let mut read = entry::addresses(text.as_bytes())?;
    if read.addresses.port.is_some() {
        return Err("one port");
    }
    read.addresses.port = Some(entry::port(port)?);
    Ok(read)
}
