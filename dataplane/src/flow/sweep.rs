//! How flows end without a packet of their own: expiry, eviction, shutdown.
//!
//! Expiry is a sweep over the index once a second. Each place there says in which second its flow has to be looked at; a
//! flow that has been active since is given a later second, so packets do not have to touch the index. The sweep of a
//! second ends what is overdue at its beginning, in the order of the index; so what ends, and in which order, does not
//! depend on how packets were batched, as long as every sweep is complete before the next packet is looked at.

use std::sync::Arc;

use super::{
    EndReason, Evict, FlowKey, FlowTable, RecordSink, Slot,
    ahead::Oldest,
    entry::micros,
    index::{Index, Place, Seconds},
    phase::Limits,
    table::Ledger,
};
use crate::{clock::Timestamp, counters::WorkerCounters, pipeline::Context, prefetch};

const SECOND: u64 = 1_000_000;

/// What the table knows of time. Seconds count from the epoch.
#[derive(Debug, Default)]
pub(super) struct Sweeper {
    /// The second whose sweep is complete.
    swept: u64,
    sweep: Option<Sweep>,
    /// The next sweep has to look at every flow, since the index may be wrong about them.
    stale: bool,
    /// Where the search for a victim goes on.
    hand: usize,
    /// When a search last found none, in microseconds.
    found_none: Option<u64>,
    /// Buckets that [`FlowTable::drain`] has emptied.
    drained: usize,
}

/// A sweep under way.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    second: u64,
    /// Look at every flow, not only at those that are due.
    all: bool,
    /// The seconds whose flows are due.
    seconds: Seconds,
    bucket: usize,
    /// Whether the group of `bucket` is known to hold flows that may be due.
    in_group: bool,
    /// Lanes of `bucket` that have been looked at.
    done: u32,
}

impl Sweeper {
    /// How far ahead the index can say that a flow is due. A later second is reached in steps.
    const HORIZON: u64 = 127;
    /// Time that goes back by less than this is waited out; by more, it is another capture.
    const JITTER: u64 = 60;

    /// What the index keeps for a flow that may be idle until `deadline` (microseconds).
    pub(super) fn due(&self, deadline: u64) -> u8 {
        let now = self.now();
        low_byte((deadline / SECOND + 1).clamp(now + 1, now + Self::HORIZON))
    }

    /// The same, but not later than `due`, which the index has.
    pub(super) fn sooner(&self, due: u8, deadline: u64) -> u8 {
        let now = low_byte(self.now());
        let new = self.due(deadline);
        if new.wrapping_sub(now) < due.wrapping_sub(now) { new } else { due }
    }

    /// The second up to which flows have been, or are being, looked at.
    fn now(&self) -> u64 {
        self.sweep.map_or(self.swept, |sweep| sweep.second)
    }

    /// The sweep to go on with at second `second`, if one is due.
    fn begin(&mut self, second: u64, is_empty: bool) -> Option<Sweep> {
        if self.sweep.is_some() {
            return self.sweep.take();
        }
        if second + Self::JITTER < self.swept {
            self.swept = second;
            self.stale = true;
        }
        if second <= self.swept {
            return None;
        }
        if is_empty {
            self.swept = second;
            self.stale = false;
            return None;
        }
        let all = std::mem::take(&mut self.stale) || second - self.swept > Self::HORIZON;
        let seconds = if all { Seconds::ALL } else { Seconds::until(low_byte(second)) };
        Some(Sweep { second, all, seconds, bucket: 0, in_group: false, done: 0 })
    }
}

impl FlowTable {
    /// Buckets passed over in a sweep for each flow of the budget: 16 lines, or about as long as it takes to end one flow.
    const BUCKETS_PER_FLOW: usize = 16;
    /// How far a search for a victim goes: buckets passed over, and entries looked at.
    const SEARCH_BUCKETS: usize = 16;
    const SEARCH_ENTRIES: usize = 16;
    /// No flow is evicted sooner than this after its last packet: long enough for a handshake. It also makes eviction
    /// independent of batches, since a capture's batches end with the second.
    const GRACE: u64 = SECOND;
    /// After a search that found no victim, how long the next one waits: in a flood, there is none for most packets.
    const PAUSE: u64 = SECOND / 1000;
    /// How many buckets ahead entries are fetched.
    const AHEAD: usize = 8;

