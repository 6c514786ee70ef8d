//! Peers of the running process, changed.

use std::path::PathBuf;

use ravelin_config::types::PrivateKey;
use x25519_dalek::{PublicKey, StaticSecret};

use super::show;
use crate::{
    api::{
        client,
        view::{WireguardChange, WireguardChanged, WireguardInterface},
    },
    cli::{Failure, target},
};

/// An interface of the running process, as it is before the change.
pub(super) struct Running {
    socket: PathBuf,
    pub(super) interface: WireguardInterface,
}

impl Running {
    pub(super) fn find(target: &target::Target, name: &str, json: bool) -> Result<Self, Failure> {
        let socket = target.socket(json)?;
        let all: Vec<WireguardInterface> =
            target::block_on(async { Ok(client::get(&socket, "/wireguard").await?) })?;
        let interface = show::find(&all, name)?.clone();
        Ok(Self { socket, interface })
    }

    /// Whether a private key is the interface's.
    pub(super) fn has_key(&self, key: &PrivateKey) -> bool {
        let public = PublicKey::from(&StaticSecret::from(*key.reveal()));
        ravelin_config::types::PublicKey(public.to_bytes()).to_string() == self.interface.public_key
    }

    /// Has the process make a change, and says for how long it holds.
    pub(super) fn change(&self, change: &WireguardChange, json: bool) -> Result<(), Failure> {
        let path = format!("/wireguard/{}/peers", self.interface.name);
        let changed: WireguardChanged =
            target::block_on(async { Ok(client::send_json(&self.socket, &path, change).await?) })?;
        if json {
            target::print_json(&changed, false)?;
        } else if changed.changes.is_empty() {
            eprintln!("ravelin: nothing differs from what is so already");
        } else {
            let config = &changed.config;
            eprintln!(
                "ravelin: this holds until the next `ravelin reload` or restart; to keep it, write it into {config}, or what that names"
            );
        }
        behind(&changed)
    }
}

fn behind(changed: &WireguardChanged) -> Result<(), Failure> {
    if changed.behind.is_empty() {
        return Ok(());
    }
    let workers: Vec<_> = changed.behind.iter().map(ToString::to_string).collect();
    Err(Failure::failed(format_args!("worker {} has not taken it over yet", workers.join(", ")))
        .help("`ravelin show workers` tells whether it makes progress"))
}
