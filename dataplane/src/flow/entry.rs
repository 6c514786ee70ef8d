//! What is kept of a flow: 120 bytes.

use ravelin_config::types::Action;

use super::{EndReason, FlowKey, FlowRecord, Side, phase::Phase};
use crate::{
    clock::Timestamp,
    forward::Segment,
    handoff::WorkerId,
    io::PortId,
    nat::NatFlow,
    policy::{DecisionId, Ruling},
};

/// One value for each end of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pair<T>([T; 2]);

impl<T: Copy> Pair<T> {
    pub(super) const fn of(&self, side: Side) -> T {
        let [low, high] = self.0;
        match side {
            Side::Low => low,
            Side::High => high,
        }
    }

    pub(super) const fn of_mut(&mut self, side: Side) -> &mut T {
        let [low, high] = &mut self.0;
        match side {
            Side::Low => low,
            Side::High => high,
        }
    }
}

/// A flow. The fields that every packet needs come first, so that they lie in as few cache lines as can be.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Entry {
    pub(super) key: FlowKey,
    /// Time of the last packet in microseconds since the epoch (52 bits, to the year 2112), above twelve flags.
    last: u64,
    /// Time of the first packet as in `last`, above the ports that the flow passes (6 bits each): the upper one, and the lower
    /// one. The upper one is [`NO_PORT`] for a flow that passes one only, such as one that was seen at a monitor interface or
    /// is with the appliance itself; both are the same for one that leaves where it came in.
    first: u64,
    /// By sender: bytes (51 bits), above them the upper 13 bits of the number of packets.
    traffic: Pair<u64>,
    /// By sender: the lower 32 bits of the number of packets.
    packets: Pair<u32>,
    /// The generation under which the flow was judged (24 bits; zero for not yet), above the decision (24 bits).
    judged: [u16; 3],
    /// TCP flags seen, or-ed, by sender.
    pub(super) tcp_flags: Pair<u8>,
    /// By sender: the sequence number that is expected next.
    pub(super) expected: Pair<u32>,
    /// The acknowledgement that ends the round-trip measurement under way; or the one that makes good a claim.
    pub(super) probe_sequence: u32,
    /// When the measurement began, in microseconds, modulo 2^32.
    pub(super) probe_time: u32,
    pub(super) retransmissions: Pair<u16>,
    pub(super) zero_windows: Pair<u8>,
    /// Smoothed round-trip time between here and the end that answers, by the end that asked; microseconds.
    pub(super) legs: Pair<Micros24>,
    pub(super) handshake: Micros24,
    pub(super) phase: Phase,
}

const _: () = assert!(size_of::<Entry>() <= 120);

/// What is said about a flow in one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flag(u64);

impl Flag {
    /// The initiator is the high end.
    const INITIATOR_HIGH: Self = Self(1);
    /// The initiator's packets come in at the upper port.
    const FROM_UPPER: Self = Self(1 << 1);
    const SEEN_LOW: Self = Self(1 << 2);
    const SEEN_HIGH: Self = Self(1 << 3);
    /// The verdict is deny.
    const DENIED: Self = Self(1 << 4);
    /// A packet of the batch waits for policy to decide.
    pub(super) const PENDING: Self = Self(1 << 5);
    /// A round-trip measurement is under way, of what the low end sent, or the high. Both: none is, but there is a claim.
    const PROBE_LOW: Self = Self(1 << 6);
    const PROBE_HIGH: Self = Self(1 << 7);
    const FIN_LOW: Self = Self(1 << 8);
    const FIN_HIGH: Self = Self(1 << 9);
    const FIN_LOW_ACKED: Self = Self(1 << 10);
    const FIN_HIGH_ACKED: Self = Self(1 << 11);

    /// This end has spoken, so its expected sequence number is known.
    pub(super) const fn seen(side: Side) -> Self {
        match side {
            Side::Low => Self::SEEN_LOW,
            Side::High => Self::SEEN_HIGH,
        }
    }

    /// The answer to something that this end sent is being timed, if the other end's flag is not up too.
    const fn probe(side: Side) -> Self {
        match side {
            Side::Low => Self::PROBE_LOW,
            Side::High => Self::PROBE_HIGH,
        }
    }

    /// This end has sent FIN.
    pub(super) const fn fin(side: Side) -> Self {
        match side {
            Side::Low => Self::FIN_LOW,
            Side::High => Self::FIN_HIGH,
        }
    }

