//! The ports of one outside address, of one protocol, that belong to one worker: which are free, and who has the others.

use std::ops::RangeInclusive;

use super::{Endpoint, NatPlan};
use crate::{handoff::WorkerId, prefetch};

/// Words of 64 ports each, which is also how ports are shared among workers.
const WORDS: usize = 1 << 10;

/// Who has a port: address (32 bits), port (16), how often it has fallen idle (6, modulo 64) and the number of flows (10), from the
/// highest bit down; zero for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder(u64);

impl Holder {
    /// The bits that count flows. All of them: so many have been there at once that nobody knows how many are left, and the
    /// port is kept for good.
    const FLOWS: u64 = (1 << 10) - 1;
    const IDLE: u64 = 0xffff & !Self::FLOWS;
    const ONCE_IDLE: u64 = 1 << 10;

    const fn new(inside: Endpoint) -> Self {
        Self((inside.address as u64) << 32 | (inside.port as u64) << 16)
    }

    /// Who it is.
    pub(super) const fn inside(self) -> Endpoint {
        let [a, b, c, d, e, f, ..] = self.0.to_be_bytes();
        Endpoint { address: u32::from_be_bytes([a, b, c, d]), port: u16::from_be_bytes([e, f]) }
    }

    /// If no flow uses it, how often that was so.
    pub(super) const fn idle(self) -> Option<u64> {
        if self.0 & Self::FLOWS == 0 { Some(self.0 & Self::IDLE) } else { None }
    }
}

/// Where it stands who has a port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'p>(&'p u64);

impl Place<'_> {
    /// Who has it.
    #[inline]
    pub(super) fn inside(self) -> Option<Endpoint> {
        (*self.0 != 0).then(|| Holder(*self.0).inside())
    }
}

/// The ports.
#[derive(Debug)]
pub(super) struct Ports {
    /// A bit for each port that may be used.
    usable: Vec<u64>,
    /// A bit for each port that somebody has.
    held: Vec<u64>,
    /// A bit for each word with a port that may be used and that nobody has.
    some: [u64; WORDS / 64],
    /// By port. Zeroes that nobody has written take no memory.
    holders: Vec<u64>,
}

impl Ports {
    /// No port may be used.
    pub(super) fn new() -> Self {
        Self {
            usable: vec![0; WORDS],
            held: vec![0; WORDS],
            some: [0; WORDS / 64],
            holders: vec![0; 1 << 16],
        }
    }

    /// From now on these ports may be used, but for those that are taken. Mappings stay. Works on 64 ports at once: packets wait meanwhile.
    pub(super) fn limit(
        &mut self,
        ports: &RangeInclusive<u16>,
        taken: &[&RangeInclusive<u16>],
        worker: WorkerId,
        workers: u8,
    ) {
        for (word, first) in (0..).zip((0..=u16::MAX).step_by(64)) {
            let is_ours = NatPlan::worker_of(first, workers) == worker;
            let usable = if is_ours { within(ports, first) } else { 0 };
            let taken = taken.iter().fold(0, |bits, taken| bits | within(taken, first));
            if let Some(place) = self.usable.get_mut(word) {
                *place = usable & !taken;
            }
            self.sum_up(word);
        }
    }

    /// Who has a port.
    pub(super) fn holder(&self, port: u16) -> Option<Holder> {
        self.holders.get(usize::from(port)).filter(|holder| **holder != 0).map(|holder| Holder(*holder))
    }

