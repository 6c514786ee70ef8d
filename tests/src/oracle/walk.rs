//! The order in which tiers, policies, rules and profiles are asked (1.2, 1.3, 1.5, 1.10).

use super::{
    Effective, Entry, Flow, Oracle, Trace, Verdict,
    rule::{in_account, in_namespace},
};
use ravelin_config::{
    resources::{
        Endpoint, EndpointKind, Failsafe, Order, Policy, PolicyRule, Profile, Resources, RuleAction, Tier,
        TierDefault,
    },
    selector::{Labelled, NAMESPACE_LABEL},
};
use std::{collections::BTreeSet, net::IpAddr};

const PROFILE: &str = "__PROFILE__";
const FAILSAFE: &str = "__FAILSAFE__";
/// In the place of a profile's name: none of them matched.
const NO_MATCH: &str = "__NO_MATCH__";

/// Which side of an endpoint is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    fn of<T>(self, ingress: T, egress: T) -> T {
        match self {
            Self::Ingress => ingress,
            Self::Egress => egress,
        }
    }
}

/// The tiers in their order: declared ones and those built in by order, then name; behind them, by name, those that policies
/// mention although nobody declares them.
pub(super) fn tiers(resources: &Resources) -> Vec<Tier> {
    let mut tiers = resources.tiers.clone();
    let built_in = [
        ("kube-admin", 1000.0, TierDefault::Pass),
        ("default", 1_000_000.0, TierDefault::Deny),
        ("kube-baseline", 10_000_000.0, TierDefault::Pass),
    ];
    for (name, order, default) in built_in {
        if !tiers.iter().any(|tier| tier.name == name) {
            let order = Order::new(order).expect("it is finite");
            tiers.push(Tier { name: name.to_owned(), order, default });
        }
    }
    tiers.sort_by(|a, b| a.order.cmp(&b.order).then_with(|| a.name.cmp(&b.name)));
    let mentioned: BTreeSet<&String> = resources.policies.iter().map(|policy| &policy.tier).collect();
    for name in mentioned {
        if !tiers.iter().any(|tier| tier.name == *name) {
            tiers.push(Tier { name: name.clone(), order: Order::LAST, default: TierDefault::Deny });
        }
    }
    tiers
}

/// The declared profiles and those built in, which allow everything.
pub(super) fn profiles(resources: &Resources) -> Vec<Profile> {
    let mut profiles = resources.profiles.clone();
    let namespaces = resources.namespaces.iter().map(|namespace| format!("kns.{}", namespace.name));
    let general = ["projectcalico-default-allow", "default-allow"].map(str::to_owned);
    for name in general.into_iter().chain(namespaces) {
        if !profiles.iter().any(|profile| profile.name == name) {
            let allow = PolicyRule {
                action: RuleAction::Allow,
                description: None,
                ip_version: None,
                protocol: None,
                not_protocol: None,
                icmp: None,
                not_icmp: None,
                source: Default::default(),
                destination: Default::default(),
                rate_limit: None,
                capture: false,
            };
            let (ingress, egress) = (vec![allow.clone()], vec![allow]);
            profiles.push(Profile { name, labels_to_apply: Default::default(), ingress, egress });
        }
    }
    profiles
}

/// Policies in the order of 1.3: by order, name, namespace (none first), enforced before staged.
pub(super) fn sorted<'p>(policies: impl Iterator<Item = &'p Policy>) -> Vec<&'p Policy> {
    let mut policies: Vec<_> = policies.collect();
    policies.sort_by_key(|policy| (policy.order, &policy.name, &policy.namespace, policy.staged.is_some()));
    policies
}

/// A policy's name in traces.
fn full_name(policy: &Policy) -> String {
    let kubernetes = ["knp.", "kcnp.", "kanp.", "kbanp."].iter().any(|start| policy.name.starts_with(start));
    let tier = if kubernetes { String::new() } else { format!("{}.", policy.tier) };
    let staged = if policy.staged.is_some() { "staged:" } else { "" };
    let namespace = policy.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{namespace}{tier}{staged}{}", policy.name)
}

/// Whether a policy is about an endpoint at all.
fn selects(policy: &Policy, labels: &Effective) -> bool {
    policy.selector.matches(labels)
        && policy.namespace.as_deref().is_none_or(|own| labels.label(NAMESPACE_LABEL) == Some(own))
        && policy.namespace_selector.as_ref().is_none_or(|selector| in_namespace(selector, labels))
        && policy.service_account_selector.as_ref().is_none_or(|selector| in_account(selector, labels))
}

