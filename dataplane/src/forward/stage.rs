use super::{NonIp, Port, checksum};
use crate::{
    batch::{Batch, Meta},
    counters::WorkerCounters,
    io::Frame,
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
    lookups: Lookups,
}

impl Default for ForwardStage {
    fn default() -> Self {
        Self { rewrites: vec![Rewrite::default(); Batch::<()>::MAX], lookups: Lookups::default() }
    }
}

impl ForwardStage {
    /// Decides for one batch. Changes no packet.
    pub fn decide(&mut self, cx: &Context<'_>, metas: &mut [Meta], counters: &mut WorkerCounters) {
        let plan = &cx.snapshot.forward;
        let found = self.lookups.run(&cx.snapshot.routes, plan, metas);
        for ((meta, rewrite), found) in metas.iter_mut().zip(&mut self.rewrites).zip(found) {
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
                        _ => Verdict::Forward(*twin),
                    }
                }
                Some(Port::Route { reverse_path, .. }) => {
                    let (verdict, headers) =
                        route::decide(&cx.snapshot.routes, *reverse_path, meta, found, counters);
                    *rewrite = headers;
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
        for ((frame, meta), rewrite) in batch.iter_mut().zip(&self.rewrites) {
            let (Verdict::Forward(_) | Verdict::Local, Some(port)) = (meta.verdict, plan.port(meta.port))
            else {
                continue;
            };
            if port.completes_checksums() && checksum::complete(frame.bytes_mut(), &meta.headers) {
                counters.checksums_completed += 1;
            }
            if port.routes() {
                route::rewrite(frame.bytes_mut(), meta, rewrite);
            }
        }
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
