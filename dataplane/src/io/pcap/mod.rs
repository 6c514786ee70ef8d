//! Packets from a capture file, and optionally what is forwarded to another.
//!
//! Reads pcap and pcapng in either byte order, one packet at a time through one bounded buffer, so that files of any size
//! and pipes can be replayed. Packets of links other than Ethernet are given an Ethernet header with empty addresses, so
//! that one pipeline serves all.
//!
//! Promises:
//! - A packet's length (`meta.length`) is its length on its own link, link header included and checksum excluded, even if
//!   less was captured. This is what Suricata counts, except that Suricata counts what was captured.
//! - A packet cut by the snap length is filled with zeros to its real length, up to [`PcapFrame::MAX`], if its headers were
//!   captured; nothing is dropped as malformed because its payload is missing.
//! - A batch never spans two seconds of the capture's time, so flows expire at the same packet whatever the size of batches.
//!   Packets keep their own time, which in a capture that is out of order may be before the batch's. The capture's time goes
//!   back only when two packets in a row lie more than a minute before it, and does not follow a single one far ahead.
//! - A file that ends inside a packet yields all before it ([`PcapSummary::truncated_at`]); any other damage ends the capture
//!   with an error that says where and why ([`PcapIo::finish`]). No input panics or makes memory grow without bound.
//!
//! Refuses: compressed files, and to write over the capture that it reads. The reader is our own because the record behind
//! a cut, offsets in errors and the absence of allocations per packet matter here, and `pcap-file` gives none of them; it
//! serves the tests as an oracle. Read next: `record.rs`, then `classic.rs` and `ng.rs`.

mod classic;
mod error;
mod frame;
mod link;
mod ng;
mod pace;
mod ports;
mod record;
mod source;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fs::{File, Metadata},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    time::Duration,
};

pub use error::PcapError;
pub use frame::PcapFrame;
pub use ports::PortMap;

use self::{
    link::Link,
    pace::Pace,
    record::{Format, Next, Record},
    source::Source,
    writer::{Failed, Writer},
};
use super::{IoCounters, PacketIo, PortId, TransmitError};
use crate::{
    batch::{Batch, Meta},
    clock::Timestamp,
    wake::Waker,
};

/// What was found in a capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PcapSummary {
    /// Packets received from the capture.
    pub packets: u64,
    /// Their bytes, as on the link.
    pub bytes: u64,
    /// The earliest time of a packet.
    pub first: Option<Timestamp>,
    /// The latest time of a packet.
    pub last: Option<Timestamp>,
    /// Packets of which only a part was captured.
    pub cut: u64,
    /// Packets longer than [`PcapFrame::MAX`], whose end was not looked at.
    pub oversized: u64,
    /// Packets whose time was before the capture's time when they came.
    pub out_of_order: u64,
    /// Packets left out because their interface is of a kind that is not understood.
    pub unsupported: u64,
    /// Where the record starts that the end of the file cuts off, if one is.
    pub truncated_at: Option<u64>,
    /// Packets written to the output.
    pub written: u64,
}

/// The next packet, still in the source's buffer.
#[derive(Clone, Copy, Debug)]
struct Upcoming {
    record: Record,
    link: Link,
    /// The capture's time when it arrives.
    arrival: Timestamp,
}

/// A backend over capture files.
#[derive(Debug)]
pub struct PcapIo {
    source: Source,
    format: Format,
    ports: PortMap,
    /// Length of the file in bytes, if it is one.
    total: Option<u64>,
    identity: Option<(u64, u64)>,
    next: Option<Upcoming>,
    ended: bool,
    pace: Pace,
    /// The time when the last packet arrived that was received or looked for.
    now: Timestamp,
    pool: Vec<PcapFrame>,
    output: Option<Writer>,
    summary: PcapSummary,
    failure: Option<PcapError>,
}

