//! Who is known as what outside: one worker's mappings.

use std::{collections::VecDeque, fmt, sync::Arc};

use hashbrown::HashTable;

use super::{
    Alias, Class, Endpoint, External, NatPlan,
    alias::Aliases,
    ports::{Place, Ports},
};
use crate::{flow::Slot, handoff::WorkerId, hash::FlowHasher};

/// One worker's mappings, and what its flows are known as.
pub struct Nat {
    plan: Arc<NatPlan>,
    hasher: FlowHasher,
    /// Addresses keep their place for as long as they are in force: mappings are named by it.
    outsides: Vec<Outside>,
    /// By the number that the plan has for an address: its place.
    places: Vec<u16>,
    by_inside: HashTable<MappingId>,
    /// Mappings that no flow uses, with how often that was so and until when they wait for the next.
    idle: VecDeque<(MappingId, u64, u64)>,
    aliases: Aliases,
    /// Mappings that were made.
    created: u64,
}

/// A mapping: place of its outside address (14 bits, of which few are needed), class (2) and port (16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MappingId(pub(super) u32);

impl MappingId {
    const fn new(place: u16, class: Class, port: u16) -> Self {
        Self((place as u32) << 18 | (class as u32) << 16 | port as u32)
    }

    const fn place(self) -> usize {
        (self.0 >> 18) as usize
    }

    const fn class(self) -> usize {
        (self.0 >> 16 & 3) as usize
    }

    const fn port(self) -> u16 {
        let [_, _, a, b] = self.0.to_be_bytes();
        u16::from_be_bytes([a, b])
    }
}

/// An outside address, with this worker's ports of each class. Without, its place is vacant.
#[derive(Debug, Default)]
struct Outside {
    address: u32,
    ports: Vec<Ports>,
}

impl Nat {
    /// Bytes that the table of flows takes for each, if addresses are translated.
    pub(crate) const BYTES_PER_FLOW: usize = size_of::<Alias>();
    /// How many mappings there may be at one worker.
    pub const MAPPINGS: usize = 1 << 20;
    /// How long a mapping of UDP is kept that no flow uses any more (RFC 4787 section 4.3 asks for two minutes), in microseconds.
    const LINGER: u64 = 120_000_000;
    /// How many may wait so; the oldest makes room.
    const IDLE: usize = 1 << 16;
    /// Idle ones that are looked at when one is made.
    const BUDGET: usize = 4;
    /// Idle ones that are given up at once when there is no port.
    const RECLAIM: usize = 64;

    /// No mappings.
    pub fn new() -> Self {
        Self {
            plan: Arc::default(),
            hasher: FlowHasher::random(),
            outsides: Vec::new(),
            places: Vec::new(),
            by_inside: HashTable::new(),
            idle: VecDeque::new(),
            aliases: Aliases::default(),
            created: 0,
        }
    }

    /// Takes over the plan in force. Mappings of addresses that stay are kept. This is where memory is taken.
    #[inline]
    pub(crate) fn refresh(&mut self, plan: &Arc<NatPlan>, worker: WorkerId, workers: u8, flows: usize) {
        if !Arc::ptr_eq(&self.plan, plan) {
            self.take_over(plan, worker, workers, flows);
        }
    }

    #[inline(never)]
    fn take_over(&mut self, plan: &Arc<NatPlan>, worker: WorkerId, workers: u8, flows: usize) {
        self.plan = Arc::clone(plan);
        if plan.is_empty() && self.outsides.is_empty() {
            return;
        }
        self.aliases.reserve(flows);
        self.idle.reserve(Self::IDLE.saturating_sub(self.idle.len()));
        for outside in &mut self.outsides {
            if plan.external(outside.address).is_none() {
                *outside = Outside::default();
            }
        }
        let Self { by_inside, outsides, .. } = self;
        by_inside.retain(|id| outsides.get(id.place()).is_some_and(|outside| !outside.ports.is_empty()));
        self.places = plan.externals().iter().map(|external| self.place(external, worker, workers)).collect();
        // Twice as many: what was removed leaves traces, and they are cleaned up in place only if half is free.
        let room = (2 * Self::MAPPINGS).saturating_sub(self.by_inside.len());
        let Self { hasher, by_inside, outsides, .. } = self;
        by_inside.reserve(room, |id| hash(hasher, outsides, *id));
    }

