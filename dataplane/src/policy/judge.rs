//! [`PolicySet`]: everything that is compiled from policies, and how it judges a flow.
//!
//! Each side of a flow is judged by itself: the source's egress rules, then, if those let it pass, the destination's ingress
//! rules. A side is one classifier in which tiers, policies and rules stand in one order; the first rule that matches decides,
//! except that one that logs is noted and one that passes skips to the next tier. The compiler puts a rule behind each tier and
//! each profile for what happens there, and a last one that denies behind everything for every endpoint; so a side that no
//! rule matches belongs to no endpoint and is not judged.

use std::time::Duration;

use ravelin_config::types::Action;

use super::{
    Classifier, Decision, Effect, Key, Limit, Match, OnChange, Outcome, Outcomes, Pending, Position, Trace,
};
use crate::{clock::Timestamp, verdict::DropReason};

/// The rules of both sides.
#[derive(Clone, Debug)]
pub struct Sides {
    /// About the source of a flow.
    pub egress: Classifier,
    /// About its destination.
    pub ingress: Classifier,
}

impl Default for Sides {
    fn default() -> Self {
        let none = || Classifier::new(Vec::new(), Vec::new());
        Self { egress: none(), ingress: none() }
    }
}

/// All policies, compiled.
#[derive(Clone, Debug)]
pub struct PolicySet {
    /// What is in force.
    pub enforced: Sides,
    /// What would be with every staged policy; `None` if there are none.
    pub pending: Option<Sides>,
    /// What follows when a rule matches, by [`Match::outcome`].
    pub outcomes: Outcomes,
    /// Rate limits, by [`super::LimitId`].
    pub limits: Vec<Limit>,
    /// What happens to flows between ends of which none is an endpoint.
    pub unknown: Action,
    /// How many rejected packets are answered; all workers share it.
    pub answers: Limit,
}

impl Default for PolicySet {
    fn default() -> Self {
        Self {
            enforced: Sides::default(),
            pending: None,
            outcomes: Outcomes::default(),
            limits: Vec::new(),
            unknown: Action::Allow,
            answers: Limit::new(1000, Duration::from_secs(1)),
        }
    }
}

/// What policy says about a flow, with what the packet path needs to act upon it.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The decision.
    pub decision: Decision,
    /// What happens to the flow if it was allowed before.
    pub on_change: OnChange,
    /// The outcomes that let it pass, for their limits.
    deciders: [Option<u32>; 2],
}

/// Where a walk along one side ended.
#[derive(Debug)]
struct Walk {
    trace: Trace,
    /// The outcome that decided; `None` if the side belongs to no endpoint.
    decider: Option<u32>,
}

impl PolicySet {
    /// Flows that are judged at once.
    pub const CHUNK: usize = 32;

    /// Judges a flow.
    pub fn judge(&self, key: &Key) -> Judgement {
        let first = |classifier: &Classifier| classifier.first(key, Position::START);
        let begin = |sides: &Sides| [first(&sides.egress), first(&sides.ingress)];
        self.conclude(key, begin(&self.enforced), self.pending.as_ref().map(begin))
    }

    /// Judges up to [`Self::CHUNK`] flows, in the order of `keys`, and calls `take` with the place of each.
    pub(crate) fn judge_all(&self, keys: &[Key], mut take: impl FnMut(usize, &Judgement)) {
        const NOTHING: [Option<Match>; PolicySet::CHUNK] = [None; PolicySet::CHUNK];
        let from = [Position::START; Self::CHUNK];
        let from = from.get(..keys.len()).unwrap_or_default();
        let ask = |classifier: &Classifier| {
            let mut found = NOTHING;
            if let Some(found) = found.get_mut(..keys.len()) {
                classifier.first_of_batch(keys, from, found);
            }
            found
        };
        let ask_both = |sides: &Sides| [ask(&sides.egress), ask(&sides.ingress)];
        let enforced = ask_both(&self.enforced);
        let pending = self.pending.as_ref().map(ask_both);
        let at = |[egress, ingress]: &[[Option<Match>; Self::CHUNK]; 2], index: usize| {
            [egress, ingress].map(|side| side.get(index).copied().flatten())
        };
        for (index, key) in keys.iter().enumerate() {
            let pending = pending.as_ref().map(|pending| at(pending, index));
            take(index, &self.conclude(key, at(&enforced, index), pending));
        }
    }

