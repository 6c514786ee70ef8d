//! The packet path over capture files, as an ordinary user: same pipeline, same verdicts, same records.
//!
//! ```text
//! Captures (files, one after the other) > [FaultIo] > Gate > Worker > Tally > OrderedSink > records
//! ```
//!
//! Promises: the same files and configuration give the same records, byte for byte, whatever the size of batches; records are
//! ordered by the time that flows ended. Time is that of the capture: before packets of a new second are received, every
//! flow that is due by then has ended (`gate`). Refuses: more than one worker, and to wait between packets.
//! Read next: `drive` below, then `captures.rs`.

mod alerts;
mod capture;
mod captures;
mod gate;
mod offload;
mod setup;
mod summary;
mod tally;
#[cfg(test)]
mod tests;

pub use setup::{Replay, ReplayError};
pub use summary::{Drops, FlowsByVerdict, Summary};

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ravelin_dataplane::{
    command::CommandQueue,
    counters::CounterBlock,
    flow::{FlowTable, SteerStage},
    handoff::{Handoff, WorkerId},
    hash::FlowHasher,
    io::{
        PacketIo,
        fault::{FaultCounts, FaultIo},
        pcap::PcapFrame,
    },
    parse::FragmentTable,
    pipeline::Pipeline,
    policy::DecisionLog,
    snapshot::{Publisher, Snapshot},
    wake::Waker,
    worker::{Links, Worker},
};

use self::{alerts::Alerts, capture::Capturing, captures::Captures, gate::Gate, tally::Tally};
use crate::{compile::TableSizes, records::OrderedSink};

/// How far a replay has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the files dealt with.
    pub bytes: u64,
    /// Packets received.
    pub packets: u64,
}

/// A backend that ends in captures.
trait OverCaptures: PacketIo<Frame = PcapFrame> {
    fn captures(&self) -> &Captures;
    fn captures_mut(&mut self) -> &mut Captures;
    fn faults(&self) -> Option<FaultCounts>;
}

impl OverCaptures for Captures {
    fn captures(&self) -> &Captures {
        self
    }

    fn captures_mut(&mut self) -> &mut Captures {
        self
    }

    fn faults(&self) -> Option<FaultCounts> {
        None
    }
}

impl OverCaptures for FaultIo<Captures> {
    fn captures(&self) -> &Captures {
        self.inner()
    }

    fn captures_mut(&mut self) -> &mut Captures {
        self.inner_mut()
    }

    fn faults(&self) -> Option<FaultCounts> {
        Some(self.counts())
    }
}

/// What one worker needs besides its packets.
struct Parts {
    snapshot: Snapshot,
    sizes: TableSizes,
    batch: usize,
    ports: usize,
    decisions: Arc<DecisionLog>,
    records: Option<OrderedSink>,
    alerts: Alerts,
    capturing: Option<Capturing>,
}

/// Keys of the flow hash. Nobody can choose packets against a replay, and replays must repeat.
const SEED: u64 = 0x7261_7665_6c69_6e01;

/// Capture time by which the end of a flow may be noticed late: the flow table's clock ticks once a second.
const SLACK: Duration = Duration::from_secs(2);

/// Turns between two reports of progress.
const REPORT: u32 = 1024;

/// Runs all packets of `io` through one worker.
fn drive<I: OverCaptures>(
    io: I,
    parts: Parts,
    mut progress: impl FnMut(Progress),
) -> Result<Summary, ReplayError> {
    let started = Instant::now();
    let (mut worker, mut capturing) = worker(io, parts)?;
    let drain = |capturing: &mut Option<Capturing>| match capturing {
        Some(capturing) => capturing.drain().map_err(|source| ReplayError::Captured { source }),
        None => Ok(()),
    };
    let mut second = None;
    let mut turns = 0_u32;
    loop {
        let now = worker.io_mut().now();
        if second != Some(now.as_secs()) {
            second = Some(now.as_secs());
            worker.io_mut().close();
            while worker.turn() {}
            worker.records_mut().raise();
            worker.io_mut().open();
            worker.records_mut().release(now - SLACK);
        }
        let moved = worker.turn();
        drain(&mut capturing)?;
        worker.records_mut().raise();
        if !moved && worker.io().is_exhausted() || worker.records_mut().has_failed() {
            break;
        }
        if turns.is_multiple_of(REPORT) {
            progress(worker.io().inner().captures().progress());
        }
        turns = turns.wrapping_add(1);
    }
    worker.io_mut().end();
    worker.run_to_end();
    let selected = capturing.map(|capturing| capturing.finish(worker.counters().capture_lost)).transpose();
    let selected = selected.map_err(|source| ReplayError::Captured { source })?;
    progress(worker.io().inner().captures().progress());

    let captured = worker.io_mut().inner_mut().captures_mut().finish();
    let faults = worker.io().inner().faults();
    let flows = worker.records_mut().flows();
    let alerts = worker.records_mut().alerts();
    let records = worker.records_mut().finish();
    worker.counters().balance()?;
    let summary = Summary::new(worker.counters(), &captured, (flows, alerts), faults, started.elapsed());
    let failure = captured.failure.map(ReplayError::Capture);
    match (records, failure) {
        (Err(source), _) => Err(ReplayError::Records { source }),
        (Ok(records), failure) => Ok(Summary { records, selected, failure, ..summary }),
    }
}

/// A worker, and what it captures.
type Equipped<I> = (Worker<Gate<I>, Tally>, Option<Capturing>);

fn worker<I: OverCaptures>(io: I, parts: Parts) -> Result<Equipped<I>, ReplayError> {
    let Parts { snapshot, sizes, batch, ports, decisions, records, alerts, capturing } = parts;
    let id = WorkerId(0);
    let hasher = FlowHasher::fixed(SEED);
    let waker = Waker::new().map_err(|source| ReplayError::Waker { source })?;
    let links = Links {
        id,
        handoff: Handoff::new(1, Arc::from([waker])),
        reader: Publisher::new(snapshot, 1).reader(id),
        commands: Arc::new(CommandQueue::new(1)),
        block: Arc::new(CounterBlock::new(ports)),
    };
    let mut pipeline = Pipeline::new(
        SteerStage::new(hasher),
        FlowTable::with_log(sizes.flows, id, decisions),
        FragmentTable::new(sizes.fragments),
    );
    if let Some(capturing) = &capturing {
        pipeline.capture_into(capturing.ring());
    }
    let worker = Worker::new(Gate::new(io), pipeline, Tally::new(records, alerts), links, batch, ports);
    Ok((worker, capturing))
}
