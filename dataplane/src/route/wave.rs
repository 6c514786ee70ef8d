/// Addresses that are looked up together, at most.
pub(super) const WAVE: usize = 64;

/// Those of the addresses of a wave that go the same way.
pub(super) struct Wave<A> {
    addresses: [A; WAVE],
    /// Which of all addresses each is.
    numbers: [u8; WAVE],
    len: usize,
}

impl<A: Copy + Default> Wave<A> {
    pub(super) fn new() -> Self {
        Self { addresses: [A::default(); WAVE], numbers: [0; WAVE], len: 0 }
    }

    #[inline]
    pub(super) fn push(&mut self, address: A, number: u8) {
        if let (Some(to), Some(of)) = (self.addresses.get_mut(self.len), self.numbers.get_mut(self.len)) {
            (*to, *of) = (address, number);
            self.len += 1;
        }
    }

    /// Has `find` find the values of all of them, and gives each to `put`.
    #[inline]
    pub(super) fn answer(&self, find: impl FnOnce(&[A], &mut [u16; WAVE]), mut put: impl FnMut(usize, u16)) {
        let addresses = self.addresses.get(..self.len).unwrap_or_default();
        if addresses.is_empty() {
            return;
        }
        let mut values = [0; WAVE];
        find(addresses, &mut values);
        for (number, value) in self.numbers.iter().zip(values).take(self.len) {
            put((*number).into(), value);
        }
    }
}
