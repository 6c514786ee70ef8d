//! Policies that select nothing, or that do nothing but deny.

use std::collections::HashSet;

use ravelin_config::resources::{Policy, RuleAction, StagedAction};
use ravelin_dataplane::policy::RuleId;

use super::{Finding, Lint, Severity};
use crate::policy::{Direction, full_name};

impl Lint<'_> {
    /// Looks at policies as a whole.
    pub(super) fn policies(&mut self) {
        let used = self.used_rules();
        let resources = self.resources;
        for policy in &resources.policies {
            if policy.staged == Some(StagedAction::Delete) {
                self.deleted(policy);
                continue;
            }
            let name = full_name(policy);
            let directions = directions(policy);
            let selects = |direction: &Direction| {
                self.first_rule(policy, *direction).is_some_and(|(_, default, _)| used.contains(&default))
            };
            if !directions.iter().any(selects) {
                self.findings.push(
                    Finding::new(
                        Severity::Warning,
                        "selects-nothing",
                        format!(
                            "`{name}` selects no endpoint: nothing has the labels that `{}` asks for",
                            policy.selector
                        ),
                    )
                    .of_policy(&name, None, None),
                );
                continue;
            }
            for direction in directions {
                let Some((_, _, default)) = self.first_rule(policy, direction) else { continue };
                if policy_rules(policy, direction).is_empty() && default == RuleAction::Deny {
                    let message = format!(
                        "`{name}` has no {} rules: it denies what no other policy of the tier `{}` allows",
                        direction.name(),
                        policy.tier
                    );
                    let finding = Finding::new(Severity::Note, "only-denies", message);
                    self.findings.push(finding.of_policy(&name, Some(direction), None));
                }
            }
        }
    }

    /// A staged policy that would take away what is not there.
    fn deleted(&mut self, policy: &Policy) {
        let key = |policy: &'_ Policy| (policy.tier.clone(), policy.namespace.clone(), policy.name.clone());
        let is_target = |candidate: &Policy| candidate.staged.is_none() && key(candidate) == key(policy);
        if !self.resources.policies.iter().any(is_target) {
            let name = full_name(policy);
            let message = format!("`{name}` would take away a policy that does not exist");
            let finding = Finding::new(Severity::Warning, "selects-nothing", message);
            self.findings.push(finding.of_policy(&name, None, None));
        }
    }

    /// The rules that can match at all, in force or staged.
    pub(super) fn used_rules(&self) -> HashSet<RuleId> {
        let sides = [Direction::Egress, Direction::Ingress]
            .into_iter()
            .flat_map(|direction| [false, true].map(|pending| self.flat.side(direction, pending)));
        let rules = sides.flat_map(|side| side.rules);
        rules.filter(|rule| self.flat.matches_any(rule)).filter_map(|rule| self.flat.id(rule)).collect()
    }

    /// The numbers of a policy's first rule and of the default behind its rules, and what that does.
    pub(super) fn first_rule(
        &self,
        policy: &Policy,
        direction: Direction,
    ) -> Option<(RuleId, RuleId, RuleAction)> {
        let key = (policy.tier.clone(), full_name(policy), direction);
        let (first, default) = *self.numbers.get(&key)?;
        let count = u32::try_from(policy_rules(policy, direction).len()).ok()?;
        Some((first, RuleId(first.0 + count), default))
    }
}

/// The directions that a policy governs.
pub(super) fn directions(policy: &Policy) -> Vec<Direction> {
    let both = [(policy.types.egress, Direction::Egress), (policy.types.ingress, Direction::Ingress)];
    both.into_iter().filter(|(governs, _)| *governs).map(|(_, direction)| direction).collect()
}

/// Its rules about a direction.
pub(super) fn policy_rules(
    policy: &Policy,
    direction: Direction,
) -> &[ravelin_config::resources::PolicyRule] {
    match direction {
        Direction::Egress => &policy.egress,
        Direction::Ingress => &policy.ingress,
    }
}
