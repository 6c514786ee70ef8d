//! Whose addresses are, for the packets of a batch.
//!
//! What was asked last is remembered, for packets of a flow ask for the same again, one way its source and the other its destination. So the
//! tables of allowed IPs, which may be large, are asked for the first packets of a flow only. Two addresses that share a place take turns in it,
//! and cost what they would without.

use super::{AllowedIps, PeerSlot, Plan};
use crate::{hash::FlowHasher, io::PortId, parse::Address, prefetch::fetch};

/// What a worker has asked.
#[derive(Debug)]
pub(super) struct Known {
    hasher: FlowHasher,
    /// By the hash of what was asked; none without tunnels.
    places: Vec<Place>,
}

/// One answer.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Place {
    asked: Option<(PortId, Address)>,
    owner: Option<PeerSlot>,
}

/// What packets ask, and where the answers are.
struct Wave {
    len: usize,
    asked: [(PortId, Address); Self::MOST],
    places: [usize; Self::MOST],
}

impl Wave {
    const MOST: usize = AllowedIps::TOGETHER;
}

impl Known {
    /// Half a megabyte, of which the caches hold as much as there are addresses in use.
    const PLACES: usize = 1 << 14;

    pub(super) fn new() -> Self {
        Self { hasher: FlowHasher::random(), places: Vec::new() }
    }

    /// Forgets everything: under this plan, addresses may be others'.
    pub(super) fn forget(&mut self, plan: &Plan) {
        if plan.is_empty() {
            self.places = Vec::new();
            return;
        }
        self.places.clear();
        self.places.resize(Self::PLACES, Place::default());
    }

    /// Whose the addresses are of packets at interfaces, in order.
    pub(super) fn whose(
        &mut self,
        plan: &Plan,
        packets: impl Iterator<Item = (PortId, Address)>,
        to: &mut Vec<Option<PeerSlot>>,
    ) {
        to.clear();
        let mut packets = packets.fuse();
        loop {
            let wave = self.fetch(&mut packets);
            if wave.len == 0 {
                return;
            }
            let begin = to.len();
            let mut unknown = 0_u64;
            let asked = wave.asked.iter().zip(wave.places).take(wave.len);
            for (number, (asked, place)) in asked.enumerate() {
                let known = self.places.get(place).filter(|known| known.asked == Some(*asked));
                unknown |= u64::from(known.is_none()) << number;
                to.push(known.and_then(|known| known.owner));
            }
            if unknown != 0 {
                self.learn(plan, &wave, unknown, to.get_mut(begin..).unwrap_or_default());
            }
        }
    }

    /// Takes up what packets ask, and asks for the memory that the answers are in.
    #[inline]
    fn fetch(&self, packets: &mut impl Iterator<Item = (PortId, Address)>) -> Wave {
        let mut wave = Wave { len: 0, asked: [Default::default(); Wave::MOST], places: [0; Wave::MOST] };
        let slots = wave.asked.iter_mut().zip(&mut wave.places);
        for ((asked, place), packet) in slots.zip(packets) {
            (*asked, *place) = (packet, self.place(packet));
            self.places.get(*place).map(fetch);
            wave.len += 1;
        }
        wave
    }

    #[inline]
    fn place(&self, (port, Address(address)): (PortId, Address)) -> usize {
        let number = u128::from_ne_bytes(address);
        let hash = self.hasher.hash(&[(number >> 64) as u64, number as u64 ^ u64::from(port.0)]);
        hash as usize % Self::PLACES
    }

