//! Captures that something triggers: an alert, a rule, a drop reason or another verdict has the packets of a flow saved out of the ring, from
//! before and after, to a file whose name is known at once.
//!
//! [`Triggers`] is told by those who see something happen; `gate.rs` says whether a file is made, and what it is called; `thread.rs` makes
//! it: it asks the thread that keeps the ring for what has come, every second until the time is over, so that a ring which holds
//! less than that loses nothing of it.
//!
//! Promises: one file at a time for a flow; every trigger is written, failed, suppressed by a limit, or under way; nobody who tells of one
//! waits for a disk. Refuses: to reach further back than the ring, and to outlive the process: what is under way ends with it, as a
//! file of what has come until then. Read next: `gate.rs`, `thread.rs`.

mod gate;
mod settings;
mod subject;
#[cfg(test)]
mod tests;
mod thread;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
};

use parking_lot::Mutex;
use ravelin_config::Trigger;
use ravelin_dataplane::capture::{Chunk, Fates};

pub(super) use self::thread::{Help, Hold, TriggerThread};
use self::{
    gate::{Answer, Gate, Shot, Written},
    settings::fates,
};
pub use self::{
    gate::{Cause, Counts, Event, Standing},
    settings::{TriggerError, check},
    subject::Subject,
};
use super::blocks::{Packet, Packets};

/// The name of the capture whose files these are.
pub const TRIGGERS: &str = "triggers";

/// Who is told that something has happened. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Triggers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    gate: Mutex<Gate>,
    /// The drop reasons that trigger.
    fates: Mutex<Fates>,
    /// To the thread that makes files. The gate limits how many wait.
    shots: Sender<Message>,
}

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A file to be made, with what happened, in words.
    Shot(Box<Shot>, String),
    /// No more files, and those that are under way end now.
    Stop,
}

impl Triggers {
    /// One that has files made in a directory below `root`, and where the thread that makes them hears of it.
    pub(super) fn new(root: &Path, settings: Trigger) -> (Self, Receiver<Message>) {
        let (shots, receiver) = channel();
        // What is wrong was refused before.
        let fates = fates(&settings).unwrap_or(Fates::NONE);
        let shared = Shared {
            directory: root.join(TRIGGERS),
            gate: Mutex::new(Gate::new(settings)),
            fates: Mutex::new(fates),
            shots,
        };
        (Self(Arc::new(shared)), receiver)
    }

    /// Takes over other settings, which were checked. What is under way goes on as it began.
    pub fn configure(&self, settings: &Trigger) {
        *self.0.fates.lock() = fates(settings).unwrap_or(Fates::NONE);
        self.0.gate.lock().settings = settings.clone();
    }

    /// Something has happened, which `text` says in words. The path of the file that will tell of it, if there will be one.
    pub fn fire(&self, event: Event, text: impl FnOnce() -> String) -> Option<String> {
        let answer = self.0.gate.lock().fire(event);
        let file = match answer {
            Answer::Begun(shot) => {
                let file = Arc::clone(&shot.file);
                // The thread lives as long as anybody tells it something.
                let _is_taken = self.0.shots.send(Message::Shot(Box::new(shot), text()));
                file
            }
            Answer::UnderWay(file) => file,
            Answer::TooMany { is_news } => {
                if is_news {
                    tracing::warn!(
                        cause = %event.cause,
                        "more is triggered than `at_once` or `per_minute` of [capture.trigger] allow: it is counted, and not saved"
                    );
                }
                return None;
            }
        };
        Some(self.0.directory.join(&*file).display().to_string())
    }

    /// An alert of this severity.
    pub fn fire_alert(&self, severity: u8, event: Event, text: impl FnOnce() -> String) -> Option<String> {
        let is_wanted = {
            let Trigger { alerts, alert_severity, .. } = self.0.gate.lock().settings;
            alerts && severity >= alert_severity
        };
        if is_wanted { self.fire(event, text) } else { None }
    }

    /// Looks for packets of the ring that were dropped for a reason that triggers.
    pub(super) fn look(&self, chunk: &Chunk) {
        let fates = *self.0.fates.lock();
        if !chunk.fates().meets(fates) {
            return;
        }
        let of_ring = Packets::new(chunk.bytes()).filter(Packet::is_of_ring);
        for packet in of_ring.filter(|packet| fates.contains(packet.fate)) {
            let Some(reason) = packet.fate.drop_reason() else { continue };
            let address = subject::addresses(packet.bytes).map(|[_, destination]| destination.ip());
            let (cause, subject) = (Cause::Drop(reason), Subject::of(&packet));
            let event = Event { cause, subject, address, time: packet.time };
            self.fire(event, || format!("a packet was dropped: {}", reason.name()));
        }
    }

    /// How triggers stand.
    pub fn standing(&self) -> Standing {
        self.0.gate.lock().standing()
    }

    fn end(&self, shot: &Shot, result: Result<Written, String>) {
        self.0.gate.lock().end(shot, result);
    }
}
