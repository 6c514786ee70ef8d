//! Capture files, one after the other, as one backend.

use std::{collections::VecDeque, path::PathBuf, time::Duration};

use ravelin_dataplane::{
    batch::Batch,
    clock::Timestamp,
    io::{
        Frame, IoCounters, PacketIo, PortId, TransmitError,
        pcap::{PcapError, PcapFrame, PcapIo, PcapSummary, PortMap},
    },
    wake::Waker,
};

use super::{Progress, offload};

/// Files in the order in which they are read. The time never goes back, as within one file.
#[derive(Debug)]
pub(super) struct Captures {
    /// The first file, which also writes what is forwarded.
    first: PcapIo,
    /// The file that is read now, if it is not the first.
    later: Option<PcapIo>,
    /// The name of the file that is read now.
    name: String,
    rest: VecDeque<PathBuf>,
    ports: PortMap,
    now: Timestamp,
    done: Findings,
}

/// What was found in all files.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) summary: PcapSummary,
    /// The files that end inside a packet, and where that starts.
    pub(super) truncated: Vec<(String, u64)>,
    /// What ended the replay, or the output, early.
    pub(super) failure: Option<PcapError>,
    /// Packets whose IPv4 header was completed.
    pub(super) completed: u64,
    bytes_read: u64,
}

impl Captures {
    /// Reads `first`, which was opened from `name`, then the files of `rest`.
    pub(super) fn new(first: PcapIo, name: String, rest: VecDeque<PathBuf>, ports: PortMap) -> Self {
        Self { first, later: None, name, rest, ports, now: Timestamp::ZERO, done: Findings::default() }
    }

    pub(super) fn progress(&self) -> Progress {
        let current = self.current();
        Progress {
            bytes: self.done.bytes_read + current.progress().0,
            packets: self.done.summary.packets + current.summary().packets,
        }
    }

    /// Ends reading and writing, and says what was found.
    pub(super) fn finish(&mut self) -> Findings {
        self.close();
        // The first file's own packets are counted; this is for the output, which may have grown since.
        if let Err(error) = self.first.finish() {
            self.done.failure.get_or_insert(error);
        }
        self.done.summary.written = self.first.summary().written;
        std::mem::take(&mut self.done)
    }

    fn current(&self) -> &PcapIo {
        self.later.as_ref().unwrap_or(&self.first)
    }

    fn current_mut(&mut self) -> &mut PcapIo {
        self.later.as_mut().unwrap_or(&mut self.first)
    }

    /// Moves on to the next file when the one that is read now has ended.
    fn advance(&mut self) {
        while self.current().is_exhausted() && !self.rest.is_empty() {
            self.close();
            let Some(path) = self.rest.pop_front() else { return };
            match PcapIo::open(&path, self.ports.clone()) {
                Ok(file) => {
                    self.later = Some(file);
                    self.name = path.display().to_string();
                }
                Err(error) => self.fail(error),
            }
        }
    }

    /// Takes the account of the file that is read now.
    fn close(&mut self) {
        let current = self.current_mut();
        let (bytes, _) = current.progress();
        let finished = current.finish();
        let summary = current.summary();
        if let Some(offset) = summary.truncated_at {
            self.done.truncated.push((self.name.clone(), offset));
        }
        self.done.bytes_read += bytes;
        add(&mut self.done.summary, &summary);
        if let Err(error) = finished {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: PcapError) {
        self.done.failure.get_or_insert(error);
        self.rest.clear();
    }
}

fn add(sum: &mut PcapSummary, file: &PcapSummary) {
    let PcapSummary { packets, bytes, first, last, cut, oversized, out_of_order, unsupported, .. } = *file;
    sum.packets += packets;
    sum.bytes += bytes;
    sum.first = [sum.first, first].into_iter().flatten().min();
    sum.last = [sum.last, last].into_iter().flatten().max();
    sum.cut += cut;
    sum.oversized += oversized;
    sum.out_of_order += out_of_order;
    sum.unsupported += unsupported;
}

impl PacketIo for Captures {
    type Frame = PcapFrame;

    fn now(&mut self) -> Timestamp {
        let now = self.current_mut().now();
        self.now = self.now.max(now);
        if self.current().is_exhausted() && !self.rest.is_empty() {
            self.advance();
            return self.now();
        }
        self.now
    }

    fn receive(&mut self, now: Timestamp, batch: &mut Batch<PcapFrame>) -> usize {
        let start = batch.len();
        let received = self.current_mut().receive(now, batch);
        for (frame, _) in batch.iter_mut().skip(start) {
            if offload::is_left_to_the_card(frame.bytes_mut()) {
                frame.keep_original();
                self.done.completed += u64::from(offload::complete(frame.bytes_mut()));
            }
        }
        received
    }

    fn transmit(&mut self, port: PortId, frame: PcapFrame) -> Result<(), (TransmitError, PcapFrame)> {
        self.first.transmit(port, frame)
    }

    fn compose(&mut self, bytes: &[u8]) -> Option<PcapFrame> {
        self.current_mut().compose(bytes)
    }

    fn release(&mut self, frame: PcapFrame) {
        self.current_mut().release(frame);
    }

    fn flush(&mut self) {}

    fn wait(&mut self, waker: &Waker, timeout: Duration) {
        self.current_mut().wait(waker, timeout);
    }

    fn is_exhausted(&self) -> bool {
        self.current().is_exhausted() && self.rest.is_empty()
    }

    fn counters(&self) -> IoCounters {
        self.first.counters()
    }
}
