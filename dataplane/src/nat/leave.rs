//! What a packet leaves as: found out at the first packet of a flow, remembered for the others.

use super::{Alias, Arrived, Class, Endpoint, Nat, NatFlow, Translation, arrive::endpoint};
use crate::{
    batch::Meta,
    flow::{Side, Slot},
    io::PortId,
    pipeline::Context,
    verdict::DropReason,
};

const ECHO_REQUEST: u8 = 8;

/// Decides what packets leave as.
pub(crate) struct Leaving<'a> {
    pub(crate) nat: &'a mut Nat,
    /// The end that opened the packet's flow.
    pub(crate) initiator: Option<Side>,
}

impl Leaving<'_> {
    /// What a routed packet of IPv4 leaves as, through `exit`; `None` if as it is.
    ///
    /// # Errors
    /// Why it must not leave at all.
    #[inline(never)]
    pub(crate) fn decide(
        &mut self,
        cx: &Context<'_>,
        meta: &Meta,
        exit: PortId,
    ) -> Result<Option<Translation>, DropReason> {
        let (Some(slot), Some(initiator)) = (meta.slot, self.initiator) else {
            return self.without_flow(cx, meta, exit);
        };
        let alias = match self.nat.alias(slot) {
            Some(alias) => alias,
            None => self.find_out(cx, meta, slot, initiator == meta.side, exit)?,
        };
        Ok(translation(alias, meta, initiator))
    }

    /// A packet that belongs to no flow has nothing to remember a translation by.
    #[cold]
    fn without_flow(
        &self,
        cx: &Context<'_>,
        meta: &Meta,
        exit: PortId,
    ) -> Result<Option<Translation>, DropReason> {
        let source = Endpoint::new(meta.headers.source, 0);
        let destination = Endpoint::new(meta.headers.destination, 0);
        let is_translated = meta.arrival.is_translated()
            || cx.snapshot.nat.pool(exit, source.address, destination.address).is_some();
        if is_translated { Err(DropReason::NatUntracked) } else { Ok(None) }
    }

    /// Finds out what the ends of a flow are known as to each other.
    #[inline(never)]
    fn find_out(
        &mut self,
        cx: &Context<'_>,
        meta: &Meta,
        slot: Slot,
        is_initiator: bool,
        exit: PortId,
    ) -> Result<Alias, DropReason> {
        let plan = &cx.snapshot.nat;
        let was_sent_on = meta.arrival.is_translated();
        let (Some(source), Some(destination)) =
            (endpoint(&meta.key, meta.side), endpoint(&meta.key, meta.side.other()))
        else {
            return Err(DropReason::NatUntracked);
        };
        let hairpin;
        let pool = match plan.pool(exit, source.address, destination.address) {
            Some(pool) => Some(pool.0.as_slice()),
            // An answer would not come back through here: both are on the same link, or the other end knows the sender as somebody else.
            None if was_sent_on && (exit == meta.port || meta.arrival.how == Arrived::Mapped) => {
                match plan.pool_elsewhere(meta.port, source.address) {
                    Some(elsewhere) => {
                        let sent_to = meta.arrival.sent_to.address;
                        hairpin = plan.external(sent_to).filter(|external| plan.has_ports(*external));
                        Some(hairpin.as_ref().map_or(elsewhere.0.as_slice(), std::slice::from_ref))
                    }
                    None => None,
                }
            }
            None => None,
        };
        if !is_initiator && (pool.is_some() || was_sent_on) {
            // Its beginning was not seen, and whatever it was known as is not known any more.
            return Err(DropReason::NatUntracked);
        }
        let mapping = match pool {
            None => None,
            Some(pool) => {
                let class = Class::of(meta.key.protocol())
                    .filter(|class| *class != Class::Icmp || meta.key.icmp(meta.side) == [ECHO_REQUEST, 0]);
                let class = class.ok_or(DropReason::NatProtocol)?;
                let time = meta.time.as_micros();
                Some(self.nat.map(pool, class, source, time).ok_or(DropReason::NatExhausted)?)
            }
        };
        let known = NatFlow {
            initiator: mapping.and_then(|mapping| self.nat.outside(mapping)),
            responder: was_sent_on.then_some(meta.arrival.sent_to),
        };
        let alias = Alias::new(known, mapping);
        self.nat.set_alias(slot, alias);
        Ok(alias)
    }
}

/// What one packet of a flow leaves as, of which it is known what its ends are known as.
#[inline(always)]
pub(crate) fn translation(alias: Alias, meta: &Meta, initiator: Side) -> Option<Translation> {
    if alias.is_nothing() {
        return None;
    }
    let from_initiator = meta.side == initiator;
    let known_as = if from_initiator { alias.initiator() } else { alias.responder() };
    let (sender, destination) = if meta.headers.icmp_error { quoted_ends(meta)? } else { ends(meta) };
    Some(Translation {
        is_known: known_as.is_some(),
        source: known_as.unwrap_or(sender),
        destination,
        from_initiator,
    })
}

/// The ends of the flow of a packet, the one that sent it first.
#[inline(always)]
fn ends(meta: &Meta) -> (Endpoint, Endpoint) {
    let headers = &meta.headers;
    let sender = Endpoint::new(headers.source, headers.source_port);
    (sender, Endpoint::new(headers.destination, headers.destination_port))
}

/// The same for an ICMP error: its key is that of what it quotes.
#[cold]
fn quoted_ends(meta: &Meta) -> Option<(Endpoint, Endpoint)> {
    endpoint(&meta.key, meta.side).zip(endpoint(&meta.key, meta.side.other()))
}
