mod hostile;

use std::{net::IpAddr, sync::Arc};

use proptest::prelude::*;
use ravelin_config::types::{PortRange, Protocol};

use super::{Classifier, Key, Linear, Match, MemberChange, Patch, Position, ProtocolMatch, Rule, SetId};
use crate::policy::AddressSet;

/// Addresses of a universe so small that everything overlaps.
fn address(v6: bool, n: u8) -> IpAddr {
    let n = u32::from(n);
    if v6 {
        // Some differ in the upper half, some in the lower.
        let [upper, lower] = [u128::from(n >> 2), u128::from(n & 3)];
        IpAddr::V6(((0x2001_0db8 << 96) | (upper << 64) | lower).into())
    } else {
        // Some differ in the upper half, some in the lower.
        IpAddr::V4((0x0a00_0000 | (n >> 3) << 15 | (n & 7)).into())
    }
}

fn range((first, length): (u8, u8)) -> AddressSet {
    let last = first.saturating_add(length).min(31);
    let (first, last) = (first.min(31), last);
    let net = |n: u8, v6| -> AddressSet {
        let bits = if v6 { 128 } else { 32 };
        AddressSet::of_nets([&format!("{}/{bits}", address(v6, n)).parse().unwrap()])
    };
    AddressSet::union_of(&(first..=last).flat_map(|n| [net(n, false), net(n, true)]).collect::<Vec<_>>())
}

fn sets() -> impl Strategy<Value = Arc<AddressSet>> {
    let pieces = proptest::collection::vec((0u8..32, 0u8..6), 0..4);
    let wide = prop_oneof![
        6 => Just(AddressSet::empty()),
        1 => Just(AddressSet::all()),
        1 => Just(AddressSet::all_v4()),
        1 => Just(AddressSet::all_v6()),
    ];
    (pieces, wide, any::<bool>()).prop_map(|(pieces, wide, not)| {
        let mut all: Vec<_> = pieces.into_iter().map(range).collect();
        all.push(wide);
        let set = AddressSet::union_of(&all);
        Arc::new(if not { set.complement() } else { set })
    })
}

fn set_id(sets: u32) -> impl Strategy<Value = SetId> {
    prop_oneof![1 => Just(SetId::ANY), 4 => (0..sets).prop_map(SetId)]
}

fn ports() -> impl Strategy<Value = PortRange> {
    let all = PortRange::new(0, u16::MAX).unwrap();
    prop_oneof![
        2 => Just(all),
        2 => (0u16..8).prop_map(PortRange::single),
        1 => (0u16..8, 0u16..8).prop_map(|(a, b)| PortRange::new(a.min(b), a.max(b)).unwrap()),
        1 => (0u16..8).prop_map(|a| PortRange::new(a, u16::MAX).unwrap()),
    ]
}

fn protocol() -> impl Strategy<Value = ProtocolMatch> {
    prop_oneof![
        2 => Just(ProtocolMatch::Any),
        2 => (6u8..8).prop_map(|p| ProtocolMatch::Is(Protocol(p))),
        1 => (6u8..8).prop_map(|p| ProtocolMatch::Not(Protocol(p))),
    ]
}

fn rule(sets: u32, positions: u32) -> impl Strategy<Value = Rule> {
    (0..positions, set_id(sets), set_id(sets), protocol(), ports(), ports()).prop_map(
        |(position, source, destination, protocol, source_ports, destination_ports)| Rule {
            position: Position(position),
            source,
            destination,
            protocol,
            source_ports,
            destination_ports,
            outcome: position / 2,
        },
    )
}

prop_compose! {
    fn key()(v6: bool, source in 0u8..32, destination in 0u8..32, protocol in 5u8..9, source_port in 0u16..9,
             destination_port in 0u16..9) -> Key {
        Key {
            source: address(v6, source),
            destination: address(v6, destination),
            protocol: Protocol(protocol),
            source_port,
            destination_port,
            zones: Key::NO_ZONES,
        }
    }
}

fn rules(sets: u32, positions: u32, most: usize) -> impl Strategy<Value = Vec<Rule>> {
    proptest::collection::vec(rule(sets, positions), 0..most)
}

/// What both say of every key from every position on that makes a difference.
fn agree(
    classifier: &Classifier,
    linear: &Linear,
    keys: &[Key],
    positions: u32,
) -> Result<(), TestCaseError> {
    for from in (0..=positions).chain([u32::MAX]).map(Position) {
        let expected: Vec<_> = keys.iter().map(|key| linear.first(key, from)).collect();
        let single: Vec<_> = keys.iter().map(|key| classifier.first(key, from)).collect();
        prop_assert_eq!(&single, &expected);
        let stale = Some(Match { position: Position(7), outcome: 7_777 });
        let mut batch = vec![stale; keys.len()];
        classifier.first_of_batch(keys, &vec![from; keys.len()], &mut batch);
        prop_assert_eq!(&batch, &expected);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_classifier_says_what_linear_search_says(
        sets in proptest::collection::vec(sets(), 8),
        rules in rules(8, 40, 80),
        keys in proptest::collection::vec(key(), 70),
    ) {
        let linear = Linear::new(sets.clone(), rules.clone());
        agree(&Classifier::new(sets, rules), &linear, &keys, 40)?;
    }

    #[test]
    fn a_patched_classifier_is_one_that_was_built_so(
        sets_before in proptest::collection::vec(sets(), 8),
        rules_before in rules(8, 40, 60),
        patches in proptest::collection::vec(patch(), 1..4),
        keys in proptest::collection::vec(key(), 40),
    ) {
        let (mut sets, mut rules) = (sets_before.clone(), rules_before.clone());
        let mut patched = Classifier::new(sets_before, rules_before);
        for (step, patch) in patches.iter().enumerate() {
            prop_assert_eq!(patched.sets() as usize, sets.len());
            patched = patched.patched(patch);
            rules.retain(|rule| !patch.removes(rule));
            sets.extend(patch.sets.iter().cloned());
            for change in &patch.members {
                let set = &mut sets[change.set.0 as usize];
                *set = Arc::new(change.applied(set));
            }
            rules.extend_from_slice(&patch.rules);
            prop_assert!(patched.changes() >= step);
            let linear = Linear::new(sets.clone(), rules.clone());
            agree(&patched, &linear, &keys, 41)?;
            let rebuilt = patched.rebuilt();
            prop_assert_eq!(rebuilt.changes(), 0);
            agree(&rebuilt, &linear, &keys, 41)?;
        }
    }
}

fn patch() -> impl Strategy<Value = Patch> {
    let removals = proptest::collection::vec((0u32..40, 0u32..6), 0..2);
    let outcomes = proptest::collection::vec(0u32..20, 0..2);
    let change = (0u32..8, 0u8..32, 0u8..8, 0u8..32, 0u8..8).prop_map(|(set, a, b, c, d)| MemberChange {
        set: SetId(set),
        leave: range((a, b)),
        join: range((c, d)),
    });
    // New rules name old sets and the first of the new ones.
    let rules = rules(9, 41, 4);
    (removals, outcomes, sets(), proptest::collection::vec(change, 0..4), rules).prop_map(
        |(removals, remove_outcomes, set, members, rules)| Patch {
            remove: removals.into_iter().map(|(a, n)| Position(a)..=Position(a + n)).collect(),
            remove_outcomes,
            sets: vec![set],
            members,
            rules,
        },
    )
}
