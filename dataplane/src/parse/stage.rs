use super::{
    ethernet,
    headers::{FragmentKind, Headers},
};
use crate::{
    batch::{Batch, Meta},
    flow::FlowKey,
    io::Frame,
    verdict::Verdict,
};

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

/// Parses the headers of a packet that came out of another.
pub(crate) fn decode_into(frame: &[u8], meta: &mut Meta) {
    if let Err(reason) = ethernet::decode(frame, meta) {
        meta.verdict = Verdict::Drop(reason);
    }
}

/// Parses one packet by itself, for whoever finds it in a file: its headers, its flow key if it has one by itself, which a later fragment
/// has not, and the verdict if it is dropped for what it is.
pub fn decode(frame: &[u8]) -> Meta {
    let mut meta = Meta::default();
    if let Err(reason) = ethernet::decode(frame, &mut meta) {
        meta.verdict = Verdict::Drop(reason);
    } else if meta.headers.is_ip() && meta.headers.fragment.kind != FragmentKind::Later {
        // Decode has set the key of an ICMP error, which is that of the packet that it quotes.
        if !meta.headers.icmp_error {
            (meta.key, meta.side) = FlowKey::of(&meta.headers);
        }
        meta.keyed = true;
    }
    meta
}
