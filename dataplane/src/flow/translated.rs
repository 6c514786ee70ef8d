//! Flows whose addresses are translated: what arrives for a mapping and belongs to none, and what is written about the others.

use ravelin_config::types::Protocol;

use super::{
    EndReason, FlowTable, RawRecord, Slot, SteerStage,
    entry::{Entry, micros},
};
use crate::{
    batch::Meta,
    nat::{self, Arrived},
    parse::FragmentKind,
    pipeline::Context,
    verdict::Verdict,
};

impl FlowTable {
    /// Has packets that turn out to be of another flow be named by this stage.
    pub(crate) fn steer_by(&mut self, steer: SteerStage) {
        self.steer = Some(steer);
    }

    /// Takes over the address translation that is in force. This is where memory is taken that only routing needs.
    pub(crate) fn take_over_routing(&mut self, cx: &Context<'_>) {
        if !cx.snapshot.routes.links.is_empty() {
            self.ways.reserve(self.entries.len());
        }
        self.nat.refresh(&cx.snapshot.nat, cx.worker, cx.workers, self.entries.len());
    }

    /// Asks for the memory in which it stands how packets of flows go on, if they are routed: it comes while policy is at work.
    #[inline]
    pub(crate) fn fetch_forwarding(&self, cx: &Context<'_>, metas: &[Meta]) {
        if cx.snapshot.routes.links.is_empty() {
            return;
        }
        for slot in metas.iter().filter_map(|meta| meta.slot) {
            self.ways.fetch(slot);
            self.nat.fetch_alias(slot);
        }
    }

    /// What was found for a packet, if that stays here, and else `None`.
    #[inline]
    pub(super) fn expected(
        &self,
        cx: &Context<'_>,
        meta: &mut Meta,
        found: Option<u32>,
    ) -> Option<Option<u32>> {
        if meta.arrival.how != Arrived::Mapped || self.is_expected(found, meta) {
            return Some(found);
        }
        self.place_unexpected(cx, meta)
    }

    /// Whether a packet that arrived at a mapped port belongs to a flow that is under way.
    fn is_expected(&self, found: Option<u32>, meta: &Meta) -> bool {
        let has_tcp =
            meta.headers.protocol == Protocol::TCP && meta.headers.fragment.kind != FragmentKind::Later;
        found.is_some_and(|slot| {
            !self.is_over(slot, meta, micros(meta.time), has_tcp && !meta.headers.icmp_error)
        })
    }

    /// A packet that arrived at a mapped port of no flow that is under way. From outside, it is for the address that it was sent to; from inside,
    /// it opens one where the sender's mapping is. Returns what is found then, or `None` if it goes to another worker.
    #[cold]
    fn place_unexpected(&self, cx: &Context<'_>, meta: &mut Meta) -> Option<Option<u32>> {
        if let Some(owner) = nat::hairpin_owner(cx, meta) {
            if owner != cx.worker {
                meta.verdict = Verdict::Handoff(owner);
                return None;
            }
        } else if let Some(steer) = &self.steer {
            nat::stay(meta);
            steer.key(cx, meta);
            SteerStage::hand_to_owner(cx, meta);
            if !meta.verdict.is_undecided() {
                return None;
            }
        }
        Some(self.find(meta).map(|place| place.slot))
    }

    /// What is written about the flow in `slot`.
    pub(super) fn raw(&self, slot: u32, entry: &Entry, ended: u64, reason: EndReason) -> RawRecord {
        RawRecord::new(entry, self.nat.kept(Slot(slot)), ended, reason, self.worker)
    }
}
