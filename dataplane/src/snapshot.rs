//! The compiled configuration as the packet path sees it, and its publication.
//!
//! A [`Snapshot`] is immutable. The control thread publishes a new one under the next generation; each worker compares
//! generations once per batch (one load) and takes the lock only when they differ. A replaced snapshot is dropped on
//! the control thread, after every worker has moved on ([`Publisher::reclaim`]).

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crossbeam::utils::CachePadded;
use parking_lot::Mutex;

use crate::{capture, flow, forward, handoff::WorkerId, nat, parse, policy, route, wireguard};

/// Everything that can change while packets flow.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Number of this snapshot; the first published is 1. Set by [`Publisher::publish`].
    pub generation: u32,
    /// What is done with fragments.
    pub fragments: parse::FragmentSettings,
    /// How connections are tracked.
    pub flow: flow::FlowSettings,
    /// Who may talk to whom.
    pub policy: policy::PolicySet,
    /// What is captured.
    pub capture: capture::CapturePlan,
    /// Where packets go.
    pub forward: forward::Plan,
    /// Where routed packets go.
    pub routes: route::Routes,
    /// Under which addresses they do. The same one for as long as nothing of it changes.
    pub nat: Arc<nat::NatPlan>,
    /// Tunnels that end here. The same one for as long as nothing of it changes.
    pub wireguard: Arc<wireguard::Plan>,
    /// What alone has changed, if it is no more than the addresses that sets and feeds hold. Set by [`Publisher::publish_change`].
    pub change: Option<AddressChange>,
}

/// A change of nothing but which addresses sets and feeds hold: what was decided about other addresses since still holds.
#[derive(Clone, Debug)]
pub struct AddressChange {
    /// The generation before the first change.
    pub since: u32,
    /// Addresses that have joined or left anything.
    pub addresses: Arc<policy::AddressSet>,
}

impl Snapshot {
    /// Whether what was decided under `generation` about a flow between two addresses may be decided otherwise now.
    pub(crate) fn concerns(&self, generation: u32, ends: [IpAddr; 2]) -> bool {
        let change =
            self.change.as_ref().filter(|change| change.since <= generation && generation < self.generation);
        change.is_none_or(|change| ends.into_iter().any(|end| change.addresses.contains(end)))
    }
}

#[derive(Debug)]
struct Shared {
    current: Mutex<Arc<Snapshot>>,
    generation: AtomicU32,
    seen: Box<[CachePadded<AtomicU32>]>,
}

/// The control thread's end: publishes snapshots and drops those that no worker holds any more.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    retired: Vec<Arc<Snapshot>>,
}

impl Publisher {
    /// The last generation, behind which they start from 1 again: a flow keeps 24 bits of it. A thousand changes a second reach
    /// that in four hours and a half; by then a flow that was not looked at since has long timed out.
    const LAST: u32 = (1 << 24) - 1;
    /// Ranges of addresses that changes gather, before what changed earlier is forgotten, and flows from then are judged again.
    const ADDRESSES: usize = 1 << 16;

    /// A publisher for `workers` workers whose first snapshot is `snapshot`, as generation 1.
    pub fn new(mut snapshot: Snapshot, workers: u8) -> Self {
        snapshot.generation = 1;
        let shared = Shared {
            current: Mutex::new(Arc::new(snapshot)),
            generation: AtomicU32::new(1),
            seen: (0..workers).map(|_| CachePadded::new(AtomicU32::new(0))).collect(),
        };
        Self { shared: Arc::new(shared), retired: Vec::new() }
    }

    /// A reader for one worker.
    pub fn reader(&self, worker: WorkerId) -> Reader {
        let held = Arc::clone(&self.shared.current.lock());
        let reader = Reader { shared: Arc::clone(&self.shared), held, worker };
        reader.acknowledge();
        reader
    }

    /// Publishes `snapshot`, which differs from the current one only for flows from or to `addresses`, and returns its generation.
    pub fn publish_change(&mut self, snapshot: Snapshot, addresses: &policy::AddressSet) -> u32 {
        let current = self.current();
        let earlier = current.change.as_ref().filter(|earlier| earlier.addresses.ranges() <= Self::ADDRESSES);
        let change = match earlier {
            Some(earlier) => AddressChange {
                since: earlier.since,
                addresses: Arc::new(policy::AddressSet::union_of([&*earlier.addresses, addresses])),
            },
            None => AddressChange { since: current.generation, addresses: Arc::new(addresses.clone()) },
        };
        self.put(Snapshot { change: Some(change), ..snapshot })
    }

    /// Publishes `snapshot` under the next generation, and returns that.
    pub fn publish(&mut self, snapshot: Snapshot) -> u32 {
        self.put(Snapshot { change: None, ..snapshot })
    }

    fn put(&mut self, mut snapshot: Snapshot) -> u32 {
        let generation = ((self.generation() + 1) & Self::LAST).max(1);
        snapshot.generation = generation;
        let replaced = std::mem::replace(&mut *self.shared.current.lock(), Arc::new(snapshot));
        self.shared.generation.store(generation, Ordering::Release);
        self.retired.push(replaced);
        generation
    }

    /// The generation published last.
    pub fn generation(&self) -> u32 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// The snapshot published last.
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shared.current.lock())
    }

    /// The workers that still run on an older generation than the one published last.
    pub fn behind(&self) -> impl Iterator<Item = WorkerId> + '_ {
        let generation = self.generation();
        self.shared.seen.iter().zip(0..).filter_map(move |(seen, worker)| {
            (seen.load(Ordering::Acquire) != generation).then_some(WorkerId(worker))
        })
    }

    /// Drops replaced snapshots once every worker runs on the newest, and says how many are still kept.
    pub fn reclaim(&mut self) -> usize {
        if self.behind().next().is_none() {
            self.retired.clear();
        }
        self.retired.len()
    }
}

