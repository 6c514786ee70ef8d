//! What a policy says about the endpoints of a class, so that classes about which nothing has changed need no further look.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use ravelin_dataplane::policy::{Effect, Position, Rule, SetId, ZoneSet};

use super::{classes::Class, places::Place};
use crate::policy::{
    Direction,
    flat::{Flat, FlatSide},
};

/// The rules of one side of a policy, by the endpoints that they are about.
pub(super) struct Own<'f> {
    /// Which of the two policies it is.
    policy: usize,
    flat: &'f Flat,
    side: FlatSide<'f>,
    /// Where the ends of a flow may be.
    places: &'f [Place],
    by_set: HashMap<SetId, Vec<&'f Rule>>,
    /// What each set holds, in short.
    contents: HashMap<SetId, u64>,
}

impl<'f> Own<'f> {
    pub(super) fn new(policy: usize, flat: &'f Flat, places: &'f [Place], direction: Direction) -> Self {
        let side = flat.side(direction, false);
        let mut by_set: HashMap<SetId, Vec<&Rule>> = HashMap::new();
        let mut contents = HashMap::new();
        for rule in side.rules {
            by_set.entry(side.own(rule)).or_default().push(rule);
            let peer = side.peer(rule);
            contents.entry(peer).or_insert_with(|| short(&flat.set(peer)));
        }
        Self { policy, flat, side, places, by_set, contents }
    }

    /// The rules about the endpoints of one class that are about peers of another.
    pub(super) fn rules_between<'o>(
        &'o self,
        own: &'o [&'f Rule],
        peer: &'o Class,
    ) -> impl Iterator<Item = &'f Rule> + 'o {
        let holds = |set: SetId| set == SetId::ANY || peer.sets.contains(&(self.policy, set.0));
        own.iter().copied().filter(move |rule| holds(self.side.peer(rule)))
    }

    /// The rules about the endpoints of a class, in order.
    pub(super) fn rules(&self, class: &Class) -> Vec<&'f Rule> {
        let sets = class.sets.iter().filter(|(policy, _)| *policy == self.policy);
        let sets = sets.map(|(_, set)| SetId(*set)).chain([SetId::ANY]);
        let mut rules: Vec<_> = sets.filter_map(|set| self.by_set.get(&set)).flatten().copied().collect();
        rules.sort_by_key(|rule| (rule.position, rule.protocol_number(), rule.destination_ports.first()));
        rules
    }

    /// What the rules about a class say, in short: equal if they decide the same about the same peers.
    pub(super) fn signature(&self, class: &Class) -> u64 {
        let rules = self.rules(class);
        let mut hasher = DefaultHasher::new();
        for rule in &rules {
            let effect = self.flat.outcome(rule.outcome).map(|outcome| outcome.effect);
            let (kind, next) = match effect {
                Some(Effect::Log) | None => continue,
                Some(Effect::Allow) => (0, 0),
                Some(Effect::Deny) => (1, 0),
                Some(Effect::Reject) => (2, 0),
                Some(Effect::Pass(next)) => (3, behind(&rules, next)),
            };
            (kind, next, self.contents.get(&self.side.peer(rule))).hash(&mut hasher);
            (rule.protocol, rule.source_ports, rule.destination_ports).hash(&mut hasher);
            for zones in self.flat.zones(rule) {
                let has: Vec<_> =
                    self.places.iter().map(|place| zones.has(place.zone(self.policy))).collect();
                has.hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Whether a rule asks for a zone.
    pub(super) fn asks_for_zones(&self, rule: &Rule) -> bool {
        self.flat.zones(rule) != [ZoneSet::ANY; 2]
    }
}

/// How many of the rules stand before a position, from behind: what comes after it is what counts.
fn behind(rules: &[&Rule], position: Position) -> usize {
    rules.len() - rules.partition_point(|rule| rule.position < position)
}

fn short(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// To put alternatives of a rule in an order of their own.
trait ProtocolNumber {
    fn protocol_number(&self) -> u16;
}

impl ProtocolNumber for Rule {
    fn protocol_number(&self) -> u16 {
        use ravelin_dataplane::policy::ProtocolMatch::{Any, Is, Not};
        match self.protocol {
            Any => 0,
            Is(protocol) => 1 + u16::from(protocol.0),
            Not(protocol) => 300 + u16::from(protocol.0),
        }
    }
}