    /// This end's FIN has been acknowledged.
    pub(super) const fn fin_acked(side: Side) -> Self {
        match side {
            Side::Low => Self::FIN_LOW_ACKED,
            Side::High => Self::FIN_HIGH_ACKED,
        }
    }
}

/// A time of up to 16.7 seconds; longer ones count as that.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Micros24([u8; 3]);

impl Micros24 {
    /// Nothing that can be measured, such as a handshake in which a segment was sent twice.
    pub(super) const AMBIGUOUS: Self = Self([0xff; 3]);

    const MAX: u32 = (1 << 24) - 2;

    pub(super) fn new(micros: u32) -> Self {
        let [a, b, c, _] = micros.min(Self::MAX).to_le_bytes();
        Self([a, b, c])
    }

    pub(super) const fn is_ambiguous(self) -> bool {
        matches!(self.0, [0xff, 0xff, 0xff])
    }

    pub(super) const fn micros(self) -> u32 {
        let [a, b, c] = self.0;
        u32::from_le_bytes([a, b, c, 0])
    }
}

/// A packet as far as its flow counts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passage {
    pub(super) side: Side,
    pub(super) time: u64,
    pub(super) length: u32,
}

const TIME_SHIFT: u32 = 12;
const LOW_TWELVE: u64 = (1 << TIME_SHIFT) - 1;
const PORT_BITS: u32 = 6;
const PORT_MASK: u64 = (1 << PORT_BITS) - 1;
const BYTE_BITS: u32 = 51;
const BYTE_MASK: u64 = (1 << BYTE_BITS) - 1;

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn low_half(number: u32) -> u16 {
    number as u16
}

/// A time in the table's own unit: microseconds since the epoch, at most 52 bits.
pub(super) fn micros(time: Timestamp) -> u64 {
    time.as_micros().min((1 << (u64::BITS - TIME_SHIFT)) - 1)
}

/// In the place of a port: there is none. Above all ports, so it never is the lower one.
const NO_PORT: u64 = PORT_MASK;

const _: () = assert!(PortId::MAX_PORTS as u64 <= NO_PORT);

/// A port as the entry keeps it.
fn bits(port: Option<PortId>) -> u64 {
    port.map_or(NO_PORT, |port| u64::from(port.0) & PORT_MASK)
}

/// The port in the lowest bits of what an entry keeps.
const fn port(bits: u64) -> Option<PortId> {
    let bits = bits & PORT_MASK;
    if bits == NO_PORT { None } else { Some(PortId(bits as u8)) }
}

/// The ports through which packets of a flow's initiator come in and leave.
pub(super) type Ports = [Option<PortId>; 2];

impl Entry {
    const PROBES: u64 = Flag::PROBE_LOW.0 | Flag::PROBE_HIGH.0;

    pub(super) const FREE: Self = Self {
        key: FlowKey::NOBODY,
        last: 0,
        first: 0,
        traffic: Pair([0; 2]),
        packets: Pair([0; 2]),
        judged: [0; 3],
        tcp_flags: Pair([0; 2]),
        expected: Pair([0; 2]),
        probe_sequence: 0,
        probe_time: 0,
        retransmissions: Pair([0; 2]),
        zero_windows: Pair([0; 2]),
        legs: Pair([Micros24([0; 3]); 2]),
        handshake: Micros24([0; 3]),
        phase: Phase::OtherNew,
    };

    /// A flow that `initiator` opens at `time`; counts nothing yet.
    pub(super) fn open(key: FlowKey, phase: Phase, initiator: Side, time: u64, ports: Ports) -> Self {
        let mut entry =
            Self { key, phase, last: time << TIME_SHIFT, first: time << TIME_SHIFT, ..Self::FREE };
        if initiator == Side::High {
            entry.raise(Flag::INITIATOR_HIGH);
        }
        entry.lead(ports);
        entry
    }

    /// Has the flow pass these ports from now on, of which at least one is there.
    pub(super) fn lead(&mut self, ports: Ports) {
        let [port_in, port_out] = ports.map(bits);
        let both = port_in.max(port_out) << PORT_BITS | port_in.min(port_out);
        self.first = self.first & !LOW_TWELVE | both;
        if port_in > port_out {
            self.raise(Flag::FROM_UPPER);
        } else {
            self.lower(Flag::FROM_UPPER);
        }
    }

