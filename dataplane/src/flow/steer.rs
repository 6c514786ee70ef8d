use ravelin_config::types::Protocol;

use super::{FlowKey, Side};
use crate::{
    batch::Meta,
    forward::Segment,
    handoff::WorkerId,
    hash::FlowHasher,
    nat,
    parse::{FragmentKind, Headers},
    pipeline::Context,
    verdict::Verdict,
};

/// Names the worker that owns each packet, and hands over what belongs to another (design, decision 1).
///
/// Fragments take two steps: all fragments between two addresses belong to one worker, which ties later fragments to
/// the first one's ports; after that they belong to the worker that owns the flow, like any other packet.
#[derive(Clone, Debug)]
pub struct SteerStage {
    hasher: FlowHasher,
}

impl SteerStage {
    /// A stage that hashes with these keys; all workers must use the same.
    pub const fn new(hasher: FlowHasher) -> Self {
        Self { hasher }
    }

    /// Hands over fragments whose datagram another worker tracks.
    pub fn fragments(&self, cx: &Context<'_>, metas: &mut [Meta]) {
        if cx.workers == 1 {
            return;
        }
        for meta in metas.iter_mut().filter(|meta| {
            meta.verdict.is_undecided() && meta.headers.fragment.kind != FragmentKind::Whole && !meta.resolved
        }) {
            let key = fragment_key(&meta.headers);
            let owner = WorkerId::owner(key.hash(Segment::default(), &self.hasher), cx.workers);
            if owner != cx.worker {
                meta.verdict = Verdict::Handoff(owner);
            }
        }
    }

    /// Gives every IP packet its flow key, and hands over those whose flow another worker owns.
    pub fn flows(&self, cx: &Context<'_>, metas: &mut [Meta]) {
        for meta in metas.iter_mut().filter(|meta| meta.verdict.is_undecided() && meta.headers.is_ip()) {
            if !meta.keyed {
                self.key(cx, meta);
            }
            if cx.workers > 1 {
                Self::hand_to_owner(cx, meta);
            }
        }
    }

    /// Gives a packet its flow key.
    #[inline]
    pub(super) fn key(&self, cx: &Context<'_>, meta: &mut Meta) {
        // The key of an ICMP error is that of the packet it quotes; decode, which sees the bytes, has set it.
        if !meta.headers.icmp_error {
            (meta.key, meta.side) = FlowKey::of(&meta.headers);
        }
        meta.segment = cx.snapshot.forward.segment(meta.port);
        meta.hash = meta.key.hash(meta.segment, &self.hasher);
        meta.keyed = true;
    }

    /// Hands a packet over if another worker owns its flow.
    pub(super) fn hand_to_owner(cx: &Context<'_>, meta: &mut Meta) {
        let owner = nat::owner(cx, meta).unwrap_or_else(|| WorkerId::owner(meta.hash, cx.workers));
        if owner != cx.worker {
            meta.verdict = Verdict::Handoff(owner);
        }
    }
}

/// All fragments between two addresses, whichever their ports and protocol: in IPv6, each fragment of a datagram may
/// name another next header (RFC 8200 section 4.5).
fn fragment_key(headers: &Headers) -> FlowKey {
    let (key, _): (FlowKey, Side) =
        FlowKey::new((headers.source, 0), (headers.destination, 0), Protocol::default(), headers.vlans);
    key
}
