use super::{ethernet, headers::Headers};
use crate::{batch::Batch, io::Frame, verdict::Verdict};

/// Parses the headers of every packet that this worker received itself.
///
/// A packet that is dropped here keeps what was read before the error, so that a trace can show it.
#[derive(Debug, Default)]
pub struct DecodeStage;

impl DecodeStage {
    /// Runs over one batch.
    pub fn run<F: Frame>(&mut self, batch: &mut Batch<F>) {
        for (frame, meta) in batch.iter_mut() {
            if meta.handed_in || !meta.verdict.is_undecided() {
                continue;
            }
            meta.headers = Headers::EMPTY;
            if let Err(reason) = ethernet::decode(frame.bytes(), meta) {
                meta.verdict = Verdict::Drop(reason);
            }
        }
    }
}
