use super::{NonIp, Port, checksum};
use crate::{
    batch::{Batch, Meta, Passage},
    counters::WorkerCounters,
    flow::FlowTable,
    io::{Frame, PortId},
    nat::{self, Leaving, Translation},
    parse::Network,
    pipeline::Context,
    route::{self, Lookups, Rewrite},
    verdict::{DropReason, Verdict},
};

/// Decides where each packet that may pass goes, and makes it fit to leave.
#[derive(Debug)]
pub struct ForwardStage {
    /// What becomes of the Ethernet header of the packet in this place of the batch, if it is routed.
    rewrites: Vec<Rewrite>,
    /// What it leaves as, if addresses are translated.
    translations: Vec<Option<Translation>>,
    lookups: Lookups,
}

impl Default for ForwardStage {
    fn default() -> Self {
        Self {
            rewrites: vec![Rewrite::default(); Batch::<()>::MAX],
            translations: vec![None; Batch::<()>::MAX],
            lookups: Lookups::default(),
        }
    }
}

impl ForwardStage {
    /// Decides for one batch. Changes no packet.
    pub fn decide(
        &mut self,
        cx: &Context<'_>,
        metas: &mut [Meta],
        flows: &mut FlowTable,
        counters: &mut WorkerCounters,
    ) {
        let plan = &cx.snapshot.forward;
        let translates = !cx.snapshot.nat.is_empty();
        let found = self.lookups.run(cx.snapshot, &flows.ways, metas);
        let places = self.rewrites.iter_mut().zip(&mut self.translations);
        for ((meta, (rewrite, translation)), found) in metas.iter_mut().zip(places).zip(found) {
            *translation = None;
            if !matches!(meta.verdict, Verdict::Allow | Verdict::Undecided) {
                continue;
            }
            meta.verdict = match plan.port(meta.port) {
                None => Verdict::Drop(DropReason::NoDestination),
                Some(Port::Host | Port::Monitor) => Verdict::Consume,
                Some(Port::Bridge { twin, non_ip, .. }) => {
                    match (meta.verdict, judge_non_ip(meta, *non_ip)) {
                        (Verdict::Undecided, Some(reason)) => Verdict::Drop(reason),
                        _ if !fits(meta, plan.port(*twin)) => Verdict::Drop(DropReason::MtuExceeded),
                        _ if is_too_long_to_seal(cx, meta, *twin) => Verdict::Drop(DropReason::MtuExceeded),
                        _ => Verdict::Forward(*twin),
                    }
                }
                Some(Port::Route { .. }) if meta.passage == Passage::Host => {
                    *rewrite = Rewrite::default();
                    Verdict::Forward(meta.port)
                }
                Some(Port::Route { reverse_path, .. }) => {
                    let (verdict, headers) =
                        route::decide(cx.snapshot, *reverse_path, meta, found, &mut flows.ways, counters);
                    *rewrite = headers;
                    if translates && meta.headers.network == Network::Ipv4 {
                        let is_known =
                            matches!(verdict, Verdict::Forward(_)) && is_known(meta, flows, translation);
                        if !is_known {
                            *translation = translate(cx, meta, verdict, rewrite, flows);
                            continue;
                        }
                    }
                    verdict
                }
            };
        }
    }

    /// Makes what leaves fit to leave.
    pub fn complete<F: Frame>(
        &mut self,
        cx: &Context<'_>,
        batch: &mut Batch<F>,
        counters: &mut WorkerCounters,
    ) {
        let plan = &cx.snapshot.forward;
        let places = self.rewrites.iter().zip(&self.translations);
        for ((frame, meta), (rewrite, translation)) in batch.iter_mut().zip(places) {
            let (Verdict::Forward(_) | Verdict::Local, Some(port)) = (meta.verdict, plan.port(meta.port))
            else {
                continue;
            };
            // As the packet was sent: its bytes still say that.
            meta.swap_destinations();
            let headers = &meta.headers;
            if port.completes_checksums() && checksum::complete(frame.bytes_mut(), headers) {
                counters.checksums_completed += 1;
            }
            if port.routes() {
                route::rewrite(frame.bytes_mut(), headers, rewrite, counters);
            }
            let spends_hop =
                port.routes() && meta.passage != Passage::Host && matches!(meta.verdict, Verdict::Forward(_));
            match translation {
                Some(translation) => {
                    nat::rewrite(frame.bytes_mut(), headers, translation, spends_hop);
                    counters.nat_translated += 1;
                }
                None if spends_hop => route::spend_hop(frame.bytes_mut(), headers),
                None => {}
            }
            meta.swap_destinations();
        }
    }
}

