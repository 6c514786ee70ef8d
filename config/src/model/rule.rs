use crate::resources::{Failsafe, OnChange};
use crate::schema::{
    entry,
    parser::{failsafe, integer, list, name, ports, prefix, protocol, word},
    reader::At,
    section,
};
use crate::types::{Action, Direction, IpNet, PortRange, Protocol, RuleName};

section! {
    /// How policy is enforced, and what happens to flows that no rule matches.
    pub struct Policy in "policy" {
        /// Decides if no rule does.
        default: Action = Action::Allow => word(), Live;
        /// What happens to flows of which neither end is an endpoint.
        unknown: Action = Action::Allow => word(), Live;
        /// What happens to flows that were allowed and that a policy denies after a change, if the policy does not say it: they
        /// go on (`keep`), their packets are dropped (`drop`), or both ends of a TCP connection are sent a reset as well
        /// (`reset`). The same for flows that the end of a tier or a profile denies after a change.
        on_change: OnChange = OnChange::Drop => word(), Live;
        /// Answers to packets of rejected flows that each worker sends in a second.
        reject_rate: u32 = 1000 => integer(1..=100_000), Live;
        /// Ports of hosts that no policy can shut: `"proto:port"`, `"proto:network:port"` with an IPv6 network in brackets, or
        /// `"port"` for TCP, UDP and SCTP. The network is that of the other side. An empty list: none.
        failsafe_inbound: Vec<Failsafe> = Failsafe::inbound() => list("ports", failsafe()).or_empty().plain(), Live;
        /// Ports that hosts reach whatever policies say, in the same form.
        failsafe_outbound: Vec<Failsafe> = Failsafe::outbound() => list("ports", failsafe()).or_empty().plain(), Live;
    }
}

entry! {
    /// Decides flows by their first packet. Rules are asked in the order of the file; the first that matches
    /// decides. What a rule does not mention, it does not ask for.
    struct RuleModel in "rule" {
        /// What records, counters and commands call it. Unique.
        name: RuleName = Required => name("name of 1 to 63 printable characters"), Live;
        /// What happens to a flow that matches.
        action: Action = Required => word(), Live;
        /// Which way the flow is opened: from the outside in (`ingress`), from the inside out (`egress`), or
        /// either.
        direction: Option<Direction> = Or(None) => word(), Live;
        /// The protocol that IP carries.
        protocol: Protocol = Means("any") => protocol(), Live;
        /// Addresses of the side that opens the flow.
        source: Vec<At<IpNet>> = Means("any") => list("addresses or prefixes", prefix()), Live;
        /// Addresses of the other side.
        destination: Vec<At<IpNet>> = Means("any") => list("addresses or prefixes", prefix()), Live;
        /// Ports of the side that opens the flow; only with `tcp`, `udp` or `sctp`.
        source_ports: Vec<At<PortRange>> = Means("any") => list("ports or ranges such as \"1000-2000\"", ports()), Live;
        /// Ports of the other side; only with `tcp`, `udp` or `sctp`.
        destination_ports: Vec<At<PortRange>> = Means("any") => list("ports or ranges such as \"1000-2000\"", ports()), Live;
    }
}
