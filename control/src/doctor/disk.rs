//! The disk of captures: whether there is the room that the configuration gives them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ravelin_config::Capture;

use super::{Finding, system::bytes};

pub(super) struct Facts {
    /// `[capture] directory`
    pub directory: PathBuf,
    /// Bytes that are free there.
    pub free: Option<u64>,
    /// Bytes that captures have already.
    pub used: u64,
    /// `[capture] budget`
    pub budget: u64,
    /// `[capture] min_free`
    pub min_free: u64,
    /// Whether something is to be captured at all times.
    pub is_wanted: bool,
}

impl Facts {
    pub(super) fn read(capture: &Capture) -> Self {
        // What is not there yet will be made in what is there.
        let there = capture.directory.ancestors().find(|directory| directory.exists());
        let status = there.and_then(|directory| rustix::fs::statvfs(directory).ok());
        Self {
            free: status.map(|status| status.f_bavail.saturating_mul(status.f_frsize)),
            used: used(&capture.directory, 2),
            directory: capture.directory.clone(),
            budget: capture.budget,
            min_free: capture.min_free,
            is_wanted: capture.ring.disk > 0,
        }
    }
}

/// Bytes of the files in a directory and so many levels below.
fn used(directory: &Path, levels: u8) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_file() => about.len(),
        Ok(about) if about.is_dir() && levels > 0 => used(&entry.path(), levels - 1),
        Ok(_) | Err(_) => 0,
    };
    entries.map(size).sum()
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let Some(free) = facts.free else { return Vec::new() };
    let place = facts.directory.display();
    let room = format!("{} are free for {place}", bytes(free));
    let change = "[capture] directory, budget or min_free; or remove what is not needed";
    let wanted = facts.min_free.saturating_add(facts.budget.saturating_sub(facts.used));
    vec![if free < facts.min_free {
        let found = format!("{room}: nothing can be captured");
        let wanted =
            format!("more than {}, which [capture] min_free leaves to others", bytes(facts.min_free));
        if facts.is_wanted {
            Finding::problem("captures", found, wanted, change)
        } else {
            Finding::advice("captures", found, wanted, change)
        }
    } else if free < wanted {
        Finding::advice(
            "captures",
            format_args!(
                "{room}, of {} that the budget still allows captures",
                bytes(wanted - facts.min_free)
            ),
            format_args!("{}, with what [capture] min_free leaves to others", bytes(wanted)),
            change,
        )
    } else {
        Finding::ok("captures", room)
    }]
}
