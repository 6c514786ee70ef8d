//! Counters: plain integers on the worker, published once per batch, read by the control thread.
//!
//! A counter is declared once, in the table below; the declaration yields the field, the metric, the line in
//! `docs/counters.md` and the row that `ravelin show counters` prints. The worker adds to [`WorkerCounters`]; at the end of a
//! batch it stores them to a [`CounterBlock`], which a reader copies without ever making the worker wait.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crossbeam::utils::CachePadded;

use crate::verdict::DropReason;

macro_rules! counters {
    ($($kind:ident $field:ident $unit:literal $help:literal,)+) => {
        /// One worker's counters. All count from the start of the process.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct WorkerCounters {
            $(#[doc = $help] pub $field: u64,)+
            /// Packets dropped, by [`DropReason::index`].
            pub drops: DropCounters,
            /// Per port, by [`crate::io::PortId`].
            pub ports: Vec<PortCounters>,
        }

        /// What each counter means, in the order of declaration.
        pub const COUNTERS: &[CounterInfo] =
            &[$(CounterInfo { name: stringify!($field), kind: CounterKind::$kind, unit: $unit, help: $help },)+];

        impl WorkerCounters {
            const SCALARS: usize = COUNTERS.len();

            /// The counters' values, in the order of [`COUNTERS`].
            pub fn values(&self) -> [u64; Self::SCALARS] {
                [$(self.$field,)+]
            }

            fn assign(&mut self, values: &mut impl Iterator<Item = u64>) {
                $(self.$field = values.next().unwrap_or_default();)+
            }
        }
    };
}

counters! {
    Counter received "packets" "Packets received from interfaces.",
    Counter injected "packets" "Packets that the appliance made itself: answers to rejected packets, resets of connections that a change of policy cut, and what comes out of tunnels and goes into them.",
    Counter received_bytes "bytes" "Bytes received from interfaces, whole frames.",
    Counter handed_in "packets" "Packets received from other workers.",
    Counter forwarded "packets" "Packets queued to leave through an interface.",
    Counter forwarded_bytes "bytes" "Bytes queued to leave through an interface, whole frames.",
    Counter handed_off "packets" "Packets given to the worker that owns their flow.",
    Counter consumed "packets" "Packets taken by the appliance itself, such as those received by monitor interfaces.",
    Counter local "packets" "Packets given to the kernel that the appliance runs on: for its own addresses, and those that it forwards in the workers' place.",
    Counter exceptions_expired "packets" "Packets that have no hop left: the kernel tells the sender, or, behind address translation, the worker.",
    Counter exceptions_too_long "packets" "Packets that are longer than the next hop takes: the kernel makes fragments of them, or tells the sender, or, behind address translation, the worker does.",
    Counter exceptions_neighbour "packets" "Packets given to the kernel because the hardware address of the next hop is not known: it finds out.",
    Counter exceptions_route "packets" "Packets given to the kernel because the route leads through an interface that is not ours, refuses them, or is not there.",
    Counter exceptions_other "packets" "Packets given to the kernel because they are of a rare kind: with a VLAN tag, IPv4 options or addresses of one link.",
    Gauge nat_mappings "mappings" "Inside addresses and ports that are known as others outside, now.",
    Counter nat_mappings_created "mappings" "Such mappings that were made.",
    Counter nat_translated "packets" "Packets whose addresses were translated.",
    Counter wireguard_opened "packets" "Packets that came out of tunnels: each counts as injected, and the message that it came in as consumed.",
    Counter wireguard_sealed "packets" "Packets that left through tunnels: each counts as forwarded, and the message that it leaves in as injected.",
    Gauge wireguard_waiting "packets" "Packets that wait for a session with their peer, now: they count as consumed, and as injected when they go on.",
    Counter wireguard_handshakes "messages" "Handshake messages that were authentic and have been answered.",
    Counter wireguard_cookies_sent "messages" "Cookies sent to those who began handshakes while there were many.",
    Counter wireguard_through_kernel "messages" "Messages of tunnels that the kernel sent, because workers did not know the way.",
    Counter mss_clamped "packets" "TCP packets that open a connection, and whose maximum segment size was lowered to what the way takes.",
    Counter batches "batches" "Batches that held at least one packet.",
    Counter idle_turns "turns" "Turns of the worker that found nothing to do.",
    Counter sleeps "sleeps" "Times that the worker slept until something happened.",
    Counter checksums_completed "packets" "Packets of local stacks whose partial checksum was completed.",
    Gauge flows_active "flows" "Flows in the table now.",
    Counter flows_created "flows" "Flows that were opened.",
    Counter flows_expired "flows" "Flows that ended because they were idle for longer than their state allows.",
    Counter flows_evicted "flows" "Flows that were ended early to make room for new ones.",
    Counter flows_reopened "flows" "Flows that ended when the same ports opened a new TCP connection, or the other end an exchange of ICMP.",
    Counter flows_untracked "packets" "Packets that were judged without a flow because the table was full and the configuration says forward.",
    Counter flows_cut "flows" "Flows that were allowed until a change of policy denied them.",
    Counter rejects_silent "packets" "Rejected packets whose sender was not told, because it must not be, because of the limit on answers, or for lack of a frame.",
    Gauge decisions_active "decisions" "Different decisions that policy has made: verdicts with the rules that led to them.",
    Counter decisions_lost "decisions" "Decisions of which only the verdict was kept, because the log of decisions is full.",
    Counter alerts_lost "flows" "Flows with what feeds name that raised no alert because too many others waited for theirs.",
    Counter triggers_lost "flows" "Flows that met a rule with `capture`, or whose verdict changed, and that triggered no capture because too many others waited.",
    Counter capture_offered "packets" "Packets that captures were asked about: as they were received, as they leave, or both.",
    Counter capture_filtered "packets" "Packets that no capture wanted.",
    Counter captured "packets" "Packets copied for captures.",
    Counter capture_lost "packets" "Packets that a capture wanted and that were not copied, because the writer was behind.",
    Counter tcp_picked_up "flows" "TCP flows whose start was not seen.",
    Gauge fragments_active "datagrams" "Fragmented datagrams being tracked now.",
    Counter fragments_untracked "packets" "First fragments that passed untracked because the table was full and the configuration says forward.",
    Counter records_written "records" "Flow records given to the record writer.",
    Counter records_lost "records" "Flow records lost because the ring to the record writer was full.",
    Counter traces_lost "packets" "Traced packets lost because the ring to the reader was full.",
    Counter receive_wakeups "calls" "System calls made to get received packets going.",
    Counter transmit_wakeups "calls" "System calls made to get transmitted packets going.",
    Counter io_errors "calls" "System calls on sockets that failed because an interface is down or gone, or whose packet the kernel refused to send.",
    Counter pool_spills "chunks" "Times that the worker's frame pool gave frames to the shared pool.",
    Counter pool_refills "chunks" "Times that the worker's frame pool took frames from the shared pool.",
    Counter pool_empty "turns" "Turns in which no frame was left to receive into.",
    Counter relay_dropped "packets" "Forwarded packets of other workers dropped by this one because the interface went down before it could send them.",
}

