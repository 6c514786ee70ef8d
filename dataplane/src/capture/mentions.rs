use crate::parse::Address;

/// Which addresses may be among many packets: a Bloom filter. Whoever looks for one address skips what certainly does not have it.
///
/// The bits of an address are the same in every process, so that they can be written down. Somebody who chooses addresses can make
/// every bit one; then a search reads everything, as it would without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mentions(Box<[u64; Self::WORDS]>);

impl Mentions {
    /// Words of 64 bits: 4 KiB, for as many packets as a chunk has.
    pub const WORDS: usize = 512;

    /// Notes an address.
    pub fn add(&mut self, address: Address) {
        for (word, bit) in places(address) {
            if let Some(word) = self.0.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Notes whatever another one has.
    pub fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(*other.0).for_each(|(word, bits)| *word |= bits);
    }

    /// Whether the address may have been noted. If not, it was not.
    pub fn may_have(&self, address: Address) -> bool {
        places(address).into_iter().all(|(word, bit)| self.0.get(word).is_some_and(|word| word & bit != 0))
    }

    /// The bits, to be written down.
    pub const fn words(&self) -> &[u64; Self::WORDS] {
        &self.0
    }

    /// What was written down.
    pub fn of_words(words: [u64; Self::WORDS]) -> Self {
        Self(Box::new(words))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.fill(0);
    }
}

impl Default for Mentions {
    fn default() -> Self {
        Self(Box::new([0; Self::WORDS]))
    }
}

/// Two bits for an address: words and the bits in them.
fn places(address: Address) -> [(usize, u64); 2] {
    let bits = u128::from_be_bytes(address.0);
    let number = (bits as u64) ^ ((bits >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The finaliser of SplitMix64.
    let mixed = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    [mixed >> 49, mixed >> 34 & 0x7fff].map(|bit| ((bit >> 6) as usize, 1 << (bit & 63)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_found_and_little_else() {
        let addresses = |network: u8| (0..=255).map(move |last| Address::v4([10, network, 7, last]));
        let six = Address::from("2001:db8::1".parse::<std::net::IpAddr>().unwrap());
        let mut mentions = Mentions::default();
        addresses(1).for_each(|address| mentions.add(address));
        mentions.add(six);
        assert!(addresses(1).all(|address| mentions.may_have(address)));
        assert!(mentions.may_have(six));
        let found = (2..=250).flat_map(addresses).filter(|address| mentions.may_have(*address)).count();
        assert!(found < 250 * 256 / 200, "{found}");
        assert_eq!(Mentions::of_words(*mentions.words()), mentions);
        mentions.clear();
        assert_eq!(mentions, Mentions::default());
    }
}
