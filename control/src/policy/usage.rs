//! What rules did: the packets, bytes and flows that were decided by way of them.
//!
//! A worker counts for each of its decisions; a decision knows the rules on the way to it. Summed over decisions, that is what each
//! rule did: the rules in force by the enforced way, staged ones by the pending way. Counts belong to a policy's name, a direction and
//! a place among the rules, so they outlive reloads, whatever else changes in the policy.

use std::{collections::HashMap, sync::Arc};

use ravelin_config::resources::{Policy, Resources, RuleAction, StagedAction};
use ravelin_dataplane::{
    clock::Timestamp,
    handoff::WorkerId,
    policy::{DecisionCounts, DecisionId, DecisionLog, RuleId},
};

use super::{BookReader, Direction, full_name, order};

/// What decisions let pass or stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Flows.
    pub flows: u64,
    /// Packets.
    pub packets: u64,
    /// Bytes, whole frames.
    pub bytes: u64,
    /// When the first flow came; `None` if there was none.
    pub first: Option<Timestamp>,
    /// When the last flow came, or the last packet of a live one.
    pub last: Option<Timestamp>,
}

impl Usage {
    fn add(&mut self, other: &Self) {
        let earlier = |a: Option<Timestamp>, b: Option<Timestamp>| a.into_iter().chain(b).min();
        self.flows += other.flows;
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.first = earlier(self.first, other.first);
        self.last = self.last.max(other.last);
    }
}

impl From<DecisionCounts> for Usage {
    fn from(counts: DecisionCounts) -> Self {
        let DecisionCounts { flows, packets, bytes, first, last } = counts;
        let time = |time: Timestamp| (time != Timestamp::ZERO).then_some(time);
        Self { flows, packets, bytes, first: time(first), last: time(last) }
    }
}

/// What live flows add to the decisions about them.
pub type Live = HashMap<(WorkerId, DecisionId), Usage>;

/// A rule of the configuration in force, and what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleUsage {
    /// The tier.
    pub tier: String,
    /// The policy's full name.
    pub policy: String,
    /// Whether the policy is only staged.
    pub staged: bool,
    /// The direction.
    pub direction: Direction,
    /// Its place among the rules of its policy; `None` for the default behind them.
    pub index: Option<usize>,
    /// What it does.
    pub action: RuleAction,
    /// What it did.
    pub usage: Usage,
}

/// A rule, by what its counts belong to.
type Name = (String, String, Direction, Option<usize>);

/// What every rule did since the process was started.
#[derive(Debug, Default)]
pub struct Tally(HashMap<Name, (RuleAction, Usage)>);

impl Tally {
    /// Sums what the workers counted, in their order, and what `live` adds to it.
    pub fn new(logs: &[Arc<DecisionLog>], live: &Live, book: &mut BookReader) -> Self {
        let mut rules: HashMap<RuleId, Usage> = HashMap::new();
        for (log, worker) in logs.iter().zip(0..) {
            for (id, decision) in log.iter() {
                let mut usage = Usage::from(log.counts(id));
                if let Some(live) = live.get(&(WorkerId(worker), id)) {
                    usage.add(live);
                }
                let enforced = decision.egress.rules().iter().chain(decision.ingress.rules());
                let pending = decision
                    .pending
                    .iter()
                    .flat_map(|pending| pending.egress.rules().iter().chain(pending.ingress.rules()));
                let staged = pending.filter(|rule| book.rule(**rule).is_some_and(|rule| rule.block.staged));
                for rule in enforced.chain(staged) {
                    rules.entry(*rule).or_default().add(&usage);
                }
            }
        }
        let mut tally = Self::default();
        for (id, usage) in rules {
            let Some(rule) = book.rule(id) else { continue };
            let block = &rule.block;
            let name = (block.tier.clone(), block.policy.clone(), block.direction, rule.index);
            tally.0.entry(name).or_insert((rule.action(), Usage::default())).1.add(&usage);
        }
        tally
    }

    /// What the rules of `resources` did: those of policies in the order in which they are asked; then profiles, failsafe ports and
    /// what stands behind them, as far as they did something. So for the defaults behind rules.
    pub fn rules(mut self, resources: &Resources) -> Vec<RuleUsage> {
        let mut rules = Vec::new();
        for tier in order::tiers(resources, resources.policies.iter()) {
            for policy in tier.policies.into_iter().filter(|p| p.staged != Some(StagedAction::Delete)) {
                for (direction, written) in lists(policy) {
                    let name = |index| (policy.tier.clone(), full_name(policy), direction, index);
                    let staged = policy.staged.is_some();
                    for (index, rule) in written.iter().enumerate() {
                        let found = self.0.remove(&name(Some(index)));
                        let usage = found.map(|(_, usage)| usage).unwrap_or_default();
                        rules.push(row(name(Some(index)), staged, rule.action, usage));
                    }
                    if let Some((action, usage)) = self.0.remove(&name(None)) {
                        rules.push(row(name(None), staged, action, usage));
                    }
                }
            }
        }
        let mut others: Vec<_> =
            self.0.into_iter().filter(|((tier, ..), _)| tier.starts_with("__")).collect();
        others.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        rules.extend(others.into_iter().map(|(name, (action, usage))| row(name, false, action, usage)));
        rules
    }
}

fn row((tier, policy, direction, index): Name, staged: bool, action: RuleAction, usage: Usage) -> RuleUsage {
    RuleUsage { tier, policy, staged, direction, index, action, usage }
}

/// The rules of a policy, for the directions that it governs.
fn lists(policy: &Policy) -> impl Iterator<Item = (Direction, &[ravelin_config::resources::PolicyRule])> {
    let both = [
        (policy.types.egress, Direction::Egress, &policy.egress[..]),
        (policy.types.ingress, Direction::Ingress, &policy.ingress[..]),
    ];
    both.into_iter().filter(|(governs, ..)| *governs).map(|(_, direction, rules)| (direction, rules))
}