    /// Finds or makes the place of an address.
    fn place(&mut self, external: &External, worker: WorkerId, workers: u8) -> u16 {
        let known = self.outsides.iter().position(|outside| outside.address == external.address);
        let place = known.or_else(|| self.outsides.iter().position(|outside| outside.ports.is_empty()));
        let place = place.unwrap_or_else(|| {
            self.outsides.push(Outside::default());
            self.outsides.len() - 1
        });
        if let Some(outside) = self.outsides.get_mut(place) {
            outside.address = external.address;
            outside.ports.resize_with(Class::ALL.len(), Ports::new);
            for (ports, class) in outside.ports.iter_mut().zip(Class::ALL) {
                let taken: Vec<_> =
                    external.taken.iter().filter(|(of, _)| *of == class).map(|(_, ports)| ports).collect();
                ports.limit(&external.ports, &taken, worker, workers);
            }
        }
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// Who has a port of an outside address.
    #[inline]
    pub(super) fn inside(&self, external: u16, class: Class, port: u16) -> Option<Endpoint> {
        self.fetch_inside(external, class, port)?.inside()
    }

    /// Where it stands who has a port of an outside address; asks for that memory.
    #[inline]
    pub(super) fn fetch_inside(&self, external: u16, class: Class, port: u16) -> Option<Place<'_>> {
        let place = self.places.get(usize::from(external))?;
        self.outsides.get(usize::from(*place))?.ports.get(class as usize)?.fetch(port)
    }

    /// What an inside endpoint is known as, for one more flow: as before, or else from now on.
    pub(super) fn map(
        &mut self,
        pool: &[u16],
        class: Class,
        inside: Endpoint,
        time: u64,
    ) -> Option<MappingId> {
        self.expire(time, Self::BUDGET);
        let hash = self.hasher.hash(&[word(class as usize, inside)]);
        let Self { by_inside, outsides, places, .. } = self;
        let is_it = |id: &MappingId| {
            let is_of_pool = || {
                pool.iter()
                    .any(|it| places.get(usize::from(*it)).is_some_and(|it| usize::from(*it) == id.place()))
            };
            id.class() == class as usize && holder(outsides, *id) == Some(inside) && is_of_pool()
        };
        if let Some(id) = by_inside.find(hash, is_it).copied() {
            self.ports_mut(id).into_iter().for_each(|ports| ports.hold(id.port()));
            return Some(id);
        }
        if self.by_inside.len() >= Self::MAPPINGS {
            self.expire(u64::MAX, Self::RECLAIM);
        }
        if self.by_inside.len() >= Self::MAPPINGS {
            return None;
        }
        let id = self.take(pool, class, inside, hash).or_else(|| {
            self.expire(u64::MAX, Self::RECLAIM);
            self.take(pool, class, inside, hash)
        })?;
        let Self { by_inside, outsides, hasher, .. } = self;
        by_inside.insert_unique(hash, id, |id| self::hash(hasher, outsides, *id));
        self.created += 1;
        Some(id)
    }

    /// Takes a port: of the address that all of an inside address have, while that has any.
    fn take(&mut self, pool: &[u16], class: Class, inside: Endpoint, random: u64) -> Option<MappingId> {
        let count = pool.len();
        let first = (self.hasher.hash(&[u64::from(inside.address)]) % count.max(1) as u64) as usize;
        (0..count).find_map(|step| {
            let external = pool.get((first + step) % count)?;
            let place = *self.places.get(usize::from(*external))?;
            let ports = self.outsides.get_mut(usize::from(place))?.ports.get_mut(class as usize)?;
            let port = ports.take(inside, random)?;
            ports.hold(port);
            Some(MappingId::new(place, class, port))
        })
    }

