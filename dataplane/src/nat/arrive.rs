//! What arrives for an outside address is given its real destination, before its flow is looked up.

use ravelin_config::types::Protocol;

use super::{Class, Endpoint, Nat, NatPlan, plan::is_v4, ports::Place};
use crate::{
    batch::Meta,
    flow::{FlowKey, Side},
    forward::Port,
    pipeline::Context,
    verdict::Verdict,
};

/// What a packet was sent to, if that is not where it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// How it got its destination.
    pub how: Arrived,
    /// What it was sent to.
    pub sent_to: Endpoint,
}

impl Arrival {
    /// Nobody has asked yet.
    pub(crate) const UNASKED: Self =
        Self { how: Arrived::Unasked, sent_to: Endpoint { address: 0, port: 0 } };

    /// Whether it was sent to something else.
    pub(crate) const fn is_translated(&self) -> bool {
        match self.how {
            Arrived::Unasked | Arrived::AsSent => false,
            Arrived::Published | Arrived::Mapped => true,
        }
    }
}

/// How a packet got its destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrived {
    /// Nobody has looked yet.
    #[default]
    Unasked,
    /// It is the one that it was sent to.
    AsSent,
    /// A service is published where it was sent to.
    Published,
    /// Somebody inside is known outside as what it was sent to.
    Mapped,
}

const ECHO_REPLY: u8 = 0;

/// Gives the packets of a batch their real destinations. What a mapping of another worker is asked about goes there.
pub(crate) fn arrive(cx: &Context<'_>, nat: &Nat, metas: &mut [Meta]) {
    let plan = &cx.snapshot.nat;
    if plan.is_empty() {
        return;
    }
    metas.chunks_mut(TOGETHER).for_each(|metas| arrive_together(cx, plan, nat, metas));
}

/// The same for some, so that their waits for memory overlap.
#[inline(never)]
fn arrive_together(cx: &Context<'_>, plan: &NatPlan, nat: &Nat, metas: &mut [Meta]) {
    let mut sent_outside = [Asked::default(); TOGETHER];
    let mut some = sent_outside.iter_mut();
    for (meta, number) in metas.iter_mut().zip(0..) {
        let is_asked =
            meta.verdict.is_undecided() && is_v4(&meta.headers) && meta.arrival.how == Arrived::Unasked;
        if !is_asked || !cx.snapshot.forward.port(meta.port).is_some_and(Port::routes) {
            continue;
        }
        meta.arrival.how = Arrived::AsSent;
        let sent_to = Endpoint::new(meta.headers.destination, meta.headers.destination_port);
        let Some(external) = plan.external(sent_to.address) else { continue };
        let class = Class::of(meta.headers.protocol);
        let place = class.and_then(|class| nat.fetch_inside(external, class, sent_to.port));
        if let Some(next) = some.next() {
            *next = Asked { number, external, place };
        }
    }
    let left = some.len();
    for asked in sent_outside.iter().take(TOGETHER - left) {
        if let Some(meta) = metas.get_mut(usize::from(asked.number)) {
            look(cx, plan, nat, meta, asked);
        }
    }
}

/// Packets that are looked at together.
const TOGETHER: usize = 32;

/// A packet that was sent to an outside address.
#[derive(Clone, Copy, Default)]
struct Asked<'n> {
    /// Its place in the batch.
    number: u8,
    external: u16,
    /// Where it stands who has the port that it was sent to.
    place: Option<Place<'n>>,
}

#[inline]
fn look(cx: &Context<'_>, plan: &NatPlan, nat: &Nat, meta: &mut Meta, asked: &Asked<'_>) {
    let headers = &meta.headers;
    // An error goes to whoever sent the packet that it quotes.
    let (sent_to, protocol) = if headers.icmp_error {
        let Some(sender) = endpoint(&meta.key, meta.side.other()) else { return };
        (sender, meta.key.protocol())
    } else {
        (Endpoint::new(headers.destination, headers.destination_port), headers.protocol)
    };
    if let Some(to) = plan.published(meta.port, sent_to, protocol) {
        meta.arrival = Arrival { how: Arrived::Published, sent_to };
        redirect(meta, to);
        return;
    }
    let Some(class) = Class::of(protocol) else { return };
    // Whoever wrote an error may be asked for by another address than what it quotes.
    if headers.icmp_error && plan.external(sent_to.address) != Some(asked.external) {
        return;
    }
    if class == Class::Icmp && !headers.icmp_error && headers.icmp != [ECHO_REPLY, 0] {
        return;
    }
    let owner = NatPlan::worker_of(sent_to.port, cx.workers);
    if owner != cx.worker {
        meta.arrival.how = Arrived::Unasked;
        meta.verdict = Verdict::Handoff(owner);
        return;
    }
    let to = if headers.icmp_error {
        nat.inside(asked.external, class, sent_to.port)
    } else {
        asked.place.and_then(Place::inside)
    };
    if let Some(to) = to {
        meta.arrival = Arrival { how: Arrived::Mapped, sent_to };
        redirect(meta, to);
    }
}

/// An end of a flow of IPv4.
pub(super) fn endpoint(key: &FlowKey, side: Side) -> Option<Endpoint> {
    key.end_v4(side).map(|(address, port)| Endpoint { address, port })
}

/// Has a packet go to `to`.
fn redirect(meta: &mut Meta, to: Endpoint) {
    let headers = &mut meta.headers;
    headers.destination = to.ip();
    if headers.icmp_error {
        // The key is that of the packet quoted, which the receiver sent.
        let receiver = meta.side.other();
        let (key, sender) = meta.key.with_end(receiver, (to.ip(), to.port));
        (meta.key, meta.side) = (key, sender.other());
        return;
    }
    if headers.protocol == Protocol::ICMP {
        headers.source_port = to.port;
    }
    headers.destination_port = to.port;
}

/// Undoes what [`arrive`] did to a packet that nobody inside waits for: it is for the address that it was sent to.
#[cold]
pub(crate) fn stay(meta: &mut Meta) {
    let sent_to = std::mem::take(&mut meta.arrival).sent_to;
    redirect(meta, sent_to);
    meta.arrival.how = Arrived::AsSent;
    meta.keyed = false;
}
