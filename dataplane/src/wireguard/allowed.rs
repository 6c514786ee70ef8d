use ravelin_config::types::IpNet;

use super::{PeerSlot, Plan};
use crate::{
    io::PortId,
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

    /// Whose addresses are, in order, of which there are no more than fit into a wave: they are looked up together.
    fn peers(&self, addresses: &[Address], to: &mut Vec<Option<PeerSlot>>) {
        let mut found = [None; Wave::MOST];
        self.fib.lookup_batch(addresses, &mut found);
        let found = addresses.iter().zip(found);
        to.extend(found.map(|(address, found)| self.holder(found).or_else(|| self.other(*address))));
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

/// Packets that ask the same interface whose they are.
struct Wave {
    port: PortId,
    len: usize,
    addresses: [Address; Self::MOST],
}

impl Wave {
    const MOST: usize = 64;

    fn look_up(&mut self, plan: &Plan, to: &mut Vec<Option<PeerSlot>>) {
        let addresses = self.addresses.get(..self.len).unwrap_or_default();
        match plan.at(self.port) {
            Some(interface) => interface.allowed.peers(addresses, to),
            None => to.extend(addresses.iter().map(|_| None)),
        }
        self.len = 0;
    }
}

/// Whose the addresses are of packets at interfaces, in order.
pub(super) fn whose(
    plan: &Plan,
    packets: impl Iterator<Item = (PortId, Address)>,
    to: &mut Vec<Option<PeerSlot>>,
) {
    to.clear();
    let mut packets = packets.peekable();
    let Some((port, _)) = packets.peek() else { return };
    let mut wave = Wave { port: *port, len: 0, addresses: [Address::default(); Wave::MOST] };
    for (port, address) in packets {
        if port != wave.port || wave.len == Wave::MOST {
            wave.look_up(plan, to);
            wave.port = port;
        }
        if let Some(place) = wave.addresses.get_mut(wave.len) {
            *place = address;
            wave.len += 1;
        }
    }
    wave.look_up(plan, to);
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use super::*;
    use crate::wireguard::{Identity, Interface};

    fn interface(port: PortId, allowed: AllowedIps) -> Interface {
        Interface {
            port,
            wire: None,
            listen_port: 51820 + u16::from(port.0),
            mtu: 1420,
            requires_encryption: false,
            identity: Arc::new(Identity::new([1; 32])),
            previous: None,
            allowed,
            keys: hashbrown::HashMap::default(),
            sockets: [None, None],
            inbox: Arc::default(),
        }
    }

    #[test]
    fn who_is_asked_for_together_is_who_is_asked_for_alone() {
        let prefix = |prefix: &str| prefix.parse::<IpNet>().expect("a prefix");
        let [some, all] = [
            vec![prefix("10.0.0.0/8"), prefix("10.0.7.0/24"), prefix("fd00:7::/32")],
            vec![prefix("10.0.7.64/26"), prefix("0.0.0.0/0"), prefix("::/0")],
        ];
        let one = AllowedIps::new([(PeerSlot(3), &some[..])]).expect("there is room");
        let other =
            AllowedIps::new([(PeerSlot(5), &some[..]), (PeerSlot(9), &all[..])]).expect("there is room");
        let plan = Plan::new(vec![interface(PortId(1), one), interface(PortId(4), other)], Vec::new());
        // Longer than two waves at one interface, shorter than one at others, and at ports that have no interface.
        let packets: Vec<(PortId, Address)> = (0..600_u32)
            .map(|number| {
                let port = match number {
                    0..150 => 1,
                    150..400 => 4,
                    _ => [1, 4, 2][(number / 7 % 3) as usize],
                };
                let [_, _, high, low] = number.to_be_bytes();
                let address = match number % 4 {
                    0 => format!("10.{high}.7.{low}"),
                    1 => format!("fd00:7::{low}"),
                    2 => format!("fd00:8::{low}"),
                    _ => format!("192.0.2.{low}"),
                };
                (PortId(port), address.parse::<IpAddr>().expect("an address").into())
            })
            .collect();
        let mut found = vec![Some(PeerSlot(77))];
        whose(&plan, packets.iter().copied(), &mut found);
        let alone = |&(port, address): &(PortId, Address)| plan.at(port)?.allowed.peer(address);
        assert_eq!(found, packets.iter().map(alone).collect::<Vec<_>>());
        for slot in [None, Some(PeerSlot(3)), Some(PeerSlot(5)), Some(PeerSlot(9))] {
            assert!(found.contains(&slot), "{slot:?} is asked for");
        }
        whose(&plan, std::iter::empty(), &mut found);
        assert_eq!(found, []);
    }
}
