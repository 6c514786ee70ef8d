//! Rules that can never match: because nothing is what they ask for, or because others decide before.

use std::collections::{BTreeMap, HashMap};

use ravelin_config::resources::{PolicyRule, StagedAction};
use ravelin_dataplane::policy::{Rule, RuleId};

use super::{
    Finding, Lint, Severity,
    cover::Covers,
    policies::{directions, policy_rules},
    reason::{reason, undeclared},
    some,
};
use crate::policy::{Direction, Named, action_name, full_name};

impl Lint<'_> {
    /// Looks at every rule.
    pub(super) fn rules(&mut self) {
        self.without_match();
        for direction in [Direction::Egress, Direction::Ingress] {
            for staged in [false, true] {
                self.shadowed(direction, staged);
            }
        }
    }

    /// Rules of which nothing is left when selectors have become addresses.
    fn without_match(&mut self) {
        let used = self.used_rules();
        let resources = self.resources;
        for policy in &resources.policies {
            if policy.staged == Some(StagedAction::Delete) {
                continue;
            }
            let name = full_name(policy);
            for direction in directions(policy) {
                let Some((first, default, _)) = self.first_rule(policy, direction) else { continue };
                if !used.contains(&default) {
                    continue;
                }
                for (index, rule) in policy_rules(policy, direction).iter().enumerate() {
                    let id = u32::try_from(index).map(|at| RuleId(first.0 + at));
                    if id.is_ok_and(|id| used.contains(&id)) {
                        self.undeclared_ports(&name, direction, index, rule);
                        continue;
                    }
                    let (kind, why) =
                        reason(rule, policy.namespace.as_deref(), resources, self.flat.identities());
                    let message =
                        format!("{} rule {index} of `{name}` matches nothing: {why}", direction.name());
                    let finding = Finding::new(Severity::Warning, kind, message);
                    self.findings.push(finding.of_policy(&name, Some(direction), Some(index)));
                }
            }
        }
    }

    /// Names of ports that no endpoint declares, in a rule that matches something all the same.
    fn undeclared_ports(&mut self, policy: &str, direction: Direction, index: usize, rule: &PolicyRule) {
        let entities = [&rule.source, &rule.destination].into_iter();
        let names = undeclared(
            entities.flat_map(|e| e.ports.iter().chain(&e.not_ports)),
            rule.protocol,
            self.resources,
        );
        if !names.is_empty() {
            let message = format!(
                "{} rule {index} of `{policy}` asks for a port that no endpoint declares: {}",
                direction.name(),
                some(&names)
            );
            let finding = Finding::new(Severity::Warning, "undeclared-port", message);
            self.findings.push(finding.of_policy(policy, Some(direction), Some(index)));
        }
    }

    /// Rules before which others decide all that they would match.
    fn shadowed(&mut self, direction: Direction, staged: bool) {
        let mut book = self.flat.book.clone();
        let side = self.flat.side(direction, staged);
        let mut covers = Covers::new(&self.flat, side);
        let mut name = |rule: &Rule| self.flat.id(rule).and_then(|id| book.rule(id));
        // By place in the order: all alternatives of a rule, which stand together.
        let mut rules: BTreeMap<_, Vec<&Rule>> = BTreeMap::new();
        for rule in side.rules.iter().filter(|rule| self.flat.matches_any(rule)) {
            rules.entry((rule.position, rule.outcome)).or_default().push(rule);
        }
        let mut tiers: Vec<TierOf> = Vec::new();
        for alternatives in rules.values() {
            let Some(named) = alternatives.first().and_then(|rule| name(rule)) else { continue };
            let ours = named.index.is_some() && named.block.staged == staged;
            if !ours || named.block.tier.starts_with("__") {
                continue;
            }
            let found: Option<Vec<_>> = alternatives.iter().map(|rule| covers.of(rule)).collect();
            let cover = found.and_then(|covers| name(covers.first()?));
            if tiers.last().is_none_or(|last| last.tier != named.block.tier) {
                tiers.push(TierOf { tier: named.block.tier.clone(), rules: Vec::new() });
            }
            if let Some(last) = tiers.last_mut() {
                last.rules.push((named, cover));
            }
        }
        let findings: Vec<_> = tiers.iter().flat_map(|tier| tier.findings(direction)).collect();
        self.findings.extend(findings);
    }
}

/// The rules of a tier, each with the rule that stands before it, if one does.
struct TierOf {
    tier: String,
    rules: Vec<(Named, Option<Named>)>,
}

impl TierOf {
    fn findings(&self, direction: Direction) -> Vec<Finding> {
        let from_outside = |(_, cover): &(Named, Option<Named>)| {
            cover.as_ref().is_some_and(|cover| cover.block.tier != self.tier)
        };
        if self.rules.len() > 1 && self.rules.iter().all(from_outside) {
            return vec![self.unreachable(direction)];
        }
        let shadowed = self.rules.iter().filter_map(|(rule, cover)| Some((rule, cover.as_ref()?)));
        shadowed.map(|(rule, cover)| finding(direction, rule, cover)).collect()
    }

    fn unreachable(&self, direction: Direction) -> Finding {
        let mut by: HashMap<String, usize> = HashMap::new();
        for (_, cover) in &self.rules {
            *by.entry(cover.as_ref().map(described).unwrap_or_default()).or_default() += 1;
        }
        let most = by.into_iter().max_by(|(a, x), (b, y)| x.cmp(y).then_with(|| b.cmp(a)));
        let (by, _) = most.unwrap_or_default();
        let message = format!(
            "no {} rule of the tier `{}` is ever asked about a flow that it matches: {by} decides before, among others",
            direction.name(),
            self.tier
        );
        Finding {
            direction: Some(direction.name()),
            ..Finding::new(Severity::Warning, "unreachable-tier", message)
        }
    }
}

fn finding(direction: Direction, rule: &Named, cover: &Named) -> Finding {
    let (index, policy) = (rule.index.unwrap_or_default(), &rule.block.policy);
    let same = rule.action() == cover.action();
    let (severity, kind) = if same { (Severity::Note, "redundant") } else { (Severity::Warning, "shadowed") };
    let message = format!(
        "{} rule {index} of `{policy}` ({}) never decides: {} ({}) matches all that it would, before it",
        direction.name(),
        action_name(rule.action()),
        described(cover),
        action_name(cover.action()),
    );
    Finding::new(severity, kind, message).of_policy(policy, Some(direction), rule.index)
}

fn described(rule: &Named) -> String {
    let policy = &rule.block.policy;
    match rule.index {
        Some(index) => format!("rule {index} of `{policy}`"),
        None => format!("the end of the tier `{}` behind `{policy}`", rule.block.tier),
    }
}