    /// Looks up what is not known, those of an interface together, and remembers it. A bit of `unknown` stands for each.
    #[inline(never)]
    fn learn(&mut self, plan: &Plan, wave: &Wave, mut unknown: u64, to: &mut [Option<PeerSlot>]) {
        while unknown != 0 {
            let first = unknown.trailing_zeros() as usize;
            let Some((port, _)) = wave.asked.get(first) else { return };
            let mut addresses = [Address::default(); Wave::MOST];
            let mut numbers = [0; Wave::MOST];
            let mut len = 0;
            for (number, (other, address)) in wave.asked.iter().enumerate() {
                if unknown >> number & 1 == 1
                    && other == port
                    && let (Some(to), Some(of)) = (addresses.get_mut(len), numbers.get_mut(len))
                {
                    (*to, *of) = (*address, number);
                    len += 1;
                    unknown &= !(1 << number);
                }
            }
            let mut owners = [None; Wave::MOST];
            if let Some(interface) = plan.at(*port) {
                interface.allowed.peers(addresses.get(..len).unwrap_or_default(), &mut owners);
            }
            for ((number, address), owner) in numbers.iter().zip(addresses).zip(owners).take(len) {
                if let Some(to) = to.get_mut(*number) {
                    *to = owner;
                }
                let place = wave.places.get(*number).and_then(|place| self.places.get_mut(*place));
                if let Some(place) = place {
                    *place = Place { asked: Some((*port, address)), owner };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, sync::Arc};

    use ravelin_config::types::IpNet;

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

    fn prefixes(prefixes: &[&str]) -> Vec<IpNet> {
        prefixes.iter().map(|prefix| prefix.parse().expect("a prefix")).collect()
    }

    /// Two interfaces; the second has a peer with these prefixes besides.
    fn plan(all: &[&str]) -> Plan {
        let some = prefixes(&["10.0.0.0/8", "10.0.7.0/24", "fd00:7::/32"]);
        let all = prefixes(all);
        let one = AllowedIps::new([(PeerSlot(3), &some[..])]).expect("there is room");
        let other =
            AllowedIps::new([(PeerSlot(5), &some[..]), (PeerSlot(9), &all[..])]).expect("there is room");
        Plan::new(vec![interface(PortId(1), one), interface(PortId(4), other)], Vec::new())
    }

    /// Longer than two waves at one interface, shorter than one at others, and at ports that have no interface.
    fn packets() -> Vec<(PortId, Address)> {
        let packet = |number: u32| {
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
        };
        (0..600).map(packet).collect()
    }

    /// What is found for packets, which has to be what is found for each alone.
    fn assert_whose(known: &mut Known, plan: &Plan, packets: &[(PortId, Address)]) -> Vec<Option<PeerSlot>> {
        let mut found = vec![Some(PeerSlot(77))];
        known.whose(plan, packets.iter().copied(), &mut found);
        let alone = |&(port, address): &(PortId, Address)| plan.at(port)?.allowed.peer(address);
        assert_eq!(found, packets.iter().map(alone).collect::<Vec<_>>());
        found
    }

    #[test]
    fn who_is_asked_for_together_and_again_is_who_is_asked_for_alone() {
        let (mut known, plan) = (Known::new(), plan(&["10.0.7.64/26", "0.0.0.0/0", "::/0"]));
        known.forget(&plan);
        for _ in 0..3 {
            let found = assert_whose(&mut known, &plan, &packets());
            for slot in [None, Some(PeerSlot(3)), Some(PeerSlot(5)), Some(PeerSlot(9))] {
                assert!(found.contains(&slot), "{slot:?} is asked for");
            }
        }
        assert_eq!(assert_whose(&mut known, &plan, &[]), []);
    }

    #[test]
    fn what_was_asked_is_known_the_next_time() {
        let (mut known, plan) = (Known::new(), plan(&[]));
        known.forget(&plan);
        let packet = (PortId(1), "10.0.0.1".parse::<IpAddr>().expect("an address").into());
        assert_whose(&mut known, &plan, &[packet; 100]);
        let place = known.places[known.place(packet)];
        assert_eq!((place.asked, place.owner), (Some(packet), Some(PeerSlot(3))));
        assert_eq!(known.places.iter().filter(|place| place.asked.is_some()).count(), 1);
        // The answer is taken from there: nothing is asked of a plan that says something else.
        let mut found = Vec::new();
        known.whose(&Plan::default(), [packet].into_iter(), &mut found);
        assert_eq!(found, [Some(PeerSlot(3))]);
    }

    #[test]
    fn under_another_plan_everybody_is_asked_for_anew() {
        let mut known = Known::new();
        for all in [&["0.0.0.0/0"][..], &["10.0.7.64/26"], &[]] {
            let plan = plan(all);
            known.forget(&plan);
            assert_whose(&mut known, &plan, &packets());
        }
        let none = Plan::default();
        known.forget(&none);
        assert_eq!(known.places.capacity(), 0, "without tunnels it takes no memory");
        assert_whose(&mut known, &none, &packets());
    }

    #[test]
    fn more_than_there_is_room_for_take_turns() {
        let (mut known, plan) = (Known::new(), plan(&["0.0.0.0/0"]));
        known.forget(&plan);
        let packets: Vec<_> = (0..4 * Known::PLACES as u32)
            .map(|number| (PortId(4), IpAddr::from(number.wrapping_mul(0x9e37_79b1).to_be_bytes()).into()))
            .collect();
        for _ in 0..2 {
            assert_whose(&mut known, &plan, &packets);
        }
        assert_eq!(known.places.len(), Known::PLACES);
    }
}
