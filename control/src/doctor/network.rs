//! Settings of the kernel's own network stack, where Ravelin stands beside it: it routes, and hands to the kernel what is for
//! this machine, and what only that can do. Bridges and monitors have nothing to do with it.

use super::{Finding, system};

pub(super) struct Facts {
    /// The interfaces between which Ravelin routes.
    pub routed: Vec<String>,
    /// Whether the kernel forwards: the switch, and its value.
    pub forwarding: Vec<(&'static str, u64)>,
}

/// The switches, as sysctl calls them.
const FORWARDING: [&str; 2] = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"];

impl Facts {
    pub(super) fn read(routed: Vec<String>) -> Self {
        let value = |name: &'static str| {
            Some((name, system::number(&format!("/proc/sys/{}", name.replace('.', "/")))?))
        };
        Self { routed, forwarding: FORWARDING.into_iter().filter_map(value).collect() }
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    if facts.routed.is_empty() {
        return Vec::new();
    }
    let judge = |(name, value): &(&'static str, u64)| match value {
        0 => Finding::problem(
            "forwarding",
            format_args!("{name} = 0: the kernel does not forward, and so Ravelin does not either"),
            "1: what is rare, such as resolving neighbours and answering with errors, the kernel does",
            format_args!("sysctl -w {name}=1"),
        ),
        _ => Finding::ok("forwarding", format_args!("{name} = {value}")),
    };
    facts.forwarding.iter().map(judge).collect()
}
