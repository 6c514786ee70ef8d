//! Flows that end because one of their packets opens another under the same name.
//!
//! The new flow takes over the old one's slot. Packets of the old flow that came earlier in the same batch still refer to that
//! slot, so before the batch goes on they are parted from it, with the verdict that is theirs.

use super::{
    EndReason, FlowTable, RecordSink, Side, Slot, entry::Flag, index::Place, phase::Phase, table::Ledger,
};
use crate::{batch::Meta, clock::Timestamp, pipeline::Context, policy::Ruling};

/// A flow that ended in the current batch while another took over its slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reopened {
    slot: Slot,
    /// The packet, counted from the beginning of the batch, that opened the other flow.
    at: usize,
    /// What policy says about the old flow, if a packet waits for that.
    ruling: Option<Ruling>,
}

impl FlowTable {
    /// Ends the flow that a packet, the one at `at` in the batch, belongs to, and opens a new one of the same name in its slot.
    #[inline(never)]
    pub(super) fn reopen<R: RecordSink>(
        &mut self,
        cx: &Context<'_>,
        (meta, at): (&Meta, usize),
        opening: (Phase, Side),
        time: u64,
        ledger: &mut Ledger<'_, R>,
    ) -> Option<u32> {
        let place = self.find(meta)?;
        let ruling = self.judge_pending(cx, place);
        self.reopened.push(Reopened { slot: Slot(place.slot), at, ruling });
        let entry = self.entries.get(place.slot as usize)?;
        let limit = self.limits.of(entry.phase);
        let reason =
            if time.saturating_sub(entry.last()) > limit { EndReason::Timeout } else { EndReason::Forced };
        match reason {
            EndReason::Timeout => {
                ledger.counters.flows_expired += 1;
                let ended = entry.last().saturating_add(limit);
                ledger.write(&self.raw(place.slot, entry, ended, reason));
            }
            EndReason::Policy | EndReason::Forced | EndReason::Shutdown | EndReason::Active => {
                ledger.counters.flows_reopened += 1;
                ledger.write(&self.raw(place.slot, entry, time.max(entry.last()), reason));
            }
        }
        self.begin(cx, meta, place.slot, opening, time, ledger);
        self.index.set(place, self.sweeper.due(time.saturating_add(self.limits.of(opening.0))), true);
        Some(place.slot)
    }

    /// Asks policy about a flow that ends in the batch that would have decided it.
    fn judge_pending(&mut self, cx: &Context<'_>, place: Place) -> Option<Ruling> {
        let entry = self.entries.get(place.slot as usize).filter(|entry| entry.has(Flag::PENDING))?;
        let judgement = cx.snapshot.policy.judge(&entry.question(&cx.snapshot.forward));
        let opened = Timestamp::from_micros(entry.first());
        Some(self.conclude(cx, Some(Slot(place.slot)), &judgement, opened))
    }

    /// Takes from the packets of flows that were opened again the slot, which is another flow's now, and gives those that
    /// wait for policy what it says about theirs.
    pub(super) fn part_from_reopened(&mut self, metas: &mut [Meta]) {
        let Self { reopened, decisions, .. } = self;
        for Reopened { slot, at, ruling } in reopened.drain(..) {
            for meta in metas.iter_mut().take(at).filter(|meta| meta.slot == Some(slot)) {
                meta.slot = None;
                if let Some(ruling) = ruling.filter(|_| meta.verdict.is_undecided()) {
                    decisions.settle(meta, ruling);
                }
            }
        }
    }
}
