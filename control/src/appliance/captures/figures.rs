//! What metrics say of captures.

use std::cmp::Reverse;

use super::{CaptureDesk, files};
use crate::{
    appliance::Appliance,
    capture::{CaptureState, RING, registry::State},
};

/// How a capture stands, in figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CaptureFigures {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) packets: u64,
    pub(crate) lost: u64,
    /// Bytes that were written, and times that were skipped; nobody counts those of the ring.
    pub(crate) written: Option<(u64, u64)>,
    pub(crate) files: u64,
    /// Bytes that it has.
    pub(crate) stored: u64,
}

impl Appliance {
    /// Figures of the ring and of captures: of those that are over, what ended last.
    pub(crate) fn capture_figures(&self) -> Vec<CaptureFigures> {
        let mut captures = self.captures.lock();
        captures.as_mut().map(CaptureDesk::figures).unwrap_or_default()
    }
}

impl CaptureDesk {
    /// The most captures of which there are figures.
    const MOST_FIGURES: usize = 256;

    fn figures(&mut self) -> Vec<CaptureFigures> {
        self.look();
        let mut captures: Vec<_> = self.registry.iter().collect();
        captures.sort_by_key(|it| (it.is_over() && !it.job, Reverse(it.ended)));
        let captures = captures.into_iter().take(Self::MOST_FIGURES).map(|capture| {
            let files = files(&self.directory.join(&capture.spec.name));
            CaptureFigures {
                name: capture.spec.name.clone(),
                state: capture.state.name(),
                packets: capture.packets,
                lost: capture.lost,
                written: Some((capture.bytes, capture.skipped)),
                files: files.len() as u64,
                stored: files.iter().map(|file| file.size).sum(),
            }
        });
        let ring = self.writer.status().into_iter().filter(|status| status.number == RING);
        let ring = ring.map(|status| CaptureFigures {
            name: status.name,
            state: match status.state {
                CaptureState::Waiting => State::WaitingForTraffic.name(),
                CaptureState::Capturing => State::Capturing.name(),
                CaptureState::Finished => State::Finished.name(),
                CaptureState::Error(_) => "Error",
            },
            packets: status.packets,
            lost: status.lost,
            written: None,
            files: status.files as u64,
            stored: status.bytes,
        });
        ring.chain(captures).collect()
    }
}
