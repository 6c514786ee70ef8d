//! The packet path allocates nothing per packet: a counting allocator watches workers whose tables and pools are warm.
//!
//! Promises: any allocation on the worker's thread during thousands of turns fails the test, over every backend that
//! needs no privileges, with expiry, eviction, new flows that rules judge, flows judged again after a change, answers to
//! rejected packets, denied and malformed packets, tunnels and captures going on. Refuses to say anything of the first turns, in which tables and pools grow to what they stay at.

mod common;
#[path = "wireguard/lab.rs"]
mod lab;
mod support;
#[path = "zero_alloc/tunnels.rs"]
mod tunnels;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    io::Read,
    net::Ipv4Addr,
    ops::Range,
    sync::Arc,
};

use common::{Sink, Traffic, another_policy, policy, snapshot, worker};
use etherparse::PacketBuilder;
use ravelin_config::types::{PortRange, Protocol};
use ravelin_dataplane::{
    clock::Timestamp,
    forward::Segment,
    io::{
        PacketIo, PortId,
        fault::FaultIo,
        memory::MemoryIo,
        pcap::{PcapIo, PortMap},
    },
    nat::{Class, Destination, Endpoint, External, NatPlan, Net, Pool, Source},
    policy::{
        AddressSet, Effect, OnChange, Zone, ZoneSet,
        classifier::{Classifier, Key, Patch, Position, ProtocolMatch, Rule, SetId},
    },
    snapshot::Snapshot,
    verdict::DropReason,
    worker::Worker,
};
use support::{Plant, between, router::Test as Router, worker_over};

thread_local! {
    /// Allocations of this thread; the threads of the test harness are none of our business.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread has allocated and not given back.
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

impl Counting {
    fn count() {
        // A thread that is being torn down has no counter left, and no packets either.
        let _torn_down = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
    }

    fn hold(taken: usize, given_back: usize) {
        // No allocation is longer than fits.
        let _torn_down = LIVE.try_with(|live| live.set(live.get() + taken as i64 - given_back as i64));
    }
}

// SAFETY: every method passes its arguments on to the system's allocator unchanged and returns what that returns; the
// counter is a constant-initialised cell without destructor, so counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        Self::hold(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`, which is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count();
        Self::hold(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count();
        Self::hold(size, layout.size());
        // SAFETY: `pointer` came from the system's allocator with this layout, since all of ours do.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::hold(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WARM_UP: u64 = 3_000;
const WATCHED: u64 = 5_000;
/// Turns from one change of policy to the next.
const ROUND: usize = 200;

/// Turns a worker over `io` until it is warm, then watches it. `tick` moves the backend's time.
fn watch<I: PacketIo>(name: &str, io: I, mut tick: impl FnMut(&mut I, Timestamp)) {
    let (mut worker, mut publisher, ring) = worker(io);
    let mut turns = |worker: &mut Worker<I, Sink>, turns: Range<u64>| {
        for number in turns {
            // 100 ms a turn, so that every timeout of every protocol comes up.
            tick(worker.io_mut(), Timestamp::from_micros(number * 100_000));
            worker.turn();
            // In place of the writer.
            while let Some(chunk) = ring.take() {
                ring.give_back(chunk);
            }
        }
    };
    turns(&mut worker, 0..WARM_UP);
    let warm = worker.counters().clone();
    let mut allocations = 0;
    // Every time, the flows that are there are judged again.
    for (policy, first) in
        [another_policy, policy].iter().cycle().zip((WARM_UP..WARM_UP + WATCHED).step_by(ROUND))
    {
        publisher.publish(snapshot(policy()));
        let before = ALLOCATIONS.get();
        turns(&mut worker, first..first + ROUND as u64);
        allocations += ALLOCATIONS.get() - before;
        publisher.reclaim();
    }

    let counters = worker.counters();
    assert_eq!(counters.balance(), Ok(()), "{name}");
    assert!(counters.received > WATCHED, "{name} received {} packets", counters.received);
    assert!(counters.flows_created > warm.flows_created + WATCHED / 10, "{name} judged flows");
    assert!(counters.captured > warm.captured + WATCHED, "{name} captured packets");
    assert_eq!(counters.capture_lost, 0, "{name}");
    assert!(counters.injected > warm.injected, "{name} answered rejected packets");
    for reason in [DropReason::RuleDeny, DropReason::RuleReject, DropReason::FlowCut, DropReason::FlowReset] {
        assert!(counters.drops.count(reason) > warm.drops.count(reason), "{name} dropped by {reason:?}");
    }
    // Frames in memory stay completed; those of a capture are partial each time they come.
    assert!(counters.checksums_completed > 0, "{name} completed no checksum");
    assert_eq!(allocations, 0, "{name} allocated in {WATCHED} turns: {counters:#?}");
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1_u8, 2, 3]));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}

