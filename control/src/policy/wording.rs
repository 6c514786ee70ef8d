//! Rules as they are written.

use std::collections::HashMap;

use ravelin_config::resources::{Failsafe, PolicyRule, Resources};
use serde::Serialize;

use super::{Block, Direction, Named, Settings, action_name, full_name};

/// Finds what stands behind the names of rules.
#[derive(Debug)]
pub(super) struct Wording {
    /// Policies by tier and full name.
    policies: HashMap<(String, String), usize>,
    /// Profiles by name.
    profiles: HashMap<String, usize>,
    inbound: Vec<Failsafe>,
    outbound: Vec<Failsafe>,
}

/// What the names of profiles begin with in traces.
const PROFILE: &str = "__PROFILE__.";
/// The tier of the ports of hosts that no policy can shut.
const FAILSAFE: &str = "__FAILSAFE__";

impl Wording {
    /// The words of a configuration.
    pub(super) fn new(resources: &Resources, settings: &Settings) -> Self {
        let policies = resources.policies.iter().enumerate();
        let profiles = resources.profiles.iter().enumerate();
        Self {
            policies: policies.map(|(at, policy)| ((policy.tier.clone(), full_name(policy)), at)).collect(),
            profiles: profiles.map(|(at, profile)| (profile.name.clone(), at)).collect(),
            inbound: settings.failsafe_inbound.clone(),
            outbound: settings.failsafe_outbound.clone(),
        }
    }

    /// The rule as it is written; `None` for a default and for what is built in.
    pub(super) fn written<'r>(&self, resources: &'r Resources, rule: &Named) -> Option<&'r PolicyRule> {
        let Block { tier, policy, direction, .. } = &*rule.block;
        let [ingress, egress] = match policy.strip_prefix(PROFILE) {
            Some(name) => {
                let profile = resources.profiles.get(*self.profiles.get(name)?)?;
                [&profile.ingress, &profile.egress]
            }
            None => {
                let place = self.policies.get(&(tier.clone(), policy.clone()))?;
                let policy = resources.policies.get(*place)?;
                [&policy.ingress, &policy.egress]
            }
        };
        let rules = match direction {
            Direction::Ingress => ingress,
            Direction::Egress => egress,
        };
        rules.get(rule.index?)
    }

    /// The rule on one line: as TOML, or in words if nobody wrote it.
    pub(super) fn text(&self, resources: &Resources, rule: &Named) -> String {
        if let Some(written) = self.written(resources, rule) {
            let mut text = String::new();
            let written = written.serialize(toml::ser::ValueSerializer::new(&mut text));
            return if written.is_ok() { text } else { String::new() };
        }
        let action = action_name(rule.action());
        let tier = &rule.block.tier;
        let failsafes = match rule.block.direction {
            Direction::Ingress => &self.inbound,
            Direction::Egress => &self.outbound,
        };
        match rule.index {
            Some(index) if tier == FAILSAFE => {
                let port = failsafes.get(index).map(ToString::to_string).unwrap_or_default();
                format!("failsafe port {port}: {action}")
            }
            Some(_) => match rule.feed() {
                Some(feed) => format!("the feed {feed} names the other end: {action}"),
                None => format!("built in: {action} everything"),
            },
            None if PROFILE.starts_with(tier.as_str()) => format!("no tier and no profile decides: {action}"),
            None => format!("end of tier {tier}: {action}"),
        }
    }
}