    /// Whether every rule that let the flow pass lets one more pass now. A flow that does not pass takes from no limit.
    pub(crate) fn within_limits(&self, judgement: &Judgement, now: Timestamp) -> bool {
        let limit = |outcome: &u32| {
            let limit = self.outcomes.get(*outcome)?.limit?;
            self.limits.get(limit.0 as usize)
        };
        let limits = || judgement.deciders.iter().flatten().filter_map(limit);
        judgement.decision.action != Action::Allow
            // Another worker may be quicker between the two; then the first limit has counted one too many.
            || (limits().all(|limit| limit.allows(now)) && limits().all(|limit| limit.take(now)))
    }

    /// From the first match of each side to the judgement.
    fn conclude(
        &self,
        key: &Key,
        enforced: [Option<Match>; 2],
        pending: Option<[Option<Match>; 2]>,
    ) -> Judgement {
        let [egress, ingress] = self.walk_both(&self.enforced, key, enforced);
        let (action, decider) = self.verdict([&egress, &ingress]);
        let outcome = decider.and_then(|index| self.outcomes.get(index));
        let reason = match outcome {
            Some(outcome) => outcome.drop_reason(),
            None => (action != Action::Allow).then_some(DropReason::UnknownDeny),
        };
        let pending = self.pending.as_ref().zip(pending).map(|(sides, first)| {
            let [egress, ingress] = self.walk_both(sides, key, first);
            let (action, _) = self.verdict([&egress, &ingress]);
            Pending { action, egress: egress.trace, ingress: ingress.trace }
        });
        Judgement {
            decision: Decision { action, reason, egress: egress.trace, ingress: ingress.trace, pending },
            on_change: outcome.map_or(OnChange::default(), |outcome| outcome.on_change),
            deciders: [egress.decider, ingress.decider],
        }
    }

    fn walk_both(&self, sides: &Sides, key: &Key, [egress, ingress]: [Option<Match>; 2]) -> [Walk; 2] {
        let egress = self.walk(&sides.egress, key, egress);
        let passes = egress.decider.is_none_or(|outcome| self.action(outcome) == Action::Allow);
        let ingress = ingress.filter(|_| passes);
        [egress, self.walk(&sides.ingress, key, ingress)]
    }

    /// Follows the rules of one side from the first that matches to the one that decides.
    fn walk(&self, classifier: &Classifier, key: &Key, first: Option<Match>) -> Walk {
        let mut walk = Walk { trace: Trace::EMPTY, decider: None };
        let mut next = first;
        while let Some(found) = next {
            let Some(outcome) = self.outcomes.get(found.outcome) else { break };
            let from = match outcome.effect {
                Effect::Log => {
                    if walk.trace.has_room_to_log() {
                        walk.trace.push(outcome.rule);
                    }
                    let Some(next) = found.position.next() else { break };
                    next
                }
                Effect::Pass(tier) => {
                    walk.trace.push(outcome.rule);
                    tier
                }
                Effect::Allow | Effect::Deny | Effect::Reject => {
                    walk.trace.push(outcome.rule);
                    walk.decider = Some(found.outcome);
                    break;
                }
            };
            next = classifier.first(key, from);
        }
        walk
    }

    fn action(&self, outcome: u32) -> Action {
        self.outcomes.get(outcome).map_or(Action::Deny, Outcome::action)
    }

    /// The verdict on a flow, and the outcome that decided.
    fn verdict(&self, walks: [&Walk; 2]) -> (Action, Option<u32>) {
        // Ingress was not asked if egress denies, so the last that decided on any side decides.
        match walks.into_iter().rev().find_map(|walk| walk.decider) {
            Some(outcome) => (self.action(outcome), Some(outcome)),
            None => (self.unknown, None),
        }
    }
}
