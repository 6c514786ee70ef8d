//! [`PolicySet`]: everything that is compiled from policies, and how it judges a flow.
//!
//! Each side of a flow is judged by itself: the source's egress rules, then, if those let it pass, the destination's ingress
//! rules. A side is one classifier in which tiers, policies and rules stand in one order; the first rule that matches decides,
//! except that one that logs is noted and one that passes skips to the next tier. The compiler puts a rule behind each tier and
//! each profile for what happens there, and a last one that denies behind everything for every endpoint; so a side that no
//! rule matches belongs to no endpoint and is not judged.
//!
//! A classifier knows nothing of zones. What it finds has matched only if the zones of the outcome hold; if not, it is asked for
//! what stands behind, as if the rule were not there. The alternatives of a rule share its place and its outcome, so none of them
//! is passed over wrongly.

use std::time::Duration;

use ravelin_config::types::Action;

use super::{
    Classifier, Decision, Effect, Key, Limit, LimitId, Match, OnChange, Outcome, Outcomes, Position, Words,
};
use crate::{
    clock::Timestamp,
    threat::{FeedRule, Feeds, Threat},
    verdict::DropReason,
};

/// The rules of both sides.
#[derive(Clone, Debug)]
pub struct Sides {
    /// About the source of a flow.
    pub egress: Classifier,
    /// About its destination.
    pub ingress: Classifier,
    /// Where the rules of feeds stand in the order of each.
    pub feeds: [Position; 2],
}

impl Default for Sides {
    fn default() -> Self {
        let none = || Classifier::new(Vec::new(), Vec::new());
        Self { egress: none(), ingress: none(), feeds: [Position::START; 2] }
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
    /// What feeds name, and what follows.
    pub threat: Threat,
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
            threat: Threat::default(),
        }
    }
}

/// What policy says about a flow, with what the packet path needs to act upon it.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The verdict.
    pub action: Action,
    /// What happens to the flow if it was allowed before.
    pub on_change: OnChange,
    /// Whether a feed names an end of the flow; whether anything follows is in the decision.
    pub(crate) is_named: bool,
    /// Limits of the rules that let it pass.
    limits: [Option<LimitId>; 2],
    pub(crate) words: Words,
}

impl Judgement {
    /// Before anything is judged.
    const fn new() -> Self {
        let on_change = OnChange::Drop;
        Self { action: Action::Deny, on_change, is_named: false, limits: [None; 2], words: Words::EMPTY }
    }

    /// The verdict with the whole way to it.
    pub fn decision(&self) -> Decision {
        self.words.decision()
    }
}

/// One side of a flow, on which rules are followed.
struct Walk<'w> {
    classifier: &'w Classifier,
    /// The feeds that name the other end.
    feeds: Feeds,
    feed_rules: &'w [FeedRule],
    feeds_at: Position,
}

impl PolicySet {
    /// Flows that are judged at once.
    pub const CHUNK: usize = 32;

    /// Judges a flow.
    pub fn judge(&self, key: &Key) -> Judgement {
        let first = |classifier: &Classifier| classifier.first(key, Position::START);
        let begin = |sides: &Sides| [first(&sides.egress), first(&sides.ingress)];
        let mut judgement = Judgement::new();
        let pending = self.pending.as_ref().map(begin);
        self.conclude(key, self.threat.feeds(key), begin(&self.enforced), pending, &mut judgement);
        judgement
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
        let mut named = [[Feeds::EMPTY; 2]; Self::CHUNK];
        self.threat.feeds_of_batch(keys, &mut named);
        // One for all: it is large.
        let mut judgement = Judgement::new();
        for ((index, key), feeds) in keys.iter().enumerate().zip(named) {
            let pending = pending.as_ref().map(|pending| at(pending, index));
            self.conclude(key, feeds, at(&enforced, index), pending, &mut judgement);
            take(index, &judgement);
        }
    }

    /// Whether any rule asks for a zone, so that it matters where a flow leaves.
    pub const fn uses_zones(&self) -> bool {
        self.outcomes.uses_zones()
    }

    /// Whether every rule that let the flow pass lets one more pass now. A flow that does not pass takes from no limit.
    pub(crate) fn within_limits(&self, judgement: &Judgement, now: Timestamp) -> bool {
        let limits =
            || judgement.limits.iter().flatten().filter_map(|limit| self.limits.get(limit.0 as usize));
        judgement.action != Action::Allow
            // Another worker may be quicker between the two; then the first limit has counted one too many.
            || (limits().all(|limit| limit.allows(now)) && limits().all(|limit| limit.take(now)))
    }