/// Whether a value only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A counter's declaration.
#[derive(Clone, Copy, Debug)]
pub struct CounterInfo {
    /// Name of the field, the row and, between `ravelin_worker_` and the unit, the metric.
    pub name: &'static str,
    /// Whether it only grows.
    pub kind: CounterKind,
    /// What it counts.
    pub unit: &'static str,
    /// One sentence for an operator.
    pub help: &'static str,
}

/// Packets dropped, by reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropCounters([u64; DropReason::COUNT]);

impl Default for DropCounters {
    fn default() -> Self {
        Self([0; DropReason::COUNT])
    }
}

impl DropCounters {
    /// Counts one packet.
    pub fn add(&mut self, reason: DropReason) {
        if let Some(count) = self.0.get_mut(reason.index()) {
            *count += 1;
        }
    }

    /// Packets dropped for `reason`.
    pub fn count(&self, reason: DropReason) -> u64 {
        self.0.get(reason.index()).copied().unwrap_or_default()
    }

    /// Packets dropped for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// One port's counters on one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Packets received.
    pub received: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Packets sent.
    pub sent: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Packets received here and dropped.
    pub dropped: u64,
}

impl PortCounters {
    const FIELDS: usize = 5;

    const fn values(self) -> [u64; Self::FIELDS] {
        [self.received, self.received_bytes, self.sent, self.sent_bytes, self.dropped]
    }
}

impl WorkerCounters {
    /// Counters for `ports` ports.
    pub fn new(ports: usize) -> Self {
        Self { ports: vec![PortCounters::default(); ports], ..Self::default() }
    }

    /// What the kernel did in the place of a worker: packets and bytes, by port, that came in and were dropped there.
    pub fn of_kernel(dropped: &[[u64; 2]]) -> Self {
        let mut counters = Self::new(dropped.len());
        for (port, [packets, bytes]) in counters.ports.iter_mut().zip(dropped) {
            (port.received, port.received_bytes, port.dropped) = (*packets, *bytes, *packets);
            counters.received += packets;
            counters.received_bytes += bytes;
            if let Some(count) = counters.drops.0.get_mut(DropReason::ThreatKernel.index()) {
                *count += packets;
            }
        }
        counters
    }

    /// Checks the conservation law: what came in is what went out, by exactly one disposition each.
    ///
    /// # Errors
    /// Both sums, if they differ.
    pub fn balance(&self) -> Result<(), Imbalance> {
        let taken = self.received + self.injected + self.handed_in;
        let settled = self.forwarded + self.local + self.handed_off + self.consumed + self.drops.total();
        if taken == settled { Ok(()) } else { Err(Imbalance { taken, settled }) }
    }

