use ravelin_config::types::Action;

use super::{Query, RuleId};
use crate::{
    batch::Meta,
    flow::{FlowKey, FlowTable, Side},
    io::PortId,
    pipeline::Context,
    verdict::{DropReason, Verdict},
};

/// Decides every packet that has a flow key and is still undecided, and keeps the verdict in the flow.
#[derive(Debug, Default)]
pub struct PolicyStage;

impl PolicyStage {
    /// Runs over one batch.
    pub fn run(&mut self, cx: &Context<'_>, metas: &mut [Meta], flows: &mut FlowTable) {
        for meta in metas.iter_mut().filter(|meta| meta.keyed && meta.verdict.is_undecided()) {
            if meta.headers.neighbour_discovery && cx.snapshot.forward.passes_neighbour_discovery(meta.port) {
                meta.verdict = Verdict::Allow;
                continue;
            }
            // An earlier packet of this batch may have decided for the flow already.
            let cached = meta.slot.and_then(|slot| flows.verdict(slot, cx.snapshot.generation));
            let judgement = cached.unwrap_or_else(|| {
                let judgement = cx.snapshot.policy.judge(&opening(cx, meta, flows));
                if let Some(slot) = meta.slot {
                    flows.decide(slot, cx.snapshot.generation, judgement);
                }
                judgement
            });
            meta.rule = judgement.rule;
            meta.verdict = verdict(judgement.action, judgement.rule);
        }
    }
}

/// The verdict on a packet whose flow was judged so.
pub(crate) fn verdict(action: Action, rule: RuleId) -> Verdict {
    match action {
        Action::Allow => Verdict::Allow,
        Action::Deny if rule == RuleId::NONE => Verdict::Drop(DropReason::DefaultDeny),
        Action::Deny => Verdict::Drop(DropReason::RuleDeny),
    }
}

/// The flow as its initiator opened it: a reply asks about the flow, not about itself.
fn opening(cx: &Context<'_>, meta: &Meta, flows: &FlowTable) -> Query {
    let origin = meta.slot.and_then(|slot| flows.origin(slot));
    query(cx, &meta.key, origin.unwrap_or((meta.side, meta.port)))
}

/// What is asked about a flow that `initiator` opened, whose packets come in at `port`.
pub(crate) fn query(cx: &Context<'_>, key: &FlowKey, (initiator, port): (Side, PortId)) -> Query {
    let (source, source_port) = key.end(initiator);
    let (destination, destination_port) = key.end(initiator.other());
    Query {
        direction: cx.snapshot.forward.direction(port),
        protocol: key.protocol(),
        source,
        destination,
        source_port,
        destination_port,
    }
}
