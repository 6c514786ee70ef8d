//! Policy as flat rules, to be looked at as a whole rather than asked about a flow.

use std::sync::Arc;

use ravelin_config::resources::Resources;
use ravelin_dataplane::policy::{AddressSet, Classifier, Outcome, PolicySet, Rule, RuleId, SetId, ZoneSet};

use super::{
    BookReader, Direction, RuleBook, Settings, Zones,
    engine::{Ruled, rules},
};
use crate::{compile::CompileError, identity::Identities};

/// A policy, compiled, with what it was compiled to.
pub(super) struct Flat {
    ruled: Ruled,
    policy: PolicySet,
    sets: Vec<Arc<AddressSet>>,
    known_zones: Zones,
    pub(super) book: BookReader,
}

/// The rules about one direction, in force or with every staged policy.
#[derive(Clone, Copy)]
pub(super) struct FlatSide<'f> {
    pub(super) direction: Direction,
    pub(super) rules: &'f [Rule],
    pub(super) classifier: &'f Classifier,
}

impl Flat {
    /// Compiles resources.
    pub(super) fn new(resources: &Resources, settings: &Settings) -> Result<Self, CompileError> {
        let mut book = RuleBook::new();
        let ruled = rules(resources, settings, &mut book)?;
        let sets = ruled.resolver.sets.from(0);
        let policy = ruled.classified(settings);
        Ok(Self { ruled, policy, sets, known_zones: settings.zones.clone(), book: book.reader() })
    }

    /// What the packet path would ask.
    pub(super) fn policy(&self) -> &PolicySet {
        &self.policy
    }

    /// Who has which labels.
    pub(super) fn identities(&self) -> &Identities {
        &self.ruled.resolver.identities
    }

    /// The rules about one direction; those with every staged policy are those in force if none is staged.
    pub(super) fn side(&self, direction: Direction, pending: bool) -> FlatSide<'_> {
        let ([egress, ingress], sides) = match (&self.ruled.pending_rules, &self.policy.pending) {
            (Some(rules), Some(sides)) if pending => (rules, sides),
            _ => (&self.ruled.rules, &self.policy.enforced),
        };
        match direction {
            Direction::Egress => FlatSide { direction, rules: egress, classifier: &sides.egress },
            Direction::Ingress => FlatSide { direction, rules: ingress, classifier: &sides.ingress },
        }
    }

    /// The addresses of a set; `None` for all.
    pub(super) fn set(&self, id: SetId) -> Option<&AddressSet> {
        self.sets.get(id.0 as usize).map(AsRef::as_ref)
    }

    /// Whether there is any flow that a rule matches.
    pub(super) fn matches_any(&self, rule: &Rule) -> bool {
        let has = |set: SetId| match self.set(set) {
            Some(set) => [!set.v4().is_empty(), !set.v6().is_empty()],
            None => [true; 2],
        };
        let [[from_v4, from_v6], [to_v4, to_v6]] = [has(rule.source), has(rule.destination)];
        (from_v4 && to_v4) || (from_v6 && to_v6)
    }

    /// What follows when a flat rule matches.
    pub(super) fn outcome(&self, outcome: u32) -> Option<&Outcome> {
        self.policy.outcomes.get(outcome)
    }

    /// The zones in which a flat rule wants source and destination to be.
    pub(super) fn zones(&self, rule: &Rule) -> [ZoneSet; 2] {
        self.outcome(rule.outcome).map(|outcome| outcome.zones).unwrap_or_default()
    }

    /// The zones that there are.
    pub(super) const fn known_zones(&self) -> &Zones {
        &self.known_zones
    }

    /// The number of the rule that a flat rule is part of.
    pub(super) fn id(&self, rule: &Rule) -> Option<RuleId> {
        self.outcome(rule.outcome).map(|outcome| outcome.rule)
    }
}

impl FlatSide<'_> {
    /// The other side of the flow.
    pub(super) const fn peer(&self, rule: &Rule) -> SetId {
        match self.direction {
            Direction::Egress => rule.destination,
            Direction::Ingress => rule.source,
        }
    }

    /// The side of a flow that is judged: the set of a rule that the endpoint must be in.
    pub(super) const fn own(&self, rule: &Rule) -> SetId {
        match self.direction {
            Direction::Egress => rule.source,
            Direction::Ingress => rule.destination,
        }
    }
}
