//! After a crash: everything that was ever attached is removed.
//!
//! Promises: what is not ours stays, and so does what a running process lives off; what could not be undone on one interface
//! keeps nobody from undoing the rest, and is told. Refuses: to guess what an interface was like before; settings are those
//! that the process remembered in a file.

use std::{collections::BTreeSet, path::Path};

use super::{
    AfXdpError, AttachMode, Link, Note,
    offload::Saved,
    program::{self, Removed},
    socket,
};

/// What was done to one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detached {
    /// Its name.
    pub interface: String,
    /// How the XDP program ran that was removed; `None` if there was none.
    pub xdp: Option<AttachMode>,
    /// Whether a program was removed from tc.
    pub tc: bool,
    /// Settings that were put back, by the kernel's names.
    pub settings: Vec<String>,
}

/// What [`detach`] did and could not do.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Interfaces on which something was done.
    pub detached: Vec<Detached>,
    /// Interfaces that were left as they are, with the reason.
    pub errors: Vec<AfXdpError>,
    /// Settings that could not be restored.
    pub notes: Vec<Note>,
}

/// Removes our programs from the interfaces `only`, or from all of this network namespace if that is empty, and restores the
/// settings that `state_file` remembers of them. An interface that a running process has is left alone.
///
/// # Errors
/// If interfaces cannot be listed, or the state file cannot be read or written.
pub fn detach(state_file: &Path, only: &[String]) -> Result<Outcome, AfXdpError> {
    let mut saved = Saved::open(state_file)?;
    let mut names: BTreeSet<String> = only.iter().cloned().collect();
    if only.is_empty() {
        names.extend(Link::names().map_err(|error| AfXdpError::interface("(list)", error))?);
        names.extend(saved.interfaces());
    }
    let mut outcome = Outcome::default();
    for interface in names {
        let removed = match Link::find(&interface) {
            Ok(link) => left_behind(&link).and_then(|()| {
                saved.stop_threads(&link);
                program::detach(&link)
            }),
            // It took its programs with it.
            Err(_) if only.is_empty() => Ok(Removed::default()),
            Err(error) => Err(error),
        };
        match removed {
            Ok(Removed { xdp, tc }) => {
                let (settings, notes) = saved.restore_interface(&interface);
                outcome.notes.extend(notes);
                if xdp.is_some() || tc || !settings.is_empty() {
                    outcome.detached.push(Detached { interface, xdp, tc, settings });
                }
            }
            Err(error) => outcome.errors.push(error),
        }
    }
    saved.store()?;
    Ok(outcome)
}

/// Whether no process lives off our programs on an interface.
fn left_behind(link: &Link) -> Result<(), AfXdpError> {
    let attached = match program::is_attached(link) {
        // Ours may still be in tc.
        Err(AfXdpError::Occupied { .. }) => return Ok(()),
        other => other?,
    };
    let owner = program::owner(link)?;
    if owner.is_some() || (attached && socket::is_in_use(link)?) {
        return Err(AfXdpError::InUse { interface: link.name.clone(), owner });
    }
    Ok(())
}
