//! Who may talk to whom: tiers of policies, compiled to classifiers, and what follows from them.
//!
//! A flow is judged by its first packet, in the direction in which it was opened: its source by the source's egress rules, its
//! destination by its ingress rules. What comes of that, a [`Decision`] with the whole way to it, is kept in the flow and holds
//! until the next generation. Replies are never judged on their own.
//!
//! Promises: a staged policy changes no packet's fate; the first match is that of walking all rules in order; nothing is
//! allocated for a packet. Refuses: to know labels and selectors, which the compiler has turned into sets of addresses.
//! Read next: `judge.rs` for the meaning of tiers, `classifier/mod.rs` for speed, `stage.rs`, `decision.rs`.

mod address_set;
mod answer;
pub mod classifier;
mod decision;
mod judge;
mod limit;
mod outcome;
mod stage;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod words;
mod zone;

pub use address_set::AddressSet;
pub(crate) use address_set::Number;
pub(crate) use answer::{Answer, Problem};
pub use classifier::{Classifier, Key, Match, Position, ProtocolMatch, Rule, SetId};
pub(crate) use decision::Decisions;
pub use decision::{
    Decision, DecisionCounts, DecisionId, DecisionLog, Pending, Ruling, Trace, Trigger, TriggerCause,
};
pub use judge::{Judgement, PolicySet, Sides};
pub use limit::{Limit, LimitId};
pub use outcome::{Effect, OnChange, Outcome, Outcomes, RuleId, RuleSet};
pub use stage::PolicyStage;
pub(crate) use stage::{question, question_of_packet};
pub(crate) use words::Words;
pub use zone::{Zone, ZoneSet};
