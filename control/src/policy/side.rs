//! One side of the classifier: every rule about one direction, in one order.
//!
//! The order is a number for each rule. Each policy, the default behind each tier, each profile and what stands at both ends has
//! a *slot*, a stretch of [`SLOT`] numbers; slots are spread over all numbers there are, so that there is room between them.

use ravelin_config::{
    resources::{Failsafe, IcmpMatch, IpVersion, OnChange, PolicyRule, RuleAction, TierDefault},
    types::{PortRange, Protocol},
};
use ravelin_dataplane::policy::{
    self as plane, Effect, Limit, LimitId, Outcome, Outcomes, Position, ProtocolMatch, Rule, RuleId, SetId,
    ZoneSet,
};

use super::{
    Block, Direction, RuleBook, Zones,
    entity::{Alternative, Resolver, Side},
    ports::Ports,
};
use crate::compile::CompileError;

/// Numbers in a slot: as many as a policy may have rules in one direction, twice.
pub(super) const SLOT: u32 = 2048;

/// A list of rules with its place and its subject.
pub(super) struct Section<'r> {
    pub(super) slot: u32,
    /// The endpoints that it is about.
    pub(super) subject: SetId,
    pub(super) rules: &'r [PolicyRule],
    pub(super) namespace: Option<&'r str>,
    pub(super) block: Block,
    pub(super) on_change: OnChange,
    /// Where the next tier begins, for rules that pass. In profiles there is none: to pass is to deny.
    pub(super) next: Option<Position>,
}

/// What one side is made of, as far as it has come.
pub(super) struct Builder<'b> {
    pub(super) direction: Direction,
    pub(super) resolver: &'b mut Resolver,
    pub(super) zones: &'b Zones,
    pub(super) book: &'b mut RuleBook,
    pub(super) outcomes: &'b mut Outcomes,
    pub(super) limits: &'b mut Vec<Limit>,
    pub(super) rules: Vec<Rule>,
}

/// The first number of a slot.
pub(super) const fn position(slot: u32) -> Position {
    Position(slot * SLOT)
}

impl Builder<'_> {
    /// Adds the rules of a policy or profile; returns the number of its first rule, from which that of its default follows.
    pub(super) fn section(&mut self, section: Section<'_>) -> Result<RuleId, CompileError> {
        let Section { slot, subject, rules, namespace, block, on_change, next } = section;
        let first = self.number(block)?;
        for (rule, at) in rules.iter().zip(0..) {
            let id = RuleId(first.0 + at);
            let effect = match (rule.action, next) {
                (RuleAction::Allow, _) => Effect::Allow,
                (RuleAction::Deny, _) | (RuleAction::Pass, None) => Effect::Deny,
                (RuleAction::Reject, _) => Effect::Reject,
                (RuleAction::Log, _) => Effect::Log,
                (RuleAction::Pass, Some(next)) => Effect::Pass(next),
            };
            let limit = rule.rate_limit.map(|limit| self.book.limit(id, limit));
            let limit = limit.map(|limit| {
                self.limits.push(limit);
                LimitId(last(self.limits.len()))
            });
            let on_change = plane_on_change(on_change);
            let (captures, zones) = (rule.capture, self.zones_of(rule));
            let is_default = false;
            let outcome =
                self.outcome(Outcome { rule: id, effect, is_default, on_change, limit, captures, zones });
            let Position(base) = position(slot);
            if !zones.iter().any(|zones| zones.is_empty()) {
                self.rule(rule, namespace, subject, Position(base + at), outcome);
            }
        }
        Ok(first)
    }

    /// Adds the default of a tier, or of all, for `subject`.
    pub(super) fn default(
        &mut self,
        slot: u32,
        subject: SetId,
        rule: RuleId,
        default: TierDefault,
        on_change: OnChange,
        next: Position,
    ) {
        let effect = match default {
            TierDefault::Deny => Effect::Deny,
            TierDefault::Pass => Effect::Pass(next),
        };
        let on_change = plane_on_change(on_change);
        let outcome = self.outcome(Outcome {
            rule,
            effect,
            is_default: true,
            on_change,
            limit: None,
            captures: false,
            zones: ANYWHERE,
        });
        let (source, destination) = self.ends(SetId::ANY, subject);
        self.rules.push(Rule {
            position: position(slot),
            source,
            destination,
            protocol: ProtocolMatch::Any,
            source_ports: ALL,
            destination_ports: ALL,
            outcome,
        });
    }

    /// Adds the ports of hosts that no policy can shut.
    pub(super) fn failsafes(&mut self, slot: u32, list: &[Failsafe]) -> Result<(), CompileError> {
        let hosts = self.resolver.hosts();
        let end = match self.direction {
            Direction::Egress => "outbound",
            Direction::Ingress => "inbound",
        };
        let first = self.number(Block {
            tier: FAILSAFE.to_owned(),
            policy: format!("{FAILSAFE}.{end}"),
            staged: false,
            direction: self.direction,
            actions: vec![RuleAction::Allow; list.len()],
            default: RuleAction::Allow,
        })?;
        for (failsafe, at) in list.iter().zip(0..) {
            let partner = match failsafe.net {
                Some(net) => self.resolver.sets.fixed(plane::AddressSet::of_nets([&net])),
                None => Some(SetId::ANY),
            };
            let Some(partner) = partner else { continue };
            let outcome = self.outcome(Outcome {
                rule: RuleId(first.0 + at),
                effect: Effect::Allow,
                is_default: false,
                on_change: plane::OnChange::Drop,
                limit: None,
                captures: false,
                zones: ANYWHERE,
            });
            let (source, destination) = self.ends(partner, hosts);
            let Position(base) = position(slot);
            let each = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];
            for protocol in failsafe.protocol.map_or(each.to_vec(), |protocol| vec![protocol]) {
                self.rules.push(Rule {
                    position: Position(base + at),
                    source,
                    destination,
                    protocol: ProtocolMatch::Is(protocol),
                    source_ports: ALL,
                    destination_ports: PortRange::single(failsafe.port),
                    outcome,
                });
            }
        }
        Ok(())
    }

    pub(super) fn number(&mut self, block: Block) -> Result<RuleId, CompileError> {
        let policy = block.policy.clone();
        self.book.number(block).map(RuleId).ok_or(CompileError::TooManyRules { policy })
    }

    /// The zones in which a rule wants source and destination to be.
    fn zones_of(&self, rule: &PolicyRule) -> [ZoneSet; 2] {
        [&rule.source, &rule.destination].map(|entity| self.zones.asked_by(entity))
    }

    fn outcome(&mut self, outcome: Outcome) -> u32 {
        self.outcomes.push(outcome)
    }

    /// Source and destination of a flow, from the endpoint that is judged and its peer.
    const fn ends(&self, peer: SetId, own: SetId) -> (SetId, SetId) {
        match self.direction {
            Direction::Egress => (own, peer),
            Direction::Ingress => (peer, own),
        }
    }

    /// Adds every way in which a flow of `subject` can match a rule.
    fn rule(
        &mut self,
        rule: &PolicyRule,
        namespace: Option<&str>,
        subject: SetId,
        position: Position,
        outcome: u32,
    ) {
        let subject = match version(rule) {
            Ok(None) => Some(subject),
            Ok(Some(version)) => {
                let all = self.resolver.version(version);
                all.and_then(|all| self.resolver.sets.both(subject, all))
            }
            Err(Contradiction) => None,
        };
        let Some(subject) = subject else { return };
        let sources = self.resolver.alternatives(&rule.source, Side::Source, namespace, rule.protocol);
        let destinations =
            self.resolver.alternatives(&rule.destination, Side::Destination, namespace, rule.protocol);
        let messages = messages(rule);
        for source in &sources {
            for destination in &destinations {
                let (mut from, mut to) = (Some(source.set), Some(destination.set));
                let own = match self.direction {
                    Direction::Egress => &mut from,
                    Direction::Ingress => &mut to,
                };
                *own = own.and_then(|set| self.resolver.sets.both(set, subject));
                let (Some(from), Some(to)) = (from, to) else { continue };
                for protocol in protocols(rule, destination) {
                    let to_ports = messages.as_ref().unwrap_or(&destination.ports);
                    for source_ports in source.ports.ranges() {
                        for destination_ports in to_ports.ranges() {
                            self.rules.push(Rule {
                                position,
                                source: from,
                                destination: to,
                                protocol,
                                source_ports,
                                destination_ports,
                                outcome,
                            });
                        }
                    }
                }
            }
        }
    }
}

