//! Policies for tests: lists of lines, one list for each side.

use std::{collections::HashMap, sync::Arc, time::Duration};

use ravelin_config::types::{IpNet, PortRange, Protocol};

use super::{
    AddressSet, Classifier, Decision, Effect, Key, Limit, LimitId, OnChange, Outcome, PolicySet, Position,
    ProtocolMatch, Rule, RuleId, SetId, Sides, Zone, ZoneSet,
};

/// A rule of a list, at the place where it stands there.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) outcome: Outcome,
    protocol: ProtocolMatch,
    source: SetOf,
    destination: SetOf,
    ports: PortRange,
    limit: Option<(u32, Duration)>,
}

/// Networks; `None` for all addresses.
type SetOf = Option<Vec<IpNet>>;

impl Line {
    /// A line that matches everything.
    pub(crate) fn new(rule: u32, effect: Effect) -> Self {
        let outcome = Outcome {
            rule: RuleId(rule),
            effect,
            is_default: false,
            on_change: OnChange::default(),
            limit: None,
            captures: false,
            zones: [ZoneSet::ANY; 2],
        };
        let ports = PortRange::new(0, u16::MAX).unwrap();
        Self { outcome, protocol: ProtocolMatch::Any, source: None, destination: None, ports, limit: None }
    }

    pub(crate) fn allow(rule: u32) -> Self {
        Self::new(rule, Effect::Allow)
    }

    pub(crate) fn deny(rule: u32) -> Self {
        Self::new(rule, Effect::Deny)
    }

    pub(crate) fn reject(rule: u32) -> Self {
        Self::new(rule, Effect::Reject)
    }

    /// The end of a tier, which denies.
    pub(crate) fn end(rule: u32) -> Self {
        let mut line = Self::deny(rule);
        line.outcome.is_default = true;
        line
    }

    pub(crate) fn of(self, protocol: Protocol) -> Self {
        Self { protocol: ProtocolMatch::Is(protocol), ..self }
    }

    pub(crate) fn from(self, nets: &[&str]) -> Self {
        Self { source: Some(nets.iter().map(|net| net.parse().unwrap()).collect()), ..self }
    }

    pub(crate) fn to(self, nets: &[&str]) -> Self {
        Self { destination: Some(nets.iter().map(|net| net.parse().unwrap()).collect()), ..self }
    }

    pub(crate) fn ports(self, first: u16, last: u16) -> Self {
        Self { ports: PortRange::new(first, last).unwrap(), ..self }
    }

    pub(crate) fn port(self, port: u16) -> Self {
        self.ports(port, port)
    }

    pub(crate) fn on_change(mut self, on_change: OnChange) -> Self {
        self.outcome.on_change = on_change;
        self
    }

    /// Whether the line is about `key`.
    pub(crate) fn matches(&self, key: &Key) -> bool {
        let holds = |nets: &SetOf, address| {
            nets.as_ref().is_none_or(|nets| nets.iter().any(|net| net.contains(&address)))
        };
        let protocol = match self.protocol {
            ProtocolMatch::Any => true,
            ProtocolMatch::Is(protocol) => protocol == key.protocol,
            ProtocolMatch::Not(protocol) => protocol != key.protocol,
        };
        protocol
            && holds(&self.source, key.source)
            && holds(&self.destination, key.destination)
            && self.ports.contains(key.destination_port)
            && self.outcome.holds(key.zones)
    }

    /// Flows that meet it trigger a capture.
    pub(crate) fn captures(mut self) -> Self {
        self.outcome.captures = true;
        self
    }

    /// Only of flows from one of these zones to one of those; `None` for any.
    pub(crate) fn zones(mut self, zones: [Option<&[Zone]>; 2]) -> Self {
        let set =
            |zones: Option<&[Zone]>| zones.map_or(ZoneSet::ANY, |zones| ZoneSet::of(zones.iter().copied()));
        self.outcome.zones = zones.map(set);
        self
    }

    /// At most `flows` flows a second.
    pub(crate) fn limit(self, flows: u32) -> Self {
        Self { limit: Some((flows, Duration::from_secs(1))), ..self }
    }
}

/// The lists of both sides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    pub(crate) egress: Vec<Line>,
    pub(crate) ingress: Vec<Line>,
}

/// A policy of one list, about the destination of flows; what no line matches has no endpoint and is allowed.
pub(crate) fn list(ingress: impl IntoIterator<Item = Line>) -> PolicySet {
    policy(&Lists { ingress: ingress.into_iter().collect(), ..Lists::default() }, None)
}

/// A policy of lists, and of others with everything that is staged.
pub(crate) fn policy(enforced: &Lists, pending: Option<&Lists>) -> PolicySet {
    let mut policy = PolicySet::default();
    let mut sides = |lists: &Lists| Sides {
        egress: classifier(&mut policy, &lists.egress),
        ingress: classifier(&mut policy, &lists.ingress),
        feeds: [Position::START; 2],
    };
    let (enforced, pending) = (sides(enforced), pending.map(sides));
    (policy.enforced, policy.pending) = (enforced, pending);
    policy
}

fn classifier(policy: &mut PolicySet, lines: &[Line]) -> Classifier {
    let mut sets = Vec::new();
    let mut known = HashMap::new();
    let mut set = |nets: &SetOf| {
        nets.as_ref().map_or(SetId::ANY, |nets| {
            *known.entry(nets.clone()).or_insert_with(|| {
                sets.push(Arc::new(AddressSet::of_nets(nets)));
                SetId(u32::try_from(sets.len()).unwrap() - 1)
            })
        })
    };
    let rules = lines
        .iter()
        .zip(0..)
        .map(|(line, place)| {
            let limit = line.limit.map(|(flows, per)| {
                policy.limits.push(Limit::new(flows, per));
                LimitId(u32::try_from(policy.limits.len()).unwrap() - 1)
            });
            let outcome = policy.outcomes.push(Outcome { limit, ..line.outcome });
            Rule {
                position: Position(place),
                source: set(&line.source),
                destination: set(&line.destination),
                protocol: line.protocol,
                source_ports: PortRange::new(0, u16::MAX).unwrap(),
                destination_ports: line.ports,
                outcome,
            }
        })
        .collect();
    Classifier::new(sets, rules)
}

impl Decision {
    /// The rule that decided; `None` if neither end is an endpoint.
    pub(crate) fn decider(&self) -> Option<u32> {
        self.ingress.rules().last().or(self.egress.rules().last()).map(|rule| rule.0)
    }
}
