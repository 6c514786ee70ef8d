//! Faults on purpose, over any backend: lost, corrupted and reordered packets, turns that receive nothing, rings that are
//! full and interfaces that are down.
//!
//! Promises: the same [`FaultPlan`] over the same packets injects the same faults; every fault is counted
//! ([`FaultCounts`]); no packet is swallowed. A packet that is to be lost comes with the verdict
//! [`DropReason::FaultInjected`] and so has its disposition like any other; the stages leave alone what is decided.
//!
//! Refuses to duplicate packets, since frames cannot be copied, and to delay them beyond their batch.

mod plan;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use plan::{FaultPlan, FaultPlanError, Rate};

use super::{Frame, IoCounters, PacketIo, PortId, TransmitError};
use crate::{
    batch::Batch,
    clock::Timestamp,
    verdict::{DropReason, Verdict},
    wake::Waker,
};

/// How many faults were injected, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Packets dropped.
    pub dropped: u64,
    /// Packets in which a byte was changed.
    pub corrupted: u64,
    /// Pairs of packets that changed places.
    pub reordered: u64,
    /// Turns that received nothing.
    pub stalled: u64,
    /// Packets refused because the ring was full, as was pretended.
    pub full: u64,
    /// Packets refused because the interface was down, as was pretended.
    pub down: u64,
}

/// A backend with faults.
#[derive(Debug)]
pub struct FaultIo<I> {
    inner: I,
    plan: FaultPlan,
    random: Random,
    counts: FaultCounts,
}

impl<I: PacketIo> FaultIo<I> {
    /// Injects the faults of `plan` into `inner`.
    pub fn new(inner: I, plan: FaultPlan) -> Self {
        Self { inner, plan, random: Random(plan.seed), counts: FaultCounts::default() }
    }

    /// The backend beneath.
    pub fn inner(&self) -> &I {
        &self.inner
    }

    /// The backend beneath.
    pub fn inner_mut(&mut self) -> &mut I {
        &mut self.inner
    }

    /// What was injected so far.
    pub fn counts(&self) -> FaultCounts {
        self.counts
    }

    /// Exchanges packets with their neighbours. Times stay in place: the later packet came first.
    fn reorder(&mut self, batch: &mut Batch<I::Frame>, start: usize) {
        let mut packets = batch.iter_mut().skip(start);
        while let Some((frame, meta)) = packets.next() {
            if !self.random.hits(self.plan.reorder) {
                continue;
            }
            let Some((next_frame, next_meta)) = packets.next() else { break };
            std::mem::swap(frame, next_frame);
            std::mem::swap(meta, next_meta);
            std::mem::swap(&mut meta.time, &mut next_meta.time);
            self.counts.reordered += 1;
        }
    }
}

impl<I: PacketIo> PacketIo for FaultIo<I> {
    type Frame = I::Frame;

    fn now(&mut self) -> Timestamp {
        self.inner.now()
    }

    fn receive(&mut self, now: Timestamp, batch: &mut Batch<I::Frame>) -> usize {
        if self.random.hits(self.plan.stall) {
            self.counts.stalled += 1;
            return 0;
        }
        let start = batch.len();
        let received = self.inner.receive(now, batch);
        if self.plan.reorder > Rate::NEVER {
            self.reorder(batch, start);
        }
        for (frame, meta) in batch.iter_mut().skip(start) {
            if self.random.hits(self.plan.corrupt) && self.random.corrupt(frame.bytes_mut()) {
                self.counts.corrupted += 1;
            }
            if self.random.hits(self.plan.drop) {
                meta.verdict = Verdict::Drop(DropReason::FaultInjected);
                self.counts.dropped += 1;
            }
        }
        received
    }

    fn transmit(&mut self, port: PortId, frame: I::Frame) -> Result<(), (TransmitError, I::Frame)> {
        if self.random.hits(self.plan.full) {
            self.counts.full += 1;
            return Err((TransmitError::Full, frame));
        }
        if self.random.hits(self.plan.down) {
            self.counts.down += 1;
            return Err((TransmitError::Down, frame));
        }
        self.inner.transmit(port, frame)
    }

    fn compose(&mut self, bytes: &[u8]) -> Option<I::Frame> {
        self.inner.compose(bytes)
    }

    fn release(&mut self, frame: I::Frame) {
        self.inner.release(frame);
    }

    fn flush(&mut self) {
        self.inner.flush();
    }

    fn wait(&mut self, waker: &Waker, timeout: Duration) {
        self.inner.wait(waker, timeout);
    }

    fn is_exhausted(&self) -> bool {
        self.inner.is_exhausted()
    }

    fn counters(&self) -> IoCounters {
        self.inner.counters()
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): plenty for faults, and repeatable.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn hits(&mut self, rate: Rate) -> bool {
        /// 53 bits: what a float holds exactly.
        const RANGE: f64 = (1_u64 << 53) as f64;
        rate > Rate::NEVER && ((self.next() >> 11) as f64) < rate.probability() * RANGE
    }

    /// Changes one byte; `false` if there is none.
    fn corrupt(&mut self, bytes: &mut [u8]) -> bool {
        let [change, ..] = self.next().to_le_bytes();
        let place = self.next() % (bytes.len() as u64).max(1);
        let Some(byte) = usize::try_from(place).ok().and_then(|place| bytes.get_mut(place)) else {
            return false;
        };
        *byte ^= change.max(1);
        true
    }
}
