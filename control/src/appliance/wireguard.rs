//! The interfaces of WireGuard as the running process has them.

use super::Appliance;
use crate::api::view::WireguardInterface;

impl Appliance {
    /// Every interface with its peers, in the order of the configuration, which cannot name any yet.
    pub fn wireguard(&self) -> Vec<WireguardInterface> {
        Vec::new()
    }
}
