//! How far a flow has come, and how long it may be idle there.

use ravelin_config::types::Protocol;

use super::{FlowState, TcpState, Timeouts};

/// How far a flow has come: the TCP states, and two for each other kind of flow. Flat, so that it is one byte that tables can
/// be asked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    TcpNone,
    TcpSynSent,
    TcpSynRecv,
    TcpEstablished,
    TcpFinWait1,
    TcpFinWait2,
    TcpLastAck,
    TcpTimeWait,
    TcpClosed,
    UdpNew,
    UdpEstablished,
    IcmpNew,
    IcmpEstablished,
    OtherNew,
    OtherEstablished,
}

impl Phase {
    const ALL: [Self; 15] = [
        Self::TcpNone,
        Self::TcpSynSent,
        Self::TcpSynRecv,
        Self::TcpEstablished,
        Self::TcpFinWait1,
        Self::TcpFinWait2,
        Self::TcpLastAck,
        Self::TcpTimeWait,
        Self::TcpClosed,
        Self::UdpNew,
        Self::UdpEstablished,
        Self::IcmpNew,
        Self::IcmpEstablished,
        Self::OtherNew,
        Self::OtherEstablished,
    ];

    /// A TCP connection in this state.
    pub(super) const fn of_tcp(state: TcpState) -> Self {
        match state {
            TcpState::None => Self::TcpNone,
            TcpState::SynSent => Self::TcpSynSent,
            TcpState::SynRecv => Self::TcpSynRecv,
            TcpState::Established => Self::TcpEstablished,
            TcpState::FinWait1 => Self::TcpFinWait1,
            TcpState::FinWait2 => Self::TcpFinWait2,
            TcpState::LastAck => Self::TcpLastAck,
            TcpState::TimeWait => Self::TcpTimeWait,
            TcpState::Closed => Self::TcpClosed,
        }
    }

    /// The TCP state, if this is TCP.
    pub(super) const fn tcp(self) -> Option<TcpState> {
        match self {
            Self::TcpNone => Some(TcpState::None),
            Self::TcpSynSent => Some(TcpState::SynSent),
            Self::TcpSynRecv => Some(TcpState::SynRecv),
            Self::TcpEstablished => Some(TcpState::Established),
            Self::TcpFinWait1 => Some(TcpState::FinWait1),
            Self::TcpFinWait2 => Some(TcpState::FinWait2),
            Self::TcpLastAck => Some(TcpState::LastAck),
            Self::TcpTimeWait => Some(TcpState::TimeWait),
            Self::TcpClosed => Some(TcpState::Closed),
            Self::UdpNew
            | Self::UdpEstablished
            | Self::IcmpNew
            | Self::IcmpEstablished
            | Self::OtherNew
            | Self::OtherEstablished => None,
        }
    }

    /// A flow of a protocol other than TCP in which one end has spoken.
    pub(super) const fn unanswered(protocol: Protocol) -> Self {
        match protocol {
            Protocol::UDP => Self::UdpNew,
            Protocol::ICMP | Protocol::ICMPV6 => Self::IcmpNew,
            _ => Self::OtherNew,
        }
    }

    /// The same flow after the other end has spoken. TCP has its own ways.
    pub(super) const fn answered(self) -> Self {
        match self {
            Self::UdpNew => Self::UdpEstablished,
            Self::IcmpNew => Self::IcmpEstablished,
            Self::OtherNew => Self::OtherEstablished,
            Self::TcpNone
            | Self::TcpSynSent
            | Self::TcpSynRecv
            | Self::TcpEstablished
            | Self::TcpFinWait1
            | Self::TcpFinWait2
            | Self::TcpLastAck
            | Self::TcpTimeWait
            | Self::TcpClosed
            | Self::UdpEstablished
            | Self::IcmpEstablished
            | Self::OtherEstablished => self,
        }
    }

    /// The state as written in records.
    pub(super) const fn flow_state(self) -> FlowState {
        match self {
            Self::TcpNone
            | Self::TcpSynSent
            | Self::TcpSynRecv
            | Self::UdpNew
            | Self::IcmpNew
            | Self::OtherNew => FlowState::New,
            Self::TcpEstablished
            | Self::TcpFinWait1
            | Self::TcpFinWait2
            | Self::UdpEstablished
            | Self::IcmpEstablished
            | Self::OtherEstablished => FlowState::Established,
            Self::TcpLastAck | Self::TcpTimeWait | Self::TcpClosed => FlowState::Closed,
        }
    }

    pub(super) const fn is_established(self) -> bool {
        matches!(self.flow_state(), FlowState::Established)
    }

    pub(super) const fn is_closed(self) -> bool {
        matches!(self.flow_state(), FlowState::Closed)
    }
}

/// The configured timeouts, in microseconds, by phase.
#[derive(Debug)]
pub(super) struct Limits {
    source: Timeouts,
    by_phase: [u64; Phase::ALL.len()],
}

impl Limits {
    pub(super) fn new(source: &Timeouts) -> Self {
        let by_phase = Phase::ALL.map(|phase| {
            let limit = match phase {
                Phase::TcpNone | Phase::TcpSynSent | Phase::TcpSynRecv => source.tcp_syn,
                Phase::TcpEstablished => source.tcp_established,
                Phase::TcpFinWait1 | Phase::TcpFinWait2 => source.tcp_closing,
                Phase::TcpLastAck | Phase::TcpTimeWait | Phase::TcpClosed => source.tcp_closed,
                Phase::UdpNew => source.udp_new,
                Phase::UdpEstablished => source.udp_established,
                Phase::IcmpNew | Phase::IcmpEstablished => source.icmp,
                Phase::OtherNew => source.other_new,
                Phase::OtherEstablished => source.other_established,
            };
            u64::try_from(limit.as_micros()).unwrap_or(u64::MAX)
        });
        Self { source: *source, by_phase }
    }

    /// Whether these are the limits that `source` means.
    pub(super) fn are(&self, source: &Timeouts) -> bool {
        self.source == *source
    }

    /// How long a flow may be idle in `phase`.
    pub(super) fn of(&self, phase: Phase) -> u64 {
        self.by_phase.get(phase as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_stand_in_order() {
        for (index, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, index);
            assert!(phase.tcp().is_none_or(|state| Phase::of_tcp(state) == phase));
        }
    }
}
