//! A TCP connection as seen from the middle: states, sequence numbers, round-trip times.
//!
//! Nothing here drops a packet: what does not fit is counted in its flow and changes nothing else. So a forged RST or FIN
//! outside the window closes nothing, and a forged SYN resets nothing. When the ends have forgotten a connection and open
//! another under its name, it takes the SYN and the SYN+ACK that answers it to end the old one. Only of a connection that was
//! picked up is it not certain who opened it: a SYN of the other end, if it may pass, says so (`table.rs`).

use super::{
    Side,
    entry::{Entry, Flag, Micros24},
    phase::Phase,
};
use crate::parse::{TcpFields, tcp_flags};

/// The state of a TCP connection as seen from the middle, in the names that Suricata uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TcpState {
    /// Nothing seen.
    #[default]
    None,
    /// SYN seen.
    SynSent,
    /// SYN+ACK seen.
    SynRecv,
    /// Handshake complete, or picked up mid-stream.
    Established,
    /// One end has sent FIN.
    FinWait1,
    /// That FIN has been acknowledged.
    FinWait2,
    /// Both ends have sent FIN; the last one is not acknowledged.
    LastAck,
    /// Both FINs have been acknowledged.
    TimeWait,
    /// Reset.
    Closed,
}

impl TcpState {
    /// The state's name, as in Suricata's flow records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SynSent => "syn_sent",
            Self::SynRecv => "syn_recv",
            Self::Established => "established",
            Self::FinWait1 => "fin_wait1",
            Self::FinWait2 => "fin_wait2",
            Self::LastAck => "last_ack",
            Self::TimeWait => "time_wait",
            Self::Closed => "closed",
        }
    }
}

/// How far ahead of the expected sequence number, or behind it, a segment may lie and still belong to the connection.
const REACH: i32 = 1 << 26;
/// The same for RST, which must lie within a window without scaling (in the spirit of RFC 5961 section 3).
const RST_REACH: i32 = 0xffff;
/// The most data that a SYN carries: a server without TCP Fast Open does not acknowledge it (RFC 7413 section 4.2).
const SYN_DATA: i32 = 1460;
/// A measurement that is older than this when the next packet comes was of something else; so was a claim.
const PROBE_AGE: u64 = 60_000_000;

/// Whether no stack sends these flags: none at all, or two of SYN, FIN and RST.
pub(super) const fn is_malformed(flags: u8) -> bool {
    flags == 0 || (flags & (tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST)).count_ones() > 1
}

/// How a TCP packet that belongs to no flow starts one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// A connection request.
    Request,
    /// The answer to one: the connection was opened by the other end.
    Answer,
    /// Something in the middle.
    Midstream,
    /// A reset: there is nothing left to track.
    Reset,
}

impl Opening {
    pub(super) const fn of(flags: u8) -> Self {
        if flags & tcp_flags::RST != 0 {
            Self::Reset
        } else if flags & tcp_flags::SYN == 0 {
            Self::Midstream
        } else if flags & tcp_flags::ACK == 0 {
            Self::Request
        } else {
            Self::Answer
        }
    }
}

/// Takes a segment into account: `payload` bytes that `side` sent at `time` (microseconds). To be called before the
/// packet is counted, since it looks at when the one before it came.
pub(super) fn follow(entry: &mut Entry, side: Side, tcp: TcpFields, payload: u32, time: u64) {
    let Some(state) = entry.phase.tcp() else { return };
    let has = |flag: u8| tcp.flags & flag != 0;
    *entry.tcp_flags.of_mut(side) |= tcp.flags;
    if time.saturating_sub(entry.last()) > PROBE_AGE {
        entry.stop_probe();
    }

    if has(tcp_flags::RST) {
        if is_credible_reset(entry, state, side, tcp) {
            entry.phase = Phase::TcpClosed;
            entry.stop_probe();
            entry.raise(Flag::seen(side));
        }
        return;
    }
    if (state == TcpState::SynSent || has(tcp_flags::SYN)) && is_of_another(entry, state, side, tcp, payload)
    {
        return;
    }
    if tcp.window == 0 && !has(tcp_flags::SYN) {
        let count = entry.zero_windows.of_mut(side);
        *count = count.saturating_add(1);
    }

    // First what it acknowledges: that makes room for a measurement of what it carries.
    if has(tcp_flags::ACK) {
        acknowledge(entry, side, tcp.acknowledgement, time);
    }
    let fits = advance(entry, side, tcp, payload, time);
    entry.raise(Flag::seen(side));
    if state == TcpState::Established && !has(tcp_flags::SYN | tcp_flags::FIN) {
        return;
    }
    if has(tcp_flags::FIN) && fits {
        entry.raise(Flag::fin(side));
    }
    entry.phase = Phase::of_tcp(next(entry, state, side, tcp, time));
}