/// Whether it has been found out for the flow of a packet what it leaves as: that is so but for the first. Then `translation` says it.
#[inline(always)]
fn is_known(meta: &Meta, flows: &FlowTable, translation: &mut Option<Translation>) -> bool {
    let Some(slot) = meta.slot else { return false };
    let Some(alias) = flows.nat.alias(slot) else { return false };
    let Some(initiator) = flows.initiator(slot) else { return false };
    *translation = nat::translation(alias, meta, initiator);
    true
}

/// Decides what a packet leaves as that goes where its route leads, as `verdict` says.
#[inline(never)]
fn translate(
    cx: &Context<'_>,
    meta: &mut Meta,
    verdict: Verdict,
    rewrite: &mut Rewrite,
    flows: &mut FlowTable,
) -> Option<Translation> {
    let exit = match verdict {
        Verdict::Forward(exit) => Some(exit),
        Verdict::Local => route::exit(&cx.snapshot.routes, meta),
        Verdict::Undecided | Verdict::Allow | Verdict::Handoff(_) | Verdict::Consume | Verdict::Drop(_) => {
            meta.verdict = verdict;
            return None;
        }
    };
    let Some(exit) = exit else {
        // It is the kernel's own, or leaves where nothing is translated; but nobody can be told otherwise who was sent on.
        let is_lost = meta.arrival.is_translated();
        meta.verdict = if is_lost { Verdict::Drop(DropReason::NoDestination) } else { verdict };
        return None;
    };
    let initiator = meta.slot.and_then(|slot| flows.initiator(slot));
    let decided = Leaving { nat: &mut flows.nat, initiator }.decide(cx, meta, exit);
    meta.verdict = match &decided {
        Err(reason) => Verdict::Drop(*reason),
        Ok(Some(_)) if verdict == Verdict::Local => {
            route::hand_over_translated(&cx.snapshot.routes, meta, rewrite)
        }
        Ok(_) => verdict,
    };
    decided.ok().flatten()
}

/// The port through which a packet leaves, as far as can be told before policy has decided; `None` if it stays here.
pub(crate) fn exit(cx: &Context<'_>, meta: &Meta) -> Option<PortId> {
    let plan = &cx.snapshot.forward;
    if plan.port(meta.port).is_some_and(Port::routes) {
        route::exit(&cx.snapshot.routes, meta)
    } else {
        plan.twin(meta.port)
    }
}

/// Why the bridge does not pass a frame that the rules do not judge; `None` if it does, and for IP.
fn judge_non_ip(meta: &Meta, non_ip: NonIp) -> Option<DropReason> {
    let (passes, reason) = match meta.headers.network {
        Network::Ipv4 | Network::Ipv6 => return None,
        Network::Arp => (non_ip.arp, DropReason::ArpDenied),
        Network::Lldp => (non_ip.lldp, DropReason::LldpDenied),
        Network::Stp => (non_ip.stp, DropReason::StpDenied),
        Network::Other => (non_ip.unknown, DropReason::EtherTypeDenied),
    };
    (!passes).then_some(reason)
}

/// Whether the packet is encrypted where it leaves, is too long for that, and must not be made fragments of.
#[inline]
fn is_too_long_to_seal(cx: &Context<'_>, meta: &Meta, exit: PortId) -> bool {
    let tunnels = &cx.snapshot.wireguard;
    let headers = &meta.headers;
    !tunnels.is_empty()
        && (headers.network != Network::Ipv4 || headers.dont_fragment)
        && tunnels.too_long_for(exit, headers).is_some()
}

/// Whether the packet is no longer than the outgoing port allows. As in the kernel (`is_skb_forwardable`), one tag does not
/// count against the MTU; the second one does, and a veth would lose a packet that it makes too long.
fn fits(meta: &Meta, out: Option<&Port>) -> bool {
    const ETHERNET: u32 = 14;
    const TAG: u32 = 4;
    match out {
        Some(Port::Bridge { mtu, .. }) => {
            meta.length <= mtu + ETHERNET + TAG * u32::from(meta.headers.vlans.count.min(1))
        }
        Some(Port::Route { .. } | Port::Host | Port::Monitor) | None => false,
    }
}
