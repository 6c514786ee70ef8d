//! Which worker owns a flow that may be translated: the one that its inside port belongs to, so that its mapping is there, too.

use super::{Arrived, Class, Endpoint, NatPlan, arrive::endpoint, plan::is_v4};
use crate::{batch::Meta, handoff::WorkerId, pipeline::Context};

/// The owner of a packet's flow, if it is not the one that its hash names.
pub(crate) fn owner(cx: &Context<'_>, meta: &Meta) -> Option<WorkerId> {
    let plan = &cx.snapshot.nat;
    if plan.is_empty() || !is_v4(&meta.headers) {
        return None;
    }
    let protocol = meta.key.protocol();
    Class::of(protocol)?;
    if meta.arrival.how == Arrived::Mapped {
        // The mapping is here; the flow, too, or else it goes where `FlowTable` says.
        return Some(cx.worker);
    }
    let source = endpoint(&meta.key, meta.side)?;
    let destination = endpoint(&meta.key, meta.side.other())?;
    // What is published may be asked by everybody: its flows are shared among workers.
    let is_inside = |end: Endpoint| plan.is_inside(end.address) && !plan.is_target(end, protocol);
    let port = match (is_inside(source), is_inside(destination)) {
        (true, false) => source.port,
        (false, true) => destination.port,
        (true, true) if meta.arrival.how == Arrived::Published => source.port,
        (true, true) | (false, false) => return None,
    };
    Some(NatPlan::worker_of(port, cx.workers))
}

/// If a packet that arrived at a mapped port comes from inside: the owner of a flow that it opens, where its own mapping is.
pub(crate) fn hairpin_owner(cx: &Context<'_>, meta: &Meta) -> Option<WorkerId> {
    let source = endpoint(&meta.key, meta.side).filter(|_| !meta.headers.icmp_error)?;
    let is_inside = cx.snapshot.nat.pool_elsewhere(meta.port, source.address).is_some();
    is_inside.then(|| NatPlan::worker_of(source.port, cx.workers))
}
