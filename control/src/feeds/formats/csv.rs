//! Tables of fields between delimiters, one record on each line.

use std::{borrow::Cow, fmt, str, str::FromStr};

use super::{
    Collector, FormatError, Place,
    problem::shown,
    text::{Lines, fields},
};
use crate::feeds::Details;

/// Where in a table the indicators stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csv {
    /// The column of the indicator; needed by the format `csv`.
    pub column: Option<Column>,
    /// The column of the port.
    pub port: Option<Column>,
    /// What stands between fields.
    pub delimiter: u8,
    /// What a comment begins with.
    pub comment: Option<u8>,
    /// Whether the first record names the columns.
    pub header: bool,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// By its name in the header; upper and lower case are the same.
    Name(String),
    /// By its number, from 1.
    Number(usize),
}

impl Default for Csv {
    fn default() -> Self {
        Self { column: None, port: None, delimiter: b',', comment: Some(b'#'), header: true }
    }
}

/// A number is a number, everything else a name.
impl FromStr for Column {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(0) => Err("columns are counted from 1"),
            Ok(number) => Ok(Self::Number(number)),
            Err(_) if text.is_empty() => Err("a column has a name or a number"),
            Err(_) => Ok(Self::Name(text.to_owned())),
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

pub(super) fn parse(text: &[u8], csv: &Csv, collector: &mut Collector) -> Result<(), FormatError> {
    let Some(column) = &csv.column else {
        return Err(FormatError::Options("the format csv needs the column of the indicators".to_owned()));
    };
    let mut columns = None;
    records(text, csv.delimiter, csv.comment, collector, |collector, place, line, record| {
        let (value, port) = match columns {
            Some(known) => known,
            None => {
                let header = csv.header.then_some(record);
                let find = |column| find(column, header);
                let found = (find(column)?, csv.port.as_ref().map(find).transpose()?);
                columns = Some(found);
                if csv.header {
                    return Ok(());
                }
                found
            }
        };
        let wanted =
            [Some(value), port].map(|at| at.map(|at| record.get(at).and_then(|field| text_of(field))));
        match wanted {
            [Some(Some(value)), None] => collector.entry_at(place, value, None, &Details::default()),
            [Some(Some(value)), Some(Some(port))] => {
                collector.entry_at(place, value, Some(port), &Details::default())
            }
            _ => {
                collector.problem(place, line, "a record that has the column, in UTF-8");
                Ok(())
            }
        }
    })
}

/// Hands every record to `read`: its place, its line and its fields. Comments are left out.
pub(super) fn records<'a>(
    text: &'a [u8],
    delimiter: u8,
    comment: Option<u8>,
    collector: &mut Collector,
    mut read: impl FnMut(&mut Collector, Place, &'a [u8], &[Cow<'a, [u8]>]) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let mut lines = Lines::new(text);
    let mut record = Vec::new();
    while let Some((place, line)) = lines.next(collector) {
        if line.first().copied() == comment && comment.is_some() {
            continue;
        }
        record.clear();
        match fields(line, delimiter, &mut record) {
            Ok(()) => read(collector, place, line, &record)?,
            Err(expected) => collector.problem(place, line, expected),
        }
    }
    Ok(())
}

/// A field, if it is UTF-8.
pub(super) fn text_of(field: &[u8]) -> Option<&str> {
    str::from_utf8(field).ok()
}

/// The place of a column from 0.
fn find(column: &Column, header: Option<&[Cow<'_, [u8]>]>) -> Result<usize, FormatError> {
    let name = match (column, header) {
        (Column::Number(number), _) => {
            return number
                .checked_sub(1)
                .ok_or_else(|| FormatError::Options("columns are counted from 1".to_owned()));
        }
        (Column::Name(name), Some(header)) => {
            if let Some(at) = header.iter().position(|field| field.eq_ignore_ascii_case(name.as_bytes())) {
                return Ok(at);
            }
            name
        }
        (Column::Name(name), None) => name,
    };
    let names: Vec<_> = header.unwrap_or_default().iter().take(20).map(shown).collect();
    let has = if names.is_empty() { "no header".to_owned() } else { names.join(", ") };
    Err(FormatError::Options(format!("there is no column `{name}`; the table has {has}")))
}
