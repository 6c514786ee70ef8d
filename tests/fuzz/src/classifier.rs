//! The classifier says what linear search says, batched and single, patched and built anew. Used by the fuzz target and by
//! `dataplane/tests/corpus.rs`.
//!
//! The input is read as numbers, zeros behind its end: sets of addresses near each other, rules, keys, one change.

use std::{net::IpAddr, sync::Arc};

use ravelin_config::types::{IpNet, PortRange, Protocol};
use ravelin_dataplane::policy::{
    AddressSet,
    classifier::{Classifier, Key, Linear, MemberChange, Patch, Position, ProtocolMatch, Rule, SetId},
};

/// Checks one set of rules.
pub(crate) fn check(input: &[u8]) {
    let mut bytes = Bytes(input.iter());
    let mut sets: Vec<Arc<AddressSet>> = (0..bytes.below(12)).map(|_| bytes.set()).collect();
    let mut rules: Vec<Rule> = (0..u32::from(bytes.next()) * 2).map(|_| bytes.rule()).collect();
    let keys: Vec<Key> = (0..1 + bytes.below(80)).map(|_| bytes.key()).collect();
    let from: Vec<Position> = keys.iter().map(|_| Position(u32::from(bytes.below(40)))).collect();

    let classifier = Classifier::new(sets.clone(), rules.clone());
    rules.retain(|rule| is_whole(rule, sets.len()));
    compare(&classifier, &Linear::new(sets.clone(), rules.clone()), &keys, &from);

    let patch = Patch {
        remove: (0..bytes.below(3)).map(|_| bytes.positions()).collect(),
        remove_outcomes: (0..bytes.below(3)).map(|_| bytes.next().into()).collect(),
        sets: (0..bytes.below(2)).map(|_| bytes.set()).collect(),
        members: (0..bytes.below(4)).map(|_| bytes.change()).collect(),
        rules: (0..bytes.below(6)).map(|_| bytes.rule()).collect(),
    };
    rules.retain(|rule| {
        !patch.remove.iter().any(|positions| positions.contains(&rule.position))
            && !patch.remove_outcomes.contains(&rule.outcome)
    });
    sets.extend(patch.sets.iter().cloned());
    rules.extend(patch.rules.iter().filter(|rule| is_whole(rule, sets.len())));
    for change in &patch.members {
        if let Some(set) = sets.get_mut(change.set.0 as usize) {
            *set = Arc::new(AddressSet::union_of([&set.difference(&change.leave), &change.join]));
        }
    }
    let linear = Linear::new(sets, rules);
    let patched = classifier.patched(&patch);
    compare(&patched, &linear, &keys, &from);
    compare(&patched.rebuilt(), &linear, &keys, &from);
}

/// Whether the sets that a rule names are there.
fn is_whole(rule: &Rule, sets: usize) -> bool {
    [rule.source, rule.destination].iter().all(|set| *set == SetId::ANY || (set.0 as usize) < sets)
}

fn compare(classifier: &Classifier, linear: &Linear, keys: &[Key], from: &[Position]) {
    let mut batch = vec![None; keys.len()];
    classifier.first_of_batch(keys, from, &mut batch);
    for ((key, from), batched) in keys.iter().zip(from).zip(batch) {
        let expected = linear.first(key, *from);
        assert_eq!(batched, expected, "{key:?} from {from:?}");
        assert_eq!(classifier.first(key, *from), expected, "{key:?} from {from:?}");
    }
}

/// Numbers from bytes.
struct Bytes<'i>(std::slice::Iter<'i, u8>);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        self.0.next().copied().unwrap_or_default()
    }

    fn below(&mut self, end: u8) -> u8 {
        self.next() % end
    }

    fn address(&mut self) -> IpAddr {
        let (family, high, low) = (self.next(), self.below(4), self.next());
        if family & 1 == 0 {
            IpAddr::V4([10, high, family >> 6, low].into())
        } else {
            let mut octets = [0x20, 1, 0xd, 0xb8, 0, 0, 0, high, 0, 0, 0, 0, 0, 0, family >> 6, low];
            octets[8] = family & 0x80;
            IpAddr::V6(octets.into())
        }
    }

    fn set(&mut self) -> Arc<AddressSet> {
        let kind = self.next();
        let nets: Vec<IpNet> = (0..kind % 8)
            .filter_map(|_| {
                let (address, short) = (self.address(), self.below(20));
                let length = if address.is_ipv4() { 32 } else { 128 } - if short > 12 { 0 } else { short };
                format!("{address}/{length}").parse().ok()
            })
            .collect();
        let set = AddressSet::of_nets(&nets);
        Arc::new(if kind & 0xc0 == 0xc0 { set.complement() } else { set })
    }

    fn set_id(&mut self) -> SetId {
        // Some sets are not there.
        let id = self.below(16);
        if id == 15 { SetId::ANY } else { SetId(id.into()) }
    }

    fn ports(&mut self) -> PortRange {
        let (a, b) = (u16::from(self.next()), u16::from(self.next()));
        match a % 3 {
            0 => PortRange::new(0, u16::MAX).expect("in order"),
            1 => PortRange::single(b % 8),
            _ => PortRange::new(a.min(b), a.max(b) << 8 | a.max(b)).expect("in order"),
        }
    }

    fn protocol(&mut self) -> ProtocolMatch {
        let protocol = self.next();
        match protocol % 4 {
            0 => ProtocolMatch::Not(Protocol(protocol % 5)),
            1 | 2 => ProtocolMatch::Is(Protocol(protocol % 5)),
            _ => ProtocolMatch::Any,
        }
    }

    fn rule(&mut self) -> Rule {
        let position = Position(self.below(40).into());
        Rule {
            position,
            source: self.set_id(),
            destination: self.set_id(),
            protocol: self.protocol(),
            source_ports: self.ports(),
            destination_ports: self.ports(),
            outcome: position.0 / 2,
        }
    }

    fn key(&mut self) -> Key {
        Key {
            source: self.address(),
            destination: self.address(),
            protocol: Protocol(self.below(6)),
            source_port: u16::from(self.next()) * 7,
            destination_port: self.below(10).into(),
            zones: Key::NO_ZONES,
        }
    }

    fn positions(&mut self) -> std::ops::RangeInclusive<Position> {
        let (first, count) = (u32::from(self.below(40)), u32::from(self.below(8)));
        Position(first)..=Position(first + count)
    }

    fn change(&mut self) -> MemberChange {
        let set = SetId(self.below(16).into());
        let (leave, join) = (self.set(), self.set());
        MemberChange { set, leave: AddressSet::clone(&leave), join: AddressSet::clone(&join) }
    }
}