    /// Ends idle flows; looks at `budget` of them at most, and returns whether more are due. What is due is settled by the
    /// whole seconds of `cx.now`: a second call within a second finds nothing new.
    pub fn expire(
        &mut self,
        cx: &Context<'_>,
        budget: usize,
        records: &mut impl RecordSink,
        counters: &mut WorkerCounters,
    ) -> bool {
        self.refresh_limits(cx);
        let second = cx.now.as_secs();
        let Some(mut sweep) = self.sweeper.begin(second, self.is_empty()) else { return false };
        let log = Arc::clone(self.decisions.log());
        let mut ledger = Ledger { records, counters, log: &log };
        let budget = budget.max(1);
        let (mut looked_at, mut passed) = (0, 0);
        // Flows that are re-armed now are not due in this sweep.
        self.sweeper.sweep = Some(sweep);
        while sweep.bucket < self.index.buckets()
            && looked_at < budget
            && passed < budget * Self::BUCKETS_PER_FLOW
        {
            passed += 1;
            if !sweep.in_group {
                let group = sweep.bucket / Index::GROUP;
                sweep.in_group = self.index.take_due(group, sweep.seconds);
                if !sweep.in_group {
                    sweep.bucket = (group + 1) * Index::GROUP;
                    continue;
                }
            }
            self.fetch_ahead(sweep);
            let mut lanes = self.lanes_of(sweep, sweep.bucket) & !sweep.done;
            while let Some(place) = self.index.place(sweep.bucket, lanes) {
                if looked_at == budget {
                    break;
                }
                looked_at += 1;
                sweep.done |= 1 << place.lane;
                lanes &= lanes - 1;
                self.look_at(place, sweep.second * SECOND, &mut ledger);
            }
            if lanes == 0 {
                sweep.bucket += 1;
                sweep.done = 0;
                sweep.in_group = !sweep.bucket.is_multiple_of(Index::GROUP);
            }
        }
        counters.flows_active = self.flows as u64;
        if sweep.bucket < self.index.buckets() {
            self.sweeper.sweep = Some(sweep);
            return true;
        }
        self.sweeper.sweep = None;
        self.sweeper.swept = sweep.second;
        second > sweep.second
    }

    /// Ends flows whatever their state, at most `budget` of them; returns whether more are left.
    pub fn drain(
        &mut self,
        now: Timestamp,
        reason: EndReason,
        budget: usize,
        records: &mut impl RecordSink,
        counters: &mut WorkerCounters,
    ) -> bool {
        let now = micros(now);
        let log = Arc::clone(self.decisions.log());
        let mut ledger = Ledger { records, counters, log: &log };
        let mut left = budget.max(1);
        while !self.is_empty() && left > 0 {
            let bucket = self.sweeper.drained;
            if bucket.is_multiple_of(Index::GROUP) && !self.index.holds_flows(bucket / Index::GROUP) {
                self.sweeper.drained = self.next_bucket(bucket + Index::GROUP - 1);
                continue;
            }
            let mut lanes = self.index.used(bucket);
            while let Some(place) = self.index.place(bucket, lanes).filter(|_| left > 0) {
                let last = self.entries.get(place.slot as usize).map_or(now, |entry| entry.last());
                self.end(place, now.max(last), reason, &mut ledger);
                left -= 1;
                lanes &= lanes - 1;
            }
            if lanes == 0 {
                self.sweeper.drained = self.next_bucket(bucket);
            }
        }
        if self.is_empty() {
            self.sweeper.drained = 0;
        }
        counters.flows_active = self.flows as u64;
        !self.is_empty()
    }

    /// Takes over the timeouts in force. New ones bite flows that are idle already.
    pub(super) fn refresh_limits(&mut self, cx: &Context<'_>) {
        let timeouts = &cx.snapshot.flow.timeouts;
        if !self.limits.are(timeouts) {
            self.limits = Limits::new(timeouts);
            self.sweeper.stale = true;
        }
    }

    /// Makes room for one flow, if a bounded search finds one that may go.
    pub(super) fn evict<R: RecordSink>(
        &mut self,
        cx: &Context<'_>,
        time: u64,
        oldest: Oldest,
        ledger: &mut Ledger<'_, R>,
    ) -> bool {
        if self.sweeper.found_none.is_some_and(|then| time.abs_diff(then) < Self::PAUSE) {
            return false;
        }
        let mut entries = Self::SEARCH_ENTRIES;
        for _ in 0..Self::SEARCH_BUCKETS {
            let bucket = self.sweeper.hand;
            if self.evict_one(bucket, cx, time, oldest, &mut entries, ledger) {
                self.sweeper.found_none = None;
                return true;
            }
            self.sweeper.hand = self.next_bucket(bucket);
            if entries == 0 {
                break;
            }
        }
        self.sweeper.found_none = Some(time);
        false
    }

