use super::from_text;
use crate::schema::reader::nearest;
use jiff::tz::{self, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// A time zone of the IANA database: that of the system if it has one, else the one in this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// There is no such time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time zone of the IANA database, such as \"Europe/Berlin\", found `{name}`")]
pub struct ZoneError {
    name: String,
    /// What was probably meant.
    pub nearest: Option<String>,
}

impl Zone {
    /// What it means for clocks.
    pub(crate) fn tz(&self) -> &TimeZone {
        &self.0
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Self, ZoneError> {
        tz::db().get(name).map(Self).map_err(|_| {
            let names: Vec<_> = tz::db().available().map(|name| name.to_string()).collect();
            let lower: Vec<_> = names.iter().map(|name| name.to_lowercase()).collect();
            let nearest = nearest(name, lower.iter().map(String::as_str));
            let nearest = names.iter().find(|name| nearest.is_some_and(|it| name.eq_ignore_ascii_case(it)));
            ZoneError { name: name.to_owned(), nearest: nearest.cloned() }
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}
