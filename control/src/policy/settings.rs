use std::sync::Arc;

use ravelin_config::{
    Config,
    resources::{Failsafe, OnChange},
    types::Action,
};
use ravelin_dataplane::threat::IndicatorSet;

use super::{Direction, Zones};
use crate::feeds::Library;

/// What is said about policy as a whole.
#[derive(Clone, Debug)]
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
    /// The zones that rules can ask for.
    pub zones: Zones,
    /// What follows for flows with what feeds name, by the feeds' numbers.
    pub feeds: Vec<FeedPolicy>,
    /// What feeds name, by the same numbers.
    pub indicators: Arc<IndicatorSet>,
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
    /// What a configuration and its feeds say.
    pub fn of(config: &Config, library: &Library) -> Self {
        let enforcement = &config.enforcement;
        Self {
            unknown: enforcement.unknown,
            on_change: enforcement.on_change,
            reject_rate: enforcement.reject_rate,
            failsafe_inbound: enforcement.failsafe_inbound.clone(),
            failsafe_outbound: enforcement.failsafe_outbound.clone(),
            zones: Zones::of(config),
            feeds: library.policies(),
            indicators: Arc::new(library.indicators()),
        }
    }
}
