//! The interfaces of tunnels among those that AF_XDP takes over.

use ravelin_config::{Config, wireguard::Wireguard};
use ravelin_dataplane::io::af_xdp::{AttachChoice, InterfaceSettings, Role, WithoutProcess};

use super::PortsError;
use crate::wireguard::device;

/// Makes them, unless they are there; the names of those that were not are added to `made`.
pub(super) fn make(config: &Config, queues: usize, made: &mut Vec<String>) -> Result<(), PortsError> {
    for wireguard in config.wireguard_devices() {
        let name = wireguard.name.as_str();
        let is_new = device::make(name, queues)
            .map_err(|error| PortsError::Refused(format!("the interface {name} cannot be made: {error}")))?;
        made.extend(is_new.then(|| name.to_owned()));
    }
    Ok(())
}

/// Removes them; returns what went wrong.
pub(super) fn remove(names: &[String]) -> Vec<String> {
    let removed = names.iter().map(|name| (name, device::remove(name)));
    removed
        .filter_map(|(name, result)| Some(format!("{name} cannot be removed: {}", result.err()?)))
        .collect()
}

/// How our ends of them are taken over.
pub(super) fn settings(config: &Config) -> impl Iterator<Item = InterfaceSettings> {
    let settings = |wireguard: &Wireguard| InterfaceSettings {
        name: device::port_name(wireguard.name.as_str()),
        // The kernel makes no large segments only for a program that is native.
        attach: AttachChoice::Native,
        // What would leave in a tunnel leaves in no other way.
        without_process: WithoutProcess::Closed,
        role: Role::Whole,
    };
    config.wireguard_devices().map(settings)
}