/// A worker's end.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    held: Arc<Snapshot>,
    worker: WorkerId,
}

impl Reader {
    /// Moves on to the newest snapshot if there is a newer one than the one held. Once per batch.
    pub fn observe(&mut self) {
        if self.shared.generation.load(Ordering::Acquire) != self.held.generation {
            // The publisher's `retired` still holds the old snapshot, so nothing is freed here.
            self.held = Arc::clone(&self.shared.current.lock());
            self.acknowledge();
        }
    }

    /// The snapshot held.
    pub fn snapshot(&self) -> &Snapshot {
        &self.held
    }

    fn acknowledge(&self) {
        if let Some(seen) = self.shared.seen.get(self.worker.index()) {
            seen.store(self.held.generation, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_move_on_when_they_look_and_retired_snapshots_wait_for_them() {
        let mut publisher = Publisher::new(Snapshot::default(), 2);
        let mut first = publisher.reader(WorkerId(0));
        let mut second = publisher.reader(WorkerId(1));
        assert_eq!(publisher.behind().count(), 0);

        assert_eq!(publisher.publish(Snapshot::default()), 2);
        assert_eq!(first.snapshot().generation, 1, "nothing moves between two looks");
        first.observe();
        assert_eq!(first.snapshot().generation, 2);
        assert_eq!(publisher.behind().collect::<Vec<_>>(), [WorkerId(1)]);
        assert_eq!(publisher.reclaim(), 1, "the second worker still holds generation 1");

        second.observe();
        assert_eq!(publisher.reclaim(), 0);
    }

    #[test]
    fn changes_of_addresses_gather_until_something_else_changes() {
        let set = |text: &str| policy::AddressSet::of_nets([&text.parse().unwrap()]);
        let concerns = |publisher: &Publisher, generation: u32, address: &str| {
            let ends = [address.parse().unwrap(), "192.0.2.1".parse().unwrap()];
            publisher.current().concerns(generation, ends)
        };
        let mut publisher = Publisher::new(Snapshot::default(), 1);
        publisher.publish_change(Snapshot::default(), &set("10.0.0.0/8"));
        publisher.publish_change(Snapshot::default(), &set("2001:db8::/32"));
        for (address, expected) in [("10.1.1.1", true), ("2001:db8::1", true), ("11.1.1.1", false)] {
            assert_eq!(concerns(&publisher, 1, address), expected, "{address}");
            assert_eq!(concerns(&publisher, 2, address), expected, "asked in vain, once");
        }
        publisher.publish(Snapshot::default());
        assert!(concerns(&publisher, 3, "11.1.1.1"), "anything may have changed");
        publisher.publish_change(Snapshot::default(), &set("10.0.0.0/8"));
        assert!(!concerns(&publisher, 4, "11.1.1.1"));
        assert!(concerns(&publisher, 3, "11.1.1.1"), "what was decided before that");
        // Many changes are not kept for ever.
        let many: Vec<_> = (0..=Publisher::ADDRESSES as u32)
            .map(|n| format!("{}/32", std::net::Ipv4Addr::from(n * 2)).parse().unwrap())
            .collect();
        publisher.publish_change(Snapshot::default(), &policy::AddressSet::of_nets(&many));
        publisher.publish_change(Snapshot::default(), &set("10.0.0.0/8"));
        assert!(concerns(&publisher, 4, "11.1.1.1") && !concerns(&publisher, 6, "11.1.1.1"));
    }

    #[test]
    fn generations_start_again_behind_the_last_and_are_never_zero() {
        let mut publisher = Publisher::new(Snapshot::default(), 1);
        let mut reader = publisher.reader(WorkerId(0));
        publisher.shared.generation.store(Publisher::LAST - 2, Ordering::Relaxed);
        let published = [(); 4].map(|()| publisher.publish(Snapshot::default()));
        assert_eq!(published, [Publisher::LAST - 1, Publisher::LAST, 1, 2]);
        assert_eq!(Publisher::LAST, 0xff_ffff);
        reader.observe();
        assert_eq!(reader.snapshot().generation, 2);
        assert_eq!(publisher.reclaim(), 0);
    }

    #[test]
    fn a_worker_never_drops_the_last_reference() {
        let mut publisher = Publisher::new(Snapshot::default(), 1);
        let mut reader = publisher.reader(WorkerId(0));
        let held = Arc::downgrade(&reader.held);
        publisher.publish(Snapshot::default());
        reader.observe();
        assert!(held.upgrade().is_some(), "the publisher keeps it until it reclaims");
        publisher.reclaim();
        assert!(held.upgrade().is_none());
    }

    #[test]
    fn readers_on_other_threads_see_every_publication() {
        let mut publisher = Publisher::new(Snapshot::default(), 2);
        let readers: Vec<_> = [WorkerId(0), WorkerId(1)]
            .map(|worker| publisher.reader(worker))
            .into_iter()
            .map(|mut reader| {
                std::thread::spawn(move || {
                    let mut last = 0;
                    while last < 100 {
                        reader.observe();
                        let generation = reader.snapshot().generation;
                        assert!(generation >= last, "generations only grow");
                        last = generation;
                        std::thread::yield_now();
                    }
                })
            })
            .collect();
        while publisher.publish(Snapshot::default()) < 100 {
            publisher.reclaim();
        }
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(publisher.reclaim(), 0);
    }
}
