use std::net::IpAddr;

use super::{
    longer::{Longer, key},
    next_hop::NextHopId,
    table::Table,
    wave::{WAVE, Wave},
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
        for (addresses, out) in addresses.chunks(WAVE).zip(out.chunks_mut(WAVE)) {
            let mut numbers = [0; WAVE];
            let mut differing = 0;
            for (address, number) in addresses.iter().zip(&mut numbers) {
                let (family, low) = split(*address);
                differing |= family;
                *number = low;
            }
            if differing == 0 {
                let mut values = [0; WAVE];
                let numbers = numbers.get(..addresses.len()).unwrap_or_default();
                self.v4.find_wave(numbers, &mut values);
                let default = NextHopId::value(self.default4);
                for (out, value) in out.iter_mut().zip(values) {
                    *out = NextHopId::of_value(if value == 0 { default } else { value });
                }
            } else {
                self.lookup_wave(addresses, out);
            }
        }
    }

    #[inline(never)]
    fn lookup_wave(&self, addresses: &[Address], out: &mut [Option<NextHopId>]) {
        let (mut four, mut six) = (Wave::<u32>::new(), Wave::<u128>::new());
        for (number, address) in (0u8..).zip(addresses) {
            match split(*address) {
                (0, low) => four.push(low, number),
                (_, _) => six.push(u128::from_be_bytes(address.0), number),
            }
        }
        four.answer(
            |numbers, values| self.v4.find_wave(numbers, values),
            |number, value| put(out, number, value, self.default4),
        );
        six.answer(
            |addresses, values| {
                let rest = self.longer.find_wave(addresses, values);
                rest.answer(
                    |keys, values| self.v6.find_wave(keys, values),
                    |number, found| {
                        if let Some(value) = values.get_mut(number) {
                            *value = found;
                        }
                    },
                );
            },
            |number, value| put(out, number, value, self.default6),
        );
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.v4.bytes() + self.v6.bytes() + self.longer.bytes()
    }
}

#[inline]
fn put(out: &mut [Option<NextHopId>], number: usize, value: u16, default: Option<NextHopId>) {
    if let Some(out) = out.get_mut(number) {
        *out = NextHopId::of_value(value).or(default);
    }
}

/// Zero for IPv4, and the last 32 bits.
#[inline]
fn split(Address([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]): Address) -> (u64, u32) {
    let beginning = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
    let middle = u32::from_ne_bytes([i, j, k, l]) ^ u32::from_ne_bytes([0, 0, 0xff, 0xff]);
    (beginning | u64::from(middle), u32::from_be_bytes([m, n, o, p]))
}