/// Whether a segment is of another connection under the same name, which this one must not learn from: what a responder
/// says before it has acknowledged the SYN, or a SYN that the initiator sends again with another sequence number. The
/// latter is kept as a claim, for [`claimed`].
#[cold]
fn is_of_another(entry: &mut Entry, state: TcpState, side: Side, tcp: TcpFields, payload: u32) -> bool {
    let syn = tcp.flags & tcp_flags::SYN != 0;
    let ack = tcp.flags & tcp_flags::ACK != 0;
    let initiates = side == entry.initiator();
    match state {
        // A challenge for a connection that the responder still remembers (RFC 5961 section 4), or that connection's data.
        TcpState::SynSent if !initiates => {
            if ack {
                !covers_syn(tcp.acknowledgement, entry.expected.of(side.other()))
            } else {
                !syn
            }
        }
        TcpState::None | TcpState::SynSent | TcpState::Closed => false,
        TcpState::SynRecv
        | TcpState::Established
        | TcpState::FinWait1
        | TcpState::FinWait2
        | TcpState::LastAck
        | TcpState::TimeWait => {
            let again = (-RST_REACH..=0).contains(&distance(tcp.sequence, entry.expected.of(side)));
            let claims = initiates && syn && !ack && !again;
            if claims {
                entry.claim(tcp.sequence.wrapping_add(payload + 1));
            }
            claims
        }
    }
}

/// Whether this is the SYN+ACK to a SYN with which the initiator asked for another connection, so that both ends have
/// forgotten the one that `entry` follows. Returns where that SYN ends, for [`resume`].
pub(super) fn claimed(entry: &Entry, side: Side, tcp: TcpFields, time: u64) -> Option<u32> {
    const ANSWER: u8 = tcp_flags::SYN | tcp_flags::ACK;
    if tcp.flags & (ANSWER | tcp_flags::RST | tcp_flags::FIN) != ANSWER || side == entry.initiator() {
        return None;
    }
    let fresh = time.saturating_sub(entry.last()) <= PROBE_AGE;
    entry.phase.tcp()?;
    entry.claimed().filter(|end| fresh && covers_syn(tcp.acknowledgement, *end))
}

/// Tells a new flow about the SYN that opened it, which ends before `end` and was counted in the flow before it.
pub(super) fn resume(entry: &mut Entry, end: u32) {
    let initiator = entry.initiator();
    *entry.expected.of_mut(initiator) = end;
    *entry.tcp_flags.of_mut(initiator) |= tcp_flags::SYN;
    entry.raise(Flag::seen(initiator));
    // It may have been sent more than once.
    entry.handshake = Micros24::AMBIGUOUS;
}

/// Whether a SYN that ends before `end` is acknowledged, with all of its data or without.
fn covers_syn(acknowledgement: u32, end: u32) -> bool {
    (0..=SYN_DATA).contains(&distance(end, acknowledgement))
}

/// Moves the expected sequence number on and starts a round-trip measurement. Returns whether the segment can belong to
/// the connection.
fn advance(entry: &mut Entry, side: Side, tcp: TcpFields, payload: u32, time: u64) -> bool {
    let syn = tcp.flags & tcp_flags::SYN != 0;
    let fin = tcp.flags & tcp_flags::FIN != 0;
    let length = payload + u32::from(syn) + u32::from(fin);
    let end = tcp.sequence.wrapping_add(length);
    if entry.has(Flag::seen(side)) && tcp.sequence != entry.expected.of(side) {
        match place(entry, side, tcp, payload, end) {
            Order::Foreign => return false,
            Order::Old => return true,
            Order::Ahead => {}
        }
    }
    *entry.expected.of_mut(side) = end;
    if length > 0 && !entry.is_probing() {
        entry.start_probe(side, end, low_half(time));
    }
    true
}

/// Where a segment lies that is not the next one.
enum Order {
    /// Nowhere near.
    Foreign,
    /// Behind, at least with its beginning.
    Old,
    /// Beyond segments that did not come this way, or the first of another attempt to connect.
    Ahead,
}

/// Places a segment that is not the next one, which ends before `end`, and counts it if it was sent before.
#[cold]
fn place(entry: &mut Entry, side: Side, tcp: TcpFields, payload: u32, end: u32) -> Order {
    let expected = entry.expected.of(side);
    let control = tcp.flags & (tcp_flags::SYN | tcp_flags::FIN) != 0;
    let syn = tcp.flags & tcp_flags::SYN != 0;
    if syn && entry.phase == Phase::TcpSynSent && side == entry.initiator() && end != expected {
        // An initiator that tries again with another sequence number has given up on the first.
        entry.handshake = Micros24::AMBIGUOUS;
        entry.stop_probe();
        return Order::Ahead;
    }
    if syn
        && tcp.flags & tcp_flags::ACK != 0
        && entry.phase == Phase::TcpSynRecv
        && side != entry.initiator()
        && covers_syn(tcp.acknowledgement, entry.expected.of(side.other()))
        && !(-RST_REACH..=0).contains(&distance(end, expected))
    {
        // What came before it was not the answer to this SYN, or the responder has started anew.
        entry.handshake = Micros24::AMBIGUOUS;
        entry.stop_probe();
        return Order::Ahead;
    }
    let gap = distance(tcp.sequence, expected);
    if !(-REACH..=REACH).contains(&gap) {
        return Order::Foreign;
    }
    if gap > 0 {
        return Order::Ahead;
    }
    if distance(end, expected) > 0 {
        *entry.expected.of_mut(side) = end;
    }
    let keeps_alive = gap == -1 && payload <= 1;
    if control || (payload > 0 && !keeps_alive) {
        let count = entry.retransmissions.of_mut(side);
        *count = count.saturating_add(1);
        // Karn's algorithm: an answer could be to either copy.
        if entry.probes(side) {
            entry.stop_probe();
        }
        if syn {
            entry.handshake = Micros24::AMBIGUOUS;
        }
    }
    Order::Old
}

