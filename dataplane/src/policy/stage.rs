use std::net::{IpAddr, Ipv4Addr};

use ravelin_config::types::Protocol;

use super::{Judgement, Key, PolicySet, Zone};
use crate::{
    batch::Meta,
    flow::{FlowKey, FlowTable, Side},
    forward::exit,
    pipeline::Context,
    verdict::Verdict,
};

/// Decides every packet that has a flow key and is still undecided, and keeps the ruling in the flow.
#[derive(Debug, Default)]
pub struct PolicyStage;

impl PolicyStage {
    /// Runs over one batch.
    pub fn run(&mut self, cx: &Context<'_>, metas: &mut [Meta], flows: &mut FlowTable) {
        let waits = |meta: &Meta| meta.keyed && meta.verdict.is_undecided();
        if let Some(first) = metas.iter().position(waits) {
            Self::judge(cx, metas, first, flows);
        }
    }

    /// Decides packets from `first` on.
    #[inline(never)]
    fn judge(cx: &Context<'_>, metas: &mut [Meta], first: usize, flows: &mut FlowTable) {
        let mut asked = Asked::default();
        for at in first..metas.len() {
            let Some(meta) = metas.get_mut(at).filter(|meta| meta.keyed && meta.verdict.is_undecided())
            else {
                continue;
            };
            if meta.headers.neighbour_discovery && cx.snapshot.forward.passes_neighbour_discovery(meta.port) {
                meta.verdict = Verdict::Allow;
                continue;
            }
            let of_flow = meta.slot.and_then(|slot| flows.question(cx, slot));
            asked.add(at, of_flow.unwrap_or_else(|| question_of_packet(cx, meta)));
            if asked.len == PolicySet::CHUNK {
                asked.judge(cx, metas, flows);
            }
        }
        asked.judge(cx, metas, flows);
    }
}

/// Packets that wait to be judged together, by their places in the batch.
struct Asked {
    places: [usize; PolicySet::CHUNK],
    keys: [Key; PolicySet::CHUNK],
    len: usize,
}

impl Default for Asked {
    fn default() -> Self {
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let key = Key {
            source: nobody,
            destination: nobody,
            protocol: Protocol(0),
            source_port: 0,
            destination_port: 0,
            zones: Key::NO_ZONES,
        };
        Self { places: [0; PolicySet::CHUNK], keys: [key; PolicySet::CHUNK], len: 0 }
    }
}

impl Asked {
    fn add(&mut self, at: usize, question: Key) {
        if let (Some(place), Some(key)) = (self.places.get_mut(self.len), self.keys.get_mut(self.len)) {
            (*place, *key) = (at, question);
            self.len += 1;
        }
    }

    /// Judges what waits.
    fn judge(&mut self, cx: &Context<'_>, metas: &mut [Meta], flows: &mut FlowTable) {
        let Self { places, keys, len } = self;
        if *len == 0 {
            return;
        }
        let keys = keys.get(..*len).unwrap_or_default();
        cx.snapshot.policy.judge_all(keys, |index, judgement| {
            if let Some(meta) = places.get(index).and_then(|place| metas.get_mut(*place)) {
                conclude(cx, meta, flows, judgement);
            }
        });
        *len = 0;
    }
}

fn conclude(cx: &Context<'_>, meta: &mut Meta, flows: &mut FlowTable, judgement: &Judgement) {
    // An earlier packet of this batch may have decided for the flow already.
    let cached = meta.slot.and_then(|slot| flows.ruling(slot, cx.snapshot.generation));
    let ruling = cached.unwrap_or_else(|| flows.conclude(cx, meta.slot, judgement, meta.time));
    flows.decisions.settle(meta, ruling);
}

/// What is asked about a packet that belongs to no flow, or asks for one of its own.
pub(crate) fn question_of_packet(cx: &Context<'_>, meta: &Meta) -> Key {
    let plan = &cx.snapshot.forward;
    // To know where it leaves may take a look at the routes.
    let uses_zones = cx.snapshot.policy.uses_zones();
    let zones = if uses_zones { [Some(meta.port), exit(cx, meta)] } else { [None; 2] };
    question(&meta.key, meta.side, zones.map(|port| plan.zone(port)))
}

/// What is asked about a flow that `initiator` opened. Replies ask about the flow, not about themselves.
pub(crate) fn question(flow: &FlowKey, initiator: Side, zones: [Zone; 2]) -> Key {
    let (source, source_port) = flow.end(initiator);
    let (destination, destination_port) = flow.end(initiator.other());
    let protocol = flow.protocol();
    let [source_port, destination_port] = match protocol {
        Protocol::ICMP | Protocol::ICMPV6 => [0, u16::from_be_bytes(flow.icmp(initiator))],
        _ => [source_port, destination_port],
    };
    Key { source, destination, protocol, source_port, destination_port, zones }
}
