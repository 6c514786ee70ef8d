//! What does not go together in policies and profiles.

use super::rule::{self, no_global};
use crate::model::{Lists, PolicyModel, PolicyRuleModel};
use crate::report::{Code, Findings};
use crate::resources::StagedAction;

/// The most rules of a policy in one direction.
const RULES_MAX: usize = 1024;

/// Checks every policy and profile for itself.
pub(super) fn check(lists: &Lists, findings: &mut Findings) {
    for policy in &lists.policies {
        whole(policy, findings);
        rules(&policy.ingress, findings);
        rules(&policy.egress, findings);
    }
    for profile in &lists.profiles {
        rules(&profile.ingress, findings);
        rules(&profile.egress, findings);
    }
}

/// Reports rules that want packets saved, which takes a ring.
pub(super) fn without_ring(lists: &Lists, findings: &mut Findings) {
    let policies = lists.policies.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress));
    let profiles = lists.profiles.iter().flat_map(|profile| profile.ingress.iter().chain(&profile.egress));
    for rule in policies.chain(profiles) {
        if let Some(capture) = rule.capture.given().filter(|capture| capture.value) {
            let message = "`capture` needs a ring, which has the packets from before the rule is met";
            let finding = findings.add(Code::Combination, &capture.range, message);
            finding.help("add [capture.ring] with `memory` or `disk`");
        }
    }
}

fn rules(rules: &[PolicyRuleModel], findings: &mut Findings) {
    if let Some(action) = rules.get(RULES_MAX).and_then(|rule| rule.action.given()) {
        let message = format!(
            "a policy or profile has at most {RULES_MAX} rules in one direction, this one has {}",
            rules.len()
        );
        findings.add(Code::Limit, &action.range, message).label(format!("rule {}", RULES_MAX + 1));
    }
    for rule in rules {
        rule::check(rule, findings);
    }
}

fn whole(policy: &PolicyModel, findings: &mut Findings) {
    for selector in [&policy.selector, &policy.namespace_selector, &policy.service_account_selector] {
        no_global(selector, findings);
    }
    if let (Some(namespace), Some(selector)) = (policy.namespace.given(), policy.namespace_selector.given()) {
        let message = "a policy with a namespace has no `namespace_selector`";
        let finding = findings.add(Code::Combination, &selector.range, message);
        finding.help(format!("it applies to the namespace `{}` and to no other", namespace.value));
    }
    let first = policy.ingress.iter().chain(&policy.egress).find_map(|rule| rule.action.given());
    if let (Some(StagedAction::Delete), Some(rule)) = (policy.staged.value(), first) {
        let message = "a policy with staged = \"delete\" has no rules";
        let finding = findings.add(Code::Combination, &rule.range, message);
        finding.help("it only says that the policy of the same tier, namespace and name would go away");
    }
    let Some(types) = policy.types.given() else { return };
    let directions =
        [("ingress", types.value.ingress, &policy.ingress), ("egress", types.value.egress, &policy.egress)];
    for (direction, governs, rules) in directions {
        let first = rules.iter().find_map(|rule| rule.action.given());
        if let (false, Some(rule)) = (governs, first) {
            let message =
                format!("this {direction} rule is never asked: the policy does not govern {direction}");
            let help = format!("add \"{direction}\" to `types` at {}", findings.position(&types.range));
            findings.add(Code::NeverAsked, &rule.range, message).help(help);
        }
    }
}
