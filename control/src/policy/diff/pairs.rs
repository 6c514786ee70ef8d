//! Every pair of classes that may be decided differently, at every port where that may begin.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ravelin_config::types::{PortRange, Protocol};
use ravelin_dataplane::policy::{Decision, Key, ProtocolMatch, Rule};

use super::{
    Both, Budget, Change, Comparison, Difference,
    classes::{Class, Classes, Version},
    label::{Labels, range, ranges},
    places::{ByPlace, Place, anywhere},
    signature::Own,
};
use crate::policy::{BookReader, Direction, Named, flat::Flat, verdict_name};

/// What differs between the ends of a pair.
type Changes = Vec<Change>;

pub(super) struct Pairs<'p> {
    both: &'p Both,
    classes: &'p Classes,
    budget: &'p Budget,
    /// Of the old and the new policy.
    egress: [Own<'p>; 2],
    ingress: [Own<'p>; 2],
    books: [BookReader; 2],
    /// Flows that were asked about.
    asked: usize,
}

/// The rules of both policies about one class, by direction the source or the destination of flows.
type Rules<'p> = [Vec<&'p Rule>; 2];

impl<'p> Pairs<'p> {
    pub(super) fn new(both: &'p Both, classes: &'p Classes, budget: &'p Budget) -> Self {
        let Both { old, new, places } = both;
        let own = |direction| [Own::new(0, old, places, direction), Own::new(1, new, places, direction)];
        let (egress, ingress) = (own(Direction::Egress), own(Direction::Ingress));
        let books = [old.book.clone(), new.book.clone()];
        Self { both, classes, budget, egress, ingress, books, asked: 0 }
    }