    /// Whether this is the flow of `key` on `segment`: the lower port is always there.
    pub(super) fn is_of(&self, key: &FlowKey, segment: Segment) -> bool {
        self.key.is(key) && segment.has(PortId((self.first & PORT_MASK) as u8))
    }

    pub(super) const fn has(&self, flag: Flag) -> bool {
        self.last & flag.0 != 0
    }

    pub(super) const fn raise(&mut self, flag: Flag) {
        self.last |= flag.0;
    }

    pub(super) const fn lower(&mut self, flag: Flag) {
        self.last &= !flag.0;
    }

    /// Starts to measure how long the answer to what `side` sent takes, which acknowledges `sequence`.
    pub(super) const fn start_probe(&mut self, side: Side, sequence: u32, time: u32) {
        self.stop_probe();
        self.raise(Flag::probe(side));
        self.probe_sequence = sequence;
        self.probe_time = time;
    }

    /// Stops whatever round-trip measurement is under way, and forgets a claim.
    pub(super) const fn stop_probe(&mut self) {
        self.lower(Flag(Self::PROBES));
    }

    /// Whether a round-trip measurement is under way.
    pub(super) const fn is_probing(&self) -> bool {
        self.probes(Side::Low) || self.probes(Side::High)
    }

    /// Whether the answer to something that `side` sent is being timed.
    pub(super) const fn probes(&self, side: Side) -> bool {
        self.last & Self::PROBES == Flag::probe(side).0
    }

    /// Remembers that the initiator asked for another connection with a SYN that ends before `end`; gives up a measurement.
    pub(super) const fn claim(&mut self, end: u32) {
        self.raise(Flag(Self::PROBES));
        self.probe_sequence = end;
    }

    /// Where the SYN ends with which the initiator asked for another connection.
    pub(super) const fn claimed(&self) -> Option<u32> {
        if self.last & Self::PROBES == Self::PROBES { Some(self.probe_sequence) } else { None }
    }

    /// Time of the last packet.
    pub(super) const fn last(&self) -> u64 {
        self.last >> TIME_SHIFT
    }

    /// Time of the first packet.
    pub(super) const fn first(&self) -> u64 {
        self.first >> TIME_SHIFT
    }

    pub(super) const fn initiator(&self) -> Side {
        if self.has(Flag::INITIATOR_HIGH) { Side::High } else { Side::Low }
    }

    /// Whether both ends have spoken.
    pub(super) const fn is_replied(&self) -> bool {
        self.has(Flag::SEEN_LOW) && self.has(Flag::SEEN_HIGH)
    }

    /// What decides about timeout and eviction; a change of it concerns the index.
    pub(super) const fn standing(&self) -> (Phase, bool) {
        (self.phase, self.is_replied())
    }

    /// Whether the flow may be evicted: closed, not established, or not answered, as a denied one never is. Does not ask
    /// for the verdict, which comes at the end of the batch, so that batch sizes make no difference.
    pub(super) const fn is_weak(&self) -> bool {
        !(self.phase.is_established() && self.is_replied())
    }

    /// The ports through which packets of the initiator come in and leave.
    pub(super) const fn ports(&self) -> Ports {
        let (upper, lower) = (port(self.first >> PORT_BITS), port(self.first));
        if self.has(Flag::FROM_UPPER) { [upper, lower] } else { [lower, upper] }
    }

    /// Counts from here on as if the flow had begun at `time`; the connection goes on as it is.
    pub(super) const fn restart(&mut self, time: u64) {
        self.first = time << TIME_SHIFT | (self.first & LOW_TWELVE);
        self.traffic = Pair([0; 2]);
        self.packets = Pair([0; 2]);
        self.retransmissions = Pair([0; 2]);
        self.zero_windows = Pair([0; 2]);
    }

    /// Counts a packet. Both counts stop at their highest value: 2 PB, 35 trillion packets.
    pub(super) const fn count(&mut self, passage: Passage) {
        if self.last() < passage.time {
            self.last = passage.time << TIME_SHIFT | (self.last & LOW_TWELVE);
        }
        let traffic = self.traffic.of_mut(passage.side);
        let bytes = (*traffic & BYTE_MASK) + passage.length as u64;
        *traffic = (*traffic & !BYTE_MASK) | if bytes > BYTE_MASK { BYTE_MASK } else { bytes };
        let packets = self.packets.of_mut(passage.side);
        *packets = packets.wrapping_add(1);
        if *packets == 0 {
            match traffic.checked_add(1 << BYTE_BITS) {
                Some(carried) => *traffic = carried,
                None => *packets = u32::MAX,
            }
        }
    }

