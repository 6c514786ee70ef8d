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