impl PcapIo {
    /// Frames kept for reuse; what a worker has under way is a batch and what other workers hold of its frames.
    const POOL: usize = 4 * Batch::<()>::MAX;

    /// Opens the capture at `path`; `-` is standard input.
    ///
    /// # Errors
    /// The file cannot be read or its header is none of a capture.
    pub fn open(path: &Path, ports: PortMap) -> Result<Self, PcapError> {
        if path == Path::new("-") {
            return Self::from_reader("standard input".to_owned(), Box::new(io::stdin()), ports);
        }
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((file, metadata))
        });
        let (file, metadata) = match opened {
            Ok(opened) => opened,
            Err(source) => return Err(PcapError::Open { file: name, source }),
        };
        let io = Self::from_reader(name, Box::new(file), ports)?;
        let total = metadata.is_file().then_some(metadata.len());
        Ok(Self { total, identity: identity(&metadata), ..io })
    }

    /// Reads a capture from `input`; errors call it `name`.
    ///
    /// # Errors
    /// The input cannot be read or its header is none of a capture.
    pub fn from_reader(name: String, input: Box<dyn Read + Send>, ports: PortMap) -> Result<Self, PcapError> {
        let mut source = Source::new(name, input);
        let format = Format::detect(&mut source)?;
        Ok(Self {
            source,
            format,
            ports,
            total: None,
            identity: None,
            next: None,
            ended: false,
            pace: Pace::default(),
            now: Timestamp::ZERO,
            pool: Vec::with_capacity(Self::POOL),
            output: None,
            summary: PcapSummary::default(),
            failure: None,
        })
    }

    /// Writes what is transmitted to a capture at `path`; `-` is standard output.
    ///
    /// # Errors
    /// The file cannot be created, or is the capture that is being read.
    pub fn write_to(self, path: &Path) -> Result<Self, PcapError> {
        if path == Path::new("-") {
            return Ok(self.write_into("standard output".to_owned(), Box::new(io::stdout())));
        }
        let name = path.display().to_string();
        // Creating the file would empty it.
        if self.identity.is_some()
            && path.metadata().is_ok_and(|metadata| identity(&metadata) == self.identity)
        {
            return Err(PcapError::SameFile { file: name });
        }
        match File::create(path) {
            Ok(file) => Ok(self.write_into(name, Box::new(file))),
            Err(source) => Err(PcapError::Create { file: name, source }),
        }
    }

    /// Writes what is transmitted to `output` as a capture; errors call it `name`.
    #[must_use]
    pub fn write_into(self, name: String, output: Box<dyn Write + Send>) -> Self {
        Self { output: Some(Writer::new(name, output)), ..self }
    }

    /// How many bytes of the capture have been dealt with, and how many there are if that is known.
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.source.offset(), self.total)
    }

    /// What was found so far.
    pub fn summary(&self) -> PcapSummary {
        PcapSummary { written: self.output.as_ref().map_or(0, Writer::written), ..self.summary }
    }

    /// Writes what is left to write, and says what was found. Call it at the end.
    ///
    /// # Errors
    /// What ended the capture early, else what ended the output early. [`PcapIo::summary`] still tells what was found.
    pub fn finish(&mut self) -> Result<PcapSummary, PcapError> {
        let written = self.output.as_mut().map_or(Ok(()), Writer::finish);
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => written.map(|()| self.summary()),
        }
    }

    /// Looks for the next packet unless it is known. Without `may_read` it gives up where it would have to read.
    #[inline]
    fn look(&mut self, may_read: bool) {
        self.source.allow_reading(may_read);
        while self.next.is_none() && !self.ended {
            match self.format.next(&mut self.source, |name| self.ports.named(name)) {
                Ok(Next::Packet(record)) => match record.link {
                    Some(link) => {
                        let arrival = self.pace.follow(record.time);
                        self.next = Some(Upcoming { record, link, arrival });
                    }
                    None => {
                        self.summary.unsupported += 1;
                        self.source.consume(record.size);
                    }
                },
                Ok(Next::Later) => return,
                Ok(Next::End) => self.ended = true,
                Ok(Next::Cut) => {
                    self.ended = true;
                    self.summary.truncated_at = Some(self.source.offset());
                }
                Err(error) => {
                    self.ended = true;
                    self.failure = Some(error);
                }
            }
        }
    }

    /// Copies a packet out of the source's buffer into a frame.
    #[inline]
    fn take(&mut self, upcoming: &Upcoming) -> (PcapFrame, Meta) {
        let Upcoming { record, link, arrival } = upcoming;
        let mut frame = self.pool.pop().unwrap_or_else(PcapFrame::new);
        let packet = self.source.available().get(record.start..record.start + record.captured);
        frame.load(record, *link, packet.unwrap_or_default());
        self.source.consume(record.size);

        let port = record.port.unwrap_or_else(|| self.ports.by_source(frame.captured()));
        let summary = &mut self.summary;
        summary.packets += 1;
        summary.bytes += u64::from(record.length);
        summary.cut += u64::from(record.captured < record.length as usize);
        summary.oversized += u64::from(frame.length() as usize > PcapFrame::MAX);
        summary.out_of_order += u64::from(record.time < *arrival);
        summary.first = Some(summary.first.map_or(record.time, |first| first.min(record.time)));
        summary.last = Some(summary.last.map_or(record.time, |last| last.max(record.time)));
        let meta = Meta { time: record.time, length: record.length, port, ..Meta::default() };
        (frame, meta)
    }
}

