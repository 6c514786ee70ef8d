//! Keys of WireGuard that change while the process runs.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Appliance, whole_seconds, wireguard};
use crate::{
    api::view::WireguardInterface,
    reload::{Reloader, RotationError},
};

impl Appliance {
    /// Has an interface take over the keys that its files hold now, and waits a bounded time until every worker has them.
    ///
    /// # Errors
    /// [`RotationError`]; then nothing has changed.
    pub async fn take_keys(&self, interface: &str) -> Result<WireguardInterface, RotationError> {
        let mut reloader = self.reloader.lock().await;
        let refused =
            |error: &RotationError| tracing::error!(%interface, %error, "its keys stay what they are");
        let name = reloader.take_keys(interface, Timestamp::now()).inspect_err(refused)?;
        self.keys_changed(&mut reloader).await;
        let unknown = || RotationError::Unknown(interface.to_owned());
        let all = &reloader.running().wireguards;
        let wireguard = all.iter().find(|wireguard| wireguard.name == name).ok_or_else(unknown)?;
        match &wireguard.previous_key {
            Some(previous) => {
                tracing::info!(%interface, until = whole_seconds(previous.until), "it has another key; the one before is still served");
            }
            None => tracing::info!(%interface, "its keys were read again; none before is served"),
        }
        self.interface_view(&reloader, wireguard).ok_or_else(unknown)
    }

    /// Has keys no longer be served whose time is over.
    pub(super) async fn end_rotations(&self, reloader: &mut Reloader) {
        match reloader.end_rotations(Timestamp::now()) {
            Ok(over) if over.is_empty() => {}
            Ok(over) => {
                self.keys_changed(reloader).await;
                for (interface, sessions) in over {
                    tracing::info!(%interface, sessions, "the key before is no longer served, and sessions under it have ended");
                }
            }
            Err(error) => tracing::error!(%error, "keys are still served whose time is over"),
        }
    }

    async fn keys_changed(&self, reloader: &mut Reloader) {
        {
            let mut in_force = self.in_force.lock();
            in_force.config = Arc::clone(reloader.running());
            in_force.generation = reloader.generation();
        }
        for worker in reloader.settle(Self::PATIENCE, |worker| self.roster.wake(worker)).await {
            tracing::error!(%worker, "the worker has not taken over the keys yet");
        }
    }

    fn interface_view(
        &self,
        reloader: &Reloader,
        wireguard: &ravelin_config::wireguard::Wireguard,
    ) -> Option<WireguardInterface> {
        let workers = u8::try_from(self.roster.members().len()).unwrap_or(u8::MAX);
        wireguard::interface(reloader, wireguard, workers)
    }
}
