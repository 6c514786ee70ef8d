//! MISP events: the files of a feed, and what its server answers to searches for events or attributes.

use std::borrow::Cow;

use ahash::HashMap;

use super::{
    Collector, FormatError, Place, Remark,
    collect::with_port,
    entry::{self, Entry},
    json,
    time::time,
};
use crate::feeds::{Details, What};

/// Where events are; attributes are anywhere in them, objects have some too.
pub(super) const EVENTS: [&[&str]; 4] =
    [&["Event"], &["*", "Event"], &["response", "Event"], &["response", "*", "Event"]];
const ATTRIBUTES: [&str; 3] = ["..", "Attribute", "*"];

pub(super) fn parse(text: &[u8], collector: &mut Collector) -> Result<(), FormatError> {
    let events = Events::read(text)?;
    let base = json::steps(&ATTRIBUTES);
    let fields = ["type", "value", "to_ids", "deleted", "first_seen", "last_seen", "event_id"];
    json::records(text, &[&base], &fields, |_, number, record| {
        let [kind, value, to_ids, deleted, first_seen, last_seen, event] = record else { return Ok(()) };
        let place = Place::Entry(number);
        let (Some(kind), Some(value)) = (kind.as_deref(), value.as_deref()) else {
            collector.problem(
                place,
                kind.as_deref().unwrap_or_default().as_bytes(),
                "an attribute with type and value",
            );
            return Ok(());
        };
        if is_true(deleted) {
            collector.remark(Remark::Withdrawn);
            return Ok(());
        }
        if !is_true(to_ids) {
            collector.remark(Remark::NotForDetection);
            return Ok(());
        }
        let details = Details {
            malware: events.info(event.as_deref()),
            first_seen: first_seen.as_deref().and_then(time),
            last_seen: last_seen.as_deref().and_then(time),
            ..Details::default()
        };
        attribute(place, kind, value, &details, collector)
    })
}

fn attribute(
    place: Place,
    kind: &str,
    value: &str,
    details: &Details<'_>,
    collector: &mut Collector,
) -> Result<(), FormatError> {
    let shown = value.as_bytes();
    match kind {
        "ip-src" | "ip-dst" => collector.read(place, shown, entry::addresses(shown), details),
        "ip-src|port" | "ip-dst|port" => {
            let read = value
                .split_once('|')
                .ok_or("address|port")
                .and_then(|(address, port)| with_port(address, port));
            collector.read(place, shown, read, details)
        }
        "domain" | "hostname" => {
            collector.entry(place, shown, entry::domain(value).map(Entry::Domain), details)
        }
        "domain|ip" => {
            // The address is as bad as the domain, or neither is loaded.
            let both = value.split_once('|').ok_or("domain|address").and_then(|(domain, address)| {
                Ok((entry::domain(domain)?, entry::addresses(address.as_bytes())?))
            });
            match both {
                Ok((domain, read)) => {
                    collector.entry(place, shown, Ok(Entry::Domain(domain)), details)?;
                    collector.read(place, shown, Ok(read), details)
                }
                Err(expected) => {
                    collector.problem(place, shown, expected);
                    Ok(())
                }
            }
        }
        "url" => collector.entry(place, shown, entry::url(value).map(Entry::Url), details),
        "ja3-fingerprint-md5" => {
            fingerprint(place, value, entry::fingerprint(value).map(What::Ja3), details, collector)
        }
        "x509-fingerprint-sha1" => {
            fingerprint(place, value, entry::fingerprint(value).map(What::Certificate), details, collector)
        }
        _ => {
            collector.remark(Remark::OtherKind);
            Ok(())
        }
    }
}

fn fingerprint(
    place: Place,
    value: &str,
    what: Option<What<'_>>,
    details: &Details<'_>,
    collector: &mut Collector,
) -> Result<(), FormatError> {
    let Some(what) = what else {
        collector.problem(place, value.as_bytes(), "a fingerprint in hexadecimal digits");
        return Ok(());
    };
    collector.push(what, details)
}

fn is_true(field: &Option<Cow<'_, str>>) -> bool {
    matches!(field.as_deref(), Some("true" | "1"))
}

/// What events are about, by their numbers.
#[derive(Debug, Default)]
struct Events<'t> {
    infos: HashMap<Cow<'t, str>, Cow<'t, str>>,
    only: Option<Cow<'t, str>>,
}

impl<'t> Events<'t> {
    fn read(text: &'t [u8]) -> Result<Self, FormatError> {
        let bases = EVENTS.map(json::steps);
        let bases = bases.each_ref().map(Vec::as_slice);
        let mut events = Self::default();
        let mut count = 0;
        json::records(text, &bases, &["id", "info"], |_, _, record| {
            count += 1;
            if let [id, Some(info)] = record {
                events.only = Some(info.clone()).filter(|_| count == 1);
                if let Some(id) = id {
                    events.infos.insert(id.clone(), info.clone());
                }
            } else {
                events.only = None;
            }
            Ok(())
        })?;
        Ok(events)
    }

    fn info(&self, id: Option<&str>) -> Option<&str> {
        let info = id.and_then(|id| self.infos.get(id)).or(self.only.as_ref());
        info.map(AsRef::as_ref).filter(|info| !info.is_empty())
    }
}
