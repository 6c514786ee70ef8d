//! What decode promises for every byte string, and that checksums are completed once. Used by the fuzz target and by `dataplane/tests/corpus.rs`.

use ravelin_dataplane::{
    batch::{Batch, Meta},
    forward::checksum,
    io::memory::MemoryFrame,
    parse::{DecodeStage, FragmentKind},
    verdict::Verdict,
};

/// Checks one frame.
pub(crate) fn check(frame: &[u8]) {
    let mut batch = Batch::new(1);
    let _ = batch.push(MemoryFrame::new(frame), Meta::default());
    DecodeStage.run(&mut batch);
    let meta = batch.metas()[0];
    match meta.verdict {
        Verdict::Drop(_) => {}
        Verdict::Undecided => {
            let headers = meta.headers;
            let offsets =
                [headers.network_offset, headers.transport_offset, headers.payload_offset, headers.end];
            assert!(offsets.is_sorted(), "{offsets:?}");
            assert!(usize::from(headers.end) <= frame.len(), "{offsets:?}");
            let fragment = headers.fragment;
            if fragment.kind != FragmentKind::Whole {
                assert!(headers.is_ip() && fragment.length > 0);
                assert!(fragment.offset + fragment.length <= 65_535);
                assert!(!fragment.more || fragment.length.is_multiple_of(8));
            }
            let mut bytes = frame.to_vec();
            assert_eq!(checksum::complete(&mut bytes, &headers), bytes != frame);
            assert!(!checksum::complete(&mut bytes, &headers));
        }
        other @ (Verdict::Allow
        | Verdict::Forward(_)
        | Verdict::Local
        | Verdict::Handoff(_)
        | Verdict::Consume) => {
            panic!("decode decided {other:?}")
        }
    }
}
