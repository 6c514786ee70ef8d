use super::Verdict;
use ravelin_config::resources::Failsafe;

/// The part of `[enforcement]` that verdicts depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The verdict on flows of which neither end is an endpoint.
    pub unknown: Verdict,
    /// Flows to hosts that are allowed before any policy is asked.
    pub inbound: Vec<Failsafe>,
    /// Flows from hosts that are allowed before any policy is asked.
    pub outbound: Vec<Failsafe>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { unknown: Verdict::Allow, inbound: Failsafe::inbound(), outbound: Failsafe::outbound() }
    }
}
