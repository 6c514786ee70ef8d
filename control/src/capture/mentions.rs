use ravelin_config::types::Protocol;
use ravelin_dataplane::parse::Address;

use super::{
    blocks::{Packet, Packets},
    marks::Marks,
};
use crate::records::CommunityId;

/// What may be among many packets: a Bloom filter of [`Mention`]s. Whoever looks for one of these skips what certainly does not have it.
///
/// It is as small as it can be without being full. The bits of a mention are the same in every process, so that they can be written down.
/// Somebody who chooses addresses can make every bit one; then a search reads everything, as it would without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mentions(Box<[u64]>);

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mention {
    /// Of a sender or receiver.
    Address(Address),
    Protocol(Protocol),
    /// Of a sender or receiver.
    Port(Protocol, u16),
    /// A flow, by its name.
    Flow(CommunityId),
}

impl Mention {
    /// Two bits of as many as there are at most.
    fn places(self) -> [u16; 2] {
        let number = match self {
            Self::Address(address) => {
                let bits = u128::from_be_bytes(address.0);
                (bits as u64) ^ ((bits >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            }
            Self::Protocol(protocol) => 1 << 56 | u64::from(protocol.0),
            Self::Port(protocol, port) => 2 << 56 | u64::from(protocol.0) << 16 | u64::from(port),
            Self::Flow(name) => name.hash(),
        };
        // The finaliser of SplitMix64.
        let mixed = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        [(mixed >> 48) as u16, (mixed >> 32) as u16]
    }
}

impl Mentions {
    /// Words of 64 bits at least and at most: 8 KiB, for as many packets as a chunk has.
    const LEAST: usize = 4;
    pub(super) const MOST: usize = 1024;
    /// One bit in so many may be set before it takes twice the room: of 256 chunks without what is looked for, one looks as if it had it.
    const SPARSE: u32 = 16;

    /// Anything.
    pub(super) fn anything() -> Self {
        Self(Box::new([u64::MAX; Self::LEAST]))
    }

    /// Whether something may have been noted. If not, it was not.
    pub(super) fn may_have(&self, mention: Mention) -> bool {
        mention.places().into_iter().all(|place| {
            let place = usize::from(place) & (self.0.len() * 64 - 1);
            self.0[place / 64] & 1 << (place % 64) != 0
        })
    }

    /// The bits, to be written down.
    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }

    /// What was written down; `None` if it cannot have been.
    pub(super) fn of_words(words: Vec<u64>) -> Option<Self> {
        let is_one = words.len().is_power_of_two() && (Self::LEAST..=Self::MOST).contains(&words.len());
        is_one.then(|| Self(words.into()))
    }

    /// The same in half the room, again and again while it stays sparse. The place of a bit in the half is that in the whole without its
    /// highest bit.
    fn folded(mut words: Vec<u64>) -> Self {
        while words.len() > Self::LEAST {
            let half = words.len() / 2;
            let (low, high) = words.split_at_mut(half);
            let set: u32 = low.iter().zip(&*high).map(|(low, high)| (*low | *high).count_ones()).sum();
            if set * Self::SPARSE > low.len() as u32 * 64 {
                break;
            }
            low.iter_mut().zip(high).for_each(|(low, high)| *low |= *high);
            words.truncate(half);
        }
        Self(words.into())
    }
}

/// Finds out what is among packets.
///
/// Most packets are of few flows: what was worked out for a flow is kept while no other takes its place.
#[derive(Debug)]
pub(super) struct Indexer {
    known: Box<[Option<Known>]>,
    turn: u64,
}

/// Packets with the same marks: the places of their bits, and when these were set last.
#[derive(Clone, Copy, Debug)]
struct Known {
    marks: Marks,
    places: [[u16; 2]; 6],
    turn: u64,
}

impl Default for Indexer {
    fn default() -> Self {
        Self { known: vec![None; Self::KNOWN].into(), turn: 0 }
    }
}

impl Indexer {
    const KNOWN: usize = 1024;

