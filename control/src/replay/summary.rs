use std::time::Duration;

use ravelin_dataplane::{
    clock::Timestamp,
    counters::WorkerCounters,
    io::fault::FaultCounts,
    verdict::{DropGroup, DropReason},
};
use serde::Serialize;

use super::{ReplayError, captures::Findings};
use crate::alerts::Alert;

/// What a replay found. Times are in seconds, sizes in bytes as on the link.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Packets received from the captures.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Time of the earliest packet, in seconds since the Unix epoch.
    pub first: Option<f64>,
    /// From the earliest packet to the latest.
    pub duration: f64,
    /// Packets made here: answers to rejected packets.
    pub injected: u64,
    /// Packets that were forwarded, those made here included.
    pub forwarded: u64,
    /// Packets that ended here, as those of monitor interfaces do.
    pub consumed: u64,
    /// Packets that were dropped, by reason, the most frequent first.
    pub drops: Vec<Drops>,
    /// Packets that were dropped because a header cannot be parsed.
    pub malformed: u64,
    /// Flows, by verdict.
    pub flows: FlowsByVerdict,
    /// What feeds name that endpoints talked to, in the order of time; the last ten thousand.
    pub alerts: Vec<Alert>,
    /// How many alerts there were before those.
    pub alerts_forgotten: u64,
    /// Packets that were judged without a flow because the table was full.
    pub untracked: u64,
    /// Flow records written; `None` if none were wanted.
    pub records: Option<u64>,
    /// Packets that the filter has selected and that were written; `None` if none were wanted.
    #[serde(rename = "packets_selected")]
    pub selected: Option<u64>,
    /// Packets written to a capture of what was forwarded.
    #[serde(rename = "packets_written")]
    pub written: u64,
    /// Packets of which only a part was captured.
    pub cut: u64,
    /// Packets whose IPv4 header was completed, as the network card of the machine that captured them would have.
    pub completed: u64,
    /// Packets too long to be looked at as a whole.
    pub oversized: u64,
    /// Packets that came later in the file than in time.
    pub out_of_order: u64,
    /// Packets left out because their interface is of a kind that is not understood.
    pub unsupported: u64,
    /// Captures that end inside a packet.
    pub truncated: Vec<Truncated>,
    /// Faults injected, by kind.
    pub faults: Option<Faults>,
    /// How long the replay took.
    pub elapsed: f64,
    /// Packets in a second of that.
    pub packets_per_second: f64,
    /// What ended the replay, or the capture of what was forwarded, early.
    #[serde(serialize_with = "failure")]
    pub failure: Option<ReplayError>,
}

/// Flows by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FlowsByVerdict {
    /// Flows that were let pass.
    pub allow: u64,
    /// Flows that were denied.
    pub deny: u64,
}

/// Packets dropped for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Drops {
    /// The reason's name.
    pub reason: &'static str,
    /// How many.
    pub packets: u64,
    /// What the reason means.
    pub help: &'static str,
}

/// A capture that ends inside a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Truncated {
    /// The capture.
    pub file: String,
    /// Where the record starts that is not complete.
    pub offset: u64,
}

/// Faults injected, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Packets dropped.
    pub dropped: u64,
    /// Packets in which a byte was changed.
    pub corrupted: u64,
    /// Pairs of packets that changed places.
    pub reordered: u64,
    /// Turns that received nothing.
    pub stalled: u64,
    /// Packets refused as if a ring were full.
    pub full: u64,
    /// Packets refused as if an interface were down.
    pub down: u64,
}

impl Summary {
    pub(super) fn new(
        counters: &WorkerCounters,
        captured: &Findings,
        (flows, (alerts, alerts_forgotten)): (FlowsByVerdict, (Vec<Alert>, u64)),
        faults: Option<FaultCounts>,
        elapsed: Duration,
    ) -> Self {
        let found = captured.summary;
        let mut drops: Vec<_> = DropReason::ALL
            .iter()
            .map(|reason| Drops {
                reason: reason.name(),
                packets: counters.drops.count(*reason),
                help: reason.help(),
            })
            .filter(|drops| drops.packets > 0)
            .collect();
        drops.sort_by_key(|drops| std::cmp::Reverse(drops.packets));
        let malformed = DropReason::ALL.iter().filter(|reason| reason.group() == DropGroup::Decode);
        let elapsed = elapsed.as_secs_f64();
        let (first, last) = (found.first.unwrap_or_default(), found.last.unwrap_or_default());
        Self {
            packets: found.packets,
            bytes: found.bytes,
            first: found.first.map(|first| first.since(Timestamp::ZERO).as_secs_f64()),
            duration: last.since(first).as_secs_f64(),
            injected: counters.injected,
            forwarded: counters.forwarded,
            consumed: counters.consumed,
            drops,
            malformed: malformed.map(|reason| counters.drops.count(*reason)).sum(),
            flows,
            alerts,
            alerts_forgotten,
            untracked: counters.flows_untracked,
            records: None,
            selected: None,
            written: found.written,
            cut: found.cut,
            completed: captured.completed,
            oversized: found.oversized,
            out_of_order: found.out_of_order,
            unsupported: found.unsupported,
            truncated: captured
                .truncated
                .iter()
                .map(|(file, offset)| Truncated { file: file.clone(), offset: *offset })
                .collect(),
            faults: faults.map(Faults::from),
            elapsed,
            packets_per_second: if elapsed > 0.0 { found.packets as f64 / elapsed } else { 0.0 },
            failure: None,
        }
    }

    /// Packets dropped for any reason.
    pub fn dropped(&self) -> u64 {
        self.drops.iter().map(|drops| drops.packets).sum()
    }
}

impl From<FaultCounts> for Faults {
    fn from(counts: FaultCounts) -> Self {
        let FaultCounts { dropped, corrupted, reordered, stalled, full, down } = counts;
        Self { dropped, corrupted, reordered, stalled, full, down }
    }
}

fn failure<S: serde::Serializer>(failure: &Option<ReplayError>, serializer: S) -> Result<S::Ok, S::Error> {
    match failure {
        Some(failure) => serializer.collect_str(failure),
        None => serializer.serialize_none(),
    }
}
