//! How a section of the language is declared, once: key, type, default, whether it can change live, and help.
//!
//! Two macros take such declarations. [`section!`] is for a table that may stand once (`[workers]`): it
//! yields the validated struct with its `Default`, a reader, the comparison behind [`crate::diff()`] and the
//! entries of the reference page. [`entry!`] is for a table that may be repeated (`[[bridge]]`): it yields a
//! model of what was written, with positions, which `validate` turns into the validated struct. An entry may
//! hold entries and tables of its own (`[[policy.ingress]]`, `source = {…}`), and know keys that somebody may write but that
//! are `refused`, because they are secret. Types of values are
//! [`parser::Parser`]s; their words are declared in [`word`]. Nothing here stops at the first error: a value
//! that cannot be used is reported and treated as absent.

pub(crate) mod parser;
pub(crate) mod reader;
pub(crate) mod word;

#[cfg(test)]
mod tests;

/// Whether a changed value can be taken over by a running process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Live,
    Restart,
}

/// The declaration of one key, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// The type of the value, in words.
    pub(crate) kind: String,
    /// The default as TOML, or what absence means.
    pub(crate) default: Absence,
    pub(crate) effect: Effect,
    pub(crate) help: &'static str,
}

impl Key {
    /// A key whose value is made of other tables.
    pub(crate) fn inner(name: &'static str, kind: &str, help: &'static str) -> Self {
        Self { name, kind: kind.to_owned(), default: Absence::Means("none"), effect: Effect::Live, help }
    }
}

/// What it means that a key is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// The entry is in error.
    Required,
    /// This value, written as TOML, is used.
    Default(String),
    /// Something that no value says.
    Means(&'static str),
}

/// How a table stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// `[path]`, which may stand once.
    Once,
    /// `[[path]]`, which may be repeated.
    Repeated,
    /// `key = {…}` within an entry.
    Inner,
}

/// The declaration of one table.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) path: &'static str,
    /// Other places where a table with the same keys may stand.
    pub(crate) also: &'static [&'static str],
    pub(crate) form: Form,
    pub(crate) help: &'static str,
    pub(crate) keys: Vec<Key>,
}