    /// What somebody with this mapping is known as.
    pub(super) fn outside(&self, id: MappingId) -> Option<Endpoint> {
        let outside = self.outsides.get(id.place()).filter(|outside| !outside.ports.is_empty())?;
        Some(Endpoint { address: outside.address, port: id.port() })
    }

    /// What is known of a flow, if that still holds: its address may be gone.
    #[inline]
    pub(crate) fn alias(&self, slot: Slot) -> Option<Alias> {
        let alias = self.aliases.get(slot);
        (alias.is_known() && self.holds(alias)).then_some(alias)
    }

    /// Whether the address is still in force that a flow's mapping is of, if it has one. A vacant place has none.
    #[inline]
    fn holds(&self, alias: Alias) -> bool {
        let Some(id) = alias.mapping() else { return true };
        let address = self.outsides.get(id.place()).map(|outside| outside.address);
        address.is_some_and(|address| alias.initiator().is_some_and(|known| known.address == address))
    }

    /// Asks for the memory that [`Nat::alias`] reads.
    #[inline]
    pub(crate) fn fetch_alias(&self, slot: Slot) {
        self.aliases.fetch(slot);
    }

    pub(super) fn set_alias(&mut self, slot: Slot, alias: Alias) {
        self.aliases.set(slot, alias);
    }

    /// What is kept of a flow, whether it still holds or not.
    pub(crate) fn kept(&self, slot: Slot) -> Alias {
        self.aliases.get(slot)
    }

    /// Forgets a flow that has ended at `time`, in microseconds.
    #[inline]
    pub(crate) fn forget(&mut self, slot: Slot, time: u64) {
        if self.outsides.is_empty() {
            return;
        }
        let alias = self.aliases.take(slot);
        if let Some(id) = alias.mapping().filter(|_| self.holds(alias)) {
            self.release(id, time);
        }
    }

    fn release(&mut self, id: MappingId, time: u64) {
        let Some(idle) = self.ports_mut(id).and_then(|ports| ports.release(id.port())) else { return };
        if id.class() != Class::Udp as usize {
            self.remove(id);
            return;
        }
        if self.idle.len() >= Self::IDLE {
            self.expire(u64::MAX, 1);
        }
        self.idle.push_back((id, idle, time.saturating_add(Self::LINGER)));
    }

    /// Gives up mappings that have waited until `time`; looks at `budget` of them at most.
    fn expire(&mut self, time: u64, budget: usize) {
        for _ in 0..budget {
            let Some((id, idle, _)) = self.idle.pop_front_if(|(_, _, until)| *until <= time) else { return };
            let holder = self.ports_mut(id).and_then(|ports| ports.holder(id.port()));
            if holder.is_some_and(|holder| holder.idle() == Some(idle)) {
                self.remove(id);
            }
        }
    }

    fn remove(&mut self, id: MappingId) {
        let Self { by_inside, outsides, hasher, .. } = self;
        let hash = hash(hasher, outsides, id);
        if let Ok(entry) = by_inside.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        if let Some(ports) = self.ports_mut(id) {
            ports.give_back(id.port());
        }
    }

    fn ports_mut(&mut self, id: MappingId) -> Option<&mut Ports> {
        self.outsides.get_mut(id.place())?.ports.get_mut(id.class())
    }

    /// How many mappings there are, and how many have been made.
    pub(crate) fn counts(&self) -> [u64; 2] {
        [self.by_inside.len() as u64, self.created]
    }
}

impl Default for Nat {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nat").field("mappings", &self.by_inside.len()).finish_non_exhaustive()
    }
}

/// Who has the port of a mapping.
fn holder(outsides: &[Outside], id: MappingId) -> Option<Endpoint> {
    Some(outsides.get(id.place())?.ports.get(id.class())?.holder(id.port())?.inside())
}

fn hash(hasher: &FlowHasher, outsides: &[Outside], id: MappingId) -> u64 {
    hasher.hash(&[word(id.class(), holder(outsides, id).unwrap_or_default())])
}

/// Class and endpoint in one word.
fn word(class: usize, inside: Endpoint) -> u64 {
    (class as u64) << 48 | u64::from(inside.address) << 16 | u64::from(inside.port)
}
