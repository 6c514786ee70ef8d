use std::net::IpAddr;

use super::{
    first::{self, ByFirst},
    next_hop::NextHopId,
    node::Level,
    table::{Shape, Table, WAVE, find_wave},
};
use crate::parse::Address;

/// What workers ask: the next hops of addresses. A copy shares all with what it is a copy of.
#[derive(Clone, Debug)]
pub struct Fib {
    pub(super) v4: Table,
    /// The next hops of the prefix of length 0.
    pub(super) default4: Option<NextHopId>,
    pub(super) v6: ByFirst,
}

static SHAPE4: Shape = Shape { behind: 8, levels: &[Level { behind: 0, bits: 8 }] };

impl Default for Fib {
    fn default() -> Self {
        Self { v4: Table::new(&SHAPE4), default4: None, v6: ByFirst::default() }
    }
}

impl Fib {
    /// The next hops of an address, if it has any.
    pub fn lookup(&self, address: IpAddr) -> Option<NextHopId> {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                NextHopId::of_value(self.v4.find(address.to_bits().into())).or(self.default4)
            }
            IpAddr::V6(address) => NextHopId::of_value(self.v6.find(address.to_bits())),
        }
    }

    /// The same for many: `out` is given the answer for each address, in order.
    pub fn lookup_batch(&self, addresses: &[Address], out: &mut [Option<NextHopId>]) {
        for (addresses, out) in addresses.chunks(WAVE).zip(out.chunks_mut(WAVE)) {
            let mut of4 = [0; WAVE];
            let mut differing = 0;
            for (address, number) in addresses.iter().zip(&mut of4) {
                let (family, low) = split(*address);
                differing |= family;
                *number = low;
            }
            let mut values = [0; WAVE];
            if differing == 0 {
                self.wave4(of4.get(..addresses.len()).unwrap_or_default(), &mut values);
                for ((out, value), _) in out.iter_mut().zip(values).zip(addresses) {
                    *out = NextHopId::of_value(value);
                }
            } else {
                self.lookup_mixed(addresses, out);
            }
        }
    }

    /// Those of one wave.
    fn lookup_mixed(&self, addresses: &[Address], out: &mut [Option<NextHopId>]) {
        let (mut of4, mut of6) = ([0; WAVE], [0; WAVE]);
        let (mut len4, mut len6) = (0, 0);
        for address in addresses {
            let (family, low) = split(*address);
            if let (Some(to4), Some(to6)) = (of4.get_mut(len4), of6.get_mut(len6)) {
                (*to4, *to6) = (low, u128::from_be_bytes(address.0));
            }
            len4 += usize::from(family == 0);
            len6 += usize::from(family != 0);
        }
        let (mut values4, mut values6) = ([0; WAVE], [0; WAVE]);
        self.wave4(of4.get(..len4).unwrap_or_default(), &mut values4);
        self.wave6(of6.get(..len6).unwrap_or_default(), &mut values6);
        let (mut values4, mut values6) = (values4.into_iter(), values6.into_iter());
        for (address, out) in addresses.iter().zip(out) {
            let values = if split(*address).0 == 0 { &mut values4 } else { &mut values6 };
            *out = values.next().and_then(NextHopId::of_value);
        }
    }

    #[inline(never)]
    fn wave4(&self, addresses: &[u32], values: &mut [u16; WAVE]) {
        let block = |address: u32| self.v4.block(address >> SHAPE4.behind);
        find_wave(addresses, values, |address| address >> SHAPE4.behind, block, SHAPE4.levels);
        let default = NextHopId::value(self.default4);
        for value in values {
            *value = if *value == 0 { default } else { *value };
        }
    }

    #[inline(never)]
    fn wave6(&self, addresses: &[u128], values: &mut [u16; WAVE]) {
        find_wave(addresses, values, first::head, |address| self.v6.block(address), first::SHAPE.levels);
        for (address, value) in addresses.iter().zip(values) {
            *value = if *value == 0 { self.v6.value(*address) } else { *value };
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.v4.bytes() + self.v6.bytes()
    }
}

/// Zero for IPv4, and the last 32 bits.
#[inline]
fn split(Address([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]): Address) -> (u64, u32) {
    let beginning = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
    let middle = u32::from_ne_bytes([i, j, k, l]) ^ u32::from_ne_bytes([0, 0, 0xff, 0xff]);
    (beginning | u64::from(middle), u32::from_be_bytes([m, n, o, p]))
}
