//! Files with keys in them: what has to be true of them, and what is said if it is not. Nothing of what they hold is.

use crate::report::{Code, Findings, Place};
use crate::wireguard::{KeyError, KeyPlace, without_keys};
use std::{
    env,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    str::{self, FromStr},
};
use zeroize::Zeroizing;

/// Permissions of others than the owner.
const OTHERS: u32 = 0o077;
/// The most bytes of a file with one key: a line that somebody may have written a remark into would be no key.
const KEY_FILE_MAX: u64 = 1024;
/// The most bytes of a file of wg-quick(8): 65536 peers have room in it.
const CONF_MAX: u64 = 64 << 20;

/// What a file holds, overwritten when it goes.
pub(super) struct Content {
    bytes: Zeroizing<Vec<u8>>,
    /// Who may do what with it.
    mode: u32,
}

impl Content {
    /// The text of a file of wg-quick(8), or a report that there is none.
    pub(super) fn conf(path: &Path, place: &Place, findings: &mut Findings) -> Option<Self> {
        let content =
            Self::read(path, CONF_MAX).map_err(|error| unreadable(path, &error, place, findings)).ok()?;
        if str::from_utf8(&content.bytes).is_err() {
            let message = format!("`{}` is not a file of WireGuard: it is not UTF-8", shown(path));
            findings.add(Code::Unreadable, place, message);
            return None;
        }
        Some(content)
    }

    /// Empty if it is not UTF-8.
    pub(super) fn text(&self) -> &str {
        str::from_utf8(&self.bytes).unwrap_or_default()
    }

    /// Reports a file with a key that others than its owner can use.
    pub(super) fn private(&self, path: &Path, place: &Place, findings: &mut Findings) {
        if self.mode & OTHERS != 0 {
            let path = path.display();
            let message =
                format!("`{path}` holds a secret key, and its mode {:o} lets others use it", self.mode);
            findings.add(Code::KeyFile, place, message).help(format!("chmod 600 {path}"));
        }
    }

    fn read(path: &Path, most: u64) -> io::Result<Self> {
        // Not a pipe, for which the appliance would wait, and not a device that never ends.
        let metadata = fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(io::Error::other("it is a directory"));
        } else if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        } else if metadata.len() > most {
            return Err(io::Error::other(format!("it has more than {most} bytes")));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        // Enough room from the start: a buffer that grows would leave copies behind.
        let mut bytes =
            Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len().min(most)).unwrap_or(0) + 64));
        file.take(most).read_to_end(&mut bytes)?;
        Ok(Self { bytes, mode: metadata.permissions().mode() & 0o7777 })
    }
}

/// Where a key is kept.
pub(super) enum Kept<'k> {
    /// In a file that its owner alone may read.
    File(PathBuf),
    /// In one that systemd made for this process.
    Credential(&'k str),
}

impl Kept<'_> {
    /// The same in words for others.
    pub(super) fn place(&self) -> KeyPlace {
        match self {
            Self::File(path) => KeyPlace::File(path.clone()),
            Self::Credential(name) => KeyPlace::Credential((*name).to_owned()),
        }
    }

    /// Reads the key that `place` asks for, or reports why there is none.
    pub(super) fn key<K: FromStr<Err = KeyError>>(
        &self,
        place: &Place,
        findings: &mut Findings,
    ) -> Option<K> {
        match self {
            Self::File(path) => key(path, true, place, findings),
            Self::Credential(name) => {
                let directory = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
                credential(directory.as_deref(), name, place, findings)
            }
        }
    }
}

/// The key in the credential `name` in `directory`.
pub(super) fn credential<K: FromStr<Err = KeyError>>(
    directory: Option<&Path>,
    name: &str,
    place: &Place,
    findings: &mut Findings,
) -> Option<K> {
    let Some(directory) = directory.filter(|directory| !directory.as_os_str().is_empty()) else {
        let name = without_keys(name);
        let message = format!("the credential `{name}` cannot be read: $CREDENTIALS_DIRECTORY is not set");
        let finding = findings.add(Code::KeyFile, place, message);
        finding.help(format!("systemd sets it for a service with LoadCredential={name}:PATH"));
        return None;
    };
    key(&directory.join(name), false, place, findings)
}

fn key<K: FromStr<Err = KeyError>>(
    path: &Path,
    private: bool,
    place: &Place,
    findings: &mut Findings,
) -> Option<K> {
    let content =
        Content::read(path, KEY_FILE_MAX).map_err(|error| unreadable(path, &error, place, findings)).ok()?;
    if private {
        content.private(path, place, findings);
    }
    let shown = shown(path);
    let problem = match str::from_utf8(&content.bytes).map(str::trim) {
        Err(_) => format!("`{shown}` holds no key: it is not UTF-8"),
        Ok("") => format!("`{shown}` is empty, and should hold a key"),
        Ok(text) if text.lines().count() > 1 => {
            format!("`{shown}` should hold one line, the key, and has more")
        }
        Ok(text) => match text.parse() {
            Ok(key) => return Some(key),
            Err(error) => format!("`{shown}` holds no key: {error}"),
        },
    };
    findings.add(Code::KeyFile, place, problem);
    None
}

pub(super) fn unreadable(path: &Path, error: &io::Error, place: &Place, findings: &mut Findings) {
    findings.add(Code::KeyFile, place, format!("cannot read `{}`: {error}", shown(path)));
}

/// A path, as long as nobody has written a key in its place.
fn shown(path: &Path) -> String {
    without_keys(&path.to_string_lossy())
}
