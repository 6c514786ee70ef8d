//! Alerts: what somebody should look at, because a feed names it.
//!
//! A worker remembers each flow of which a feed names an end, when policy has judged it. The control thread asks what came of it: if a
//! rule of a feed was met, blocking or not, there is an [`Alert`], with what the feed says of the address. Hits of one endpoint and
//! one entry within `[threat] alert_window` are one alert with a count; the first one is written at once, among the flow records.
//!
//! Promises: bounded memory; what was forgotten is counted. Refuses: to decide anything. Read next: `ledger.rs`.

mod ledger;
#[cfg(test)]
mod tests;

pub use ledger::{Alert, Ledger};