impl PacketIo for PcapIo {
    type Frame = PcapFrame;

    fn now(&mut self) -> Timestamp {
        self.look(true);
        if let Some(upcoming) = &self.next {
            self.now = upcoming.arrival;
        }
        self.now
    }

    fn receive(&mut self, now: Timestamp, batch: &mut Batch<PcapFrame>) -> usize {
        let mut received = 0;
        while batch.room() > 0 {
            // Half a batch now is better than a whole one later, when the capture comes through a pipe.
            self.look(received == 0);
            let Some(upcoming) = self.next else { break };
            if received > 0 && upcoming.arrival.as_secs() != now.as_secs() {
                break;
            }
            self.next = None;
            self.now = upcoming.arrival;
            let (frame, meta) = self.take(&upcoming);
            match batch.push(frame, meta) {
                Ok(()) => received += 1,
                // Not reached: there was room.
                Err(frame) => {
                    self.release(frame);
                    break;
                }
            }
        }
        received
    }

    fn transmit(&mut self, _port: PortId, frame: PcapFrame) -> Result<(), (TransmitError, PcapFrame)> {
        let frame = match &mut self.output {
            None => frame,
            Some(output) => match output.write(frame) {
                Ok(frame) => frame,
                Err(Failed(frame)) => return Err((TransmitError::Down, frame)),
            },
        };
        self.release(frame);
        Ok(())
    }

    fn compose(&mut self, bytes: &[u8]) -> Option<PcapFrame> {
        let mut frame = self.pool.pop().unwrap_or_else(PcapFrame::new);
        frame.compose(self.now, bytes);
        Some(frame)
    }

    fn release(&mut self, frame: PcapFrame) {
        if self.pool.len() < Self::POOL {
            self.pool.push(frame);
        }
    }

    fn flush(&mut self) {}

    /// A capture never keeps anybody waiting.
    fn wait(&mut self, _waker: &Waker, _timeout: Duration) {}

    fn is_exhausted(&self) -> bool {
        self.ended && self.next.is_none()
    }

    fn counters(&self) -> IoCounters {
        let failed = self.output.as_ref().is_some_and(Writer::has_failed);
        IoCounters { errors: u64::from(failed), ..IoCounters::default() }
    }
}

/// What names a file whatever its path; `None` for devices and pipes, to which anybody may write.
fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
}
