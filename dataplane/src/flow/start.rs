//! What a packet does that belongs to no flow.

use ravelin_config::types::Protocol;

use super::{Midstream, Side, phase::Phase, tcp::Opening};
use crate::{batch::Meta, parse::FragmentKind, pipeline::Context, verdict::DropReason};

/// What a packet without a flow does.
pub(super) enum Start {
    /// Opens one in this phase, for this initiator.
    Open(Phase, Side),
    /// Goes on without one.
    Untracked,
    /// Is dropped.
    Refused(DropReason),
}

impl Start {
    /// What this packet does.
    pub(super) fn of(cx: &Context<'_>, meta: &Meta) -> Self {
        let headers = &meta.headers;
        if headers.protocol != Protocol::TCP {
            return Self::Open(Phase::unanswered(headers.protocol), meta.side);
        }
        if headers.fragment.kind == FragmentKind::Later {
            return Self::Untracked;
        }
        let opening = Opening::of(headers.tcp.flags);
        match (opening, cx.snapshot.flow.midstream) {
            (Opening::Request, _) => Self::Open(Phase::TcpSynSent, meta.side),
            (Opening::Answer | Opening::Midstream | Opening::Reset, Midstream::Drop) => {
                Self::Refused(DropReason::TcpMidstream)
            }
            (Opening::Answer, Midstream::Pickup) => Self::Open(Phase::TcpSynRecv, meta.side.other()),
            (Opening::Midstream, Midstream::Pickup) => {
                // A well-known port is where servers listen: what comes from there to another port is an answer.
                const WELL_KNOWN: u16 = 1024;
                let answers = headers.source_port < WELL_KNOWN && headers.destination_port >= WELL_KNOWN;
                let initiator = if answers { meta.side.other() } else { meta.side };
                Self::Open(Phase::TcpEstablished, initiator)
            }
            (Opening::Reset, Midstream::Pickup) => Self::Untracked,
        }
    }
}

/// The hashes of flows that were opened after the index was asked about a chunk of packets: a packet whose hash is not among
/// them is still as absent as the index said. A filter: it may name a hash that was not added.
#[derive(Debug, Default)]
pub(super) struct Newcomers([u64; 4]);

impl Newcomers {
    pub(super) fn add(&mut self, hash: u64) {
        if let Some(word) = self.0.get_mut((hash >> 6 & 3) as usize) {
            *word |= 1 << (hash & 63);
        }
    }

    pub(super) fn may_hold(&self, hash: u64) -> bool {
        self.0.get((hash >> 6 & 3) as usize).is_some_and(|word| word >> (hash & 63) & 1 != 0)
    }
}
