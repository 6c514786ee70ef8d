use std::net::IpAddr;

use super::{
    longer::{Longer, key},
    next_hop::NextHopId,
    table::Table,
};
use crate::parse::Address;

/// What workers ask: the next hops of addresses. A copy shares all with what it is a copy of.
#[derive(Clone, Debug)]
pub struct Fib {
    pub(super) v4: Table,
    /// The next hops of the prefix of length 0.
    pub(super) default4: Option<NextHopId>,
    /// What prefixes of up to 32 bits say.
    pub(super) v6: Table,
    /// What longer ones say, and with them the shorter ones that they lie in.
    pub(super) longer: Longer,
    pub(super) default6: Option<NextHopId>,
}

impl Default for Fib {
    fn default() -> Self {
        Self {
            v4: Table::default(),
            default4: None,
            v6: Table::default(),
            longer: Longer::new(),
            default6: None,
        }
    }
}

impl Fib {
    /// The next hops of an address, if it has any.
    pub fn lookup(&self, address: IpAddr) -> Option<NextHopId> {
        match address.to_canonical() {
            IpAddr::V4(address) => NextHopId::of_value(self.v4.find(address.to_bits())).or(self.default4),
            IpAddr::V6(address) => {
                let address = address.to_bits();
                let value = self.longer.find(address).unwrap_or_else(|| self.v6.find(key(address)));
                NextHopId::of_value(value).or(self.default6)
            }
        }
    }

    /// The same for many: `out` is given the answer for each address, in order.
    pub fn lookup_batch(&self, addresses: &[Address], out: &mut [Option<NextHopId>]) {
        for (address, out) in addresses.iter().zip(out) {
            *out = self.lookup(address.ip());
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.v4.bytes() + self.v6.bytes() + self.longer.bytes()
    }
}
