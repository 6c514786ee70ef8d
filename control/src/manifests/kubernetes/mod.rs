//! Objects of Kubernetes itself.

mod cluster;
mod labels;
mod network_policy;
mod pod;

use ravelin_config::selector::{Comparison, Expression};

use super::{
    fields::{Fault, Fields},
    object::{Header, Importer},
};

type Convert = fn(Header, &mut Fields<'_>, &mut Importer) -> Result<(), Fault>;

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

/// The label by which pods are known, and its value.
const ORCHESTRATOR: (&str, &str) = ("projectcalico.org/orchestrator", "k8s");

/// True of pods.
fn is_pod() -> Expression {
    let (label, value) = ORCHESTRATOR;
    Expression::Compare { label: label.to_owned(), comparison: Comparison::Equal, value: value.to_owned() }
}