    /// Where it stands who has a port; asks for that memory.
    #[inline]
    pub(super) fn fetch(&self, port: u16) -> Option<Place<'_>> {
        let place = self.holders.get(usize::from(port))?;
        prefetch::fetch(place);
        Some(Place(place))
    }

    /// Gives a free port to somebody: the same as inside if it can be, else one of the same parity (RFC 4787 section 4.2.2), else
    /// any. `random` says where the search begins, so that nobody outside can guess.
    pub(super) fn take(&mut self, inside: Endpoint, random: u64) -> Option<u16> {
        let port = if self.is_free(inside.port) { inside.port } else { self.search(inside.port, random)? };
        self.mark(port, true);
        if let Some(holder) = self.holders.get_mut(usize::from(port)) {
            *holder = Holder::new(inside).0;
        }
        Some(port)
    }

    /// Takes a port back.
    pub(super) fn give_back(&mut self, port: u16) {
        if let Some(holder) = self.holders.get_mut(usize::from(port)) {
            *holder = 0;
            self.mark(port, false);
        }
    }

    /// One more flow uses a port that somebody has.
    pub(super) fn hold(&mut self, port: u16) {
        if let Some(holder) = self.holders.get_mut(usize::from(port))
            && *holder & Holder::FLOWS != Holder::FLOWS
        {
            *holder += 1;
        }
    }

    /// One flow less does. If it was the last, says how often that was so.
    pub(super) fn release(&mut self, port: u16) -> Option<u64> {
        let holder = self.holders.get_mut(usize::from(port))?;
        let flows = *holder & Holder::FLOWS;
        if flows == 0 || flows == Holder::FLOWS {
            return None;
        }
        *holder -= 1;
        if flows == 1 {
            *holder = *holder & !Holder::IDLE | holder.wrapping_add(Holder::ONCE_IDLE) & Holder::IDLE;
        }
        Holder(*holder).idle()
    }

    fn is_free(&self, port: u16) -> bool {
        let (word, bit) = place(port);
        self.free(word) & bit != 0
    }

    /// The ports of a word that may be used and that nobody has.
    fn free(&self, word: usize) -> u64 {
        self.usable.get(word).zip(self.held.get(word)).map_or(0, |(usable, held)| usable & !held)
    }

    /// Marks a port as somebody's, or as nobody's.
    fn mark(&mut self, port: u16, is_held: bool) {
        let (word, bit) = place(port);
        if let Some(held) = self.held.get_mut(word) {
            *held = if is_held { *held | bit } else { *held & !bit };
        }
        self.sum_up(word);
    }

    fn sum_up(&mut self, word: usize) {
        let has_free = self.free(word) != 0;
        if let Some(some) = self.some.get_mut(word / 64) {
            let bit = 1 << (word % 64);
            *some = if has_free { *some | bit } else { *some & !bit };
        }
    }

    fn search(&self, wanted: u16, random: u64) -> Option<u16> {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let start = (random % WORDS as u64) as usize;
        let word = self.word_from(start).or_else(|| self.word_from(0))?;
        let free = self.free(word);
        let parity = if wanted.is_multiple_of(2) { EVEN } else { !EVEN };
        let wanted = if free & parity == 0 { free } else { free & parity };
        let turn = (random >> 32) as u32 % 64;
        let bit = (wanted.rotate_right(turn).trailing_zeros() + turn) % 64;
        u16::try_from(word * 64 + bit as usize).ok()
    }

    /// The first word from `start` on with a free port.
    fn word_from(&self, start: usize) -> Option<usize> {
        let mut mask = u64::MAX << (start % 64);
        (start / 64..WORDS / 64).find_map(|at| {
            let some = self.some.get(at)? & mask;
            mask = u64::MAX;
            (some != 0).then(|| at * 64 + some.trailing_zeros() as usize)
        })
    }
}

/// The word of a port, and its bit there.
const fn place(port: u16) -> (usize, u64) {
    (port as usize / 64, 1 << (port % 64))
}

/// The ports of a range among the 64 from `first` on, as bits.
fn within(ports: &RangeInclusive<u16>, first: u16) -> u64 {
    let (start, end) = (*ports.start().max(&first), *ports.end().min(&(first + 63)));
    if ports.is_empty() || start > end {
        return 0;
    }
    u64::MAX >> (63 - (end - start)) << (start - first)
}
