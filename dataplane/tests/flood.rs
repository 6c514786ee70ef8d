//! Ten million distinct SYNs against a table of sixteen thousand: every packet is accounted for, and the connections that
//! were there before are there afterwards. That nothing grows is the business of `zero_alloc.rs`: tables do not allocate.

mod support;

use std::time::Duration;

use ravelin_dataplane::{
    batch::{Batch, Meta},
    clock::Timestamp,
    flow::{EndReason, FlowRecord, FlowState, RawRecord, RecordLost, RecordSink},
    io::{IoCounters, PacketIo, PortId, TransmitError, memory::MemoryFrame},
    verdict::DropReason,
    wake::Waker,
};
use support::{Kept, Plant, bridge};

const FLOOD: u32 = 10_000_000;
const ESTABLISHED: u32 = 5_000;
const CAPACITY: usize = 16_384;

/// TCP packets made as they are received, from a few buffers.
struct Source {
    pool: Vec<MemoryFrame>,
    next: u32,
    end: u32,
    kind: Kind,
    now: Timestamp,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// SYN of a connection that will be established.
    Syn,
    /// Its answer.
    SynAck,
    /// The ACK that completes it, and later ones.
    Ack,
    /// A SYN that nobody answers, each from another address and port.
    Flood,
}

impl Source {
    fn new() -> Self {
        let mut frame = Vec::new();
        etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 0], [192, 0, 2, 1], 64)
            .tcp(0, 80, 0, 1000)
            .write(&mut frame, &[])
            .unwrap();
        let pool = (0..128).map(|_| MemoryFrame::new(&frame)).collect();
        Self { pool, next: 0, end: 0, kind: Kind::Syn, now: Timestamp::from_micros(1_000_000) }
    }

    fn start(&mut self, kind: Kind, packets: u32) {
        (self.kind, self.next, self.end) = (kind, 0, packets);
    }

    fn write(kind: Kind, number: u32, bytes: &mut [u8]) {
        let [high, a, b, c] = number.to_be_bytes();
        let network = if kind == Kind::Flood { 11 } else { 10 };
        let client = [network, a, b, c];
        let client_port = (1024 + u16::from(high)).to_be_bytes();
        let server = [192, 0, 2, 1];
        let server_port = 80_u16.to_be_bytes();
        let (flags, sequence, acknowledgement) = match kind {
            Kind::Syn | Kind::Flood => (0x02, 100_u32, 0_u32),
            Kind::SynAck => (0x12, 500, 101),
            Kind::Ack => (0x10, 101, 501),
        };
        let reply = kind == Kind::SynAck;
        let (source, destination) = if reply { (server, client) } else { (client, server) };
        let (from, to) = if reply { (server_port, client_port) } else { (client_port, server_port) };
        bytes[26..30].copy_from_slice(&source);
        bytes[30..34].copy_from_slice(&destination);
        bytes[34..36].copy_from_slice(&from);
        bytes[36..38].copy_from_slice(&to);
        bytes[38..42].copy_from_slice(&sequence.to_be_bytes());
        bytes[42..46].copy_from_slice(&acknowledgement.to_be_bytes());
        bytes[47] = flags;
        bytes[24..26].fill(0);
        let sum: u32 =
            bytes[14..34].chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        bytes[24..26].copy_from_slice(&sum.to_be_bytes());
    }
}

impl PacketIo for Source {
    type Frame = MemoryFrame;

    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn receive(&mut self, now: Timestamp, batch: &mut Batch<MemoryFrame>) -> usize {
        use ravelin_dataplane::io::Frame;
        let mut received = 0;
        while batch.room() > 0 && self.next < self.end {
            let mut frame = self.pool.pop().expect("frames come back");
            Self::write(self.kind, self.next, frame.bytes_mut());
            self.next += 1;
            let port = PortId(u8::from(self.kind == Kind::SynAck));
            let length = u32::try_from(frame.bytes().len()).unwrap();
            batch.push(frame, Meta { time: now, length, port, ..Meta::default() }).expect("there is room");
            received += 1;
        }
        received
    }

    fn transmit(&mut self, _port: PortId, frame: MemoryFrame) -> Result<(), (TransmitError, MemoryFrame)> {
        self.pool.push(frame);
        Ok(())
    }

    fn compose(&mut self, _bytes: &[u8]) -> Option<MemoryFrame> {
        self.pool.pop()
    }

    fn release(&mut self, frame: MemoryFrame) {
        self.pool.push(frame);
    }

    fn flush(&mut self) {}

    fn wait(&mut self, _waker: &Waker, _timeout: Duration) {}

    fn is_exhausted(&self) -> bool {
        self.next >= self.end
    }

    fn counters(&self) -> IoCounters {
        IoCounters::default()
    }
}

#[test]
fn ten_million_syns_are_counted_exactly_and_evict_no_connection() {
    let records = Kept::default();
    let mut worker = support::worker_over(
        Source::new(),
        Forget(records.clone()),
        Plant { flows: CAPACITY, snapshot: bridge(), ..Plant::default() },
    );
    let mut play = |kind, packets, later: u64| {
        let io = worker.io_mut();
        io.now = io.now + Duration::from_millis(later);
        io.start(kind, packets);
        while worker.turn() || !worker.io().is_exhausted() {}
        worker.counters().clone()
    };
    for kind in [Kind::Syn, Kind::SynAck, Kind::Ack] {
        play(kind, ESTABLISHED, 1);
    }
    let calm = play(Kind::Ack, ESTABLISHED, 1);
    assert_eq!((calm.flows_created, calm.flows_active), (u64::from(ESTABLISHED), u64::from(ESTABLISHED)));

    // In slices, so that time goes on between them.
    for slice in 0..100 {
        let io = worker.io_mut();
        io.now = io.now + Duration::from_millis(10);
        (io.kind, io.next, io.end) = (Kind::Flood, slice * (FLOOD / 100), (slice + 1) * (FLOOD / 100));
        while worker.turn() || !worker.io().is_exhausted() {}
    }
    let flooded = worker.counters().clone();
    assert_eq!(flooded.balance(), Ok(()));
    let received = flooded.received - calm.received;
    let created = flooded.flows_created - calm.flows_created;
    let refused = flooded.drops.count(DropReason::FlowTableFull);
    assert_eq!(received, u64::from(FLOOD));
    assert_eq!(created + refused, u64::from(FLOOD), "each SYN has opened a flow or was refused");
    assert_eq!(flooded.drops.total(), refused);
    let ended = flooded.flows_expired + flooded.flows_evicted;
    assert_eq!(flooded.flows_created - ended, flooded.flows_active);
    assert!(flooded.flows_active <= CAPACITY as u64);
    assert_eq!(flooded.records_written, ended, "each flow that ended left a record");
    assert!(records.0.lock().unwrap().is_empty(), "no established connection has ended");

    // They are still the same flows.
    let io = worker.io_mut();
    io.start(Kind::Ack, ESTABLISHED);
    while worker.turn() || !worker.io().is_exhausted() {}
    assert_eq!(worker.counters().flows_created, flooded.flows_created, "no flow had to be opened again");
}

/// Keeps the records of established flows that were ended, which there must not be.
struct Forget(Kept);

impl RecordSink for Forget {
    fn push(&mut self, record: &RawRecord) -> Result<(), RecordLost> {
        let FlowRecord { state, reason, .. } = record.read();
        match (state, reason) {
            (FlowState::New, EndReason::Timeout | EndReason::Forced) => Ok(()),
            (FlowState::New | FlowState::Established | FlowState::Closed, _) => self.0.push(record),
        }
    }
}
