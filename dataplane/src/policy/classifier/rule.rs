use std::net::IpAddr;

use ravelin_config::types::{PortRange, Protocol};

use crate::policy::Zone;

/// A place in the order of all rules; the lower comes first. Alternatives of one rule share a position, and with it an
/// outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub u32);

impl Position {
    /// Before every rule.
    pub const START: Self = Self(0);

    /// The position behind this one; `None` behind the last.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// A set of addresses, by its index among the classifier's sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(pub u32);

impl SetId {
    /// Every address of every family; not among the sets.
    pub const ANY: Self = Self(u32::MAX);

    /// The index among the sets; `None` for any address.
    pub(super) fn index(self) -> Option<usize> {
        (self != Self::ANY).then_some(self.0 as usize)
    }
}

/// Which transport protocols a rule is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProtocolMatch {
    /// All.
    #[default]
    Any,
    /// This one.
    Is(Protocol),
    /// All but this one.
    Not(Protocol),
}

impl ProtocolMatch {
    /// Whether `protocol` is one of them.
    pub fn matches(self, protocol: Protocol) -> bool {
        match self {
            Self::Any => true,
            Self::Is(wanted) => protocol == wanted,
            Self::Not(unwanted) => protocol != unwanted,
        }
    }
}

/// One flat rule: it matches what all of its criteria match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Its place in the order.
    pub position: Position,
    /// Where the initiator may be.
    pub source: SetId,
    /// Where the responder may be.
    pub destination: SetId,
    /// The transport protocol.
    pub protocol: ProtocolMatch,
    /// The initiator's ports.
    pub source_ports: PortRange,
    /// The responder's ports; for ICMP and ICMPv6 `type << 8 | code`.
    pub destination_ports: PortRange,
    /// What the caller wants to know when it matches.
    pub outcome: u32,
}

impl Rule {
    /// Whether protocol and ports match.
    pub(super) fn matches_ports(&self, key: &Key) -> bool {
        self.destination_ports.contains(key.destination_port)
            && self.source_ports.contains(key.source_port)
            && self.protocol.matches(key.protocol)
    }

    /// Whether the sets that it names are among the first `sets`.
    pub(super) fn names_sets_below(&self, sets: usize) -> bool {
        [self.source, self.destination].iter().all(|set| set.index().is_none_or(|index| index < sets))
    }

    /// What is told when it matches.
    pub(super) fn found(&self) -> Match {
        Match { position: self.position, outcome: self.outcome }
    }
}

/// What is looked up: a flow as its initiator opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The initiator.
    pub source: IpAddr,
    /// The responder.
    pub destination: IpAddr,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The initiator's port; 0 for protocols without.
    pub source_port: u16,
    /// The responder's port; for ICMP and ICMPv6 `type << 8 | code`; 0 for other protocols without.
    pub destination_port: u16,
    /// Where the initiator's packets come in, and where they leave. Rules do not know of zones, outcomes do.
    pub zones: [Zone; 2],
}

impl Key {
    /// Where nobody asks for zones, or neither end is in one.
    pub const NO_ZONES: [Zone; 2] = [Zone::NONE; 2];
}

/// A rule that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Its position.
    pub position: Position,
    /// Its outcome.
    pub outcome: u32,
}
