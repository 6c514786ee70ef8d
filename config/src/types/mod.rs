//! Vocabulary shared by configuration and packet path: small types whose values are legal by construction.

mod ip_range;
mod mss_clamp;
mod name;
mod port_range;
mod protocol;
#[cfg(test)]
mod tests;

pub use crate::wireguard::{PeerEndpoint, PresharedKey, PrivateKey, PublicKey, WireguardRoutes};
pub use ip_range::IpRange;
pub use ipnet::IpNet;
pub use mss_clamp::MssClamp;
pub use name::{BridgeName, IfName, IfNameError, NameError};
pub use port_range::{PortRange, PortRangeError};
pub use protocol::{Protocol, ProtocolError};

use serde::{Deserialize, Serialize};

/// What happens to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The flow's packets go on.
    Allow,
    /// The flow's packets are dropped without an answer.
    Deny,
    /// The flow's packets are dropped and their sender is told.
    Reject,
}

/// Which way the first packet of a flow crosses a bridge. The first port of a bridge is its outside, the
/// second its inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the outside port to the inside port.
    Ingress,
    /// From the inside port to the outside port.
    Egress,
}

/// What to do with a packet when the thing that should judge it cannot: a full table, a packet without a
/// flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exception {
    /// Drop the packet, under its own drop reason.
    Drop,
    /// Judge the packet by the rules alone and let it pass untracked if they allow it.
    Forward,
}
