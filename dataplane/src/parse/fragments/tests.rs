use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    handoff::WorkerId,
    parse::{Address, Fragment, Headers, Network, Vlans},
    snapshot::Snapshot,
};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A table with what it needs around it.
struct Bench {
    table: FragmentTable,
    snapshot: Snapshot,
    counters: WorkerCounters,
    now: Timestamp,
}

impl Bench {
    fn new(capacity: usize, full: Exception) -> Self {
        let fragments = FragmentSettings { timeout: TIMEOUT, full };
        Self {
            table: FragmentTable::new(capacity),
            snapshot: Snapshot { fragments, ..Snapshot::default() },
            counters: WorkerCounters::new(0),
            now: Timestamp::from_micros(1_000_000),
        }
    }

    fn push(&mut self, headers: Headers) -> Meta {
        let mut metas = [Meta { time: self.now, headers, ..Meta::default() }];
        let cx = Context { now: self.now, snapshot: &self.snapshot, worker: WorkerId::default(), workers: 1 };
        self.table.run(&cx, &mut metas, &mut self.counters);
        metas[0]
    }

    #[track_caller]
    fn passes(&mut self, headers: Headers) -> Headers {
        let meta = self.push(headers);
        assert_eq!((meta.verdict, meta.resolved), (Verdict::Undecided, true));
        meta.headers
    }

    #[track_caller]
    fn drops(&mut self, headers: Headers, reason: DropReason) {
        let meta = self.push(headers);
        assert_eq!((meta.verdict, meta.resolved), (Verdict::Drop(reason), false));
    }

    fn expire(&mut self, budget: usize) {
        let cx = Context { now: self.now, snapshot: &self.snapshot, worker: WorkerId::default(), workers: 1 };
        self.table.expire(&cx, budget, &mut self.counters);
    }
}

/// A fragment of the UDP datagram `id` from port 1000 to port 53; only a first one has the ports.
fn fragment(id: u32, offset: u32, length: u32, more: bool) -> Headers {
    let kind = if offset == 0 { FragmentKind::First } else { FragmentKind::Later };
    let (source_port, destination_port) = if offset == 0 { (1000, 53) } else { (0, 0) };
    Headers {
        network: Network::Ipv4,
        source: Address::v4([192, 0, 2, 1]),
        destination: Address::v4([192, 0, 2, 2]),
        protocol: Protocol::UDP,
        source_port,
        destination_port,
        fragment: Fragment { kind, id, offset, length, more },
        ..Headers::EMPTY
    }
}

#[test]
fn later_fragments_get_the_ports_of_the_first() {
    let mut bench = Bench::new(4, Exception::Drop);
    bench.passes(fragment(1, 0, 1480, true));
    assert_eq!(bench.counters.fragments_active, 1);
    // Out of order among themselves is fine.
    let last = bench.passes(fragment(1, 2960, 100, false));
    assert_eq!((last.source_port, last.destination_port), (1000, 53));
    let middle = bench.passes(fragment(1, 1480, 1480, true));
    assert_eq!((middle.source_port, middle.destination_port), (1000, 53));
    assert_eq!(bench.counters.fragments_active, 0, "all of it has come");
    bench.drops(fragment(1, 1480, 1480, true), DropReason::FragmentOrphan);
    bench.passes(fragment(1, 0, 1480, true));
}

#[test]
fn later_fragments_are_of_the_message_that_the_first_begins() {
    let mut bench = Bench::new(4, Exception::Drop);
    let ping = |fragment| Headers { protocol: Protocol::ICMP, ..fragment };
    bench.passes(Headers { icmp: [8, 0], ..ping(fragment(1, 0, 1480, true)) });
    assert_eq!(bench.passes(ping(fragment(1, 1480, 8, false))).icmp, [8, 0]);
}

#[test]
fn every_part_of_the_key_tells_datagrams_apart() {
    let first = fragment(1, 0, 1480, true);
    let later = fragment(1, 1480, 8, true);
    let others = [
        Headers { source: first.destination, destination: first.source, ..later },
        Headers { source: Address::v4([192, 0, 2, 9]), ..later },
        Headers { destination: Address::v4([192, 0, 2, 9]), ..later },
        Headers { protocol: Protocol::TCP, ..later },
        Headers { vlans: Vlans { count: 1, ids: [5, 0] }, ..later },
        Headers { vlans: Vlans { count: 2, ids: [0, 5] }, ..later },
        fragment(2, 1480, 8, true),
    ];
    let mut bench = Bench::new(4, Exception::Drop);
    bench.passes(first);
    for other in others {
        bench.drops(other, DropReason::FragmentOrphan);
    }
    bench.passes(later);
}

