use super::Verdict;
use ravelin_config::types::{IpNet, Protocol};

/// A port of hosts that no policy can shut.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failsafe {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// Only for partners in this network.
    pub net: Option<IpNet>,
    /// The destination port.
    pub port: u16,
}

/// The part of `[policy]` that verdicts depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The verdict on flows of which neither end is an endpoint.
    pub unknown: Verdict,
    /// Flows to hosts that are allowed before any policy is asked.
    pub inbound: Vec<Failsafe>,
    /// Flows from hosts that are allowed before any policy is asked.
    pub outbound: Vec<Failsafe>,
}

impl Default for Settings {
    /// The failsafe ports of 1.10.
    fn default() -> Self {
        let list = |ports: &[(Protocol, u16)]| {
            ports
                .iter()
                .map(|(protocol, port)| Failsafe { protocol: *protocol, net: None, port: *port })
                .collect()
        };
        let (tcp, udp) = (Protocol::TCP, Protocol::UDP);
        let common = [179, 2379, 2380, 5473, 6443, 6666, 6667].map(|port| (tcp, port));
        Self {
            unknown: Verdict::Allow,
            inbound: list(&[&[(tcp, 22), (udp, 68)], &common[..]].concat()),
            outbound: list(&[&[(udp, 53), (udp, 67)], &common[..]].concat()),
        }
    }
}
