use ravelin_config::types::Protocol;

use super::{routes::NeighbourId, stage::has_options};
use crate::{
    batch::Meta,
    flow::{Side, Slot, memory::filled},
    io::PortId,
    parse::tcp_flags,
    prefetch,
};

/// How what each end of a flow sends goes on, so that not every packet has to be looked up. What was found holds for one generation and
/// for packets that come in where the first one did.
#[derive(Debug, Default)]
pub(crate) struct Ways(Vec<Both>);

/// The ways of what either end sends.
#[derive(Clone, Copy, Debug, Default)]
struct Both {
    low: Way,
    high: Way,
}

/// Where packets go.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    /// Under which it was found; zero for not at all.
    pub(super) generation: u32,
    /// Who is next.
    pub(super) neighbour: NeighbourId,
    /// The longest packet that may go there, in bytes.
    pub(super) mtu: u16,
    /// Where they come in.
    pub(super) entry: PortId,
    /// Where they leave.
    pub(super) exit: PortId,
}

impl Ways {
    /// Bytes for a flow, if packets are routed.
    pub(crate) const BYTES_PER_FLOW: usize = size_of::<Both>();

    /// Takes memory for so many flows, if there is none yet.
    pub(crate) fn reserve(&mut self, flows: usize) {
        if self.0.len() < flows {
            self.0 = filled(Both::default(), flows);
        }
    }

    /// Asks for the memory that [`Ways::of`] reads.
    #[inline]
    pub(crate) fn fetch(&self, slot: Slot) {
        if let Some(both) = self.0.get(slot.0 as usize) {
            prefetch::fetch(both);
        }
    }

    /// The way of a packet, if it is known and there is nothing about the packet that would have it go elsewhere.
    #[inline]
    pub(super) fn of(&self, meta: &Meta, generation: u32) -> Option<Way> {
        let both = self.0.get(meta.slot?.0 as usize)?;
        let way = match meta.side {
            Side::Low => both.low,
            Side::High => both.high,
        };
        let headers = &meta.headers;
        let length = headers.end.saturating_sub(headers.network_offset);
        let is_it = way.generation == generation
            && way.entry == meta.port
            && length <= way.mtu
            && headers.ttl > 1
            && may_have_way(meta)
            && !opens_connection(meta);
        is_it.then_some(way)
    }

    /// Remembers the way of a packet for those that follow.
    #[inline]
    pub(super) fn remember(&mut self, meta: &Meta, way: Way) {
        let place = meta.slot.and_then(|slot| self.0.get_mut(slot.0 as usize));
        if let Some(both) = place.filter(|_| may_have_way(meta)) {
            match meta.side {
                Side::Low => both.low = way,
                Side::High => both.high = way,
            }
        }
    }

    /// Forgets a flow.
    #[inline]
    pub(crate) fn forget(&mut self, slot: Slot) {
        if let Some(both) = self.0.get_mut(slot.0 as usize) {
            *both = Both::default();
        }
    }
}

/// Whether a packet goes where others do that its end sends in this flow: an ICMP error is between other ends than what it quotes.
#[inline]
fn may_have_way(meta: &Meta) -> bool {
    let headers = &meta.headers;
    !headers.icmp_error && headers.vlans.count == 0 && !has_options(headers)
}

/// Whether it may say how long segments may be, which is looked at.
#[inline]
fn opens_connection(meta: &Meta) -> bool {
    let headers = &meta.headers;
    headers.protocol == Protocol::TCP && headers.tcp.flags & tcp_flags::SYN != 0
}