#[test]
fn ipv6_fragments_may_name_different_protocols() {
    let first = Headers { network: Network::Ipv6, ..fragment(1, 0, 1448, true) };
    let later = Headers { network: Network::Ipv6, protocol: Protocol(60), ..fragment(1, 1448, 8, false) };
    let mut bench = Bench::new(4, Exception::Drop);
    bench.passes(first);
    let later = bench.passes(later);
    assert_eq!((later.protocol, later.destination_port), (Protocol::UDP, 53), "the first one's counts");
}

#[test]
fn later_fragments_without_their_first_are_dropped() {
    let mut bench = Bench::new(4, Exception::Forward);
    bench.drops(fragment(1, 1480, 8, false), DropReason::FragmentOrphan);
    assert_eq!(bench.counters.fragments_active, 0, "orphans take no room");
    bench.passes(fragment(1, 0, 1480, true));
}

#[test]
fn an_overlap_poisons_the_datagram() {
    for (offset, length) in [(8, 8), (1472, 16), (1480, 8), (1480, 16), (1488, 8), (1472, 32)] {
        let mut bench = Bench::new(4, Exception::Drop);
        bench.passes(fragment(1, 0, 1480, true));
        bench.passes(fragment(1, 1480, 16, true));
        bench.drops(fragment(1, offset, length, true), DropReason::FragmentOverlap);
        bench.drops(fragment(1, 2000, 8, true), DropReason::FragmentOverlap);
        bench.drops(fragment(1, 0, 1480, true), DropReason::FragmentOverlap);
        assert_eq!(bench.counters.fragments_active, 1, "remembered until its time is up");
        bench.now = bench.now + TIMEOUT;
        bench.passes(fragment(1, 0, 1480, true));
    }
}

#[test]
fn a_repeated_first_fragment_is_an_overlap() {
    let mut bench = Bench::new(4, Exception::Drop);
    bench.passes(fragment(1, 0, 1480, true));
    bench.drops(fragment(1, 0, 1480, true), DropReason::FragmentOverlap);
    bench.drops(fragment(1, 1480, 8, false), DropReason::FragmentOverlap);
}

#[test]
fn fragments_must_agree_on_the_end() {
    let contradictions = [
        // The end, then something beyond it, another end before it, another end behind it.
        [fragment(1, 4000, 96, false), fragment(1, 4096, 8, true)],
        [fragment(1, 4000, 96, false), fragment(1, 3000, 96, false)],
        [fragment(1, 4000, 96, false), fragment(1, 5000, 96, false)],
        // Something, then an end before it.
        [fragment(1, 4000, 96, true), fragment(1, 3000, 96, false)],
    ];
    for [one, other] in contradictions {
        let mut bench = Bench::new(4, Exception::Drop);
        bench.passes(fragment(1, 0, 1480, true));
        bench.passes(one);
        bench.drops(other, DropReason::FragmentOverlap);
        bench.drops(fragment(1, 1480, 8, true), DropReason::FragmentOverlap);
    }
}

#[test]
fn too_many_gaps_are_refused_without_poison() {
    let mut bench = Bench::new(4, Exception::Drop);
    bench.passes(fragment(1, 0, 8, true));
    for gap in 1..24 {
        bench.passes(fragment(1, gap * 16, 8, true));
    }
    bench.drops(fragment(1, 24 * 16, 8, true), DropReason::FragmentGaps);
    // Filling a gap makes room for another.
    bench.passes(fragment(1, 8, 8, true));
    bench.passes(fragment(1, 24 * 16, 8, true));
    for gap in 1..24 {
        bench.passes(fragment(1, gap * 16 + 8, 8, true));
    }
    bench.passes(fragment(1, 24 * 16 + 8, 8, false));
    assert_eq!(bench.counters.fragments_active, 0);
}

#[test]
fn the_largest_datagram_passes_in_any_order() {
    let mut random = 7_u64;
    for _ in 0..50 {
        let mut offsets: Vec<u32> = (1..45).map(|index| index * 1480).collect();
        for place in (1..offsets.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            offsets.swap(place, (random >> 33) as usize % (place + 1));
        }
        let mut bench = Bench::new(1, Exception::Drop);
        bench.passes(fragment(1, 0, 1480, true));
        for offset in offsets {
            let is_last = offset == 44 * 1480;
            bench.passes(fragment(1, offset, if is_last { 395 } else { 1480 }, !is_last));
        }
        assert_eq!(bench.counters.fragments_active, 0);
    }
}

