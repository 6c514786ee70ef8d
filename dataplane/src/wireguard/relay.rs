use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Plan, envelope::Envelope, inbox::Datagram, stage::Tunnels};
use crate::{
    batch::{Batch, Meta, Passage},
    clock::Timestamp,
    counters::WorkerCounters,
    handoff::WorkerId,
    io::PacketIo,
    verdict::DropReason,
};

/// Messages taken over in one turn.
const BUDGET: usize = 64;

impl<F> Tunnels<F> {
    /// Whether messages wait that came by way of the kernel.
    pub(crate) fn is_relaying(&self, worker: WorkerId) -> bool {
        worker.0 == 0 && self.plan.interfaces().iter().any(|interface| !interface.inbox.is_empty())
    }

    /// Takes over what came by way of the kernel: the first worker does, as if it had received it at the port of the interface.
    pub(crate) fn relay<I: PacketIo<Frame = F>>(
        &mut self,
        (worker, now): (WorkerId, Timestamp),
        plan: &Plan,
        io: &mut I,
        batch: &mut Batch<F>,
        counters: &mut WorkerCounters,
    ) {
        if worker.0 != 0 {
            return;
        }
        for interface in plan.interfaces() {
            let share = batch.room().div_ceil(2).min(BUDGET);
            for Datagram { bytes, remote } in (0..share).map_while(|_| interface.inbox.pop()) {
                counters.injected += 1;
                let frame =
                    wrap(&mut self.scratch, &bytes, remote.ip(), remote.port(), interface.listen_port);
                let Some(frame) = frame.and_then(|frame| io.compose(frame)) else {
                    counters.drops.add(DropReason::WireguardTooBig);
                    continue;
                };
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                let meta = Meta {
                    time: now,
                    length,
                    port: interface.port,
                    passage: Passage::Relayed,
                    ..Meta::default()
                };
                if let Err(frame) = batch.push(frame, meta) {
                    counters.drops.add(DropReason::WireguardTooBig);
                    io.release(frame);
                }
            }
        }
    }
}

/// A frame as it would have come with a message, but for whom.
fn wrap<'s>(
    scratch: &'s mut Vec<u8>,
    message: &[u8],
    source: IpAddr,
    source_port: u16,
    port: u16,
) -> Option<&'s [u8]> {
    let nobody = match source {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let envelope = Envelope {
        macs: [[0; 6]; 2],
        local: source,
        local_port: source_port,
        remote: (nobody, port).into(),
        ecn: 0,
        id: 0,
    };
    scratch.clear();
    scratch.resize(Envelope::headers(source), 0);
    scratch.extend_from_slice(message);
    envelope.write(scratch)?;
    Some(scratch)
}
