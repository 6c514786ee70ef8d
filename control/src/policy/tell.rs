use std::sync::Arc;

use ravelin_config::types::Action;
use ravelin_dataplane::{
    handoff::WorkerId,
    policy::{Decision, DecisionId, DecisionLog, RuleId, Trace},
    verdict::DropReason,
};

use super::{BookReader, Direction, Named};

/// What was decided about a flow, in names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The verdict.
    pub verdict: Action,
    /// Why packets are dropped, if they are.
    pub reason: Option<DropReason>,
    /// The rule that decided; `None` if neither end is an endpoint.
    pub decider: Option<Named>,
    /// The way to the verdict: the source's egress rules, then the destination's ingress rules.
    pub enforced: Vec<String>,
    /// The rule that would decide with every staged policy.
    pub pending_decider: Option<Named>,
    /// The verdict with every staged policy.
    pub pending_verdict: Action,
    /// The way to that.
    pub pending: Vec<String>,
    /// The feeds of which a rule in force was met, and on which side.
    pub feeds: Vec<(Direction, String)>,
}

/// Turns decisions of workers into names.
#[derive(Clone, Debug, Default)]
pub struct Teller {
    logs: Vec<Arc<DecisionLog>>,
    book: BookReader,
}

impl Teller {
    /// One that reads the logs of all workers, in order.
    pub fn new(logs: Vec<Arc<DecisionLog>>, book: BookReader) -> Self {
        Self { logs, book }
    }

    /// A decision of a worker; `None` for one that it never made.
    pub fn tell(&mut self, worker: WorkerId, id: DecisionId) -> Option<Told> {
        let decision = self.logs.get(worker.index())?.get(id)?;
        Some(self.name(&decision))
    }

    /// A decision in names.
    pub fn name(&mut self, decision: &Decision) -> Told {
        let enforced = self.way([&decision.egress, &decision.ingress]);
        let decider = self.last([&decision.egress, &decision.ingress]);
        let (pending_verdict, pending_decider, pending) = match &decision.pending {
            Some(pending) => {
                let sides = [&pending.egress, &pending.ingress];
                (pending.action, self.last(sides), self.way(sides))
            }
            None => (decision.action, decider.clone(), enforced.clone()),
        };
        let sides = [(Direction::Egress, &decision.egress), (Direction::Ingress, &decision.ingress)];
        let feeds =
            sides.into_iter().flat_map(|(side, trace)| trace.rules().iter().map(move |rule| (side, *rule)));
        let feeds: Vec<_> =
            feeds.filter_map(|(side, rule)| Some((side, self.rule(rule)?.feed()?.to_owned()))).collect();
        Told {
            feeds,
            verdict: decision.action,
            reason: decision.reason,
            decider,
            enforced,
            pending_decider,
            pending_verdict,
            pending,
        }
    }

    /// A rule by its number.
    pub fn rule(&mut self, rule: RuleId) -> Option<Named> {
        self.book.rule(rule)
    }

    /// The names of rules.
    pub fn book(&self) -> BookReader {
        self.book.clone()
    }

    /// The logs that it reads.
    pub fn logs(&self) -> &[Arc<DecisionLog>] {
        &self.logs
    }

    /// The rule at the end of a way.
    fn last(&mut self, [egress, ingress]: [&Trace; 2]) -> Option<Named> {
        let last = ingress.rules().last().or(egress.rules().last())?;
        self.rule(*last)
    }

    fn way(&mut self, traces: [&Trace; 2]) -> Vec<String> {
        traces.into_iter().flat_map(|trace| self.entries(trace)).collect()
    }

    /// The entries of one side, in Calico's form.
    pub fn entries(&mut self, trace: &Trace) -> Vec<String> {
        let named = trace.rules().iter().enumerate();
        named.filter_map(|(at, rule)| Some(self.book.rule(*rule)?.entry(at))).collect()
    }
}

/// A verdict as it is written.
pub const fn verdict_name(verdict: Action) -> &'static str {
    match verdict {
        Action::Allow => "allow",
        Action::Deny => "deny",
        Action::Reject => "reject",
    }
}