    /// Makes room in one of two buckets that are both full, if one of their flows may go.
    pub(super) fn evict_from<R: RecordSink>(
        &mut self,
        buckets: [usize; 2],
        cx: &Context<'_>,
        time: u64,
        oldest: Oldest,
        ledger: &mut Ledger<'_, R>,
    ) -> bool {
        let mut entries = usize::MAX;
        buckets.into_iter().any(|bucket| self.evict_one(bucket, cx, time, oldest, &mut entries, ledger))
    }

    /// Evicts the first flow of a bucket that may go; looks at `entries` at most.
    fn evict_one<R: RecordSink>(
        &mut self,
        bucket: usize,
        cx: &Context<'_>,
        time: u64,
        oldest: Oldest,
        entries: &mut usize,
        ledger: &mut Ledger<'_, R>,
    ) -> bool {
        let weak = match cx.snapshot.flow.evict {
            Evict::Unreplied => self.index.weak(bucket),
            Evict::Expired => 0,
        };
        // What is idle for too long now is due in the next sweep at the latest.
        let mut lanes = weak | self.index.due(bucket, low_byte(self.sweeper.now() + 1));
        while let Some(place) = self.index.place(bucket, lanes) {
            if *entries == 0 {
                return false;
            }
            *entries -= 1;
            let is_weak = weak & (1 << place.lane) != 0;
            if let Some((reason, ended)) = self.may_go(place, is_weak, time, oldest) {
                match reason {
                    EndReason::Timeout => ledger.counters.flows_expired += 1,
                    EndReason::Policy | EndReason::Forced | EndReason::Shutdown | EndReason::Active => {
                        ledger.counters.flows_evicted += 1;
                    }
                }
                self.end(place, ended, reason, ledger);
                // Nobody must find it by a hint that the index gave before.
                if let Some(entry) = self.entries.get_mut(place.slot as usize) {
                    entry.key = FlowKey::NOBODY;
                }
                return true;
            }
            lanes &= lanes - 1;
        }
        false
    }

    /// Why and as of when the flow at `place` may be evicted.
    fn may_go(&self, place: Place, is_weak: bool, time: u64, oldest: Oldest) -> Option<(EndReason, u64)> {
        let entry = self.entries.get(place.slot as usize)?;
        // A packet of this batch may refer to it.
        if entry.last() >= oldest.micros {
            return None;
        }
        let idle = time.saturating_sub(entry.last());
        let limit = self.limits.of(entry.phase);
        if idle > limit {
            return Some((EndReason::Timeout, entry.last().saturating_add(limit)));
        }
        (is_weak && idle >= Self::GRACE).then_some((EndReason::Forced, time))
    }

    fn next_bucket(&self, bucket: usize) -> usize {
        if bucket + 1 < self.index.buckets() { bucket + 1 } else { 0 }
    }

    fn lanes_of(&self, sweep: Sweep, bucket: usize) -> u32 {
        if sweep.all { self.index.used(bucket) } else { self.index.due(bucket, low_byte(sweep.second)) }
    }

    /// Fetches the entries that the sweep will look at a little later.
    fn fetch_ahead(&self, sweep: Sweep) {
        let bucket = sweep.bucket + Self::AHEAD;
        let mut lanes = self.lanes_of(sweep, bucket);
        while let Some(place) = self.index.place(bucket, lanes) {
            if let Some(entry) = self.entries.get(place.slot as usize) {
                prefetch::fetch(entry);
            }
            lanes &= lanes - 1;
        }
    }

    /// Ends the flow at `place` if it is idle for too long at `now`; else says when to look again.
    fn look_at<R: RecordSink>(&mut self, place: Place, now: u64, ledger: &mut Ledger<'_, R>) {
        let Some(entry) = self.entries.get(place.slot as usize) else { return };
        let limit = self.limits.of(entry.phase);
        let deadline = entry.last().saturating_add(limit);
        if now.saturating_sub(entry.last()) > limit {
            ledger.counters.flows_expired += 1;
            self.end(place, deadline, EndReason::Timeout, ledger);
        } else {
            self.index.set(place, self.sweeper.due(deadline), entry.is_weak());
        }
    }

    /// Writes the record of the flow at `place` and frees it.
    fn end<R: RecordSink>(
        &mut self,
        place: Place,
        ended: u64,
        reason: EndReason,
        ledger: &mut Ledger<'_, R>,
    ) {
        if let Some(entry) = self.entries.get(place.slot as usize) {
            ledger.write(&self.raw(place.slot, entry, ended, reason));
            self.nat.forget(Slot(place.slot), ended);
            self.index.remove(place);
            self.free.give_back(place.slot);
            self.flows -= 1;
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seconds modulo 256")]
const fn low_byte(second: u64) -> u8 {
    second as u8
}
