//! Objects of Calico, from its API (`projectcalico.org/v3`) or as they lie in a cluster (`crd.projectcalico.org/v1`).

mod inventory;
mod policy;
mod rule;

use super::object::Convert;

/// The group under which objects lie in a cluster.
pub(super) const STORED: &str = "crd.projectcalico.org";

/// The annotation in which labels lie there.
pub(super) const STORED_METADATA: &str = "projectcalico.org/metadata";

/// The kinds of Calico, and whether they live in a namespace.
pub(super) fn family(group: &str, version: &str, kind: &str) -> Option<(Convert, bool)> {
    if !matches!((group, version), (STORED, "v1" | "") | ("projectcalico.org", "v3" | "")) {
        return None;
    }
    Some(match kind {
        "Tier" => (inventory::tier, false),
        "Profile" => (inventory::profile, false),
        "NetworkPolicy" => (policy::network_policy, true),
        "GlobalNetworkPolicy" => (policy::global_network_policy, false),
        "StagedNetworkPolicy" => (policy::staged_network_policy, true),
        "StagedGlobalNetworkPolicy" => (policy::staged_global_network_policy, false),
        "StagedKubernetesNetworkPolicy" => (policy::staged_kubernetes_network_policy, true),
        "NetworkSet" => (inventory::network_set, true),
        "GlobalNetworkSet" => (inventory::global_network_set, false),
        "HostEndpoint" => (inventory::host_endpoint, false),
        "WorkloadEndpoint" => (inventory::workload_endpoint, true),
        _ => return None,
    })
}
