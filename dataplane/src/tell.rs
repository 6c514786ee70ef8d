//! Telling people that their packets were dropped: who opens a rejected flow, both ends of a connection that was cut, and in the place of a
//! router's kernel, who sent what has no hop left or is too long.

use crate::{
    batch::Meta,
    counters::WorkerCounters,
    forward::Port,
    io::{Frame, PacketIo},
    parse::Headers,
    pipeline::{Context, Pipeline},
    policy::{Answer, Problem},
    route,
    verdict::DropReason,
    wireguard::Tunnels,
    worker::{forwarded, transmit_reason},
};

/// Whether somebody is told that a packet was dropped.
pub(crate) const fn is_told(reason: DropReason) -> bool {
    matches!(
        reason,
        DropReason::RuleReject | DropReason::FlowReset | DropReason::TtlExpired | DropReason::MtuExceeded
    )
}

/// Tells the sender of a packet why it got no further, or both ends of a connection that it was cut.
#[inline(never)]
pub(crate) fn tell<I: PacketIo>(
    cx: &Context<'_>,
    (pipeline, io, tunnels): (&mut Pipeline, &mut I, &mut Tunnels<I::Frame>),
    counters: &mut WorkerCounters,
    reason: DropReason,
    frame: &I::Frame,
    meta: &Meta,
) {
    let plan = &cx.snapshot.forward;
    let is_routed = plan.port(meta.port).is_some_and(Port::routes);
    let too_long_to_seal =
        plan.twin(meta.port).and_then(|twin| cx.snapshot.wireguard.too_long_for(twin, &meta.headers));
    if reason == DropReason::MtuExceeded && !is_routed && too_long_to_seal.is_none() {
        // A bridge is not there.
        return;
    }
    // Behind a router the receiver is found by a route, and learns of it when it sends itself.
    let twin = plan.twin(meta.port).or(is_routed.then_some(meta.port));
    let Some(twin) = twin.filter(|_| cx.snapshot.policy.answers.take(meta.time)) else {
        counters.rejects_silent += 1;
        return;
    };
    let (bytes, headers) = (frame.bytes(), &meta.sent_headers());
    let problem = |problem| {
        let router = cx.snapshot.nat.address(meta.port);
        let headers = Headers { destination: router.unwrap_or(headers.destination), ..*headers };
        Answer::error(bytes, &headers, problem)
    };
    let mut to_receiver = None;
    let to_sender = if reason == DropReason::FlowReset {
        to_receiver = Answer::reset_receiver(bytes, headers).filter(|_| !is_routed);
        Answer::reset_sender(bytes, headers)
    } else if reason == DropReason::TtlExpired {
        problem(Problem::Expired)
    } else if reason == DropReason::MtuExceeded {
        let mtu = || route::too_long_for(&cx.snapshot.routes, meta).and_then(|mtu| u16::try_from(mtu).ok());
        too_long_to_seal.or_else(mtu).and_then(|mtu| problem(Problem::TooLong(mtu)))
    } else {
        Answer::reject(bytes, headers)
    };
    let answers = [(meta.port, to_sender), (twin, to_receiver)];
    let mut told = false;
    for (port, answer) in answers {
        let Some(frame) = answer.and_then(|answer| io.compose(answer.bytes())) else { continue };
        let length = u32::try_from(frame.bytes().len()).unwrap_or(u32::MAX);
        counters.injected += 1;
        pipeline.capture_injected(cx, (frame.bytes(), port), meta, counters);
        let Some(frame) = tunnels.take_own(cx, frame, port) else {
            told = true;
            continue;
        };
        match io.transmit(port, frame) {
            Ok(()) => {
                forwarded(counters, port, length);
                told = true;
            }
            Err((error, frame)) => {
                counters.drops.add(transmit_reason(error));
                io.release(frame);
            }
        }
    }
    counters.rejects_silent += u64::from(!told);
}