#[test]
fn a_warm_worker_over_memory_allocates_nothing() {
    watch("memory", looping(), MemoryIo::set_time);
}

#[test]
fn a_warm_worker_under_faults_allocates_nothing() {
    // Every byte of the traffic changes sooner or later, so this passes packets of every kind.
    let plan = "drop=0.01,corrupt=0.05,reorder=0.05,stall=0.01,full=0.01,down=0.01,seed=7";
    watch("faults", FaultIo::new(looping(), plan.parse().expect("a plan")), |io, now| {
        io.inner_mut().set_time(now);
    });
}

#[test]
fn a_warm_worker_over_a_capture_allocates_nothing() {
    // The capture brings its own time: a second each time it starts anew.
    watch("capture", endless(1, Traffic::mixed().frames.into_iter().map(|(_, frame)| frame)), |_, _| {});
}

#[test]
fn the_classifier_allocates_nothing() {
    let net = |text: String| Arc::new(AddressSet::of_nets([&text.parse().expect("a net")]));
    let sets = (0..64).map(|n| net(format!("10.{}.0.0/{}", n % 8, 9 + n % 20))).collect();
    let set = |n: u32| if n.is_multiple_of(5) { SetId::ANY } else { SetId(n * 7 % 64) };
    let rules = (0..2_000).map(|n| Rule {
        position: Position(n),
        source: set(n),
        destination: set(n / 3 + 1),
        protocol: ProtocolMatch::Is(Protocol::TCP),
        source_ports: PortRange::new(0, u16::MAX).expect("a range"),
        destination_ports: PortRange::single((n % 300) as u16),
        outcome: n,
    });
    let classifier = Classifier::new(sets, rules.collect());
    let gone = Patch { remove: vec![Position(3)..=Position(900)], ..Patch::default() };
    let patched = classifier.patched(&gone);
    let keys: Vec<Key> = (0..256_u16)
        .map(|n| Key {
            source: [10, (n % 8) as u8, 0, 1].into(),
            destination: [10, (n / 8 % 8) as u8, 0, 1].into(),
            protocol: Protocol::TCP,
            source_port: n,
            destination_port: n,
            zones: Key::NO_ZONES,
        })
        .collect();
    let from = vec![Position::START; keys.len()];
    let mut found = vec![None; keys.len()];
    let before = ALLOCATIONS.get();
    for classifier in [&classifier, &patched] {
        classifier.first_of_batch(&keys, &from, &mut found);
        for (key, found) in keys.iter().zip(&found) {
            assert_eq!(classifier.first(key, Position::START), *found);
        }
        assert!(found.iter().flatten().count() > 100, "nothing was found");
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}

#[test]
fn a_warm_router_that_translates_allocates_nothing() {
    const HOSTS: u8 = 200;
    let gateway = Ipv4Addr::new(10, 1, 0, 1).to_bits();
    let source = Source {
        exits: Segment::of([PortId(1)]),
        sources: vec![Net::new(Ipv4Addr::new(10, 0, 0, 0), 24)],
        destinations: Vec::new(),
        pool: Pool(vec![0]),
    };
    let published = Destination {
        entries: Segment::of([PortId(0), PortId(1)]),
        address: gateway,
        protocol: Some(Protocol::TCP),
        ports: Some(443..=443),
        to: Endpoint { address: Ipv4Addr::new(10, 0, 0, 8).to_bits(), port: 443 },
    };
    let external =
        External { address: gateway, ports: 1024..=u16::MAX, taken: vec![(Class::Tcp, 443..=443)] };
    let plan = NatPlan::new(vec![source], vec![published], vec![external], vec![None; 2]);
    // To somebody outside, and to what is published.
    let ways = (2..HOSTS).flat_map(|host| [(host, [10, 1, 0, 9]), (host, [10, 1, 0, 1])]);
    let frames = ways.flat_map(|(host, destination)| {
        [5000, 5001].map(|port| {
            let mut frame = Vec::new();
            let builder = PacketBuilder::ethernet2([4; 6], [2; 6]).ipv4([10, 0, 0, host], destination, 64);
            let tcp = builder.tcp(port + u16::from(host) * 10, 443, 7, 1000).syn();
            tcp.write(&mut frame, b"").expect("it fits");
            frame
        })
    });
    // All end and begin anew each time, with their mappings.
    let snapshot = Router::translated(plan);
    // A rule about another zone is passed over each time.
    let [inside, outside] = [0, 1].map(|number| Zone::new(number).expect("there are more"));
    let all = || 0..=u16::MAX;
    let lines = [(all(), Effect::Deny, OnChange::Drop), (all(), Effect::Allow, OnChange::Drop)];
    let snapshot = Snapshot {
        forward: snapshot.forward.with_zones(vec![inside, outside]),
        policy: between(support::policy(&lines), 0, [ZoneSet::of([outside]), ZoneSet::ANY]),
        ..snapshot
    };
    let plant = Plant { snapshot, ..Plant::default() };
    let mut worker = worker_over(endless(200, frames), Sink::default(), plant);
    let mut allocations = 0;
    for turn in 0..WARM_UP + WATCHED {
        let before = ALLOCATIONS.get();
        worker.turn();
        if turn >= WARM_UP {
            allocations += ALLOCATIONS.get() - before;
        }
    }
    let counters = worker.counters();
    assert!(counters.nat_mappings_created > WATCHED && counters.nat_translated > WATCHED, "{counters:#?}");
    assert_eq!(allocations, 0, "{counters:#?}");
}

/// A capture of these frames, again and again, so many seconds later each time.
fn endless(step: u32, frames: impl Iterator<Item = Vec<u8>>) -> PcapIo {
    let mut capture = Vec::new();
    for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 65_535, 1_u32] {
        capture.extend(word.to_le_bytes());
    }
    let header = capture.len();
    for frame in frames {
        let length = u32::try_from(frame.len()).expect("a short frame");
        for word in [0, 0, length, length] {
            capture.extend(word.to_le_bytes());
        }
        capture.extend(frame);
    }
    let input = Endless { capture, header, at: 0, second: 0, step };
    let io = PcapIo::from_reader("endless".to_owned(), Box::new(input), PortMap::default());
    io.expect("a capture").write_into("nowhere".to_owned(), Box::new(std::io::sink()))
}

fn looping() -> MemoryIo {
    let mut io = MemoryIo::looping();
    for (port, frame) in Traffic::mixed().frames {
        io.push(Timestamp::ZERO, PortId(port), &frame);
    }
    io
}

/// A capture whose records come again and again, each time some seconds later.
struct Endless {
    capture: Vec<u8>,
    header: usize,
    at: usize,
    second: u32,
    /// Seconds from one time to the next.
    step: u32,
}

impl Endless {
    /// Moves the time of every record.
    fn next_second(&mut self) {
        self.second += self.step;
        let mut at = self.header;
        while at < self.capture.len() {
            self.capture[at..at + 4].copy_from_slice(&self.second.to_le_bytes());
            let length = u32::from_le_bytes(self.capture[at + 8..at + 12].try_into().expect("four bytes"));
            at += 16 + length as usize;
        }
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.capture.len() {
            self.at = self.header;
            self.next_second();
        }
        let bytes = buffer.len().min(self.capture.len() - self.at);
        buffer[..bytes].copy_from_slice(&self.capture[self.at..self.at + bytes]);
        self.at += bytes;
        Ok(bytes)
    }
}
