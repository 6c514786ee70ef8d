use ravelin_config::types::Action;

use super::{FlowKey, Side, entry::Entry, tcp::TcpState};
use crate::{
    clock::Timestamp,
    forward::Plan,
    handoff::WorkerId,
    io::PortId,
    nat::{Alias, NatFlow},
    policy::{DecisionId, Zone},
};

/// Whether both ends have spoken, in Suricata's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FlowState {
    /// Only the initiator has sent.
    #[default]
    New,
    /// Packets in both directions; for TCP, the handshake is complete or was picked up mid-stream.
    Established,
    /// TCP: closed by FIN in both directions or by RST.
    Closed,
}

/// Why a flow ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Idle for longer than its state allows.
    Timeout,
    /// A change of policy decided otherwise about it: it goes on under another decision, and another record.
    Policy,
    /// Evicted to make room, or a TCP connection whose ports opened a new one.
    Forced,
    /// The appliance stopped, or the capture ended.
    Shutdown,
    /// Not ended: a view of a live flow.
    Active,
}

/// Everything that is written about a flow. `[to server, to client]` in every pair.
#[derive(Clone, Copy, Debug)]
pub struct FlowRecord {
    /// Who talks to whom.
    pub key: FlowKey,
    /// The end that opened the connection: the source of the first packet seen (corrected by a SYN+ACK seen first).
    pub initiator: Side,
    /// When the first packet came.
    pub first: Timestamp,
    /// When the last packet came.
    pub last: Timestamp,
    /// When the flow ended: its last packet plus its timeout, or the moment of eviction or shutdown.
    pub ended: Timestamp,
    /// Packets.
    pub packets: [u64; 2],
    /// Bytes, as whole frames on the link.
    pub bytes: [u64; 2],
    /// Whether both ends have spoken.
    pub state: FlowState,
    /// Why it ended.
    pub reason: EndReason,
    /// TCP connection state; `None` for other protocols.
    pub tcp: Option<TcpState>,
    /// TCP flags seen, or-ed.
    pub tcp_flags: [u8; 2],
    /// Smoothed round-trip time in microseconds, RFC 6298; zero if never measured. The sum of two figures, one for the leg
    /// from here to either end; each is measured while the other end sends something that has to be acknowledged.
    pub smoothed_rtt_us: u32,
    /// Round-trip time of the handshake in microseconds (SYN to the ACK that completes it); zero if it was not seen whole, or
    /// a part of it was sent twice (Karn's algorithm). Saturates at 16.7 seconds.
    pub handshake_rtt_us: u32,
    /// Segments sent again. Saturates.
    pub retransmissions: [u16; 2],
    /// Segments that announced a zero window. Saturates.
    pub zero_windows: [u8; 2],
    /// What policy decided.
    pub verdict: Action,
    /// The decision of the worker's log by which it was: why, and by which rules.
    pub decision: DecisionId,
    /// The generation of the snapshot that decided.
    pub generation: u32,
    /// The worker that owned the flow.
    pub worker: WorkerId,
    /// The port that the initiator's packets come in at.
    pub port_in: PortId,
    /// The port that they leave, or would leave, through; the same as `port_in` if there is none.
    pub port_out: PortId,
    /// What the ends are known as to each other.
    pub nat: NatFlow,
}

/// A record as the worker hands it over: the flow as its table kept it. Whoever reads it takes it apart, so that the worker,
/// which may end a million flows a second, has nothing to do but copy it.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord {
    entry: Entry,
    alias: Alias,
    /// When the flow ended, in microseconds.
    ended: u64,
    reason: EndReason,
    worker: WorkerId,
}

impl RawRecord {
    pub(super) const fn new(
        entry: &Entry,
        alias: Alias,
        ended: u64,
        reason: EndReason,
        worker: WorkerId,
    ) -> Self {
        Self { entry: *entry, alias, ended, reason, worker }
    }

    pub(super) const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// What policy decided.
    pub const fn verdict(&self) -> Action {
        self.entry.action()
    }

    /// The zones of the ports that packets of its initiator come in and leave through.
    pub fn zones(&self, plan: &Plan) -> [Zone; 2] {
        self.entry.ports().map(|port| plan.zone(port))
    }

    /// Everything that is written about the flow.
    pub fn read(&self) -> FlowRecord {
        FlowRecord { nat: self.alias.known(), ..self.entry.record(self.ended, self.reason, self.worker) }
    }
}

/// Where ended flows go. Must not block: what cannot be taken is counted as lost by the caller.
pub trait RecordSink {
    /// Takes a record.
    ///
    /// # Errors
    /// The record is not taken because there is no room.
    fn push(&mut self, record: &RawRecord) -> Result<(), RecordLost>;
}

/// There was no room for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for a flow record")]
pub struct RecordLost;
