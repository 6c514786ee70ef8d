//! Who may talk to whom: ordered rules, the first match decides, and a default behind them.
//!
//! A flow is judged by its first packet, in the direction in which it was opened; the verdict is kept in the flow and
//! holds until the next generation. Replies are never judged on their own. Read next: `stage.rs`, `rule.rs`.

mod address_set;
pub mod classifier;
mod rule;
mod stage;
#[cfg(test)]
mod tests;

pub use address_set::AddressSet;
pub use rule::{Judgement, Query, Rule, RuleId, RuleSet};
pub use stage::PolicyStage;
pub(crate) use stage::{query, verdict};
