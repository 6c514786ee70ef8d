//! Objects of Kubernetes itself.

mod cluster;
mod cluster_policy;
mod labels;
mod network_policy;
mod pod;

use ravelin_config::selector::{Comparison, Expression};

pub(super) use network_policy::read as network_policy;

use super::object::Convert;

/// The kinds of the core group, and whether they live in a namespace.
pub(super) fn core(kind: &str) -> Option<(Convert, bool)> {
    Some(match kind {
        "Namespace" => (cluster::namespace, false),
        "ServiceAccount" => (cluster::service_account, true),
        "Service" => (cluster::service, true),
        "Pod" => (pod::pod, true),
        _ => return None,
    })
}

/// The kinds of `networking.k8s.io`.
pub(super) fn networking(kind: &str) -> Option<(Convert, bool)> {
    match kind {
        "NetworkPolicy" => Some((network_policy::network_policy, true)),
        _ => None,
    }
}

/// The kinds of `policy.networking.k8s.io`, which tell their version.
pub(super) fn policy(version: &str, kind: &str) -> Option<(Convert, bool)> {
    match (kind, version) {
        ("ClusterNetworkPolicy", "v1alpha2" | "") => Some((cluster_policy::cluster, false)),
        ("AdminNetworkPolicy", "v1alpha1" | "") => Some((cluster_policy::admin, false)),
        ("BaselineAdminNetworkPolicy", "v1alpha1" | "") => Some((cluster_policy::baseline, false)),
        _ => None,
    }
}

/// The label by which pods are known, and its value.
const ORCHESTRATOR: (&str, &str) = ("projectcalico.org/orchestrator", "k8s");

/// True of pods.
fn is_pod() -> Expression {
    let (label, value) = ORCHESTRATOR;
    Expression::Compare { label: label.to_owned(), comparison: Comparison::Equal, value: value.to_owned() }
}