/// Takes note of what `side` says that it has received.
fn acknowledge(entry: &mut Entry, side: Side, acknowledgement: u32, time: u64) {
    let other = side.other();
    if entry.probes(other) && (0..=REACH).contains(&distance(acknowledgement, entry.probe_sequence)) {
        // RFC 6298 section 2: the first sample is taken as it is, later ones count for an eighth.
        let sample = low_half(time).wrapping_sub(entry.probe_time);
        let leg = entry.legs.of_mut(other);
        let smoothed = match leg.micros() {
            0 => u64::from(sample),
            before => (u64::from(before) * 7 + u64::from(sample) + 4) / 8,
        };
        *leg = Micros24::new(u32::try_from(smoothed).unwrap_or(u32::MAX).max(1));
        entry.stop_probe();
    }
    if !entry.has(Flag::seen(other)) {
        // The best guess at where the other end stands; a reset without a flow before it is checked against this.
        *entry.expected.of_mut(other) = acknowledgement;
    } else if entry.has(Flag::fin(other)) && distance(acknowledgement, entry.expected.of(other)) >= 0 {
        entry.raise(Flag::fin_acked(other));
    }
}

/// The state after a segment that is not a reset.
fn next(entry: &mut Entry, state: TcpState, side: Side, tcp: TcpFields, time: u64) -> TcpState {
    let initiator = entry.initiator();
    let responder = initiator.other();
    let syn = tcp.flags & tcp_flags::SYN != 0;
    let ack = tcp.flags & tcp_flags::ACK != 0;
    let behind = |side: Side| distance(entry.expected.of(side), tcp.acknowledgement);

    let opened = match state {
        TcpState::None | TcpState::SynSent if side == responder => match (syn, ack) {
            (true, false) => TcpState::SynRecv,
            (true, true) if covers_syn(tcp.acknowledgement, entry.expected.of(initiator)) => {
                TcpState::SynRecv
            }
            // The SYN+ACK went another way.
            (false, true) if covers_syn(tcp.acknowledgement, entry.expected.of(initiator)) => {
                TcpState::Established
            }
            (_, true) | (false, false) => state,
        },
        TcpState::SynRecv if side == initiator && ack && (0..=RST_REACH).contains(&behind(responder)) => {
            if !entry.handshake.is_ambiguous() {
                let took = u32::try_from(time.saturating_sub(entry.first())).unwrap_or(u32::MAX);
                entry.handshake = Micros24::new(took.max(1));
            }
            TcpState::Established
        }
        TcpState::None
        | TcpState::SynSent
        | TcpState::SynRecv
        | TcpState::Established
        | TcpState::FinWait1
        | TcpState::FinWait2
        | TcpState::LastAck
        | TcpState::TimeWait => state,
        TcpState::Closed => return state,
    };
    let both = |flag: fn(Side) -> Flag| (entry.has(flag(Side::Low)), entry.has(flag(Side::High)));
    match (both(Flag::fin), both(Flag::fin_acked)) {
        ((false, false), _) => opened,
        ((true, true), (true, true)) => TcpState::TimeWait,
        ((true, true), _) => TcpState::LastAck,
        ((true, false), (true, _)) | ((false, true), (_, true)) => TcpState::FinWait2,
        ((true, false), (false, _)) | ((false, true), (_, false)) => TcpState::FinWait1,
    }
}

/// Whether a reset can come from the end that it claims to come from.
fn is_credible_reset(entry: &Entry, state: TcpState, side: Side, tcp: TcpFields) -> bool {
    let other = side.other();
    if state == TcpState::SynSent && side != entry.initiator() {
        // RFC 9293 section 3.10.7.3: the refusal of a SYN acknowledges it.
        return tcp.flags & tcp_flags::ACK != 0 && tcp.acknowledgement == entry.expected.of(other);
    }
    distance(tcp.sequence, entry.expected.of(side)).abs() <= RST_REACH
}

/// How far `a` is ahead of `b`; negative if it is behind (RFC 9293 section 3.4).
const fn distance(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn low_half(time: u64) -> u32 {
    time as u32
}
