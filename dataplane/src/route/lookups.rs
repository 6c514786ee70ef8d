use super::{
    NextHopId, ReversePath, Routes,
    routes::NeighbourId,
    table::WAVE,
    ways::{Way, Ways},
};
use crate::{
    batch::{Batch, Meta},
    forward::Port,
    io::PortId,
    parse::Address,
    snapshot::Snapshot,
    verdict::Verdict,
};

/// What the routes say of the packets of a batch, which are looked up together.
#[derive(Debug)]
pub(crate) struct Lookups {
    /// Of the packet in each place of the batch, if it is routed.
    found: Vec<Found>,
}

/// What is known of where a packet goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    /// It goes where those of its flow went that came before.
    Way { neighbour: NeighbourId, exit: PortId },
    /// Which routes its ends have.
    Routes {
        destination: Option<NextHopId>,
        /// If the path back is checked.
        source: Option<NextHopId>,
    },
}

impl Found {
    const NOTHING: Self = Self::Routes { destination: None, source: None };
}

impl Default for Lookups {
    fn default() -> Self {
        Self { found: vec![Found::NOTHING; Batch::<()>::MAX] }
    }
}

impl Lookups {
    /// Looks up the packets that may pass and are routed, unless `ways` knows already. Returns what was found, by their places.
    pub(crate) fn run(&mut self, snapshot: &Snapshot, ways: &Ways, metas: &[Meta]) -> &[Found] {
        let Snapshot { routes, forward: plan, generation, .. } = snapshot;
        if routes.links.is_empty() {
            return &self.found;
        }
        let mut wave = Wave::default();
        for (place, meta) in (0u8..=u8::MAX).zip(metas) {
            let (Verdict::Allow | Verdict::Undecided, Some(Port::Route { reverse_path, .. }), Some(link)) =
                (meta.verdict, plan.port(meta.port), routes.link(meta.port))
            else {
                continue;
            };
            if let (Some(Way { neighbour, exit, .. }), Some(found)) =
                (ways.of(meta, *generation), self.found.get_mut(usize::from(place)))
            {
                *found = Found::Way { neighbour, exit };
                continue;
            }
            if wave.len == PACKETS || wave.table != link.table {
                wave.look_up(routes, &mut self.found);
                (wave.len, wave.table) = (0, link.table);
            }
            let destination = meta.headers.destination;
            let source = match reverse_path {
                ReversePath::Strict | ReversePath::Loose => meta.headers.source,
                // Is near already.
                ReversePath::Off => destination,
            };
            wave.push([destination, source], place);
        }
        wave.look_up(routes, &mut self.found);
        &self.found
    }
}

/// How many packets are looked up together.
const PACKETS: usize = WAVE / 2;

/// Packets that ask the same table.
#[derive(Default)]
struct Wave {
    table: u8,
    len: usize,
    ends: [[Address; 2]; PACKETS],
    places: [u8; PACKETS],
}

impl Wave {
    #[inline]
    fn push(&mut self, ends: [Address; 2], place: u8) {
        if let (Some(to), Some(of)) = (self.ends.get_mut(self.len), self.places.get_mut(self.len)) {
            (*to, *of) = (ends, place);
            self.len += 1;
        }
    }

    fn look_up(&self, routes: &Routes, found: &mut [Found]) {
        let Some(fib) = routes.fibs.get(usize::from(self.table)) else { return };
        let mut ids = [[None; 2]; PACKETS];
        fib.lookup_batch(
            self.ends.get(..self.len).unwrap_or_default().as_flattened(),
            ids.as_flattened_mut(),
        );
        for (place, [destination, source]) in self.places.iter().zip(ids).take(self.len) {
            if let Some(found) = found.get_mut(usize::from(*place)) {
                *found = Found::Routes { destination, source };
            }
        }
    }
}
