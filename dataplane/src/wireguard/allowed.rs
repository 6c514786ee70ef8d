use ravelin_config::types::IpNet;

use super::PeerSlot;
use crate::{
    parse::Address,
    route::{Change, Fib, NextHopId, Rib},
};

/// Which peer of an interface an inside address belongs to: the longest prefix decides, as in wg(8).
#[derive(Clone, Debug, Default)]
pub struct AllowedIps {
    fib: Fib,
    /// By what the table says.
    peers: Vec<PeerSlot>,
}

/// More peers have allowed IPs than can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at most {} peers of one interface can have allowed IPs", NextHopId::MOST)]
pub struct TooManyPeers;

impl AllowedIps {
    /// Those of these peers; each peer once.
    ///
    /// # Errors
    /// If there are too many.
    pub fn new<'a>(peers: impl IntoIterator<Item = (PeerSlot, &'a [IpNet])>) -> Result<Self, TooManyPeers> {
        let (mut slots, mut changes) = (Vec::new(), Vec::new());
        for (slot, prefixes) in peers {
            let next = Some(NextHopId::new(slots.len()).ok_or(TooManyPeers)?);
            slots.push(slot);
            changes.extend(prefixes.iter().map(|prefix| Change { prefix: *prefix, next }));
        }
        Ok(Self { fib: Rib::new().apply(&changes), peers: slots })
    }

    /// Whose an address is.
    #[inline]
    pub fn peer(&self, address: Address) -> Option<PeerSlot> {
        let found = self.fib.lookup(address.ip())?;
        self.peers.get(found.index()).copied()
    }
}