#[test]
fn a_full_table_drops_if_told_to() {
    let mut bench = Bench::new(100, Exception::Drop);
    for id in 0..150 {
        let meta = bench.push(fragment(id, 0, 1480, true));
        let expected =
            if id < 100 { Verdict::Undecided } else { Verdict::Drop(DropReason::FragmentTableFull) };
        assert_eq!((meta.verdict, meta.resolved), (expected, id < 100));
    }
    assert_eq!((bench.counters.fragments_active, bench.counters.fragments_untracked), (100, 0));
    for id in 0..150 {
        let later = fragment(id, 1480, 8, false);
        if id < 100 {
            bench.passes(later);
        } else {
            bench.drops(later, DropReason::FragmentOrphan);
        }
    }
    assert_eq!(bench.counters.fragments_active, 0);
}

#[test]
fn a_full_table_forwards_if_told_to() {
    let mut bench = Bench::new(100, Exception::Forward);
    for id in 0..150 {
        bench.passes(fragment(id, 0, 1480, true));
    }
    assert_eq!((bench.counters.fragments_active, bench.counters.fragments_untracked), (100, 50));
    for id in 100..150 {
        bench.drops(fragment(id, 1480, 8, false), DropReason::FragmentOrphan);
    }
    assert_eq!((bench.counters.fragments_active, bench.counters.fragments_untracked), (100, 50));
}

#[test]
fn a_table_without_capacity_is_always_full() {
    let mut bench = Bench::new(0, Exception::Drop);
    bench.drops(fragment(1, 0, 1480, true), DropReason::FragmentTableFull);
    bench.drops(fragment(1, 1480, 8, false), DropReason::FragmentOrphan);
    bench.expire(8);
    assert_eq!(bench.counters.fragments_active, 0);
}

#[test]
fn expiry_keeps_to_its_budget() {
    let mut bench = Bench::new(100, Exception::Drop);
    for id in 0..10 {
        bench.passes(fragment(id, 0, 1480, true));
    }
    bench.now = bench.now + TIMEOUT / 2;
    for id in 10..20 {
        bench.passes(fragment(id, 0, 1480, true));
    }
    bench.expire(100);
    assert_eq!(bench.counters.fragments_active, 20);
    bench.now = bench.now + TIMEOUT / 2;
    bench.expire(4);
    assert_eq!(bench.counters.fragments_active, 16);
    bench.expire(100);
    assert_eq!(bench.counters.fragments_active, 10);
    // A reload that shortens the timeout holds for those that wait already.
    bench.snapshot.fragments.timeout = Duration::from_secs(1);
    bench.expire(100);
    assert_eq!(bench.counters.fragments_active, 0);
}

#[test]
fn a_datagram_whose_time_is_up_is_gone_before_expiry_comes_by() {
    let mut bench = Bench::new(2, Exception::Drop);
    bench.passes(fragment(1, 0, 1480, true));
    bench.passes(fragment(2, 0, 1480, true));
    bench.now = bench.now + TIMEOUT;
    bench.drops(fragment(1, 1480, 8, false), DropReason::FragmentOrphan);
    assert_eq!(bench.counters.fragments_active, 1);
    bench.passes(fragment(3, 0, 1480, true));
    bench.passes(fragment(4, 0, 1480, true));
    assert_eq!(bench.counters.fragments_active, 2, "the second made room for the fourth");
}

#[test]
fn only_undecided_and_unresolved_fragments_are_looked_at() {
    let mut bench = Bench::new(4, Exception::Drop);
    let later = fragment(1, 1480, 8, false);
    let mut metas = [
        Meta { headers: later, resolved: true, ..Meta::default() },
        Meta { headers: later, verdict: Verdict::Drop(DropReason::FaultInjected), ..Meta::default() },
        Meta { headers: Headers::EMPTY, ..Meta::default() },
    ];
    let cx = Context { now: bench.now, snapshot: &bench.snapshot, worker: WorkerId::default(), workers: 1 };
    bench.table.run(&cx, &mut metas, &mut bench.counters);
    assert_eq!(metas[0].verdict, Verdict::Undecided);
    assert_eq!(metas[1].verdict, Verdict::Drop(DropReason::FaultInjected));
    assert_eq!((metas[2].verdict, metas[2].resolved), (Verdict::Undecided, false));
}

/// The same rules without regard for time and memory.
#[derive(Debug, Default)]
struct Model {
    /// In the order of their creation.
    datagrams: Vec<(u32, ModelDatagram)>,
    untracked: u64,
}

#[derive(Debug)]
struct ModelDatagram {
    created: Timestamp,
    poisoned: bool,
    pieces: Vec<(u32, u32)>,
    total: Option<u32>,
}

impl Model {
    fn forget(&mut self, now: Timestamp, limit: usize, timeout: Duration) {
        for _ in 0..limit {
            if self.datagrams.first().is_some_and(|(_, datagram)| now.since(datagram.created) >= timeout) {
                self.datagrams.remove(0);
            }
        }
    }

