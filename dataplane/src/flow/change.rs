//! Flows that a change of policy concerns: at its next packet a flow is judged again.
//!
//! If the same rules decide, nothing happens. If others do, what was counted so far is written as a record, and the flow goes
//! on under the new decision, so that every record has one. A flow that was allowed and is not any more is cut, unless the
//! policy that denies it says to keep such flows.

use ravelin_config::types::Action;

use super::{EndReason, FlowTable, RawRecord, RecordSink, entry::Entry, table::Ledger};
use crate::{
    batch::Meta,
    pipeline::Context,
    policy::{Judgement, Key, OnChange, Ruling, question},
    verdict::DropReason,
};

impl Entry {
    /// What is asked about the flow, as its initiator opened it; `meta` is one of its packets.
    pub(super) fn question(&self, meta: &Meta) -> Key {
        question(meta, self.initiator())
    }
}

impl FlowTable {
    /// Whether the flow in `slot` was judged, but not by the policy in force.
    #[inline(always)]
    pub(super) fn is_stale(&self, cx: &Context<'_>, slot: u32) -> bool {
        self.entries.get(slot as usize).is_some_and(|entry| {
            let generation = entry.generation();
            generation != cx.snapshot.generation && generation != 0
        })
    }

    /// Judges the flow in `slot` again; `meta` is its next packet, which has not been counted yet.
    #[inline(never)]
    pub(super) fn rejudge<R: RecordSink>(
        &mut self,
        cx: &Context<'_>,
        meta: &Meta,
        slot: u32,
        ledger: &mut Ledger<'_, R>,
    ) {
        let Some(entry) = self.entries.get_mut(slot as usize) else { return };
        let generation = cx.snapshot.generation;
        let Judgement { mut decision, on_change, .. } = cx.snapshot.policy.judge(&entry.question(meta));
        let old = entry.ruling();
        let before = self.decisions.log().get(old.decision);
        let was_allowed = old.action == Action::Allow;
        let is_cut = was_allowed && decision.action != Action::Allow;
        let is_kept = is_cut && on_change == OnChange::Keep;
        let is_same = before.as_ref().is_some_and(|before| before.is_enforced_as(&decision));
        if is_kept || is_same {
            let pending = before.is_some_and(|before| before.pending != decision.pending);
            let ruling = match before.filter(|_| pending) {
                // The rules that count are the same, and the flow is not a new one.
                Some(before) => {
                    let moved = self
                        .decisions
                        .number(&crate::policy::Decision { pending: decision.pending, ..before });
                    Ruling { decision: moved, ..old }
                }
                None => old,
            };
            entry.judge(generation, ruling);
            return;
        }
        if is_cut {
            decision.reason = Some(match on_change {
                OnChange::Reset => DropReason::FlowReset,
                OnChange::Keep | OnChange::Drop => DropReason::FlowCut,
            });
            ledger.counters.flows_cut += 1;
        }
        let time = super::entry::micros(meta.time).max(entry.last());
        let record = RawRecord::new(entry, time, EndReason::Policy, self.worker);
        if is_cut {
            self.decisions.log().note_cut(&record);
        }
        ledger.write(&record);
        entry.restart(time);
        let ruling = Ruling { action: decision.action, decision: self.decisions.make(&decision, meta.time) };
        entry.judge(generation, ruling);
    }
}
