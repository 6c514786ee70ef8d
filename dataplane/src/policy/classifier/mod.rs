//! stand-in
use std::{net::IpAddr, sync::Arc};

use ravelin_config::types::{PortRange, Protocol};

use super::AddressSet;

/// A place in the order of rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub u32);

impl Position {
    /// The first place.
    pub const FIRST: Self = Self(0);

    /// The place behind.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A set's place in the list of sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(pub u32);

impl SetId {
    /// Every address.
    pub const ANY: Self = Self(u32::MAX);
}

/// Which protocols a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtocolMatch {
    /// All.
    Any,
    /// One.
    Is(Protocol),
    /// All others.
    Not(Protocol),
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Its place.
    pub position: Position,
    /// Source.
    pub source: SetId,
    /// Destination.
    pub destination: SetId,
    /// Protocol.
    pub protocol: ProtocolMatch,
    /// Source ports.
    pub source_ports: PortRange,
    /// Destination ports.
    pub destination_ports: PortRange,
    /// What follows.
    pub outcome: u32,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Source.
    pub source: IpAddr,
    /// Destination.
    pub destination: IpAddr,
    /// Protocol.
    pub protocol: Protocol,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
}

impl Default for Key {
    fn default() -> Self {
        let none = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        Self { source: none, destination: none, protocol: Protocol(0), source_port: 0, destination_port: 0 }
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Where.
    pub position: Position,
    /// What follows.
    pub outcome: u32,
}

/// Rules.
#[derive(Clone, Debug, Default)]
pub struct Classifier {
    sets: Vec<Arc<AddressSet>>,
    rules: Vec<Rule>,
}

impl Classifier {
    /// From sets and rules.
    pub fn new(sets: Vec<Arc<AddressSet>>, mut rules: Vec<Rule>) -> Self {
        rules.sort_by_key(|rule| rule.position);
        Self { sets, rules }
    }

    /// The first match at or behind `from`.
    pub fn first(&self, key: &Key, from: Position) -> Option<Match> {
        let holds = |set: SetId, address| {
            set == SetId::ANY || self.sets.get(set.0 as usize).is_some_and(|set| set.contains(address))
        };
        let rule = self.rules.iter().find(|rule| {
            rule.position >= from
                && match rule.protocol {
                    ProtocolMatch::Any => true,
                    ProtocolMatch::Is(protocol) => key.protocol == protocol,
                    ProtocolMatch::Not(protocol) => key.protocol != protocol,
                }
                && rule.source_ports.contains(key.source_port)
                && rule.destination_ports.contains(key.destination_port)
                && holds(rule.source, key.source)
                && holds(rule.destination, key.destination)
        })?;
        Some(Match { position: rule.position, outcome: rule.outcome })
    }

    /// The same for several.
    pub fn first_of_batch(&self, keys: &[Key], from: &[Position], out: &mut [Option<Match>]) {
        for ((key, from), out) in keys.iter().zip(from).zip(out) {
            *out = self.first(key, *from);
        }
    }
}
