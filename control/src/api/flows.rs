//! Walks the flow tables of all workers, while they work.

use std::{cmp::Ordering, collections::BinaryHeap, sync::Arc, time::Duration};

use ravelin_dataplane::{
    command::{Command, FlowList},
    flow::FlowRecord,
    handoff::WorkerId,
};
use tokio::time::Instant;

use super::{describe, query::FlowQuery, view::Flows};
use crate::appliance::Appliance;

/// Records that a worker may be ahead of us.
const RING: usize = 4096;
/// How long a worker may take to show the next flow.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait when there is nothing to read.
const PAUSE: Duration = Duration::from_millis(1);

/// Collects the flows that `query` asks for.
pub(super) async fn collect(appliance: &Appliance, query: &FlowQuery) -> Flows {
    let mut chosen = Chosen::new(query);
    let missing = walk(appliance, |record| chosen.offer(record)).await;
    let Chosen { seen, matching, .. } = chosen;
    let flows = chosen.into_sorted().iter().map(|record| describe::flow(appliance, record)).collect();
    Flows { seen, matching, missing, flows }
}

/// Shows every live flow to `take`, and returns the workers that did not answer in time.
pub(super) async fn walk(appliance: &Appliance, mut take: impl FnMut(FlowRecord)) -> Vec<u8> {
    let _turn = appliance.listing.lock().await;
    let mut missing = Vec::new();
    let mut open = Vec::new();
    for member in appliance.roster.members() {
        let list = Arc::new(FlowList::new(RING));
        if appliance.roster.ask(member, Command::ListFlows(Arc::clone(&list))) {
            open.push(Walk { worker: member.id, list, heard: Instant::now() });
        } else {
            missing.push(member.id.0);
        }
    }
    while !open.is_empty() {
        let mut read = 0;
        open.retain_mut(|walk| {
            let before = read;
            // One ring at a time, so that no worker waits for us while we read another's.
            for record in std::iter::from_fn(|| walk.list.pop()).take(RING) {
                take(record);
                read += 1;
            }
            if read > before {
                walk.heard = Instant::now();
            }
            if walk.list.is_drained() {
                return false;
            }
            if walk.heard.elapsed() < PATIENCE {
                return true;
            }
            missing.push(walk.worker.0);
            false
        });
        if read == 0 && !open.is_empty() {
            tokio::time::sleep(PAUSE).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
    missing.sort_unstable();
    missing
}

/// A worker's walk over its table.
struct Walk {
    worker: WorkerId,
    list: Arc<FlowList>,
    heard: Instant,
}

/// The flows to show: the first, or those of the highest rank.
struct Chosen<'q> {
    query: &'q FlowQuery,
    seen: u64,
    matching: u64,
    heap: BinaryHeap<Ranked>,
}

impl<'q> Chosen<'q> {
    fn new(query: &'q FlowQuery) -> Self {
        Self { query, seen: 0, matching: 0, heap: BinaryHeap::new() }
    }

    fn offer(&mut self, record: FlowRecord) {
        self.seen += 1;
        if !self.query.matches(&record) {
            return;
        }
        self.matching += 1;
        self.heap.push(Ranked { rank: self.query.rank(&record), order: self.matching, record });
        if self.heap.len() > self.query.limit {
            self.heap.pop();
        }
    }

    fn into_sorted(self) -> Vec<FlowRecord> {
        self.heap.into_sorted_vec().into_iter().map(|ranked| ranked.record).collect()
    }
}

/// Sorts the highest rank first, and what came first first among equals.
struct Ranked {
    rank: u64,
    order: u64,
    record: FlowRecord,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        other.rank.cmp(&self.rank).then(self.order.cmp(&other.order))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}
