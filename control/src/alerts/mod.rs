//! Alerts: what somebody should look at.
//!
//! Each is about something ([`About`]): that a feed names what an endpoint talks to, or that a feed is stale, or that address translation finds no ports. One that is about a flow is
//! written as an `alert`, as Suricata has it, any other under an `event_type` of its own, since those who read alerts expect addresses.
//!
//! A worker remembers each flow of which a feed names an end, when policy has judged it. The control thread asks what came of it: if a
//! rule of a feed was met, blocking or not, there is an [`Alert`], with what the feed says of the address. Hits of one endpoint and
//! one entry within `[threat] alert_window` are one alert with a count; the first one is written at once, among the flow records. A feed
//! that becomes stale is one alert, until it is fresh again, which is written too.
//!
//! Promises: bounded memory; what was forgotten is counted. Refuses: to decide anything. Read next: `ledger.rs`.

mod alert;
mod ledger;
#[cfg(test)]
mod tests;

pub use alert::{About, Alert, Exhaustion, Freshness, Hit, Standing};
pub use ledger::Ledger;
