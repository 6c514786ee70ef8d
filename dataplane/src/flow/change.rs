//! Flows that a change of policy concerns: at its next packet a flow is judged again.
//!
//! If nothing has changed but the addresses that sets and feeds hold, and the flow's are not among them, nothing else is asked. If the
//! same rules decide, nothing happens. If others do, what was counted so far is written as a record, and the flow goes
//! on under the new decision, so that every record has one. A flow that was allowed and is not any more is cut, unless the
//! policy that denies it says to keep such flows.

use ravelin_config::types::{Action, Protocol};

use super::{
    EndReason, FlowTable, RawRecord, RecordSink, Side, Slot,
    entry::{Entry, Ports},
    table::Ledger,
};
use crate::{
    batch::Meta,
    clock::Timestamp,
    forward::{Plan, Port, exit},
    pipeline::Context,
    policy::{Decision, Judgement, Key, OnChange, Ruling, Trigger, TriggerCause, Words, question},
    verdict::DropReason,
};

impl Entry {
    /// What is asked about the flow, as its initiator opened it.
    pub(super) fn question(&self, plan: &Plan) -> Key {
        question(&self.key, self.initiator(), self.ports().map(|port| plan.zone(port)))
    }

    /// The ports that the flow passes under the routes in force, of which `meta` is a packet. Where its initiator's packets came in
    /// stays what it is: anybody can send one that says to be from there.
    fn ports_now(&self, cx: &Context<'_>, meta: &Meta) -> Ports {
        let [port_in, port_out] = self.ports();
        let Some(port_in) = port_in else {
            let is_reply = meta.side != self.initiator() && !meta.headers.icmp_error;
            return [if is_reply { exit(cx, meta) } else { None }, port_out];
        };
        let plan = &cx.snapshot.forward;
        if !plan.port(port_in).is_some_and(Port::routes) {
            return [Some(port_in), plan.twin(port_in)];
        }
        let routes = &cx.snapshot.routes;
        let (responder, _) = self.key.end(self.initiator().other());
        let link = routes.link(port_in);
        [Some(port_in), link.and_then(|link| routes.exit(link.table, responder.into(), meta.hash))]
    }

    /// Has the flow pass the ports that it does now, if that matters to policy.
    pub(super) fn follow_routes(&mut self, cx: &Context<'_>, meta: &Meta) {
        if cx.snapshot.policy.uses_zones() {
            self.lead(self.ports_now(cx, meta));
        }
    }
}

impl FlowTable {
    /// What is asked about a flow.
    pub(crate) fn question(&self, cx: &Context<'_>, slot: Slot) -> Option<Key> {
        Some(self.entries.get(slot.0 as usize)?.question(&cx.snapshot.forward))
    }

    /// The ruling on a flow that has none under the policy in force, which keeps it, or on a packet that belongs to no flow.
    ///
    /// A flow that a limit refuses counts as judged under no policy, so that its next packet may be luckier. If none is, its
    /// record says what refused it.
    pub(crate) fn conclude(
        &mut self,
        cx: &Context<'_>,
        slot: Option<Slot>,
        judgement: &Judgement,
        time: Timestamp,
    ) -> Ruling {
        let is_within = cx.snapshot.policy.within_limits(judgement, time);
        let (generation, ruling) = if is_within {
            let decision = self.decisions.make(&judgement.words, time);
            (cx.snapshot.generation, Ruling { action: judgement.action, decision })
        } else {
            let refused = judgement.words.replaced(Action::Deny, DropReason::RuleRateLimit);
            (0, Ruling { action: Action::Deny, decision: self.decisions.make(&refused, time) })
        };
        if let Some(slot) = slot {
            self.decide(slot, generation, ruling);
            if judgement.is_named {
                self.note_named(slot);
            }
            if judgement.words.captures && is_within {
                self.note_trigger(slot, TriggerCause::Rule);
            }
        }
        ruling
    }

    /// Remembers that a feed names an end of the flow in `slot`, which has just been judged.
    #[inline(never)]
    fn note_named(&mut self, slot: Slot) {
        if let Some(entry) = self.entries.get(slot.0 as usize) {
            self.decisions.note_named(self.raw(slot.0, entry, entry.last(), EndReason::Active));
        }
    }

    /// Remembers that somebody wants the packets of the flow in `slot`, which has just been judged.
    #[inline(never)]
    fn note_trigger(&mut self, slot: Slot, cause: TriggerCause) {
        if let Some(entry) = self.entries.get(slot.0 as usize) {
            let record = self.raw(slot.0, entry, entry.last(), EndReason::Active);
            self.decisions.note_trigger(Trigger { record, cause });
        }
    }

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
        let ends = [Side::Low, Side::High].map(|side| entry.key.end(side).0);
        if !cx.snapshot.concerns(entry.generation(), ends) {
            entry.judge(generation, entry.ruling());
            return;
        }
        let ports_before = entry.ports();
        entry.follow_routes(cx, meta);
        let judgement = cx.snapshot.policy.judge(&entry.question(&cx.snapshot.forward));
        let Judgement { action, on_change, is_named, .. } = judgement;
        let old = entry.ruling();
        let before = self.decisions.log().get(old.decision);
        let was_allowed = old.action == Action::Allow;
        let is_cut = was_allowed && action != Action::Allow;
        let is_kept = is_cut && on_change == OnChange::Keep;
        let is_same = before.as_ref().is_some_and(|before| self.decisions.are_same(before, &judgement.words));
        if is_kept || is_same {
            let pending = judgement.decision().pending;
            let ruling = match before.filter(|before| before.pending != pending) {
                // The rules that count are the same, and the flow is not a new one.
                Some(before) => {
                    let moved = Words::from(&Decision { pending, ..before });
                    Ruling { decision: self.decisions.number(&moved), ..old }
                }
                None => old,
            };
            entry.judge(generation, ruling);
            return;
        }
        let mut words = judgement.words;
        if is_cut {
            let reason = match on_change {
                OnChange::Reset if entry.key.protocol() == Protocol::TCP => DropReason::FlowReset,
                OnChange::Keep | OnChange::Drop | OnChange::Reset => DropReason::FlowCut,
            };
            words = words.replaced(action, reason);
            ledger.counters.flows_cut += 1;
        }
        let time = super::entry::micros(meta.time).max(entry.last());
        let alias = self.nat.kept(Slot(slot));
        let record = |entry: &Entry| RawRecord::new(entry, alias, time, EndReason::Policy, self.worker);
        if is_cut {
            // With the way that it would go now: whoever asks by which rule it was cut asks about that.
            self.decisions.log().note_cut(&record(entry));
        }
        let ports = entry.ports();
        entry.lead(ports_before);
        ledger.write(&record(entry));
        entry.lead(ports);
        entry.restart(time);
        let ruling = Ruling { action, decision: self.decisions.make(&words, meta.time) };
        self.decide(Slot(slot), generation, ruling);
        if is_named {
            self.note_named(Slot(slot));
        }
        if words.captures {
            self.note_trigger(Slot(slot), TriggerCause::Rule);
        } else if old.action != action && cx.snapshot.capture.verdict_changes {
            self.note_trigger(Slot(slot), TriggerCause::Verdict(old.action));
        }
    }
}
