use ravelin_config::types::Action;

use super::{Decision, Pending, RuleId, Trace};
use crate::verdict::DropReason;

/// A decision in the making, and as the log keeps it: a head of verdicts, reason and the lengths of the traces, and behind it
/// the rules of the traces, one trace behind the other.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    /// The head first.
    words: [u32; 1 + TRACES * Trace::MAX],
    lengths: [u8; TRACES],
    /// Whether a rule was met, in force, that triggers a capture. No part of the decision.
    pub(crate) captures: bool,
}

/// Egress and ingress as they are in force, and as they would be.
const TRACES: usize = 4;
const LENGTH_BITS: u32 = 5;
const LENGTHS_SHIFT: u32 = 32 - TRACES as u32 * LENGTH_BITS;
const REASON_SHIFT: u32 = 4;
const PENDING_SHIFT: u32 = 2;
/// In place of a verdict: there is none.
const NO_ACTION: u32 = 3;

impl Words {
    /// Nothing is decided.
    pub(super) const EMPTY: Self =
        Self { words: [0; 1 + TRACES * Trace::MAX], lengths: [0; TRACES], captures: false };

    /// Begins another decision.
    pub(super) fn clear(&mut self) {
        (self.lengths, self.captures) = ([0; TRACES], false);
    }

    fn len(&self) -> usize {
        self.lengths.iter().fold(1, |len, length| len + usize::from(*length))
    }

    /// Adds a rule to a trace (0 to 3), if it has room. Those behind it must be empty.
    pub(super) fn push(&mut self, trace: usize, rule: RuleId) {
        let len = self.len();
        if let (Some(place), Some(length)) = (self.words.get_mut(len), self.lengths.get_mut(trace))
            && usize::from(*length) < Trace::MAX
        {
            *place = rule.0;
            *length += 1;
        }
    }

    /// Adds a rule that logs to a trace, if there is room left for one rule of each tier.
    pub(super) fn log(&mut self, trace: usize, rule: RuleId) {
        let length = self.lengths.get(trace).copied().unwrap_or_default();
        if usize::from(length) < Trace::MAX - Trace::MAX_TIERS - 1 {
            self.push(trace, rule);
        }
    }

    /// Says what the traces have led to.
    pub(super) fn conclude(&mut self, action: Action, reason: Option<DropReason>, pending: Option<Action>) {
        let lengths = self.lengths.into_iter().fold(0, |all, length| all << LENGTH_BITS | u32::from(length));
        let reason = reason.map_or(0, |reason| reason as u32 + 1);
        let pending = pending.map_or(NO_ACTION, code);
        let head =
            lengths << LENGTHS_SHIFT | reason << REASON_SHIFT | pending << PENDING_SHIFT | code(action);
        if let Some(place) = self.words.first_mut() {
            *place = head;
        }
    }

    /// The same decision with another verdict and reason.
    pub(crate) fn replaced(&self, action: Action, reason: DropReason) -> Self {
        let mut replaced = self.clone();
        replaced.conclude(action, Some(reason), pending(self.head()));
        replaced
    }

    /// The decision without the way to it.
    pub(super) fn bare(&self) -> Self {
        let (head, mut bare) = (self.head(), Self::EMPTY);
        bare.conclude(action(head).unwrap_or(Action::Deny), reason(head), pending(head));
        bare
    }

    /// The last rule in force that was met; 0 if there is none.
    pub(super) fn decider(&self) -> RuleId {
        let [egress, ingress, ..] = self.lengths.map(usize::from);
        RuleId(self.words.get(egress + ingress).copied().filter(|_| egress + ingress > 0).unwrap_or_default())
    }

    fn head(&self) -> u32 {
        self.words.first().copied().unwrap_or_default()
    }

    pub(super) fn as_slice(&self) -> &[u32] {
        self.words.get(..self.len()).unwrap_or_default()
    }

    /// The decision itself.
    pub(crate) fn decision(&self) -> Decision {
        read(self.as_slice().iter().copied())
    }
}

impl From<&Decision> for Words {
    fn from(decision: &Decision) -> Self {
        let mut words = Self::EMPTY;
        let pending = decision.pending.iter().flat_map(|pending| [&pending.egress, &pending.ingress]);
        for (number, trace) in [&decision.egress, &decision.ingress].into_iter().chain(pending).enumerate() {
            trace.rules().iter().for_each(|rule| words.push(number, *rule));
        }
        let pending = decision.pending.map(|pending| pending.action);
        words.conclude(decision.action, decision.reason, pending);
        words
    }
}

const fn code(action: Action) -> u32 {
    match action {
        Action::Allow => 0,
        Action::Deny => 1,
        Action::Reject => 2,
    }
}

const fn action(head: u32) -> Option<Action> {
    match head & 3 {
        0 => Some(Action::Allow),
        1 => Some(Action::Deny),
        2 => Some(Action::Reject),
        _ => None,
    }
}

const fn pending(head: u32) -> Option<Action> {
    action(head >> PENDING_SHIFT)
}

/// Why packets are dropped, by the head of a decision.
pub(super) fn reason(head: u32) -> Option<DropReason> {
    let index = (head >> REASON_SHIFT & 0xff).checked_sub(1)?;
    DropReason::ALL.get(index as usize).copied()
}

/// The decision that words say.
pub(super) fn read(mut words: impl Iterator<Item = u32>) -> Decision {
    let head = words.next().unwrap_or_default();
    let mut shift = u32::BITS;
    let mut trace = || {
        shift -= LENGTH_BITS;
        let mut trace = Trace::EMPTY;
        for _ in 0..head >> shift & ((1 << LENGTH_BITS) - 1) {
            trace.push(RuleId(words.next().unwrap_or_default()));
        }
        trace
    };
    Decision {
        action: action(head).unwrap_or(Action::Deny),
        reason: reason(head),
        egress: trace(),
        ingress: trace(),
        pending: pending(head).map(|action| Pending { action, egress: trace(), ingress: trace() }),
    }
}
