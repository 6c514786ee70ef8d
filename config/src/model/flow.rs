use crate::schema::{
    parser::{DurationParser, duration, integer, word},
    section,
    word::words,
};
use crate::types::Exception;
use std::time::Duration;

words! {
    /// Which flows may make room for new ones.
    pub enum Evict {
        /// The oldest of those that only one side has spoken in. Established flows stay.
        Unreplied = "unreplied",
        /// None.
        None = "none",
    }
}

words! {
    /// What happens to TCP whose handshake was not seen.
    pub enum Midstream {
        /// It becomes a flow, and is judged like a new one.
        Pickup = "pickup",
        /// It is dropped.
        Drop = "drop",
    }
}

section! {
    /// The flow table.
    pub struct Flow in "flow" {
        /// Flows in all, divided over the workers.
        capacity: usize = 1_000_000 => integer(1024..=100_000_000), Restart;
        /// What happens to a packet that needs a flow when the table is full: it is dropped (`drop`), or
        /// judged by the rules and passed untracked if they allow it (`forward`).
        full: Exception = Exception::Drop => word(), Live;
        /// Which flows make room when the table is full: those that only one side has spoken in
        /// (`unreplied`), or none.
        evict: Evict = Evict::Unreplied => word(), Live;
        /// What happens to TCP whose handshake was not seen: judged and tracked (`pickup`), or dropped.
        midstream: Midstream = Midstream::Pickup => word(), Live;
    }
    with {
        /// How long a flow may be silent.
        timeouts: Timeouts;
    }
}

section! {
    /// How long a flow may be silent before it is forgotten, by protocol and state.
    pub struct Timeouts in "flow.timeouts" {
        /// TCP before the handshake is complete.
        #[serde(serialize_with = "crate::duration::serialize")]
        tcp_syn: Duration = Duration::from_secs(30) => timeout(), Live;
        /// TCP after the handshake.
        #[serde(serialize_with = "crate::duration::serialize")]
        tcp_established: Duration = Duration::from_hours(1) => timeout(), Live;
        /// TCP after the first FIN.
        #[serde(serialize_with = "crate::duration::serialize")]
        tcp_closing: Duration = Duration::from_secs(30) => timeout(), Live;
        /// TCP after both FINs or a RST.
        #[serde(serialize_with = "crate::duration::serialize")]
        tcp_closed: Duration = Duration::from_secs(10) => timeout(), Live;
        /// UDP that only one side has spoken in.
        #[serde(serialize_with = "crate::duration::serialize")]
        udp_new: Duration = Duration::from_secs(30) => timeout(), Live;
        /// UDP that both sides have spoken in.
        #[serde(serialize_with = "crate::duration::serialize")]
        udp_established: Duration = Duration::from_mins(3) => timeout(), Live;
        /// ICMP and ICMPv6.
        #[serde(serialize_with = "crate::duration::serialize")]
        icmp: Duration = Duration::from_secs(30) => timeout(), Live;
        /// Other protocols that only one side has spoken in.
        #[serde(serialize_with = "crate::duration::serialize")]
        other_new: Duration = Duration::from_secs(30) => timeout(), Live;
        /// Other protocols that both sides have spoken in.
        #[serde(serialize_with = "crate::duration::serialize")]
        other_established: Duration = Duration::from_mins(5) => timeout(), Live;
    }
}

/// What a timeout may be. The upper bound fits a 32-bit count of milliseconds.
pub(crate) const fn timeout() -> DurationParser {
    duration(Duration::from_millis(1)..=Duration::from_hours(30 * 24))
}