impl Oracle<'_> {
    /// The verdict of one end of a flow, as in 1.5.
    pub(super) fn walk(
        &self,
        policies: &[&Policy],
        (endpoint, labels): &(&Endpoint, Effective),
        direction: Direction,
        flow: &Flow,
        trace: &mut Trace,
    ) -> Verdict {
        if endpoint.kind == EndpointKind::Host
            && let Some(rule) = self.failsafe(direction, flow)
        {
            let name = format!("{FAILSAFE}.{}", direction.of("inbound", "outbound"));
            trace.note(FAILSAFE, &name, RuleAction::Allow, Some(rule));
            return Verdict::Allow;
        }
        for tier in &self.tiers {
            let governing: Vec<&Policy> = policies
                .iter()
                .copied()
                .filter(|policy| policy.tier == tier.name)
                .filter(|policy| direction.of(policy.types.ingress, policy.types.egress))
                .filter(|policy| selects(policy, labels))
                .collect();
            // A tier that does not govern the endpoint has no effect.
            let Some(last) = governing.last() else { continue };
            match self.tier(&governing, direction, flow, trace) {
                Some(RuleAction::Allow) => return Verdict::Allow,
                Some(RuleAction::Deny) => return Verdict::Deny,
                Some(RuleAction::Reject) => return Verdict::Reject,
                Some(RuleAction::Pass) => {}
                Some(RuleAction::Log) => unreachable!("a log rule decides nothing"),
                None => match tier.default {
                    TierDefault::Deny => {
                        trace.note(&tier.name, &full_name(last), RuleAction::Deny, None);
                        return Verdict::Deny;
                    }
                    TierDefault::Pass => trace.note(&tier.name, &full_name(last), RuleAction::Pass, None),
                },
            }
        }
        self.profiles(endpoint, direction, flow, trace)
    }

    /// What the first rule of a tier decides that matches and does more than log.
    fn tier(
        &self,
        policies: &[&Policy],
        direction: Direction,
        flow: &Flow,
        trace: &mut Trace,
    ) -> Option<RuleAction> {
        for policy in policies {
            for (index, rule) in direction.of(&policy.ingress, &policy.egress).iter().enumerate() {
                if self.rule_matches(rule, policy.namespace.as_deref(), flow) {
                    trace.note(&policy.tier, &full_name(policy), rule.action, Some(index));
                    if rule.action != RuleAction::Log {
                        return Some(rule.action);
                    }
                }
            }
        }
        None
    }

    /// What the endpoint's profiles decide. Pass counts as deny there, and so does it if nothing matches.
    fn profiles(&self, endpoint: &Endpoint, direction: Direction, flow: &Flow, trace: &mut Trace) -> Verdict {
        for name in &endpoint.profiles {
            for profile in self.profiles.iter().filter(|profile| profile.name == *name) {
                for (index, rule) in direction.of(&profile.ingress, &profile.egress).iter().enumerate() {
                    if !self.rule_matches(rule, None, flow) {
                        continue;
                    }
                    let (action, verdict) = match rule.action {
                        RuleAction::Allow => (RuleAction::Allow, Some(Verdict::Allow)),
                        RuleAction::Deny | RuleAction::Pass => (RuleAction::Deny, Some(Verdict::Deny)),
                        RuleAction::Reject => (RuleAction::Reject, Some(Verdict::Reject)),
                        RuleAction::Log => (RuleAction::Log, None),
                    };
                    trace.note(PROFILE, &format!("{PROFILE}.{name}"), action, Some(index));
                    if let Some(verdict) = verdict {
                        return verdict;
                    }
                }
            }
        }
        trace.note(PROFILE, &format!("{PROFILE}.{NO_MATCH}"), RuleAction::Deny, None);
        Verdict::Deny
    }

    /// The failsafe that lets a flow through: by protocol, destination port and the partner's address.
    fn failsafe(&self, direction: Direction, flow: &Flow) -> Option<usize> {
        let list: &[Failsafe] = direction.of(&self.settings.inbound, &self.settings.outbound);
        let partner: IpAddr = direction.of(flow.source, flow.destination);
        list.iter().position(|failsafe| {
            flow.protocol.has_ports()
                && failsafe.protocol.is_none_or(|protocol| protocol == flow.protocol)
                && failsafe.port == flow.destination_port
                && failsafe.net.is_none_or(|net| net.contains(&partner))
        })
    }
}

impl Trace {
    fn note(&mut self, tier: &str, name: &str, action: RuleAction, rule: Option<usize>) {
        let rule = rule.map_or(-1, |index| i32::try_from(index).expect("policies are short"));
        self.0.push(Entry { tier: tier.to_owned(), name: name.to_owned(), action, rule });
    }
}
