//! The order in which tiers and policies are asked, and what they are called.

use std::collections::{BTreeSet, HashMap};

use ravelin_config::resources::{
    Order, Policy, PolicyRule, Profile, Resources, RuleAction, StagedAction, Tier, TierDefault,
};

/// The tier in which feeds block, behind its policies.
pub(crate) const THREAT: &str = "threat";

/// What the names of policies made of feeds begin with. No policy that somebody writes is called so.
pub(super) const FEED: &str = "threat.feed:";

/// Tiers that are there although nobody declares them.
pub(crate) const TIERS: [(&str, f64, TierDefault); 4] = [
    (THREAT, 100.0, TierDefault::Pass),
    ("kube-admin", 1_000.0, TierDefault::Pass),
    ("default", 1_000_000.0, TierDefault::Deny),
    ("kube-baseline", 10_000_000.0, TierDefault::Pass),
];

/// Profiles that are there although nobody declares them; they allow everything. So does `kns.<namespace>` of every namespace.
pub(crate) const PROFILES: [&str; 2] = ["projectcalico-default-allow", "default-allow"];

/// A tier with its policies, in order.
#[derive(Clone, Debug)]
pub(super) struct Ordered<'r> {
    pub(super) tier: Tier,
    pub(super) policies: Vec<&'r Policy>,
}

/// The tiers that have policies, and that of feeds, in order: those declared and built in by order, then name; then, by name, those that are only
/// mentioned. `policies` may be in any order.
pub(super) fn tiers<'r>(
    resources: &Resources,
    policies: impl Iterator<Item = &'r Policy>,
) -> Vec<Ordered<'r>> {
    let mut by_tier: HashMap<&str, Vec<&Policy>> = HashMap::new();
    for policy in policies {
        by_tier.entry(&policy.tier).or_default().push(policy);
    }
    let mut tiers = resources.tiers.clone();
    for (name, order, default) in TIERS {
        if !tiers.iter().any(|tier| tier.name == name) {
            tiers.push(Tier {
                name: name.to_owned(),
                order: Order::new(order).unwrap_or(Order::LAST),
                default,
            });
        }
    }
    tiers.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
    let declared: BTreeSet<_> = tiers.iter().map(|tier| tier.name.clone()).collect();
    let mut mentioned: Vec<_> = by_tier.keys().filter(|name| !declared.contains(**name)).collect();
    mentioned.sort_unstable();
    tiers.extend(mentioned.into_iter().map(|name| Tier {
        name: (*name).to_owned(),
        order: Order::LAST,
        default: TierDefault::Deny,
    }));
    let mut ordered = Vec::new();
    for tier in tiers {
        let policies = by_tier.remove(tier.name.as_str());
        if let Some(mut policies) = policies.or_else(|| (tier.name == THREAT).then(Vec::new)) {
            policies.sort_by_key(|p| (p.order, &p.name, &p.namespace, p.staged.is_some()));
            ordered.push(Ordered { tier, policies });
        }
    }
    ordered
}

/// The policies in force.
pub(super) fn enforced(resources: &Resources) -> impl Iterator<Item = &Policy> {
    resources.policies.iter().filter(|policy| policy.staged.is_none())
}

/// The policies that would be in force if every staged one were: a staged one stands in the place of that of the same tier,
/// namespace and name, or takes it away. `None` if nothing is staged.
pub(super) fn pending(resources: &Resources) -> Option<impl Iterator<Item = &Policy>> {
    let key = |policy: &'_ Policy| (policy.tier.clone(), policy.namespace.clone(), policy.name.clone());
    let staged: BTreeSet<_> =
        resources.policies.iter().filter(|policy| policy.staged.is_some()).map(key).collect();
    (!staged.is_empty()).then(|| {
        resources.policies.iter().filter(move |policy| match policy.staged {
            None => !staged.contains(&key(policy)),
            Some(StagedAction::Set) => true,
            Some(StagedAction::Delete) => false,
        })
    })
}

/// Every profile by its name.
pub(super) fn profiles(resources: &Resources) -> HashMap<String, Profile> {
    let built_in = PROFILES.map(str::to_owned).into_iter();
    let of_namespaces = resources.namespaces.iter().map(|namespace| format!("kns.{}", namespace.name));
    let built_in = built_in.chain(of_namespaces).map(|name| (name.clone(), allow_all(name)));
    let declared = resources.profiles.iter().map(|profile| (profile.name.clone(), profile.clone()));
    // Declared ones last: they win.
    built_in.chain(declared).collect()
}

fn allow_all(name: String) -> Profile {
    let allow = PolicyRule {
        action: RuleAction::Allow,
        description: None,
        ip_version: None,
        protocol: None,
        not_protocol: None,
        icmp: None,
        not_icmp: None,
        source: ravelin_config::resources::Entity::default(),
        destination: ravelin_config::resources::Entity::default(),
        rate_limit: None,
        capture: false,
    };
    let labels_to_apply = ravelin_config::resources::Labels::default();
    Profile { name, labels_to_apply, ingress: vec![allow.clone()], egress: vec![allow] }
}

/// A policy's name in traces, as Calico writes it. Policies made from those of Kubernetes bear their kind in the place of the
/// tier.
pub fn full_name(policy: &Policy) -> String {
    const KUBERNETES: [&str; 4] = ["knp.", "kcnp.", "kanp.", "kbanp."];
    let is_kubernetes = KUBERNETES.iter().any(|kind| policy.name.starts_with(kind));
    let staged = if policy.staged.is_some() { "staged:" } else { "" };
    let tier = if is_kubernetes { String::new() } else { format!("{}.", policy.tier) };
    let namespace = policy.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{namespace}{tier}{staged}{}", policy.name)
}
