//! Tests of decode. `samples.rs` has one valid packet per kind, `cases.rs` what comes out of them and every drop reason,
//! `mutation.rs` ten thousand broken variants of each, `oracle.rs` the comparison with etherparse, `corpus.rs` the
//! committed fuzz inputs.

mod cases;
mod corpus;
mod errors;
mod mutation;
mod oracle;
mod samples;

use super::*;
use crate::{
    batch::{Batch, Meta},
    io::memory::MemoryFrame,
    verdict::{DropReason, Verdict},
};

/// What decode says of a frame.
fn decode(frame: &[u8]) -> Meta {
    let mut batch = Batch::new(1);
    batch.push(MemoryFrame::new(frame), Meta::default()).expect("the batch has room");
    DecodeStage.run(&mut batch);
    batch.metas()[0]
}

/// The headers of a frame that must decode.
fn headers(frame: &[u8]) -> Headers {
    let meta = decode(frame);
    assert_eq!(meta.verdict, Verdict::Undecided, "{frame:02x?}");
    meta.headers
}

/// The reason to drop a frame that must not decode.
fn reason(frame: &[u8]) -> DropReason {
    let verdict = decode(frame).verdict;
    let Verdict::Drop(reason) = verdict else { panic!("not dropped but {verdict:?}: {frame:02x?}") };
    reason
}

/// Checks what decode promises for every byte string.
fn assert_disposed(frame: &[u8]) {
    let meta = decode(frame);
    match meta.verdict {
        Verdict::Drop(reason) => {
            assert!(!meta.headers.icmp_error && !meta.keyed, "{reason:?} after a decision: {frame:02x?}");
        }
        Verdict::Undecided => {
            let h = meta.headers;
            let offsets = [h.network_offset, h.transport_offset, h.payload_offset, h.end].map(usize::from);
            assert!(offsets.is_sorted() && offsets[3] <= frame.len(), "{offsets:?}: {frame:02x?}");
            assert_eq!(h.network_offset, 14 + 4 * u16::from(h.vlans.count));
            if !h.is_ip() {
                assert_eq!((h.source, h.destination), (Address::default(), Address::default()));
            }
            if h.fragment.kind == FragmentKind::Whole {
                assert_eq!(h.fragment, Fragment::default());
            } else {
                assert!(h.is_ip() && h.fragment.length > 0);
                assert!(h.fragment.offset + h.fragment.length <= 65_535);
            }
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

/// A small generator of its own, so that the tests repeat on every machine (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("bound is a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Makes the checksum of a frame's IPv4 header right, if there is one in the right place.
fn repair_checksum(frame: &mut [u8]) {
    let mut start = 12;
    while matches!(frame.get(start..start + 2), Some([0x81 | 0x91, 0x00] | [0x88, 0xa8])) {
        start += 4;
    }
    if frame.get(start..start + 2) != Some(&[0x08, 0x00]) {
        return;
    }
    let Some(first) = frame.get(start + 2) else { return };
    let length = usize::from(first & 0x0f) * 4;
    let Some(header) = frame.get_mut(start + 2..start + 2 + length) else { return };
    if length < 20 {
        return;
    }
    header[10..12].fill(0);
    let mut sum: u32 =
        header.as_chunks::<2>().0.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum).expect("folded");
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}
