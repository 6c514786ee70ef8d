//! Keys that are changed while the old one is still known: what stands in the file beside that of a key, and for how long it counts.

use super::secret::{Kept, unreadable};
use crate::report::{Findings, Place, Report};
use crate::wireguard::{PreviousKey, PrivateKey, Wireguard};
use jiff::Timestamp;
use std::{fs, io, path::Path, time::Duration};

/// The key before, if its file was written less than `grace` ago. One that is the key itself was left by a change that did not come to its
/// end, and is none.
pub(super) fn previous(
    key_file: &Path,
    key: Option<&PrivateKey>,
    now: Timestamp,
    grace: Duration,
    place: &Place,
    findings: &mut Findings,
) -> Option<PreviousKey> {
    let path = Wireguard::previous_key_file(key_file);
    let until = match fs::metadata(&path).and_then(|metadata| metadata.modified()) {
        Ok(written) => Timestamp::try_from(written).ok()?.checked_add(grace).ok()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            unreadable(&path, &error, place, findings);
            return None;
        }
    };
    if until <= now {
        return None;
    }
    let previous = Kept::File(path).key(place, findings)?;
    (Some(&previous) != key).then_some(PreviousKey { key: previous, until })
}

impl Wireguard {
    /// The same interface with the keys that its file, and the one beside it, hold at `now`. Without a file of its own, it is the same.
    ///
    /// # Errors
    /// A [`Report`] of what is wrong with these files.
    pub fn with_keys_of(&self, now: Timestamp) -> Result<Self, Report> {
        let mut changed = self.clone();
        let Some(path) = &self.private_key_file else { return Ok(changed) };
        let mut findings = Findings::default();
        let place = findings.place(0..0);
        let key = Kept::File(path.clone()).key(&place, &mut findings);
        changed.previous_key = previous(path, key.as_ref(), now, self.rotation_grace, &place, &mut findings);
        match key {
            Some(key) if !findings.has_errors() => changed.private_key = key,
            Some(_) | None => return Err(findings.into_report()),
        }
        Ok(changed)
    }
}
