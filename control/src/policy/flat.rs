//! Policy as flat rules, to be looked at as a whole rather than asked about a flow.

use std::sync::Arc;

use ravelin_config::resources::Resources;
use ravelin_dataplane::policy::{AddressSet, Classifier, PolicySet, Rule, RuleId, SetId};

use super::{
    BookReader, Direction, Named, RuleBook, Settings,
    engine::{Flattened, flatten},
};
use crate::{compile::CompileError, identity::Identities};

/// A policy, compiled, with what it was compiled to.
pub(super) struct Flat {
    /// What the packet path would ask.
    pub(super) policy: PolicySet,
    pub(super) book: BookReader,
    rules: Flattened,
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
        let mut rules = flatten(resources, settings, &mut book)?;
        // What nobody is in now can have members later; as things are, such a rule matches nothing.
        let is_empty =
            |sets: &[Arc<AddressSet>], id: SetId| sets.get(id.0 as usize).is_some_and(|set| set.is_empty());
        let Flattened { sets, enforced, pending, .. } = &mut rules;
        for side in enforced.iter_mut().chain(pending.iter_mut().flatten()) {
            side.retain(|rule| !is_empty(sets, rule.source) && !is_empty(sets, rule.destination));
        }
        let policy = rules.classified(settings);
        Ok(Self { policy, book: book.reader(), rules })
    }

    /// The rules about one direction; those with every staged policy are those in force if none is staged.
    pub(super) fn side(&self, direction: Direction, pending: bool) -> FlatSide<'_> {
        let both = match (&self.rules.pending, &self.policy.pending) {
            (Some(rules), Some(sides)) if pending => (rules, sides),
            _ => (&self.rules.enforced, &self.policy.enforced),
        };
        let ([egress, ingress], sides) = both;
        match direction {
            Direction::Egress => FlatSide { direction, rules: egress, classifier: &sides.egress },
            Direction::Ingress => FlatSide { direction, rules: ingress, classifier: &sides.ingress },
        }
    }

    /// Who has which labels and addresses.
    pub(super) const fn identities(&self) -> &Identities {
        &self.rules.resolver.identities
    }

    /// Every set that rules speak of.
    pub(super) fn sets(&self) -> &[Arc<AddressSet>] {
        &self.rules.sets
    }

    /// The addresses of a set; `None` for all.
    pub(super) fn set(&self, id: SetId) -> Option<&AddressSet> {
        self.rules.sets.get(id.0 as usize).map(AsRef::as_ref)
    }

    /// The number of the rule that a flat rule is part of.
    pub(super) fn id(&self, rule: &Rule) -> Option<RuleId> {
        self.policy.outcomes.get(rule.outcome).map(|outcome| outcome.rule)
    }

    /// The rule that a flat rule is part of.
    pub(super) fn named(&mut self, rule: &Rule) -> Option<Named> {
        let id = self.id(rule)?;
        self.book.rule(id)
    }
}

impl FlatSide<'_> {
    /// The side of a flow that is judged: the set of a rule that the endpoint must be in.
    pub(super) const fn own(&self, rule: &Rule) -> SetId {
        match self.direction {
            Direction::Egress => rule.source,
            Direction::Ingress => rule.destination,
        }
    }
}
