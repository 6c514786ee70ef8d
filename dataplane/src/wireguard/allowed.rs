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
    /// Whose all other addresses are, of IPv4 and of IPv6.
    others: [Option<PeerSlot>; 2],
}

/// More peers have allowed IPs than can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at most {} peers of one interface can have allowed IPs", NextHopId::MOST)]
pub struct TooManyPeers;

impl AllowedIps {
    /// How many addresses are looked up together, at most.
    pub(super) const TOGETHER: usize = 64;

    /// Those of these peers; each peer once.
    ///
    /// # Errors
    /// If there are too many.
    pub fn new<'a>(peers: impl IntoIterator<Item = (PeerSlot, &'a [IpNet])>) -> Result<Self, TooManyPeers> {
        let (mut slots, mut changes, mut others) = (Vec::new(), Vec::new(), [None; 2]);
        let [others4, others6] = &mut others;
        for (slot, prefixes) in peers {
            let next = Some(NextHopId::new(slots.len()).ok_or(TooManyPeers)?);
            slots.push(slot);
            for prefix in prefixes {
                match (prefix, prefix.prefix_len()) {
                    (IpNet::V4(_), 0) => *others4 = Some(slot),
                    (IpNet::V6(_), 0) => *others6 = Some(slot),
                    (IpNet::V4(_) | IpNet::V6(_), _) => changes.push(Change { prefix: *prefix, next }),
                }
            }
        }
        Ok(Self { fib: Rib::new().apply(&changes), peers: slots, others })
    }

    /// Whose an address is.
    #[inline]
    pub fn peer(&self, address: Address) -> Option<PeerSlot> {
        self.named(address).or_else(|| self.other(address))
    }

    /// Whose an address is by a prefix that has a length.
    #[inline]
    fn named(&self, address: Address) -> Option<PeerSlot> {
        self.holder(self.fib.lookup(address.ip()))
    }

    /// Whose addresses are, in order, of which there are no more than [`Self::TOGETHER`].
    pub(super) fn peers(&self, addresses: &[Address], to: &mut [Option<PeerSlot>]) {
        let mut found = [None; Self::TOGETHER];
        self.fib.lookup_batch(addresses, &mut found);
        for ((to, address), found) in to.iter_mut().zip(addresses).zip(found) {
            *to = self.holder(found).or_else(|| self.other(*address));
        }
    }

    /// Who it is that the table says.
    #[inline]
    fn holder(&self, found: Option<NextHopId>) -> Option<PeerSlot> {
        self.peers.get(found?.index()).copied()
    }

    fn other(&self, address: Address) -> Option<PeerSlot> {
        let [v4, v6] = self.others;
        if address.is_v4() { v4 } else { v6 }
    }

    /// Whether an address is anybody's; of what is on a link, only by a prefix that has a length: to whom all addresses belong, those of
    /// the networks around do not.
    pub(super) fn claims(&self, address: Address, is_on_link: bool) -> bool {
        self.named(address).is_some() || (!is_on_link && self.other(address).is_some())
    }
}
