//! Hosts files that send the domains in them nowhere.

use std::{net::IpAddr, str};

use super::{Collector, FormatError, Remark, entry, text::Lines};
use crate::feeds::{Details, What};

pub(super) fn parse(text: &[u8], collector: &mut Collector) -> Result<(), FormatError> {
    let mut lines = Lines::new(text);
    while let Some((place, line)) = lines.next(collector) {
        let line = match memchr::memchr(b'#', line) {
            Some(comment) => &line[..comment],
            None => line,
        };
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let Some(address) = words.next() else { continue };
        let nowhere = nowhere(address);
        let mut names = words.peekable();
        if names.peek().is_none() {
            collector.problem(place, line, "an address and a domain behind it");
        }
        for name in names {
            if own(name) {
                collector.remark(Remark::OwnName);
            } else if !nowhere {
                collector.problem(place, line, "0.0.0.0, 127.0.0.1, :: or ::1 before the domain");
            } else {
                match str::from_utf8(name).map_err(|_| "UTF-8").and_then(entry::domain) {
                    Ok(domain) => collector.push(What::Domain(&domain), &Details::default())?,
                    Err(expected) => collector.problem(place, name, expected),
                }
            }
        }
    }
    Ok(())
}

/// Whether an address leads to the machine itself.
fn nowhere(address: &[u8]) -> bool {
    let address: Option<IpAddr> = str::from_utf8(address).ok().and_then(|text| text.parse().ok());
    address.is_some_and(|address| address.is_loopback() || address.is_unspecified())
}

/// Names that every hosts file has: of one label, or written as an address.
fn own(name: &[u8]) -> bool {
    !name.contains(&b'.') || name == b"localhost.localdomain" || entry::ipv4(name).is_some()
}