    /// Adds what differs.
    pub(super) fn compare(mut self, comparison: &mut Comparison) {
        let classes = &self.classes.classes;
        let suspects = |[old, new]: &[Own<'_>; 2]| -> Vec<bool> {
            classes.iter().map(|class| old.signature(class) != new.signature(class)).collect()
        };
        let (sources, destinations) = (suspects(&self.egress), suspects(&self.ingress));
        let number = |suspects: &[bool]| suspects.iter().filter(|suspect| **suspect).count();
        let (all, out, into) = (classes.len(), number(&sources), number(&destinations));
        let pairs = out * all + into * (all - out);
        let step = pairs.div_ceil(self.budget.pairs.saturating_sub(comparison.looked_at).max(1)).max(1);
        comparison.pairs += pairs;

        let rules = |own: &[Own<'p>; 2], class| own.each_ref().map(|own| own.rules(class));
        let from_rules: Vec<Rules<'p>> = classes.iter().map(|class| rules(&self.egress, class)).collect();
        // By destination and what differs: the sources.
        let mut alike: BTreeMap<(usize, Changes), Vec<usize>> = BTreeMap::new();
        let mut place = 0;
        for ((to, to_class), to_suspect) in classes.iter().enumerate().zip(destinations) {
            let to_rules = rules(&self.ingress, to_class);
            for ((from, from_class), from_suspect) in classes.iter().enumerate().zip(&sources) {
                if !to_suspect && !from_suspect {
                    continue;
                }
                place += 1;
                if place % step != 0 || self.asked >= self.budget.flows {
                    comparison.is_complete = false;
                    continue;
                }
                comparison.looked_at += 1;
                if from == to && to_class.is_single() {
                    continue;
                }
                let Some(from_rules) = from_rules.get(from) else { continue };
                let changes = self.pair((from_class, from_rules), (to_class, &to_rules));
                if !changes.is_empty() {
                    alike.entry((to, changes)).or_default().push(from);
                }
            }
        }
        // By sources and what differs: the destinations.
        let mut together: BTreeMap<(Vec<usize>, Changes), Vec<usize>> = BTreeMap::new();
        for ((to, changes), from) in alike {
            together.entry((from, changes)).or_default().push(to);
        }
        let labels = Labels::new(self.both, self.classes);
        for ((from, changes), to) in together {
            let (from, to) = (labels.group(&from), labels.group(&to));
            let difference = |change| Difference { from: from.clone(), to: to.clone(), change };
            comparison.changes.extend(changes.into_iter().map(difference));
        }
    }

    /// What differs about flows from one class to another.
    fn pair(
        &mut self,
        (from, from_rules): (&Class, &Rules<'p>),
        (to, to_rules): (&Class, &Rules<'p>),
    ) -> Changes {
        let mut rules: Vec<&Rule> = Vec::new();
        let mut asks_for_zones = false;
        let mut add = |own: &Own<'p>, rule: &'p Rule| {
            asks_for_zones |= own.asks_for_zones(rule);
            rules.push(rule);
        };
        for (own, list) in self.egress.iter().zip(from_rules) {
            own.rules_between(list, to).for_each(|rule| add(own, rule));
        }
        for (own, list) in self.ingress.iter().zip(to_rules) {
            own.rules_between(list, from).for_each(|rule| add(own, rule));
        }
        let anywhere = anywhere();
        let places = if asks_for_zones { &*self.both.places } else { &anywhere };
        let mut found = ByPlace::new(places);
        for (from_number, from_place) in places.iter().enumerate() {
            for (to_number, to_place) in places.iter().enumerate() {
                let changes = self.between((from, from_place), (to, to_place), &rules);
                found.add((from_number, to_number), changes);
            }
        }
        found.told()
    }

    /// What differs about flows from one class, in one place, to another in another.
    fn between(&mut self, from: (&Class, &Place), to: (&Class, &Place), rules: &[&Rule]) -> Changes {
        let protocols = Protocols::of(rules, self.classes.version);
        let mut found: BTreeMap<Outcome, Vec<Area>> = BTreeMap::new();
        for (protocol, name) in protocols.all() {
            let matching = || rules.iter().filter(|rule| rule.protocol.matches(protocol));
            let (sources, destinations) = if protocols.has_messages(protocol) || protocol.has_ports() {
                let sources = pieces(matching().map(|rule| rule.source_ports));
                (sources, pieces(matching().map(|rule| rule.destination_ports)))
            } else {
                (vec![PortRange::ALL], vec![PortRange::ALL])
            };
            for source in &sources {
                for destination in &destinations {
                    let key = Key {
                        source: from.0.example,
                        destination: to.0.example,
                        protocol,
                        source_port: source.first(),
                        destination_port: destination.first(),
                        zones: Key::NO_ZONES,
                    };
                    if let Some(outcome) = self.ask(&key, [from.1, to.1]) {
                        let areas = found.entry(outcome).or_default();
                        let protocol = name.clone();
                        areas.push(Area { protocol, source: *source, destination: *destination });
                    }
                }
            }
        }
        found.into_iter().flat_map(|(outcome, areas)| outcome.changes(areas, &protocols)).collect()
    }

    /// What both policies decide, if that is not the same.
    fn ask(&mut self, key: &Key, places: [&Place; 2]) -> Option<Outcome> {
        self.asked += 1;
        let Both { old, new, .. } = self.both;
        // Each numbers zones for itself.
        let decide = |flat: &Flat, policy| {
            let zones = places.map(|place| place.zone(policy));
            flat.policy().judge(&Key { zones, ..*key }).decision()
        };
        let (old, new) = (decide(old, 0), decide(new, 1));
        if old.action == new.action {
            return None;
        }
        let by = |book: &mut BookReader, decision: &Decision| {
            let last = decision.ingress.rules().last().or(decision.egress.rules().last())?;
            Some(described(&book.rule(*last)?))
        };
        let [old_book, new_book] = &mut self.books;
        Some(Outcome {
            old: verdict_name(old.action),
            new: verdict_name(new.action),
            old_by: by(old_book, &old),
            new_by: by(new_book, &new),
        })
    }
}

fn described(rule: &Named) -> String {
    match rule.index {
        Some(index) => format!("{}, rule {index}", rule.block.policy),
        None => format!("{}, default", rule.block.policy),
    }
}

/// The protocols that may be decided in a way of their own.
struct Protocols {
    mentioned: BTreeSet<Protocol>,
    icmp: Protocol,
}

impl Protocols {
    fn of(rules: &[&Rule], version: Version) -> Self {
        let (icmp, foreign) = match version {
            Version::V4 => (Protocol::ICMP, Protocol::ICMPV6),
            Version::V6 => (Protocol::ICMPV6, Protocol::ICMP),
        };
        let mentioned = rules.iter().filter_map(|rule| match rule.protocol {
            ProtocolMatch::Is(protocol) | ProtocolMatch::Not(protocol) => Some(protocol),
            ProtocolMatch::Any => None,
        });
        let usual = [Protocol::TCP, Protocol::UDP, icmp];
        let mentioned = mentioned.chain(usual).filter(|protocol| *protocol != foreign).collect();
        Self { mentioned, icmp }
    }

    /// Each with its name, then one that stands for all others.
    fn all(&self) -> Vec<(Protocol, String)> {
        let name = |protocol: &Protocol| match *protocol {
            Protocol::ICMPV6 => Protocol::ICMP.to_string(),
            other => other.to_string(),
        };
        let other = (0..=u8::MAX).rev().map(Protocol).find(|other| !self.mentioned.contains(other));
        let other = other.map(|other| (other, "other".to_owned()));
        self.mentioned.iter().map(|protocol| (*protocol, name(protocol))).chain(other).collect()
    }

    fn has_messages(&self, protocol: Protocol) -> bool {
        protocol == self.icmp
    }
}

/// All ports, cut wherever one of the ranges begins or ends.
fn pieces(some: impl Iterator<Item = PortRange>) -> Vec<PortRange> {
    let starts: BTreeSet<u16> = some
        .flat_map(|range| [Some(range.first()), range.last().checked_add(1)])
        .flatten()
        .chain([0])
        .collect();
    let ends = starts.iter().skip(1).map(|start| start - 1).chain([u16::MAX]);
    starts.iter().zip(ends).filter_map(|(first, last)| PortRange::new(*first, last).ok()).collect()
}

/// Flows of one protocol.
struct Area {
    protocol: String,
    source: PortRange,
    destination: PortRange,
}

/// Two verdicts that differ.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Outcome {
    old: &'static str,
    new: &'static str,
    old_by: Option<String>,
    new_by: Option<String>,
}

impl Outcome {
    /// The flows with this outcome, in as few words as possible.
    fn changes(&self, areas: Vec<Area>, protocols: &Protocols) -> Changes {
        let mut by_source: HashMap<(String, PortRange), Vec<PortRange>> = HashMap::new();
        for Area { protocol, source, destination } in areas {
            by_source.entry((protocol, source)).or_default().push(destination);
        }
        // The other way round, so that source ports with the same destination ports stand together.
        let mut by_destination: BTreeMap<(String, Vec<PortRange>), Vec<PortRange>> = BTreeMap::new();
        for ((protocol, source), destinations) in by_source {
            by_destination.entry((protocol, joined(destinations))).or_default().push(source);
        }
        let change = |protocol: String, ports, source_ports| Change {
            from_zones: None,
            to_zones: None,
            protocol,
            ports,
            source_ports,
            old: self.old,
            new: self.new,
            old_by: self.old_by.clone(),
            new_by: self.new_by.clone(),
        };
        let is_all = |ranges: &[PortRange]| *ranges == [PortRange::ALL];
        let sides: Vec<_> =
            by_destination.into_iter().map(|((name, to), from)| (name, to, joined(from))).collect();
        if sides.len() == protocols.mentioned.len() + 1
            && sides.iter().all(|(_, to, from)| is_all(to) && is_all(from))
        {
            return vec![change("any".to_owned(), None, None)];
        }
        let told = |(protocol, to, from): (String, Vec<PortRange>, Vec<PortRange>)| {
            let to = (!is_all(&to)).then(|| if protocol == "icmp" { messages(&to) } else { ranges(&to) });
            let from = (!is_all(&from)).then(|| ranges(&from));
            change(protocol, to, from)
        };
        sides.into_iter().map(told).collect()
    }
}

/// Ranges that touch become one.
fn joined(mut some: Vec<PortRange>) -> Vec<PortRange> {
    some.sort_unstable();
    let mut all: Vec<PortRange> = Vec::new();
    for next in some {
        match all.last_mut() {
            Some(last) if last.last().checked_add(1) == Some(next.first()) => {
                *last = PortRange::new(last.first(), next.last()).unwrap_or(next);
            }
            Some(_) | None => all.push(next),
        }
    }
    all
}

/// Types and codes of ICMP, which the packet path has in the place of ports.
fn messages(some: &[PortRange]) -> String {
    let told = some.iter().map(|message| {
        let ([first, code], [last, end]) = (message.first().to_be_bytes(), message.last().to_be_bytes());
        match (first == last, code == 0 && end == u8::MAX, code == end) {
            (true, true, _) => format!("type {first}"),
            (true, false, true) => format!("type {first} code {code}"),
            (true, false, false) => format!("type {first} codes {}", range(code, end)),
            (false, true, _) => format!("types {}", range(first, last)),
            (false, false, _) => format!("type {first} code {code} to type {last} code {end}"),
        }
    });
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_cut_where_something_begins_or_ends_and_put_together_again() {
        let ranges = ["80", "1-1023", "80-65535"].map(|text| text.parse::<PortRange>().unwrap());
        let cut = pieces(ranges.into_iter());
        assert_eq!(
            cut.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["0", "1-79", "80", "81-1023", "1024-65535"]
        );
        assert_eq!(joined(cut), [PortRange::ALL]);
        assert_eq!(pieces(std::iter::empty()), [PortRange::ALL]);
    }

    #[test]
    fn messages_are_types_and_codes() {
        let text = |first: [u8; 2], last: [u8; 2]| {
            messages(&[PortRange::new(u16::from_be_bytes(first), u16::from_be_bytes(last)).unwrap()])
        };
        assert_eq!(text([8, 0], [8, 255]), "type 8");
        assert_eq!(text([8, 3], [8, 3]), "type 8 code 3");
        assert_eq!(text([8, 3], [8, 4]), "type 8 codes 3-4");
        assert_eq!(text([0, 0], [7, 255]), "types 0-7");
        assert_eq!(text([8, 1], [255, 255]), "type 8 code 1 to type 255 code 255");
    }
}
