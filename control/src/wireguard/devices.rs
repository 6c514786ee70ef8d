use std::collections::BTreeSet;

use ravelin_config::{
    Config,
    wireguard::{Wireguard, WireguardRoutes},
};

use super::device::{self, Device};

/// Brings all interfaces to what a configuration says of them: addresses, MTU, routes. What cannot be is told in the log; the tunnels
/// themselves do not depend on it. `mtu` says how long packets of each may be.
pub fn apply(config: &Config, mtu: impl Fn(&Wireguard) -> u16) {
    for wireguard in config.wireguard_devices() {
        match device::apply(&device(wireguard, mtu(wireguard))) {
            Ok(problems) => {
                for problem in problems {
                    tracing::error!(interface = %wireguard.name, "{problem}");
                }
            }
            Err(error) => {
                tracing::error!(interface = %wireguard.name, %error, "its addresses and routes are not as they are configured");
            }
        }
    }
}

fn device(wireguard: &Wireguard, mtu: u16) -> Device {
    let prefixes = wireguard.peers.iter().flat_map(|peer| &peer.allowed_ips).copied();
    let routes: BTreeSet<_> = match wireguard.routes {
        WireguardRoutes::Off => BTreeSet::new(),
        WireguardRoutes::Auto | WireguardRoutes::Table(_) => prefixes.collect(),
    };
    Device {
        name: wireguard.name.to_string(),
        mtu: mtu.into(),
        addresses: wireguard.addresses.clone(),
        routes: routes.into_iter().collect(),
        table: match wireguard.routes {
            WireguardRoutes::Table(table) => Some(table),
            WireguardRoutes::Auto | WireguardRoutes::Off => None,
        },
    }
}
