use ravelin_config::{
    Enforcement,
    resources::{Failsafe, OnChange},
    types::Action,
};

use super::Direction;

/// What is said about policy as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The verdict on flows of which neither end is an endpoint.
    pub unknown: Action,
    /// What happens to flows that the end of a tier or a missing profile denies after a change.
    pub on_change: OnChange,
    /// Answers to rejected packets in a second.
    pub reject_rate: u32,
    /// Ports of hosts that no policy can shut, for flows to them.
    pub failsafe_inbound: Vec<Failsafe>,
    /// The same for flows from them.
    pub failsafe_outbound: Vec<Failsafe>,
    /// What follows for flows with what feeds name, by the feeds' numbers.
    pub feeds: Vec<FeedPolicy>,
}

/// What follows for flows with what a feed names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedPolicy {
    /// The feed's name.
    pub name: String,
    /// Whether the flow is denied, and not only noted.
    pub blocks: bool,
    /// Whether this is about flows to what the feed names.
    pub egress: bool,
    /// Whether this is about flows from there.
    pub ingress: bool,
}

impl FeedPolicy {
    pub(super) const fn governs(&self, direction: Direction) -> bool {
        match direction {
            Direction::Egress => self.egress,
            Direction::Ingress => self.ingress,
        }
    }
}

impl Settings {
    /// What a configuration says.
    pub fn of(enforcement: &Enforcement) -> Self {
        Self {
            unknown: enforcement.unknown,
            on_change: enforcement.on_change,
            reject_rate: enforcement.reject_rate,
            failsafe_inbound: enforcement.failsafe_inbound.clone(),
            failsafe_outbound: enforcement.failsafe_outbound.clone(),
            feeds: Vec::new(),
        }
    }
}
