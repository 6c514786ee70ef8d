//! JSON: the indicators at a path, and their ports at another; one document, or one on each line.

use std::{borrow::Cow, str};

use super::{
    Collector, FormatError, Place,
    path::{Path, Step},
    text::Lines,
    walk,
};
use crate::feeds::Details;

/// Where in a JSON document the indicators stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Json {
    /// Where the indicators are: texts, or lists of texts.
    pub path: Path,
    /// Where their ports are. Both paths are the same up to the last `[*]` of either.
    pub port: Option<Path>,
}

/// The paths as the walk needs them.
struct Plan {
    base: Vec<Step>,
    fields: Vec<Vec<Step>>,
}

impl Plan {
    fn new(json: &Json) -> Result<Self, FormatError> {
        let path = &json.path.0;
        let Some(Path(port)) = &json.port else {
            return Ok(Self { base: path.clone(), fields: vec![Vec::new()] });
        };
        let shared = path.iter().zip(port).take_while(|(one, other)| one == other).count();
        let (of_path, of_port) = (&path[shared..], &port[shared..]);
        let many = |steps: &[Step]| steps.iter().any(|step| matches!(step, Step::Entries | Step::Every));
        if many(of_path) || many(of_port) || path == port {
            let message = format!(
                "the paths {} and {} must be the same up to their last `[*]`, and differ behind it",
                json.path,
                Path(port.clone())
            );
            return Err(FormatError::Options(message));
        }
        Ok(Self { base: path[..shared].to_vec(), fields: vec![of_path.to_vec(), of_port.to_vec()] })
    }

    /// Reads one document.
    fn read(&self, text: &[u8], line: Option<Place>, collector: &mut Collector) -> Result<(), walk::Stop> {
        walk::records(text, &[&self.base], &self.fields, &mut |_, number, record| {
            let place = line.unwrap_or(Place::Entry(number));
            let value = record.first().and_then(Option::as_deref);
            let port = record.get(1).map(Option::as_deref);
            match (value, port) {
                (Some(value), None) => collector.entry_at(place, value, None, &Details::default()),
                (Some(value), Some(Some(port))) => {
                    collector.entry_at(place, value, Some(port), &Details::default())
                }
                (found, _) => {
                    let expected = if self.fields.len() > 1 { "a text and its port" } else { "a text" };
                    collector.problem(place, found.unwrap_or_default().as_bytes(), expected);
                    Ok(())
                }
            }
        })
    }
}

pub(super) fn parse(text: &[u8], json: &Json, collector: &mut Collector) -> Result<(), FormatError> {
    Ok(Plan::new(json)?.read(text, None, collector)?)
}

/// Reads documents on lines. A line that is none is a problem.
pub(super) fn parse_lines(text: &[u8], json: &Json, collector: &mut Collector) -> Result<(), FormatError> {
    let plan = Plan::new(json)?;
    let mut lines = Lines::new(text);
    while let Some((place, line)) = lines.next(collector) {
        match plan.read(line, Some(place), collector) {
            Ok(()) => {}
            Err(walk::Stop::Json(_)) => collector.problem(place, line, "a JSON document on a line"),
            Err(walk::Stop::Format(error)) => return Err(error),
        }
    }
    Ok(())
}

/// Hands to `read` every object or value at one of `bases`: the number of the base, a number from 1, and the fields that it has as texts.
pub(super) fn records<'t>(
    text: &'t [u8],
    bases: &[&[Step]],
    fields: &[&'static str],
    mut read: impl FnMut(usize, u64, &[Option<Cow<'t, str>>]) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let fields: Vec<Vec<Step>> = fields.iter().map(|name| vec![Step::Key((*name).to_owned())]).collect();
    Ok(walk::records(text, bases, &fields, &mut read)?)
}

/// Keys, `*` for all entries of a list, `..` for anywhere below.
pub(super) fn steps(names: &[&str]) -> Vec<Step> {
    let step = |name: &&str| match *name {
        "*" => Step::Entries,
        ".." => Step::Below,
        name => Step::Key(name.to_owned()),
    };
    names.iter().map(step).collect()
}

/// Whether text is one JSON document.
pub(super) fn is_document(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// Whether a document holds nothing but texts in lists.
pub(super) fn all_texts(text: &[u8]) -> bool {
    let mut all = true;
    let read = walk::records(text, &[&[]], &[Vec::new()], &mut |_, _, record| {
        all &= record.iter().all(Option::is_some);
        Ok(())
    });
    read.is_ok() && all
}
