//! Files that the command line reads, of which some have keys in them.
//!
//! Unlike a process, which would have to wait for it, the command line also takes a pipe: `/dev/stdin`, or `<(...)` of a shell.

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
};

use ravelin_config::types::PresharedKey;
use zeroize::Zeroizing;

use crate::{api::view::SentKey, cli::Failure};

/// Permissions of others than the owner.
const OTHERS: u32 = 0o077;
/// The most bytes of a file with one key, and of one with peers.
const KEY_MAX: u64 = 1024;
const CONF_MAX: u64 = 64 << 20;

/// What a file holds, overwritten when it goes.
pub(super) struct Content {
    text: Zeroizing<String>,
    /// Who may do what with it, if others could come to it by its name.
    mode: Option<u32>,
}

impl Content {
    /// The text of a file with peers.
    pub(super) fn conf(path: &Path) -> Result<Self, Failure> {
        Self::read(path, CONF_MAX)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Refuses a file with a key that others than its owner can use.
    pub(super) fn private(&self, path: &Path) -> Result<(), Failure> {
        match self.mode.filter(|mode| mode & OTHERS != 0) {
            None => Ok(()),
            Some(mode) => {
                let path = path.display();
                let error = format!("`{path}` holds a secret key, and its mode {mode:o} lets others use it");
                Err(Failure::usage(error).help(format_args!("chmod 600 {path}")))
            }
        }
    }

    fn read(path: &Path, most: u64) -> Result<Self, Failure> {
        let read = || {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::Error::other("it is a directory"));
            }
            let has_name = metadata.is_file() || metadata.file_type().is_fifo();
            // Enough room from the start, of a file: a buffer that grows leaves copies behind.
            let room = usize::try_from(metadata.len().min(most)).unwrap_or_default() + 4096;
            let mut text = Zeroizing::new(String::with_capacity(room));
            let length = file.take(most + 1).read_to_string(&mut text)?;
            if u64::try_from(length).is_ok_and(|length| length > most) {
                return Err(io::Error::other(format!("it has more than {most} bytes")));
            }
            Ok(Self { text, mode: has_name.then(|| metadata.permissions().mode() & 0o7777) })
        };
        read().map_err(|error| {
            // Whoever gave a key in the place of a file does not see it again, and nobody else does.
            let path = path.to_string_lossy();
            let is_key = path.parse::<PresharedKey>().is_ok();
            let shown = if is_key { "a key instead of the file that it is in".into() } else { path };
            Failure::usage(format_args!("cannot read `{shown}`: {error}"))
        })
    }
}

/// The key in a file; `None` in `/dev/null`.
pub(super) fn key(path: &Path) -> Result<Option<SentKey>, Failure> {
    if path == Path::new("/dev/null") {
        return Ok(None);
    }
    let content = Content::read(path, KEY_MAX)?;
    content.private(path)?;
    let (path, text) = (path.display(), content.text().trim());
    let failure = |what: &str| Failure::usage(format_args!("`{path}` {what}"));
    if text.is_empty() {
        // wg(8) would take it for none, and a program that fails writes as little.
        return Err(failure("is empty, and should hold a key").help("to be without a key, name /dev/null"));
    }
    if text.lines().count() > 1 {
        return Err(failure("should hold one line, the key, and has more"));
    }
    match text.parse::<PresharedKey>() {
        Ok(_) => Ok(Some(SentKey(Zeroizing::new(text.to_owned())))),
        Err(error) => Err(failure(&format!("holds no key: {error}"))),
    }
}
