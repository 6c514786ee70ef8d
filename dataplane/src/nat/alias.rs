use super::{Endpoint, mappings::MappingId};
use crate::{
    flow::{Slot, memory::filled},
    prefetch,
};

/// What the ends of a flow are known as to each other, where that is not what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatFlow {
    /// What the initiator is known as to the end that answers: the source that packets leave with.
    pub initiator: Option<Endpoint>,
    /// What the end that answers is known as to the initiator: where packets were sent to.
    pub responder: Option<Endpoint>,
}

/// The same as it is kept: 16 bytes a flow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Alias {
    initiator: u32,
    responder: u32,
    ports: [u16; 2],
    /// 0: nobody has looked yet. 1: no mapping. Else, two more than the number of the mapping.
    state: u32,
}

impl Alias {
    const NONE: u32 = 1;

    pub(super) fn new(known: NatFlow, mapping: Option<MappingId>) -> Self {
        let (initiator, responder) =
            (known.initiator.unwrap_or_default(), known.responder.unwrap_or_default());
        Self {
            initiator: initiator.address,
            responder: responder.address,
            ports: [initiator.port, responder.port],
            state: mapping.map_or(Self::NONE, |mapping| mapping.0 + Self::NONE + 1),
        }
    }

    /// Whether it has been found out.
    pub(super) const fn is_known(self) -> bool {
        self.state != 0
    }

    pub(super) fn mapping(self) -> Option<MappingId> {
        self.state.checked_sub(Self::NONE + 1).map(MappingId)
    }

    /// Whether both ends are known as what they are.
    pub(super) const fn is_nothing(self) -> bool {
        self.initiator | self.responder == 0
    }

    /// What the initiator is known as to the end that answers, if it is something else.
    #[inline]
    pub(super) fn initiator(self) -> Option<Endpoint> {
        let [port, _] = self.ports;
        (self.initiator != 0).then_some(Endpoint { address: self.initiator, port })
    }

    /// What the end that answers is known as to the initiator, if it is something else.
    #[inline]
    pub(super) fn responder(self) -> Option<Endpoint> {
        let [_, port] = self.ports;
        (self.responder != 0).then_some(Endpoint { address: self.responder, port })
    }

    /// What the ends are known as.
    pub(crate) fn known(self) -> NatFlow {
        NatFlow { initiator: self.initiator(), responder: self.responder() }
    }
}

/// By the slot of the flow.
#[derive(Debug, Default)]
pub(crate) struct Aliases(Vec<Alias>);

impl Aliases {
    /// Takes memory for so many flows, if there is none yet.
    pub(super) fn reserve(&mut self, flows: usize) {
        if self.0.len() < flows {
            self.0 = filled(Alias::default(), flows);
        }
    }

    /// Asks for the memory that [`Aliases::get`] reads.
    #[inline]
    pub(super) fn fetch(&self, slot: Slot) {
        if let Some(alias) = self.0.get(slot.0 as usize) {
            prefetch::fetch(alias);
        }
    }

    /// What is known of a flow.
    pub(crate) fn get(&self, slot: Slot) -> Alias {
        self.0.get(slot.0 as usize).copied().unwrap_or_default()
    }

    pub(super) fn set(&mut self, slot: Slot, alias: Alias) {
        if let Some(place) = self.0.get_mut(slot.0 as usize) {
            *place = alias;
        }
    }

    /// Forgets what is known of a flow, and says what it was.
    pub(super) fn take(&mut self, slot: Slot) -> Alias {
        self.0.get_mut(slot.0 as usize).map(std::mem::take).unwrap_or_default()
    }
}