    /// The ruling, if it was made under `generation`.
    pub(super) const fn judged(&self, generation: u32) -> Option<Ruling> {
        if self.generation() == generation { Some(self.ruling()) } else { None }
    }

    /// The ruling, whatever the generation.
    pub(super) const fn ruling(&self) -> Ruling {
        Ruling { action: self.action(), decision: self.decision() }
    }

    /// Keeps a ruling.
    pub(super) const fn judge(&mut self, generation: u32, ruling: Ruling) {
        let decision = ruling.decision.0;
        self.judged = [
            low_half(generation),
            low_half(generation >> 16 & 0xff | decision << 8),
            low_half(decision >> 8),
        ];
        self.lower(Flag::PENDING);
        match ruling.action {
            Action::Allow => self.lower(Flag::DENIED),
            Action::Deny | Action::Reject => self.raise(Flag::DENIED),
        }
    }

    /// The generation of the snapshot that decided; zero if none has.
    pub(super) const fn generation(&self) -> u32 {
        let [low, middle, _] = self.judged;
        (low as u32) | ((middle as u32 & 0xff) << 16)
    }

    const fn decision(&self) -> DecisionId {
        let [_, middle, high] = self.judged;
        DecisionId((middle as u32 >> 8) | (high as u32) << 8)
    }

    /// Packets that `side` has sent.
    pub(super) const fn packets(&self, side: Side) -> u64 {
        (self.traffic.of(side) >> BYTE_BITS << u32::BITS) | self.packets.of(side) as u64
    }

    /// Bytes that `side` has sent.
    pub(super) const fn bytes(&self, side: Side) -> u64 {
        self.traffic.of(side) & BYTE_MASK
    }

    /// What is written about the flow.
    pub(super) fn record(&self, ended: u64, reason: EndReason, worker: WorkerId) -> FlowRecord {
        let initiator = self.initiator();
        let [port_in, port_out] = self.ports();
        // One of them is there.
        let [port_in, port_out] = [port_in.or(port_out), port_out.or(port_in)].map(Option::unwrap_or_default);
        FlowRecord {
            key: self.key,
            initiator,
            first: Timestamp::from_micros(self.first()),
            last: Timestamp::from_micros(self.last()),
            ended: Timestamp::from_micros(ended),
            packets: self.directed(|side| self.packets(side)),
            bytes: self.directed(|side| self.bytes(side)),
            state: self.phase.flow_state(),
            reason,
            tcp: self.phase.tcp(),
            tcp_flags: self.directed(|side| self.tcp_flags.of(side)),
            smoothed_rtt_us: self.legs.of(Side::Low).micros() + self.legs.of(Side::High).micros(),
            handshake_rtt_us: if self.handshake.is_ambiguous() { 0 } else { self.handshake.micros() },
            retransmissions: self.directed(|side| self.retransmissions.of(side)),
            zero_windows: self.directed(|side| self.zero_windows.of(side)),
            verdict: self.action(),
            decision: self.decision(),
            generation: self.generation(),
            worker,
            port_in,
            port_out,
            nat: NatFlow::default(),
        }
    }

    /// Sets the number of packets that `side` sent, for tests of what happens after very many.
    #[cfg(test)]
    pub(super) fn skip_packets(&mut self, side: Side, packets: u64) {
        let traffic = self.traffic.of_mut(side);
        *traffic = (*traffic & BYTE_MASK) | packets >> u32::BITS << BYTE_BITS;
        *self.packets.of_mut(side) = u32::try_from(packets & u64::from(u32::MAX)).unwrap_or_default();
    }

    /// What policy decided; allow, if it was not asked.
    pub(super) const fn action(&self) -> Action {
        if self.has(Flag::DENIED) { Action::Deny } else { Action::Allow }
    }

    /// `[to server, to client]`.
    fn directed<T>(&self, of: impl Fn(Side) -> T) -> [T; 2] {
        let initiator = self.initiator();
        [of(initiator), of(initiator.other())]
    }
}
