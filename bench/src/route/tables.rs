//! Prefixes as the Internet has them: so many of each length, most of the long ones in blocks that have a shorter one, and beside each other.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ravelin_config::types::IpNet;

use crate::traffic::splitmix;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    pub(super) const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// How many of ten thousand prefixes have a length, the shortest first.
    const fn lengths(self) -> &'static [(u8, usize)] {
        match self {
            Self::V4 => &[
                (8, 1),
                (10, 1),
                (11, 2),
                (12, 5),
                (13, 8),
                (14, 15),
                (15, 23),
                (16, 140),
                (17, 85),
                (18, 145),
                (19, 260),
                (20, 450),
                (21, 520),
                (22, 1125),
                (23, 1000),
                (24, 6000),
                (25, 40),
                (26, 40),
                (27, 30),
                (28, 30),
                (29, 30),
                (30, 20),
                (31, 5),
                (32, 25),
            ],
            Self::V6 => &[
                (32, 1500),
                (33, 150),
                (34, 100),
                (35, 100),
                (36, 550),
                (40, 850),
                (42, 150),
                (44, 1100),
                (45, 200),
                (46, 450),
                (47, 350),
                (48, 4000),
                (64, 500),
            ],
        }
    }
}

/// Different prefixes, each with one of [`NEXT_HOPS`].
#[derive(Debug)]
pub(super) struct Table {
    pub(super) family: Family,
    pub(super) routes: Vec<(IpNet, u16)>,
}

const NEXT_HOPS: u64 = 250;

/// The address as a number of as many bits as it has.
pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Table {
    pub(super) fn new(family: Family, count: usize) -> Self {
        let bits = u32::from(family.bits());
        let mut seen: HashSet<(u128, u8)> = HashSet::with_capacity(count);
        let mut made: Vec<(u128, u8)> = Vec::with_capacity(count);
        let mut counter = 0;
        for (length, share) in family.lengths() {
            let shorter = made.len();
            let wanted = count * share / 10_000;
            while made.len() < shorter + wanted {
                counter += 1;
                let random = splitmix(counter);
                let below = u128::from(splitmix(!counter)) << 64 | u128::from(splitmix(random));
                let step = 1u128 << (bits - u32::from(*length));
                let first = match (random % 10, made.get(shorter..).and_then(<[_]>::last)) {
                    // Behind the one before.
                    (0..4, Some((before, _))) => before.wrapping_add(step),
                    // In one of those that are shorter.
                    (0..8, _) if shorter > 0 => {
                        let (outer, outer_length) = made[(random >> 8) as usize % shorter];
                        outer | below >> (128 - bits) & !(mask(outer_length, bits))
                    }
                    _ => family.anywhere(random >> 8),
                };
                let prefix = (first & mask(*length, bits), *length);
                if family.is_in_use(prefix.0) && seen.insert(prefix) {
                    made.push(prefix);
                }
            }
        }
        let routes = (0u64..).zip(&made).map(|(counter, (first, length))| {
            let next = (splitmix(counter ^ 0x6e68) % NEXT_HOPS) as u16;
            (IpNet::new_assert(family.address(*first), *length), next)
        });
        let mut routes: Vec<_> = routes.collect();
        // In no order.
        routes.sort_unstable_by_key(|(prefix, _)| {
            splitmix(number(prefix.network()) as u64 ^ (number(prefix.network()) >> 64) as u64)
        });
        Self { family, routes }
    }

    /// Addresses to be looked up, of each kind so many.
    pub(super) fn addresses(&self, count: usize) -> [(&'static str, Vec<IpAddr>); 2] {
        let family = self.family;
        let bits = u32::from(family.bits());
        let within = (0..count as u64).map(|counter| {
            let random = splitmix(counter ^ 0x7769);
            let (prefix, _) = self.routes[(random % self.routes.len() as u64) as usize];
            let below = u128::from(random) << 64 | u128::from(splitmix(random));
            let below = below.rotate_left(17) >> (128 - bits);
            family.address(number(prefix.network()) | below & !mask(prefix.prefix_len(), bits))
        });
        let anywhere =
            (0..count as u64).map(|counter| family.address(family.anywhere(splitmix(counter ^ 0x616e))));
        [("in a prefix", within.collect()), ("anywhere", anywhere.collect())]
    }
}

/// The first bits of a number of `bits`.
fn mask(length: u8, bits: u32) -> u128 {
    let all = u128::MAX >> (128 - bits);
    all & !all.checked_shr(length.into()).unwrap_or(0)
}

impl Family {
    fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from_bits(number as u32).into(),
            Self::V6 => Ipv6Addr::from_bits(number).into(),
        }
    }

    /// An address that could be in use.
    fn anywhere(self, random: u64) -> u128 {
        match self {
            Self::V4 => u128::from((1 << 24) + splitmix(random) % (223 << 24)),
            // Registries have given out from the beginnings of a few blocks.
            Self::V6 => {
                let upper = [0x2001, 0x2400, 0x2600, 0x2800, 0x2a00, 0x2a0d][(random % 6) as usize];
                let random = splitmix(random);
                let block = (upper + (random & 3)) << 48 | (random >> 16 & 0xffff_ffff_ffff);
                u128::from(block) << 64 | u128::from(splitmix(!random))
            }
        }
    }

    fn is_in_use(self, number: u128) -> bool {
        match self {
            Self::V4 => (1 << 24..224 << 24).contains(&number),
            Self::V6 => number >> 125 == 1,
        }
    }
}
