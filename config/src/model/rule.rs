use crate::schema::{
    entry,
    parser::{list, name, ports, prefix, protocol, word},
    reader::At,
    section,
};
use crate::types::{Action, Direction, IpNet, PortRange, Protocol, RuleName};

section! {
    /// What happens to flows that no rule matches.
    pub struct Policy in "policy" {
        /// Decides if no rule does.
        default: Action = Action::Allow => word(), Live;
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
