//! The index alone, against a map.

use std::collections::HashMap;

use super::Random;
use crate::flow::{
    index::{Hint, Index},
    lanes,
};

#[test]
fn holds_as_many_as_it_was_made_for() {
    for capacity in [1, 2, 3, 8, 12, 13, 24, 100, 1000, 4097, 50_000] {
        let mut index = Index::new(capacity);
        let mut random = Random::new(u64::from(capacity));
        let hashes: Vec<u64> =
            (0..capacity).map(|_| random.below(u64::MAX) << 16 ^ random.below(u64::MAX)).collect();
        for (slot, hash) in (0..).zip(&hashes) {
            assert!(index.insert(*hash, slot, 0, false), "{slot} of {capacity}");
        }
        for (slot, hash) in (0..).zip(&hashes) {
            assert!(index.find(*hash, |candidate| candidate == slot).is_some(), "{slot} of {capacity}");
        }
    }
}

#[test]
fn agrees_with_a_map() {
    for seed in 1..=20 {
        let mut random = Random::new(seed);
        let capacity = 1 + u32::try_from(random.below(300)).unwrap();
        let mut index = Index::new(capacity);
        // hash, due, weak by slot; few distinct hashes, so that tags and buckets clash.
        let mut model: HashMap<u32, (u64, u8, bool)> = HashMap::new();
        for _ in 0..3000 {
            let slot = u32::try_from(random.below(u64::from(capacity))).unwrap();
            match model.get(&slot).copied() {
                None => {
                    let hash = random.below(1 << 9) << 23;
                    if index.insert(hash, slot, 7, true) {
                        model.insert(slot, (hash, 7, true));
                    }
                }
                Some((hash, due, weak)) => {
                    let place = index.find(hash, |candidate| candidate == slot).expect("is there");
                    assert_eq!(index.due_at(place), due);
                    assert_eq!(index.weak(place.bucket) >> place.lane & 1 != 0, weak);
                    if random.chance(60) {
                        index.remove(place);
                        model.remove(&slot);
                    } else {
                        let (due, weak) = (u8::try_from(random.below(256)).unwrap(), random.chance(50));
                        index.set(place, due, weak);
                        model.insert(slot, (hash, due, weak));
                    }
                }
            }
        }
        let mut listed: Vec<(u32, bool, bool)> = Vec::new();
        for bucket in 0..index.buckets() {
            let mut lanes = index.used(bucket);
            while let Some(place) = index.place(bucket, lanes) {
                let bit = 1 << place.lane;
                let (weak, due) = (index.weak(bucket) & bit != 0, index.due(bucket, 130) & bit != 0);
                listed.push((place.slot, weak, due));
                lanes &= lanes - 1;
            }
            assert_eq!((index.weak(bucket) | index.due(bucket, 130)) & !index.used(bucket), 0);
        }
        listed.sort_unstable();
        let mut expected: Vec<_> =
            model.iter().map(|(slot, (_, due, weak))| (*slot, *weak, (3..=130).contains(due))).collect();
        expected.sort_unstable();
        assert_eq!(listed, expected);
    }
}

#[test]
fn refuses_what_does_not_fit_and_forgets_nothing() {
    let mut index = Index::new(100);
    // One hash for all: two buckets have room for 24, and nothing can move.
    let placed = (0..100).filter(|slot| index.insert(0x1234_5678, *slot, 0, false)).count();
    assert!((12..=24).contains(&placed), "{placed}");
    for slot in 0..u32::try_from(placed).unwrap() {
        let place = index.find(0x1234_5678, |candidate| candidate == slot).expect("is there");
        index.remove(place);
    }
    assert!((0..index.buckets()).all(|bucket| index.used(bucket) == 0));
    assert!(index.insert(0x1234_5678, 1, 0, false));
    let mut seen = Vec::new();
    assert_eq!(index.hint(0x1234_5678, |slot| seen.push(slot)), Hint(1));
    assert_eq!(seen, [1]);
}

#[test]
fn lanes_are_compared_as_if_one_by_one() {
    let mut random = Random::new(5);
    for _ in 0..2000 {
        let mut words = [0; lanes::COUNT];
        let mut bytes = [0; lanes::COUNT];
        for (word, byte) in words.iter_mut().zip(&mut bytes) {
            *word = u32::try_from(random.below(8) << 28 | random.below(3)).unwrap();
            *byte = u8::try_from(random.below(256)).unwrap();
        }
        let (value, limit) = (words[3] & 0xf000_0000, bytes[7]);
        assert_eq!(
            lanes::equal(&words, 0xf000_0000, value),
            lanes::plain(&words, |word| word & 0xf000_0000 == value)
        );
        assert_eq!(
            lanes::not_after(&bytes, limit),
            lanes::plain(&bytes, |byte| limit.wrapping_sub(byte) < 128)
        );
    }
}
