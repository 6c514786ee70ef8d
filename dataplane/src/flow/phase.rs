//! How far a flow has come, and how long it may be idle there.

use std::time::Duration;

use ravelin_config::types::Protocol;

use super::{FlowState, TcpState, Timeouts};

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Tcp(TcpState),
    UdpNew,
    UdpEstablished,
    IcmpNew,
    IcmpEstablished,
    OtherNew,
    OtherEstablished,
}

const _: () = assert!(size_of::<Phase>() == 1);

impl Phase {
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
            Self::Tcp(_) | Self::UdpEstablished | Self::IcmpEstablished | Self::OtherEstablished => self,
        }
    }

    /// The state as written in records.
    pub(super) const fn flow_state(self) -> FlowState {
        match self {
            Self::Tcp(TcpState::None | TcpState::SynSent | TcpState::SynRecv)
            | Self::UdpNew
            | Self::IcmpNew
            | Self::OtherNew => FlowState::New,
            Self::Tcp(TcpState::Established | TcpState::FinWait1 | TcpState::FinWait2)
            | Self::UdpEstablished
            | Self::IcmpEstablished
            | Self::OtherEstablished => FlowState::Established,
            Self::Tcp(TcpState::LastAck | TcpState::TimeWait | TcpState::Closed) => FlowState::Closed,
        }
    }

    pub(super) const fn is_established(self) -> bool {
        matches!(self.flow_state(), FlowState::Established)
    }

    pub(super) const fn is_closed(self) -> bool {
        matches!(self.flow_state(), FlowState::Closed)
    }

    /// The TCP state, if this is TCP.
    pub(super) const fn tcp(self) -> Option<TcpState> {
        match self {
            Self::Tcp(state) => Some(state),
            Self::UdpNew
            | Self::UdpEstablished
            | Self::IcmpNew
            | Self::IcmpEstablished
            | Self::OtherNew
            | Self::OtherEstablished => None,
        }
    }
}

/// The configured timeouts, in microseconds.
#[derive(Debug)]
pub(super) struct Limits {
    source: Timeouts,
    tcp_syn: u64,
    tcp_established: u64,
    tcp_closing: u64,
    tcp_closed: u64,
    udp_new: u64,
    udp_established: u64,
    icmp: u64,
    other_new: u64,
    other_established: u64,
}

impl Limits {
    pub(super) fn new(source: &Timeouts) -> Self {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self {
            source: *source,
            tcp_syn: micros(source.tcp_syn),
            tcp_established: micros(source.tcp_established),
            tcp_closing: micros(source.tcp_closing),
            tcp_closed: micros(source.tcp_closed),
            udp_new: micros(source.udp_new),
            udp_established: micros(source.udp_established),
            icmp: micros(source.icmp),
            other_new: micros(source.other_new),
            other_established: micros(source.other_established),
        }
    }

    /// Whether these are the limits that `source` means.
    pub(super) fn are(&self, source: &Timeouts) -> bool {
        self.source == *source
    }

    /// How long a flow may be idle in `phase`.
    pub(super) const fn of(&self, phase: Phase) -> u64 {
        match phase {
            Phase::Tcp(TcpState::None | TcpState::SynSent | TcpState::SynRecv) => self.tcp_syn,
            Phase::Tcp(TcpState::Established) => self.tcp_established,
            Phase::Tcp(TcpState::FinWait1 | TcpState::FinWait2) => self.tcp_closing,
            Phase::Tcp(TcpState::LastAck | TcpState::TimeWait | TcpState::Closed) => self.tcp_closed,
            Phase::UdpNew => self.udp_new,
            Phase::UdpEstablished => self.udp_established,
            Phase::IcmpNew | Phase::IcmpEstablished => self.icmp,
            Phase::OtherNew => self.other_new,
            Phase::OtherEstablished => self.other_established,
        }
    }
}
