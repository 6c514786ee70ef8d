use crate::{batch::Batch, io::Frame};

/// Parses the headers of every packet that this worker received itself.
#[derive(Debug, Default)]
pub struct DecodeStage;

impl DecodeStage {
    /// Runs over one batch.
    pub fn run<F: Frame>(&mut self, batch: &mut Batch<F>) {
        for (frame, meta) in batch.iter_mut().filter(|(_, meta)| !meta.handed_in) {
            let _ = (frame.bytes(), meta);
        }
    }
}