    /// What is among the ring's packets in blocks.
    pub(super) fn index(&mut self, blocks: &[u8]) -> Mentions {
        self.turn += 1;
        let mut words = vec![0; Mentions::MOST];
        for packet in Packets::new(blocks).filter(Packet::is_of_ring) {
            let Some(marks) = Marks::of(packet.bytes) else { continue };
            let place = &mut self.known[marks.digest() % Self::KNOWN];
            let known = match place {
                Some(known) if known.marks == marks => known,
                _ => place.insert(Known::new(marks)),
            };
            if std::mem::replace(&mut known.turn, self.turn) != self.turn {
                for place in known.places.as_flattened() {
                    words[usize::from(*place) / 64] |= 1 << (place % 64);
                }
            }
        }
        Mentions::folded(words)
    }
}

impl Known {
    fn new(marks: Marks) -> Self {
        let Marks { source, destination, protocol, .. } = marks;
        let [source_port, destination_port] =
            marks.ports().map_or([None; 2], |ports| ports.map(|port| Some(Mention::Port(protocol, port))));
        let first = Mention::Address(source);
        let mentions = [
            Some(first),
            Some(Mention::Address(destination)),
            Some(Mention::Protocol(protocol)),
            source_port,
            destination_port,
            marks.community_id().map(Mention::Flow),
        ];
        Self { marks, places: mentions.map(|mention| mention.unwrap_or(first).places()), turn: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::fixtures::{Sample, chunk};

    fn address(last: u8) -> Mention {
        Mention::Address(Address::v4([10, 0, 0, last]))
    }

    /// What is among packets from these hosts to 10.0.0.2.
    fn of(hosts: impl IntoIterator<Item = u16>) -> Mentions {
        let samples: Vec<_> = hosts
            .into_iter()
            .map(|host| Sample::new(1, 1, 0).from([10, 1, (host >> 8) as u8, host as u8]))
            .collect();
        Indexer::default().index(chunk(&samples).bytes())
    }

    #[test]
    fn what_is_there_is_found_and_little_else() {
        for hosts in [1, 10, 100, 1000] {
            let mentions = of(0..hosts);
            let has = |host: u16| {
                mentions.may_have(Mention::Address(Address::v4([10, 1, (host >> 8) as u8, host as u8])))
            };
            assert!((0..hosts).all(has) && mentions.may_have(address(2)));
            assert!(mentions.may_have(Mention::Port(Protocol::UDP, 53)));
            assert!(mentions.may_have(Mention::Protocol(Protocol::UDP)));
            let others = (1000..60_000).filter(|host| has(*host)).count();
            assert!(others < 59_000 / 128, "{others} of {hosts}");
            assert_eq!(Mentions::of_words(mentions.words().to_vec()).as_ref(), Some(&mentions));
            // Three bytes for each host with a flow of its own, or little more.
            let bytes = mentions.words().len() * 8;
            assert!(bytes <= 32.max(usize::from(hosts) * 24), "{bytes} of {hosts}");
        }
        assert!(Mentions::anything().may_have(address(7)));
        for words in [0, 1, 3, 5, 2048] {
            assert_eq!(Mentions::of_words(vec![0; words]), None);
        }
    }

    #[test]
    fn what_another_chunk_had_is_not_in_the_next() {
        let mut indexer = Indexer::default();
        let first = Sample::new(1, 1, 0);
        let second = first.from([10, 0, 0, 9]);
        let others = Sample::new(1, 2, 0).from([10, 0, 0, 7]);
        for _ in 0..2 {
            let mentions = indexer.index(chunk([&first, &first]).bytes());
            assert!(mentions.may_have(address(1)) && !mentions.may_have(address(9)));
            let mentions = indexer.index(chunk([&second, &others]).bytes());
            assert!(mentions.may_have(address(9)) && !mentions.may_have(address(1)));
            assert!(!mentions.may_have(address(7)), "another capture's");
        }
        assert_eq!(indexer.index(&[]), of([]));
    }
}
