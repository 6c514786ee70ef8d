//! STIX 2.1: the indicators of a bundle, or of what a TAXII server answers. A pattern is taken whole or not at all.

use std::borrow::Cow;

use ahash::HashMap;
use jiff::Timestamp;

use super::{Collector, FormatError, Place, Remark, json, pattern, time::time};
use crate::feeds::Details;

/// Where objects are.
pub(super) const OBJECTS: [&[&str]; 2] = [&["objects", "*"], &["*"]];

pub(super) fn parse(
    text: &[u8],
    now: Option<Timestamp>,
    collector: &mut Collector,
) -> Result<(), FormatError> {
    let malware = Malware::read(text)?;
    let bases = OBJECTS.map(json::steps);
    let fields = ["type", "id", "pattern", "pattern_type", "valid_from", "valid_until", "revoked"];
    json::records(text, &bases.each_ref().map(Vec::as_slice), &fields, |_, number, record| {
        let [kind, id, text, language, valid_from, valid_until, revoked] = record else { return Ok(()) };
        if kind.as_deref() != Some("indicator") {
            return Ok(());
        }
        let place = Place::Entry(number);
        let Some(text) = text.as_deref() else {
            collector.problem(
                place,
                id.as_deref().unwrap_or_default().as_bytes(),
                "an indicator with a pattern",
            );
            return Ok(());
        };
        let ended = valid_until.as_deref().and_then(time).zip(now).is_some_and(|(until, now)| until <= now);
        let left_out = if revoked.as_deref() == Some("true") {
            Some(Remark::Withdrawn)
        } else if ended {
            Some(Remark::Expired)
        } else if language.as_deref().is_some_and(|language| language != "stix") {
            Some(Remark::OtherKind)
        } else {
            None
        };
        if let Some(remark) = left_out {
            collector.remark(remark);
            return Ok(());
        }
        let found = match pattern::read(text) {
            Ok(found) => found,
            Err(expected) => {
                collector.problem(place, text.as_bytes(), expected);
                return Ok(());
            }
        };
        let details = Details {
            malware: id.as_deref().and_then(|id| malware.indicated_by(id)),
            first_seen: valid_from.as_deref().and_then(time),
            ..Details::default()
        };
        for what in &found {
            what.push(place, text, &details, collector)?;
        }
        Ok(())
    })
}

/// Which malware an indicator points to.
#[derive(Debug, Default)]
struct Malware<'t> {
    names: HashMap<Cow<'t, str>, Cow<'t, str>>,
    /// From an indicator to what it indicates.
    indicated: HashMap<Cow<'t, str>, Cow<'t, str>>,
}

impl<'t> Malware<'t> {
    fn read(text: &'t [u8]) -> Result<Self, FormatError> {
        let bases = OBJECTS.map(json::steps);
        let fields = ["type", "id", "name", "relationship_type", "source_ref", "target_ref"];
        let mut malware = Self::default();
        json::records(text, &bases.each_ref().map(Vec::as_slice), &fields, |_, _, record| {
            match record {
                [Some(kind), Some(id), Some(name), ..] if kind == "malware" => {
                    malware.names.insert(id.clone(), name.clone());
                }
                [Some(kind), _, _, Some(relation), Some(source), Some(target)]
                    if kind == "relationship"
                        && relation == "indicates"
                        && target.starts_with("malware--") =>
                {
                    malware.indicated.insert(source.clone(), target.clone());
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(malware)
    }

    fn indicated_by(&self, indicator: &str) -> Option<&str> {
        self.names.get(self.indicated.get(indicator)?).map(AsRef::as_ref)
    }
}