    /// Adds another worker's counters to these.
    pub fn add(&mut self, other: &Self) {
        let sums: Vec<u64> = self.values().iter().zip(other.values()).map(|(a, b)| a + b).collect();
        self.assign(&mut sums.into_iter());
        for (sum, count) in self.drops.0.iter_mut().zip(other.drops.0) {
            *sum += count;
        }
        self.ports.resize(self.ports.len().max(other.ports.len()), PortCounters::default());
        for (sum, port) in self.ports.iter_mut().zip(&other.ports) {
            sum.received += port.received;
            sum.received_bytes += port.received_bytes;
            sum.sent += port.sent;
            sum.sent_bytes += port.sent_bytes;
            sum.dropped += port.dropped;
        }
    }
}

/// The conservation law does not hold: a packet was lost without a reason, or settled twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{taken} packets were received or handed in, but {settled} were settled")]
pub struct Imbalance {
    /// Packets received and handed in.
    pub taken: u64,
    /// Packets forwarded, given to the kernel, handed off, consumed and dropped.
    pub settled: u64,
}

/// A worker's published counters. One writer, any number of readers; nobody waits for long.
#[derive(Debug)]
pub struct CounterBlock {
    /// Odd while the worker is storing.
    version: CachePadded<AtomicU64>,
    values: Box<[AtomicU64]>,
}

impl CounterBlock {
    /// A block for a worker with `ports` ports.
    pub fn new(ports: usize) -> Self {
        let length = WorkerCounters::SCALARS + DropReason::COUNT + ports * PortCounters::FIELDS;
        Self {
            version: CachePadded::new(AtomicU64::new(0)),
            values: (0..length).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Stores the counters. Called by the worker alone, once per batch.
    pub fn publish(&self, counters: &WorkerCounters) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let ports = counters.ports.iter().flat_map(|port| port.values());
        let values = counters.values().into_iter().chain(counters.drops.0).chain(ports);
        for (cell, value) in self.values.iter().zip(values) {
            cell.store(value, Ordering::Relaxed);
        }
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// A consistent copy of the counters as of some batch.
    pub fn read(&self) -> WorkerCounters {
        loop {
            let before = self.version.load(Ordering::Acquire);
            let mut values = self.values.iter().map(|cell| cell.load(Ordering::Relaxed));
            let mut counters = WorkerCounters::default();
            counters.assign(&mut values);
            for count in &mut counters.drops.0 {
                *count = values.next().unwrap_or_default();
            }
            while let (Some(received), Some(received_bytes), Some(sent), Some(sent_bytes), Some(dropped)) =
                (values.next(), values.next(), values.next(), values.next(), values.next())
            {
                counters.ports.push(PortCounters { received, received_bytes, sent, sent_bytes, dropped });
            }
            drop(values);
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before {
                return counters;
            }
            std::thread::yield_now();
        }
    }

    /// A number that changes whenever the worker publishes: the watchdog's pulse.
    pub fn pulse(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(value: u64) -> WorkerCounters {
        let mut counters = WorkerCounters::new(3);
        counters.assign(&mut std::iter::repeat(value));
        counters.drops.0 = [value; DropReason::COUNT];
        counters.ports = vec![
            PortCounters {
                received: value,
                received_bytes: value,
                sent: value,
                sent_bytes: value,
                dropped: value
            };
            3
        ];
        counters
    }

    #[test]
    fn what_the_kernel_drops_is_balanced_as_if_by_a_worker() {
        let kernel = WorkerCounters::of_kernel(&[[3, 180], [0, 0], [1, 1500]]);
        assert_eq!((kernel.received, kernel.received_bytes, kernel.drops.total()), (4, 1680, 4));
        assert_eq!(kernel.drops.count(DropReason::ThreatKernel), 4);
        assert_eq!((kernel.ports[2].received, kernel.ports[2].dropped), (1, 1));
        assert_eq!(kernel.balance(), Ok(()));
    }

    #[test]
    fn names_are_unique_and_helps_are_sentences() {
        let names: std::collections::HashSet<_> = COUNTERS.iter().map(|counter| counter.name).collect();
        assert_eq!(names.len(), COUNTERS.len());
        assert!(COUNTERS.iter().all(|counter| counter.help.ends_with('.')));
    }

    #[test]
    fn what_is_published_is_read() {
        let block = CounterBlock::new(3);
        assert_eq!(block.read(), WorkerCounters::new(3));
        block.publish(&filled(7));
        assert_eq!(block.read(), filled(7));
        let mut sum = filled(7);
        sum.add(&filled(5));
        assert_eq!(sum, filled(12));
    }

    #[test]
    fn a_reader_never_sees_half_of_a_publication() {
        let block = CounterBlock::new(3);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for value in 0..20_000 {
                    block.publish(&filled(value));
                }
            });
            loop {
                let seen = block.read();
                assert_eq!(seen, filled(seen.received));
                if seen.received == 19_999 {
                    break;
                }
            }
        });
    }

    #[test]
    fn the_conservation_law_notices_a_lost_packet() {
        let mut counters = WorkerCounters::new(1);
        counters.received = 3;
        counters.handed_in = 1;
        counters.forwarded = 2;
        counters.drops.add(DropReason::RuleDeny);
        assert_eq!(counters.balance(), Err(Imbalance { taken: 4, settled: 3 }));
        counters.consumed = 1;
        assert_eq!(counters.balance(), Ok(()));
    }
}
