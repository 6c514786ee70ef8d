use super::{NonIp, Port, checksum};
use crate::{
    batch::{Batch, Meta},
    counters::WorkerCounters,
    io::Frame,
    parse::Network,
    pipeline::Context,
    verdict::{DropReason, Verdict},
};

/// Decides where each packet that may pass goes, and makes it fit to leave.
#[derive(Debug, Default)]
pub struct ForwardStage;

impl ForwardStage {
    /// Decides for one batch. Changes no packet.
    pub fn decide(&mut self, cx: &Context<'_>, metas: &mut [Meta]) {
        let plan = &cx.snapshot.forward;
        for meta in metas {
            if !matches!(meta.verdict, Verdict::Allow | Verdict::Undecided) {
                continue;
            }
            meta.verdict = match plan.port(meta.port) {
                None => Verdict::Drop(DropReason::NoDestination),
                Some(Port::Monitor) => Verdict::Consume,
                Some(Port::Bridge { twin, non_ip, .. }) => {
                    match (meta.verdict, judge_non_ip(meta, *non_ip)) {
                        (Verdict::Undecided, Some(reason)) => Verdict::Drop(reason),
                        _ if !fits(meta, plan.port(*twin)) => Verdict::Drop(DropReason::MtuExceeded),
                        _ => Verdict::Forward(*twin),
                    }
                }
            };
        }
    }

    /// Makes what is forwarded fit to leave.
    pub fn complete<F: Frame>(
        &mut self,
        cx: &Context<'_>,
        batch: &mut Batch<F>,
        counters: &mut WorkerCounters,
    ) {
        let plan = &cx.snapshot.forward;
        for (frame, meta) in batch.iter_mut() {
            if let (Verdict::Forward(_), Some(Port::Bridge { complete_checksums: true, .. })) =
                (meta.verdict, plan.port(meta.port))
                && checksum::complete(frame.bytes_mut(), &meta.headers)
            {
                counters.checksums_completed += 1;
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
        Some(Port::Monitor) | None => false,
    }
}
