//! Deterministic packets: a mix of flows, both directions, written into a few hot buffers.
//!
//! A NIC writes into buffers that are in the cache; a bench that walks gigabytes of prepared frames would measure its
//! own misses. So packets are made as they are received: a template is copied and addresses, port and header checksum are
//! set from a flow number. The cost of making them is measured by itself (`baseline`) and said beside every figure.

use std::time::Duration;

use ravelin_dataplane::{
    batch::{Batch, Meta},
    clock::Timestamp,
    io::{Frame, IoCounters, PacketIo, PortId, TransmitError},
    wake::Waker,
};

/// Frame lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mix {
    /// 60 bytes without the checksum: the smallest frames.
    #[value(name = "64")]
    Small,
    /// The "simple IMIX": 7 of 60, 4 of 590, 1 of 1514 bytes.
    Imix,
}

impl Mix {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Small => "64 B",
            Self::Imix => "IMIX",
        }
    }

    const fn lengths(self) -> &'static [usize] {
        match self {
            Self::Small => &[60],
            Self::Imix => &[60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 590, 60],
        }
    }
}

/// A frame of the generator.
#[derive(Debug)]
pub(crate) struct HotFrame {
    buffer: Box<[u8; 1514]>,
    length: usize,
}

impl Frame for HotFrame {
    fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.length).unwrap_or_default()
    }

    fn set_len(&mut self, length: usize) -> bool {
        let fits = length <= self.buffer.len();
        if fits {
            self.length = length;
        }
        fits
    }
}

/// Which flow the next packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Any flow, either direction, from a pseudo-random sequence.
    Random,
    /// Each flow once, first packets only: opening.
    Opening,
    /// Each flow once, the answer to its first packet.
    Answering,
}

/// A backend that makes UDP packets of `flows` flows without end. Time stands still unless it is set.
#[derive(Debug)]
pub(crate) struct TrafficIo {
    flows: u32,
    order: Order,
    mix: Mix,
    next: u64,
    pool: Vec<HotFrame>,
    now: Timestamp,
    transmitted: u64,
    spread: bool,
}

impl TrafficIo {
    /// Buffers in use: as many as two batches, so that they stay in the cache.
    const BUFFERS: usize = 512;

    pub(crate) fn new(flows: u32, mix: Mix) -> Self {
        let mut template = Box::new([0_u8; 1514]);
        let mut header = Vec::new();
        etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 0, 0, 0], [172, 16, 0, 1], 64)
            .udp(0, 4433)
            .write(&mut header, &[])
            .expect("the template fits");
        template[..header.len()].copy_from_slice(&header);
        let pool = (0..Self::BUFFERS).map(|_| HotFrame { buffer: template.clone(), length: 60 }).collect();
        Self {
            flows,
            order: Order::Random,
            mix,
            next: 0,
            pool,
            now: Timestamp::from_nanos(1_700_000_000_000_000_000),
            transmitted: 0,
            spread: false,
        }
    }

    /// Has clients anywhere in the Internet, instead of beside each other.
    pub(crate) fn spread(mut self) -> Self {
        self.spread = true;
        self
    }

    pub(crate) fn set_order(&mut self, order: Order) {
        self.order = order;
        self.next = 0;
    }

    pub(crate) fn set_time(&mut self, now: Timestamp) {
        self.now = now;
    }

    pub(crate) fn time(&self) -> Timestamp {
        self.now
    }

    pub(crate) const fn transmitted(&self) -> u64 {
        self.transmitted
    }

    /// The flow and direction of the next packet.
    fn step(&mut self) -> (u32, bool) {
        self.next += 1;
        match self.order {
            Order::Random => {
                let random = splitmix(self.next);
                ((((random >> 32) * u64::from(self.flows)) >> 32) as u32, random & 1 == 1)
            }
            Order::Opening => ((self.next - 1) as u32, false),
            Order::Answering => ((self.next - 1) as u32, true),
        }
    }

    /// Writes a packet of `flow` into `frame`.
    fn write(frame: &mut HotFrame, flow: u32, reply: bool, length: usize, spread: bool) {
        // 2^24 addresses, and another port for each 2^24 flows.
        let number = if spread { flow.wrapping_mul(0x9e37_79b1) } else { flow };
        let [high, a, b, c] = number.to_be_bytes();
        // Addresses of hosts begin with 1 to 223, and not with 127; some that begin with 169 have no meaning beyond a link.
        let first = match high {
            1..127 | 128..169 | 170..224 => high,
            0 | 127 | 169 | 224.. => 1 + high % 64,
        };
        let client = [if spread { first } else { 10 }, a, b, c];
        let server = [172, 16, 0, 1];
        let client_port = (20_000 + u16::from(high)).to_be_bytes();
        let server_port = 4433_u16.to_be_bytes();
        let (source, destination, source_port, destination_port) = if reply {
            (server, client, server_port, client_port)
        } else {
            (client, server, client_port, server_port)
        };
        let total = length - 14;
        let (ip_length, udp_length) = ((total as u16).to_be_bytes(), ((total - 20) as u16).to_be_bytes());
        let bytes = &mut frame.buffer[14..42];
        bytes[2..4].copy_from_slice(&ip_length);
        // Who routes has taken one off.
        bytes[8] = 64;
        bytes[12..16].copy_from_slice(&source);
        bytes[16..20].copy_from_slice(&destination);
        bytes[20..22].copy_from_slice(&source_port);
        bytes[22..24].copy_from_slice(&destination_port);
        bytes[24..26].copy_from_slice(&udp_length);
        // UDP without a checksum, as RFC 768 allows; the header checksum is computed whole.
        bytes[26..28].copy_from_slice(&[0, 0]);
        bytes[10..12].copy_from_slice(&[0, 0]);
        let sum: u32 =
            bytes[..20].chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = !((sum + (sum >> 16)) as u16);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        frame.length = length;
    }
}

/// A well-mixed function of a counter (SplitMix64).
pub(crate) const fn splitmix(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl PacketIo for TrafficIo {
    type Frame = HotFrame;

    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn receive(&mut self, now: Timestamp, batch: &mut Batch<HotFrame>) -> usize {
        let lengths = self.mix.lengths();
        let mut received = 0;
        while batch.room() > 0 {
            if self.order != Order::Random && self.next >= u64::from(self.flows) {
                break;
            }
            let Some(mut frame) = self.pool.pop() else { break };
            let (flow, reply) = self.step();
            let length = lengths[self.next as usize % lengths.len()];
            Self::write(&mut frame, flow, reply, length, self.spread);
            let meta =
                Meta { time: now, length: length as u32, port: PortId(u8::from(reply)), ..Meta::default() };
            match batch.push(frame, meta) {
                Ok(()) => received += 1,
                Err(frame) => self.pool.push(frame),
            }
        }
        received
    }

    fn transmit(&mut self, _port: PortId, frame: HotFrame) -> Result<(), (TransmitError, HotFrame)> {
        self.transmitted += 1;
        self.pool.push(frame);
        Ok(())
    }

    fn compose(&mut self, _bytes: &[u8]) -> Option<HotFrame> {
        None
    }

    fn release(&mut self, frame: HotFrame) {
        self.pool.push(frame);
    }

    fn flush(&mut self) {}

    fn wait(&mut self, _waker: &Waker, _timeout: Duration) {}

    fn is_exhausted(&self) -> bool {
        self.order != Order::Random && self.next >= u64::from(self.flows)
    }

    fn counters(&self) -> IoCounters {
        IoCounters::default()
    }
}
