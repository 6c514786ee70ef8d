//! What of a text may be shown when something in it is wrong. What is left out is replaced byte by byte, so that places stay what they
//! are.

use super::{
    PublicKey,
    conf::{Setting, bare, offset},
};
use std::ops::Range;

/// Base64 characters in a row that may be a key, or most of one.
const KEY_LIKE: usize = 40;

/// The most letters of what may be the name of a key, misspelt.
const NAME_MAX: usize = 24;

/// A text without what looks like a key.
pub(crate) fn without_keys(text: &str) -> String {
    let mut shown = Masked::new(text);
    key_like(text).filter(|range| is_no_path(text, range)).for_each(|range| shown.mask(range));
    shown.finish()
}

/// Whether something that looks like a key does not look like a path, which has the same characters: it ends as a key does, or has
/// letters of both cases and digits.
fn is_no_path(text: &str, range: &Range<usize>) -> bool {
    let run = text.get(range.clone()).unwrap_or_default();
    let has = |kind: fn(&u8) -> bool| run.as_bytes().iter().any(kind);
    text.get(range.end..).is_some_and(|rest| rest.starts_with('='))
        || has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

/// Where in a text of TOML there may be secret keys: behind the words for one, and wherever something looks like one and is not said to be
/// public.
pub(crate) fn secrets_of_toml(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let secret = ["private_key", "preshared_key"].iter().filter_map(|word| {
            let behind = line.find(word)? + word.len();
            let rest = line.get(behind..)?.trim_start_matches([' ', '\t', '"', '\'']).strip_prefix('=')?;
            Some(line.len() - rest.trim_start().len()..line.trim_end().len())
        });
        let is_public = |range: &Range<usize>| {
            line.get(..range.start).is_some_and(|before| before.contains("public_key"))
        };
        let is_key = |range: &Range<usize>| !is_public(range) && is_no_path(line, range);
        let found_here = secret.chain(key_like(line).filter(is_key));
        found.extend(found_here.map(|range| start + range.start..start + range.end));
        start += line.len();
    }
    found
}

/// A file of wg-quick(8) as it may be shown: without what stands behind keys that are secret or unknown, without commands and comments,
/// and without what looks like a key anywhere but where a public key should be and is.
pub(super) fn conf(text: &str) -> String {
    let mut shown = Masked::new(text);
    for line in text.split('\n') {
        let start = offset(text, line);
        for range in hidden(line.trim_end_matches('\r')) {
            shown.mask(start + range.start..start + range.end);
        }
    }
    shown.finish()
}

/// What of a line is not shown. White space at the ends of a value is, so that the value is found where it is.
fn hidden(line: &str) -> Vec<Range<usize>> {
    let content = line.split('#').next().unwrap_or_default();
    let comment = (content.len() + 1).min(line.len())..line.len();
    let words = bare(content);
    if words.is_empty() || words.starts_with('[') {
        return key_like(line).chain([comment]).collect();
    }
    let (name, value) = words.split_once('=').unwrap_or_else(|| {
        // Half a key has no name before it.
        let letters = words.find(|it: char| !it.is_ascii_alphabetic()).unwrap_or(words.len());
        let (name, rest) = words.split_at_checked(letters).unwrap_or((words, ""));
        if Setting::find(name).is_some() { (name, rest) } else { ("", words) }
    });
    let (name, value) = (bare(name), bare(value));
    let is_name = (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let secret = match Setting::find(name) {
        Some(Setting::PublicKey) if value.parse::<PublicKey>().is_ok() => return vec![comment],
        Some(key) if key.may_be_shown() => return key_like(line).chain([comment]).collect(),
        None if !is_name => words,
        Some(_) | None => value,
    };
    let start = offset(line, secret);
    vec![start..start + secret.len(), comment]
}

/// The pieces of a text that may be a key, or most of one.
fn key_like(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let is_base64 = |character: char| character.is_ascii_alphanumeric() || matches!(character, '+' | '/');
    let runs = text.split(move |character: char| !is_base64(character));
    runs.filter(|run| run.len() >= KEY_LIKE).map(|run| offset(text, run)..offset(text, run) + run.len())
}

/// A text of which pieces are replaced.
struct Masked(Vec<u8>);

impl Masked {
    fn new(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }

    fn mask(&mut self, range: Range<usize>) {
        self.0.get_mut(range).into_iter().flatten().for_each(|byte| *byte = b'*');
    }

    fn finish(self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}