/// The tier of failsafe ports in traces.
const FAILSAFE: &str = "__FAILSAFE__";

const ALL: PortRange = PortRange::ALL;

const ANYWHERE: [ZoneSet; 2] = [ZoneSet::ANY; 2];

/// What can never hold.
struct Contradiction;

/// The only version of IP that a rule can match, if there is one.
fn version(rule: &PolicyRule) -> Result<Option<IpVersion>, Contradiction> {
    let implied = match rule.protocol {
        Some(Protocol::ICMP) => Some(IpVersion::V4),
        Some(Protocol::ICMPV6) => Some(IpVersion::V6),
        Some(_) | None => None,
    };
    match (rule.ip_version, implied) {
        (Some(said), Some(implied)) if said != implied => Err(Contradiction),
        (said, implied) => Ok(said.or(implied)),
    }
}

/// The protocols that a rule matches, at a destination that may have its own.
fn protocols(rule: &PolicyRule, destination: &Alternative) -> Vec<ProtocolMatch> {
    let said = match (rule.protocol, destination.protocol) {
        (Some(rule), Some(own)) if rule != own => return Vec::new(),
        (rule, own) => rule.or(own),
    };
    match (said, rule.not_protocol) {
        (Some(is), Some(not)) if is == not => Vec::new(),
        (Some(is), _) => vec![ProtocolMatch::Is(is)],
        (None, not) if rule.icmp.is_some() || rule.not_icmp.is_some() => {
            let both = [Protocol::ICMP, Protocol::ICMPV6].into_iter();
            both.filter(|is| Some(*is) != not).map(ProtocolMatch::Is).collect()
        }
        (None, Some(not)) => vec![ProtocolMatch::Not(not)],
        (None, None) => vec![ProtocolMatch::Any],
    }
}

/// Types and codes of ICMP that a rule asks for, where the packet path has them: in the place of destination ports.
fn messages(rule: &PolicyRule) -> Option<Ports> {
    let range = |icmp: IcmpMatch| {
        let from = |code: u8| u16::from_be_bytes([icmp.icmp_type, code]);
        icmp.code.map_or((from(0), from(u8::MAX)), |code| (from(code), from(code)))
    };
    if rule.icmp.is_none() && rule.not_icmp.is_none() {
        return None;
    }
    let wanted = rule.icmp.map_or_else(Ports::all, |icmp| Ports::of([range(icmp)]));
    Some(match rule.not_icmp {
        Some(not) => wanted.without(&Ports::of([range(not)])),
        None => wanted,
    })
}

pub(super) const fn plane_on_change(on_change: OnChange) -> plane::OnChange {
    match on_change {
        OnChange::Keep => plane::OnChange::Keep,
        OnChange::Drop => plane::OnChange::Drop,
        OnChange::Reset => plane::OnChange::Reset,
    }
}

/// The place of the last of so many. There is memory for fewer than 2^32.
fn last(count: usize) -> u32 {
    u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX)
}
