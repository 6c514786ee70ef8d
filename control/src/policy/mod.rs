//! The policy compiler: from resources to what the packet path asks.
//!
//! ```text
//! resources > identities (labels > addresses) > order (tiers, policies, as in force and as pending)
//!           > sides (egress, ingress): every rule as flat rules over sets of addresses > classifiers > PolicySet
//! ```
//!
//! Almost everything becomes a matter of addresses: what a policy selects, who a rule's peer is, which endpoint calls a port by a
//! name. So one classifier for each side judges a flow, whatever the number of endpoints. The zones that a rule asks for go
//! into its outcome (`docs/adr/0024-zones.md`). Behind the rules of each tier stands
//! one rule for its default, behind the tiers those of profiles, and behind all one that denies for every endpoint.
//!
//! Promises: the meaning of `docs/adr/0010-policy-semantics.md`, held against an oracle that walks all rules; the same rule of
//! the same policy keeps its number while the process lives. Refuses: to look at packets. Read next: `order.rs`, `entity.rs`,
//! `side.rs`, `book.rs`; for what is asked of policy as a whole `explain.rs`, `lint/mod.rs`, `diff/mod.rs`, `usage.rs`,
//! `exempt.rs`.

mod book;
mod change;
mod diff;
mod engine;
mod entity;
mod exempt;
mod explain;
mod flat;
mod layout;
mod lint;
mod order;
mod ports;
mod question;
mod sets;
mod settings;
mod side;
mod tell;
#[cfg(test)]
mod tests;
mod usage;
mod wording;
mod zones;

pub use book::{Block, BookReader, Named, RuleBook, action_name};
pub use change::Members;
pub use diff::{Budget, Change as FlowChange, Comparison, Difference, compare};
pub use engine::{Change, Engine};
pub use exempt::{BeforeFeeds, Exempt};
pub use explain::{Answer, Explainer, SideAnswer, Verdicts};
pub use layout::PolicyKey;
pub use lint::{Finding, Severity, lint};
pub use order::full_name;
pub(crate) use order::{PROFILES, TIERS};
pub(crate) use question::word_or_number;
pub use question::{Question, QuestionError};
pub use settings::{FeedPolicy, Settings};
pub use tell::{Teller, Told, verdict_name};
pub use usage::{Live, RuleUsage, Tally, Usage};
pub use zones::Zones;

/// The way a flow passes an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From it.
    Egress,
    /// To it.
    Ingress,
}

impl Direction {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }
}