/// Declares a table that may stand once. See the module documentation.
macro_rules! section {
    (
        $(#[doc = $help:literal])+
        pub struct $name:ident in $path:literal { $(
            $(#[doc = $key_help:literal])+
            $(#[serde($serde:meta)])?
            $key:ident: $type:ty = $default:expr => $parser:expr, $effect:ident;
        )+ }
        $(with { $( $(#[doc = $table_help:literal])+ $table:ident: $table_type:ty; )+ })?
    ) => {
        $(#[doc = $help])+
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[non_exhaustive]
        pub struct $name {
            $( $(#[doc = $key_help])+ $(#[serde($serde)])? pub $key: $type, )+
            $( $( $(#[doc = $table_help])+ pub $table: $table_type, )+ )?
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)+ $($($table: <$table_type>::default(),)+)? }
            }
        }

        impl $name {
            /// The declarations of this table, and of those below it.
            pub(crate) fn declare(sections: &mut Vec<crate::schema::Section>) {
                use crate::schema::{Absence, Effect, Form, Key, Section, parser::Parser as _};
                let default = Self::default();
                let keys = vec![$({
                    let parser = $parser;
                    let default = match parser.show(&default.$key) {
                        Some(text) => Absence::Default(text),
                        None => Absence::Means("none"),
                    };
                    let help = concat!($($key_help),+);
                    Key { name: stringify!($key), kind: parser.kind(), default, effect: Effect::$effect, help }
                }),+];
                let help = concat!($($help),+);
                sections.push(Section { path: $path, also: &[], form: Form::Once, help, keys });
                $($(<$table_type>::declare(sections);)+)?
            }

            /// Reads the table. Keys that are absent or unusable have their defaults.
            pub(crate) fn read(reader: &mut crate::schema::reader::Reader<'_, '_>) -> Self {
                let default = Self::default();
                Self {
                    $($key: reader.value(stringify!($key), &$parser).unwrap_or(default.$key),)+
                    $($($table: reader.table(stringify!($table), <$table_type>::read),)+)?
                }
            }

            /// Notes the keys that differ.
            pub(crate) fn diff(&self, new: &Self, changes: &mut Vec<crate::diff::Change>) {
                $(if self.$key != new.$key {
                    changes.push(crate::diff::Change {
                        field: concat!($path, ".", stringify!($key)).to_owned(),
                        live: crate::schema::Effect::$effect == crate::schema::Effect::Live,
                    });
                })+
                $($(self.$table.diff(&new.$table, changes);)+)?
            }
        }
    };
}
pub(crate) use section;

/// Declares a table that may be repeated, or one (`as Inner`) that stands within such a table. See the module
/// documentation.
macro_rules! entry {
    (
        $(#[doc = $help:literal])+
        struct $name:ident in $path:literal $(, $also:literal)* $(as $form:ident)? { $(
            $(#[doc = $key_help:literal])+
            $key:ident: $type:ty = $presence:expr => $parser:expr, $effect:ident;
        )+ }
        $(entries { $( $(#[doc = $entry_help:literal])+ $entry:ident: $entry_type:ty; )+ })?
        $(tables { $( $(#[doc = $table_help:literal])+ $table:ident: $table_type:ty; )+ })?
        $(refused { $( $(#[doc = $refused_help:literal])+ $refused:ident; )+ })?
    ) => {
        $(#[doc = $help])+
        #[derive(Debug)]
        pub(crate) struct $name {
            $( $(#[doc = $key_help])+ pub(crate) $key: crate::schema::reader::Field<$type>, )+
            $($( $(#[doc = $entry_help])+ pub(crate) $entry: Vec<$entry_type>, )+)?
            $($( $(#[doc = $table_help])+ pub(crate) $table: Option<Box<$table_type>>, )+)?
            $($( /// Whether somebody wrote it, which is reported.
                pub(crate) $refused: bool, )+)?
        }

        impl $name {
            /// The declaration of this table. Tables within it declare themselves.
            pub(crate) fn declare(sections: &mut Vec<crate::schema::Section>) {
                use crate::schema::{Effect, Form, Key, Section, key_name, parser::Parser as _};
                use crate::schema::reader::Presence::{self, *};
                let keys = vec![$({
                    let parser = $parser;
                    let presence: Presence<$type> = $presence;
                    let default = presence.absence(|value| parser.show(value));
                    let (name, help) = (key_name(stringify!($key)), concat!($($key_help),+));
                    Key { name, kind: parser.kind(), default, effect: Effect::$effect, help }
                },)+
                $($( Key::inner(
                    stringify!($entry),
                    concat!("list of tables, [[", $path, ".", stringify!($entry), "]]"),
                    concat!($($entry_help),+),
                ), )+)?
                $($( Key::inner(stringify!($table), "table", concat!($($table_help),+)), )+)?
                ];
                let help = concat!($($help),+);
                let form = [$(Form::$form,)? Form::Repeated].into_iter().next().unwrap_or(Form::Repeated);
                sections.push(Section { path: $path, also: &[$($also),*], form, help, keys });
            }

            /// Reads one entry.
            pub(crate) fn read(reader: &mut crate::schema::reader::Reader<'_, '_>) -> Self {
                use crate::schema::{key_name, reader::Presence::*};
                Self {
                    $($key: reader.field(key_name(stringify!($key)), $presence, &$parser),)+
                    $($($entry: reader.entries(stringify!($entry), <$entry_type>::read),)+)?
                    $($($table: reader.inner(stringify!($table), <$table_type>::read),)+)?
                    $($($refused: reader.secret(stringify!($refused), concat!($($refused_help),+).trim()),)+)?
                }
            }
        }
    };
}
pub(crate) use entry;

/// The name of a key from that of its field, which has `r#` before it if it is a word of Rust.
pub(crate) fn key_name(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}