    fn judge(
        &mut self,
        now: Timestamp,
        f: &Fragment,
        capacity: usize,
        settings: &FragmentSettings,
    ) -> Option<DropReason> {
        self.datagrams.retain(|(id, datagram)| *id != f.id || now.since(datagram.created) < settings.timeout);
        let found = self.datagrams.iter_mut().find(|(id, _)| *id == f.id).map(|(_, datagram)| datagram);
        let piece = (f.offset, f.offset + f.length);
        match (f.kind, found) {
            (FragmentKind::First, Some(datagram)) => {
                datagram.poisoned = true;
                Some(DropReason::FragmentOverlap)
            }
            (FragmentKind::First, None) => {
                if self.datagrams.len() == capacity {
                    self.forget(now, 1, settings.timeout);
                }
                if self.datagrams.len() == capacity {
                    if settings.full == Exception::Drop {
                        return Some(DropReason::FragmentTableFull);
                    }
                    self.untracked += 1;
                    return None;
                }
                let datagram =
                    ModelDatagram { created: now, poisoned: false, pieces: vec![piece], total: None };
                self.datagrams.push((f.id, datagram));
                None
            }
            (_, None) => Some(DropReason::FragmentOrphan),
            (_, Some(datagram)) => {
                let overlaps = datagram.pieces.iter().any(|(start, end)| *start < piece.1 && piece.0 < *end);
                let furthest = datagram.pieces.iter().map(|(_, end)| *end).max().unwrap_or_default();
                let contradicts = datagram.total.is_some_and(|total| piece.1 > total || !f.more)
                    || (!f.more && furthest > piece.1);
                if datagram.poisoned || overlaps || contradicts {
                    datagram.poisoned = true;
                    return Some(DropReason::FragmentOverlap);
                }
                datagram.pieces.push(piece);
                datagram.pieces.sort_unstable();
                let ranges = 1 + datagram.pieces.windows(2).filter(|pair| pair[0].1 != pair[1].0).count();
                if ranges > 24 {
                    datagram.pieces.retain(|other| *other != piece);
                    return Some(DropReason::FragmentGaps);
                }
                datagram.total = datagram.total.or((!f.more).then_some(piece.1));
                let sum: u32 = datagram.pieces.iter().map(|(start, end)| end - start).sum();
                if datagram.total == Some(sum) {
                    self.datagrams.retain(|(id, _)| *id != f.id);
                }
                None
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Fragment { id: u32, unit: u32, units: u32, more: bool },
    Wait(u64),
    Expire(usize),
    Reload { seconds: u64, forward: bool },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let fragment = (0..5_u32, prop_oneof![Just(0_u32), 1..70_u32], 1..3_u32, proptest::bool::weighted(0.9))
        .prop_map(|(id, unit, units, more)| Event::Fragment { id, unit, units, more: more || unit == 0 });
    let event = prop_oneof![
        40 => fragment,
        2 => (0..20_u64).prop_map(Event::Wait),
        2 => (0..3_usize).prop_map(Event::Expire),
        1 => (1..40_u64, any::<bool>()).prop_map(|(seconds, forward)| Event::Reload { seconds, forward }),
    ];
    proptest::collection::vec(event, 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_does_what_the_model_does(events in events(), capacity in 0..4_usize) {
        let mut bench = Bench::new(capacity, Exception::Drop);
        let mut model = Model::default();
        for event in events {
            match event {
                Event::Fragment { id, unit, units, more } => {
                    let headers = fragment(id, unit * 8, units * 8, more);
                    let expected =
                        model.judge(bench.now, &headers.fragment, capacity, &bench.snapshot.fragments);
                    let meta = bench.push(headers);
                    prop_assert_eq!(meta.verdict, expected.map_or(Verdict::Undecided, Verdict::Drop));
                    prop_assert_eq!(meta.resolved, expected.is_none());
                    if expected.is_none() {
                        prop_assert_eq!(meta.headers.destination_port, 53);
                    }
                }
                Event::Wait(seconds) => bench.now = bench.now + Duration::from_secs(seconds),
                Event::Expire(budget) => {
                    bench.expire(budget);
                    model.forget(bench.now, budget, bench.snapshot.fragments.timeout);
                }
                Event::Reload { seconds, forward } => {
                    let full = if forward { Exception::Forward } else { Exception::Drop };
                    let timeout = Duration::from_secs(seconds);
                    bench.snapshot.fragments = FragmentSettings { timeout, full };
                }
            }
            prop_assert_eq!(bench.table.datagrams.len(), model.datagrams.len());
            prop_assert_eq!(bench.counters.fragments_untracked, model.untracked);
        }
    }
}
