use std::{io, path::Path};

use ravelin_dataplane::clock::Timestamp;

use super::{CaptureState, CaptureStatus};
use crate::capture::{
    blocks::Packet,
    budget::Budget,
    file::{Files, Pushed, Spec},
    ring::Ring,
};

/// A capture as the writer has it.
#[derive(Debug)]
pub(super) struct One {
    name: String,
    /// `None` if they could not be made.
    files: Option<Files>,
    /// Packets that came although there are none.
    lost: u64,
    state: CaptureState,
    close: Option<Timestamp>,
    /// Whether that time has come.
    is_closed: bool,
}

impl One {
    pub(super) fn open(directory: &Path, spec: Spec, interfaces: &[String]) -> Self {
        let name = spec.name.clone();
        match Files::create(directory, spec, interfaces) {
            Ok(files) => {
                let state = CaptureState::Waiting;
                Self { name, files: Some(files), lost: 0, state, close: None, is_closed: false }
            }
            Err(error) => Self::failed(name, error.to_string()),
        }
    }

    pub(super) fn failed(name: String, why: String) -> Self {
        tracing::warn!(capture = name, error = why, "a capture cannot be written");
        Self { name, files: None, lost: 0, state: CaptureState::Error(why), close: None, is_closed: false }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, CaptureState::Waiting | CaptureState::Capturing)
    }

    /// Takes a packet that was copied for it. `false` if it wants none any more.
    pub(super) fn push(&mut self, packet: &Packet<'_>, comment: &str, budget: &mut Budget) -> bool {
        match (&self.state, &mut self.files) {
            (CaptureState::Waiting | CaptureState::Capturing, Some(files)) => {
                match files.push(packet, comment, budget) {
                    Ok(Pushed::Taken) => self.state = CaptureState::Capturing,
                    Ok(Pushed::Ended) => {
                        self.finish(budget);
                        return false;
                    }
                    Err(error) => self.fail(&error),
                }
                true
            }
            (CaptureState::Finished, _) => false,
            (CaptureState::Error(_), Some(files)) => {
                files.lose();
                true
            }
            (CaptureState::Waiting | CaptureState::Capturing | CaptureState::Error(_), None) => {
                self.lost += 1;
                true
            }
        }
    }

    /// Does something with the files unless the capture has ended.
    fn act(&mut self, act: impl FnOnce(&mut Files) -> io::Result<()>) {
        if self.is_open()
            && let Some(Err(error)) = self.files.as_mut().map(act)
        {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &io::Error) {
        tracing::warn!(capture = self.name, %error, "a capture cannot be written on");
        self.state = CaptureState::Error(error.to_string());
    }

    pub(super) fn tick(&mut self, now: Timestamp, budget: &mut Budget) {
        self.act(|files| files.tick(now, budget));
    }

    /// Ends it; an error remains one.
    pub(super) fn finish(&mut self, budget: &mut Budget) {
        self.act(|files| files.finish(budget));
        if self.is_open() {
            self.state = CaptureState::Finished;
        }
    }

    /// Ends it when what was copied for it has come.
    pub(super) fn close_at(&mut self, time: Timestamp) {
        self.close = self.close.or(Some(time));
    }

    /// Ends it now if it was about to.
    pub(super) fn finish_if_closing(&mut self, budget: &mut Budget) {
        if self.close.take().is_some() {
            self.finish(budget);
        }
    }

    /// Says whether it has ended now.
    pub(super) fn close_if_over(&mut self, now: Timestamp, budget: &mut Budget) -> bool {
        let is_over = self.close.take_if(|close| *close <= now).is_some();
        if is_over {
            self.finish(budget);
            self.is_closed = true;
        }
        is_over
    }

    /// Forgets a file that somebody has removed.
    pub(super) fn forget(&mut self, path: &Path) {
        if let Some(files) = &mut self.files {
            files.forget(path);
        }
    }

    pub(super) fn status(&self, number: u8) -> CaptureStatus {
        let tally = self.files.as_ref().map(Files::tally).unwrap_or_default();
        CaptureStatus {
            number,
            name: self.name.clone(),
            packets: tally.packets,
            bytes: tally.bytes,
            lost: tally.lost + self.lost,
            files: self.files.as_ref().map_or(0, Files::complete),
            state: self.state.clone(),
            // What comes when it has what it may have is neither written nor lost.
            is_settled: self.is_closed || self.state == CaptureState::Finished,
        }
    }
}

pub(super) fn status_of_ring(ring: &Ring) -> CaptureStatus {
    let tally = ring.tally();
    let (files, bytes) = ring.size();
    let state = match ring.error() {
        Some(error) => CaptureState::Error(error.to_owned()),
        None if tally.packets == 0 => CaptureState::Waiting,
        None => CaptureState::Capturing,
    };
    CaptureStatus {
        number: 0,
        name: "ring".to_owned(),
        packets: tally.packets,
        bytes,
        lost: tally.lost,
        files,
        state,
        is_settled: false,
    }
}
