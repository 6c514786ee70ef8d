//! Settings of the kernel's own network stack, where Ravelin stands beside it: it routes, and hands to the kernel what is for
//! this machine. Bridges and monitors have nothing to do with it.

use super::{Finding, system};

pub(super) struct Facts {
    /// The interfaces between which Ravelin routes.
    pub routed: Vec<String>,
    /// Whether the kernel forwards: the switch, and its value.
    pub forwarding: Vec<(&'static str, u64)>,
    /// Which reverse path filter holds for all interfaces at least (`net.ipv4.conf.all.rp_filter`).
    pub reverse_path: Option<u64>,
}

/// The switches, as sysctl calls them.
const FORWARDING: [&str; 2] = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"];

impl Facts {
    pub(super) fn read(routed: Vec<String>) -> Self {
        let value = |name: &'static str| {
            Some((name, system::number(&format!("/proc/sys/{}", name.replace('.', "/")))?))
        };
        Self {
            routed,
            forwarding: FORWARDING.into_iter().filter_map(value).collect(),
            reverse_path: value("net.ipv4.conf.all.rp_filter").map(|(_, value)| value),
        }
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    if facts.routed.is_empty() {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = facts
        .forwarding
        .iter()
        .map(|(name, value)| match value {
            0 => Finding::ok("forwarding", format_args!("{name} = 0: nothing is routed past Ravelin")),
            _ => Finding::advice(
                "forwarding",
                format_args!(
                    "{name} = {value}: while ravelin does not run, the kernel routes, and judges nothing"
                ),
                "0, unless traffic is to go on without policy then",
                format_args!("sysctl -w {name}=0"),
            ),
        })
        .collect();
    findings.extend(facts.reverse_path.map(|value| match value {
        1 => Finding::problem(
            "reverse-path",
            "net.ipv4.conf.all.rp_filter = 1: the kernel drops what Ravelin hands it for this machine, because it comes from \
             another interface than answers leave by",
            "2 or 0; Ravelin looks at the reverse path itself",
            "sysctl -w net.ipv4.conf.all.rp_filter=2",
        ),
        _ => Finding::ok("reverse-path", format_args!("net.ipv4.conf.all.rp_filter = {value}")),
    }));
    findings
}
