//! Which rules stand in the way of which.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ravelin_config::types::{PortRange, Protocol};
use ravelin_dataplane::policy::{AddressSet, Effect, Key, Position, ProtocolMatch, Rule, SetId};

use crate::policy::flat::{Flat, FlatSide};

/// Rules that are looked at as a cover of one rule.
pub(super) const LOOKED_AT: usize = 1_000;

/// The rules about one direction, so that those before a rule can be asked.
pub(super) struct Covers<'f> {
    flat: &'f Flat,
    side: FlatSide<'f>,
    /// The alternatives of each rule, by its outcome.
    by_outcome: HashMap<u32, Vec<&'f Rule>>,
    /// Whether the first set is part of the second, for either version of IP.
    within: HashMap<(SetId, SetId), [bool; 2]>,
}

impl<'f> Covers<'f> {
    pub(super) fn new(flat: &'f Flat, side: FlatSide<'f>) -> Self {
        let mut by_outcome: HashMap<u32, Vec<&Rule>> = HashMap::new();
        for rule in side.rules {
            by_outcome.entry(rule.outcome).or_default().push(rule);
        }
        Self { flat, side, by_outcome, within: HashMap::new() }
    }

    /// The first rule that decides all that `rule` would match, before it is asked.
    pub(super) fn of(&mut self, rule: &Rule) -> Option<&'f Rule> {
        // What covers a rule matches whatever the rule matches, so also this. The classifier finds it wherever it is.
        let key = self.example(rule)?;
        let mut from = Position::START;
        for _ in 0..LOOKED_AT {
            let found = self.side.classifier.first(&key, from)?;
            if found.position >= rule.position {
                return None;
            }
            let effect = self.flat.outcome(found.outcome)?.effect;
            let stands_in_the_way = match effect {
                Effect::Allow | Effect::Deny | Effect::Reject => true,
                Effect::Pass(next) => rule.position < next,
                Effect::Log => false,
            };
            if stands_in_the_way {
                let candidates = self.by_outcome.get(&found.outcome).cloned().unwrap_or_default();
                if let Some(cover) = candidates.into_iter().find(|cover| self.covers(cover, rule)) {
                    return Some(cover);
                }
            }
            from = found.position.next()?;
        }
        None
    }

    /// A flow that a rule matches; `None` if there is none, because its ends have no version of IP in common.
    fn example(&self, rule: &Rule) -> Option<Key> {
        let [source, destination] = [rule.source, rule.destination].map(|set| self.flat.set(set));
        let v4 = |set: Option<&AddressSet>| match set {
            Some(set) => set.v4().first().map(|(first, _)| IpAddr::V4((*first).into())),
            None => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        };
        let v6 = |set: Option<&AddressSet>| match set {
            Some(set) => set.v6().first().map(|(first, _)| IpAddr::V6((*first).into())),
            None => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        };
        let (source, destination) =
            v4(source).zip(v4(destination)).or_else(|| v6(source).zip(v6(destination)))?;
        let protocol = match rule.protocol {
            ProtocolMatch::Is(protocol) => protocol,
            ProtocolMatch::Not(Protocol::TCP) => Protocol::UDP,
            ProtocolMatch::Any | ProtocolMatch::Not(_) => Protocol::TCP,
        };
        let (source_port, destination_port) = (rule.source_ports.first(), rule.destination_ports.first());
        Some(Key { source, destination, protocol, source_port, destination_port, zones: Key::NO_ZONES })
    }

    /// Whether `cover` matches all that `rule` does.
    fn covers(&mut self, cover: &Rule, rule: &Rule) -> bool {
        let ports =
            |cover: PortRange, rule: PortRange| cover.first() <= rule.first() && rule.last() <= cover.last();
        let protocol = match (cover.protocol, rule.protocol) {
            (ProtocolMatch::Any, _) => true,
            (ProtocolMatch::Is(cover), ProtocolMatch::Is(rule))
            | (ProtocolMatch::Not(cover), ProtocolMatch::Not(rule)) => cover == rule,
            (ProtocolMatch::Not(cover), ProtocolMatch::Is(rule)) => cover != rule,
            (ProtocolMatch::Is(_) | ProtocolMatch::Not(_), ProtocolMatch::Any)
            | (ProtocolMatch::Is(_), ProtocolMatch::Not(_)) => false,
        };
        protocol
            && self.covers_zones(cover, rule)
            && ports(cover.source_ports, rule.source_ports)
            && ports(cover.destination_ports, rule.destination_ports)
            && self.covers_addresses(cover, rule)
    }

    /// Whether it is about all the zones that `rule` is about.
    fn covers_zones(&self, cover: &Rule, rule: &Rule) -> bool {
        let [cover, rule] = [cover, rule].map(|rule| self.flat.zones(rule));
        cover.iter().zip(rule).all(|(cover, rule)| cover.covers(rule))
    }

    /// Whether it does for either version of IP; a version that one end of `rule` does not have needs no cover.
    fn covers_addresses(&mut self, cover: &Rule, rule: &Rule) -> bool {
        let has = |set: SetId| {
            self.flat.set(set).map_or([true; 2], |set| [!set.v4().is_empty(), !set.v6().is_empty()])
        };
        let (from, to) = (has(rule.source), has(rule.destination));
        let sources = self.is_within(rule.source, cover.source);
        let destinations = self.is_within(rule.destination, cover.destination);
        [0, 1].into_iter().all(|v| !(from[v] && to[v]) || (sources[v] && destinations[v]))
    }

    fn is_within(&mut self, inner: SetId, outer: SetId) -> [bool; 2] {
        let flat = self.flat;
        *self.within.entry((inner, outer)).or_insert_with(|| match (flat.set(inner), flat.set(outer)) {
            (_, None) => [true; 2],
            (None, Some(outer)) => [is_full(outer.v4(), (0, u32::MAX)), is_full(outer.v6(), (0, u128::MAX))],
            (Some(inner), Some(outer)) => [inside(inner.v4(), outer.v4()), inside(inner.v6(), outer.v6())],
        })
    }
}

fn is_full<T: PartialEq>(ranges: &[(T, T)], all: (T, T)) -> bool {
    *ranges == [all]
}

/// Whether all ranges lie in others. Neither list has ranges that touch.
fn inside<T: Ord>(inner: &[(T, T)], outer: &[(T, T)]) -> bool {
    inner.iter().all(|(first, last)| {
        let behind = outer.partition_point(|(start, _)| start <= first);
        let holder = behind.checked_sub(1).and_then(|at| outer.get(at));
        holder.is_some_and(|(_, end)| last <= end)
    })
}
