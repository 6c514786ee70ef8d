//! The oracle of policy: what must happen to a flow, found by walking every tier, policy and rule.
//!
//! It is written straight from the meaning of policy (Calico's model, with Ravelin's own words on top) and shares nothing with
//! the compiler but the resources and `Selector::matches`. No index, no sets of addresses, no order but that of the text:
//! whoever doubts an answer can follow it with a finger. Property tests hold the compiled policy against it.
//!
//! Promises: one answer for every flow, with the traces of both ends, enforced and pending. Refuses: to be fast, to limit rates
//! (a rule with a rate limit matches every flow), to know the addresses behind domains.
//! Read next: `identity.rs` (who an address is), `rule.rs` (what a rule asks), `walk.rs` (the order in which all are asked).

mod identity;
mod rule;
mod settings;
mod walk;

pub use settings::Settings;

use ravelin_config::{
    resources::{
        Endpoint, IpVersion, NetworkSet, Policy, Profile, Resources, RuleAction, StagedAction, Tier,
    },
    selector::Labelled,
    types::Protocol,
};
use std::{collections::BTreeMap, fmt, net::IpAddr};
use walk::Direction;

/// The first packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Who opens it.
    pub source: IpAddr,
    /// To whom; of the same family.
    pub destination: IpAddr,
    /// What IP carries.
    pub protocol: Protocol,
    /// 0 for protocols without ports.
    pub source_port: u16,
    /// 0 for protocols without ports.
    pub destination_port: u16,
    /// Type and code of ICMP and ICMPv6; `(0, 0)` for other protocols.
    pub icmp: (u8, u8),
    /// The zone of the interface at which it comes in, and of that by which it would leave.
    pub zones: [Option<&'static str>; 2],
}

impl Flow {
    /// The version of its addresses.
    pub const fn version(&self) -> IpVersion {
        match self.source {
            IpAddr::V4(_) => IpVersion::V4,
            IpAddr::V6(_) => IpVersion::V6,
        }
    }
}

/// What happens to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It may pass.
    Allow,
    /// Its packets are dropped.
    Deny,
    /// Its packets are dropped and the sender is told.
    Reject,
}

/// One step on the way to a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The tier; `__PROFILE__` and `__FAILSAFE__` for what is none.
    pub tier: String,
    /// The policy's full name.
    pub name: String,
    /// What it did.
    pub action: RuleAction,
    /// Which of its rules, from 0; -1 for the default of the tier.
    pub rule: i32,
}

/// The steps of one end of a flow, in their order. Its text is that of flow records, one line for each step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Trace(pub Vec<Entry>);

impl Trace {
    /// The entries as flow records have them.
    pub fn lines(&self) -> Vec<String> {
        let line = |(index, entry): (usize, &Entry)| {
            let action = match entry.action {
                RuleAction::Allow => "allow",
                RuleAction::Deny => "deny",
                RuleAction::Log => "log",
                RuleAction::Pass => "pass",
                RuleAction::Reject => "reject",
            };
            format!("{index}|{}|{}|{action}|{}", entry.tier, entry.name, entry.rule)
        };
        self.0.iter().enumerate().map(line).collect()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

/// A verdict with the steps that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Judgement {
    /// What happens.
    pub verdict: Verdict,
    /// The steps at the source; empty if that is not an endpoint.
    pub egress: Trace,
    /// The steps at the destination; empty if that is not an endpoint or if the source's side has denied already.
    pub ingress: Trace,
}

/// What happens, and what would happen with every staged policy active.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// With the policies that are in force.
    pub enforced: Judgement,
    /// With the staged ones as well.
    pub pending: Judgement,
}

/// Labels with the values that selectors see.
#[derive(Clone, Debug, Default)]
struct Effective(BTreeMap<String, String>);

impl Labelled for Effective {
    fn label(&self, label: &str) -> Option<&str> {
        self.0.get(label).map(String::as_str)
    }
}

/// Everything that is asked, with the labels that selectors see.
#[derive(Clone, Debug)]
pub struct Oracle<'r> {
    resources: &'r Resources,
    settings: &'r Settings,
    endpoints: Vec<(&'r Endpoint, Effective)>,
    network_sets: Vec<(&'r NetworkSet, Effective)>,
    profiles: Vec<Profile>,
    tiers: Vec<Tier>,
    enforced: Vec<&'r Policy>,
    pending: Vec<&'r Policy>,
}

impl<'r> Oracle<'r> {
    /// An oracle for these resources.
    pub fn new(resources: &'r Resources, settings: &'r Settings) -> Self {
        let endpoints = resources.endpoints.iter();
        let sets = resources.network_sets.iter();
        Self {
            resources,
            settings,
            endpoints: endpoints
                .map(|endpoint| (endpoint, identity::of_endpoint(resources, endpoint)))
                .collect(),
            network_sets: sets.map(|set| (set, identity::of_network_set(resources, set))).collect(),
            profiles: walk::profiles(resources),
            tiers: walk::tiers(resources),
            enforced: walk::sorted(resources.policies.iter().filter(|policy| policy.staged.is_none())),
            pending: walk::sorted(pending(&resources.policies)),
        }
    }

    /// What happens to a flow.
    pub fn ask(&self, flow: &Flow) -> Answer {
        Answer { enforced: self.judge(&self.enforced, flow), pending: self.judge(&self.pending, flow) }
    }

    /// The source's egress, then the destination's ingress, as far as they are endpoints; without any, the setting.
    fn judge(&self, policies: &[&Policy], flow: &Flow) -> Judgement {
        let (source, destination) = (self.endpoint_of(flow.source), self.endpoint_of(flow.destination));
        let mut judgement =
            Judgement { verdict: Verdict::Allow, egress: Trace::default(), ingress: Trace::default() };
        if source.is_none() && destination.is_none() {
            judgement.verdict = self.settings.unknown;
        }
        if let Some(endpoint) = source {
            judgement.verdict = self.walk(policies, endpoint, Direction::Egress, flow, &mut judgement.egress);
        }
        if judgement.verdict == Verdict::Allow
            && let Some(endpoint) = destination
        {
            judgement.verdict =
                self.walk(policies, endpoint, Direction::Ingress, flow, &mut judgement.ingress);
        }
        judgement
    }
}

/// The policies that would be in force if every staged one were (2.1): a staged `Set` stands in the place of the enforced one of
/// the same tier, namespace and name, or is added; the target of a staged `Delete` is gone.
fn pending(policies: &[Policy]) -> impl Iterator<Item = &Policy> {
    let replaced = |policy: &Policy| {
        policies.iter().any(|other| {
            other.staged.is_some()
                && (&other.tier, &other.namespace, &other.name)
                    == (&policy.tier, &policy.namespace, &policy.name)
        })
    };
    policies.iter().filter(move |policy| match policy.staged {
        None => !replaced(policy),
        Some(StagedAction::Set) => true,
        Some(StagedAction::Delete) => false,
    })
}
