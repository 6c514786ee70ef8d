//! What policies may let pass although a feed names it: everything that an exception *could* be about.
//!
//! The kernel drops by addresses, so it must not be told of any whose packets a policy that is asked before the feeds may
//! allow. Zones are not looked at: the kernel does not know them, and a rule with zones may allow what it would without them.
//! Promises: errs on the side of the workers, so that about what is not exempt nobody but the feeds decides. Read
//! next: `../feeds/kernel/list.rs`, which spares it.

use ravelin_config::{
    resources::{EndpointKind, Policy, Resources, RuleAction},
    types::{PortRange, Protocol},
};
use ravelin_dataplane::{
    io::blocklist::Pattern,
    policy::{AddressSet, ProtocolMatch, Rule, SetId},
};

use super::{
    Direction, RuleBook, Settings,
    engine::rules,
    order::{self, THREAT},
};
use crate::compile::CompileError;

/// Policy as far as it is asked before feeds, to be worked out on another thread.
#[derive(Debug, Default)]
pub struct BeforeFeeds(Option<(Resources, Settings)>);

/// What may pass although a feed names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exempt {
    /// Packets from these addresses.
    pub sources: AddressSet,
    /// Packets to these addresses, if they match the pattern.
    pub destinations: Vec<(AddressSet, Pattern)>,
}

/// The policies in force that may keep a flow from the feeds: those asked before them that allow or pass anything. Others can
/// only deny, as feeds do.
pub(super) fn exempting(resources: &Resources) -> Vec<Policy> {
    let tiers = order::tiers(resources, order::enforced(resources));
    let feeds = tiers.iter().position(|ordered| ordered.tier.name == THREAT);
    let before = tiers.iter().take(feeds.map_or(0, |feeds| feeds + 1));
    let lets_pass = |action: RuleAction| match action {
        RuleAction::Allow | RuleAction::Pass => true,
        RuleAction::Deny | RuleAction::Reject | RuleAction::Log => false,
    };
    let policies = before.flat_map(|ordered| ordered.policies.iter().copied());
    let any =
        |policy: &&Policy| policy.ingress.iter().chain(&policy.egress).any(|rule| lets_pass(rule.action));
    policies.filter(any).cloned().collect()
}

impl BeforeFeeds {
    /// Of resources whose policies are [`exempting`]. Without any, only hosts matter, for their failsafe ports.
    pub(super) fn new(mut resources: Resources, settings: &Settings) -> Self {
        if resources.policies.is_empty() {
            resources.network_sets = Vec::new();
            resources.endpoints.retain(|endpoint| endpoint.kind == EndpointKind::Host);
        }
        Self(Some((resources, settings.clone())))
    }

    /// What may pass. Takes as long as compiling those policies.
    ///
    /// # Errors
    /// As for [`super::Engine::new`].
    pub fn work_out(&self) -> Result<Exempt, CompileError> {
        let Some((resources, settings)) = &self.0 else { return Ok(Exempt::default()) };
        let ruled = rules(resources, settings, &mut RuleBook::new())?;
        let mut exempt = Exempt::default();
        let mut sources = Vec::new();
        for (side, direction) in ruled.rules.iter().zip([Direction::Egress, Direction::Ingress]) {
            for rule in side.iter().filter(|rule| ruled.keeps_from_feeds(rule, direction)) {
                let [own, peer] = ends(rule, direction).map(|set| ruled.resolver.sets.members(set));
                // Where a rule is about everybody, it is spared by whom it protects: with the peers all would be.
                for version in [AddressSet::all_v4(), AddressSet::all_v6()] {
                    let peers = peer.intersection(&version);
                    if peers == version {
                        exempt.spare(own.intersection(&version), pattern(rule, direction));
                    } else {
                        sources.push(peers);
                    }
                }
            }
        }
        exempt.sources = AddressSet::union_of(&sources);
        Ok(exempt)
    }
}

impl Exempt {
    fn spare(&mut self, own: AddressSet, pattern: Pattern) {
        if !own.is_empty() && !self.destinations.contains(&(own.clone(), pattern)) {
            self.destinations.push((own, pattern));
        }
    }
}

/// The side of a flow that is judged, and the other.
const fn ends(rule: &Rule, direction: Direction) -> [SetId; 2] {
    match direction {
        Direction::Egress => [rule.source, rule.destination],
        Direction::Ingress => [rule.destination, rule.source],
    }
}

/// What packets of such flows look like that come from the other side. Types of ICMP are left out.
fn pattern(rule: &Rule, direction: Direction) -> Pattern {
    let protocol = match rule.protocol {
        ProtocolMatch::Is(protocol) => Some(protocol),
        ProtocolMatch::Any | ProtocolMatch::Not(_) => None,
    };
    let (initiator, responder) = match protocol.is_none_or(Protocol::has_ports) {
        true => (rule.source_ports, rule.destination_ports),
        false => (PortRange::ALL, PortRange::ALL),
    };
    let (source_ports, destination_ports) = match direction {
        Direction::Egress => (responder, initiator),
        Direction::Ingress => (initiator, responder),
    };
    Pattern { protocol, source_ports, destination_ports }
}
