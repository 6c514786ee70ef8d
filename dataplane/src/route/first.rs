use std::sync::Arc;

use super::{
    node::Level,
    runs::Run,
    table::{SLOT_BITS, Shape, Table},
};

/// Values of addresses of IPv6. A copy shares what is not changed in either.
///
/// The first 8 bits name a table, where prefixes are longer than that.
#[derive(Clone, Debug)]
pub(super) struct ByFirst {
    all: Arc<[First; 256]>,
}

/// What is known of addresses with the same first 8 bits.
#[derive(Clone, Debug, Default)]
struct First {
    table: Option<Table>,
    /// What it is, where the table has none.
    value: u16,
}

/// Bits behind those that a table is asked by.
const BEHIND: u32 = 96;

pub(super) static SHAPE: Shape =
    Shape { behind: BEHIND, levels: &[list(80), list(64), list(48), list(32), list(16), list(0)] };

const fn list(behind: u32) -> Level {
    Level { behind, bits: 16 }
}

impl Default for ByFirst {
    fn default() -> Self {
        Self { all: Arc::new(std::array::from_fn(|_| First::default())) }
    }
}

impl ByFirst {
    pub(super) fn find(&self, address: u128) -> u16 {
        let Some(First { table, value }) = self.all.get((address >> 120) as usize) else { return 0 };
        match table.as_ref().map_or(0, |table| table.find(address)) {
            0 => *value,
            value => value,
        }
    }

    /// What knows of addresses, if anything does but [`ByFirst::value`].
    #[inline]
    pub(super) fn block(&self, address: u128) -> &[u16] {
        let first = self.all.get((address >> 120) as usize);
        first.and_then(|first| first.table.as_ref()).map_or(&[], |table| table.block(head(address)))
    }

    /// What is known by the first 8 bits.
    #[inline]
    pub(super) fn value(&self, address: u128) -> u16 {
        self.all.get((address >> 120) as usize).map_or(0, |first| first.value)
    }

    /// Gives slots another content, of which the first 26 bits of an address name one. They come in order.
    pub(super) fn set(&mut self, slots: impl Iterator<Item = (u32, Vec<Run>)>) {
        let mut slots = slots.peekable();
        while let Some((slot, _)) = slots.peek() {
            let number = slot >> SLOT_BITS;
            let Some(First { table, .. }) = Arc::make_mut(&mut self.all).get_mut(number as usize) else {
                return;
            };
            let table = table.get_or_insert_with(|| Table::new(&SHAPE));
            table.set(std::iter::from_fn(|| {
                let (slot, runs) = slots.next_if(|(slot, _)| slot >> SLOT_BITS == number)?;
                Some((slot & ((1 << SLOT_BITS) - 1), runs))
            }));
        }
    }

    /// Says what is known by the first 8 bits.
    pub(super) fn set_values(&mut self, value: impl Fn(u8) -> u16) {
        for (number, first) in (0..=u8::MAX).zip(Arc::make_mut(&mut self.all)) {
            first.value = value(number);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let tables = self.all.iter().filter_map(|first| first.table.as_ref());
        size_of_val(&*self.all) + tables.map(Table::bytes).sum::<usize>()
    }
}

/// The 24 bits behind the first 8.
#[inline]
pub(super) const fn head(address: u128) -> u32 {
    (address >> BEHIND) as u32
}
