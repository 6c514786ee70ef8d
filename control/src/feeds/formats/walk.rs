//! A walk over a JSON document that keeps nothing but the fields of one record at a time. Documents may be nested 128 deep.

use std::{borrow::Cow, fmt, mem};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{FormatError, path::Step};

/// What a record is handed to: the number of its base, its own number from 1, and its fields.
type Read<'w, 't> = &'w mut dyn FnMut(usize, u64, &[Option<Cow<'t, str>>]) -> Result<(), FormatError>;

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The document is not JSON.
    Json(String),
    /// The reader of the records does not go on.
    Format(FormatError),
}

impl From<Stop> for FormatError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Json(message) => Self::Json(message),
            Stop::Format(error) => error,
        }
    }
}

/// Hands every value at one of `bases` to `read`, with those of its `fields` that are texts, numbers or truth values, as texts. A
/// list at a base whose only field is the value itself is a record for each of its entries.
pub(super) fn records<'t>(
    text: &'t [u8],
    bases: &[&[Step]],
    fields: &[Vec<Step>],
    read: Read<'_, 't>,
) -> Result<(), Stop> {
    let mut walk =
        Walk { fields, read, record: vec![None; fields.len()], number: 0, was_list: false, stopped: None };
    let ways = bases.iter().copied().enumerate().collect();
    let mut document = serde_json::Deserializer::from_slice(text);
    let result = Node { walk: &mut walk, ways, inside: None }.deserialize(&mut document);
    match (walk.stopped, result.and_then(|()| document.end())) {
        (Some(error), _) => Err(Stop::Format(error)),
        (None, Err(error)) => Err(Stop::Json(error.to_string())),
        (None, Ok(())) => Ok(()),
    }
}

struct Walk<'w, 't> {
    fields: &'w [Vec<Step>],
    read: Read<'w, 't>,
    /// The fields of the record that is being read.
    record: Vec<Option<Cow<'t, str>>>,
    number: u64,
    /// Whether the value just read was a list, each of whose entries was a record.
    was_list: bool,
    stopped: Option<FormatError>,
}

/// A value of the document.
struct Node<'n, 'w, 't> {
    walk: &'n mut Walk<'w, 't>,
    /// What is being looked for, by its number, and the steps to it that are still to go.
    ways: Vec<(usize, &'w [Step])>,
    /// The base of the record that it is part of, if it is part of one: the ways lead to its fields then.
    inside: Option<usize>,
}

impl<'n, 'w, 't> Node<'n, 'w, 't> {
    /// The ways that go on at a key or place.
    fn onwards(&self, goes: impl Fn(&Step) -> bool) -> Vec<(usize, &'w [Step])> {
        let mut ways = Vec::new();
        for &(number, steps) in &self.ways {
            match steps {
                [Step::Below, ..] => {
                    ways.push((number, steps));
                    // Below is any number of keys, none as well.
                    if let [Step::Below, next, rest @ ..] = steps
                        && goes(next)
                    {
                        ways.push((number, rest));
                    }
                }
                [step, rest @ ..] if goes(step) => ways.push((number, rest)),
                _ => {}
            }
        }
        ways
    }

    /// Whether this value is what a way leads to.
    fn reached(&self) -> Option<usize> {
        self.ways.iter().find(|(_, steps)| steps.is_empty()).map(|(number, _)| *number)
    }

    /// Keeps the value as that field of the record that it is.
    fn keep(self, text: Cow<'t, str>) {
        // No two fields are the same.
        if let Some(slot) = self.reached().and_then(|field| self.walk.record.get_mut(field)) {
            *slot = Some(text);
        }
    }

    fn part<'m>(&'m mut self, ways: Vec<(usize, &'w [Step])>) -> Node<'m, 'w, 't> {
        Node { walk: self.walk, ways, inside: self.inside }
    }
}

impl<'t> DeserializeSeed<'t> for Node<'_, '_, 't> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.ways.is_empty() {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        let Some(base) = self.reached().filter(|_| self.inside.is_none()) else {
            return deserializer.deserialize_any(self);
        };
        Record { walk: self.walk, base }.deserialize(deserializer)
    }
}

/// A value at a base.
struct Record<'n, 'w, 't> {
    walk: &'n mut Walk<'w, 't>,
    base: usize,
}

impl<'t> DeserializeSeed<'t> for Record<'_, '_, 't> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { walk, base } = self;
        let ways: Vec<_> = walk.fields.iter().map(Vec::as_slice).enumerate().collect();
        walk.record.fill(None);
        walk.was_list = false;
        Node { walk: &mut *walk, ways, inside: Some(base) }.deserialize(deserializer)?;
        if mem::take(&mut walk.was_list) {
            return Ok(());
        }
        walk.number += 1;
        (walk.read)(base, walk.number, &walk.record).map_err(|error| {
            walk.stopped = Some(error);
            D::Error::custom("stopped")
        })
    }
}

/// A key of an object, as the ways that go on there.
struct Key<'k, 'n, 'w, 't>(&'k Node<'n, 'w, 't>);

impl<'t, 'w> DeserializeSeed<'t> for Key<'_, '_, 'w, '_> {
    type Value = Vec<(usize, &'w [Step])>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'w> Visitor<'_> for Key<'_, '_, 'w, '_> {
    type Value = Vec<(usize, &'w [Step])>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.onwards(|step| match step {
            Step::Key(name) => name == key,
            Step::Every => true,
            Step::Index(_) | Step::Entries | Step::Below => false,
        }))
    }
}

impl<'t> Visitor<'t> for Node<'_, '_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'t>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(ways) = map.next_key_seed(Key(&self))? {
            map.next_value_seed(self.part(ways))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'t>>(mut self, mut list: A) -> Result<(), A::Error> {
        if let (Some(base), Some(_)) = (self.inside, self.reached().filter(|_| self.walk.fields.len() == 1)) {
            while list.next_element_seed(Record { walk: &mut *self.walk, base })?.is_some() {}
            self.walk.was_list = true;
            return Ok(());
        }
        let mut place = 0;
        loop {
            let ways = self.onwards(|step| match step {
                Step::Index(index) => *index == place,
                Step::Entries | Step::Every => true,
                Step::Key(_) | Step::Below => false,
            });
            if list.next_element_seed(self.part(ways))?.is_none() {
                return Ok(());
            }
            place += 1;
        }
    }

    fn visit_borrowed_str<E>(self, text: &'t str) -> Result<(), E> {
        self.keep(Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.keep(Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.keep(Cow::Borrowed(if value { "true" } else { "false" }));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.keep(Cow::Owned(value.to_string()));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.keep(Cow::Owned(value.to_string()));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.keep(Cow::Owned(value.to_string()));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