    /// From the first match of each side, and the feeds that name the other end, to the judgement, in place of what was there.
    fn conclude(
        &self,
        key: &Key,
        feeds: [Feeds; 2],
        enforced: [Option<Match>; 2],
        pending: Option<[Option<Match>; 2]>,
        judgement: &mut Judgement,
    ) {
        let Judgement { action, on_change, is_named, limits, words } = judgement;
        words.clear();
        *is_named = feeds.iter().any(|feeds| !feeds.is_empty());
        let deciders = self.walk_both(&self.enforced, key, feeds, enforced, [0, 1], words);
        let decider = Self::last(deciders);
        *action = decider.map_or(self.unknown, Outcome::action);
        *on_change = decider.map_or(OnChange::default(), |outcome| outcome.on_change);
        *limits = deciders.map(|decider| decider?.limit);
        let reason = match decider {
            Some(decider) => decider.drop_reason(),
            None => (self.unknown != Action::Allow).then_some(DropReason::UnknownDeny),
        };
        let pending = self.pending.as_ref().zip(pending).map(|(sides, first)| {
            let deciders = self.walk_both(sides, key, feeds, first, [2, 3], words);
            Self::last(deciders).map_or(self.unknown, Outcome::action)
        });
        words.conclude(*action, reason, pending);
    }

    /// The outcome that decided on each side.
    fn walk_both(
        &self,
        sides: &Sides,
        key: &Key,
        [to, from]: [Feeds; 2],
        [egress, ingress]: [Option<Match>; 2],
        traces: [usize; 2],
        words: &mut Words,
    ) -> [Option<&Outcome>; 2] {
        let [out, into] = &self.threat.rules;
        let out = Walk { classifier: &sides.egress, feeds: to, feed_rules: out, feeds_at: sides.feeds[0] };
        let source = self.walk(&out, key, egress, traces[0], words);
        if source.is_some_and(|outcome| outcome.action() != Action::Allow) {
            return [source, None];
        }
        let into =
            Walk { classifier: &sides.ingress, feeds: from, feed_rules: into, feeds_at: sides.feeds[1] };
        [source, self.walk(&into, key, ingress, traces[1], words)]
    }

    /// Follows the rules of one side from the first that matches to the one that decides; `None` if the side belongs to no
    /// endpoint.
    fn walk(
        &self,
        side: &Walk<'_>,
        key: &Key,
        first: Option<Match>,
        trace: usize,
        words: &mut Words,
    ) -> Option<&Outcome> {
        let mut next = first;
        let mut from = Position::START;
        let mut is_named = !side.feeds.is_empty();
        loop {
            if is_named && side.feeds_at >= from && next.is_none_or(|found| found.position >= side.feeds_at) {
                is_named = false;
                let named = side.feed_rules.iter().filter(|rule| side.feeds.contains(rule.feed));
                for outcome in named.filter_map(|rule| self.outcomes.get(rule.outcome)) {
                    if outcome.effect == Effect::Log {
                        words.log(trace, outcome.rule);
                    } else {
                        words.push(trace, outcome.rule);
                        return Some(outcome);
                    }
                }
            }
            let found = next?;
            let outcome = self.outcomes.get(found.outcome)?;
            if !outcome.holds(key.zones) {
                from = found.position.next()?;
                next = side.classifier.first(key, from);
                continue;
            }
            // The first two traces are those in force.
            words.captures |= outcome.captures && trace < 2;
            from = match outcome.effect {
                Effect::Log => {
                    words.log(trace, outcome.rule);
                    found.position.next()?
                }
                Effect::Pass(tier) => {
                    words.push(trace, outcome.rule);
                    tier
                }
                Effect::Allow | Effect::Deny | Effect::Reject => {
                    words.push(trace, outcome.rule);
                    return Some(outcome);
                }
            };
            next = side.classifier.first(key, from);
        }
    }

    /// The outcome that decided: ingress was not asked if egress denies, so the last one on any side.
    fn last([egress, ingress]: [Option<&Outcome>; 2]) -> Option<&Outcome> {
        ingress.or(egress)
    }
}
