//! What a packet does that belongs to no flow.

use ravelin_config::types::Protocol;

use super::{Midstream, Side, phase::Phase, tcp::Opening};
use crate::{
    batch::Meta,
    pipeline::Context,
    verdict::{DropReason, Verdict},
};

/// In which phase a packet without a flow opens one, and who is the initiator. If it opens none, it is dropped as the verdict
/// says, or goes on without.
pub(super) fn opening(cx: &Context<'_>, meta: &mut Meta, has_tcp: bool) -> Option<(Phase, Side)> {
    let headers = &meta.headers;
    if !has_tcp {
        // A later fragment of TCP does not say what it belongs to.
        let opens = headers.protocol != Protocol::TCP;
        return opens.then(|| (Phase::unanswered(headers.protocol), meta.side));
    }
    match (Opening::of(headers.tcp.flags), cx.snapshot.flow.midstream) {
        (Opening::Request, _) => Some((Phase::TcpSynSent, meta.side)),
        (Opening::Answer | Opening::Midstream | Opening::Reset, Midstream::Drop) => {
            meta.verdict = Verdict::Drop(DropReason::TcpMidstream);
            None
        }
        (Opening::Answer, Midstream::Pickup) => Some((Phase::TcpSynRecv, meta.side.other())),
        (Opening::Midstream, Midstream::Pickup) => {
            // A well-known port is where servers listen: what comes from there to another port is an answer.
            const WELL_KNOWN: u16 = 1024;
            let answers = headers.source_port < WELL_KNOWN && headers.destination_port >= WELL_KNOWN;
            Some((Phase::TcpEstablished, if answers { meta.side.other() } else { meta.side }))
        }
        (Opening::Reset, Midstream::Pickup) => None,
    }
}

/// The hashes of flows that were opened after the index was asked about a chunk of packets: a packet whose hash is not among
/// them is still as absent as the index said. A filter: it may name a hash that was not added.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    any: bool,
    filter: [u64; 4],
}

impl Newcomers {
    pub(super) fn add(&mut self, hash: u64) {
        self.any = true;
        if let Some(word) = self.filter.get_mut((hash >> 6 & 3) as usize) {
            *word |= 1 << (hash & 63);
        }
    }

    pub(super) fn may_hold(&self, hash: u64) -> bool {
        self.any && self.filter.get((hash >> 6 & 3) as usize).is_some_and(|word| word >> (hash & 63) & 1 != 0)
    }
}
