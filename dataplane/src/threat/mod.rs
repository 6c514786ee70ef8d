//! Indicators: which feeds name an address and port.
//!
//! An [`IndicatorSet`] is made off the workers from what all feeds say, millions of [`Indicator`]s in any order, and is then
//! immutable, part of the snapshot. It answers for one end of a flow, alone or for a batch, and says for which addresses it
//! answers differently from another set, so that only their flows are judged again.
//!
//! Promises: the answer is exact; a lookup reads two cache lines for IPv4 and three or four for IPv6, or some more where entries are crowded; memory and
//! time to build are proportional to the entries, however these are made (`docs/adr/0012-indicator-set.md`).
//! [`Threat`] adds what follows; the walk along a side of a flow asks it (`policy/judge.rs`).
//! Refuses: to know names, labels or metadata of feeds, and to decide anything. Read [`set`](self) first, then `sweep`, which
//! makes of overlapping entries stretches of addresses with one answer each, `lines`, which find a word of 16 bits, and what is
//! made of them: `table` (IPv4) and `layers` (IPv6).

mod classes;
mod crowd;
mod feeds;
mod keys;
pub(crate) mod lanes;
mod layers;
mod lines;
mod record;
mod rules;
mod set;
mod sweep;
mod table;
#[cfg(test)]
mod tests;

pub use feeds::Feeds;
pub use rules::{FeedRule, Threat};
pub use set::{Indicator, IndicatorSet};
