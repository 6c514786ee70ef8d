//! Keys of WireGuard that change while the process runs, and nothing else with them.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use ravelin_config::{Report, types::IfName, wireguard::Wireguard};
use ravelin_dataplane::{policy::AddressSet, snapshot::Snapshot};

use super::{Reloader, peers};
use crate::compile::CompileError;

/// Why the keys of an interface cannot be taken over. Those before still are in force.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RotationError {
    /// There is no such interface.
    #[error("there is no WireGuard interface `{0}`")]
    Unknown(String),
    /// Its key has no file of its own.
    #[error("`{0}` has no `private_key_file`")]
    NoFile(String),
    /// Something is wrong with the files.
    #[error("the keys cannot be used\n\n{0}")]
    Keys(Report),
    /// They do not fit the rest of the configuration.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

impl Reloader {
    /// Brings into force what keys the files of an interface hold at `now`. Of the configuration nothing else is read; what was decided about
    /// flows still holds. Returns the name of the interface.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn take_keys(&mut self, interface: &str, now: Timestamp) -> Result<IfName, RotationError> {
        let all = &self.loaded.wireguards;
        let wireguard = all.iter().find(|wireguard| wireguard.name.as_str() == interface);
        let wireguard = wireguard.ok_or_else(|| RotationError::Unknown(interface.to_owned()))?;
        if wireguard.private_key_file.is_none() {
            return Err(RotationError::NoFile(interface.to_owned()));
        }
        let changed = wireguard.with_keys_of(now).map_err(RotationError::Keys)?;
        let name = changed.name.clone();
        self.replace_wireguards(|wireguard| (wireguard.name == changed.name).then(|| changed.clone()))?;
        Ok(name)
    }

    /// Has keys no longer be served whose time is over at `now`. Returns the interfaces that had such, each with how many peers had a session
    /// under the key.
    ///
    /// # Errors
    /// Why not; then they still are.
    pub fn end_rotations(&mut self, now: Timestamp) -> Result<Vec<(IfName, usize)>, CompileError> {
        let is_over = |wireguard: &Wireguard| {
            wireguard.previous_key.as_ref().is_some_and(|previous| previous.until <= now)
        };
        let over = self.loaded.wireguards.iter().filter(|wireguard| is_over(wireguard));
        let sessions = |name| self.tunnels.previous(name).map_or(0, |(_, sessions)| sessions);
        let over: Vec<_> = over.map(|it| (it.name.clone(), sessions(&it.name))).collect();
        if !over.is_empty() {
            self.replace_wireguards(|wireguard| {
                is_over(wireguard).then(|| Wireguard { previous_key: None, ..wireguard.clone() })
            })?;
        }
        Ok(over)
    }

    /// Publishes the configuration in force with other tunnels, where `change` says so.
    fn replace_wireguards(
        &mut self,
        change: impl Fn(&Wireguard) -> Option<Wireguard>,
    ) -> Result<(), CompileError> {
        let mut loaded = (*self.loaded).clone();
        for wireguard in &mut loaded.wireguards {
            if let Some(changed) = change(wireguard) {
                *wireguard = changed;
            }
        }
        let loaded = Arc::new(loaded);
        // Peers that have changed since it was loaded stay.
        let config = peers::with(&loaded, &self.live);
        let tunnels = self.tunnels.prepare(&config, &self.ports)?;
        let wireguard = self.tunnels.take_over(tunnels);
        let snapshot = Snapshot { wireguard, ..(*self.publisher.current()).clone() };
        self.publisher.publish_change(snapshot, &AddressSet::empty());
        (self.loaded, self.running) = (loaded, config);
        Ok(())
    }
}
