use std::time::Duration;

use ravelin_config::types::Exception;

/// How connections are tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowSettings {
    /// What happens to the first packet of a flow for which there is no room.
    pub full: Exception,
    /// What may be evicted to make room.
    pub evict: Evict,
    /// What happens to a TCP packet that belongs to no flow and does not open one.
    pub midstream: Midstream,
    /// How long an idle flow is kept.
    pub timeouts: Timeouts,
}

impl Default for FlowSettings {
    fn default() -> Self {
        Self {
            full: Exception::Drop,
            evict: Evict::Unreplied,
            midstream: Midstream::Pickup,
            timeouts: Timeouts::default(),
        }
    }
}

/// What may be evicted when the flow table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evict {
    /// Flows that have expired or closed, and flows in which only one end has spoken. Never an established one.
    Unreplied,
    /// Only flows that have expired.
    Expired,
}

/// What happens to a TCP packet that belongs to no flow and is not a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Midstream {
    /// It opens a flow whose handshake was not seen.
    Pickup,
    /// It is dropped as `tcp_midstream`.
    Drop,
}

/// How long an idle flow is kept, by protocol and state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP, handshake not complete.
    pub tcp_syn: Duration,
    /// TCP, established.
    pub tcp_established: Duration,
    /// TCP, one end has sent FIN.
    pub tcp_closing: Duration,
    /// TCP, both ends have sent FIN, or one RST.
    pub tcp_closed: Duration,
    /// UDP, only one end has spoken.
    pub udp_new: Duration,
    /// UDP, both ends have spoken.
    pub udp_established: Duration,
    /// ICMP and ICMPv6.
    pub icmp: Duration,
    /// Any other protocol, only one end has spoken.
    pub other_new: Duration,
    /// Any other protocol, both ends have spoken.
    pub other_established: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp_syn: Duration::from_secs(30),
            tcp_established: Duration::from_secs(3600),
            tcp_closing: Duration::from_secs(30),
            tcp_closed: Duration::from_secs(10),
            udp_new: Duration::from_secs(30),
            udp_established: Duration::from_secs(180),
            icmp: Duration::from_secs(30),
            other_new: Duration::from_secs(30),
            other_established: Duration::from_secs(300),
        }
    }
}
