use ravelin_config::{
    Enforcement,
    resources::{Failsafe, OnChange},
    types::Action,
};

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
        }
    }
}
